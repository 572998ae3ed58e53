/* SPDX-License-Identifier: Apache-2.0 */
/* Text with places: what is one, what it becomes, how long it can get. */
#include "policy/template.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char compiled[256], filled[256];

static struct slice compile(const char *written)
{
	struct writer w = writer_make(compiled, sizeof(compiled));

	assert_int_equal(template_check(slice_of(written), UINT32_MAX), 0);
	template_compile(&w, slice_of(written));
	return writer_slice(&w);
}

static const struct slice values[TEMPLATE_N] = {
	[TEMPLATE_HOST] = SLICE_INIT("a.test"),
	[TEMPLATE_PATH] = SLICE_INIT("/p${host}"), /* What is filled in is not looked into. */
	[TEMPLATE_REST] = SLICE_INIT(""),
};

static void fills(const char *written, const char *want)
{
	struct writer w = writer_make(filled, sizeof(filled) - 1);

	template_fill(&w, compile(written), values);
	*w.ptr = '\0';
	assert_string_equal(filled, want);
}

static void places_are_filled(void **state)
{
	(void)state;
	fills("", "");
	fills("plain $ {} $$ }", "plain $ {} $$ }");
	fills("${host}", "a.test");
	fills("<${host}${path}${rest}${host}>", "<a.test/p${host}a.test>");
}

static void only_what_is_allowed_is_a_place(void **state)
{
	static const char *const bad[] = { "${",      "${host",   "${}",         "${hosts}",
					   "${HOST}", "${ host}", "a${host}${b}" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(template_check(slice_of(bad[i]), UINT32_MAX), -EINVAL);
	assert_int_equal(template_check(SLICE("${host}"), TEMPLATE_IN_PATH), -EINVAL);
	assert_int_equal(template_check(SLICE("${origin}"), TEMPLATE_IN_REQUEST), -EINVAL);
	assert_int_equal(template_check(SLICE("${path}"), TEMPLATE_IN_RESPONSE), -EINVAL);
	assert_int_equal(template_check(SLICE("${path}${rest}"), TEMPLATE_IN_PATH), 0);
}

static void lines_without_a_value_are_left_out(void **state)
{
	struct writer w = writer_make(filled, sizeof(filled) - 1);

	(void)state;
	template_fill_lines(&w, compile("a: 1\r\nb: x${rest}y\r\nc: ${host}\r\n"), values);
	*w.ptr = '\0';
	assert_string_equal(filled, "a: 1\r\nc: a.test\r\n");
}

static void the_most_is_known(void **state)
{
	(void)state;
	assert_int_equal(template_most(compile("abc")), 3);
	assert_int_equal(template_most(compile("a${scheme}c${client_ip}")), 1 + 5 + 1 + 45);
	assert_int_equal(template_most(compile("a${path}")), UINT32_MAX);
}

static void too_much_is_an_overflow(void **state)
{
	char small[5];
	struct writer w = writer_make(small, sizeof(small));

	(void)state;
	template_fill(&w, compile("${host}"), values);
	assert_true(w.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_are_filled),
		cmocka_unit_test(only_what_is_allowed_is_a_place),
		cmocka_unit_test(lines_without_a_value_are_left_out),
		cmocka_unit_test(the_most_is_known),
		cmocka_unit_test(too_much_is_an_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
