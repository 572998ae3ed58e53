/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - bump allocation over a caller's block, for things that die together.
 *
 * Ownership: the block is the caller's and outlives the arena. Nothing is freed
 * one by one: arena_reset() or arena_release() ends everything since the start
 * or the mark. A request that does not fit yields NULL and sets 'overflow' until
 * the next reset: the caller may check it once (full = 431 or 413). Under ASan
 * everything not handed out is poisoned.
 *
 * Threads: an arena belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

struct arena {
	char *block;
	uint32_t size;
	uint32_t len;     /* Bytes in use. */
	uint32_t len_max; /* Most that was ever in use. */
	bool overflow;
};

/* A moment to go back to. */
struct arena_mark {
	uint32_t len;
};

/* 'size' at most 2^31. */
void arena_init(struct arena *a, void *block, size_t size);
/* Lifts the poison, so that the block can be used otherwise. */
void arena_fini(struct arena *a);
void arena_reset(struct arena *a);

/* 'align' a power of two, at most 64. Not zeroed. NULL when it does not fit. */
void *arena_alloc(struct arena *a, size_t size, size_t align);
void *arena_zalloc(struct arena *a, size_t size, size_t align);
#define arena_new(a, type) ((type *)arena_zalloc((a), sizeof(type), _Alignof(type)))

/* A copy of the bytes; the empty slice with a NULL pointer when it does not fit. */
struct slice arena_dup(struct arena *a, struct slice s);

static inline size_t arena_room(const struct arena *a)
{
	return a->size - a->len;
}

struct arena_mark arena_mark(const struct arena *a);
/* Frees everything allocated since the mark; the overflow mark stays. */
void arena_release(struct arena *a, struct arena_mark mark);
