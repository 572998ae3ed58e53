/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/line.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { TARGET_MAX = 20 };

/* 'at' is the length at which the verdict falls; 0: with the last byte. */
static const struct {
	const char *line;
	uint16_t status;
	enum reason reason;
	uint32_t at;
} requests[] = {
	{ "GET / HTTP/1.1\r\n", 0, REASON_NONE, 0 },
	{ "GET / HTTP/1.0\r\n", 0, REASON_NONE, 0 },
	{ "M-SEARCH /%zz?[]@: HTTP/1.1\r\n", 0, REASON_NONE, 0 },
	{ "GET /aaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n", 0, REASON_NONE, 0 },
	{ "GET /aaaaaaaaaaaaaaaaaaaaaa", 414, REASON_URI_TOO_LONG, 25 },
	{ "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n", 0, REASON_NONE, 0 },
	{ "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 400, REASON_BAD_METHOD, 33 },
	{ "G(T / HTTP/1.1\r\n", 400, REASON_BAD_METHOD, 2 },
	{ " GET / HTTP/1.1\r\n", 400, REASON_BAD_REQUEST_LINE, 1 },
	{ "\x16\x03\x01", 400, REASON_BAD_REQUEST_LINE, 1 },
	{ "GET\t/ HTTP/1.1\r\n", 400, REASON_BAD_REQUEST_LINE, 4 },
	{ "GET  / HTTP/1.1\r\n", 400, REASON_BAD_REQUEST_LINE, 5 },
	{ "GET /\t HTTP/1.1\r\n", 400, REASON_BAD_REQUEST_LINE, 6 },
	{ "GET /\x01 HTTP/1.1\r\n", 400, REASON_BAD_TARGET, 6 },
	{ "GET /\x80 HTTP/1.1\r\n", 400, REASON_BAD_TARGET, 6 },
	{ "GET /# HTTP/1.1\r\n", 400, REASON_BAD_TARGET, 6 },
	{ "GET /\ra HTTP/1.1\r\n", 400, REASON_BAD_REQUEST_LINE, 7 },
	{ "GET / HTTP/1.1 \r\n", 400, REASON_BAD_REQUEST_LINE, 0 },
	{ "GET /a b HTTP/1.1\r\n", 400, REASON_BAD_REQUEST_LINE, 0 },
	{ "GET\r\n", 400, REASON_BAD_REQUEST_LINE, 0 },
	{ "GET \r\n", 400, REASON_BAD_REQUEST_LINE, 0 },
	{ "GET / \r\n", 400, REASON_BAD_REQUEST_LINE, 0 },
	{ "GET /\r\n", 400, REASON_BAD_VERSION, 0 },
	{ "GET / HTTP/1.1\n", 400, REASON_BARE_LF, 0 },
	{ "\n", 400, REASON_BARE_LF, 0 },
	{ "GET / HTTP/0.9\r\n", 505, REASON_BAD_VERSION, 0 },
	{ "GET / HTTP/1.2\r\n", 505, REASON_BAD_VERSION, 0 },
	{ "GET / HTTP/2.0\r\n", 505, REASON_BAD_VERSION, 0 },
	{ "GET / http/1.1\r\n", 400, REASON_BAD_VERSION, 0 },
	{ "GET / HTTP/1.1x\r\n", 400, REASON_BAD_VERSION, 0 },
	{ "GET / HTTP/1.1xxxxxxxxxxxxxxxxxxx", 400, REASON_BAD_VERSION, 23 },
	{ "GET / a b cccccccccccccccccccccccc", 400, REASON_BAD_REQUEST_LINE, 23 },
	{ "PRI * HTTP/2.0\r\n", 400, REASON_H2_NOT_ENABLED, 0 },
	{ "PRI / HTTP/2.0\r\n", 505, REASON_BAD_VERSION, 0 },
};

static void requests_are_judged_at_one_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		uint32_t len = (uint32_t)strlen(requests[i].line), at = 0, line_len = 0;
		struct http_refusal refusal = fine;
		struct line_reader bytewise = { 0 }, whole = { 0 };

		while (at < len && !refusal.reason && line_len == 0)
			refusal = line_read_request(&bytewise, requests[i].line, ++at, TARGET_MAX,
						    &line_len);
		if (refusal.reason != requests[i].reason || refusal.status != requests[i].status)
			fail_msg("%s: %u", requests[i].line, refusal.reason);
		if (at != (requests[i].at ? requests[i].at : len))
			fail_msg("%s: judged at %u", requests[i].line, at);
		refusal = line_read_request(&whole, requests[i].line, len, TARGET_MAX, &line_len);
		assert_int_equal(refusal.reason, requests[i].reason);
		if (refusal.reason == REASON_NONE) {
			assert_int_equal(line_len, len);
			assert_int_equal(whole.target, bytewise.target);
			assert_int_equal(whole.version, bytewise.version);
		}
	}
}

