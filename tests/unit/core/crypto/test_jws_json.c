/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/crypto/jws_json.c"

enum { MEMBERS = 32 };

static struct jws_json_member members[MEMBERS];
static struct jws_json json = { .members = members, .size = MEMBERS };

/* In a block of its very size, so that a look beyond is seen. */
static char *block;

static int read_text(struct slice text)
{
	free(block);
	block = malloc(text.len + !text.len);
	assert_non_null(block);
	if (text.len)
		memcpy(block, text.ptr, text.len);
	return jws_json_read(&json, slice_make(block, text.len));
}

static struct jws_json_value get(const char *text, const char *name)
{
	assert_int_equal(read_text(slice_of(text)), 0);
	return jws_json_find(&json, slice_of(name));
}

static const struct {
	const char *name;
	struct slice text;
	int want;
} texts[] = {
	{ "empty object", SLICE_INIT("{}"), 0 },
	{ "blanks", SLICE_INIT(" \t\r\n{ \"a\" : 1 , \"b\" : [ ] } \n"), 0 },
	{ "all kinds", SLICE_INIT("{\"a\":[1,-2.5e+3,\"x\",true,false,null,{\"b\":[]}]}"), 0 },
	{ "zero", SLICE_INIT("{\"a\":0,\"b\":-0,\"c\":0.0,\"d\":0e0}"), 0 },
	{ "escapes", SLICE_INIT("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\ud83d\\ude00\"}"), 0 },
	{ "two to four bytes", SLICE_INIT("{\"a\":\"\xc2\x80\xe0\xa0\x80\xf4\x8f\xbf\xbf\"}"), 0 },
	{ "same name in two objects", SLICE_INIT("{\"a\":{\"a\":1},\"b\":{\"a\":1}}"), 0 },
	{ "nothing", SLICE_INIT(""), -EINVAL },
	{ "blanks only", SLICE_INIT("  "), -EINVAL },
	{ "an array", SLICE_INIT("[]"), -EINVAL },
	{ "a string", SLICE_INIT("\"a\""), -EINVAL },
	{ "mark", SLICE_INIT("\xef\xbb\xbf{}"), -EINVAL },
	{ "UTF-16", SLICE_INIT("{\0\"\0a\0\"\0:\0001\0}\0"), -EINVAL },
	{ "trailing byte", SLICE_INIT("{}x"), -EINVAL },
	{ "trailing NUL", SLICE_INIT("{}\0"), -EINVAL },
	{ "two objects", SLICE_INIT("{}{}"), -EINVAL },
	{ "open", SLICE_INIT("{"), -EINVAL },
	{ "open array", SLICE_INIT("{\"a\":[1"), -EINVAL },
	{ "wrong end", SLICE_INIT("{\"a\":[1}}"), -EINVAL },
	{ "comma at the end", SLICE_INIT("{\"a\":1,}"), -EINVAL },
	{ "comma at the end of an array", SLICE_INIT("{\"a\":[1,]}"), -EINVAL },
	{ "comma first", SLICE_INIT("{,\"a\":1}"), -EINVAL },
	{ "two commas", SLICE_INIT("{\"a\":1,,\"b\":1}"), -EINVAL },
	{ "no comma", SLICE_INIT("{\"a\":1 \"b\":1}"), -EINVAL },
	{ "no colon", SLICE_INIT("{\"a\" 1}"), -EINVAL },
	{ "no value", SLICE_INIT("{\"a\":}"), -EINVAL },
	{ "no name", SLICE_INIT("{:1}"), -EINVAL },
	{ "bare name", SLICE_INIT("{a:1}"), -EINVAL },
	{ "number as name", SLICE_INIT("{1:1}"), -EINVAL },
	{ "single quotes", SLICE_INIT("{'a':1}"), -EINVAL },
	{ "comment", SLICE_INIT("{/**/\"a\":1}"), -EINVAL },
	{ "literal in capitals", SLICE_INIT("{\"a\":True}"), -EINVAL },
	{ "literal cut", SLICE_INIT("{\"a\":tru}"), -EINVAL },
	{ "literal cut at the end", SLICE_INIT("{\"a\":tru"), -EINVAL },
	{ "NaN", SLICE_INIT("{\"a\":NaN}"), -EINVAL },
	{ "zero in front", SLICE_INIT("{\"a\":01}"), -EINVAL },
	{ "plus", SLICE_INIT("{\"a\":+1}"), -EINVAL },
	{ "point first", SLICE_INIT("{\"a\":.5}"), -EINVAL },
	{ "point last", SLICE_INIT("{\"a\":5.}"), -EINVAL },
	{ "minus only", SLICE_INIT("{\"a\":-}"), -EINVAL },
	{ "exponent without digits", SLICE_INIT("{\"a\":1e}"), -EINVAL },
	{ "hexadecimal", SLICE_INIT("{\"a\":0x10}"), -EINVAL },
	{ "open string", SLICE_INIT("{\"a\":\"x}"), -EINVAL },
	{ "open escape", SLICE_INIT("{\"a\":\"\\"), -EINVAL },
	{ "unknown escape", SLICE_INIT("{\"a\":\"\\x\"}"), -EINVAL },
	{ "short escape", SLICE_INIT("{\"a\":\"\\u12"), -EINVAL },
	{ "no digits", SLICE_INIT("{\"a\":\"\\u12g4\"}"), -EINVAL },
	{ "high half alone", SLICE_INIT("{\"a\":\"\\ud83d\"}"), -EINVAL },
	{ "high half twice", SLICE_INIT("{\"a\":\"\\ud83d\\ud83d\"}"), -EINVAL },
	{ "low half alone", SLICE_INIT("{\"a\":\"\\ude00\"}"), -EINVAL },
	{ "half at the end", SLICE_INIT("{\"a\":\"\\ud83d\\u"), -EINVAL },
	{ "control character", SLICE_INIT("{\"a\":\"\n\"}"), -EINVAL },
	{ "NUL in a string", SLICE_INIT("{\"a\":\"\0\"}"), -EINVAL },
	{ "lone byte", SLICE_INIT("{\"a\":\"\x80\"}"), -EINVAL },
	{ "long form of two", SLICE_INIT("{\"a\":\"\xc1\xbf\"}"), -EINVAL },
	{ "long form of three", SLICE_INIT("{\"a\":\"\xe0\x9f\xbf\"}"), -EINVAL },
	{ "long form of four", SLICE_INIT("{\"a\":\"\xf0\x8f\xbf\xbf\"}"), -EINVAL },
	{ "surrogate", SLICE_INIT("{\"a\":\"\xed\xa0\x80\"}"), -EINVAL },
	{ "beyond the last point", SLICE_INIT("{\"a\":\"\xf4\x90\x80\x80\"}"), -EINVAL },
	{ "five bytes", SLICE_INIT("{\"a\":\"\xf8\x88\x80\x80\x80\"}"), -EINVAL },
	{ "character cut", SLICE_INIT("{\"a\":\"\xe2\x82\"}"), -EINVAL },
	{ "character cut at the end", SLICE_INIT("{\"a\":\"\xe2\x82"), -EINVAL },
	{ "third byte wrong", SLICE_INIT("{\"a\":\"\xe2\x82\xc0\"}"), -EINVAL },
	{ "twice", SLICE_INIT("{\"a\":1,\"a\":1}"), -EINVAL },
	{ "twice, later", SLICE_INIT("{\"a\":1,\"b\":{\"c\":1},\"a\":1}"), -EINVAL },
	{ "twice, by an escape", SLICE_INIT("{\"alg\":1,\"\\u0061lg\":1}"), -EINVAL },
	{ "twice, the first by an escape", SLICE_INIT("{\"\\u0061lg\":1,\"alg\":1}"), -EINVAL },
	{ "twice, by two escapes", SLICE_INIT("{\"\\u0061lg\":1,\"al\\u0067\":1}"), -EINVAL },
	{ "twice inside", SLICE_INIT("{\"a\":{\"b\":1,\"b\":1}}"), -EINVAL },
	{ "twice in an array", SLICE_INIT("{\"a\":[{\"b\":1,\"b\":1}]}"), -EINVAL },
	{ "depth of 8", SLICE_INIT("{\"a\":[[[[[[[]]]]]]]}"), 0 },
	{ "depth of 9", SLICE_INIT("{\"a\":[[[[[[[[]]]]]]]]}"), -E2BIG },
};

