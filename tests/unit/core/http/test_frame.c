/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/frame.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/core/http/fields.h"

#define CL "Content-Length: "
#define TE "Transfer-Encoding: "

static const struct {
	const char *lines;
	uint8_t minor;
	uint16_t status;
	enum reason reason;
	enum http_body body;
	uint64_t length;
	uint8_t anomalies;
} requests[] = {
	{ "", 1, 0, REASON_NONE, HTTP_BODY_NONE, 0, 0 },
	{ CL "0\n", 1, 0, REASON_NONE, HTTP_BODY_NONE, 0, 0 },
	{ CL "5\n", 0, 0, REASON_NONE, HTTP_BODY_LENGTH, 5, 0 },
	{ CL "005\n", 1, 0, REASON_NONE, HTTP_BODY_LENGTH, 5, HTTP_ANOMALY_CL_UNNORMALISED },
	{ CL "9223372036854775807\n", 1, 0, REASON_NONE, HTTP_BODY_LENGTH, INT64_MAX, 0 },
	{ CL "9223372036854775808\n", 1, 413, REASON_BODY_TOO_LARGE, 0, 0, 0 },
	{ CL "18446744073709551616\n", 1, 400, REASON_CL_INVALID, 0, 0, 0 },
	{ CL "\n", 1, 400, REASON_CL_INVALID, 0, 0, 0 },
	{ CL "+5\n", 1, 400, REASON_CL_INVALID, 0, 0, 0 },
	{ CL "5 5\n", 1, 400, REASON_CL_INVALID, 0, 0, 0 },
	{ CL "5\n" CL "5\n", 1, 400, REASON_CL_DUPLICATE, 0, 0, 0 },
	{ TE "chunked\n", 1, 0, REASON_NONE, HTTP_BODY_CHUNKED, 0, 0 },
	{ TE "Chunked\n", 1, 0, REASON_NONE, HTTP_BODY_CHUNKED, 0, HTTP_ANOMALY_TE_UNNORMALISED },
	{ TE "chunked\n", 0, 400, REASON_TE_HTTP10, 0, 0, 0 },
	{ TE "chunked\n" CL "5\n", 1, 400, REASON_CL_TE_CONFLICT, 0, 0, 0 },
	{ CL "5\n" TE "chunked\n", 1, 400, REASON_CL_TE_CONFLICT, 0, 0, 0 },
	{ TE "\n", 1, 400, REASON_TE_INVALID, 0, 0, 0 },
	{ TE "\n" CL "5\n", 1, 400, REASON_TE_INVALID, 0, 0, 0 },
	{ TE ",chunked\n", 1, 400, REASON_TE_INVALID, 0, 0, 0 },
	{ TE "chunked,\n", 1, 400, REASON_TE_INVALID, 0, 0, 0 },
	{ TE "\n" TE "chunked\n", 1, 400, REASON_TE_INVALID, 0, 0, 0 },
	{ TE "chunked, chunked\n", 1, 400, REASON_TE_INVALID, 0, 0, 0 },
	{ TE "chunked\n" TE "chunked\n", 1, 400, REASON_TE_INVALID, 0, 0, 0 },
	{ TE "chunked, gzip\n", 1, 400, REASON_TE_INVALID, 0, 0, 0 },
	{ TE "gzip\n", 1, 400, REASON_TE_INVALID, 0, 0, 0 },
	{ TE "\"chunked\"\n", 1, 400, REASON_TE_INVALID, 0, 0, 0 },
	{ TE "chunked;x=1\n", 1, 400, REASON_TE_INVALID, 0, 0, 0 },
	{ TE "\x85"
	     "chunked\n",
	  1, 400, REASON_TE_INVALID, 0, 0, 0 },
	{ TE "xchunked\n", 1, 501, REASON_TE_INVALID, 0, 0, 0 },
	{ TE "identity\n", 1, 501, REASON_TE_INVALID, 0, 0, 0 },
	{ TE "gzip, chunked\n", 1, 501, REASON_TE_UNSUPPORTED, 0, 0, 0 },
	{ TE "gzip\n" TE "chunked\n", 1, 501, REASON_TE_UNSUPPORTED, 0, 0, 0 },
};

