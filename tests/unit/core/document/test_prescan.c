/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket may be sent: depths, lengths and counts at their bounds, and lies. */
#include "core/document/prescan.c"

#include "document_test.h"

#define BYTES(text) SLICE_INIT(text)

static int only_scan(struct slice bytes, struct report *rep, struct document **ret_doc)
{
	int r = prescan_check(bytes, rep);

	return r < 0 ? r : document_create(rep, ret_doc);
}

static const struct {
	const char *name;
	struct slice bytes;
	const char *error; /* NULL: good. */
} cases[] = {
	{ "nothing", BYTES(""), "f: ends within a value" },
	{ "nil", BYTES("\xc0"), NULL },
	{ "a map",
	  BYTES("\x81\xa1"
		"a\x01"),
	  NULL },
	{ "two values", BYTES("\xc0\xc0"), "f: bytes behind the end of the value" },
	{ "0xc1", BYTES("\xc1"), "f: the byte 0xc1 is not msgpack" },
	{ "0xc1 below",
	  BYTES("\x81\xa1"
		"a\x92\x01\xc1"),
	  "f: a[1]: the byte 0xc1 is not msgpack" },
	{ "bin8", BYTES("\xc4\x01x"), "f: bytes (bin) are not allowed, texts (str) are" },
	{ "bin below",
	  BYTES("\x81\xa1"
		"a\x81\xa1"
		"b\xc4\x01x"),
	  "f: a.b: bytes (bin) are not allowed, texts (str) are" },
	{ "fixext1", BYTES("\xd4\x01x"), "f: extension types are not allowed" },
	{ "fixext16", BYTES("\xd8\x01xxxxxxxxxxxxxxxx"), "f: extension types are not allowed" },
	{ "ext8", BYTES("\xc7\x01\x02x"), "f: extension types are not allowed" },
	{ "timestamp", BYTES("\xd6\xff\0\0\0\0"), "f: extension types are not allowed" },
	{ "a float", BYTES("\xca\x3f\x80\0\0"), NULL },
	{ "NaN", BYTES("\xcb\x7f\xf8\0\0\0\0\0\0"), "f: not a finite number" },
	{ "infinity", BYTES("\xca\x7f\x80\0\0"), "f: not a finite number" },
	{ "uint64", BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), NULL },
	{ "a number as key", BYTES("\x81\x01\x01"), "f: a key must be a text" },
	{ "a list as key", BYTES("\x81\x90\x01"), "f: a key must be a text" },
	{ "a map without its value",
	  BYTES("\x81\xa1"
		"a"),
	  "f: a: ends within a value" },
	{ "the same, its key no text",
	  BYTES("\x81\xa1"
		"a\x81\xa2"
		"b\xff"),
	  "f: a: ends within a value" },
	{ "a map that ends early",
	  BYTES("\x82\xa1"
		"a\x01\xa1"),
	  "f: ends within a value" },
	{ "array16 too long", BYTES("\xdc\x00\x03\x01\x01"),
	  "f: claims more entries than there are bytes left" },
	{ "array32 of 2^28 in 6 bytes", BYTES("\xdd\x10\0\0\0\xc0"),
	  "f: claims more entries than there are bytes left" },
	{ "array32 of 2^32-1", BYTES("\xdd\xff\xff\xff\xff"),
	  "f: claims more entries than there are bytes left" },
	{ "map32 of 2^32-1", BYTES("\xdf\xff\xff\xff\xff"),
	  "f: claims more entries than there are bytes left" },
	{ "map16 with a byte per entry", BYTES("\xde\x00\x02\xc0\xc0\xc0"),
	  "f: claims more entries than there are bytes left" },
	{ "nested array16(65535)", BYTES("\xdc\xff\xff\xdc\xff\xff\xdc\xff\xff"),
	  "f: claims more entries than there are bytes left" },
	{ "fixmap of 15",
	  BYTES("\x8f\xa1"
		"a\x01"),
	  "f: claims more entries than there are bytes left" },
	{ "str8 too long",
	  BYTES("\xd9\x05"
		"abc"),
	  "f: ends within a value" },
	{ "str32 too long",
	  BYTES("\xdb\xff\xff\xff\xff"
		"abc"),
	  "f: ends within a value" },
	{ "bin32 too long",
	  BYTES("\xc6\xff\xff\xff\xff"
		"abc"),
	  "f: ends within a value" },
	{ "ext32 too long",
	  BYTES("\xc9\xff\xff\xff\xff\x01"
		"abc"),
	  "f: ends within a value" },
	{ "half a length", BYTES("\xda\x00"), "f: ends within a value" },
	{ "half a number", BYTES("\xcf\x00\x00"), "f: ends within a value" },
	{ "str8 below",
	  BYTES("\x81\xa1"
		"a\x91\xd9\x05"
		"abc"),
	  "f: a[0]: ends within a value" },
};

static void msgpack_is_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *got = refusal(only_scan, cases[i].bytes);

		if (!got != !cases[i].error || (got && strcmp(got, cases[i].error) != 0))
			fail_msg("%s: got %s", cases[i].name, got ? got : "nothing");
	}
}

static void depth_is_bounded(void **state)
{
	char bytes[5000];

	(void)state;
	memset(bytes, '\x91', sizeof(bytes));
	for (size_t depth = 31; depth < 36; depth++) {
		bytes[depth] = '\xc0';
		const char *got = refusal(only_scan, slice_make(bytes, depth + 1));

		if (depth <= DOCUMENT_DEPTH_MAX)
			assert_null(got);
		else
			assert_non_null(strstr(got, ": nested more than 32 levels deep"));
		bytes[depth] = '\x91';
	}
	assert_non_null(refusal(only_scan, slice_make(bytes, sizeof(bytes))));
}

/* A document with everything in it is good only as a whole. */
static void prefixes_are_truncated(void **state)
{
	static const struct slice whole = BYTES("\x85\xa1"
						"a\x93\x01\xff\xc3\xa1"
						"b\xcb\x3f\xf0\0\0\0\0\0\0\xa1"
						"c\xd9\x03xyz"
						"\xa1"
						"d\xd1\xff\x00\xa1"
						"e\x81\xa1"
						"f\x90");

	(void)state;
	assert_null(refusal(only_scan, whole));
	for (size_t len = 0; len < whole.len; len++)
		assert_non_null(refusal(only_scan, slice_take(whole, len)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(msgpack_is_judged),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(prefixes_are_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
