/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vectors of tests/vectors/h1.jsonl that the bytes alone decide: in one
 * piece, byte by byte, and cut in two at every place near the beginning.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/core/http/wire.h"

enum { WHOLE = 0, BYTEWISE = -1, CUT_MAX = 700, SHORT_MAX = 40000 };

static uint32_t n_run, n_failed;

/* All failures are worth seeing, but one of each vector is enough. */
__attribute__((format(printf, 2, 3))) static void complain(const char *where, const char *format,
							   ...)
{
	static char last[16];
	va_list args;

	if (strncmp(where, last, strcspn(where, " ") + 1) == 0)
		return;
	snprintf(last, sizeof(last), "%s", where);
	n_failed++;
	print_error("%s: ", where);
	va_start(args, format);
	vprint_error(format, args);
	va_end(args);
	print_error("\n");
}

static const char *text_of(const json_t *vector, const char *key)
{
	const char *text = json_string_value(json_object_get(vector, key));

	return text ? text : "";
}

/* Is 'label' one of the alternatives "a|b"? */
static bool is_one_of(struct slice label, const char *alternatives)
{
	struct slice list = slice_of(alternatives), one;

	while (slice_next_token(&list, '|', &one))
		if (slice_eq(one, label))
			return true;
	return false;
}

static void run_cut(struct wire *wire, const struct wire_text *text, int cut)
{
	char *bytes = malloc(text->len);

	memcpy(bytes, text->ptr, text->len);
	if (cut == BYTEWISE)
		for (uint32_t len = 1; len <= text->len; len++)
			wire_feed(wire, bytes, len);
	else if (cut > 0)
		wire_feed(wire, bytes, (uint32_t)cut);
	wire_feed(wire, bytes, (uint32_t)text->len);
	free(bytes);
}

/* The value of the first line of that name in a serialised head, or false. */
static bool find_line(struct slice head, struct slice name, struct slice *ret_value)
{
	struct slice line;

	while (slice_split(head, '\n', &line, &head)) {
		struct slice key, value;

		if (slice_split(line, ':', &key, &value) && slice_eq_nocase(key, name)) {
			value.len -= value.len > 0 && value.ptr[value.len - 1] == '\r';
			*ret_value = slice_trim(value);
			return true;
		}
	}
	return false;
}

/* "Name" or "Name: value", which must be there or must not. */
static void check_fact(const char *where, struct slice head, const json_t *fact, bool wanted)
{
	struct wire_text text = wire_text_read(fact);
	struct slice name, value, found;
	bool with_value = slice_split(slice_make(text.ptr, text.len), ':', &name, &value);
	bool there = find_line(head, name, &found);

	if (there && with_value)
		there = slice_eq(found, slice_trim(value));
	if (there != wanted)
		complain(where, "%.*s should %sbe in\n%.*s", (int)text.len, text.ptr,
			 wanted ? "" : "not ", SLICE_ARG(head));
	free(text.ptr);
}

/* What the proxy itself says is tested there. */
static void check_facts(const char *where, struct slice head, const json_t *facts, bool wanted)
{
	for (size_t i = 0; i < json_array_size(facts); i++) {
		const json_t *fact = json_array_get(facts, i);

		if (!strstr(json_string_value(fact), "$client") &&
		    !strstr(json_string_value(fact), "Max-Forwards"))
			check_fact(where, head, fact, wanted);
	}
}

static void check_text(const char *where, const char *what, const json_t *json, struct slice got)
{
	struct wire_text want;

	if (!json)
		return;
	want = wire_text_read(json);
	if (!slice_eq(slice_make(want.ptr, want.len), got))
		complain(where, "%s is '%.*s', not '%.*s'", what, SLICE_ARG(got), (int)want.len,
			 want.ptr);
	free(want.ptr);
}

static void check_forward(const char *where, const json_t *facts,
			  const struct wire_message *message)
{
	struct slice head = slice_make(message->head, message->head_len);
	struct slice method, target, host = { 0 }, rest;

	if (!facts)
		return;
	slice_split(head, ' ', &method, &rest);
	slice_split(rest, ' ', &target, &rest);
	(void)find_line(head, SLICE("host"), &host);
	check_text(where, "method", json_object_get(facts, "method"), method);
	check_text(where, "target", json_object_get(facts, "target"), target);
	check_text(where, "host", json_object_get(facts, "host"), host);
	check_text(where, "body", json_object_get(facts, "body"),
		   slice_make(message->body, message->body_len));
	check_facts(where, head, json_object_get(facts, "has"), true);
	check_facts(where, head, json_object_get(facts, "lacks"), false);
}

