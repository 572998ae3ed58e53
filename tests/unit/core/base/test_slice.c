/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/slice.c"

#include "base_test.h"

static const struct {
	const char *a, *b;
	bool eq, eq_nocase;
	int order;
} pairs[] = {
	{ "", "", true, true, 0 },          { "a", "", false, false, 1 },
	{ "abc", "abc", true, true, 0 },    { "abc", "ABC", false, true, 1 },
	{ "abc", "abd", false, false, -1 }, { "ab", "abc", false, false, -1 },
	{ "[a", "{A", false, false, -1 }, /* '[' and '{' differ by the case bit only. */
	{ "@", "`", false, false, -1 },     { "\xc4", "\xe4", false, false, -1 },
};

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void slices_compare(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct slice a = slice_of(pairs[i].a);
		struct slice b = slice_of(pairs[i].b);

		if (slice_eq(a, b) != pairs[i].eq || slice_eq_nocase(a, b) != pairs[i].eq_nocase ||
		    sign(slice_cmp(a, b)) != pairs[i].order ||
		    sign(slice_cmp(b, a)) != -pairs[i].order)
			fail_msg("'%s' and '%s'", pairs[i].a, pairs[i].b);
	}
}

static void ends_are_recognised(void **state)
{
	struct slice s = SLICE("Content-Length");

	(void)state;
	assert_true(slice_starts_with(s, SLICE("Content")));
	assert_false(slice_starts_with(s, SLICE("content")));
	assert_true(slice_starts_with_nocase(s, SLICE("cONTENT-")));
	assert_false(slice_starts_with_nocase(SLICE("co"), SLICE("con")));
	assert_true(slice_starts_with(s, SLICE("")));
	assert_true(slice_ends_with(s, SLICE("Length")));
	assert_false(slice_ends_with(s, SLICE("length")));
	assert_true(slice_ends_with(s, s));
	assert_false(slice_ends_with(SLICE("h"), SLICE("th")));
}

static void positions_are_found(void **state)
{
	struct slice s = SLICE("a:b:c");

	(void)state;
	assert_int_equal(slice_find(s, ':'), 1);
	assert_int_equal(slice_find_last(s, ':'), 3);
	assert_true(slice_find(s, 'x') == SLICE_NONE);
	assert_true(slice_find_last(s, 'x') == SLICE_NONE);
	assert_true(slice_find((struct slice){ NULL, 0 }, 'x') == SLICE_NONE);
	assert_int_equal(slice_find_slice(s, SLICE("b:")), 2);
	assert_int_equal(slice_find_slice(s, SLICE(":c")), 3);
	assert_true(slice_find_slice(s, SLICE(":d")) == SLICE_NONE);
	assert_true(slice_find_slice(SLICE("a"), SLICE("ab")) == SLICE_NONE);
}

static const struct {
	const char *in, *out;
} trims[] = {
	{ "", "" },     { "a", "a" },     { "  a", "a" },   { "a\t ", "a" }, { " \ta b\t", "a b" },
	{ " \t ", "" }, { "\ra", "\ra" }, { "a\v", "a\v" },
};

static void white_space_is_trimmed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(trims); i++)
		assert_slice(slice_trim(slice_of(trims[i].in)), trims[i].out);
}

static void slices_are_cut(void **state)
{
	struct slice head;
	struct slice tail;

	(void)state;
	assert_slice(slice_drop(SLICE("abc"), 1), "bc");
	assert_slice(slice_drop(SLICE("abc"), 9), "");
	assert_slice(slice_take(SLICE("abc"), 2), "ab");
	assert_slice(slice_take(SLICE("abc"), 9), "abc");
	assert_slice(slice_drop((struct slice){ NULL, 0 }, 3), "");

	assert_true(slice_split(SLICE("k=v=w"), '=', &head, &tail));
	assert_slice(head, "k");
	assert_slice(tail, "v=w");
	assert_false(slice_split(SLICE("k"), '=', &head, &tail));
	assert_slice(head, "k");
	assert_slice(tail, "");
}

