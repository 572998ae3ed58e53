/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/crypto.h> /* First: see tls_private.h. */
#include <openssl/err.h>

#include "core/crypto/crypto_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { POOLS_MAX = 1024 };

struct crypto_pool {
	struct block_pool *blocks;
	bool attached; /* Under the lock. */
};

static _Thread_local struct crypto_pool *current;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct crypto_pool pools[POOLS_MAX];
static uint32_t n_pools;

/* --- What OpenSSL calls. --------------------------------------------------------------------- */

static struct block_pool *mine(void)
{
	return current ? current->blocks : NULL;
}

static void *hook_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return size ? block_alloc(mine(), size) : NULL;
}

static void hook_free(void *payload, const char *file, int line)
{
	(void)file;
	(void)line;
	if (payload)
		block_free(payload, mine());
}

static void *hook_realloc(void *payload, size_t size, const char *file, int line)
{
	if (!payload)
		return hook_malloc(size, file, line);
	if (size > 0)
		return block_realloc(payload, size, mine());
	hook_free(payload, file, line);
	return NULL;
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
	struct crypto_pool *pool = &pools[n_pools];

	if (n_pools == POOLS_MAX || block_pool_create(size, &pool->blocks) < 0)
		return NULL;
	n_pools++;
	return pool;
}

static struct crypto_pool *unused_pool(size_t size)
{
	for (uint32_t i = 0; i < n_pools; i++)
		if (!pools[i].attached && block_pool_stats(pools[i].blocks).size >= size)
			return &pools[i];
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
	/*
	 * Texts of errors that the thread made before are not the pool's, and would grow in it. And
	 * OpenSSL keeps a list of threads, which grows where the next one comes: not in a pool.
	 */
	OPENSSL_thread_stop();
	ERR_clear_error();
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

struct block_pool_stats crypto_pool_stats(const struct crypto_pool *pool)
{
	return block_pool_stats(pool->blocks);
}

uint64_t crypto_pool_refusals(void)
{
	return current ? block_pool_stats(current->blocks).refusals : 0;
}
