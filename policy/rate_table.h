/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate_table.h - the buckets of clients: one table for all keys, limits and workers.
 *
 * A key (an address, a token, a field's value) under a limit has a tag, a keyed hash of both. The
 * tag names two sets of four cells, a cache line each; the key has one of the eight, or none and is
 * as good as full. A refusal writes nothing.
 *
 * A key without a cell takes one of the set that has fewer live keys, whose buckets are not full: of
 * that the cell with the smallest TAT, most often a bucket that is full again, of which nothing is
 * lost. While a quarter of the cells are live, such a one is found, but for chances of one in a
 * million. Where both sets are all live, the fullest bucket of the eight is forgotten, by what each
 * may owe; that key may use its burst again. A flood of new keys, which owe a token each, so evicts
 * each other and not those that stand at their limit. Where all stand at a limit, the one that has
 * most of the eight makes room, and the others keep their half. How often is the caller's to count,
 * and a reason for more cells.
 *
 * Two keys with one tag would share a bucket; of the hash, a cell keeps 40 bits, and 8 of the
 * limit's.
 *
 * Ownership: the table is made once, at the start, and shared; 16 bytes a cell, of which the system
 * gives only those that are used.
 * Threads: any, all functions but create and destroy. Nothing waits.
 */
#pragma once

#include "core/base/hash.h"
#include "policy/gcra.h"

#define RATE_TABLE_CELLS_MIN 4u
#define RATE_TABLE_CELLS_MAX (UINT64_C(1) << 32)

struct rate_table;

enum rate_found {
	RATE_KNOWN,   /* It has a cell. */
	RATE_ADDED,   /* Has got one that no live key had. */
	RATE_EVICTED, /* Has got a live key's. */
	RATE_ABSENT,  /* It has none, and there was no reason to give it one. */
	RATE_GAVE_UP, /* Refused unjudged, after RATE_TRIES (rate_cell.h): others were faster. */
};

/*
 * 'n_cells' is a power of two within the bounds, about twice the keys that are live at once; 'key'
 * is secret and random. 0 or -ENOMEM.
 */
GW_MUST_USE int rate_table_create(uint64_t n_cells, struct hash_key key,
				  struct rate_table **ret_table);
void rate_table_destroy(struct rate_table *table);

/* 'limit' tells limits apart, for good. Never 0. */
uint64_t rate_table_tag(const struct rate_table *table, uint64_t limit, struct slice key);

/* To be called when the tag is known and the decision is some work away: hides a cache miss. */
void rate_table_prefetch(const struct rate_table *table, uint64_t tag);

/* Takes n tokens of the key's bucket, or none (gcra_take()). */
enum rate_found rate_table_take(struct rate_table *table, uint64_t tag,
				const struct gcra_rule *rule, uint64_t now_ns, uint32_t n,
				struct gcra_answer *ret_answer);

/* What rate_table_take() would say, and nothing is taken or stored. KNOWN, ABSENT or GAVE_UP. */
enum rate_found rate_table_look(const struct rate_table *table, uint64_t tag,
				const struct gcra_rule *rule, uint64_t now_ns, uint32_t n,
				struct gcra_answer *ret_answer);

/*
 * Gives back n tokens that were taken for work that was then not done. KNOWN; ABSENT when the key
 * was evicted and there is nothing to give back to; GAVE_UP when they are lost.
 */
enum rate_found rate_table_refund(struct rate_table *table, uint64_t tag,
				  const struct gcra_rule *rule, uint64_t now_ns, uint32_t n);