static const struct {
	const char *list, *joined;
} lists[] = {
	{ "", "[]" },           { "a", "[a]" },
	{ "a,b", "[a][b]" },    { " a ,\tb ", "[a][b]" },
	{ "a,,b", "[a][][b]" }, { ",", "[][]" },
	{ "a,", "[a][]" },      { "a b,\"c,d\"", "[a b][\"c][d\"]" },
};

static void lists_are_walked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct slice list = slice_of(lists[i].list);
		struct slice token;
		char joined[64];
		size_t len = 0;

		while (slice_next_token(&list, ',', &token))
			len += (size_t)snprintf(joined + len, sizeof(joined) - len, "[%.*s]",
						SLICE_ARG(token));
		assert_slice(slice_make(joined, len), lists[i].joined);
	}
}

static void words_are_found_in_lists(void **state)
{
	struct slice list = SLICE("keep-alive, Close ,te");

	(void)state;
	assert_true(slice_has_token(list, SLICE("close")));
	assert_true(slice_has_token(list, SLICE("TE")));
	assert_false(slice_has_token(list, SLICE("keep")));
	assert_false(slice_has_token((struct slice){ NULL, 0 }, SLICE("te")));
}

static const struct {
	const char *text;
	int want;
	uint64_t value;
} numbers[] = {
	{ "0", 0, 0 },
	{ "7", 0, 7 },
	{ "007", 0, 7 },
	{ "18446744073709551615", 0, UINT64_MAX },
	{ "18446744073709551616", -ERANGE, 0 },
	{ "99999999999999999999999", -ERANGE, 0 },
	{ "000000000000000000000000000001", 0, 1 },
	{ "", -EINVAL, 0 },
	{ "+1", -EINVAL, 0 },
	{ "-1", -EINVAL, 0 },
	{ " 1", -EINVAL, 0 },
	{ "1 ", -EINVAL, 0 },
	{ "1_0", -EINVAL, 0 },
	{ "0x1", -EINVAL, 0 },
	{ "99999999999999999999999x", -EINVAL, 0 }, /* Bad rather than too big. */
	{ "/", -EINVAL, 0 },
	{ ":", -EINVAL, 0 },
};

static const struct {
	const char *text;
	int want;
	uint64_t value;
} hex_numbers[] = {
	{ "0", 0, 0 },
	{ "fF", 0, 255 },
	{ "FFFFFFFFFFFFFFFF", 0, UINT64_MAX },
	{ "10000000000000000", -ERANGE, 0 },
	{ "0000000000000000001", 0, 1 },
	{ "", -EINVAL, 0 },
	{ "g", -EINVAL, 0 },
	{ "`", -EINVAL, 0 },
	{ "@", -EINVAL, 0 },
	{ "0x1", -EINVAL, 0 },
};

static void numbers_are_strict(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uint64_t value = 42;
		int r = slice_to_u64(slice_of(numbers[i].text), &value);

		if (r != numbers[i].want || value != (r ? 42 : numbers[i].value))
			fail_msg("'%s': %d, %lu", numbers[i].text, r, value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(hex_numbers); i++) {
		uint64_t value = 42;
		int r = slice_hex_to_u64(slice_of(hex_numbers[i].text), &value);

		if (r != hex_numbers[i].want || value != (r ? 42 : hex_numbers[i].value))
			fail_msg("hex '%s': %d, %lu", hex_numbers[i].text, r, value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slices_compare),
		cmocka_unit_test(ends_are_recognised),
		cmocka_unit_test(positions_are_found),
		cmocka_unit_test(white_space_is_trimmed),
		cmocka_unit_test(slices_are_cut),
		cmocka_unit_test(lists_are_walked),
		cmocka_unit_test(words_are_found_in_lists),
		cmocka_unit_test(numbers_are_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
