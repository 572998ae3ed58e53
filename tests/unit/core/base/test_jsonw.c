/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/jsonw.c"

#include "base_test.h"
#include "core/base/rng.h"

#include <jansson.h>

static const struct {
	const char *in, *out;
	size_t cap;
} strings[] = {
	{ "", "\"\"", 100 },
	{ "plain /a?b=1", "\"plain /a?b=1\"", 100 },
	{ "say \"hi\" \\o/", "\"say \\\"hi\\\" \\\\o/\"", 100 },
	{ "a\r\nb\t\x01\x7f", "\"a\\u000d\\u000ab\\u0009\\u0001\\u007f\"", 100 },
	{ "gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\"", 100 },
	{ "\xe2\x82\xac \xf0\x9f\x98\x80", "\"\xe2\x82\xac \xf0\x9f\x98\x80\"", 100 },
	/* Not UTF-8: alone, overlong, surrogate, too high, broken off. */
	{ "a\xff"
	  "b",
	  "\"a\\ufffdb\"", 100 },
	{ "\x80", "\"\\ufffd\"", 100 },
	{ "\xc0\xae", "\"\\ufffd\\ufffd\"", 100 },
	{ "\xc1\xbf", "\"\\ufffd\\ufffd\"", 100 },
	{ "\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\"", 100 },
	{ "\xf0\x80\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"", 100 },
	{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"", 100 },
	{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"", 100 },
	{ "\xf5\x80\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"", 100 },
	{ "\xe2\x82", "\"\\ufffd\\ufffd\"", 100 },
	{ "\xc3(", "\"\\ufffd(\"", 100 },
	/* Cut before a character rather than inside. */
	{ "abcdef", "\"abc\"", 3 },
	{ "ab\xe2\x82\xac", "\"ab\"", 4 },
	{ "ab\xe2\x82\xac", "\"ab\"", 3 },
	{ "ab\xe2\x82\xac", "\"ab\xe2\x82\xac\"", 5 },
	{ "ab\xe2\x82\xac"
	  "c",
	  "\"ab\xe2\x82\xac\"", 5 },
	{ "abc", "\"\"", 0 },
	{ "\x80\x80\x80\x80", "\"\\ufffd\\ufffd\\ufffd\"", 3 },
};

static void strings_are_escaped(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		char buf[256];
		struct writer w = writer_make(buf, sizeof(buf));

		jsonw_string(&w, slice_of(strings[i].in), strings[i].cap);
		assert_false(w.overflow);
		assert_slice(writer_slice(&w), strings[i].out);
	}
}

/* Whatever goes in, a strict parser takes what comes out. */
static void noise_is_valid_json(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, 11);
	for (int i = 0; i < 20000; i++) {
		char in[32];
		char buf[512];
		struct writer w = writer_make(buf, sizeof(buf));
		size_t len = rng_below(&rng, sizeof(in) + 1);
		json_t *parsed;

		for (size_t c = 0; c < len; c++)
			in[c] = (char)(rng_below(&rng, 2) ? rng_next(&rng)
							  : 0xc0 + rng_below(&rng, 64));
		jsonw_string(&w, slice_make(in, len), rng_below(&rng, 40));
		assert_false(w.overflow);
		assert_null(memchr(buf, '\n', writer_len(&w)));
		parsed = json_loadb(buf, writer_len(&w), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		if (!parsed)
			fail_msg("%.*s", SLICE_ARG(writer_slice(&w)));
		json_decref(parsed);
	}
}

static void fields_are_separated(void **state)
{
	char buf[256];
	struct writer w = writer_make(buf, sizeof(buf));

	(void)state;
	writer_char(&w, '{');
	jsonw_field_string(&w, SLICE("a"), SLICE("x"), JSONW_CAP);
	jsonw_field_u64(&w, SLICE("b"), UINT64_MAX);
	jsonw_field_i64(&w, SLICE("c"), -1);
	jsonw_field_bool(&w, SLICE("d"), true);
	jsonw_field_ms(&w, SLICE("e"), 1234567);
	jsonw_field_ms(&w, SLICE("f"), 7000);
	jsonw_key(&w, SLICE("g"));
	writer_char(&w, '{');
	jsonw_field_bool(&w, SLICE("h"), false);
	writer_lit(&w, "}}");
	assert_slice(writer_slice(&w),
		     "{\"a\":\"x\",\"b\":18446744073709551615,\"c\":-1,\"d\":true,"
		     "\"e\":1.234,\"f\":0.007,\"g\":{\"h\":false}}");
}

static void overflow_is_seen(void **state)
{
	(void)state;
	for (size_t size = 0; size < 13; size++) {
		char buf[16];
		struct writer w = writer_make(buf, size);

		jsonw_string(&w, SLICE("ab\n\"c"), JSONW_CAP); /* 13 bytes. */
		assert_true(w.overflow);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(noise_is_valid_json),
		cmocka_unit_test(fields_are_separated),
		cmocka_unit_test(overflow_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
