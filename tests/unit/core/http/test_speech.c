/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/speech.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "core/http/h1_parse.h"

static const struct {
	const char *name;
	struct slice said;
	enum http_speech speech;
	enum reason refused; /* As the first bytes of a response. */
} rows[] = {
	{ "a status line", SLICE_INIT("HTTP/1.1 200 OK\r\n"), HTTP_SPEECH_HTTP1, REASON_NONE },
	{ "HTTP/1.0", SLICE_INIT("HTTP/1.0 200 OK\r\n"), HTTP_SPEECH_HTTP1, REASON_NONE },
	{ "another name", SLICE_INIT("ICY/1.1 200 OK\r\n"), HTTP_SPEECH_UNKNOWN,
	  REASON_UPSTREAM_HEADER },
	{ "HTTP/2 as text", SLICE_INIT("HTTP/2.0 200 OK\r\n"), HTTP_SPEECH_UNKNOWN,
	  REASON_UPSTREAM_HEADER },
	{ "empty SETTINGS", SLICE_INIT("\0\0\0\4\0\0\0\0\0"), HTTP_SPEECH_HTTP2,
	  REASON_UPSTREAM_PROTOCOL_MISMATCH },
	{ "three SETTINGS", SLICE_INIT("\0\0\22\4\0\0\0\0\0\0\3\0\0\0d"), HTTP_SPEECH_HTTP2,
	  REASON_UPSTREAM_PROTOCOL_MISMATCH },
	{ "GOAWAY", SLICE_INIT("\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\1"), HTTP_SPEECH_HTTP2,
	  REASON_UPSTREAM_PROTOCOL_MISMATCH },
	{ "GOAWAY with a line feed in its length", SLICE_INIT("\0\0\n\7\0\0\0\0\0rest"),
	  HTTP_SPEECH_HTTP2, REASON_UPSTREAM_PROTOCOL_MISMATCH },
	{ "a length that no SETTINGS have", SLICE_INIT("\0\0\5\4\0\0\0\0\0\n"), HTTP_SPEECH_UNKNOWN,
	  REASON_UPSTREAM_HEADER },
	{ "an acknowledgement", SLICE_INIT("\0\0\0\4\1\0\0\0\0\n"), HTTP_SPEECH_UNKNOWN,
	  REASON_UPSTREAM_HEADER },
	{ "SETTINGS of a stream", SLICE_INIT("\0\0\0\4\0\0\0\0\1\n"), HTTP_SPEECH_UNKNOWN,
	  REASON_UPSTREAM_HEADER },
	{ "a frame too long", SLICE_INIT("\0\x41\0\4\0\0\0\0\0\n"), HTTP_SPEECH_UNKNOWN,
	  REASON_UPSTREAM_HEADER },
	{ "DATA", SLICE_INIT("\0\0\0\0\0\0\0\0\0\n"), HTTP_SPEECH_UNKNOWN, REASON_UPSTREAM_HEADER },
	{ "an alert", SLICE_INIT("\x15\3\1\0\2\2\x46"), HTTP_SPEECH_TLS,
	  REASON_UPSTREAM_PROTOCOL_MISMATCH },
	{ "a handshake", SLICE_INIT("\x16\3\3\0z\2"), HTTP_SPEECH_TLS,
	  REASON_UPSTREAM_PROTOCOL_MISMATCH },
	{ "SSL 2", SLICE_INIT("\x80\x2e\1\3\1\n"), HTTP_SPEECH_UNKNOWN, REASON_UPSTREAM_HEADER },
	{ "an alert of another protocol", SLICE_INIT("\x15\4\1\n"), HTTP_SPEECH_UNKNOWN,
	  REASON_UPSTREAM_HEADER },
	{ "a version of TLS that is none", SLICE_INIT("\x16\3\5\n"), HTTP_SPEECH_UNKNOWN,
	  REASON_UPSTREAM_HEADER },
};

/* Decided by the byte that shows it: never otherwise, and then for good. */
static void first_bytes_tell(void **state)
{
	(void)state;
	assert_int_equal(http_speech_of(SLICE("")), HTTP_SPEECH_SHORT);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool decided = false;

		for (size_t n = 1; n <= rows[i].said.len; n++) {
			enum http_speech got = http_speech_of(slice_take(rows[i].said, n));

			if (got == HTTP_SPEECH_SHORT && !decided && n < HTTP_SPEECH_MAX)
				continue;
			decided = true;
			if (got != rows[i].speech)
				fail_msg("%s: %d after %zu bytes", rows[i].name, got, n);
		}
		assert_true(decided);
	}
}

/* However it is cut. */
static void responses_in_another_protocol_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (uint32_t step = 1; step <= rows[i].said.len; step++) {
			uint32_t len = (uint32_t)rows[i].said.len;
			struct h1_parser parser;
			enum h1_progress got = H1_PARTIAL;
			char bytes[64];

			memcpy(bytes, rows[i].said.ptr, len);
			h1_parse_response(&parser, &h1_limits_default, HTTP_GET);
			for (uint32_t n = step; got == H1_PARTIAL; n += step) {
				got = h1_parse_feed(&parser, bytes, n < len ? n : len);
				if (n >= len)
					break;
			}
			if (rows[i].refused == REASON_NONE) {
				assert_int_equal(got, H1_PARTIAL);
			} else if (got != H1_REFUSED || parser.refusal.status != 502 ||
				   parser.refusal.reason != rows[i].refused) {
				fail_msg("%s, %u at a time: %d, %.*s", rows[i].name, step, got,
					 SLICE_ARG(reason_label(parser.refusal.reason)));
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_bytes_tell),
		cmocka_unit_test(responses_in_another_protocol_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
