/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block_pool.h - bounded memory for a library that asks for blocks of any size.
 *
 * A pool takes its address space at once, touches it as it is used, and refuses
 * beyond its size; a block that was freed serves the next request of about its
 * size, and when nothing else is left any that is smaller. A block is at most an
 * eighth larger than what was asked for and its header. Of a large one the first
 * few hundred bytes share a page with others, so that who has used no more of it
 * costs no page. Blocks may also come from malloc (no pool), for threads without one.
 *
 * A block goes back to the pool that it came from, whichever thread frees it.
 *
 * Threads: a pool belongs to one thread, which allocates from it; any thread
 * frees and reads statistics.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/base/gw_assert.h"

struct block_pool;

enum { BLOCK_MAX = 256 * 1024 }; /* Bytes that a pool gives out as one block, a header included. */

struct block_pool_stats {
	uint64_t used; /* Bytes in blocks that are out, their headers included. */
	uint64_t
		touched; /* Most of the address space that was ever needed; of it large blocks use parts. */
	uint64_t size;     /* All there is. */
	uint64_t refusals; /* Requests for which there was no room. */
};

/* 0 or -ENOMEM. */
GW_MUST_USE int block_pool_create(size_t size, struct block_pool **ret_pool);
/* Every block has come back. NULL is fine. */
void block_pool_destroy(struct block_pool *pool);
struct block_pool_stats block_pool_stats(const struct block_pool *pool);

/* By the pool's thread; NULL: malloc's. Aligned as malloc's; NULL when there is no room. */
void *block_alloc(struct block_pool *pool, size_t size);

/* 'mine': the pool of the calling thread, or NULL. No block is NULL. */
void block_free(void *block, struct block_pool *mine);

/* As realloc(), into 'mine' when it has to move. */
void *block_realloc(void *block, size_t size, struct block_pool *mine);
