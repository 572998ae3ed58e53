/* SPDX-License-Identifier: Apache-2.0 */
/*
 *  1  no two cells have the same owner. Two workers that add the same key may want different
 *     cells, when they read different times or something changed between their looks. So who has
 *     added a key looks whether it is there twice now, and then takes back what it did and tries
 *     again. A swap is a full barrier, so one of the two sees the other; if both do, both try the
 *     first set, where one swap fails. (If somebody has charged the new cell meanwhile it stays: of
 *     the two the one that is found first counts, and of the other a decision or two are lost.)
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

/* The two may be one. */
static struct rate_set *first_set(const struct rate_table *table, uint64_t tag)
{
	return &table->sets[tag & (table->n_sets - 1)];
}

static struct rate_set *second_set(const struct rate_table *table, uint64_t tag)
{
	return &table->sets[tag >> 32 & (table->n_sets - 1)];
}

void rate_table_prefetch(const struct rate_table *table, uint64_t tag)
{
	__builtin_prefetch(first_set(table, tag), 1);
	__builtin_prefetch(second_set(table, tag), 1);
}

static bool same_owner(uint64_t a, uint64_t b)
{
	return (a & ~RATE_TAG_EDITION) == (b & ~RATE_TAG_EDITION);
}

/* Of a set: the key's cell, or else the one with the smallest TAT, which is 0 for a free one. */
static struct found find_in(struct rate_set *set, uint64_t tag, uint64_t now_ns,
			    unsigned *ret_n_live)
{
	struct found victim = { .pair.tat_ns = UINT64_MAX };

	*ret_n_live = 0;
	for (unsigned i = 0; i < SET_CELLS; i++) {
		struct found f = { .cell = &set->cells[i] };

		f.pair = rate_cell_read(f.cell);
		if (same_owner(f.pair.tag, tag)) {
			f.known = true;
			return f;
		}
		*ret_n_live += f.pair.tat_ns > now_ns;
		if (f.pair.tat_ns < victim.pair.tat_ns)
			victim = f;
	}
	return victim;
}

/* 'stubborn': a key that is not there goes into the first set, whatever is live. */
static struct found find(const struct rate_table *table, uint64_t tag, uint64_t now_ns,
			 bool stubborn)
{
	unsigned n_first, n_second;
	struct found first = find_in(first_set(table, tag), tag, now_ns, &n_first), second;

	if (first.known)
		return first;
	second = find_in(second_set(table, tag), tag, now_ns, &n_second);
	if (second.known)
		return second;
	if (stubborn)
		return first;
	if (n_first != n_second)
		return n_first < n_second ? first : second;
	return first.pair.tat_ns <= second.pair.tat_ns ? first : second;
}

static bool is_there(const struct rate_set *set, uint64_t tag, const union rate_cell *but)
{
	for (unsigned i = 0; i < SET_CELLS; i++)
		if (&set->cells[i] != but && same_owner(rate_cell_read(&set->cells[i]).tag, tag))
			return true;
	return false;
}

/* The key that was added there had been added elsewhere, too: takes it back. False: it stays. */
static bool take_back(const struct rate_table *table, uint64_t tag, const struct found *was,
		      struct rate_pair added)
{
	return (is_there(first_set(table, tag), tag, was->cell) ||
		is_there(second_set(table, tag), tag, was->cell)) &&
	       rate_cell_swap(was->cell, added, was->pair);
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
	uint16_t edition = rate_edition(rule, now_ns);
	bool twice = false;

	for (int i = 0; i < RATE_TRIES; i++) {
		struct found f = find(table, tag, now_ns, twice);
		struct rate_pair before = own_pair(&f, tag, edition);
		struct rate_pair after = rate_pair_take(before, rule, now_ns, n, ret_answer);

		if (rate_pair_eq(before, after)) {
			if (!f.known)
				return RATE_ABSENT;
			if (rate_cell_holds(f.cell, f.pair.tag))
				return RATE_KNOWN;
		} else if (rate_cell_swap(f.cell, f.pair, after)) {
			if (f.known || !take_back(table, tag, &f, after))
				return outcome(&f, now_ns);
			twice = true;
		}
	}
	rate_give_up(rule, ret_answer);
	return RATE_GAVE_UP;
}

enum rate_found rate_table_look(const struct rate_table *table, uint64_t tag,
				const struct gcra_rule *rule, uint64_t now_ns, uint32_t n,
				struct gcra_answer *ret_answer)
{
	uint16_t edition = rate_edition(rule, now_ns);

	for (int i = 0; i < RATE_TRIES; i++) {
		struct found f = find(table, tag, now_ns, false);

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
	for (int i = 0; i < RATE_TRIES; i++) {
		struct found f = find(table, tag, now_ns, false);
		struct rate_pair after = f.pair;

		if (!f.known)
			return RATE_ABSENT;
		after.tat_ns = gcra_refund(rule, f.pair.tat_ns, now_ns, n);
		if (rate_pair_eq(f.pair, after) || rate_cell_swap(f.cell, f.pair, after))
			return RATE_KNOWN;
	}
	return RATE_GAVE_UP;
}
