/* SPDX-License-Identifier: Apache-2.0 */
/* bits.h - powers of two and bit positions. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/gw_assert.h"

static inline bool bits_is_pow2(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

/* Position of the highest or lowest set bit; v is not 0. */
static inline unsigned bits_highest(uint64_t v)
{
	return 63u - (unsigned)__builtin_clzll(v);
}

static inline unsigned bits_lowest(uint64_t v)
{
	return (unsigned)__builtin_ctzll(v);
}

/* Smallest power of two >= v; v at most 2^63. */
static inline uint64_t bits_pow2_up(uint64_t v)
{
	GW_ASSERT(v <= UINT64_C(1) << 63);
	return v <= 1 ? 1 : UINT64_C(1) << (bits_highest(v - 1) + 1);
}

/* v rounded up to a multiple of align, a power of two; must not overflow. */
static inline size_t bits_align_up(size_t v, size_t align)
{
	GW_ASSERT(bits_is_pow2(align) && v <= SIZE_MAX - align + 1);
	return (v + align - 1) & ~(align - 1);
}
