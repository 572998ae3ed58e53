/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/logring.h"

#include <errno.h>
#include <sys/mman.h>

#include "core/base/bits.h"

/* Positions only grow and wrap at 2^32; a position's slot is its low bits. */

int logring_init(struct logring *r, size_t record_size, uint32_t n_records)
{
	void *region;

	GW_ASSERT(record_size > 0 && record_size <= 1u << 20);
	GW_ASSERT(n_records > 0 && n_records <= 1u << 24);
	*r = (struct logring){
		.record_size = (uint32_t)bits_align_up(record_size, 8),
		.n_records = (uint32_t)bits_pow2_up(n_records),
	};
	region = mmap(NULL, (size_t)r->record_size * r->n_records, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (region == MAP_FAILED)
		return -ENOMEM;
	r->records = region;
	return 0;
}

void logring_fini(struct logring *r)
{
	GW_ASSERT(munmap(r->records, (size_t)r->record_size * r->n_records) == 0);
	r->records = NULL;
}

static char *slot_at(const struct logring *r, uint32_t position)
{
	return r->records + (size_t)(position & (r->n_records - 1)) * r->record_size;
}

void *logring_reserve(struct logring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail - r->head_seen == r->n_records) {
		r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
		if (tail - r->head_seen == r->n_records)
			return NULL;
	}
	return slot_at(r, tail);
}

void logring_commit(struct logring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	GW_ASSERT(tail - r->head_seen < r->n_records); /* There was a reservation. */
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
}

const void *logring_peek(struct logring *r)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (head == r->tail_seen) {
		r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
		if (head == r->tail_seen)
			return NULL;
	}
	return slot_at(r, head);
}

void logring_pop(struct logring *r)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	GW_ASSERT(head != r->tail_seen);
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
}

bool logring_is_empty(struct logring *r)
{
	return atomic_load_explicit(&r->head, memory_order_relaxed) ==
	       atomic_load_explicit(&r->tail, memory_order_acquire);
}
