/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/arena.c"

#include "base_test.h"

static void memory_is_aligned_and_apart(void **state)
{
	_Alignas(64) char block[1024];
	struct arena a;
	char *before = block;

	(void)state;
	arena_init(&a, block + 1, sizeof(block) - 1); /* A block at an odd address. */
	for (size_t align = 1; align <= 64; align *= 2) {
		char *p = arena_alloc(&a, 10, align);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % align, 0);
		assert_true(p > before);
		memset(p, 0x55, 10);
		before = p + 9;
	}
	assert_true(before < block + sizeof(block));
	arena_fini(&a);
}

static void full_is_sticky_until_reset(void **state)
{
	char block[64];
	struct arena a;

	(void)state;
	arena_init(&a, block, sizeof(block));
	assert_non_null(arena_alloc(&a, 60, 1));
	assert_null(arena_alloc(&a, 5, 1));
	assert_true(a.overflow);
	assert_non_null(arena_alloc(&a, 4, 1)); /* Smaller things still fit. */
	assert_true(a.overflow);
	assert_int_equal(arena_room(&a), 0);
	assert_null(arena_alloc(&a, SIZE_MAX, 1));
	assert_null(arena_dup(&a, SLICE("x")).ptr);
	arena_reset(&a);
	assert_false(a.overflow);
	assert_int_equal(a.len_max, 64);
	assert_int_equal(arena_room(&a), 64);
	arena_fini(&a);
}

static void release_goes_back_to_the_mark(void **state)
{
	char block[64];
	struct arena a;
	struct arena_mark mark;
	struct slice kept;

	(void)state;
	arena_init(&a, block, sizeof(block));
	kept = arena_dup(&a, SLICE("kept"));
	mark = arena_mark(&a);
	(void)arena_dup(&a, SLICE("gone"));
	arena_release(&a, mark);
	assert_slice(kept, "kept");
	assert_ptr_equal(arena_alloc(&a, 1, 1), kept.ptr + 4);
	arena_fini(&a);
}

static void zeroed_is_zeroed(void **state)
{
	char block[64];
	struct arena a;
	const uint64_t *n;

	(void)state;
	memset(block, 0xff, sizeof(block));
	arena_init(&a, block, sizeof(block));
	n = arena_new(&a, uint64_t);
	assert_non_null(n);
	assert_true(*n == 0);
	arena_fini(&a);
}

static char trap_block[64];

static void bad_align(void)
{
	struct arena a;

	arena_init(&a, trap_block, sizeof(trap_block));
	(void)arena_alloc(&a, 1, 3);
}

static void release_forward(void)
{
	struct arena a;

	arena_init(&a, trap_block, sizeof(trap_block));
	arena_release(&a, (struct arena_mark){ 1 });
}

static void misuse_traps(void **state)
{
	(void)state;
	assert_traps(bad_align);
	assert_traps(release_forward);
}

#ifdef GW_ASAN
static void memory_is_poisoned(void **state)
{
	char block[64];
	struct arena a;
	char *p;

	(void)state;
	arena_init(&a, block, sizeof(block));
	p = arena_alloc(&a, 8, 8);
	assert_false(__asan_address_is_poisoned(p));
	assert_true(__asan_address_is_poisoned(p + 8));
	arena_reset(&a);
	assert_true(__asan_address_is_poisoned(p));
	arena_fini(&a);
	assert_false(__asan_address_is_poisoned(block + 63));
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_aligned_and_apart),
		cmocka_unit_test(full_is_sticky_until_reset),
		cmocka_unit_test(release_goes_back_to_the_mark),
		cmocka_unit_test(zeroed_is_zeroed),
		cmocka_unit_test(misuse_traps),
#ifdef GW_ASAN
		cmocka_unit_test(memory_is_poisoned),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
