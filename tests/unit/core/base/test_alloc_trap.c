/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/alloc_trap.h"

#include "base_test.h"

#include "core/base/thread.h"

/*
 * The trap exists only where the program is linked with --wrap (the dev preset).
 * Elsewhere the counter stays at zero, and only the flag can be tested.
 */
static void *kept;

/* Through a global, so that the compiler cannot drop the pair. */
static void allocate_and_free(void)
{
	kept = malloc(1);
	__asm__ volatile("" ::: "memory");
	free(kept);
}

static bool is_linked_in(void)
{
	unsigned long before = gw_malloc_seen();

	allocate_and_free();
	return gw_malloc_seen() > before;
}

static void allocates(void)
{
	(void)gw_forbid_malloc(true);
	kept = malloc(1);
}

static void clears(void)
{
	(void)gw_forbid_malloc(true);
	kept = calloc(1, 1);
}

static void grows(void)
{
	(void)gw_forbid_malloc(true);
	kept = realloc(kept, 100);
}

static void copies(void)
{
	(void)gw_forbid_malloc(true);
	kept = strdup("x");
}

static void aligns(void)
{
	(void)gw_forbid_malloc(true);
	kept = aligned_alloc(64, 64);
}

static void frees(void)
{
	kept = malloc(1);
	(void)gw_forbid_malloc(true);
	free(kept);
}

static void frees_nothing(void)
{
	(void)gw_forbid_malloc(true);
	free(NULL);
}

static void allowed_again(void)
{
	GW_ASSERT(!gw_forbid_malloc(true));
	GW_ASSERT(gw_forbid_malloc(false));
	allocate_and_free();
}

static void allocations_trap_where_forbidden(void **state)
{
	(void)state;
	if (!is_linked_in())
		skip();
	assert_traps(allocates);
	assert_traps(clears);
	assert_traps(grows);
	assert_traps(copies);
	assert_traps(aligns);
	assert_traps(frees);
	assert_int_equal(signal_of(frees_nothing), 0);
	assert_int_equal(signal_of(allowed_again), 0);
}

static void allocate_freely(void *arg)
{
	(void)arg;
	GW_ASSERT(!gw_malloc_is_forbidden());
	allocate_and_free();
}

static void flag_is_each_threads_own(void **state)
{
	struct thread t;

	(void)state;
	assert_int_equal(thread_start(&t, "t", THREAD_ANY_CPU, allocate_freely, NULL), 0);
	assert_false(gw_forbid_malloc(true));
	thread_join(&t);
	assert_true(gw_forbid_malloc(false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocations_trap_where_forbidden),
		cmocka_unit_test(flag_is_each_threads_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
