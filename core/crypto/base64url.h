/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64url.h - bytes out of base64url (RFC 4648 5), as tokens are written: one text per value.
 *
 * No padding, no letters but those 64, and the bits that a last letter has too many are zero. So
 * no two texts stand for the same bytes.
 *
 * Threads: pure functions.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

/* How many bytes a text of so many letters stands for. */
static inline size_t base64url_size(size_t len)
{
	return len / 4 * 3 + len % 4 * 3 / 4;
}

/* The bytes to ret_bytes, base64url_size() of them. 0, or -EINVAL and some may be written. */
GW_MUST_USE int base64url_decode(struct slice text, void *ret_bytes);
