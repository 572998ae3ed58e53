/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find.h - which route a request takes.
 *
 * 1. The host: a name before a wildcard, the longer wildcard before the shorter, and the
 *    routes for any host where none of them fits. No other host's routes are asked then.
 * 2. The path: one that is equal as a whole, then the longest prefix of whole segments,
 *    then shorter ones.
 * 3. Of routes with the same path: more fields before fewer, with methods before without,
 *    then the order in which they were written. What does not fit (method, a field)
 *    is passed over, on to shorter prefixes. HEAD goes where GET may go (RFC 9110 9.1).
 *
 * Costs what the request's host and path are long, and not what the table is large: two
 * hashes, each computed once over its text, and a look for each prefix's length that the
 * host has.
 *
 * Pure. Threads: the worker whose table it is.
 */
#pragma once

#include "core/base/writer.h"
#include "policy/decide.h"

enum policy_found { POLICY_FOUND, POLICY_UNKNOWN_HOST, POLICY_UNKNOWN_PATH };

/* FOUND: *ret_route is the route's index. */
enum policy_found policy_find(const struct policy_table *table,
			      const struct policy_request *request, uint32_t *ret_route);

enum { POLICY_ALLOW_MAX = 512 }; /* Bytes; methods beyond them are not told. */

/*
 * Of a request whose path is UNKNOWN: do routes of its host and path refuse only its method? Their
 * methods then go to 'out', each once, as Allow lists them (RFC 9110 10.2.1); NULL: to nobody.
 */
bool policy_allow(const struct policy_table *table, const struct policy_request *request,
		  struct writer *out);

/* --- Between find.c and compile.c: how keys are hashed. ------------------------------------- */

#define FIND_SEED UINT64_C(0xcbf29ce484222325)

static inline uint64_t find_step(uint64_t hash, unsigned char byte)
{
	return (hash ^ byte) * UINT64_C(0x100000001b3);
}

/* Never 0, which marks a free place. 'host' tells the same path of two hosts apart. */
static inline uint64_t find_finish(uint64_t hash, uint32_t host)
{
	hash ^= ((uint64_t)host + 1) * UINT64_C(0x9e3779b97f4a7c15);
	hash ^= hash >> 32;
	hash *= UINT64_C(0xd6e8feb86659fd93);
	hash ^= hash >> 32;
	return hash ? hash : 1;
}

/* Names are hashed from their ends, so that one pass passes all that a name ends in. */
static inline uint64_t find_hash_host(struct slice name)
{
	uint64_t hash = FIND_SEED;

	for (size_t i = name.len; i > 0; i--)
		hash = find_step(hash, (unsigned char)name.ptr[i - 1]);
	return find_finish(hash, 0);
}

static inline uint64_t find_hash_path(struct slice path, uint32_t host)
{
	uint64_t hash = FIND_SEED;

	for (size_t i = 0; i < path.len; i++)
		hash = find_step(hash, (unsigned char)path.ptr[i]);
	return find_finish(hash, host);
}
