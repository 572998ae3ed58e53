/* SPDX-License-Identifier: Apache-2.0 */
/*
 * growbuf.h - text that grows by realloc, for threads that may allocate.
 *
 * Ownership: the buffer owns 'ptr' until growbuf_fini(). A failed allocation,
 * or growing past size_max, sets a sticky mark and drops all later writes: check
 * 'failed' once at the end. Zeroed memory with size_max set is an empty buffer.
 *
 * Threads: belongs to one thread; never used in a data worker.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

struct growbuf {
	char *ptr;
	size_t len;
	size_t size;
	size_t size_max;
	bool failed;
};

void growbuf_init(struct growbuf *b, size_t size_max);
void growbuf_fini(struct growbuf *b);
/* Empties the text and clears the mark, keeps the room. */
void growbuf_reset(struct growbuf *b);

/* n more bytes, already counted in len; NULL when that failed. */
char *growbuf_reserve(struct growbuf *b, size_t n);
void growbuf_put(struct growbuf *b, struct slice s);
#define growbuf_lit(b, lit) growbuf_put((b), SLICE(lit))
void growbuf_char(struct growbuf *b, char c);
void growbuf_u64(struct growbuf *b, uint64_t value);
void growbuf_i64(struct growbuf *b, int64_t value);

static inline struct slice growbuf_slice(const struct growbuf *b)
{
	return slice_make(b->ptr, b->len);
}
