/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of many sizes, cut from the front of a reserved region.
 *
 * Each block has a header that names its pool (NULL: malloc's) and its class.
 * The owner keeps a free list per class. Other threads push what they free on
 * one list of the pool, which the owner takes as a whole when it runs short.
 *
 * A page counts as soon as one byte of it is touched. Large blocks are buffers of
 * which an idle owner has touched the first bytes alone, so those lie at the end of
 * a page, and what is before them in it is a gap for small blocks.
 */
#include "core/base/block_pool.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	GRAIN_SHIFT = 4,
	GRAIN = 1 << GRAIN_SHIFT,
	SIZE_MIN = 2 * GRAIN,
	/* Up to 256 bytes each multiple of 16 is a class; from there eight of each power of two. */
	FINE_SHIFT = 8,
	STEPS_SHIFT = 3,
	STEPS = 1 << STEPS_SHIFT,
	N_FINE = (1 << FINE_SHIFT) / GRAIN - 1,
	SIZE_SHIFT_MAX = 18,
	N_CLASSES = N_FINE + STEPS * (SIZE_SHIFT_MAX - FINE_SHIFT),

	PAGE = 4096,
	LARGE_MIN = 4 * PAGE, /* From that size on blocks begin at the end of a page, */
	LARGE_HEAD = 512,     /* with so many of their bytes. */
	N_GAPS = 8,
	GAP_MIN = 64, /* Less is not worth a place. */
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
_Static_assert(BLOCK_MAX == 1 << SIZE_SHIFT_MAX, "the largest class");
_Static_assert(sizeof(struct free_block) <= SIZE_MIN, "the least block can be listed");

/* Bytes of the region, from 'at' to before 'end'. */
struct gap {
	size_t at, end;
};

struct block_pool {
	char *region;
	size_t size, used_up;
	struct gap gaps[N_GAPS]; /* Before used_up, and never given out. */
	struct free_block *free[N_CLASSES];
	/* Written by the owner alone. */
	_Atomic uint64_t given; /* Bytes in blocks, less those that it freed itself. */
	_Atomic uint64_t touched, refusals;
	/* Written by other threads. */
	_Atomic(struct free_block *) returned;
	_Atomic uint64_t returned_len; /* All that ever were. */
};

/* --- Sizes. ---------------------------------------------------------------------------------- */

static size_t class_size(uint32_t class)
{
	uint32_t shift, step;

	if (class < N_FINE)
		return SIZE_MIN + class * (size_t)GRAIN;
	shift = FINE_SHIFT + (class - N_FINE) / STEPS;
	step = (class - N_FINE) % STEPS + 1;
	return ((size_t)STEPS + step) << (shift - STEPS_SHIFT);
}

/* The smallest class that holds 'size' bytes, N_CLASSES if there is none. */
static uint32_t class_of(size_t size)
{
	uint32_t shift, step;

	if (size <= SIZE_MIN)
		return 0;
	if (size <= (size_t)1 << FINE_SHIFT)
		return (uint32_t)((size - SIZE_MIN + GRAIN - 1) >> GRAIN_SHIFT);
	if (size > (size_t)1 << SIZE_SHIFT_MAX)
		return N_CLASSES;
	shift = 63 - (uint32_t)__builtin_clzll(size - 1);
	step = (uint32_t)((size - 1) >> (shift - STEPS_SHIFT)) - STEPS;
	return N_FINE + STEPS * (shift - FINE_SHIFT) + step;
}

/* --- The region. ----------------------------------------------------------------------------- */

static void set(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_store_explicit(counter, value, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* It takes the place of the least one, unless it is that itself. */
static void keep_gap(struct block_pool *pool, size_t at, size_t end)
{
	struct gap *least = &pool->gaps[0];

	for (uint32_t i = 1; i < N_GAPS; i++)
		if (pool->gaps[i].end - pool->gaps[i].at < least->end - least->at)
			least = &pool->gaps[i];
	if (end - at >= GAP_MIN && end - at > least->end - least->at)
		*least = (struct gap){ at, end };
}

static size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* These return where in the region, or SIZE_MAX. */
static size_t cut_from_gap(struct block_pool *pool, size_t size)
{
	for (uint32_t i = 0; i < N_GAPS; i++) {
		struct gap *gap = &pool->gaps[i];

		if (size > gap->end - gap->at)
			continue;
		gap->at += size;
		return gap->at - size;
	}
	return SIZE_MAX;
}

static size_t cut_from_front(struct block_pool *pool, size_t at, size_t size)
{
	if (at > pool->size || size > pool->size - at)
		return SIZE_MAX;
	pool->used_up = at + size;
	set(&pool->touched, pool->used_up);
	return at;
}

static size_t cut_large(struct block_pool *pool, size_t size)
{
	size_t before = pool->used_up,
	       at = cut_from_front(pool, round_up(before + LARGE_HEAD, PAGE) - LARGE_HEAD, size);

	if (at == SIZE_MAX)
		return cut_from_front(pool, before, size);
	keep_gap(pool, before, at);
	/* Its last page may stay untouched, so nothing else is in it. */
	before = round_up(pool->used_up, PAGE);
	(void)cut_from_front(pool, before, 0);
	return at;
}

static struct free_block *cut(struct block_pool *pool, uint32_t class)
{
	size_t size = class_size(class), at;

	if (size >= LARGE_MIN) {
		at = cut_large(pool, size);
	} else {
		at = cut_from_gap(pool, size);
		if (at == SIZE_MAX)
			at = cut_from_front(pool, pool->used_up, size);
	}
	return at == SIZE_MAX ? NULL : (struct free_block *)(pool->region + at);
}

/* --- Blocks of a pool. ----------------------------------------------------------------------- */

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

static struct free_block *take(struct block_pool *pool, uint32_t class)
{
	struct free_block *block = pool->free[class];

	GW_ASSERT(block->head.mark == FREE && block->head.class == class);
	pool->free[class] = block->next;
	return block;
}

/* Nothing is left to cut: any block that is large enough will do. */
static struct free_block *find_larger(struct block_pool *pool, uint32_t class)
{
	while (++class < N_CLASSES)
		if (pool->free[class])
			return take(pool, class);
	return NULL;
}

/* The block's header says of which class it is. */
static struct free_block *find(struct block_pool *pool, uint32_t class)
{
	struct free_block *block;

	if (!pool->free[class] && atomic_load_explicit(&pool->returned, memory_order_relaxed))
		take_returned(pool);
	if (pool->free[class])
		return take(pool, class);
	block = cut(pool, class);
	if (!block)
		return find_larger(pool, class);
	block->head.class = class;
	return block;
}

static void *pool_alloc(struct block_pool *pool, size_t size)
{
	uint32_t class = class_of(size + sizeof(struct block));
	struct free_block *block = class < N_CLASSES ? find(pool, class) : NULL;

	if (!block) {
		set(&pool->refusals, get(&pool->refusals) + 1);
		return NULL;
	}
	block->head.pool = pool;
	block->head.mark = LIVE;
	set(&pool->given, get(&pool->given) + class_size(block->head.class));
	return &block->head + 1;
}

static void pool_free(struct block_pool *pool, struct block *head, const struct block_pool *mine)
{
	struct free_block *block = (struct free_block *)head;

	head->mark = FREE;
	if (pool == mine) {
		set(&pool->given, get(&pool->given) - class_size(head->class));
		keep(pool, block);
		return;
	}
	/* Who sees that it came back sees that it was given: 'used' is never below zero. */
	atomic_fetch_add_explicit(&pool->returned_len, class_size(head->class),
				  memory_order_release);
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
	GW_ASSERT(block_pool_stats(pool).used == 0);
	munmap(pool->region, pool->size);
	free(pool);
}

struct block_pool_stats block_pool_stats(const struct block_pool *pool)
{
	uint64_t returned = atomic_load_explicit(&pool->returned_len, memory_order_acquire);

	return (struct block_pool_stats){
		.used = get(&pool->given) - returned,
		.touched = get(&pool->touched),
		.size = pool->size,
		.refusals = get(&pool->refusals),
	};
}