/* The short way passes what the long way does, and nothing else. */
static void short_way_is_the_long_way(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		uint32_t len = (uint32_t)strlen(requests[i].line), line_len;
		struct line_reader fast = { 0 }, slow = { 0 };
		bool passed;

		if (requests[i].line[len - 1] != '\n')
			continue;
		passed = line_is_request(&fast, requests[i].line, len, TARGET_MAX);
		if (passed != (requests[i].reason == REASON_NONE))
			fail_msg("%s", requests[i].line);
		(void)line_read_request(&slow, requests[i].line, len, TARGET_MAX, &line_len);
		if (passed) {
			assert_int_equal(fast.target, slow.target);
			assert_int_equal(fast.version, slow.version);
		}
	}
}

static const struct {
	const char *name;
	enum http_method want;
} methods[] = {
	{ "GET", HTTP_GET },         { "PUT", HTTP_PUT },       { "POST", HTTP_POST },
	{ "HEAD", HTTP_HEAD },       { "TRACE", HTTP_TRACE },   { "TRACK", HTTP_TRACE },
	{ "PATCH", HTTP_PATCH },     { "DELETE", HTTP_DELETE }, { "OPTIONS", HTTP_OPTIONS },
	{ "CONNECT", HTTP_CONNECT }, { "get", HTTP_OTHER },     { "GETS", HTTP_OTHER },
	{ "PROPFIND", HTTP_OTHER },
};

static void lines_are_taken_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		char line[64];
		struct line_reader reader = { 0 };
		struct http_head head = { .base = line };
		uint32_t len = (uint32_t)snprintf(line, sizeof(line), "\r\n%s /x?y HTTP/1.0\r\n",
						  methods[i].name);
		struct http_refusal refusal;

		assert_true(line_is_request(&reader, line + 2, len - 2, TARGET_MAX));
		refusal = line_take_request(&reader, 2, len - 2, &head);
		assert_int_equal(head.method, methods[i].want);
		assert_int_equal(head.minor, 0);
		assert_true(
			slice_eq(http_text(&head, head.method_text), slice_of(methods[i].name)));
		assert_true(slice_eq(http_text(&head, head.path), SLICE("/x?y")));
		assert_int_equal(refusal.reason, methods[i].want == HTTP_CONNECT
							 ? REASON_CONNECT_DISABLED
							 : REASON_NONE);
	}
}

static const struct {
	const char *line;
	enum reason reason;
	uint16_t status;
	const char *phrase;
} responses[] = {
	{ "HTTP/1.1 200 OK\r\n", REASON_NONE, 200, "OK" },
	{ "HTTP/1.0 404 Not \x80 Found\r\n", REASON_NONE, 404, "Not \x80 Found" },
	{ "HTTP/1.1 100 \r\n", REASON_NONE, 100, "" },
	{ "HTTP/1.1 599\r\n", REASON_NONE, 599, "" },
	{ "HTTP/1.1 600 x\r\n", REASON_UPSTREAM_STATUS, 0, NULL },
	{ "HTTP/1.1 099 x\r\n", REASON_UPSTREAM_STATUS, 0, NULL },
	{ "HTTP/1.1 99\r\n", REASON_UPSTREAM_STATUS, 0, NULL },
	{ "HTTP/1.1 \r\n", REASON_UPSTREAM_STATUS, 0, NULL },
	{ "HTTP/1.1 2000 x\r\n", REASON_UPSTREAM_STATUS, 0, NULL },
	{ "HTTP/1.1 2x0 x\r\n", REASON_UPSTREAM_STATUS, 0, NULL },
	{ "HTTP/1.1\r\n", REASON_UPSTREAM_HEADER, 0, NULL },
	{ "HTTP/1.1  200 x\r\n", REASON_UPSTREAM_STATUS, 0, NULL },
	{ "HTTP/2.0 200 x\r\n", REASON_UPSTREAM_HEADER, 0, NULL },
	{ "HTTP/1.2 200 x\r\n", REASON_UPSTREAM_HEADER, 0, NULL },
	{ "ICY 200 x\r\n", REASON_UPSTREAM_HEADER, 0, NULL },
	{ "HTTP/1.1 200 x\n", REASON_UPSTREAM_HEADER, 0, NULL },
	{ "HTTP/1.1 200 a\rb\r\n", REASON_UPSTREAM_HEADER, 0, NULL },
	{ "HTTP/1.1 200 a\x01\r\n", REASON_UPSTREAM_HEADER, 0, NULL },
	{ "\n", REASON_UPSTREAM_HEADER, 0, NULL },
	{ "\r\n", REASON_UPSTREAM_HEADER, 0, NULL },
};

static void responses_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(responses); i++) {
		struct http_head head = { .base = responses[i].line };
		struct http_refusal refusal =
			line_take_status(0, (uint32_t)strlen(responses[i].line), &head);

		if (refusal.reason != responses[i].reason)
			fail_msg("%s: %u", responses[i].line, refusal.reason);
		if (refusal.reason != REASON_NONE) {
			assert_int_equal(refusal.status, 502);
			continue;
		}
		assert_int_equal(head.status, responses[i].status);
		assert_true(slice_eq(http_text(&head, head.reason_phrase),
				     slice_of(responses[i].phrase)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_judged_at_one_byte),
		cmocka_unit_test(short_way_is_the_long_way),
		cmocka_unit_test(lines_are_taken_apart),
		cmocka_unit_test(responses_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
