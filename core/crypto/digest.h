/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.h - SHA-256 of a few bytes, many times.
 *
 * OpenSSL takes a lock to find an algorithm by its name, and memory for its state: both take longer
 * than the hash of a key (perf/micro/jwt.c). So a worker has both once.
 *
 * Threads: one at a time. OpenSSL's memory is the thread's (crypto_pool.h).
 */
#pragma once

#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

enum { DIGEST_SHA256 = 32 };

struct digest;

/* 0 or -ENOMEM. */
GW_MUST_USE int digest_create(struct digest **ret_digest);
void digest_free(struct digest *digest);

/* Of both, one behind the other. 0 or -ENOMEM. */
GW_MUST_USE int digest_sha256(struct digest *digest, struct slice first, struct slice second,
			      uint8_t ret_sha256[DIGEST_SHA256]);
