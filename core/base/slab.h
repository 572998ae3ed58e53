/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slab.h - a fixed number of objects of one size, with a generation per slot.
 *
 * Memory is one reserved region that is touched only as slots are first used;
 * freed slots are used again last-in, first-out. An object's address never
 * changes. A handle (slot and generation) outlives its object safely: after the
 * free it resolves to NULL. Under ASan free slots are poisoned.
 *
 * Ownership: slab_alloc() lends a slot until slab_free().
 * Threads: a slab belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/gw_assert.h"

struct slab_slot;

struct slab {
	char *objects;
	struct slab_slot *slots;
	uint32_t object_size; /* Rounded up to the alignment. */
	uint32_t n_slots;
	uint32_t n_used;
	uint32_t n_used_max; /* Most that were ever used at once. */
	uint32_t n_touched;  /* Slots from here on were never used. */
	uint32_t free_slot;  /* Head of the free list, or SLAB_NO_SLOT. */
};

#define SLAB_NO_SLOT UINT32_MAX

/* Slot and generation; all zero is the handle of nothing. */
struct slab_handle {
	uint32_t slot;
	uint32_t generation;
};

/*
 * Reserves room for n_slots (1..2^24) objects. 'align' is a power of two up to
 * 4096. Address space only: 0 or -ENOMEM.
 */
GW_MUST_USE int slab_init(struct slab *s, size_t object_size, size_t align, uint32_t n_slots);
/* All objects must have been freed. One that is all zero: nothing. */
void slab_fini(struct slab *s);

/* An object with undefined contents, or NULL when all slots are in use. */
void *slab_alloc(struct slab *s);
/* The same, zeroed. */
void *slab_zalloc(struct slab *s);
void slab_free(struct slab *s, void *object);

/* Slot number of a live object. */
uint32_t slab_index(const struct slab *s, const void *object);
/* The live object in a slot, or NULL. */
void *slab_at(const struct slab *s, uint32_t slot);

struct slab_handle slab_handle_of(const struct slab *s, const void *object);
/* The object, or NULL when it was freed since. Any handle value is safe. */
void *slab_lookup(const struct slab *s, struct slab_handle handle);

/* First live object at or after *slot, which moves past it; NULL at the end. */
void *slab_next(const struct slab *s, uint32_t *slot);

static inline bool slab_is_full(const struct slab *s)
{
	return s->n_used == s->n_slots;
}

static inline uint64_t slab_handle_pack(struct slab_handle h)
{
	return (uint64_t)h.generation << 32 | h.slot;
}

static inline struct slab_handle slab_handle_unpack(uint64_t packed)
{
	return (struct slab_handle){ (uint32_t)packed, (uint32_t)(packed >> 32) };
}

/* Invariants of the free list and the counts; walks all touched slots. */
void slab_check(const struct slab *s);
