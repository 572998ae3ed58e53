/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding, with encoding and the msgpack of others as its measures. */
#include <jansson.h>
#include <math.h>
#include <msgpack.h>

#include "core/document/decode.c"

#include "document_test.h"

static void the_same_key_twice_is_refused(void **state)
{
	char bytes[64 * 8];
	struct writer w = writer_make(bytes, sizeof(bytes));

	(void)state;
	assert_string_equal(refusal(decode_read, SLICE("\x82\xa1v\x01\xa1v\x01")),
			    "f: the key \"v\" is there twice");
	assert_string_equal(refusal(decode_read, SLICE("\x81\xa1"
						       "a\x91\x82\xa1v\x01\xa1v\x02")),
			    "f: a[0]: the key \"v\" is there twice");
	assert_null(refusal(decode_read, SLICE("\x82\xa1v\x01\xa1V\x01")));
	/* In a map that is large enough for an index, wherever the pair stands. */
	for (int first = 0; first < 40; first += 13) {
		for (int second = first + 1; second < 40; second += 7) {
			w = writer_make(bytes, sizeof(bytes));
			writer_lit(&w, "\xde\x00\x28");
			for (int i = 0; i < 40; i++) {
				writer_lit(&w, "\xa2k");
				writer_char(&w, (char)('0' + (i == second ? first : i)));
				writer_char(&w, '\x01');
			}
			assert_non_null(refusal(decode_read, writer_slice(&w)));
		}
	}
}

static const struct {
	const char *name;
	struct slice bytes;
	const char *error;
} bad[] = {
	{ "NUL in a text",
	  SLICE_INIT("\xa3"
		     "a\0b"),
	  "f: control characters or bytes that are not UTF-8" },
	{ "no UTF-8", SLICE_INIT("\x81\xa1k\xa1\xff"),
	  "f: k: control characters or bytes that are not UTF-8" },
	{ "no UTF-8 in a key", SLICE_INIT("\x81\xa1\xff\x01"),
	  "f: a key needs 1 to 255 bytes of UTF-8 text" },
	{ "an empty key", SLICE_INIT("\x81\xa0\x01"),
	  "f: a key needs 1 to 255 bytes of UTF-8 text" },
};

static void texts_are_judged(void **state)
{
	char bytes[300] = "\x81\xda\x01\x00";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *got = refusal(decode_read, bad[i].bytes);

		if (!got || strcmp(got, bad[i].error) != 0)
			fail_msg("%s: got %s", bad[i].name, got ? got : "nothing");
	}
	memset(bytes + 4, 'k', 256);
	bytes[260] = '\x01';
	assert_string_equal(refusal(decode_read, slice_make(bytes, 261)),
			    "f: a key needs 1 to 255 bytes of UTF-8 text");
}

static const char *const documents[] = {
	"null",
	"[true,false,null]",
	"[0,1,127,128,255,256,65535,65536,4294967295,4294967296,18446744073709551615]",
	"[-1,-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649,-9223372036854775808]",
	"[1.5,-0.25,1e+300,0.1]",
	"{\"a\":{\"b\":[{\"c\":null},[],{}]},\"d\":\"e\"}",
	"[[[]],[[],[[]]],{\"x\":{\"y\":{\"z\":[1,2,{\"w\":0}]}}},\"end\"]",
};

/* document -> msgpack -> document, and msgpack-c reads the same out of it. */
static void documents_go_round(void **state)
{
	static char bytes[1 << 16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
		struct report rep;
		struct document *doc;
		struct pack p = pack_make(bytes, sizeof(bytes));
		msgpack_unpacked theirs;
		size_t off = 0;

		report_init(&rep, NULL);
		assert_int_equal(yaml_read(slice_of(documents[i]), &rep, &doc), 0);
		encode_msgpack(&p, document_root(doc));
		document_free(doc);
		assert_false(p.w.overflow);
		assert_string_equal(as_json(decode_read, writer_slice(&p.w)), documents[i]);

		msgpack_unpacked_init(&theirs);
		assert_int_equal(msgpack_unpack_next(&theirs, bytes, writer_len(&p.w), &off),
				 MSGPACK_UNPACK_SUCCESS);
		assert_true(off == writer_len(&p.w));
		msgpack_unpacked_destroy(&theirs);
	}
}

