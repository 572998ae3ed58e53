/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/slice.h"

#include <errno.h>

static bool eq_nocase(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (slice_lower(a[i]) != slice_lower(b[i]))
			return false;
	}
	return true;
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
	return a.len == b.len && eq_nocase(a.ptr, b.ptr, a.len);
}

bool slice_starts_with(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && slice_eq(slice_take(s, prefix.len), prefix);
}

bool slice_starts_with_nocase(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && eq_nocase(s.ptr, prefix.ptr, prefix.len);
}

bool slice_ends_with(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len && slice_eq(slice_drop(s, s.len - suffix.len), suffix);
}

int slice_cmp(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len ? memcmp(a.ptr, b.ptr, len) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

size_t slice_find(struct slice s, char c)
{
	const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;

	return at ? (size_t)(at - s.ptr) : SLICE_NONE;
}

size_t slice_find_last(struct slice s, char c)
{
	for (size_t i = s.len; i > 0; i--) {
		if (s.ptr[i - 1] == c)
			return i - 1;
	}
	return SLICE_NONE;
}

size_t slice_find_slice(struct slice s, struct slice needle)
{
	GW_ASSERT(needle.len > 0);
	for (size_t i = 0; i + needle.len <= s.len; i++) {
		if (memcmp(s.ptr + i, needle.ptr, needle.len) == 0)
			return i;
	}
	return SLICE_NONE;
}

static bool is_ows(char c)
{
	return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
	while (s.len > 0 && is_ows(s.ptr[s.len - 1]))
		s.len--;
	while (s.len > 0 && is_ows(s.ptr[0]))
		s = slice_drop(s, 1);
	return s;
}

bool slice_split(struct slice s, char c, struct slice *ret_head, struct slice *ret_tail)
{
	size_t at = slice_find(s, c);

	if (at == SLICE_NONE) {
		*ret_head = s;
		*ret_tail = slice_drop(s, s.len);
		return false;
	}
	*ret_head = slice_take(s, at);
	*ret_tail = slice_drop(s, at + 1);
	return true;
}

/*
 * A list that is used up has a NULL pointer; an empty one with a pointer still
 * has its last, empty element ("a," has two).
 */
bool slice_next_token(struct slice *list, char sep, struct slice *ret_token)
{
	struct slice token;
	struct slice rest;

	if (!list->ptr)
		return false;
	if (!slice_split(*list, sep, &token, &rest))
		rest = (struct slice){ NULL, 0 };
	*list = rest;
	*ret_token = slice_trim(token);
	return true;
}

bool slice_has_token(struct slice list, struct slice word)
{
	struct slice token;

	while (slice_next_token(&list, ',', &token)) {
		if (slice_eq_nocase(token, word))
			return true;
	}
	return false;
}

int slice_to_u64(struct slice s, uint64_t *ret_value)
{
	uint64_t value = 0;
	bool too_big = false;

	if (s.len == 0)
		return -EINVAL;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned char)s.ptr[i] - (unsigned)'0';

		if (digit > 9)
			return -EINVAL;
		too_big |= __builtin_mul_overflow(value, 10, &value);
		too_big |= __builtin_add_overflow(value, digit, &value);
	}
	if (too_big)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

static unsigned hex_digit(char c)
{
	unsigned digit = (unsigned char)c - (unsigned)'0';

	if (digit <= 9)
		return digit;
	digit = (unsigned char)slice_lower(c) - (unsigned)'a';
	return digit <= 5 ? digit + 10 : 16;
}

int slice_hex_to_u64(struct slice s, uint64_t *ret_value)
{
	uint64_t value = 0;
	bool too_big = false;

	if (s.len == 0)
		return -EINVAL;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = hex_digit(s.ptr[i]);

		if (digit > 15)
			return -EINVAL;
		too_big |= value >> 60 != 0;
		value = value << 4 | digit;
	}
	if (too_big)
		return -ERANGE;
	*ret_value = value;
	return 0;
}
