/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is pushed whenever its content has changed.
 *
 * It is read as a whole at each look and compared with what was judged last: so it does not matter
 * how it came to change, by an editor that renames over it, by a link that now leads elsewhere, or
 * in place. What has changed is read until it stays the same, since a file that is half written
 * may be a good policy, too.
 *
 * What the daemon or the file's own check refuses is told and not tried again. What was not judged
 * (no daemon, no disk space there) is tried at each look, and told once.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/jsonw.h"
#include "core/document/encode.h"
#include "core/document/form.h"
#include "core/document/load.h"
#include "tools/gwtool.h"

#define SETTLE_NS   (50 * GW_NS_PER_MS) /* What is the same after so long is whole. */
#define INTERVAL_NS (1 * GW_NS_PER_S)
#define SHORTEST_NS (10 * GW_NS_PER_MS)

enum { MESSAGE_MAX = 1024 };

enum outcome { OUTCOME_PUSHED, OUTCOME_REFUSED, OUTCOME_WAITING };

struct watch {
	const struct call *call;
	const char *file;
	uint64_t interval_ns;
	sigset_t ends; /* Signals. */
	bool ending;
	bool due;             /* The content is not judged yet. */
	struct slice content; /* The last that was read; NULL: none was. */
	char told[MESSAGE_MAX];
	struct report rep;
};

/* --- Telling. -------------------------------------------------------------------------------- */

struct event {
	const struct watch *watch;
	enum outcome outcome;
	const struct document_node *result; /* PUSHED: what the daemon says of it; */
	const char *message;                /* else. */
};

static const struct document_node *get(const struct document_node *map, const char *key,
				       enum document_kind kind)
{
	const struct document_node *node =
		map->kind == DOCUMENT_MAP ? document_get(map, slice_of(key)) : NULL;

	return node && node->kind == kind ? node : NULL;
}

static uint64_t generation_of(const struct event *event)
{
	const struct document_node *node = get(event->result, "generation", DOCUMENT_INT);

	return node ? node->number : 0;
}

/* What push-policy shows of its reply: the number, and what nothing acts on yet. */
static void put_pushed(struct writer *w, const struct event *event)
{
	struct slice file = slice_of(event->watch->file);
	const struct document_node *inactive = get(event->result, "inactive", DOCUMENT_LIST);

	writer_put(w, file);
	writer_lit(w, ": generation ");
	writer_u64(w, generation_of(event));
	writer_lit(w, " is in force\n");
	for (const struct document_node *path = inactive ? inactive->first : NULL; path;
	     path = path->next) {
		writer_put(w, file);
		writer_lit(w, ": ");
		writer_put(w, path->kind == DOCUMENT_TEXT ? path->text : SLICE("?"));
		writer_lit(w, ": nothing acts on it yet\n");
	}
}

static void put_line(struct writer *w, const struct event *event)
{
	if (event->outcome == OUTCOME_PUSHED) {
		put_pushed(w, event);
		return;
	}
	writer_put(w, slice_of(event->watch->file));
	writer_put(w,
		   event->outcome == OUTCOME_REFUSED ? SLICE(": refused: ") : SLICE(": waiting: "));
	writer_put(w, slice_of(event->message));
	writer_char(w, '\n');
}

static void put_json_line(struct writer *w, const struct event *event)
{
	static const char *const names[] = { [OUTCOME_PUSHED] = "pushed",
					     [OUTCOME_REFUSED] = "refused",
					     [OUTCOME_WAITING] = "waiting" };
	static const struct document_node none = { .kind = DOCUMENT_LIST };

	writer_char(w, '{');
	jsonw_field_string(w, SLICE("file"), slice_of(event->watch->file), JSONW_CAP);
	jsonw_field_string(w, SLICE("outcome"), slice_of(names[event->outcome]), JSONW_CAP);
	if (event->outcome == OUTCOME_PUSHED) {
		const struct document_node *inactive =
			get(event->result, "inactive", DOCUMENT_LIST);

		jsonw_field_u64(w, SLICE("generation"), generation_of(event));
		jsonw_key(w, SLICE("inactive"));
		encode_json(w, inactive ? inactive : &none);
	} else {
		jsonw_field_string(w, SLICE("message"), slice_of(event->message), JSONW_CAP);
	}
	writer_lit(w, "}\n");
}

static void put_event(struct writer *w, const void *what)
{
	const struct event *event = what;

	(event->watch->call->json ? put_json_line : put_line)(w, event);
}

static void print(struct watch *w, const struct event *event)
{
	if (gwtool_print(put_event, event) != EXIT_OK)
		w->ending = true; /* Nobody listens any more. */
}

static void tell_pushed(struct watch *w, const struct document_node *result)
{
	w->due = false;
	w->told[0] = '\0';
	print(w, &(struct event){ w, OUTCOME_PUSHED, result, NULL });
}

/* The same trouble is told once. */
static void tell(struct watch *w, enum outcome outcome, const char *message)
{
	w->due = outcome == OUTCOME_WAITING;
	if (w->due && strcmp(w->told, message) == 0)
		return;
	(void)snprintf(w->told, sizeof(w->told), "%s", w->due ? message : "");
	print(w, &(struct event){ w, outcome, NULL, message });
}

static void tell_report(struct watch *w, enum outcome outcome)
{
	char message[MESSAGE_MAX];

	(void)report_format(&w->rep, 0, message, sizeof(message));
	tell(w, outcome, message);
}

