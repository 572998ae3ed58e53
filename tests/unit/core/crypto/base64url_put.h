/* SPDX-License-Identifier: Apache-2.0 */
/* base64url_put.h - for tests: bytes as tokens have them (RFC 7515 2), which ours only reads. */
#pragma once

#include "core/base/writer.h"

static inline void base64url_put(struct writer *to, struct slice bytes)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (; bytes.len; bytes = slice_drop(bytes, 3)) {
		uint32_t n = bytes.len < 3 ? (uint32_t)bytes.len : 3, bits = 0;

		for (uint32_t i = 0; i < 3; i++)
			bits = bits << 8 | (i < n ? (unsigned char)bytes.ptr[i] : 0);
		for (uint32_t i = 0; i <= n; i++)
			writer_char(to, letters[bits >> (18 - 6 * i) & 63]);
	}
}
