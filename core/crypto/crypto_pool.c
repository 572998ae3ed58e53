/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto_pool.c - blocks of a few sizes, cut from the front of a reserved region.
 *
 * Each block has a header that names its pool (NULL: malloc's) and its class.
 * The owner keeps a free list per class. Other threads push what they free on
 * one list of the pool, which the owner takes as a whole when it runs short.
 */
#include <openssl/crypto.h> /* First: see tls_private.h. */

#include "core/crypto/crypto_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	CLASS_SHIFT_MIN = 5,  /* 32 bytes, */
	CLASS_SHIFT_MAX = 18, /* up to 256 KiB, with one size in between each two. */
	N_CLASSES = 2 * (CLASS_SHIFT_MAX - CLASS_SHIFT_MIN) + 1,
	POOLS_MAX = 1024,
};

#define LIVE 0x6c697665u
#define FREE 0x66726565u

struct block {
	struct crypto_pool *pool;
	uint32_t class; /* Of the pool's; of malloc's the size. */
	uint32_t mark;
};

/* A free block's payload. */
struct free_block {
	struct block head;
	struct free_block *next;
};

_Static_assert(sizeof(struct block) == 16, "payloads keep malloc's alignment");
_Static_assert(sizeof(struct free_block) <= 1 << CLASS_SHIFT_MIN, "the least block can be listed");

struct crypto_pool {
	char *region;
	size_t size, used_up;
	struct free_block *free[N_CLASSES];
	_Atomic(struct free_block *) returned; /* By other threads. */
	_Atomic uint64_t used, touched, refusals;
	bool attached; /* Under the lock. */
};

static _Thread_local struct crypto_pool *current;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct crypto_pool *pools[POOLS_MAX];
static uint32_t n_pools;

/* --- Sizes. ---------------------------------------------------------------------------------- */

static size_t class_size(uint32_t class)
{
	size_t power = (size_t)1 << (CLASS_SHIFT_MIN + class / 2);

	return class % 2 ? power + power / 2 : power;
}

/* The smallest class that holds 'size' bytes, N_CLASSES if there is none. */
static uint32_t class_of(size_t size)
{
	uint32_t shift, class;

	if (size <= (size_t)1 << CLASS_SHIFT_MIN)
		return 0;
	if (size > (size_t)1 << CLASS_SHIFT_MAX)
		return N_CLASSES;
	shift = 63 - (uint32_t)__builtin_clzll(size - 1);
	class = 2 * (shift - CLASS_SHIFT_MIN);
	return size <= class_size(class + 1) ? class + 1 : class + 2;
}

/* --- Blocks of a pool. ----------------------------------------------------------------------- */

static void count(_Atomic uint64_t *counter, uint64_t delta)
{
	atomic_fetch_add_explicit(counter, delta, memory_order_relaxed);
}

static void keep(struct crypto_pool *pool, struct free_block *block)
{
	block->next = pool->free[block->head.class];
	pool->free[block->head.class] = block;
}

static void take_returned(struct crypto_pool *pool)
{
	struct free_block *next,
		*block = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);

	for (; block; block = next) {
		next = block->next;
		keep(pool, block);
	}
}

static struct free_block *cut(struct crypto_pool *pool, uint32_t class)
{
	size_t size = class_size(class);
	struct free_block *block;

	if (size > pool->size - pool->used_up)
		return NULL;
	block = (struct free_block *)(pool->region + pool->used_up);
	pool->used_up += size;
	atomic_store_explicit(&pool->touched, pool->used_up, memory_order_relaxed);
	return block;
}

static struct free_block *find(struct crypto_pool *pool, uint32_t class)
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

static void *pool_alloc(struct crypto_pool *pool, size_t size)
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

static void pool_free(struct crypto_pool *pool, struct block *head)
{
	struct free_block *block = (struct free_block *)head;

	head->mark = FREE;
	atomic_fetch_sub_explicit(&pool->used, class_size(head->class), memory_order_relaxed);
	if (pool == current) {
		keep(pool, block);
		return;
	}
	block->next = atomic_load_explicit(&pool->returned, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&pool->returned, &block->next, block,
						      memory_order_release, memory_order_relaxed))
		;
}

/* --- What OpenSSL calls. --------------------------------------------------------------------- */

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

static void *hook_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	if (size == 0)
		return NULL;
	return current ? pool_alloc(current, size) : heap_alloc(size);
}

static void hook_free(void *payload, const char *file, int line)
{
	struct block *head;

	(void)file;
	(void)line;
	if (!payload)
		return;
	head = head_of(payload);
	if (head->pool) {
		pool_free(head->pool, head);
		return;
	}
	head->mark = FREE;
	free(head);
}

static void *hook_realloc(void *payload, size_t size, const char *file, int line)
{
	size_t room;
	void *moved;

	if (!payload)
		return hook_malloc(size, file, line);
	if (size == 0) {
		hook_free(payload, file, line);
		return NULL;
	}
	room = room_of(head_of(payload));
	if (size <= room && head_of(payload)->pool)
		return payload;
	moved = hook_malloc(size, file, line);
	if (!moved)
		return NULL;
	memcpy(moved, payload, size < room ? size : room);
	hook_free(payload, file, line);
	return moved;
}

int crypto_pool_install(void)
{
	static bool installed;
	int r = 0;

	pthread_mutex_lock(&lock);
	if (!installed && !CRYPTO_set_mem_functions(hook_malloc, hook_realloc, hook_free))
		r = -EBUSY;
	installed = r == 0;
	pthread_mutex_unlock(&lock);
	return r;
}

/* --- Pools. ---------------------------------------------------------------------------------- */

static struct crypto_pool *pool_create(size_t size)
{
	struct crypto_pool *pool = n_pools < POOLS_MAX ? calloc(1, sizeof(*pool)) : NULL;

	if (!pool)
		return NULL;
	pool->region = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pool->region == MAP_FAILED) {
		free(pool);
		return NULL;
	}
	pool->size = size;
	pools[n_pools++] = pool;
	return pool;
}

static struct crypto_pool *unused_pool(size_t size)
{
	for (uint32_t i = 0; i < n_pools; i++)
		if (!pools[i]->attached && pools[i]->size >= size)
			return pools[i];
	return NULL;
}

int crypto_pool_attach(size_t size, struct crypto_pool **ret_pool)
{
	struct crypto_pool *pool;

	GW_ASSERT(!current);
	pthread_mutex_lock(&lock);
	pool = unused_pool(size);
	if (!pool)
		pool = pool_create(size);
	if (pool)
		pool->attached = true;
	pthread_mutex_unlock(&lock);
	if (!pool)
		return -ENOMEM;
	current = pool;
	*ret_pool = pool;
	return 0;
}

void crypto_pool_detach(void)
{
	struct crypto_pool *pool = current;

	GW_ASSERT(pool);
	OPENSSL_thread_stop();
	current = NULL;
	pthread_mutex_lock(&lock);
	pool->attached = false;
	pthread_mutex_unlock(&lock);
}

struct crypto_pool_stats crypto_pool_stats(const struct crypto_pool *pool)
{
	return (struct crypto_pool_stats){
		.used = atomic_load_explicit(&pool->used, memory_order_relaxed),
		.touched = atomic_load_explicit(&pool->touched, memory_order_relaxed),
		.size = pool->size,
		.refusals = atomic_load_explicit(&pool->refusals, memory_order_relaxed),
	};
}
