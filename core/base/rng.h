/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng.h - splitmix64 for seeding, xoshiro256** for everything that is no secret.
 *
 * Request ids, jitter and random choices come from here; keys come from
 * rng_system(). A seed decides every later number, which tests rely on.
 *
 * Threads: a struct rng belongs to one thread.
 */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>
#include <sys/types.h>

#include "core/base/gw_assert.h"
#include "core/base/hash.h"

struct rng {
	uint64_t s[4];
};

static inline uint64_t rng_splitmix(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15u;
	return hash_u64(*state);
}

static inline void rng_seed(struct rng *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		r->s[i] = rng_splitmix(&seed);
}

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t out = hash_rotl_(r->s[1] * 5, 7) * 9;
	uint64_t t = r->s[1] << 17;

	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = hash_rotl_(r->s[3], 45);
	return out;
}

/* Uniform in 0..n-1, n > 0. The bias of the multiply is below n / 2^64. */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	GW_ASSERT(n > 0);
	return (uint64_t)((unsigned __int128)rng_next(r) * n >> 64);
}

/* Random bytes from the kernel, at most 256: 0 or -errno. */
GW_MUST_USE static inline int rng_system(void *ret_bytes, size_t len)
{
	GW_ASSERT(len <= 256); /* So that the kernel never answers short. */
	return getrandom(ret_bytes, len, 0) == (ssize_t)len ? 0 : -errno;
}
