/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/arena.h"

#include "core/base/asan.h"
#include "core/base/bits.h"

#define ARENA_ALIGN_MAX 64u
#define ARENA_SIZE_MAX  (1u << 31)

void arena_init(struct arena *a, void *block, size_t size)
{
	GW_ASSERT(block && size <= ARENA_SIZE_MAX);
	*a = (struct arena){ .block = block, .size = (uint32_t)size };
	GW_POISON(block, size);
}

void arena_fini(struct arena *a)
{
	GW_UNPOISON(a->block, a->size);
	*a = (struct arena){ 0 };
}

void arena_reset(struct arena *a)
{
	arena_release(a, (struct arena_mark){ 0 });
	a->overflow = false;
}

void *arena_alloc(struct arena *a, size_t size, size_t align)
{
	uintptr_t base = (uintptr_t)a->block;
	size_t at;

	GW_ASSERT(bits_is_pow2(align) && align <= ARENA_ALIGN_MAX);
	at = bits_align_up(base + a->len, align) - base;
	if (at > a->size || size > a->size - at) {
		a->overflow = true;
		return NULL;
	}
	a->len = (uint32_t)(at + size);
	if (a->len > a->len_max)
		a->len_max = a->len;
	GW_UNPOISON(a->block + at, size);
	return a->block + at;
}

void *arena_zalloc(struct arena *a, size_t size, size_t align)
{
	void *ptr = arena_alloc(a, size, align);

	return ptr ? memset(ptr, 0, size) : NULL;
}

struct slice arena_dup(struct arena *a, struct slice s)
{
	char *copy = arena_alloc(a, s.len, 1);

	if (!copy)
		return (struct slice){ NULL, 0 };
	if (s.len)
		memcpy(copy, s.ptr, s.len);
	return slice_make(copy, s.len);
}

struct arena_mark arena_mark(const struct arena *a)
{
	return (struct arena_mark){ a->len };
}

void arena_release(struct arena *a, struct arena_mark mark)
{
	GW_ASSERT(mark.len <= a->len);
	GW_POISON(a->block + mark.len, a->size - mark.len);
	a->len = mark.len;
}
