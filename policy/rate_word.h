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
 * A word has an owner, a number that grows: who has the word next has a larger one. It is in the
 * tag of the cell (rate_cell.h), so that whatever is charged or paid back is the owner's of that
 * moment. A new owner finds the bucket full; an older one, at a worker that is late, gets nothing.
 *
 * Ownership: word and lease are the caller's and start zeroed; both may go from owner to owner.
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
	uint64_t tag;         /* Of the word then: owner and edition. */
	uint64_t tat_ns;      /* Of the word then. */
	uint64_t interval_ns; /* What each of its tokens was charged. */
	uint32_t left;
};

/* For whom tokens are taken. */
struct rate_taker {
	uint32_t owner;
	uint32_t n_workers; /* Who share the word: 1 to 65,536. */
	const struct gcra_rule *rule;
};

/*
 * Takes one token, from the lease while that is good, or with a new one of the word's. Remaining
 * and reset are what this worker knows: the word as of the lease. False: a refusal unjudged, since
 * the word has a later owner, or after RATE_TRIES.
 */
bool rate_word_take(struct rate_word *word, struct rate_lease *lease,
		    const struct rate_taker *taker, uint64_t now_ns,
		    struct gcra_answer *ret_answer);

/*
 * What a token would be answered that is taken of the word alone, and nothing is taken: what
 * workers hold in leases counts as used.
 */
void rate_word_look(const struct rate_word *word, uint32_t owner, const struct gcra_rule *rule,
		    uint64_t now_ns, struct gcra_answer *ret_answer);

/* A token of the owner's that was taken is not needed: back to the lease, or to the word. */
void rate_word_refund(struct rate_word *word, struct rate_lease *lease, uint32_t owner,
		      uint64_t now_ns);

/*
 * Gives back what the lease has left, whatever its age. The worker's tick calls it every 10 ms, and
 * its end; rate_word_take() does by itself when the lease is too old, another owner's or of another
 * edition of the rule. Once the word has another owner, or was charged by another edition, what is
 * left is forfeited: it is not that one's, or the clamp may have forgiven it already.
 */
void rate_word_settle(struct rate_word *word, struct rate_lease *lease, uint64_t now_ns);
