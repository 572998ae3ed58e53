/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.h - SipHash-2-4 for keys that strangers choose, a mixer for our own.
 *
 * Threads: pure functions.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/slice.h"

/* 128 secret bits; random per process (rng.h). */
struct hash_key {
	uint64_t k0;
	uint64_t k1;
};

static inline uint64_t hash_rotl_(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static inline void hash_sip_round_(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = hash_rotl_(v[1], 13) ^ v[0];
	v[0] = hash_rotl_(v[0], 32);
	v[2] += v[3];
	v[3] = hash_rotl_(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = hash_rotl_(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = hash_rotl_(v[1], 17) ^ v[2];
	v[2] = hash_rotl_(v[2], 32);
}

static inline void hash_sip_word_(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	hash_sip_round_(v);
	hash_sip_round_(v);
	v[0] ^= word;
}

/* SipHash-2-4, 64 bits out. */
static inline uint64_t hash_sip(struct hash_key key, struct slice s)
{
	uint64_t v[4] = {
		key.k0 ^ 0x736f6d6570736575u,
		key.k1 ^ 0x646f72616e646f6du,
		key.k0 ^ 0x6c7967656e657261u,
		key.k1 ^ 0x7465646279746573u,
	};
	uint64_t word;
	uint64_t last = (uint64_t)s.len << 56;
	size_t tail = s.len & ~(size_t)7;

	for (size_t i = 0; i < tail; i += 8) {
		memcpy(&word, s.ptr + i, 8);
		hash_sip_word_(v, word);
	}
	for (size_t i = tail; i < s.len; i++)
		last |= (uint64_t)(unsigned char)s.ptr[i] << (8 * (i - tail));
	hash_sip_word_(v, last);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		hash_sip_round_(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* A bijection whose outputs look random (the finaliser of splitmix64). */
static inline uint64_t hash_u64(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
	v = (v ^ v >> 27) * 0x94d049bb133111ebu;
	return v ^ v >> 31;
}
