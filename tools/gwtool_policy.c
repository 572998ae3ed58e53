/* SPDX-License-Identifier: Apache-2.0 */
/* Policies: checked offline, pushed, asked for, pushed again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/jsonw.h"
#include "core/document/encode.h"
#include "core/document/inactive.h"
#include "policy/read.h"
#include "tools/gwtool.h"
#include "tools/gwtool_input.h"

int gwtool_read_policy(const char *file, struct slice text, struct report *rep,
		       struct document **ret_doc)
{
	struct written_policy *policy = NULL;
	int r = gwtool_input_parse(file, text, rep, ret_doc);

	if (r < 0)
		return r;
	r = policy_read(document_root(*ret_doc), text.len, rep, &policy);
	policy_read_free(policy);
	if (r < 0) {
		document_free(*ret_doc);
		*ret_doc = NULL;
	}
	return r;
}

int gwtool_load_policy(const char *file, struct report *rep, struct document **ret_doc)
{
	struct slice text;
	int r;

	report_init(rep, gwtool_input_name(file));
	r = gwtool_input_fetch(file, GWTOOL_POLICY_MAX, rep, &text);
	if (r < 0)
		return r;
	r = gwtool_read_policy(file, text, rep, ret_doc);
	free((void *)(uintptr_t)text.ptr); /* Slices are const; this one was malloced. */
	return r;
}

static void warn(void *owner, struct slice path)
{
	(void)owner;
	(void)fprintf(stderr, "%.*s: nothing acts on it yet\n", SLICE_ARG(path));
}

static void put_path(void *owner, struct slice path)
{
	struct writer *w = owner;

	writer_put(w, w->ptr[-1] == '[' ? SLICE("") : SLICE(","));
	jsonw_string(w, path, JSONW_CAP);
}

/* A verdict, with what push-policy says of such a policy. */
static void put_good(struct writer *w, const void *what)
{
	writer_lit(w, "{\"ok\":true,\"errors\":[],\"inactive\":[");
	inactive_find(&policy_schema, what, put_path, w);
	writer_lit(w, "]}\n");
}

int gwtool_check_policy(const struct call *call)
{
	static struct report rep;
	struct document *doc = NULL;
	int r;

	if (call->argc != 1 || gwtool_input_is_flag(call->argv[0]))
		return gwtool_usage(call, "check-policy takes one argument: ", "the file");
	r = gwtool_load_policy(call->argv[0], &rep, &doc);
	if (r == 0 && call->json) {
		r = gwtool_print(put_good, document_root(doc));
	} else {
		if (r == 0)
			inactive_find(&policy_schema, document_root(doc), warn, NULL);
		r = gwtool_tell_verdict(call, gwtool_input_name(call->argv[0]), r, &rep);
	}
	document_free(doc);
	return r;
}

struct push {
	const char *file;
	const char *expected; /* A number, or NULL. */
	uint64_t generation;
	bool dry_run;
	const struct document_node *policy;
};

static void put_args(struct pack *p, const void *owner)
{
	const struct push *push = owner;

	pack_map(p, 1u + push->dry_run + (push->expected != NULL));
	if (push->dry_run)
		pack_entry_bool(p, "dry_run", true);
	if (push->expected)
		pack_entry_u64(p, "expect_generation", push->generation);
	pack_key(p, "policy");
	encode_msgpack(p, push->policy);
}

static int read_args(const struct call *call, struct push *push)
{
	for (int i = 0; i < call->argc; i++) {
		const char *arg = call->argv[i];

		if (strcmp(arg, "--dry-run") == 0)
			push->dry_run = true;
		else if (strcmp(arg, "--expect-generation") == 0 && i + 1 < call->argc)
			push->expected = call->argv[++i];
		else if (gwtool_input_is_flag(arg) || push->file)
			return gwtool_usage(call, "unknown argument of push-policy: ", arg);
		else
			push->file = arg;
	}
	if (!push->file)
		return gwtool_usage(call, "push-policy takes one argument: ", "the file");
	if (push->expected && slice_to_u64(slice_of(push->expected), &push->generation) < 0)
		return gwtool_usage(call, "--expect-generation takes a number, not ",
				    push->expected);
	return EXIT_OK;
}

static uint64_t number_in(const struct document_node *map, struct slice key)
{
	const struct document_node *node = document_get(map, key);

	return node && node->kind == DOCUMENT_INT && !node->negative ? node->number : 0;
}

