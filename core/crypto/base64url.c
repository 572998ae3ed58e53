/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/base64url.h"

#include <errno.h>

/* Of a byte: the six bits that it stands for, plus one; 0: none. */
static const uint8_t bits_of[256] = {
	['A'] = 1,  2,          3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,
	14,         15,         16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, /* Z */
	['a'] = 27, 28,         29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39,
	40,         41,         42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, /* z */
	['0'] = 53, 54,         55, 56, 57, 58, 59, 60, 61, 62,             /* 9 */
	['-'] = 63, ['_'] = 64,
};

/* The letters' bits, the first on top; UINT32_MAX when one is none. */
static uint32_t group(struct slice letters)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < letters.len; i++) {
		uint32_t more = bits_of[(unsigned char)letters.ptr[i]];

		if (more == 0)
			return UINT32_MAX;
		bits = bits << 6 | (more - 1);
	}
	return bits;
}

/* Two or three letters: one byte and four bits too many, or two bytes and two. */
static int decode_tail(struct slice letters, uint8_t *to)
{
	unsigned excess = letters.len == 2 ? 4 : 2;
	uint32_t bits = group(letters);

	if (letters.len == 1 || bits == UINT32_MAX || bits & ((1u << excess) - 1))
		return -EINVAL;
	bits >>= excess;
	if (letters.len == 3)
		*to++ = (uint8_t)(bits >> 8);
	*to = (uint8_t)bits;
	return 0;
}

int base64url_decode(struct slice text, void *ret_bytes)
{
	uint8_t *to = ret_bytes;

	for (; text.len >= 4; text = slice_drop(text, 4)) {
		uint32_t bits = group(slice_take(text, 4));

		if (bits == UINT32_MAX)
			return -EINVAL;
		*to++ = (uint8_t)(bits >> 16);
		*to++ = (uint8_t)(bits >> 8);
		*to++ = (uint8_t)bits;
	}
	return text.len ? decode_tail(text, to) : 0;
}
