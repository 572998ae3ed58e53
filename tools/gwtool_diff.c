/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two policies beside each other: the one in force and a file, or two files.
 *
 * As diff does, it exits with 1 for differences alone: a script that asks whether there is something
 * to push must not take a daemon that is away for a yes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/document/diff.h"
#include "core/document/encode.h"
#include "policy/read.h"
#include "tools/gwtool.h"
#include "tools/gwtool_input.h"

enum { ROOM = 8 << 20 }; /* For a policy as msgpack: no file is larger. */

enum { EXIT_DIFFERS = EXIT_FAILED, EXIT_UNCOMPARED = EXIT_USAGE };

/* As it is printed. */
struct telling {
	struct writer *w;
	bool json;
	uint32_t n;
};

struct pair {
	const struct document_node *before, *after;
	bool json;
	uint32_t *n;
	int *r;
};

static void tell(void *owner, const struct diff_change *change)
{
	struct telling *telling = owner;

	if (telling->json && telling->n)
		writer_char(telling->w, ',');
	(telling->json ? diff_put_json : diff_put)(telling->w, change);
	telling->n++;
}

static void put_changes(struct writer *w, const void *what)
{
	const struct pair *pair = what;
	struct telling telling = { .w = w, .json = pair->json };

	if (pair->json)
		writer_char(w, '[');
	*pair->r = diff_documents(&policy_schema, pair->before, pair->after, tell, &telling);
	if (pair->json)
		writer_lit(w, "]\n");
	if (*pair->r < 0)
		w->ptr = w->start; /* A part of them would pass for all. */
	*pair->n = telling.n;
}

static int compare(const struct call *call, const struct document_node *before,
		   const struct document_node *after, bool *ret_differs)
{
	uint32_t n = 0;
	int r = 0, printed = gwtool_print(put_changes,
					  &(struct pair){ before, after, call->json, &n, &r });

	if (r < 0)
		return gwtool_fail(call, EXIT_FAILED, "internal", "out of memory");
	*ret_differs = n > 0;
	return printed;
}

static int load(const struct call *call, const char *file, struct document **ret_doc)
{
	static struct report rep;
	int r = gwtool_load_policy(file, &rep, ret_doc);

	return r < 0 ? gwtool_tell_verdict(call, file, r, &rep) : EXIT_OK;
}

/* Bytes that it has as msgpack. */
static size_t size_of(const struct document_node *policy)
{
	char *buf = malloc(ROOM);
	struct pack p = pack_make(buf, buf ? ROOM : 0);
	size_t size;

	encode_msgpack(&p, policy);
	size = p.w.overflow ? ROOM : writer_len(&p.w);
	free(buf);
	return size;
}

/* What a later daemon knows and this program does not must not count as equal. */
static int check_known(const struct call *call, const struct document_node *policy)
{
	static struct report rep;
	struct written_policy *written = NULL;
	char why[GWTOOL_MESSAGE_MAX] = "it has none";
	int r;

	report_init(&rep, "the policy in force");
	r = policy ? policy_read(policy, size_of(policy), &rep, &written) : -EINVAL;
	policy_read_free(written);
	if (r == 0)
		return EXIT_OK;
	if (rep.n)
		(void)report_format(&rep, 0, why, sizeof(why));
	return gwtool_fail(call, EXIT_FAILED, "not_understood",
			   "this program does not understand the daemon's policy: %s", why);
}

static int compare_with_daemon(const struct call *call, const struct document_node *after,
			       bool *ret_differs)
{
	const struct document_node *result, *before;
	struct document *reply;
	int r = gwtool_ask_result(call, &(struct gwtool_question){ .command = "get_policy" },
				  &reply, &result);

	if (r != EXIT_OK)
		return r;
	before = result->kind == DOCUMENT_MAP ? document_get(result, SLICE("policy")) : NULL;
	r = check_known(call, before);
	if (r == EXIT_OK)
		r = compare(call, before, after, ret_differs);
	document_free(reply);
	return r;
}

static int compare_files(const struct call *call, const struct document_node *after,
			 bool *ret_differs)
{
	struct document *before = NULL;
	int r = load(call, call->argv[0], &before);

	if (r == EXIT_OK)
		r = compare(call, document_root(before), after, ret_differs);
	document_free(before);
	return r;
}

static int judge_args(const struct call *call)
{
	int n_stdin = 0;

	if (call->argc < 1 || call->argc > 2)
		return gwtool_usage(call, "diff-policy takes one file, ", "or two");
	for (int i = 0; i < call->argc; i++) {
		if (gwtool_input_is_flag(call->argv[i]))
			return gwtool_usage(call,
					    "unknown argument of diff-policy: ", call->argv[i]);
		n_stdin += strcmp(call->argv[i], "-") == 0;
	}
	return n_stdin < 2 ? EXIT_OK
			   : gwtool_usage(call, "standard input can be read once: ", "- -");
}

int gwtool_diff_policy(const struct call *call)
{
	struct document *after = NULL;
	bool differs = false;
	int r = judge_args(call);

	if (r != EXIT_OK)
		return r;
	r = load(call, call->argv[call->argc - 1], &after);
	if (r == EXIT_OK)
		r = (call->argc == 1 ? compare_with_daemon
				     : compare_files)(call, document_root(after), &differs);
	document_free(after);
	if (r == EXIT_FAILED)
		return EXIT_UNCOMPARED;
	return r == EXIT_OK && differs ? EXIT_DIFFERS : r;
}
