/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The book-keeping lies apart from the objects, eight bytes per slot, so that a
 * free object's memory holds nothing of ours and can be poisoned whole.
 *
 *  1  an odd generation means live, an even one free; each change adds one
 *  2  the free list holds exactly the free slots below n_touched
 *  3  slots from n_touched on have generation 0 and were never written
 */
#include "core/base/slab.h"

#include <errno.h>
#include <sys/mman.h>

#include "core/base/asan.h"
#include "core/base/bits.h"

#define SLAB_N_SLOTS_MAX (1u << 24)

struct slab_slot {
	uint32_t generation;
	uint32_t next_free;
};

static void *map_region(size_t size)
{
	void *region = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return region == MAP_FAILED ? NULL : region;
}

static bool is_live(const struct slab_slot *slot)
{
	return slot->generation & 1;
}

static char *object_of(const struct slab *s, uint32_t slot)
{
	return s->objects + (size_t)slot * s->object_size;
}

static size_t objects_len(const struct slab *s)
{
	return (size_t)s->n_slots * s->object_size;
}

int slab_init(struct slab *s, size_t object_size, size_t align, uint32_t n_slots)
{
	struct slab made = { .n_slots = n_slots, .free_slot = SLAB_NO_SLOT };

	GW_ASSERT(object_size > 0 && object_size <= UINT32_MAX / 2);
	GW_ASSERT(bits_is_pow2(align) && align <= 4096);
	GW_ASSERT(n_slots > 0 && n_slots <= SLAB_N_SLOTS_MAX);

	made.object_size = (uint32_t)bits_align_up(object_size, align);
	made.objects = map_region(objects_len(&made));
	if (!made.objects)
		return -ENOMEM;
	made.slots = map_region(n_slots * sizeof(*made.slots));
	if (!made.slots) {
		(void)munmap(made.objects, objects_len(&made)); /* Ours: cannot fail. */
		return -ENOMEM;
	}
	*s = made;
	return 0;
}

void slab_fini(struct slab *s)
{
	GW_ASSERT(s->n_used == 0);
	if (!s->objects)
		return;
	GW_UNPOISON(s->objects, (size_t)s->n_touched * s->object_size);
	GW_ASSERT(munmap(s->objects, objects_len(s)) == 0);
	GW_ASSERT(munmap(s->slots, s->n_slots * sizeof(*s->slots)) == 0);
	*s = (struct slab){ 0 };
}

void *slab_alloc(struct slab *s)
{
	uint32_t slot = s->free_slot;

	if (slot != SLAB_NO_SLOT)
		s->free_slot = s->slots[slot].next_free;
	else if (s->n_touched < s->n_slots)
		slot = s->n_touched++;
	else
		return NULL;

	GW_ASSERT(!is_live(&s->slots[slot]));
	s->slots[slot].generation++;
	s->n_used++;
	if (s->n_used > s->n_used_max)
		s->n_used_max = s->n_used;
	GW_UNPOISON(object_of(s, slot), s->object_size);
	return object_of(s, slot);
}

void *slab_zalloc(struct slab *s)
{
	void *object = slab_alloc(s);

	return object ? memset(object, 0, s->object_size) : NULL;
}

void slab_free(struct slab *s, void *object)
{
	uint32_t slot = slab_index(s, object);

	s->slots[slot].generation++;
	s->slots[slot].next_free = s->free_slot;
	s->free_slot = slot;
	s->n_used--;
	GW_POISON(object, s->object_size);
}

uint32_t slab_index(const struct slab *s, const void *object)
{
	size_t offset = (size_t)((const char *)object - s->objects);
	uint32_t slot = (uint32_t)(offset / s->object_size);

	GW_ASSERT(offset < objects_len(s) && offset % s->object_size == 0);
	GW_ASSERT(is_live(&s->slots[slot]));
	return slot;
}

void *slab_at(const struct slab *s, uint32_t slot)
{
	if (slot >= s->n_touched || !is_live(&s->slots[slot]))
		return NULL;
	return object_of(s, slot);
}

struct slab_handle slab_handle_of(const struct slab *s, const void *object)
{
	uint32_t slot = slab_index(s, object);

	return (struct slab_handle){ slot, s->slots[slot].generation };
}

void *slab_lookup(const struct slab *s, struct slab_handle handle)
{
	void *object = slab_at(s, handle.slot);

	if (!object || s->slots[handle.slot].generation != handle.generation)
		return NULL;
	return object;
}

void *slab_next(const struct slab *s, uint32_t *slot)
{
	while (*slot < s->n_touched) {
		void *object = slab_at(s, (*slot)++);

		if (object)
			return object;
	}
	return NULL;
}

void slab_check(const struct slab *s)
{
	uint32_t n_live = 0;
	uint32_t n_free = 0;

	for (uint32_t i = 0; i < s->n_touched; i++)
		n_live += is_live(&s->slots[i]);
	for (uint32_t i = s->free_slot; i != SLAB_NO_SLOT; i = s->slots[i].next_free) {
		GW_ASSERT(i < s->n_touched && !is_live(&s->slots[i]));
		n_free++;
		GW_ASSERT(n_free <= s->n_touched);
	}
	GW_ASSERT(n_live == s->n_used);
	GW_ASSERT(n_live + n_free == s->n_touched);
	GW_ASSERT(s->n_used <= s->n_used_max && s->n_used_max <= s->n_touched);
	if (s->n_touched < s->n_slots)
		GW_ASSERT(s->slots[s->n_touched].generation == 0);
}
