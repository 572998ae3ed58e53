/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/h1_parse.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/core/http/samples.h"
#include "tests/unit/core/http/wire.h"

static struct h1_parser parser;

/* Feed a copy at once; the parser keeps its spans, the copy is kept until the next call. */
static enum h1_progress parse(const char *text, size_t len, const struct h1_limits *limits)
{
	static char *bytes;

	free(bytes);
	bytes = malloc(len);
	memcpy(bytes, text, len);
	h1_parse_request(&parser, limits);
	return h1_parse_feed(&parser, bytes, (uint32_t)len);
}

static void fields_are_spans(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost:a\r\nEmpty:\r\nBlank:  \r\n"
				   "Value: \t a b\t\r\n\r\nrest";
	const struct http_head *head = &parser.head;

	(void)state;
	assert_int_equal(parse(text, sizeof(text) - 1, &h1_limits_default), H1_DONE);
	assert_int_equal(head->wire_len, sizeof(text) - 1 - 4);
	assert_int_equal(head->n_fields, 4);
	assert_true(slice_eq(http_text(head, head->fields[1].name), SLICE("Empty")));
	assert_int_equal(head->fields[1].value.len, 0);
	assert_int_equal(head->fields[2].value.len, 0);
	assert_true(slice_eq(http_text(head, head->fields[3].name), SLICE("Value")));
	assert_true(slice_eq(http_text(head, head->fields[3].value), SLICE("a b")));
	assert_int_equal(head->minor, 1);
	assert_false(head->close);
}

/* Exactly at a limit passes, one more does not, at the byte that is one more. */
static void check_limit(const char *before, size_t n_more, const char *after,
			const struct h1_limits *limits, enum reason want)
{
	size_t size = strlen(before) + n_more + strlen(after);
	char *text = malloc(size);
	enum h1_progress progress = H1_PARTIAL;

	memcpy(text, before, strlen(before));
	memset(text + strlen(before), 'a', n_more);
	memcpy(text + strlen(before) + n_more, after, strlen(after));
	for (int bytewise = 0; bytewise < 2; bytewise++) {
		h1_parse_request(&parser, limits);
		for (uint32_t len = bytewise ? 1 : (uint32_t)size; len <= size; len++) {
			progress = h1_parse_feed(&parser, text, len);
			if (progress != H1_PARTIAL)
				break;
		}
		assert_int_equal(progress, want == REASON_NONE ? H1_DONE : H1_REFUSED);
		assert_int_equal(parser.refusal.reason, want);
	}
	free(text);
}

static void limits_are_exact(void **state)
{
	static const struct h1_limits limits = {
		.request_line_max = 10, .field_line_max = 20, .head_max = 100, .fields_max = 3
	};

	(void)state;
	check_limit("GET /", 9, " HTTP/1.1\r\nHost: a\r\n\r\n", &limits, REASON_NONE);
	check_limit("GET /", 10, " HTTP/1.1\r\nHost: a\r\n\r\n", &limits, REASON_URI_TOO_LONG);
	check_limit("GET / HTTP/1.1\r\nHost: a\r\nx: ", 17, "\r\n\r\n", &limits, REASON_NONE);
	check_limit("GET / HTTP/1.1\r\nHost: a\r\nx: ", 18, "\r\n\r\n", &limits,
		    REASON_HEADER_TOO_LARGE);
	check_limit("GET / HTTP/1.1\r\nHost: a\r\n", 30, ":\r\n\r\n", &limits,
		    REASON_HEADER_TOO_LARGE);
	check_limit("GET / HTTP/1.1\r\nHost: a\r\nx:\r\ny:", 0, "\r\n\r\n", &limits, REASON_NONE);
	check_limit("GET / HTTP/1.1\r\nHost: a\r\nx:\r\ny:\r\nz", 0, ":\r\n\r\n", &limits,
		    REASON_TOO_MANY_HEADERS);
	/* 8 + 24 + 22 + 22 + 22 + 2 bytes, then one more. */
	check_limit("\r\n\r\n\r\n\r\nGET /aaaaaaaa HTTP/1.1\r\nHost: aaaaaaaaaaaaaa\r\n"
		    "x: aaaaaaaaaaaaaaaaa\r\ny: aaaaaaaa",
		    9, "\r\n\r\n", &limits, REASON_NONE);
	check_limit("\r\n\r\n\r\n\r\nGET /aaaaaaaaa HTTP/1.1\r\nHost: aaaaaaaaaaaaaa\r\n"
		    "x: aaaaaaaaaaaaaaaaa\r\ny: aaaaaaaa",
		    9, "\r\n\r\n", &limits, REASON_HEADERS_TOO_LARGE);
}

/* A fault in what the limit would cut off is not seen; one before it is. */
static void limit_and_fault_go_in_order(void **state)
{
	static const struct h1_limits limits = {
		.request_line_max = 10, .field_line_max = 20, .head_max = 100, .fields_max = 3
	};

	(void)state;
	check_limit("GET / HTTP/1.1\r\nHost: a\r\nx: ", 30, "\x01\r\n\r\n", &limits,
		    REASON_HEADER_TOO_LARGE);
	check_limit("GET / HTTP/1.1\r\nHost: a\r\nx: \x01", 30, "\r\n\r\n", &limits,
		    REASON_BAD_HEADER);
	check_limit("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x", 30, "\r\n\r\n", &limits,
		    REASON_HEADER_TOO_LARGE);
	check_limit("GET / HTTP/1.1\r\nContent-Length: x", 0, "\r\nHost: a\r\n\r\n", &limits,
		    REASON_CL_INVALID);
}

