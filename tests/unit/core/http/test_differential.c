/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that passes here passes llhttp, whole and in its strict default, as
 * the same message: the first lines that it is not shown, and the chunks.
 */
#include "core/http/h1_parse.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/core/http/samples.h"
#include "tests/unit/core/http/wire.h"

/* What llhttp made of a message. */
static struct {
	uint32_t head_end, end;
	bool complete;
	size_t body_len;
	char body[SAMPLE_SIZE];
} theirs;

static int their_head(llhttp_t *llhttp)
{
	(void)llhttp;
	llhttp->upgrade = 0;
	return 0;
}

static int their_body(llhttp_t *llhttp, const char *at, size_t len)
{
	(void)llhttp;
	memcpy(theirs.body + theirs.body_len, at, len);
	theirs.body_len += len;
	return 0;
}

static int their_end(llhttp_t *llhttp)
{
	(void)llhttp;
	theirs.complete = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t their_settings = {
	.on_headers_complete = their_head,
	.on_body = their_body,
	.on_message_complete = their_end,
};

static llhttp_errno_t read_theirs(const char *text, size_t len, bool response)
{
	static llhttp_t llhttp;
	llhttp_errno_t error;

	memset(&theirs, 0, sizeof(theirs));
	llhttp_init(&llhttp, response ? HTTP_RESPONSE : HTTP_REQUEST, &their_settings);
	error = llhttp_execute(&llhttp, text, len);
	if (theirs.complete)
		theirs.end = (uint32_t)(llhttp_get_error_pos(&llhttp) - text);
	return error;
}

/* llhttp knows no tab behind a length or a coding; to us blanks are blanks. */
static void blank_all_tabs(char *text, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		text[i] = text[i] == '\t' ? ' ' : text[i];
}

/* 1: passed by both, 0: not by us. */
static uint32_t compare(char *text, size_t len)
{
	static struct wire wire;
	const struct wire_message *ours = &wire.messages[0];
	char bytes[SAMPLE_SIZE];
	llhttp_errno_t error;
	bool passed;

	memset(&wire, 0, sizeof(wire));
	memcpy(bytes, text, len);
	wire.limits = &h1_limits_default;
	wire_feed(&wire, bytes, (uint32_t)len);
	passed = ours->complete && ours->head;
	if (passed) {
		blank_all_tabs(text, ours->head_end);
		error = read_theirs(text, len, false);
		if (!theirs.complete || theirs.end != ours->end ||
		    !slice_eq(slice_make(theirs.body, theirs.body_len),
			      slice_make(ours->body, ours->body_len)))
			fail_msg("ends at %u, theirs %u (%s):\n%.*s", ours->end, theirs.end,
				 llhttp_errno_name(error), (int)len, text);
	}
	wire_free(&wire);
	return passed;
}

static void mutants_pass_both(const char *const *samples, size_t n_samples, uint32_t n_rounds)
{
	struct rng rng;
	uint32_t n_passed = 0;

	rng_seed(&rng, 4714);
	for (uint32_t round = 0; round < n_rounds; round++) {
		const char *sample = samples[rng_below(&rng, n_samples)];
		char text[SAMPLE_SIZE];
		size_t len = strlen(sample);

		memcpy(text, sample, len);
		len = sample_mutate(&rng, text, len, 1 + (uint32_t)rng_below(&rng, 3));
		n_passed += compare(text, len);
	}
	assert_true(n_passed > n_rounds / 20);
}

static void heads(void **state)
{
	(void)state;
	mutants_pass_both(sample_requests, ARRAY_SIZE(sample_requests), 60000);
}

static void bodies(void **state)
{
	(void)state;
	mutants_pass_both(sample_bodies, ARRAY_SIZE(sample_bodies), 60000);
}

/* First lines of all sorts of bytes, with a field behind. */
static void first_lines(void **state)
{
	static const char *const methods[] = { "GET", "POST", "OPTIONS", "PATCH", "DELETE" };
	struct rng rng;
	uint32_t n_passed = 0;

	(void)state;
	rng_seed(&rng, 4715);
	for (uint32_t round = 0; round < 60000; round++) {
		char target[16], text[SAMPLE_SIZE];
		uint32_t n = 1 + (uint32_t)rng_below(&rng, 6);
		size_t len;

		for (uint32_t i = 0; i < n; i++)
			target[i] = (char)(rng_below(&rng, 4) ? 0x21 + rng_below(&rng, 94)
							      : rng_below(&rng, 256));
		len = (size_t)snprintf(text, sizeof(text), "%s %s%.*s HTTP/1.%u\r\nHost: a\r\n\r\n",
				       methods[rng_below(&rng, ARRAY_SIZE(methods))],
				       rng_below(&rng, 4) ? "/" : "http://a", (int)n, target,
				       (unsigned)rng_below(&rng, 2));
		n_passed += compare(text, len);
	}
	assert_true(n_passed > 5000);
}

/* A response that passes is one to llhttp too. 1xx, 204 and 304 have no body there either. */
static void responses(void **state)
{
	struct rng rng;
	uint32_t n_passed = 0;

	(void)state;
	rng_seed(&rng, 4716);
	for (uint32_t round = 0; round < 60000; round++) {
		const char *sample =
			sample_responses[rng_below(&rng, ARRAY_SIZE(sample_responses))];
		char text[SAMPLE_SIZE], bytes[SAMPLE_SIZE];
		static struct h1_parser parser;
		size_t len = strlen(sample);
		llhttp_errno_t error;

		memcpy(text, sample, len);
		len = sample_mutate(&rng, text, len, 1 + (uint32_t)rng_below(&rng, 3));
		memcpy(bytes, text, len);
		h1_parse_response(&parser, &h1_limits_default, HTTP_GET);
		if (h1_parse_feed(&parser, bytes, (uint32_t)len) != H1_DONE)
			continue;
		blank_all_tabs(text, parser.head.wire_len);
		error = read_theirs(text, parser.head.wire_len, true);
		if (error != HPE_OK && error != HPE_PAUSED && error != HPE_PAUSED_UPGRADE)
			fail_msg("%s: %.*s", llhttp_errno_name(error), (int)len, text);
		if (theirs.complete)
			assert_int_equal(theirs.end, parser.head.wire_len);
		if (theirs.complete != (parser.head.body == HTTP_BODY_NONE))
			fail_msg("body %u: %.*s", parser.head.body, (int)len, text);
		n_passed++;
	}
	assert_true(n_passed > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads),
		cmocka_unit_test(bodies),
		cmocka_unit_test(first_lines),
		cmocka_unit_test(responses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