/* --- Pushing. -------------------------------------------------------------------------------- */

static void put_args(struct pack *p, const void *owner)
{
	pack_map(p, 1);
	pack_key(p, "policy");
	encode_msgpack(p, owner);
}

static struct slice text(const struct document_node *map, const char *key)
{
	const struct document_node *node = get(map, key, DOCUMENT_TEXT);

	return node ? node->text : SLICE("");
}

/* Refused for what the policy is, or for how the daemon is. */
static void tell_refusal(struct watch *w, const struct document_node *error)
{
	static const char *const passing[] = { "state", "not_kept", "internal", "busy" };
	struct slice code = text(error, "code"), path = text(error, "path");
	enum outcome outcome = OUTCOME_REFUSED;
	char message[MESSAGE_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
		if (slice_eq(code, slice_of(passing[i])))
			outcome = OUTCOME_WAITING;
	(void)snprintf(message, sizeof(message), "%.*s%s%.*s (%.*s)", SLICE_ARG(path),
		       path.len ? ": " : "", SLICE_ARG(text(error, "message")), SLICE_ARG(code));
	tell(w, outcome, message);
}

static void push(struct watch *w, const struct document_node *policy)
{
	const struct gwtool_question question = { "push_policy", put_args, policy };
	const struct document_node *result;
	char usual[GWTOOL_PATH_MAX], message[MESSAGE_MAX];
	const char *socket = gwtool_socket(w->call, usual);
	struct document *reply;
	bool ok;
	int r = gwtool_ask(socket, &question, &reply, &result, &ok);

	if (r < 0) {
		(void)snprintf(message, sizeof(message), "%s: %s", socket, strerror(-r));
		tell(w, OUTCOME_WAITING, message);
		return;
	}
	if (ok)
		tell_pushed(w, result);
	else
		tell_refusal(w, result);
	document_free(reply);
}

static void judge(struct watch *w)
{
	struct document *doc = NULL;
	int r;

	report_init(&w->rep, w->file);
	r = gwtool_read_policy(w->file, w->content, &w->rep, &doc);
	if (r == 0)
		push(w, document_root(doc));
	else if (r == -ENOMEM)
		tell(w, OUTCOME_WAITING, "out of memory");
	else
		tell_report(w, OUTCOME_REFUSED);
	document_free(doc);
}

/* --- Looking. -------------------------------------------------------------------------------- */

/* Until then, or until it is to end. */
static void wait_for(struct watch *w, uint64_t span_ns)
{
	const struct timespec span = { .tv_sec = (time_t)(span_ns / GW_NS_PER_S),
				       .tv_nsec = (long)(span_ns % GW_NS_PER_S) };

	if (sigtimedwait(&w->ends, NULL, &span) > 0)
		w->ending = true;
}

/* 1: the content is another one than it was; 0: the same; -1: there is none, which is told. */
static int look(struct watch *w)
{
	struct slice now;
	bool differs;
	int r;

	report_init(&w->rep, w->file);
	r = document_fetch(w->file, GWTOOL_POLICY_MAX, &w->rep, &now);
	if (r == -ENOMEM)
		tell(w, OUTCOME_WAITING, "out of memory");
	else if (r < 0)
		tell_report(w, OUTCOME_WAITING);
	if (r < 0)
		return -1;
	differs = !w->content.ptr || !slice_eq(w->content, now);
	free((void *)(uintptr_t)w->content.ptr); /* Slices are const; it was malloced. */
	w->content = now;
	return differs;
}

/* A look, and more of them until the content stays as it is. */
static void go(struct watch *w)
{
	bool due = w->due; /* A file that cannot be read is not what was due. */
	int found = look(w);

	if (found < 0) {
		w->due = due;
		return;
	}
	w->due = due || found > 0;
	while (found > 0 && !w->ending) {
		wait_for(w, SETTLE_NS);
		found = look(w);
	}
	if (w->due && found == 0 && !w->ending)
		judge(w);
}

/* --- The command. ---------------------------------------------------------------------------- */

static int read_args(const struct call *call, struct watch *w)
{
	for (int i = 0; i < call->argc; i++) {
		const char *arg = call->argv[i];

		if (strcmp(arg, "--interval") == 0 && i + 1 < call->argc) {
			arg = call->argv[++i];
			if (form_duration(slice_of(arg), &w->interval_ns) < 0 ||
			    w->interval_ns < SHORTEST_NS)
				return gwtool_usage(
					call, "--interval takes a span of 10ms at least, not ",
					arg);
		} else if (arg[0] == '-' || w->file) {
			return gwtool_usage(call, "unknown argument of watch: ", arg);
		} else {
			w->file = arg;
		}
	}
	return w->file ? EXIT_OK : gwtool_usage(call, "watch takes one argument: ", "the file");
}

int gwtool_watch(const struct call *call)
{
	struct watch w = { .call = call, .interval_ns = INTERVAL_NS };
	int r = read_args(call, &w);

	if (r != EXIT_OK)
		return r;
	(void)sigemptyset(&w.ends); /* These fail for numbers that are no signals. */
	(void)sigaddset(&w.ends, SIGINT);
	(void)sigaddset(&w.ends, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &w.ends, NULL);
	while (!w.ending) {
		go(&w);
		if (!w.ending)
			wait_for(&w, w.interval_ns);
	}
	free((void *)(uintptr_t)w.content.ptr); /* Slices are const; it was malloced. */
	return EXIT_OK;
}
