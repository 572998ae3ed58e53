/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate_cell.h - a TAT with the name of its owner, changed together by all workers.
 *
 * A cell is 16 bytes that change in one compare-and-swap, so that nobody ever charges a bucket
 * that has just become somebody else's. All zero is a cell that nobody has.
 *
 *     tag   high 48 bits: whose it is, in a table (0: nobody's)
 *           low 16 bits: the edition of the newest rule that it was charged or clamped by
 *     tat   as in gcra.h
 *
 * The edition is there since a change of the rule has to clamp the TAT once (gcra_clamp()), and
 * the TAT itself does not say whether that was done. Of two editions the one less than 2^15 ahead
 * is the newer. Workers learn of a change within some milliseconds of each other; until its time
 * has come (edition_from_ns) they judge by their own rule and clamp nothing. A worker that has the
 * older rule even then leaves a TAT that was clamped; what it charges is to be paid off within the
 * older tolerance. So no debt is forgiven twice.
 *
 * Lock-free, and without a library: every function is a few instructions.
 *
 * Threads: cells belong to all; pairs, which are values, to the caller.
 */
#pragma once

#include <stdatomic.h>

#include "policy/gcra.h"

#ifdef __GCC_HAVE_SYNC_COMPARE_AND_SWAP_16
#define RATE_CELL_LOCK_FREE 1
#else
#define RATE_CELL_LOCK_FREE 0
#endif
_Static_assert(RATE_CELL_LOCK_FREE, "16 bytes are swapped in place: see cmake/flags.cmake");

#define RATE_TAG_EDITION UINT64_C(0xffff)

/*
 * How often a swap is tried before the decision is a refusal. Each failure means that another
 * decision on that cell went through, so only a bucket that is being emptied by everybody at once
 * comes here, and the promise to keep is the limit. 32 tries are below 5 us.
 */
enum { RATE_TRIES = 32 };

struct rate_pair {
	uint64_t tag;
	uint64_t tat_ns;
};

union rate_cell {
	struct {
		_Atomic uint64_t tag;
		_Atomic uint64_t tat_ns;
	};
	unsigned __int128 both; /* For the swap alone. */
};
_Static_assert(sizeof(union rate_cell) == 16, "four to a cache line");

/*
 * May be torn: a tag and the TAT of the cell's next owner. A swap finds that out by itself; who
 * swaps nothing asks rate_cell_holds() afterwards.
 */
static inline struct rate_pair rate_cell_read(const union rate_cell *cell)
{
	struct rate_pair pair;

	pair.tag = atomic_load_explicit(&cell->tag, memory_order_acquire);
	pair.tat_ns = atomic_load_explicit(&cell->tat_ns, memory_order_acquire);
	return pair;
}

static inline bool rate_cell_holds(const union rate_cell *cell, uint64_t tag)
{
	return atomic_load_explicit(&cell->tag, memory_order_relaxed) == tag;
}

/* False: it no longer was 'from', and stays as it is. */
static inline bool rate_cell_swap(union rate_cell *cell, struct rate_pair from, struct rate_pair to)
{
	union {
		struct rate_pair pair;
		unsigned __int128 both;
	} old = { .pair = from }, new = { .pair = to };

	return __sync_bool_compare_and_swap(&cell->both, old.both, new.both);
}

static inline bool rate_pair_eq(struct rate_pair a, struct rate_pair b)
{
	return a.tag == b.tag && a.tat_ns == b.tat_ns;
}

/*
 * The pair after taking n tokens by that rule: equal to 'pair' when there is nothing to store,
 * which is so for refusals, but for the first one under a newer edition.
 */
struct rate_pair rate_pair_take(struct rate_pair pair, const struct gcra_rule *rule,
				uint64_t now_ns, uint32_t n, struct gcra_answer *ret_answer);

/* The edition that this rule gives to what it charges. */
static inline uint16_t rate_edition(const struct gcra_rule *rule, uint64_t now_ns)
{
	return (uint16_t)(rule->edition - (now_ns < rule->edition_from_ns));
}

/* The TAT that this rule sees in the pair. */
uint64_t rate_pair_tat_ns(struct rate_pair pair, const struct gcra_rule *rule, uint64_t now_ns);

/* The answer of a decision that found no end: no token now, perhaps after one interval. */
void rate_give_up(const struct gcra_rule *rule, struct gcra_answer *ret_answer);
