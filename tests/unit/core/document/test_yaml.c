/* SPDX-License-Identifier: Apache-2.0 */
#include "core/document/yaml.c"

#include "document_test.h"

static const struct {
	const char *name, *yaml, *json;
} good[] = {
	{ "nothing", "", "null" },
	{ "only a comment", "# hello\n", "null" },
	{ "a map", "a: 1\nb: [x, y]\nc: {d: e}\n",
	  "{\"a\":1,\"b\":[\"x\",\"y\"],\"c\":{\"d\":\"e\"}}" },
	{ "blocks", "a:\n  - b: 1\n    c: 2\n  - d\n", "{\"a\":[{\"b\":1,\"c\":2},\"d\"]}" },
	{ "nulls", "[~, null, Null, NULL, nil, nUll]", "[null,null,null,null,\"nil\",\"nUll\"]" },
	{ "booleans", "[true, True, TRUE, false, False, FALSE]",
	  "[true,true,true,false,false,false]" },
	{ "no booleans", "[yes, no, on, off, y, n, tRue]",
	  "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\",\"tRue\"]" },
	{ "integers",
	  "[0, 7, -7, +7, 012, 0o17, 0xfF, 18446744073709551615, -9223372036854775808, -0]",
	  "[0,7,-7,7,12,15,255,18446744073709551615,-9223372036854775808,0]" },
	{ "no integers", "[0b1, 1_000, 0o8, 0xg, 0x, -0x1, 1:30]",
	  "[\"0b1\",\"1_000\",\"0o8\",\"0xg\",\"0x\",\"-0x1\",\"1:30\"]" },
	{ "floats", "[1.5, -.5, 1., 1e3, 2.5E-1]", "[1.5,-0.5,1.0,1000.0,0.25]" },
	{ "no floats", "[., -, +.e1, 1e, 1.2.3, e5]",
	  "[\".\",\"-\",\"+.e1\",\"1e\",\"1.2.3\",\"e5\"]" },
	{ "quotes make texts", "['1', \"true\", '~', \"\"]", "[\"1\",\"true\",\"~\",\"\"]" },
	{ "escapes", "\"a\\u00e9\\t\\n\"", "\"a\xc3\xa9\\u0009\\u000a\"" },
	{ "folded and literal", "a: >\n  b\n  c\nd: |\n  e\n  f\n",
	  "{\"a\":\"b c\\u000a\",\"d\":\"e\\u000af\\u000a\"}" },
	{ "JSON is YAML", "{\"a\": [1, \"b\", null, true]}", "{\"a\":[1,\"b\",null,true]}" },
	{ "keys are texts", "1: a\ntrue: b\n", "{\"1\":\"a\",\"true\":\"b\"}" },
	{ "a byte-order mark",
	  "\xef\xbb\xbf"
	  "a: 1\n",
	  "{\"a\":1}" },
	{ "an explicit document", "---\na: 1\n...\n", "{\"a\":1}" },
};

static void good_yaml_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		const char *got = as_json(yaml_read, slice_of(good[i].yaml));

		if (strcmp(got, good[i].json) != 0)
			fail_msg("%s: got %s", good[i].name, got);
	}
}