/* What an operator must not overlook in a reply that says "committed". */
static void tell_rest(const struct document_node *result)
{
	const struct document_node *told = document_get(result, SLICE("inactive"));
	uint64_t n_pending = number_in(result, SLICE("pending"));
	uint64_t n_inactive = number_in(result, SLICE("inactive_total"));

	if (n_pending)
		(void)fprintf(stderr,
			      "gwtool: %llu worker%s not adopted it yet: requests there are "
			      "still judged by the policy before\n",
			      (unsigned long long)n_pending, n_pending == 1 ? " has" : "s have");
	if (told && n_inactive > told->n)
		(void)fprintf(stderr, "gwtool: inactive: these %u, and %llu more\n", told->n,
			      (unsigned long long)n_inactive - told->n);
}

static int push_and_print(const struct call *call, const struct gwtool_question *question)
{
	const struct document_node *result;
	struct document *reply;
	int r = gwtool_ask_result(call, question, &reply, &result);

	if (r != EXIT_OK)
		return r;
	r = gwtool_print_document(call, result);
	if (!call->json) /* There it is in the document. */
		tell_rest(result);
	document_free(reply);
	return r;
}

/* Refused here already when it is wrong: with lines and columns, which the daemon does not see. */
int gwtool_push_policy(const struct call *call)
{
	static struct report rep;
	struct push push = { 0 };
	struct document *doc = NULL;
	int r = read_args(call, &push);

	if (r != EXIT_OK)
		return r;
	r = gwtool_load_policy(push.file, &rep, &doc);
	if (r < 0)
		return gwtool_tell_verdict(call, push.file, r, &rep);
	push.policy = document_root(doc);
	r = push_and_print(call, &(struct gwtool_question){ .command = "push_policy",
							    .args = put_args,
							    .owner = &push });
	document_free(doc);
	return r;
}

/* --- What the daemon keeps. ------------------------------------------------------------------ */

/* Which of the policies; NULL: it was not said. */
struct choice {
	const char *number, *expected;
	uint64_t generation, expected_generation;
};

static void put_choice(struct pack *p, const void *owner)
{
	const struct choice *choice = owner;

	pack_map(p, (choice->number != NULL) + (choice->expected != NULL));
	if (choice->number)
		pack_entry_u64(p, "generation", choice->generation);
	if (choice->expected)
		pack_entry_u64(p, "expect_generation", choice->expected_generation);
}

static int read_number(const struct call *call, const char *what, const char *text, uint64_t *ret)
{
	return text && slice_to_u64(slice_of(text), ret) < 0 ? gwtool_usage(call, what, text)
							     : EXIT_OK;
}

static int read_choice(const struct call *call, bool may_expect, struct choice *choice)
{
	int r;

	for (int i = 0; i < call->argc; i++) {
		const char *arg = call->argv[i];

		if (may_expect && strcmp(arg, "--expect-generation") == 0 && i + 1 < call->argc)
			choice->expected = call->argv[++i];
		else if (arg[0] == '-' || choice->number)
			return gwtool_usage(call,
					    "unknown argument, or one without its value: ", arg);
		else
			choice->number = arg;
	}
	r = read_number(call, "a generation is a number, not ", choice->number,
			&choice->generation);
	return r != EXIT_OK ? r
			    : read_number(call, "--expect-generation takes a number, not ",
					  choice->expected, &choice->expected_generation);
}

int gwtool_get_policy(const struct call *call)
{
	struct choice choice = { 0 };
	struct gwtool_question question = { "get_policy", put_choice, &choice };
	int r = read_choice(call, false, &choice);

	return r == EXIT_OK ? gwtool_ask_and_print(call, &question, "policy") : r;
}

int gwtool_rollback(const struct call *call)
{
	struct choice choice = { 0 };
	struct gwtool_question question = { "rollback_policy", put_choice, &choice };
	int r = read_choice(call, true, &choice);

	return r == EXIT_OK ? push_and_print(call, &question) : r;
}

int gwtool_history(const struct call *call)
{
	if (call->argc)
		return gwtool_usage(call, "history takes no argument: ", call->argv[0]);
	return gwtool_ask_and_print(call, &(struct gwtool_question){ .command = "policy_history" },
				    NULL);
}
