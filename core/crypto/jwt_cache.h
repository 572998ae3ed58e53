/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwt_cache.h - what is known of tokens that came before, so that a signature is not checked for
 * each request.
 *
 * A token is known by the SHA-256 of all its bytes and of the rules that it was judged by; so no
 * signature, which others can change and keep good, is ever a key. An entry is good for a minute,
 * or until the token expires. Good tokens and bad ones have a part each: whoever sends bad ones
 * pushes out bad ones only.
 *
 * Parts are sets of four entries; the one not asked for for the longest time makes room.
 *
 * Ownership: all memory is taken at once, by jwt_cache_create(). Threads: one worker's.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/crypto/digest.h"
#include "core/crypto/jwt.h"

enum {
	JWT_CACHE_WAYS = 4,
	/* Bytes that a caller may keep with a good token. Memory comes with what is kept. */
	JWT_CACHE_VALUE_MAX = 2048,
	JWT_CACHE_TIME_S = 60,
};

struct jwt_cache;

struct jwt_cache_key {
	uint8_t sha256[DIGEST_SHA256];
};

/* What is known. */
struct jwt_cache_verdict {
	enum jwt_fault fault; /* JWT_FAULT_NONE: the token is good. */
	int64_t exp_s;        /* Of a good one: as in struct jwt. */
	struct slice value;   /* Of a good one: what the caller kept. */
};

/* Room for so many tokens of each kind, rounded up to whole sets, a power of two. 0 or -ENOMEM. */
GW_MUST_USE int jwt_cache_create(uint32_t n_good, uint32_t n_bad, struct jwt_cache **ret_cache);
void jwt_cache_free(struct jwt_cache *cache);

/* 'rules' is a number that is never used again for other rules. 0 or -ENOMEM. */
GW_MUST_USE int jwt_cache_key(struct digest *digest, uint64_t rules, struct slice token,
			      struct jwt_cache_key *ret_key);

/* Is the token known at this second? The value is good until the next put or flush. */
bool jwt_cache_find(struct jwt_cache *cache, const struct jwt_cache_key *key, int64_t now_s,
		    struct jwt_cache_verdict *ret_verdict);

/*
 * Remember it. Not what may be otherwise in a moment: JWT_FAULT_OVERLOAD, JWT_FAULT_NOT_YET_VALID,
 * a token past its expiry. The value is copied.
 */
void jwt_cache_put(struct jwt_cache *cache, const struct jwt_cache_key *key, int64_t now_s,
		   const struct jwt_cache_verdict *verdict);

/* Forget all: keys or rules have changed. */
void jwt_cache_flush(struct jwt_cache *cache);
