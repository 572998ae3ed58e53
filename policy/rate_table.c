/* SPDX-License-Identifier: Apache-2.0 */
/*
 *  1  no two cells of a set have the same owner. A key's cell is taken over from the smallest TAT
 *     of the set, so two workers that add the same key want the same cell, and one swap fails.
 *     (A refund between their looks can make another cell the smallest. Then the second cell is
 *     never found again and runs out; what was charged there is lost, which is one decision.)
 *  2  a cell is written by rate_cell_swap() only, so its tag and its TAT belong together.
 */
#include "policy/rate_table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/base/bits.h"
#include "policy/rate_cell.h"

#define SET_CELLS 4u

struct rate_set {
	_Alignas(64) union rate_cell cells[SET_CELLS];
};
_Static_assert(sizeof(struct rate_set) == 64, "a cache line");

struct rate_table {
	struct rate_set *sets;
	uint64_t n_sets; /* A power of two. */
	struct hash_key key;
};

/* A cell of the set, as it was when read. */
struct found {
	union rate_cell *cell;
	struct rate_pair pair;
	bool known; /* It is the key's; otherwise the one to take over. */
};

int rate_table_create(uint64_t n_cells, struct hash_key key, struct rate_table **ret_table)
{
	struct rate_table *table = malloc(sizeof(*table));
	void *sets;

	GW_ASSERT(bits_is_pow2(n_cells));
	GW_ASSERT(n_cells >= RATE_TABLE_CELLS_MIN && n_cells <= RATE_TABLE_CELLS_MAX);
	if (!table)
		return -ENOMEM;
	sets = mmap(NULL, n_cells * sizeof(union rate_cell), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (sets == MAP_FAILED) {
		free(table);
		return -ENOMEM;
	}
	/* Saves a look-up in the page table per decision where it works. */
	(void)madvise(sets, n_cells * sizeof(union rate_cell), MADV_HUGEPAGE);
	*table = (struct rate_table){ .sets = sets, .n_sets = n_cells / SET_CELLS, .key = key };
	*ret_table = table;
	return 0;
}

void rate_table_destroy(struct rate_table *table)
{
	(void)munmap(table->sets, table->n_sets * sizeof(*table->sets)); /* Ours: cannot fail. */
	free(table);
}

/* The mixer is no cipher, but it hides nothing: what guards is the keyed hash that it spreads. */
uint64_t rate_table_tag(const struct rate_table *table, uint64_t limit, struct slice key)
{
	uint64_t tag = hash_u64(hash_sip(table->key, key) + hash_u64(limit));

	/* The part that a cell keeps must not be that of a free cell. */
	return (tag & ~RATE_TAG_EDITION) ? tag : tag | (RATE_TAG_EDITION + 1);
}

static struct rate_set *set_of(const struct rate_table *table, uint64_t tag)
{
	return &table->sets[tag & (table->n_sets - 1)];
}

void rate_table_prefetch(const struct rate_table *table, uint64_t tag)
{
	__builtin_prefetch(set_of(table, tag), 1);
}

static bool same_owner(uint64_t a, uint64_t b)
{
	return (a & ~RATE_TAG_EDITION) == (b & ~RATE_TAG_EDITION);
}

/* The key's cell, or else the one with the smallest TAT, which is 0 for a free one. */
static struct found find(struct rate_set *set, uint64_t tag)
{
	struct found victim = { .pair.tat_ns = UINT64_MAX };

	for (unsigned i = 0; i < SET_CELLS; i++) {
		struct found f = { .cell = &set->cells[i] };

		f.pair = rate_cell_read(f.cell);
		if (same_owner(f.pair.tag, tag)) {
			f.known = true;
			return f;
		}
		if (f.pair.tat_ns < victim.pair.tat_ns)
			victim = f;
	}
	return victim;
}

/* What the key's cell holds, or would if it had one that was never charged. */
static struct rate_pair own_pair(const struct found *f, uint64_t tag, uint16_t edition)
{
	if (f->known)
		return f->pair;
	return (struct rate_pair){ .tag = (tag & ~RATE_TAG_EDITION) | edition };
}

static enum rate_found outcome(const struct found *f, uint64_t now_ns)
{
	if (f->known)
		return RATE_KNOWN;
	return f->pair.tat_ns > now_ns ? RATE_EVICTED : RATE_ADDED;
}

enum rate_found rate_table_take(struct rate_table *table, uint64_t tag,
				const struct gcra_rule *rule, uint64_t now_ns, uint32_t n,
				struct gcra_answer *ret_answer)
{
	struct rate_set *set = set_of(table, tag);
	uint16_t edition = rate_edition(rule, now_ns);

	for (int i = 0; i < RATE_TRIES; i++) {
		struct found f = find(set, tag);
		struct rate_pair before = own_pair(&f, tag, edition);
		struct rate_pair after = rate_pair_take(before, rule, now_ns, n, ret_answer);

		if (rate_pair_eq(before, after)) {
			if (!f.known)
				return RATE_ABSENT;
			if (rate_cell_holds(f.cell, f.pair.tag))
				return RATE_KNOWN;
		} else if (rate_cell_swap(f.cell, f.pair, after)) {
			return outcome(&f, now_ns);
		}
	}
	rate_give_up(rule, ret_answer);
	return RATE_GAVE_UP;
}

enum rate_found rate_table_look(const struct rate_table *table, uint64_t tag,
				const struct gcra_rule *rule, uint64_t now_ns, uint32_t n,
				struct gcra_answer *ret_answer)
{
	struct rate_set *set = set_of(table, tag);
	uint16_t edition = rate_edition(rule, now_ns);

	for (int i = 0; i < RATE_TRIES; i++) {
		struct found f = find(set, tag);

		(void)rate_pair_take(own_pair(&f, tag, edition), rule, now_ns, n, ret_answer);
		if (!f.known)
			return RATE_ABSENT;
		if (rate_cell_holds(f.cell, f.pair.tag))
			return RATE_KNOWN;
	}
	rate_give_up(rule, ret_answer);
	return RATE_GAVE_UP;
}

enum rate_found rate_table_refund(struct rate_table *table, uint64_t tag,
				  const struct gcra_rule *rule, uint64_t now_ns, uint32_t n)
{
	struct rate_set *set = set_of(table, tag);

	for (int i = 0; i < RATE_TRIES; i++) {
		struct found f = find(set, tag);
		struct rate_pair after = f.pair;

		if (!f.known)
			return RATE_ABSENT;
		after.tat_ns = gcra_refund(rule, f.pair.tat_ns, now_ns, n);
		if (rate_pair_eq(f.pair, after) || rate_cell_swap(f.cell, f.pair, after))
			return RATE_KNOWN;
	}
	return RATE_GAVE_UP;
}
