/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leases.h - the buckets that all clients draw from, and what a worker holds of them.
 *
 * A bucket is a word of all workers (policy/rate_word.h) and has the number that the policy gives
 * it (policy/limit_buckets.h). Other than the buckets of keys (policy/rate_table.h) they are never
 * evicted: no flood of clients makes a limit by route forget what it has let through.
 *
 * Memory: 64 bytes a bucket for all, 48 a bucket and worker. All that a policy may ever need is
 * reserved; the system gives what is touched, if it gives more than it has at all
 * (vm.overcommit_memory).
 * Threads: leases_look() any; what makes and destroys the shared ones, one; else the worker's.
 */
#pragma once

#include "policy/rate_word.h"
#include "policy/table.h"
#include "ring/ring.h"

/* Of all workers. Outlives them. */
struct leases_shared;

/* 0 or -ENOMEM. */
GW_MUST_USE int leases_shared_create(uint32_t n_workers, struct leases_shared **ret_shared);
void leases_shared_destroy(struct leases_shared *shared);

/* Of one bucket. */
struct lease_held;

/* A worker's own. */
struct leases {
	struct leases_shared *shared;
	struct ring *ring;
	struct lease_held *held; /* By number of the bucket. */
	uint32_t first;          /* Of those that may have tokens left. */
	struct ring_timer settle;
};

/*
 * 'shared' is NULL in a gateway that takes no policies; then there is nothing to take. 0 or
 * -ENOMEM.
 */
GW_MUST_USE int leases_init(struct leases *leases, struct leases_shared *shared, struct ring *ring);
/* What is left is given back. */
void leases_fini(struct leases *leases);

/* Takes one token of the limit's bucket; by the ring's time. False: as rate_word_take(). */
bool leases_take(struct leases *leases, const struct policy_route_limit *limit,
		 const struct gcra_rule *rule, struct gcra_answer *ret_answer);

/* A token that was taken is not needed. */
void leases_give_back(struct leases *leases, const struct policy_route_limit *limit);

/* What a token would be answered, and nothing is taken; what workers hold counts as used. */
void leases_look(const struct leases_shared *shared, const struct policy_route_limit *limit,
		 const struct gcra_rule *rule, uint64_t now_ns, struct gcra_answer *ret_answer);