static void texts_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int r = read_text(texts[i].text);

		if (r != texts[i].want)
			fail_msg("%s: got %d, want %d", texts[i].name, r, texts[i].want);
	}
}

static void no_prefix_is_an_object(void **state)
{
	static const struct slice text = SLICE_INIT(
		"{\"a\":[1,-2.5e+3,\"\\u00e4\xc3\xa4\",true,null,{\"b\":{}}],\"c\":\"d\"}");

	(void)state;
	for (size_t len = 0; len < text.len; len++)
		assert_int_equal(read_text(slice_take(text, len)), -EINVAL);
	assert_int_equal(read_text(text), 0);
}

static void texts_are_bounded(void **state)
{
	static char text[JWS_JSON_TEXT_MAX + 2];
	struct writer w;

	(void)state;
	memset(text, ' ', sizeof(text));
	text[0] = '{';
	text[JWS_JSON_TEXT_MAX - 1] = '}';
	assert_int_equal(read_text(slice_make(text, JWS_JSON_TEXT_MAX)), 0);
	assert_int_equal(read_text(slice_make(text, JWS_JSON_TEXT_MAX + 1)), -E2BIG);

	memset(text, '[', sizeof(text));
	memcpy(text, "{\"a\":", 5);
	assert_int_equal(read_text(slice_make(text, 6000)), -E2BIG);

	memset(text, '1', sizeof(text));
	memcpy(text, "{\"a\":", 5);
	text[5 + JWS_JSON_NUMBER_MAX] = '}';
	assert_int_equal(read_text(slice_make(text, 6 + JWS_JSON_NUMBER_MAX)), 0);
	text[5 + JWS_JSON_NUMBER_MAX] = '1';
	text[6 + JWS_JSON_NUMBER_MAX] = '}';
	assert_int_equal(read_text(slice_make(text, 7 + JWS_JSON_NUMBER_MAX)), -E2BIG);

	for (unsigned n = MEMBERS; n <= MEMBERS + 1; n++) {
		w = writer_make(text, sizeof(text));
		writer_lit(&w, "{\"a0\":{");
		for (unsigned i = 1; i < n; i++) {
			writer_lit(&w, "\"a");
			writer_u64(&w, i);
			writer_put(&w, i + 1 < n ? SLICE("\":1,") : SLICE("\":1}}"));
		}
		assert_int_equal(read_text(writer_slice(&w)), n == MEMBERS ? 0 : -E2BIG);
	}
}

