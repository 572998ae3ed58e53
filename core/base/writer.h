/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.h - appends bytes to a bounded buffer; too much sets a sticky mark.
 *
 * Ownership: the buffer is the caller's. Each put writes all of its bytes or
 * none; after the first that did not fit nothing more is written, so one check
 * of 'overflow' at the end is enough. No NUL is ever appended.
 *
 * Threads: a writer belongs to one thread. Async-signal-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

struct writer {
	char *ptr; /* Next byte to write. */
	char *end; /* One past the room. */
	char *start;
	bool overflow;
};

#define WRITER_U64_MAX 20 /* Most digits of writer_u64(). */

static inline struct writer writer_make(void *buf, size_t size)
{
	return (struct writer){ .ptr = buf, .end = (char *)buf + size, .start = buf };
}

static inline size_t writer_len(const struct writer *w)
{
	return (size_t)(w->ptr - w->start);
}

static inline size_t writer_room(const struct writer *w)
{
	return (size_t)(w->end - w->ptr);
}

static inline struct slice writer_slice(const struct writer *w)
{
	return slice_make(w->start, writer_len(w));
}

/* Room for n bytes at the returned address, already counted as written; or NULL. */
static inline char *writer_reserve(struct writer *w, size_t n)
{
	char *at = w->ptr;

	if (GW_UNLIKELY(w->overflow || n > writer_room(w))) {
		w->overflow = true;
		return NULL;
	}
	w->ptr += n;
	return at;
}

static inline void writer_bytes(struct writer *w, const void *ptr, size_t len)
{
	char *at = writer_reserve(w, len);

	if (at && len)
		memcpy(at, ptr, len);
}

static inline void writer_put(struct writer *w, struct slice s)
{
	writer_bytes(w, s.ptr, s.len);
}

/* A string literal: the length is known when compiling. */
#define writer_lit(w, lit) writer_bytes((w), "" lit, sizeof(lit) - 1)

static inline void writer_char(struct writer *w, char c)
{
	char *at = writer_reserve(w, 1);

	if (at)
		*at = c;
}

/* "Name: value CRLF" is the bread of this program: one bound check for all of it. */
static inline void writer_field(struct writer *w, struct slice name, struct slice value)
{
	char *at = writer_reserve(w, name.len + value.len + 4);

	if (!at)
		return;
	memcpy(at, name.ptr, name.len);
	at += name.len;
	*at++ = ':';
	*at++ = ' ';
	if (value.len)
		memcpy(at, value.ptr, value.len);
	at += value.len;
	*at++ = '\r';
	*at = '\n';
}

static inline void writer_u64(struct writer *w, uint64_t value)
{
	char digits[WRITER_U64_MAX];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	writer_bytes(w, digits + at, sizeof(digits) - at);
}

static inline void writer_i64(struct writer *w, int64_t value)
{
	if (value < 0)
		writer_char(w, '-');
	writer_u64(w, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* Lower case, without leading zeros; 0 is "0". */
static inline void writer_hex(struct writer *w, uint64_t value)
{
	char digits[16];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value);
	writer_bytes(w, digits + at, sizeof(digits) - at);
}

/* Exactly n_digits (1..20), with leading zeros; higher digits are cut off. */
static inline void writer_padded(struct writer *w, uint64_t value, size_t n_digits)
{
	char digits[WRITER_U64_MAX];

	GW_ASSERT(n_digits <= sizeof(digits));
	for (size_t i = n_digits; i > 0; i--, value /= 10)
		digits[i - 1] = (char)('0' + value % 10);
	writer_bytes(w, digits, n_digits);
}