static const struct {
	const char *name, *yaml, *error;
} bad[] = {
	{ "an anchor", "a: &x 1\n", "f:1:4: a: anchors (&) are not allowed" },
	{ "an anchor on a map", "a: &x {}\n", "f:1:4: a: anchors (&) are not allowed" },
	{ "an alias", "a: *x\n", "f:1:4: a: aliases (*) are not allowed" },
	{ "a tag", "a: !!str 1\n", "f:1:4: a: tags (!) are not allowed" },
	{ "a tag on a list", "a:\n  b: !x [1]\n", "f:2:6: a.b: tags (!) are not allowed" },
	{ "a merge key", "a: {<<: {b: 1}}\n", "f:1:5: a: merge keys (<<) are not allowed" },
	{ "a key twice", "a: 1\nb: 2\na: 3\n",
	  "f:3:1: the key \"a\" is there twice, first in line 1" },
	{ "a key twice below", "x:\n  - {a: 1, a: 2}\n",
	  "f:2:12: x[0]: the key \"a\" is there twice, first in line 2" },
	{ "a list as a key", "[a]: 1\n", "f:1:1: a key must be a text" },
	{ "a map as a key", "? {a: 1}\n: 2\n", "f:1:3: a key must be a text" },
	{ "an empty key", "\"\": 1\n", "f:1:1: a key needs 1 to 255 bytes of UTF-8 text" },
	{ "a line end in a key", "\"a\\nb\": 1\n",
	  "f:1:1: a key needs 1 to 255 bytes of UTF-8 text" },
	{ "two documents", "a: 1\n---\nb: 2\n", "f:2:1: only one document is allowed in a file" },
	{ "a large integer", "a: 18446744073709551616\n",
	  "f:1:4: a: \"18446744073709551616\" does not fit in 64 bits" },
	{ "a small integer", "a: -9223372036854775809\n",
	  "f:1:4: a: \"-9223372036854775809\" does not fit in 64 bits" },
	{ "infinity", "a: .inf\n", "f:1:4: a: not a finite number" },
	{ "not a number", "a: .NaN\n", "f:1:4: a: not a finite number" },
	{ "a float too large", "a: 1e999\n", "f:1:4: a: not a finite number" },
	{ "a control character", "a: \"x\\u0007\"\n",
	  "f:1:4: a: control characters or bytes that are not UTF-8" },
	{ "a NUL", "a: \"x\\0y\"\n", "f:1:4: a: control characters or bytes that are not UTF-8" },
	{ "a raw control character", "a: b\x01\n", "f:1:5: control characters are not allowed" },
	{ "no UTF-8", "a: b\nc: \xff\n", "f:2:4: invalid leading UTF-8 octet" },
	{ "an open list", "a: [1, 2\n",
	  "f:2:1: did not find expected ',' or ']', while parsing a flow sequence that began in line 1" },
	{ "a tab as indentation", "a:\n\tb: 1\n",
	  "f:2:1: found character that cannot start any token, while scanning for the next token" },
	{ "a mapping in a value", "a: b: c\n",
	  "f:1:5: mapping values are not allowed in this context" },
};

static void bad_yaml_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *got = refusal(yaml_read, slice_of(bad[i].yaml));

		if (!got || strcmp(got, bad[i].error) != 0)
			fail_msg("%s: got %s", bad[i].name, got ? got : "nothing");
	}
}

static void depth_is_bounded(void **state)
{
	char text[2 * 40];

	(void)state;
	for (size_t depth = 30; depth < 40; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		const char *got = refusal(yaml_read, slice_make(text, 2 * depth));

		if (depth <= DOCUMENT_DEPTH_MAX)
			assert_null(got);
		else
			assert_non_null(strstr(got, ": nested more than 32 levels deep"));
	}
}

/* Takes the time of a map with as many keys as fit; quadratic work would be seen. */
static void size_is_bounded(void **state)
{
	size_t size = DOCUMENT_TEXT_MAX + 1;
	char *text = malloc(size);
	struct writer w = writer_make(text, DOCUMENT_TEXT_MAX);

	(void)state;
	assert_non_null(text);
	writer_char(&w, '{');
	for (uint64_t i = 0; writer_room(&w) > 16; i++) {
		writer_u64(&w, i);
		writer_lit(&w, ": 1,");
	}
	writer_char(&w, '}');
	memset(w.ptr, ' ', size - writer_len(&w));
	assert_null(refusal(yaml_read, slice_make(text, DOCUMENT_TEXT_MAX)));
	assert_string_equal(refusal(yaml_read, slice_make(text, size)),
			    "f: 8388609 bytes; at most 8388608 are allowed");
	free(text);
}

/* Each prefix of a text is either taken or refused with a place within it. */
static void prefixes_are_judged(void **state)
{
	static const char text[] =
		"a: {b: [1, \"x\\u00e9\", 'y'], c: |\n}\nd:\n  - e: 1.5\n    f: ~\n";

	(void)state;
	for (size_t len = 0; len <= sizeof(text) - 1; len++) {
		const char *got = refusal(yaml_read, slice_make(text, len));

		if (got)
			assert_memory_equal(got, "f:", 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_yaml_is_read),   cmocka_unit_test(bad_yaml_is_refused),
		cmocka_unit_test(depth_is_bounded),    cmocka_unit_test(size_is_bounded),
		cmocka_unit_test(prefixes_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