static void members_are_found(void **state)
{
	static const char text[] =
		"{ \"a\" : \"x\" ,\"b\":[1, {\"e\":2}] , \"\\u0063\":{\"d\":true},"
		"\"f\":null,\"g\":-1.5,\"h\":false,\"\":\"empty\"}";

	(void)state;
	assert_int_equal(get(text, "a").kind, JWS_JSON_STRING);
	assert_true(slice_eq(get(text, "a").text, SLICE("\"x\"")));
	assert_int_equal(get(text, "b").kind, JWS_JSON_ARRAY);
	assert_true(slice_eq(get(text, "b").text, SLICE("[1, {\"e\":2}]")));
	assert_int_equal(get(text, "c").kind, JWS_JSON_OBJECT);
	assert_true(slice_eq(get(text, "c").text, SLICE("{\"d\":true}")));
	assert_int_equal(get(text, "f").kind, JWS_JSON_NULL);
	assert_int_equal(get(text, "g").kind, JWS_JSON_NUMBER);
	assert_true(slice_eq(get(text, "g").text, SLICE("-1.5")));
	assert_int_equal(get(text, "h").kind, JWS_JSON_BOOL);
	assert_true(jws_json_equals(get(text, ""), SLICE("empty")));
	assert_int_equal(get(text, "d").kind, JWS_JSON_NONE); /* Of an inner object. */
	assert_int_equal(get(text, "e").kind, JWS_JSON_NONE);
	assert_int_equal(get(text, "A").kind, JWS_JSON_NONE);
}

