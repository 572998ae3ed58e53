/* SPDX-License-Identifier: Apache-2.0 */
/*
 * targets.h - tables for workers: what a policy says, with the addresses that its names have now.
 *
 * Names are looked up on the control thread, again when their time to live has
 * passed, and each change becomes a new edition, offered to every worker's seat.
 * An answer that fails keeps the last good one.
 *
 * A table is freed when every worker has adopted a later one.
 *
 * Threads: the control thread's. While targets are frozen, targets_prepare() is for one other
 * thread instead.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "policy/compile.h"
#include "policy/seat.h"
#include "ring/ring_resolve.h"

struct targets;

/* A new table is there: offer it to all workers. */
typedef void targets_fn(void *owner, const struct policy_table *table);

struct targets_options {
	struct ring *ring;
	struct keyring *keyring; /* Whose rings tables hold; NULL: there are none. */
	targets_fn *changed;
	void *owner;
};

GW_MUST_USE int targets_open(const struct targets_options *opt, struct targets **ret_targets);

/*
 * Until targets_thaw() the table and the set of names stay, but for targets_commit(): addresses
 * that are learnt meanwhile count from then on.
 */
void targets_freeze(struct targets *targets);
void targets_thaw(struct targets *targets);

/*
 * A policy that may come into force. Its endpoints' addresses are the draft's, or those of the same
 * names so far; its edition is ours. 0 or -ENOMEM. The draft is not kept. Nothing else may change
 * before targets_commit() or targets_forget().
 */
struct targets_next;
GW_MUST_USE int targets_prepare(struct targets *targets, struct policy_draft *draft,
				struct targets_next **ret_next);

/* This policy from now on; 'changed' is called, and names that are new are looked up. */
void targets_commit(struct targets *targets, struct targets_next *next);
/* Or not. */
void targets_forget(struct targets *targets, struct targets_next *next);

/* Every name was answered once, well or not. */
bool targets_are_known(const struct targets *targets);
/* The latest; NULL before the first. */
const struct policy_table *targets_table(const struct targets *targets);

/* No seat uses anything older than 'table' any more. Frozen targets keep all until the next time. */
void targets_release(struct targets *targets, const struct policy_table *table);
void targets_free(struct targets *targets);
uint64_t targets_n_failures(const struct targets *targets);
