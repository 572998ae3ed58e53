/* SPDX-License-Identifier: Apache-2.0 */
/* Against daemons that answer well, badly, or not at all: each a child that sends fixed bytes. */
#include "tools/gwtool_ask.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>

static const struct gwtool_question status_question = { .command = "status" };

static char path[GWTOOL_PATH_MAX];

/* A daemon for one connection: reads a whole request, says 'bytes', hangs up. */
static pid_t serve(struct slice bytes)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	(void)unlink(path); /* Left by the case before. */
	memcpy(at.sun_path, path, strlen(path));
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char request[4 + REQUEST_LEAST];
		int fd = accept(listener, NULL, NULL);
		bool good = recv(fd, request, 4, MSG_WAITALL) == 4 &&
			    recv(fd, request + 4, (size_t)request[3], MSG_WAITALL) == request[3];

		if (good && bytes.len)
			good = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL) == (ssize_t)bytes.len;
		_exit(good ? 0 : 1);
	}
	close(listener);
	return pid;
}

static const struct {
	const char *name;
	struct slice reply;
	int want;
	bool ok;
} cases[] = {
	{ "a result", SLICE_INIT("\0\0\0\x19\x84\xa1v\1\xa2id\1\xa2ok\xc3\xa6result\x81\xa3pid\7"),
	  0, true },
	{ "an error",
	  SLICE_INIT("\0\0\0\x0f\x82\xa2ok\xc2\xa5"
		     "error\x81\xa1"
		     "a\1"),
	  0, false },
	{ "an error that is no map",
	  SLICE_INIT("\0\0\0\x0c\x82\xa2ok\xc2\xa5"
		     "error\1"),
	  -EPROTO, false },
	{ "no verdict", SLICE_INIT("\0\0\0\x09\x81\xa6result\1"), -EPROTO, false },
	{ "a verdict without a result", SLICE_INIT("\0\0\0\5\x81\xa2ok\xc3"), -EPROTO, false },
	{ "a list", SLICE_INIT("\0\0\0\1\x90"), -EPROTO, false },
	{ "no msgpack", SLICE_INIT("\0\0\0\1\xc1"), -EPROTO, false },
	{ "a length of 0", SLICE_INIT("\0\0\0\0"), -EPROTO, false },
	{ "a length of 2^32-1", SLICE_INIT("\xff\xff\xff\xff"), -EPROTO, false },
	{ "HTTP", SLICE_INIT("HTTP/1.1 400 Bad Request\r\n\r\n"), -EPROTO, false },
	{ "half a reply", SLICE_INIT("\0\0\0\x09\x81"), -EPIPE, false },
	{ "half a length", SLICE_INIT("\0\0"), -EPIPE, false },
	{ "nothing", SLICE_INIT(""), -EPIPE, false },
};

static void replies_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct document_node *result = NULL;
		struct document *reply = NULL;
		pid_t pid = serve(cases[i].reply);
		bool ok = !cases[i].ok;
		int status, r = gwtool_ask(path, &status_question, &reply, &result, &ok);

		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status != 0)
			fail_msg("%s: the request did not come whole", cases[i].name);
		if (r != cases[i].want || (r == 0 && (ok != cases[i].ok || !result)))
			fail_msg("%s: %d", cases[i].name, r);
		if (r == 0)
			document_free(reply);
		else
			assert_null(reply);
	}
	assert_int_equal(unlink(path), 0);
}

static void who_is_not_there_is_told(void **state)
{
	const struct document_node *result;
	struct document *reply;
	char lengthy[200];
	bool ok;

	(void)state;
	assert_int_equal(gwtool_ask(path, &status_question, &reply, &result, &ok), -ENOENT);
	assert_int_equal(waitpid(serve((struct slice){ 0 }), NULL, WNOHANG), 0);
	memset(lengthy, 'x', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	assert_int_equal(gwtool_ask(lengthy, &status_question, &reply, &result, &ok),
			 -ENAMETOOLONG);
	/* Lets the child end. */
	assert_int_equal(gwtool_ask(path, &status_question, &reply, &result, &ok), -EPIPE);
	assert_true(wait(NULL) > 0);
	assert_int_equal(gwtool_ask(path, &status_question, &reply, &result, &ok), -ECONNREFUSED);
	assert_int_equal(unlink(path), 0);
}

static void the_usual_places_are_tried(void **state)
{
	char got[GWTOOL_PATH_MAX];

	(void)state;
	if (access("/run/sluice/control.sock", F_OK) == 0)
		skip(); /* A daemon runs here: then that is the place. */
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "/nonexistent", 1), 0);
	gwtool_ask_path(got);
	assert_string_equal(got, "/run/sluice/control.sock");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_judged),
		cmocka_unit_test(who_is_not_there_is_told),
		cmocka_unit_test(the_usual_places_are_tried),
	};

	(void)snprintf(path, sizeof(path), "/tmp/gwtool-test-%d.sock", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