/* "a1-b2" as bytes. */
static struct slice from_hex(const char *hex, char *buf, size_t size)
{
	size_t len = 0;

	for (; *hex; hex += hex[2] ? 3 : 2) {
		uint64_t byte;

		assert_int_equal(slice_hex_to_u64(slice_make(hex, 2), &byte), 0);
		assert_true(len < size);
		buf[len++] = (char)byte;
	}
	return slice_make(buf, len);
}

/* Is the value that an encoding of the public test suite stands for one that we take? */
static bool is_ours(json_t *entry)
{
	return !json_object_get(entry, "binary") && !json_object_get(entry, "ext") &&
	       !json_object_get(entry, "timestamp");
}

static bool has_value(const char *json, json_t *entry)
{
	const char *kinds[] = { "nil", "bool", "number", "string", "array", "map" };
	/* What is too large for the integers of some readers stands there as a text, too. */
	json_t *big = json_object_get(entry, "bignum"), *want = NULL;
	json_t *got = json_loads(json, JSON_DECODE_ANY, NULL);
	bool same;

	for (size_t i = 0; !want && i < ARRAY_SIZE(kinds); i++)
		want = json_object_get(entry, kinds[i]);
	if (big)
		same = strcmp(json, json_string_value(big)) == 0 ||
		       (json_is_real(got) &&
			json_real_value(got) == strtod(json_string_value(big), NULL));
	else if (json_is_number(want))
		same = json_is_number(got) &&
		       fabs(json_number_value(got) - json_number_value(want)) == 0.0;
	else
		same = json_equal(want, got);
	json_decref(got);
	return same;
}

static void check_entry(json_t *entry)
{
	json_t *encoding;
	size_t i;

	json_array_foreach(json_object_get(entry, "msgpack"), i, encoding)
	{
		char buf[4096];
		struct slice bytes = from_hex(json_string_value(encoding), buf, sizeof(buf));
		const char *json;

		if (!is_ours(entry)) {
			assert_non_null(refusal(decode_read, bytes));
			continue;
		}
		json = as_json(decode_read, bytes);
		if (!has_value(json, entry))
			fail_msg("%s: got %s", json_string_value(encoding), json);
	}
}

/* The suite's folder lies beside the repository; without it there is nothing to check. */
static void the_public_suite_is_read(void **state)
{
	const char *root = getenv("GW_SOURCE_DIR");
	char path[4096];
	json_t *suite, *group, *entry;
	const char *name;
	size_t i, n = 0;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/../shared/vectors/msgpack-test-suite.json",
		       root ? root : ".");
	suite = json_load_file(path, 0, NULL);
	if (!suite)
		skip();
	json_object_foreach(suite, name, group)
	{
		json_array_foreach(group, i, entry)
		{
			check_entry(entry);
			n++;
		}
	}
	assert_true(n > 50);
	json_decref(suite);
}

/* Random bytes: never a crash, and what we take msgpack-c takes, too. */
static void noise_is_judged_as_msgpack_c_does(void **state)
{
	uint64_t seed = 42;
	uint32_t n_good = 0;

	(void)state;
	for (int round = 0; round < 100000; round++) {
		char bytes[24];
		size_t len = 1 + (size_t)(round % 23), off = 0;
		struct report rep;
		struct document *doc;
		msgpack_unpacked theirs;

		for (size_t i = 0; i < len; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			bytes[i] = (char)(seed >> 56);
			if (seed >> 40 & 1) /* More short maps, lists and texts. */
				bytes[i] = (char)(0x80 | (bytes[i] & 0x23));
		}
		report_init(&rep, NULL);
		if (decode_read(slice_make(bytes, len), &rep, &doc) < 0)
			continue;
		n_good++;
		document_free(doc);
		msgpack_unpacked_init(&theirs);
		assert_int_equal(msgpack_unpack_next(&theirs, bytes, len, &off),
				 MSGPACK_UNPACK_SUCCESS);
		assert_true(off == len);
		msgpack_unpacked_destroy(&theirs);
	}
	assert_true(n_good > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_key_twice_is_refused),
		cmocka_unit_test(texts_are_judged),
		cmocka_unit_test(documents_go_round),
		cmocka_unit_test(the_public_suite_is_read),
		cmocka_unit_test(noise_is_judged_as_msgpack_c_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
