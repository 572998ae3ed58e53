/* SPDX-License-Identifier: Apache-2.0 */
/*
 *  1  no key has two cells. Two workers that add the same key may want different ones, when they
 *     read different times or something changed between their looks. So who has added a key looks
 *     whether it is there twice now, and then takes back what it did and tries again. A swap is a
 *     full barrier, so one of the two sees the other; if both do, both try the first set, where one
 *     swap fails. Where the new cell was charged by somebody else meanwhile, the cell that is found
 *     second goes, and the first one owes its debt, too: what was admitted by both is paid off.
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

/*
 * Of a tag: a cell keeps a hash of the key, in the high 40 bits, and one of the limit, in the next
 * 8. What lies below is the key's too, and with the rest it says which sets.
 */
#define TAG_GROUP_SHIFT 16
#define TAG_GROUP       (UINT64_C(0xff) << TAG_GROUP_SHIFT)
#define GROUPS          256
#define TAG_KEY         (~(TAG_GROUP | RATE_TAG_EDITION))

struct rate_table {
	struct rate_set *sets;
	uint64_t n_sets; /* A power of two. */
	struct hash_key key;
	_Atomic uint64_t tolerances_ns[GROUPS]; /* Of limits' rules, by their part of a tag. */
};

/* A cell, as it was when read. */
struct found {
	union rate_cell *cell;
	struct rate_pair pair;
	bool known; /* It is the key's; otherwise the one to take over. */
};

int rate_table_create(uint64_t n_cells, struct hash_key key, struct rate_table **ret_table)
{
	struct rate_table *table = calloc(1, sizeof(*table));
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
	table->sets = sets;
	table->n_sets = n_cells / SET_CELLS;
	table->key = key;
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

	tag = (tag & ~TAG_GROUP) | (hash_u64(~limit) & TAG_GROUP);
	/* The part that a cell keeps must not be that of a free cell. */
	return (tag & TAG_KEY) ? tag : tag | (TAG_KEY & -TAG_KEY);
}

/* The two sets may be one. Odd numbers without a pattern, so that all bits of a tag have a say. */
static struct rate_set *first_set(const struct rate_table *table, uint64_t tag)
{
	return &table->sets[(tag * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (table->n_sets - 1)];
}

static struct rate_set *second_set(const struct rate_table *table, uint64_t tag)
{
	return &table->sets[(tag * UINT64_C(0xc2b2ae3d27d4eb4f) >> 32) & (table->n_sets - 1)];
}

void rate_table_prefetch(const struct rate_table *table, uint64_t tag)
{
	__builtin_prefetch(first_set(table, tag), 1);
	__builtin_prefetch(second_set(table, tag), 1);
}

/* --- Finding. -------------------------------------------------------------------------------- */

static bool same_owner(uint64_t a, uint64_t b)
{
	return (a & ~RATE_TAG_EDITION) == (b & ~RATE_TAG_EDITION);
}

static unsigned group_of(uint64_t tag)
{
	return (unsigned)((tag & TAG_GROUP) >> TAG_GROUP_SHIFT);
}

static bool same_limit(uint64_t a, uint64_t b)
{
	return group_of(a) == group_of(b);
}

/* Reads a set up to the key's cell. True: that is the last one read. */
static bool read_set(struct rate_set *set, uint64_t tag, struct found cells[SET_CELLS],
		     struct found *ret_found)
{
	for (unsigned i = 0; i < SET_CELLS; i++) {
		cells[i].cell = &set->cells[i];
		cells[i].pair = rate_cell_read(cells[i].cell);
		cells[i].known = same_owner(cells[i].pair.tag, tag);
		if (cells[i].known) {
			*ret_found = cells[i];
			return true;
		}
	}
	return false;
}

static unsigned n_live(const struct found cells[SET_CELLS], uint64_t now_ns)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SET_CELLS; i++)
		n += cells[i].pair.tat_ns > now_ns;
	return n;
}

/* The smallest TAT, which is 0 for a free cell. */
static const struct found *smallest(const struct found cells[SET_CELLS])
{
	const struct found *least = &cells[0];

	for (unsigned i = 1; i < SET_CELLS; i++)
		if (cells[i].pair.tat_ns < least->pair.tat_ns)
			least = &cells[i];
	return least;
}

static unsigned n_of_limit(const struct found cells[2 * SET_CELLS], uint64_t tag)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2 * SET_CELLS; i++)
		n += same_limit(cells[i].pair.tag, tag);
	return n;
}

/* How far a bucket is from full, of EMPTY: of different limits, comparable. */
#define EMPTY (UINT64_C(1) << 20)

static uint64_t emptiness(const struct rate_table *table, const struct found *cell, uint64_t now_ns)
{
	uint64_t tolerance_ns = atomic_load_explicit(
		&table->tolerances_ns[group_of(cell->pair.tag)], memory_order_relaxed);

	return (cell->pair.tat_ns - now_ns) / (tolerance_ns / EMPTY + 1);
}

/* The fullest bucket; of the limit of that tag, or of any when it is 0. */
static const struct found *fullest(const struct rate_table *table,
				   const struct found cells[2 * SET_CELLS], uint64_t among,
				   uint64_t now_ns)
{
	uint64_t least = UINT64_MAX;
	const struct found *found = NULL;

	for (unsigned i = 0; i < 2 * SET_CELLS; i++) {
		uint64_t is = emptiness(table, &cells[i], now_ns);

		if (is >= least || (among && !same_limit(cells[i].pair.tag, among)))
			continue;
		found = &cells[i];
		least = is;
	}
	return found;
}

