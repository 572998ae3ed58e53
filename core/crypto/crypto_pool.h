/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto_pool.h - where OpenSSL's memory comes from: a bounded pool for each worker.
 *
 * OpenSSL asks for memory at every turn of a handshake and knows one allocator
 * for the whole process. Ours gives a thread that has attached a pool blocks of
 * that pool, and every other thread malloc's. A pool takes its address space at
 * once, touches it as it is used, and refuses beyond its size: then the
 * handshake or the connection that asked fails, and nothing else.
 *
 * A block goes back to the pool that it came from, whichever thread frees it:
 * contexts, sessions and OpenSSL's own tables are shared. Such tables may hold
 * a block until the process ends, so a pool is never unmapped; one that was
 * given up is attached by the next thread that asks.
 *
 * Threads: a pool is attached to one at a time; statistics are for any.
 */
#pragma once

#include "core/base/block_pool.h"

struct crypto_pool;

/*
 * Becomes OpenSSL's allocator: before anything else of OpenSSL runs, once per
 * process (later calls do nothing). 0, or -EBUSY when OpenSSL has allocated already.
 */
GW_MUST_USE int crypto_pool_install(void);

/*
 * From here on this thread's OpenSSL memory is out of a pool of 'size' bytes at
 * least. 0 or -ENOMEM. Not twice.
 */
GW_MUST_USE int crypto_pool_attach(size_t size, struct crypto_pool **ret_pool);

/* Frees what OpenSSL keeps for this thread and gives its pool up. */
void crypto_pool_detach(void);

struct block_pool_stats crypto_pool_stats(const struct crypto_pool *pool);

/*
 * How often this thread's pool had no room, ever; 0 without one. For those whom OpenSSL does not
 * tell why it failed: not each of its functions leaves an error when it gets no memory.
 */
uint64_t crypto_pool_refusals(void);
