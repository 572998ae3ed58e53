/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/fault.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/core/http/fields.h"

/* '@' stands for the byte that is refused, which is the one behind it. */
static const struct {
	const char *text;
	uint16_t n_fields;
	enum reason want;
} grammar[] = {
	{ "GET\r\nA: b@\nC: d", 1, REASON_BARE_LF },
	{ "GET\r\nA: b\r\n@\n", 1, REASON_BARE_LF },
	{ "GET\r\nA: b\r\nx@\n", 1, REASON_BARE_LF },
	{ "GET\r\nA: b\r\n@ c", 1, REASON_OBS_FOLD },
	{ "GET\r\nA: b\r\n\tc@\x01", 1, REASON_OBS_FOLD },
	{ "GET\r\n@ A: b", 0, REASON_BAD_HEADER },
	{ "GET\r\nA@ : b", 1, REASON_BAD_HEADER },
	{ "GET\r\nA: b\r@c", 1, REASON_BAD_HEADER },
	{ "GET\r\nA: b\r\n\r@Z", 1, REASON_BAD_HEADER },
};

static void grammar_has_reasons(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(grammar); i++) {
		const char *mark = strchr(grammar[i].text, '@');
		uint32_t at = (uint32_t)(mark - grammar[i].text);
		struct http_head head = { .n_fields = grammar[i].n_fields };
		char text[64];

		memcpy(text, grammar[i].text, at);
		memcpy(text + at, mark + 1, strlen(mark));
		if (fault_grammar(&head, text, at) != grammar[i].want)
			fail_msg("%s", grammar[i].text);
	}
}

static void lines_are_found(void **state)
{
	static const char text[] = "ab\r\nContent-Length:\r\nX: y";

	(void)state;
	assert_int_equal(fault_line(text, 0), 0);
	assert_int_equal(fault_line(text, 3), 0);
	assert_int_equal(fault_line(text, 4), 4);
	assert_int_equal(fault_line(text, 20), 4);
	assert_int_equal(fault_framing_line(text, 18), 4);
	assert_int_equal(fault_framing_line(text, 20), 4);
	assert_int_equal(fault_framing_line(text, 21), 4);
	assert_int_equal(fault_framing_line(text, 22), 21);
}

#define CL "Content-Length: "
#define TE "Transfer-Encoding: "

/* The last line is the one that was refused. */
static const struct {
	const char *lines;
	uint8_t minor;
	enum reason want;
} framing[] = {
	{ CL "x", 1, REASON_CL_INVALID },
	{ CL "", 1, REASON_CL_INVALID },
	{ CL "2,2", 1, REASON_CL_DUPLICATE },
	{ CL "2\nX: y\n" CL "2", 1, REASON_CL_DUPLICATE },
	{ CL "2\n" TE "chunked", 1, REASON_CL_TE_CONFLICT },
	{ TE "chunked\n" CL "2", 1, REASON_CL_TE_CONFLICT },
	{ CL "2\n" TE " ", 1, REASON_TE_INVALID },
	{ TE "chunked, gzip", 1, REASON_TE_INVALID },
	{ TE "chunked\n" TE "chunked", 1, REASON_TE_INVALID },
	{ CL "2\n" TE "chunked", 0, REASON_TE_HTTP10 },
	{ TE "chunked\n" CL "2", 0, REASON_TE_HTTP10 },
};

static void framing_has_reasons(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(framing); i++) {
		struct http_head head = { .minor = framing[i].minor };
		const char *last = strrchr(framing[i].lines, '\n');

		last = last ? last + 1 : framing[i].lines;
		fields_fill(&head, framing[i].lines);
		if (fault_framing(&head, (uint32_t)(last - framing[i].lines), slice_of(last)) !=
		    framing[i].want)
			fail_msg("%s", framing[i].lines);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grammar_has_reasons),
		cmocka_unit_test(lines_are_found),
		cmocka_unit_test(framing_has_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
