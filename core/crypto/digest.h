/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.h - SHA-256 of a few bytes.
 *
 * Threads: any. OpenSSL's memory is the thread's (crypto_pool.h).
 */
#pragma once

#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

enum { DIGEST_SHA256 = 32 };

/* 0 or -ENOMEM. */
GW_MUST_USE int digest_sha256(struct slice bytes, uint8_t ret_digest[DIGEST_SHA256]);

/* In a time that says nothing about where they differ. */
bool digest_eq(const void *a, const void *b, size_t len);
