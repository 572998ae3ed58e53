/* SPDX-License-Identifier: Apache-2.0 */
/* What is judged of a file that changes while it is being read: the waits are the test's own. */
#include <signal.h>
#include <time.h>

static int wait_in_test(const sigset_t *set, siginfo_t *info, const struct timespec *span);
#define sigtimedwait wait_in_test
#include "tools/gwtool_watch.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/document/yaml.h"

enum { STEPS_MAX = 12 };

static char path[] = "/tmp/test_gwtool_watch_XXXXXX";
static const char *const *steps; /* What each wait finds in the file; "": the file is gone. */
static uint32_t n_steps, step;
static int ask_result;
static char story[1024]; /* What was judged, and how it was told. */
static struct writer told;

static void note(const char *what)
{
	writer_put(&told, slice_of(what));
}

/* --- In place of the rest of the program. ---------------------------------------------------- */

static void become(const char *content)
{
	FILE *file;

	if (!*content) {
		(void)unlink(path);
		return;
	}
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(content, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int wait_in_test(const sigset_t *set, siginfo_t *info, const struct timespec *span)
{
	(void)set;
	(void)info;
	(void)span;
	if (step == n_steps)
		return SIGTERM;
	become(steps[step++]);
	errno = EAGAIN;
	return -1;
}

int gwtool_usage(const struct call *call, const char *why, const char *what)
{
	(void)call;
	(void)why;
	(void)what;
	return EXIT_USAGE;
}

int gwtool_print(gwtool_put_fn *put, const void *what)
{
	const struct event *event = what;

	assert_ptr_equal(put, put_event);
	note(event->outcome == OUTCOME_PUSHED    ? "pushed "
	     : event->outcome == OUTCOME_REFUSED ? "refused "
						 : "waiting ");
	return EXIT_OK;
}

const char *gwtool_socket(const struct call *call, char usual[GWTOOL_PATH_MAX])
{
	(void)call;
	usual[0] = '\0';
	return usual;
}

int gwtool_read_policy(const char *file, struct slice content, struct report *rep,
		       struct document **ret_doc)
{
	char shown[64];

	(void)snprintf(shown, sizeof(shown), "%.*s:", SLICE_ARG(content));
	note(shown);
	return document_parse(file, content, rep, ret_doc);
}

int gwtool_ask(const char *socket, const struct gwtool_question *question,
	       struct document **ret_reply, const struct document_node **ret_result, bool *ret_ok)
{
	static struct report rep;

	(void)socket;
	assert_string_equal(question->command, "push_policy");
	if (ask_result < 0)
		return ask_result;
	report_init(&rep, NULL);
	assert_int_equal(yaml_read(SLICE("{generation: 3}"), &rep, ret_reply), 0);
	*ret_result = document_root(*ret_reply);
	*ret_ok = true;
	return 0;
}

/* --- Stories. -------------------------------------------------------------------------------- */

static const struct {
	const char *name, *first;
	int ask_result;
	const char *steps[STEPS_MAX]; /* NULL ends them, and then it is to end. */
	const char *want;
} cases[] = {
	{ "it is pushed at once", "a", 0, { "a", "a", "a" }, "a:pushed " },
	{ "not while it changes", "a", 0, { "ab", "abc", "abcd", "abcd", "abcd" }, "abcd:pushed " },
	{ "a change", "a", 0, { "a", "b", "b", "b" }, "a:pushed b:pushed " },
	{ "half of a change", "a", 0, { "a", "b", "bb", "bb" }, "a:pushed bb:pushed " },
	{ "there and back", "a", 0, { "a", "b", "a", "a" }, "a:pushed a:pushed " },
	{ "a refusal is not tried again",
	  "{",
	  0,
	  { "{", "{", "{", "b", "b" },
	  "{:refused b:pushed " },
	{ "without a daemon it is tried again",
	  "a",
	  -ECONNREFUSED,
	  { "a", "a", "a" },
	  "a:waiting a:a:" },
	{ "no file, told once", "", 0, { "", "", "a", "a" }, "waiting a:pushed " },
	{ "the same file comes back", "a", 0, { "a", "", "", "a", "a", "a" }, "a:pushed waiting " },
	{ "it goes while it settles", "a", 0, { "", "a", "a" }, "waiting a:pushed " },
	{ "another comes then", "a", 0, { "", "", "b", "b" }, "waiting b:pushed " },
	{ "it is to end while it settles", "a", 0, { NULL }, "" },
};

static void contents_are_judged(void **state)
{
	static char *argv[] = { path };
	const struct call call = { .argc = 1, .argv = argv };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		steps = cases[i].steps;
		step = n_steps = 0;
		while (n_steps < STEPS_MAX && steps[n_steps])
			n_steps++;
		ask_result = cases[i].ask_result;
		told = writer_make(story, sizeof(story) - 1);
		become(cases[i].first);
		assert_int_equal(gwtool_watch(&call), EXIT_OK);
		*told.ptr = '\0';
		if (strcmp(story, cases[i].want) != 0)
			fail_msg("%s: got '%s', want '%s'", cases[i].name, story, cases[i].want);
	}
	(void)unlink(path);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(contents_are_judged) };
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