static void requests_are_framed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		struct http_head head = { .minor = requests[i].minor };
		struct http_refusal refusal;

		fields_fill(&head, requests[i].lines);
		refusal = frame_request(&head);
		if (refusal.reason != requests[i].reason || refusal.status != requests[i].status)
			fail_msg("%s: %u %u", requests[i].lines, refusal.status, refusal.reason);
		if (refusal.reason != REASON_NONE)
			continue;
		if (head.body != requests[i].body || head.content_length != requests[i].length ||
		    head.anomalies != requests[i].anomalies)
			fail_msg("%s: body %u", requests[i].lines, head.body);
		assert_int_equal(head.has_length, strstr(requests[i].lines, CL) != NULL);
	}
}

static const struct {
	const char *lines;
	uint8_t minor, method;
	uint16_t status;
	bool sound;
	enum http_body body;
	uint64_t length; /* Announced. */
	bool close;
} responses[] = {
	{ CL "5\n", 1, HTTP_GET, 200, true, HTTP_BODY_LENGTH, 5, false },
	{ CL "0\n", 1, HTTP_GET, 200, true, HTTP_BODY_NONE, 0, false },
	{ CL "5\n", 1, HTTP_HEAD, 200, true, HTTP_BODY_NONE, 5, false },
	{ CL "5\n", 1, HTTP_GET, 304, true, HTTP_BODY_NONE, 5, false },
	{ CL "5\n", 1, HTTP_GET, 204, true, HTTP_BODY_NONE, 5, false },
	{ "", 1, HTTP_GET, 103, true, HTTP_BODY_NONE, 0, false },
	{ "", 1, HTTP_GET, 204, true, HTTP_BODY_NONE, 0, false },
	{ "", 1, HTTP_GET, 200, true, HTTP_BODY_UNTIL_CLOSE, 0, true },
	{ "", 1, HTTP_HEAD, 200, true, HTTP_BODY_NONE, 0, false },
	{ TE "chunked\n", 1, HTTP_GET, 200, true, HTTP_BODY_CHUNKED, 0, false },
	{ TE "chunked\n", 1, HTTP_HEAD, 200, true, HTTP_BODY_NONE, 0, false },
	{ TE "chunked\n", 0, HTTP_GET, 200, false, 0, 0, false },
	{ TE "chunked\n", 0, HTTP_HEAD, 200, false, 0, 0, false },
	{ TE "gzip\n", 1, HTTP_GET, 200, false, 0, 0, false },
	{ TE "\n" CL "5\n", 1, HTTP_GET, 200, false, 0, 0, false },
	{ CL "5\n" CL "6\n", 1, HTTP_GET, 304, false, 0, 0, false },
	{ CL "x\n", 1, HTTP_GET, 204, false, 0, 0, false },
};

static void responses_are_framed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(responses); i++) {
		struct http_head head = { .minor = responses[i].minor,
					  .method = responses[i].method,
					  .status = responses[i].status };
		struct http_refusal refusal;

		fields_fill(&head, responses[i].lines);
		refusal = frame_response(&head);
		if (refusal.reason != (responses[i].sound ? REASON_NONE : REASON_UPSTREAM_FRAMING))
			fail_msg("%zu: %u", i, refusal.reason);
		if (!responses[i].sound) {
			assert_int_equal(refusal.status, 502);
			continue;
		}
		if (head.body != responses[i].body || head.content_length != responses[i].length ||
		    head.close != responses[i].close)
			fail_msg("%zu: body %u", i, head.body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_framed),
		cmocka_unit_test(responses_are_framed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
