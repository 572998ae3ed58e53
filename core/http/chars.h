/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chars.h - which byte may stand where, as one table.
 *
 * Threads: a constant table.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/gw_assert.h"

enum {
	CHARS_TOKEN = 1 << 0,      /* tchar (RFC 9110 5.6.2): names, methods. */
	CHARS_SEGMENT = 1 << 1,    /* Stands for itself in a path: not '/', '%', '?'. */
	CHARS_TARGET = 1 << 2,     /* In a target at all: the former and these three. */
	CHARS_UNRESERVED = 1 << 3, /* RFC 3986 2.3. */
	CHARS_HEX = 1 << 4,
	CHARS_TEXT = 1 << 5, /* In a field value: blanks, visible, 0x80 and above. */
};

extern const uint8_t chars_class[256];

static inline bool chars_is(char c, uint8_t classes)
{
	return (chars_class[(unsigned char)c] & classes) != 0;
}

/* Value of a hexadecimal digit; the caller has checked that it is one. */
static inline unsigned chars_hex_value(char c)
{
	return (c & 15u) + (c >= 'A' ? 9u : 0u);
}

/* Are all bytes of text[0 .. len) of one of the classes? True for none. */
static inline bool chars_all(const char *text, size_t len, uint8_t classes)
{
	for (size_t i = 0; i < len; i++)
		if (!chars_is(text[i], classes))
			return false;
	return true;
}
