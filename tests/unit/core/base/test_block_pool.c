/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/base/base_test.h"

#include <pthread.h>

#include "core/base/block_pool.h"
#include "tests/unit/resident.h"

enum { POOL_SIZE = 1 << 20 };

static struct block_pool *pool_of(size_t size)
{
	struct block_pool *pool;

	assert_int_equal(block_pool_create(size, &pool), 0);
	return pool;
}

static void blocks_of_all_sizes_are_apart_and_whole(void **state)
{
	static const size_t sizes[] = { 1, 15, 16, 17, 31, 100, 4096, 5000, 70000, 200000 };
	struct block_pool *pool = pool_of(POOL_SIZE);
	unsigned char *blocks[ARRAY_SIZE(sizes)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		blocks[i] = block_alloc(pool, sizes[i]);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % 16, 0);
		memset(blocks[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(blocks[i][j], i + 1);
	assert_true(block_pool_stats(pool).used <= block_pool_stats(pool).touched);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		block_free(blocks[i], pool);
	assert_int_equal(block_pool_stats(pool).used, 0);
	block_pool_destroy(pool);
}

static void what_was_freed_serves_again(void **state)
{
	struct block_pool *pool = pool_of(POOL_SIZE);
	void *first = block_alloc(pool, 1000);
	uint64_t touched = block_pool_stats(pool).touched;

	(void)state;
	block_free(first, pool);
	for (int i = 0; i < 10000; i++) {
		void *again = block_alloc(pool, 950 + (size_t)i % 50);

		assert_ptr_equal(again, first);
		block_free(again, pool);
	}
	assert_int_equal(block_pool_stats(pool).touched, touched);
	block_pool_destroy(pool);
}

static void beyond_its_size_a_pool_refuses(void **state)
{
	struct block_pool *pool = pool_of(64 << 10);
	void *blocks[64];
	uint32_t n = 0;

	(void)state;
	assert_null(block_alloc(pool, BLOCK_MAX)); /* With its header it is larger than any. */
	while (n < ARRAY_SIZE(blocks) && (blocks[n] = block_alloc(pool, 4000)))
		n++;
	assert_int_equal(n, 16);
	assert_int_equal(block_pool_stats(pool).refusals, 2);
	block_free(blocks[--n], pool);
	blocks[n] = block_alloc(pool, 4000);
	assert_non_null(blocks[n++]);
	while (n > 0)
		block_free(blocks[--n], pool);
	block_pool_destroy(pool);
}

static void a_block_is_little_larger_than_was_asked_for(void **state)
{
	(void)state;
	for (size_t size = 1; size <= BLOCK_MAX - 16; size += 1 + size / 100) {
		struct block_pool *pool = pool_of(POOL_SIZE);
		void *block = block_alloc(pool, size);

		assert_non_null(block);
		memset(block, 1, size);
		assert_in_range(block_pool_stats(pool).used, size + 16, (size + 16) * 9 / 8 + 16);
		block_free(block, pool);
		block_pool_destroy(pool);
	}
}

/* Who holds a large buffer and has used its first bytes alone costs no page for it. */
static void idle_buffers_share_their_pages(void **state)
{
	enum { N = 32, SMALL = 7, SMALL_LEN = 500, LARGE_LEN = 16394, HEAD_LEN = 400 };
	struct block_pool *pool = pool_of(POOL_SIZE);
	char *small[N][SMALL], *large[N];
	size_t each = SMALL * 512 + 512, resident;

	(void)state;
	for (int i = 0; i < N; i++) {
		large[i] = block_alloc(pool, LARGE_LEN);
		assert_non_null(large[i]);
		memset(large[i], 1, HEAD_LEN);
		for (int k = 0; k < SMALL; k++) {
			small[i][k] = block_alloc(pool, SMALL_LEN - 16);
			assert_non_null(small[i][k]);
			memset(small[i][k], 1, SMALL_LEN - 16);
		}
	}
	resident = resident_bytes(large[0], large[N - 1]);
	assert_in_range(resident, each * (N - 1) / 2, each * (N + 1));
	for (int i = 0; i < N; i++) {
		for (int k = 0; k < SMALL; k++)
			block_free(small[i][k], pool);
		block_free(large[i], pool);
	}
	block_pool_destroy(pool);
}

/* What was freed as one size serves another, rather than nobody. */
static void when_all_is_cut_a_larger_block_serves(void **state)
{
	struct block_pool *pool = pool_of(64 << 10);
	void *blocks[16], *small;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
		assert_non_null(blocks[i] = block_alloc(pool, 4000));
	assert_null(block_alloc(pool, 100));
	block_free(blocks[7], pool);
	small = block_alloc(pool, 100);
	assert_ptr_equal(small, blocks[7]);
	assert_null(block_alloc(pool, 100));
	assert_int_equal(block_pool_stats(pool).used, 64 << 10); /* It counts as what it is, */
	block_free(small, pool);
	assert_non_null(blocks[7] = block_alloc(pool, 4000)); /* and stays that. */
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
		block_free(blocks[i], pool);
	block_pool_destroy(pool);
}

static void a_block_grows_and_keeps_what_it_holds(void **state)
{
	struct block_pool *pool = pool_of(POOL_SIZE);
	unsigned char *block = block_alloc(pool, 10);
	unsigned char *heap = block_alloc(NULL, 10);

	(void)state;
	memset(block, 7, 10);
	memset(heap, 8, 10);
	assert_ptr_equal(block_realloc(block, 16, pool), block); /* There is room. */
	block = block_realloc(block, 50000, pool);
	heap = block_realloc(heap, 50000, pool); /* Now the pool's. */
	for (int i = 0; i < 10; i++) {
		assert_int_equal(block[i], 7);
		assert_int_equal(heap[i], 8);
	}
	assert_null(block_realloc(block, 2 * POOL_SIZE, pool)); /* It stays as it was. */
	assert_int_equal(block[9], 7);
	assert_true(block_pool_stats(pool).used >= 100000);
	block_free(block, pool);
	block_free(heap, pool);
	block_pool_destroy(pool);
}

struct foreign {
	void *blocks[100];
	uint32_t n;
};

static void *free_all(void *argument)
{
	struct foreign *foreign = argument;

	for (uint32_t i = 0; i < foreign->n; i++)
		block_free(foreign->blocks[i], NULL);
	return NULL;
}

static void other_threads_give_blocks_back(void **state)
{
	struct block_pool *pool = pool_of(POOL_SIZE);
	struct foreign foreign = { .n = ARRAY_SIZE(foreign.blocks) };
	uint64_t touched;
	pthread_t thread;

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < foreign.n; i++) {
			foreign.blocks[i] = block_alloc(pool, 2000);
			assert_non_null(foreign.blocks[i]);
		}
		if (round == 0)
			touched = block_pool_stats(pool).touched;
		assert_int_equal(pthread_create(&thread, NULL, free_all, &foreign), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(block_pool_stats(pool).used, 0);
	}
	assert_int_equal(block_pool_stats(pool).touched, touched);
	block_pool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_all_sizes_are_apart_and_whole),
		cmocka_unit_test(what_was_freed_serves_again),
		cmocka_unit_test(beyond_its_size_a_pool_refuses),
		cmocka_unit_test(a_block_is_little_larger_than_was_asked_for),
		cmocka_unit_test(idle_buffers_share_their_pages),
		cmocka_unit_test(when_all_is_cut_a_larger_block_serves),
		cmocka_unit_test(a_block_grows_and_keeps_what_it_holds),
		cmocka_unit_test(other_threads_give_blocks_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
