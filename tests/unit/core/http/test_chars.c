/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/chars.c"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ALNUM "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* The classes as the RFCs list them; obs-text and controls are checked by range. */
static const struct {
	uint8_t class;
	const char *members;
} classes[] = {
	{ CHARS_TOKEN, ALNUM "!#$%&'*+-.^_`|~" },
	{ CHARS_UNRESERVED, ALNUM "-._~" },
	{ CHARS_SEGMENT, ALNUM "-._~!$&'()*+,;=:@[]" },
	{ CHARS_TARGET, ALNUM "-._~!$&'()*+,;=:@[]/?%" },
	{ CHARS_HEX, "0123456789ABCDEFabcdef" },
};

static void classes_are_as_listed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		for (int c = 0; c < 256; c++) {
			bool want = c != 0 && strchr(classes[i].members, c) != NULL;

			if (chars_is((char)c, classes[i].class) != want)
				fail_msg("class %u: %#x", classes[i].class, c);
		}
	}
	for (int c = 0; c < 256; c++)
		if (chars_is((char)c, CHARS_TEXT) != (c == '\t' || (c >= ' ' && c != 0x7f)))
			fail_msg("text: %#x", c);
}

static void digits_have_values(void **state)
{
	static const char digits[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";

	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(chars_hex_value(digits[i]), i);
		assert_int_equal(chars_hex_value(upper[i]), i);
	}
	assert_true(chars_all("", 0, CHARS_HEX));
	assert_true(chars_all("a1", 2, CHARS_HEX));
	assert_false(chars_all("a1g", 3, CHARS_HEX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes_are_as_listed),
		cmocka_unit_test(digits_have_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