static void eof_is_told_apart(void **state)
{
	(void)state;
	h1_parse_request(&parser, &h1_limits_default);
	assert_int_equal(h1_parse_eof(&parser).reason, REASON_NONE);
	(void)parse("\r\n", 2, &h1_limits_default);
	assert_int_equal(h1_parse_eof(&parser).reason, REASON_NONE);
	(void)parse("G", 1, &h1_limits_default);
	assert_int_equal(h1_parse_eof(&parser).reason, REASON_CLIENT_ABORT);
	h1_parse_response(&parser, &h1_limits_default, HTTP_GET);
	assert_int_equal(h1_parse_eof(&parser).reason, REASON_NONE);
	assert_int_equal(h1_parse_feed(&parser, (char[]){ "H" }, 1), H1_PARTIAL);
	assert_int_equal(h1_parse_eof(&parser).reason, REASON_UPSTREAM_RESET);
	assert_int_equal(h1_parse_eof(&parser).status, 502);
}

/* A pooled parser is as good as new, whatever came before. */
static void parser_starts_anew(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sample_requests); i++) {
		(void)parse(sample_requests[i], strlen(sample_requests[i]), &h1_limits_default);
		assert_int_equal(parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, &h1_limits_default),
				 H1_DONE);
		assert_int_equal(parser.head.n_fields, 1);
		assert_int_equal(parser.head.body, HTTP_BODY_NONE);
		assert_int_equal(parser.head.anomalies, 0);
		assert_int_equal(llhttp_of(&parser)->lenient_flags, 0);
	}
}

static void run(struct wire *wire, bool response, const char *text, size_t len, struct rng *rng)
{
	char bytes[SAMPLE_SIZE];

	memset(wire, 0, sizeof(*wire));
	wire->limits = &h1_limits_default;
	wire->response = response;
	memcpy(bytes, text, len);
	for (size_t at = 1; rng && at < len; at += 1 + rng_below(rng, 20))
		wire_feed(wire, bytes, (uint32_t)at);
	wire_feed(wire, bytes, (uint32_t)len);
}

static bool same_message(const struct wire_message *a, const struct wire_message *b)
{
	return a->progress == b->progress && a->refusal.reason == b->refusal.reason &&
	       a->refusal.status == b->refusal.status && a->refusal.keep == b->refusal.keep &&
	       a->complete == b->complete && a->close == b->close && a->status == b->status &&
	       a->anomalies == b->anomalies &&
	       slice_eq(slice_make(a->head, a->head_len), slice_make(b->head, b->head_len)) &&
	       slice_eq(slice_make(a->body, a->body_len), slice_make(b->body, b->body_len));
}

/* What was passed on parses to itself. */
static void check_fixed_point(const struct wire_message *message, bool response)
{
	static struct wire again;
	const struct wire_message *got = &again.messages[0];

	run(&again, response, message->head, message->head_len, NULL);
	if (got->progress != H1_DONE || got->body_kind != message->body_kind ||
	    !slice_eq(slice_make(got->head, got->head_len),
		      slice_make(message->head, message->head_len)))
		fail_msg("not a fixed point (%.*s):\n%.*s\nbecomes\n%.*s",
			 SLICE_ARG(reason_label(got->refusal.reason)), (int)message->head_len,
			 message->head, (int)got->head_len, got->head ? got->head : "");
	wire_free(&again);
}

static uint32_t check_sample(const char *text, size_t len, bool response, struct rng *rng)
{
	static struct wire whole, cut;
	uint32_t n_passed = 0;

	run(&whole, response, text, len, NULL);
	run(&cut, response, text, len, rng);
	assert_int_equal(whole.n_messages, cut.n_messages);
	for (uint32_t i = 0; i < whole.n_messages; i++) {
		if (!same_message(&whole.messages[i], &cut.messages[i]))
			fail_msg("whole %u %.*s, cut %u %.*s:\n%.*s", whole.messages[i].progress,
				 SLICE_ARG(reason_label(whole.messages[i].refusal.reason)),
				 cut.messages[i].progress,
				 SLICE_ARG(reason_label(cut.messages[i].refusal.reason)), (int)len,
				 text);
		if (whole.messages[i].head) {
			check_fixed_point(&whole.messages[i], response);
			n_passed++;
		}
	}
	wire_free(&whole);
	wire_free(&cut);
	return n_passed;
}

static void mutants(const char *const *samples, size_t n_samples, bool response, uint32_t n_rounds)
{
	struct rng rng;
	uint32_t n_passed = 0;

	rng_seed(&rng, 4713);
	for (uint32_t round = 0; round < n_rounds; round++) {
		const char *sample = samples[rng_below(&rng, n_samples)];
		char text[SAMPLE_SIZE];
		size_t len = strlen(sample);

		memcpy(text, sample, len);
		len = sample_mutate(&rng, text, len, (uint32_t)rng_below(&rng, 4));
		n_passed += check_sample(text, len, response, &rng);
	}
	assert_true(n_passed > n_rounds / 10);
}

static void mutated_requests(void **state)
{
	(void)state;
	mutants(sample_requests, ARRAY_SIZE(sample_requests), false, 60000);
}

static void mutated_responses(void **state)
{
	(void)state;
	mutants(sample_responses, ARRAY_SIZE(sample_responses), true, 30000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_spans),
		cmocka_unit_test(limits_are_exact),
		cmocka_unit_test(limit_and_fault_go_in_order),
		cmocka_unit_test(eof_is_told_apart),
		cmocka_unit_test(parser_starts_anew),
		cmocka_unit_test(mutated_requests),
		cmocka_unit_test(mutated_responses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
