/* SPDX-License-Identifier: Apache-2.0 */
#include "core/document/json.c"

#include "document_test.h"

static const char *const good[] = {
	"null",
	"true",
	"{}",
	"[]",
	"\"\"",
	"[1,-1,0,9223372036854775807,-9223372036854775808]",
	"[1.5,-0.25,1e+300]",
	"{\"a\":{\"b\":[{\"c\":null},[],{}]},\"d\":\"e\"}",
	"\"\xf0\x9f\x98\x80\"",
};

static void good_json_goes_round(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_string_equal(as_json(json_read, slice_of(good[i])), good[i]);
	assert_string_equal(as_json(json_read, SLICE("\"\\ud83d\\ude00\\/\"")),
			    "\"\xf0\x9f\x98\x80/\"");
}

static const struct {
	const char *name, *json, *error;
} bad[] = {
	{ "nothing", "", "f:1:1: unexpected token near end of file" },
	{ "a key twice", "{\"a\":1,\n \"a\":2}", "f:2:4: duplicate object key near '\"a\"'" },
	{ "an open list", "[1", "f:1:2: ']' expected near end of file" },
	{ "a final comma", "[1,]", "f:1:4: unexpected token near ']'" },
	{ "two values", "1 2", "f:1:3: end of file expected near '2'" },
	{ "a comment", "// x\n1", "f:1:1: invalid token near '/'" },
	{ "single quotes", "{'a':1}", "f:1:2: string or '}' expected near '''" },
	{ "a NUL escape", "\"\\u0000\"",
	  "f:1:8: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"\\u0000\"'" },
	{ "not a number", "NaN", "f:1:3: invalid token near 'NaN'" },
	{ "a large integer", "[18446744073709551616]",
	  "f:1:21: too big integer near '18446744073709551616'" },
	{ "a large real", "[1e999]", "f:1:6: real number overflow near '1e999'" },
	{ "a control character", "[\"a\\u0007\"]",
	  "f:1:2: [0]: control characters or bytes that are not UTF-8" },
	{ "an empty key", "{\"a\":{\"\":1}}",
	  "f:1:7: a: a key needs 1 to 255 bytes of UTF-8 text" },
};

static void bad_json_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *got = refusal(json_read, slice_of(bad[i].json));

		if (!got || strcmp(got, bad[i].error) != 0)
			fail_msg("%s: got %s", bad[i].name, got ? got : "nothing");
	}
}

static const struct {
	const char *path;
	uint32_t line, column;
} places[] = {
	{ "", 1, 1 },     { "a", 2, 7 },  { "a[0]", 2, 8 }, { "a[1]", 2, 12 }, { "a[1].b", 2, 20 },
	{ "a[2]", 3, 2 }, { "c", 4, 13 }, { "d", 5, 6 },    { "e", 6, 6 },     { "e.x", 6, 6 },
};

/* Strings with brackets, quotes and escapes in them, and characters of several bytes. */
static void places_are_found(void **state)
{
	static const char whole[] = "{\n"
				    " \"a\" :[1 , { \"b\" : \"]},:\\\"\" },\n"
				    " false ],\n"
				    " \"c\"  :\t\r   3,\n"
				    " \"d\":\"\xc3\xa9\xc3\xa9\", \n"
				    " \"e\":{}}";
	struct report rep;
	struct document *doc;

	(void)state;
	report_init(&rep, NULL);
	assert_int_equal(json_read(slice_of(whole), &rep, &doc), 0);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const struct document_node *node =
			document_nearest(document_root(doc), slice_of(places[i].path));

		if (node->place.line != places[i].line || node->place.column != places[i].column)
			fail_msg("%s: %u:%u", places[i].path, node->place.line, node->place.column);
	}
	document_free(doc);
}

static void depth_is_bounded(void **state)
{
	char text[4096 * 2];

	(void)state;
	for (size_t depth = 31; depth < 4096; depth += depth < 34 ? 1 : 1000) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		const char *got = refusal(json_read, slice_make(text, 2 * depth));

		assert_true((got == NULL) == (depth <= DOCUMENT_DEPTH_MAX));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_json_goes_round),
		cmocka_unit_test(bad_json_is_refused),
		cmocka_unit_test(places_are_found),
		cmocka_unit_test(depth_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
