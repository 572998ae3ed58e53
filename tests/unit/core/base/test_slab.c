/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/slab.c"

#include "base_test.h"
#include "core/base/rng.h"

struct thing {
	uint64_t id;
	char rest[40];
};

static struct slab made(uint32_t n_slots)
{
	struct slab s;

	assert_int_equal(slab_init(&s, sizeof(struct thing), 64, n_slots), 0);
	return s;
}

static void slots_are_lent_until_full(void **state)
{
	struct slab s = made(3);
	void *objects[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		objects[i] = slab_alloc(&s);
		assert_non_null(objects[i]);
		assert_int_equal((uintptr_t)objects[i] % 64, 0);
		assert_int_equal(slab_index(&s, objects[i]), i);
		assert_ptr_equal(slab_at(&s, i), objects[i]);
	}
	assert_null(slab_alloc(&s));
	assert_true(slab_is_full(&s));

	slab_free(&s, objects[0]);
	slab_free(&s, objects[2]);
	assert_null(slab_at(&s, 2));
	assert_ptr_equal(slab_zalloc(&s), objects[2]); /* Last in, first out: warm. */
	assert_int_equal(((struct thing *)objects[2])->id, 0);
	assert_int_equal(s.n_used_max, 3);
	slab_check(&s);
	slab_free(&s, objects[1]);
	slab_free(&s, objects[2]);
	slab_fini(&s);
}

static void stale_handles_find_nothing(void **state)
{
	struct slab s = made(4);
	void *first = slab_alloc(&s);
	struct slab_handle stale = slab_handle_of(&s, first);
	struct slab_handle fresh;
	const struct slab_handle wrong[] = {
		{ 0, 0 }, { 3, 0 }, { 3, 1 }, { 4, 1 }, { UINT32_MAX, 1 }, { 0, 2 },
	};

	(void)state;
	assert_ptr_equal(slab_lookup(&s, stale), first);
	slab_free(&s, first);
	assert_null(slab_lookup(&s, stale));
	assert_ptr_equal(slab_alloc(&s), first);
	assert_null(slab_lookup(&s, stale));
	fresh = slab_handle_unpack(slab_handle_pack(slab_handle_of(&s, first)));
	assert_ptr_equal(slab_lookup(&s, fresh), first);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_null(slab_lookup(&s, wrong[i]));
	slab_free(&s, first);
	slab_fini(&s);
}

static void live_objects_are_walked(void **state)
{
	struct slab s = made(10);
	struct thing *things[10];
	uint64_t sum = 0;
	uint32_t at = 0;
	const struct thing *t;

	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		things[i] = slab_alloc(&s);
		things[i]->id = UINT64_C(1) << i;
	}
	slab_free(&s, things[0]);
	slab_free(&s, things[5]);
	while ((t = slab_next(&s, &at)))
		sum += t->id;
	assert_int_equal(sum, 0xff & ~(1 << 0) & ~(1 << 5));
	for (uint32_t i = 1; i < 8; i++) {
		if (i != 5)
			slab_free(&s, things[i]);
	}
	slab_fini(&s);
}

/* Random use against a plain array: objects keep their contents, handles their truth. */
static void random_use_agrees_with_a_model(void **state)
{
	enum { N = 64 };
	struct slab s = made(N);
	struct thing *live[N] = { NULL };
	struct slab_handle handles[N];
	struct rng rng;
	uint32_t n_live = 0;

	(void)state;
	rng_seed(&rng, 1);
	for (uint64_t step = 1; step < 20000; step++) {
		uint32_t i = (uint32_t)rng_below(&rng, N);

		if (live[i]) {
			assert_ptr_equal(slab_lookup(&s, handles[i]), live[i]);
			slab_free(&s, live[i]);
			assert_null(slab_lookup(&s, handles[i]));
			live[i] = NULL;
			n_live--;
		} else {
			live[i] = slab_alloc(&s);
			assert_non_null(live[i]);
			live[i]->id = step;
			handles[i] = slab_handle_of(&s, live[i]);
			n_live++;
		}
		assert_int_equal(s.n_used, n_live);
		if (step % 64 == 0)
			slab_check(&s);
	}
	for (uint32_t i = 0; i < N; i++) {
		if (live[i])
			slab_free(&s, live[i]);
	}
	slab_fini(&s);
}

static void free_twice(void)
{
	struct slab s = made(2);
	void *object = slab_alloc(&s);

	slab_free(&s, object);
	slab_free(&s, object);
}

static void free_the_middle(void)
{
	struct slab s = made(2);
	char *object = slab_alloc(&s);

	slab_free(&s, object + 8);
}

static void fini_in_use(void)
{
	struct slab s = made(2);

	(void)slab_alloc(&s);
	slab_fini(&s);
}

static void misuse_traps(void **state)
{
	(void)state;
	assert_traps(free_twice);
	assert_traps(free_the_middle);
	assert_traps(fini_in_use);
}

static void unused_slots_cost_no_memory(void **state)
{
	struct slab s;

	(void)state;
	assert_int_equal(slab_init(&s, 4096, 64, 1u << 20), 0); /* 4 GiB of address space. */
	slab_free(&s, slab_alloc(&s));
	assert_int_equal(s.n_touched, 1);
	slab_fini(&s);
	assert_int_equal(slab_init(&s, 1u << 30, 64, 1u << 24), -ENOMEM); /* 2^54 bytes. */
}

#ifdef GW_ASAN
static void free_slots_are_poisoned(void **state)
{
	struct slab s = made(2);
	char *object = slab_alloc(&s);

	(void)state;
	assert_false(__asan_address_is_poisoned(object));
	slab_free(&s, object);
	assert_true(__asan_address_is_poisoned(object));
	slab_fini(&s);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_lent_until_full),
		cmocka_unit_test(stale_handles_find_nothing),
		cmocka_unit_test(live_objects_are_walked),
		cmocka_unit_test(random_use_agrees_with_a_model),
		cmocka_unit_test(misuse_traps),
		cmocka_unit_test(unused_slots_cost_no_memory),
#ifdef GW_ASAN
		cmocka_unit_test(free_slots_are_poisoned),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
