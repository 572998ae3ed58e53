/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logring.h - single-producer single-consumer ring of fixed-size binary records.
 *
 * Ownership: the ring owns its mapping, touched lazily. A slot belongs to the
 * producer from logring_reserve() to logring_commit(), to the consumer from
 * logring_peek() to logring_pop(). A full ring refuses; nobody ever waits.
 *
 * Threads: one producer, one consumer. Each position has one writer:
 *
 *     tail   written by the producer (release), read by the consumer (acquire)
 *     head   written by the consumer (release), read by the producer (acquire)
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/gw_assert.h"

struct logring {
	char *records;
	uint32_t record_size;
	uint32_t n_records; /* A power of two. */

	/* The producer's line. */
	_Alignas(64) _Atomic uint32_t tail;
	uint32_t head_seen; /* Saves the producer most looks at head. */

	/* The consumer's line. */
	_Alignas(64) _Atomic uint32_t head;
	uint32_t tail_seen;
};

/* n_records is rounded up to a power of two; sizes as given. 0 or -ENOMEM. */
GW_MUST_USE int logring_init(struct logring *r, size_t record_size, uint32_t n_records);
void logring_fini(struct logring *r);

/* Producer: a slot to fill (8-byte aligned, undefined contents), or NULL when full. */
void *logring_reserve(struct logring *r);
/* Producer: hands over the slot that was reserved last. */
void logring_commit(struct logring *r);

/* Consumer: the oldest record, or NULL; the same one until logring_pop(). */
const void *logring_peek(struct logring *r);
void logring_pop(struct logring *r);
/* Consumer: is there anything? Looks afresh. */
bool logring_is_empty(struct logring *r);
