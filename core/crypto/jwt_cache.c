/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/jwt_cache.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/bits.h"

enum { ENTRIES_MAX = 1 << 24 };

/* Good from since_s on, in case the clock is set back, and before until_s. */
struct entry {
	struct jwt_cache_key key;
	int64_t since_s, until_s;
	int64_t exp_s;
	uint64_t asked; /* When, in turns of the cache. */
	uint16_t value_len;
	uint8_t fault; /* enum jwt_fault. */
};

struct part {
	struct entry *entries;
	char *values;       /* JWT_CACHE_VALUE_MAX for each entry; NULL: bad tokens have none. */
	uint32_t n_entries; /* A power of two. */
};

struct jwt_cache {
	struct part good, bad;
	uint64_t turn;
};

/* --- Life. ------------------------------------------------------------------------------------- */

static int part_init(struct part *part, uint32_t n, size_t value_size)
{
	GW_ASSERT(n <= ENTRIES_MAX);
	part->n_entries = (uint32_t)bits_pow2_up(n < JWT_CACHE_WAYS ? JWT_CACHE_WAYS : n);
	part->entries = calloc(part->n_entries, sizeof(*part->entries));
	if (value_size)
		part->values = calloc(part->n_entries, value_size);
	return part->entries && (part->values || !value_size) ? 0 : -ENOMEM;
}

static void part_free(struct part *part)
{
	free(part->entries);
	free(part->values);
}

int jwt_cache_create(uint32_t n_good, uint32_t n_bad, struct jwt_cache **ret_cache)
{
	struct jwt_cache *cache = calloc(1, sizeof(*cache));
	int r;

	if (!cache)
		return -ENOMEM;
	r = part_init(&cache->good, n_good, JWT_CACHE_VALUE_MAX);
	if (r == 0)
		r = part_init(&cache->bad, n_bad, 0);
	if (r < 0)
		jwt_cache_free(cache);
	else
		*ret_cache = cache;
	return r;
}

void jwt_cache_free(struct jwt_cache *cache)
{
	if (!cache)
		return;
	part_free(&cache->good);
	part_free(&cache->bad);
	free(cache);
}

int jwt_cache_key(struct digest *digest, uint64_t rules, struct slice token,
		  struct jwt_cache_key *ret_key)
{
	return digest_sha256(digest, slice_make(&rules, sizeof(rules)), token, ret_key->sha256);
}

/* --- Entries. ---------------------------------------------------------------------------------- */

/* Of a key's set, the first of four. */
static struct entry *set_of(const struct part *part, const struct jwt_cache_key *key)
{
	uint64_t bits;

	memcpy(&bits, key->sha256, sizeof(bits));
	return &part->entries[bits & (part->n_entries - 1) & ~(uint64_t)(JWT_CACHE_WAYS - 1)];
}

static bool is_live(const struct entry *entry, int64_t now_s)
{
	return entry->since_s <= now_s && now_s < entry->until_s;
}

static bool is_for(const struct entry *entry, const struct jwt_cache_key *key)
{
	return memcmp(&entry->key, key, sizeof(*key)) == 0;
}

static struct entry *find_in(const struct part *part, const struct jwt_cache_key *key,
			     int64_t now_s)
{
	struct entry *set = set_of(part, key);

	for (struct entry *e = set; e < set + JWT_CACHE_WAYS; e++)
		if (is_live(e, now_s) && is_for(e, key))
			return e;
	return NULL;
}

/* Its own of before; else one that is over; else the one not asked for for the longest time. */
static struct entry *place_in(const struct part *part, const struct jwt_cache_key *key,
			      int64_t now_s)
{
	struct entry *set = set_of(part, key), *best = set;

	for (struct entry *e = set; e < set + JWT_CACHE_WAYS; e++) {
		uint64_t best_asked = is_live(best, now_s) ? best->asked : 0;

		if (is_for(e, key))
			return e;
		if ((is_live(e, now_s) ? e->asked : 0) < best_asked)
			best = e;
	}
	return best;
}

static char *value_of(const struct part *part, const struct entry *entry)
{
	return part->values + (size_t)(entry - part->entries) * JWT_CACHE_VALUE_MAX;
}

bool jwt_cache_find(struct jwt_cache *cache, const struct jwt_cache_key *key, int64_t now_s,
		    struct jwt_cache_verdict *ret_verdict)
{
	struct entry *entry = find_in(&cache->good, key, now_s);
	struct slice value = { 0 };

	if (entry)
		value = slice_make(value_of(&cache->good, entry), entry->value_len);
	else
		entry = find_in(&cache->bad, key, now_s);
	if (!entry)
		return false;
	entry->asked = ++cache->turn;
	*ret_verdict = (struct jwt_cache_verdict){ .fault = (enum jwt_fault)entry->fault,
						   .exp_s = entry->exp_s,
						   .value = value };
	return true;
}

void jwt_cache_put(struct jwt_cache *cache, const struct jwt_cache_key *key, int64_t now_s,
		   const struct jwt_cache_verdict *verdict)
{
	bool good = verdict->fault == JWT_FAULT_NONE;
	const struct part *part = good ? &cache->good : &cache->bad;
	struct entry *entry;
	int64_t until_s = now_s + JWT_CACHE_TIME_S;

	if (good && verdict->exp_s < until_s)
		until_s = verdict->exp_s;
	if (until_s <= now_s || verdict->fault == JWT_FAULT_OVERLOAD ||
	    verdict->fault == JWT_FAULT_NOT_YET_VALID)
		return;
	entry = place_in(part, key, now_s);
	*entry = (struct entry){
		.key = *key,
		.since_s = now_s,
		.until_s = until_s,
		.exp_s = good ? verdict->exp_s : 0,
		.asked = ++cache->turn,
		.fault = (uint8_t)verdict->fault,
	};
	if (good && verdict->value.len > 0) {
		GW_ASSERT(verdict->value.len <= JWT_CACHE_VALUE_MAX);
		entry->value_len = (uint16_t)verdict->value.len;
		memcpy(value_of(part, entry), verdict->value.ptr, verdict->value.len);
	}
}

static void part_flush(struct part *part)
{
	memset(part->entries, 0, part->n_entries * sizeof(*part->entries));
}

void jwt_cache_flush(struct jwt_cache *cache)
{
	part_flush(&cache->good);
	part_flush(&cache->bad);
}
