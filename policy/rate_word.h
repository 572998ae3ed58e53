/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate_word.h - one bucket that all workers draw from all the time: a route's, a service's.
 *
 * A worker takes several tokens at once, a lease, and hands them out without touching the shared
 * line. A lease is
 *
 *     min( the worker's share of what 20 ms refill, half of its share of what is there )
 *
 * and exactly one token when that is below two: slow or nearly empty buckets are shared exactly.
 * What is left of a lease is given back when it is 10 ms old.
 *
 * Tokens leave the word before they are used, so any span D admits at most
 * burst + rate * (D + 10 ms): the excess is what was refilled while a lease lay unspent. At most
 * half of what is there lies unspent with workers, so nobody is refused for long by what others keep.
 *
 * Ownership: word and lease are the caller's, start zeroed, and belong to one limit; a new limit
 * starts with new ones.
 * Threads: the word is everybody's; a lease is one worker's. Nothing waits.
 */
#pragma once

#include "policy/rate_cell.h"

#define RATE_LEASE_NS UINT64_C(10000000)

/* A cache line of its own. */
struct rate_word {
	_Alignas(64) union rate_cell cell;
};

struct rate_lease {
	uint64_t taken_ns;
	uint64_t tat_ns;      /* Of the word when it was taken. */
	uint64_t interval_ns; /* What each of its tokens was charged. */
	uint32_t left;
	uint16_t edition; /* That the word had then (rate_cell.h). */
};

/*
 * Takes one token, from the lease while that is good, or with a new one of the word's. Remaining
 * and reset are what this worker knows: the word as of the lease. 'n_workers' share the word, 1 to
 * 65,536. A decision that finds no end in RATE_TRIES is a refusal.
 */
void rate_word_take(struct rate_word *word, struct rate_lease *lease, const struct gcra_rule *rule,
		    uint64_t now_ns, uint32_t n_workers, struct gcra_answer *ret_answer);

/*
 * What a token would be answered that is taken of the word alone, and nothing is taken: what
 * workers hold in leases counts as used.
 */
void rate_word_look(const struct rate_word *word, const struct gcra_rule *rule, uint64_t now_ns,
		    struct gcra_answer *ret_answer);

/*
 * Gives back what the lease has left, whatever its age. The worker's tick calls it every 10 ms, and
 * its end; rate_word_take() does by itself when the lease is too old or the rule has changed. Once
 * the word has been charged by another edition of the rule, what is left is forfeited: the clamp
 * may have forgiven it already.
 */
void rate_word_settle(struct rate_word *word, struct rate_lease *lease, uint64_t now_ns);
