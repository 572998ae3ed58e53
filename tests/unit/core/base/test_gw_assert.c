/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/gw_assert.c"

#include "base_test.h"

static void breaks_an_invariant(void)
{
	GW_ASSERT(1 + 1 == 3);
}

static void keeps_an_invariant(void)
{
	GW_ASSERT(1 + 1 == 2);
}

static void reaches_the_unreachable(void)
{
	GW_UNREACHABLE();
}

static void asserts_trap_in_place(void **state)
{
	(void)state;
	assert_traps(breaks_an_invariant);
	assert_traps(reaches_the_unreachable);
	assert_int_equal(signal_of(keeps_an_invariant), 0);
}

static void note_is_kept(void **state)
{
	(void)state;
	assert_null(gw_assert_last().file);
	gw_assert_note("some.c", 7, "a == b");
	assert_string_equal(gw_assert_last().file, "some.c");
	assert_string_equal(gw_assert_last().what, "a == b");
	assert_int_equal(gw_assert_last().line, 7);
}

static bool count_odd(int i)
{
	return GW_COUNT_IF(i % 2, "odd");
}

static bool count_three(int i)
{
	return GW_COUNT_IF(i == 3, "small");
}

static bool count_five(int i)
{
	return GW_COUNT_IF(i == 5, "small");
}

struct seen {
	unsigned n_names, odd, small, never;
};

static void see(const char *name, uint64_t n, void *arg)
{
	struct seen *seen = arg;

	seen->n_names++;
	if (strcmp(name, "odd") == 0)
		seen->odd = (unsigned)n;
	if (strcmp(name, "small") == 0)
		seen->small = (unsigned)n;
	if (strcmp(name, "never") == 0)
		seen->never = (unsigned)n + 1;
}

static void rare_events_are_counted(void **state)
{
	struct seen seen = { 0 };
	unsigned n_odd = 0;

	(void)state;
	for (int i = 0; i < 7; i++) {
		n_odd += count_odd(i);
		(void)count_three(i);
		(void)count_five(i);
		assert_false(GW_COUNT_IF(i == 100, "never"));
	}
	assert_int_equal(n_odd, 3);

	gw_count_each(see, &seen);
	assert_int_equal(seen.odd, 3);
	assert_int_equal(seen.small, 2); /* Two places, one name. */
	assert_int_equal(seen.never, 1); /* Told, with zero. */
	assert_int_equal(seen.n_names, 3);
}

struct holder {
	int before;
	int member;
};

static void container_is_found(void **state)
{
	struct holder h;

	(void)state;
	assert_ptr_equal(GW_CONTAINER_OF(&h.member, struct holder, member), &h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asserts_trap_in_place),
		cmocka_unit_test(note_is_kept),
		cmocka_unit_test(rare_events_are_counted),
		cmocka_unit_test(container_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
