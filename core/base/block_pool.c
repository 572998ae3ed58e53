/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of a few sizes, cut from the front of a reserved region.
 *
 * Of a large block often only the beginning is ever touched: a buffer for frames, of which few
 * are long. Such a page would be kept for a few hundred bytes. So a large block begins late in
 * a page, and the room before it, its lead, is cut into small blocks.
 *
 * Each block has a header that names its pool (NULL: malloc's) and its class.
 * The owner keeps a free list per class. Other threads push what they free on
 * one list of the pool, which the owner takes as a whole when it runs short.
 */
#include "core/base/block_pool.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	CLASS_SHIFT_MIN = 5,  /* 32 bytes, */
	CLASS_SHIFT_MAX = 18, /* up to 256 KiB, with three sizes in between each two. */
	CLASS_STEPS = 4,
	N_CLASSES = CLASS_STEPS * (CLASS_SHIFT_MAX - CLASS_SHIFT_MIN) + 1,
	ALIGNMENT = 16,
	PAGE = 4096,
	LARGE_MIN = 2 * PAGE, /* Blocks of that size have */
	LEAD = PAGE * 3 / 4,  /* so many bytes of their first page before them. */
};

#define LIVE 0x6c697665u
#define FREE 0x66726565u

struct block {
	struct block_pool *pool;
	uint32_t class; /* Of the pool's; of malloc's the size. */
	uint32_t mark;
};

/* A free block's payload. */
struct free_block {
	struct block head;
	struct free_block *next;
};

_Static_assert(sizeof(struct block) == 16, "payloads keep malloc's alignment");
_Static_assert(BLOCK_MAX == 1 << CLASS_SHIFT_MAX, "the largest class");
_Static_assert(sizeof(struct free_block) <= 1 << CLASS_SHIFT_MIN, "the least block can be listed");

/* Room before a large block, not used yet. */
struct lead {
	struct lead *next;
};

struct block_pool {
	char *region;
	size_t size, used_up; /* Whole pages. */
	char *small;          /* Small blocks are cut from here, */
	size_t small_left;    /* as long as it lasts; */
	struct lead *leads;   /* then from one of these. */
	struct free_block *free[N_CLASSES];
	_Atomic(struct free_block *) returned; /* By other threads. */
	_Atomic uint64_t used, touched, refusals;
};

/* --- Sizes. ---------------------------------------------------------------------------------- */

static size_t round_up(size_t size, size_t to)
{
	return (size + to - 1) / to * to;
}

/* Of the least classes some are alike: blocks are aligned. */
static size_t class_size(uint32_t class)
{
	size_t power = (size_t)1 << (CLASS_SHIFT_MIN + class / CLASS_STEPS);

	return round_up(power + power / CLASS_STEPS * (class % CLASS_STEPS), ALIGNMENT);
}

/* The smallest class that holds 'size' bytes, N_CLASSES if there is none. */
static uint32_t class_of(size_t size)
{
	uint32_t shift;
	size_t power, step;

	if (size <= (size_t)1 << CLASS_SHIFT_MIN)
		return 0;
	if (size > (size_t)1 << CLASS_SHIFT_MAX)
		return N_CLASSES;
	shift = 63 - (uint32_t)__builtin_clzll(size - 1);
	power = (size_t)1 << shift;
	step = power / CLASS_STEPS;
	return CLASS_STEPS * (shift - CLASS_SHIFT_MIN) +
	       (uint32_t)((size - power + step - 1) / step);
}

/* --- Blocks of a pool. ----------------------------------------------------------------------- */

static void count(_Atomic uint64_t *counter, uint64_t delta)
{
	atomic_fetch_add_explicit(counter, delta, memory_order_relaxed);
}

static void keep(struct block_pool *pool, struct free_block *block)
{
	block->next = pool->free[block->head.class];
	pool->free[block->head.class] = block;
}

static void take_returned(struct block_pool *pool)
{
	struct free_block *next,
		*block = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);

	for (; block; block = next) {
		next = block->next;
		keep(pool, block);
	}
}

/* Whole pages; NULL when there are none. */
static char *cut_pages(struct block_pool *pool, size_t size)
{
	char *pages = pool->region + pool->used_up;

	if (size > pool->size - pool->used_up)
		return NULL;
	pool->used_up += size;
	atomic_store_explicit(&pool->touched, pool->used_up, memory_order_relaxed);
	return pages;
}

static char *cut_large(struct block_pool *pool, size_t size)
{
	char *pages = cut_pages(pool, round_up(LEAD + size, PAGE));
	struct lead *lead = (struct lead *)pages;

	if (!pages)
		return NULL;
	lead->next = pool->leads;
	pool->leads = lead;
	return pages + LEAD;
}