/* The limit that has more than half of the cells, or half of them and is the key's own; or 0. */
static uint64_t crowd(const struct found cells[2 * SET_CELLS], uint64_t tag)
{
	if (n_of_limit(cells, tag) >= SET_CELLS)
		return tag;
	for (unsigned i = 0; i < SET_CELLS; i++) /* Who has more than half has one of any half. */
		if (n_of_limit(cells, cells[i].pair.tag) > SET_CELLS)
			return cells[i].pair.tag;
	return 0;
}

/*
 * Of cells that are all live. A flood of new keys makes buckets that are nearly full, and evicts
 * itself. Where one request empties a bucket, a flood looks like clients that all stand at their
 * limit; then who has most makes room, and other limits keep their half.
 */
static const struct found *to_evict(const struct rate_table *table,
				    const struct found cells[2 * SET_CELLS], uint64_t tag,
				    uint64_t now_ns)
{
	const struct found *found = fullest(table, cells, 0, now_ns);

	if (emptiness(table, found, now_ns) < EMPTY / 2 &&
	    (same_limit(found->pair.tag, tag) || n_of_limit(cells, tag) < SET_CELLS))
		return found;
	return fullest(table, cells, crowd(cells, tag), now_ns);
}

/* The key's cell, or else the one to take over. 'stubborn': of the first set, whatever is live. */
static struct found find(const struct rate_table *table, uint64_t tag, uint64_t now_ns,
			 bool stubborn)
{
	struct found cells[2 * SET_CELLS], *second = cells + SET_CELLS, found;
	unsigned n_first, n_second;

	if (read_set(first_set(table, tag), tag, cells, &found) ||
	    read_set(second_set(table, tag), tag, second, &found))
		return found;
	n_first = n_live(cells, now_ns);
	n_second = n_live(second, now_ns);
	if (stubborn || (n_first <= n_second && n_first < SET_CELLS))
		return *smallest(cells);
	return n_second < SET_CELLS ? *smallest(second) : *to_evict(table, cells, tag, now_ns);
}

/* --- Keys that are there twice. -------------------------------------------------------------- */

static union rate_cell *find_but(const struct rate_table *table, uint64_t tag,
				 const union rate_cell *but)
{
	struct rate_set *sets[] = { first_set(table, tag), second_set(table, tag) };

	for (unsigned i = 0; i < 2 * SET_CELLS; i++) {
		union rate_cell *cell = &sets[i / SET_CELLS]->cells[i % SET_CELLS];

		if (cell != but && same_owner(rate_cell_read(cell).tag, tag))
			return cell;
	}
	return NULL;
}

/* False: it was charged meanwhile. A victim that was live gets its cell back. */
static bool take_back(const struct found *was, struct rate_pair added, uint64_t now_ns)
{
	struct rate_pair before = { 0 };

	if (was->pair.tat_ns > now_ns)
		before = was->pair;
	return rate_cell_swap(was->cell, added, before);
}

/* The key's debt in that cell, which is free then. */
static uint64_t dissolve(union rate_cell *cell, uint64_t tag, uint64_t now_ns)
{
	for (int i = 0; i < RATE_TRIES; i++) {
		struct rate_pair pair = rate_cell_read(cell);

		if (!same_owner(pair.tag, tag))
			return 0;
		if (rate_cell_swap(cell, pair, (struct rate_pair){ 0 }))
			return pair.tat_ns > now_ns ? pair.tat_ns - now_ns : 0;
	}
	return 0;
}

static void add_debt(union rate_cell *cell, uint64_t tag, uint64_t debt_ns, uint64_t now_ns)
{
	for (int i = 0; i < RATE_TRIES && debt_ns; i++) {
		struct rate_pair pair = rate_cell_read(cell), after = pair;

		after.tat_ns = (pair.tat_ns > now_ns ? pair.tat_ns : now_ns) + debt_ns;
		if (!same_owner(pair.tag, tag) || rate_cell_swap(cell, pair, after))
			return;
	}
}

static void merge(const struct rate_table *table, uint64_t tag, uint64_t now_ns)
{
	union rate_cell *first = find_but(table, tag, NULL);
	union rate_cell *second = first ? find_but(table, tag, first) : NULL;

	if (second)
		add_debt(first, tag, dissolve(second, tag, now_ns), now_ns);
}

/* The key was added there. False: and taken back, since it had been added elsewhere, too. */
static bool is_once(const struct rate_table *table, uint64_t tag, const struct found *was,
		    struct rate_pair added, uint64_t now_ns)
{
	if (GW_LIKELY(!find_but(table, tag, was->cell)))
		return true;
	if (take_back(was, added, now_ns))
		return false;
	merge(table, tag, now_ns);
	return true;
}

/* With a new key: only where cells are contended for does it matter what each may owe. */
static void note_tolerance(struct rate_table *table, uint64_t tag, const struct gcra_rule *rule)
{
	_Atomic uint64_t *known = &table->tolerances_ns[group_of(tag)];

	if (atomic_load_explicit(known, memory_order_relaxed) != rule->tolerance_ns)
		atomic_store_explicit(known, rule->tolerance_ns, memory_order_relaxed);
}

/* --- Deciding. ------------------------------------------------------------------------------- */

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
			if (!f.known)
				note_tolerance(table, tag, rule);
			if (f.known || is_once(table, tag, &f, after, now_ns))
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