static void strings_mean_what_they_stand_for(void **state)
{
	static const char text[] = "{\"a\":\"\\u0061\\/\\ud83d\\ude00\\u00e9\\u20ac\\u0000.\"}";
	static const struct slice meant = SLICE_INIT("a/\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac\0.");
	char room[64];
	struct writer w = writer_make(room, sizeof(room));

	(void)state;
	assert_true(jws_json_equals(get(text, "a"), meant));
	assert_false(jws_json_equals(get(text, "a"), slice_take(meant, meant.len - 1)));
	assert_false(jws_json_equals(get(text, "a"), SLICE("\\u0061")));
	assert_false(jws_json_equals(get("{\"a\":1}", "a"), SLICE("1")));
	jws_json_put(&w, get(text, "a"));
	assert_true(slice_eq(writer_slice(&w), meant));
}

static void words_are_whole(void **state)
{
	static const struct {
		const char *text, *word;
		bool want;
	} cases[] = {
		{ "{\"a\":\"read write\"}", "read", true },
		{ "{\"a\":\"read write\"}", "write", true },
		{ "{\"a\":\"read  write\"}", "write", true },
		{ "{\"a\":\"read wr\\u0069te\"}", "write", true },
		{ "{\"a\":\"read\\u0020write\"}", "read", true },
		{ "{\"a\":\"readwrite\"}", "read", false },
		{ "{\"a\":\"readwrite\"}", "write", false },
		{ "{\"a\":\"rea d\"}", "read", false },
		{ "{\"a\":\"rread\"}", "read", false },
		{ "{\"a\":\"read write\"}", "read write", false },
		{ "{\"a\":\"\"}", "", false },
		{ "{\"a\":\" \"}", "", false },
		{ "{\"a\":[\"read\"]}", "read", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (jws_json_has_word(get(cases[i].text, "a"), slice_of(cases[i].word)) !=
		    cases[i].want)
			fail_msg("%s: %s", cases[i].text, cases[i].word);
}

static void arrays_are_walked(void **state)
{
	static const char text[] = "{\"a\":[ \"x,]\\\"\" , [1,[2]],{\"b\":[3]} ,4,true ],\"b\":[],"
				   "\"c\":[ ]}";
	static const char *const want[] = { "\"x,]\\\"\"", "[1,[2]]", "{\"b\":[3]}", "4", "true" };
	struct slice rest = get(text, "a").text;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_true(slice_eq(jws_json_next(&rest).text, slice_of(want[i])));
	for (int i = 0; i < 3; i++)
		assert_int_equal(jws_json_next(&rest).kind, JWS_JSON_NONE);
	rest = get(text, "b").text;
	assert_int_equal(jws_json_next(&rest).kind, JWS_JSON_NONE);
	rest = get(text, "c").text;
	assert_int_equal(jws_json_next(&rest).kind, JWS_JSON_NONE);
	assert_int_equal(jws_json_next(&rest).kind, JWS_JSON_NONE);
}

static void dates_are_bounded(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: none. */
	} cases[] = {
		{ "{\"a\":0}", 0 },
		{ "{\"a\":1700000000}", 1700000000 },
		{ "{\"a\":1700000000.999}", 1700000000 },
		{ "{\"a\":9007199254740992}", JWS_JSON_DATE_MAX },
		{ "{\"a\":9007199254740993}", -1 },
		{ "{\"a\":9223372036854775808}", -1 },
		{ "{\"a\":18446744073709551617}", -1 },
		{ "{\"a\":-1}", -1 },
		{ "{\"a\":-0}", -1 },
		{ "{\"a\":1e400}", -1 },
		{ "{\"a\":1E9}", -1 },
		{ "{\"a\":1.5e9}", -1 },
		{ "{\"a\":\"1700000000\"}", -1 },
		{ "{\"a\":null}", -1 },
		{ "{\"a\":true}", -1 },
		{ "{\"a\":[1]}", -1 },
		{ "{\"b\":1}", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t got = -1;
		int r = jws_json_date(get(cases[i].text, "a"), &got);

		if (got != cases[i].want || r != (cases[i].want < 0 ? -EINVAL : 0))
			fail_msg("%s: %d, %lld", cases[i].text, r, (long long)got);
	}
}

static int teardown(void **state)
{
	(void)state;
	free(block);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_judged),
		cmocka_unit_test(no_prefix_is_an_object),
		cmocka_unit_test(texts_are_bounded),
		cmocka_unit_test(members_are_found),
		cmocka_unit_test(strings_mean_what_they_stand_for),
		cmocka_unit_test(words_are_whole),
		cmocka_unit_test(arrays_are_walked),
		cmocka_unit_test(dates_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