/* Room for a small block: a lead, or else pages. */
static char *take_room(struct block_pool *pool, size_t size, size_t *ret_len)
{
	struct lead *lead = pool->leads;

	if (lead && size <= LEAD) {
		pool->leads = lead->next;
		*ret_len = LEAD;
		return (char *)lead;
	}
	*ret_len = round_up(size, PAGE);
	return cut_pages(pool, *ret_len);
}

static char *cut_small(struct block_pool *pool, size_t size)
{
	char *block = pool->small;
	size_t len = pool->small_left;

	if (size > len)
		block = take_room(pool, size, &len);
	if (!block)
		return NULL;
	/* What remains of the one or the other is lost: the lesser. */
	if (block == pool->small || len - size > pool->small_left) {
		pool->small = block + size;
		pool->small_left = len - size;
	}
	return block;
}

static struct free_block *cut(struct block_pool *pool, uint32_t class)
{
	size_t size = class_size(class);

	return (struct free_block *)(size < LARGE_MIN ? cut_small(pool, size)
						      : cut_large(pool, size));
}

static struct free_block *find(struct block_pool *pool, uint32_t class)
{
	struct free_block *block = pool->free[class];

	if (!block && atomic_load_explicit(&pool->returned, memory_order_relaxed)) {
		take_returned(pool);
		block = pool->free[class];
	}
	if (!block)
		return cut(pool, class);
	GW_ASSERT(block->head.mark == FREE);
	pool->free[class] = block->next;
	return block;
}

static void *pool_alloc(struct block_pool *pool, size_t size)
{
	uint32_t class = class_of(size + sizeof(struct block));
	struct free_block *block = class < N_CLASSES ? find(pool, class) : NULL;

	if (!block) {
		count(&pool->refusals, 1);
		return NULL;
	}
	block->head = (struct block){ pool, class, LIVE };
	count(&pool->used, class_size(class));
	return &block->head + 1;
}

static void pool_free(struct block_pool *pool, struct block *head, const struct block_pool *mine)
{
	struct free_block *block = (struct free_block *)head;

	head->mark = FREE;
	atomic_fetch_sub_explicit(&pool->used, class_size(head->class), memory_order_relaxed);
	if (pool == mine) {
		keep(pool, block);
		return;
	}
	block->next = atomic_load_explicit(&pool->returned, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&pool->returned, &block->next, block,
						      memory_order_release, memory_order_relaxed))
		;
}

/* --- Blocks. --------------------------------------------------------------------------------- */

static void *heap_alloc(size_t size)
{
	struct block *head = size <= UINT32_MAX ? malloc(size + sizeof(*head)) : NULL;

	if (!head)
		return NULL;
	*head = (struct block){ NULL, (uint32_t)size, LIVE };
	return head + 1;
}

static struct block *head_of(void *payload)
{
	struct block *head = (struct block *)payload - 1;

	GW_ASSERT(head->mark == LIVE); /* Not freed twice, not foreign. */
	return head;
}

static size_t room_of(const struct block *head)
{
	return head->pool ? class_size(head->class) - sizeof(*head) : head->class;
}

void *block_alloc(struct block_pool *pool, size_t size)
{
	return pool ? pool_alloc(pool, size) : heap_alloc(size);
}

void block_free(void *block, struct block_pool *mine)
{
	struct block *head = head_of(block);

	if (head->pool) {
		pool_free(head->pool, head, mine);
		return;
	}
	head->mark = FREE;
	free(head);
}

void *block_realloc(void *block, size_t size, struct block_pool *mine)
{
	size_t room = room_of(head_of(block));
	void *moved;

	if (size <= room && head_of(block)->pool)
		return block;
	moved = block_alloc(mine, size);
	if (!moved)
		return NULL;
	memcpy(moved, block, size < room ? size : room);
	block_free(block, mine);
	return moved;
}

/* --- Pools. ---------------------------------------------------------------------------------- */

int block_pool_create(size_t size, struct block_pool **ret_pool)
{
	struct block_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	pool->region = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pool->region == MAP_FAILED) {
		free(pool);
		return -ENOMEM;
	}
	pool->size = size;
	*ret_pool = pool;
	return 0;
}

void block_pool_destroy(struct block_pool *pool)
{
	if (!pool)
		return;
	GW_ASSERT(pool->used == 0);
	munmap(pool->region, pool->size);
	free(pool);
}

struct block_pool_stats block_pool_stats(const struct block_pool *pool)
{
	return (struct block_pool_stats){
		.used = atomic_load_explicit(&pool->used, memory_order_relaxed),
		.touched = atomic_load_explicit(&pool->touched, memory_order_relaxed),
		.size = pool->size,
		.refusals = atomic_load_explicit(&pool->refusals, memory_order_relaxed),
	};
}
