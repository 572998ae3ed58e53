/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/base/base_test.h"

#include <pthread.h>

#include "core/base/block_pool.h"

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
		void *again = block_alloc(pool, 900 + (size_t)i % 100);

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

/* Pages that are in use when of each large block only the beginning is. */
static uint32_t pages_of(unsigned char *const *blocks, const size_t *used, size_t n)
{
	static bool seen[16 * POOL_SIZE / 4096];
	uintptr_t first = UINTPTR_MAX;
	uint32_t pages = 0;

	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < n; i++)
		first = (uintptr_t)blocks[i] / 4096 < first ? (uintptr_t)blocks[i] / 4096 : first;
	for (size_t i = 0; i < n; i++) {
		uintptr_t last = ((uintptr_t)blocks[i] + used[i] - 1) / 4096 - first;

		for (uintptr_t at = (uintptr_t)blocks[i] / 4096 - first; at <= last; at++) {
			assert_true(at < ARRAY_SIZE(seen));
			pages += !seen[at];
			seen[at] = true;
		}
	}
	return pages;
}

/* As the sessions of HTTP/2 are: a few small ones, and a buffer of which 500 bytes are used. */
static void small_blocks_share_the_page_of_a_large_ones_beginning(void **state)
{
	enum { SETS = 100, IN_SET = 5 };
	static const size_t sizes[IN_SET] = { 300, 2900, 1000, 1000, 16394 };
	static const size_t touched[IN_SET] = { 300, 2900, 1000, 1000, 500 };
	struct block_pool *pool = pool_of((size_t)16 * POOL_SIZE);
	unsigned char *blocks[SETS * IN_SET];
	size_t used[SETS * IN_SET], sum = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		blocks[i] = block_alloc(pool, sizes[i % IN_SET]);
		assert_non_null(blocks[i]);
		memset(blocks[i], (int)i, sizes[i % IN_SET]);
		used[i] = touched[i % IN_SET];
		sum += used[i];
	}
	assert_true((uint64_t)pages_of(blocks, used, ARRAY_SIZE(blocks)) * 4096 < sum * 5 / 4);
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		for (size_t j = 0; j < sizes[i % IN_SET]; j++)
			assert_int_equal(blocks[i][j], (unsigned char)i);
		block_free(blocks[i], pool);
	}
	block_pool_destroy(pool);
}

/* A class that is missed by a little holds a fourth more, not a half. */
static void little_room_is_lost_in_a_block(void **state)
{
	struct block_pool *pool = pool_of((size_t)16 * POOL_SIZE);

	(void)state;
	for (size_t size = 48; size + 16 <= BLOCK_MAX; size += 16) {
		void *block = block_alloc(pool, size);

		assert_non_null(block);
		assert_true(block_pool_stats(pool).used >= size + 16);
		assert_true(block_pool_stats(pool).used <= (size + 16) * 5 / 4);
		block_free(block, pool);
	}
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
		cmocka_unit_test(a_block_grows_and_keeps_what_it_holds),
		cmocka_unit_test(small_blocks_share_the_page_of_a_large_ones_beginning),
		cmocka_unit_test(little_room_is_lost_in_a_block),
		cmocka_unit_test(other_threads_give_blocks_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
