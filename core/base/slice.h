/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slice.h - views of bytes: pointer and length, never NUL-terminated.
 *
 * Ownership: a slice owns nothing; it is good as long as the bytes are. A slice
 * of length 0 may have a NULL pointer. Case-insensitive means ASCII only.
 *
 * Threads: pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/gw_assert.h"

struct slice {
	const char *ptr;
	size_t len;
};

#define SLICE_NONE SIZE_MAX /* No such position. */

/* From a string literal; SLICE_INIT is for static initialisers. */
#define SLICE(lit) ((struct slice){ "" lit, sizeof(lit) - 1 })
#define SLICE_INIT(lit)                                                                            \
	{                                                                                          \
		"" lit, sizeof(lit) - 1                                                            \
	}
/* For printf-like calls in tests and tools: "%.*s". */
#define SLICE_ARG(s) (int)(s).len, (s).ptr

static inline struct slice slice_make(const void *ptr, size_t len)
{
	return (struct slice){ ptr, len };
}

/* From a NUL-terminated string, or the empty slice from NULL. */
static inline struct slice slice_of(const char *str)
{
	return (struct slice){ str, str ? strlen(str) : 0 };
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* 'A'..'Z' to lower case, anything else unchanged. */
static inline char slice_lower(char c)
{
	return (unsigned char)(c - 'A') < 26 ? (char)(c | 0x20) : c;
}

bool slice_eq_nocase(struct slice a, struct slice b);
bool slice_starts_with(struct slice s, struct slice prefix);
bool slice_starts_with_nocase(struct slice s, struct slice prefix);
bool slice_ends_with(struct slice s, struct slice suffix);
/* Byte order, shorter first among equals: < 0, 0, > 0. */
int slice_cmp(struct slice a, struct slice b);

/* The rest after the first n bytes, or the first n bytes; n is cut to len. */
static inline struct slice slice_drop(struct slice s, size_t n)
{
	n = n < s.len ? n : s.len;
	return n ? (struct slice){ s.ptr + n, s.len - n } : s;
}

static inline struct slice slice_take(struct slice s, size_t n)
{
	return (struct slice){ s.ptr, n < s.len ? n : s.len };
}

/* Position of the first or last c, or SLICE_NONE. */
size_t slice_find(struct slice s, char c);
size_t slice_find_last(struct slice s, char c);
/* Position of the first occurrence of a non-empty needle, or SLICE_NONE. */
size_t slice_find_slice(struct slice s, struct slice needle);

/* Without optional white space (SP, HTAB; RFC 9110 5.6.3) at both ends. */
struct slice slice_trim(struct slice s);

/*
 * Cuts s at the first c into what lies before and after it. Without c: false,
 * *ret_head is all of s and *ret_tail is empty.
 */
bool slice_split(struct slice s, char c, struct slice *ret_head, struct slice *ret_tail);

/*
 * Takes the next element off a list separated by 'sep': trimmed of OWS, empty
 * elements included: "a,,b" has three, "a," two, "" one. False when the list is
 * used up (its pointer is NULL then) or was a NULL slice. A separator inside
 * quotes is not special here.
 */
bool slice_next_token(struct slice *list, char sep, struct slice *ret_token);

/* Is 'word' one of the comma-separated elements, case-insensitively? */
bool slice_has_token(struct slice list, struct slice word);

/*
 * All of s as a number: only digits, at least one, no sign, no blanks; leading
 * zeros are allowed. 0, -EINVAL, or -ERANGE above 2^64-1.
 */
GW_MUST_USE int slice_to_u64(struct slice s, uint64_t *ret_value);
GW_MUST_USE int slice_hex_to_u64(struct slice s, uint64_t *ret_value);