/* Statuses in order, and whether another request would be served. */
static void check_answers(const char *where, const json_t *vector, const struct wire *wire)
{
	const json_t *next = json_object_get(vector, "next");
	bool keep = strcmp(text_of(vector, "conn"), "keep") == 0;
	const struct wire_message *last = &wire->messages[wire->n_messages - 1];

	if (wire->n_messages != 1 + json_array_size(next)) {
		complain(where, "%u messages", wire->n_messages);
		return;
	}
	for (uint32_t i = 0; i < wire->n_messages; i++) {
		json_int_t want = json_integer_value(i == 0 ? json_object_get(vector, "status")
							    : json_array_get(next, i - 1));

		if (wire->messages[i].status != want)
			complain(where, "message %u: status %u (%.*s), not %lld", i,
				 wire->messages[i].status,
				 SLICE_ARG(reason_label(wire->messages[i].refusal.reason)),
				 (long long)want);
	}
	if (last->close == keep)
		complain(where, "connection would %s", keep ? "close" : "live on");
	if (last->refusal.reason == REASON_NONE && !last->complete)
		complain(where, "not complete");
}

static void check_reason(const char *where, const json_t *vector, struct http_refusal refusal)
{
	struct slice label = reason_label(refusal.reason);
	const char *want = text_of(vector, "reason");

	/* Absent: nothing was refused, or the vector does not care why. */
	if (refusal.reason == REASON_NONE ? *want : *want && !is_one_of(label, want))
		complain(where, "reason %.*s, not '%s'", SLICE_ARG(label), want);
}

static void run_request(const json_t *vector, const struct wire_text *text, int cut)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	char where[80];

	snprintf(where, sizeof(where), "%s cut at %d", text_of(vector, "id"), cut);
	wire->limits = &h1_limits_default;
	run_cut(wire, text, cut);
	check_answers(where, vector, wire);
	check_reason(where, vector, wire->messages[wire->n_messages - 1].refusal);
	if (wire->messages[0].head)
		check_forward(where, json_object_get(vector, "forward"), &wire->messages[0]);
	wire_free(wire);
	free(wire);
}

/* The first response that is not informational; 'keep' and what follows it are the codec's. */
static void run_response(const json_t *vector, const struct wire_text *text, int cut)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	const struct wire_message *got = &wire->messages[0];
	char where[80];

	snprintf(where, sizeof(where), "%s cut at %d", text_of(vector, "id"), cut);
	wire->limits = &h1_limits_default;
	wire->response = true;
	if (strncmp(text_of(vector, "send"), "HEAD ", 5) == 0)
		wire->method = HTTP_HEAD;
	run_cut(wire, text, cut);
	assert_int_equal(wire->n_messages, 1);
	if (got->status != json_integer_value(json_object_get(vector, "status")))
		complain(where, "status %u", got->status);
	if (got->progress == H1_REFUSED)
		check_reason(where, vector, got->refusal);
	else
		assert_int_not_equal(got->status, 502);
	wire_free(wire);
	free(wire);
}

static void run_vector(const json_t *vector)
{
	bool response = json_object_get(vector, "upstream_sends") != NULL;
	struct wire_text text =
		wire_text_read(json_object_get(vector, response ? "upstream_sends" : "send"));
	void (*run)(const json_t *, const struct wire_text *, int) = response ? run_response
									      : run_request;

	run(vector, &text, WHOLE);
	if (text.len <= SHORT_MAX)
		run(vector, &text, BYTEWISE);
	for (int cut = 1; (size_t)cut < text.len && cut < CUT_MAX && text.len <= SHORT_MAX; cut++)
		run(vector, &text, cut);
	free(text.ptr);
	n_run++;
}

static void vectors_hold(void **state)
{
	FILE *file = fopen("tests/vectors/h1.jsonl", "r");
	json_error_t error;
	json_t *vector;

	(void)state;
	assert_non_null(file);
	while ((vector = json_loadf(file, JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, &error))) {
		if (json_is_true(json_object_get(vector, "pure")))
			run_vector(vector);
		json_decref(vector);
	}
	assert_true(feof(file));
	(void)fclose(file);
	assert_true(n_run > 400);
	assert_int_equal(n_failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
