/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/crypto/base64url.c"

static const struct {
	const char *text, *bytes; /* NULL: it stands for none. */
} cases[] = {
	{ "", "" },
	{ "Zg", "f" },
	{ "YWI", "ab" },
	{ "Zm9v", "foo" },
	{ "Zm9vYmE", "fooba" },
	{ "-_-_", "\xfb\xff\xbf" },
	{ "AZaz09-_", "\x01\x96\xb3\xd3\xdf\xbf" },
	{ "Z", NULL },
	{ "Zm9vY", NULL },
	{ "Zg==", NULL },
	{ "Zm8=", NULL },
	{ "Zm9v=", NULL },
	{ "Zm9v====", NULL },
	{ "+/+/", NULL },
	{ "Zm 9", NULL },
	{ " Zm9v", NULL },
	{ "Zm9v\n", NULL },
	{ "Zm9\xc3", NULL },
	{ "Zh", NULL }, /* Bits beyond the last byte. */
	{ "Zm9", NULL },
	{ "Zm9vYmF", NULL },
};

static void texts_are_decoded(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct slice text = slice_of(cases[i].text), want = slice_of(cases[i].bytes);
		char bytes[16];
		int r = base64url_decode(text, bytes);

		if (r != (cases[i].bytes ? 0 : -EINVAL))
			fail_msg("%s: %d", cases[i].text, r);
		if (r == 0 && !slice_eq(want, slice_make(bytes, base64url_size(text.len))))
			fail_msg("%s: other bytes", cases[i].text);
	}
}

static void each_byte_is_a_letter_or_none(void **state)
{
	unsigned n_letters = 0;

	(void)state;
	for (int c = 0; c < 256; c++) {
		char text[4] = { 'A', 'A', 'A', (char)c }, bytes[3];

		n_letters += base64url_decode(slice_make(text, 4), bytes) == 0;
	}
	assert_int_equal(n_letters, 64);
}

/* Of all texts of two letters, those without excess bits: each byte once. */
static void no_two_texts_are_the_same(void **state)
{
	bool seen[256] = { false };
	unsigned n = 0;

	(void)state;
	for (int i = 0; i < 65536; i++) {
		char text[2] = { (char)(i >> 8), (char)i };
		uint8_t byte;

		if (base64url_decode(slice_make(text, 2), &byte) < 0)
			continue;
		assert_false(seen[byte]);
		seen[byte] = true;
		n++;
	}
	assert_int_equal(n, 256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_decoded),
		cmocka_unit_test(each_byte_is_a_letter_or_none),
		cmocka_unit_test(no_two_texts_are_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
