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
 * Threads: the control thread's.
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
	targets_fn *changed;
	void *owner;
};

GW_MUST_USE int targets_open(const struct targets_options *opt, struct targets **ret_targets);

/*
 * This policy from now on, and 'changed' is called: at once, with the addresses that are known.
 * The draft's own are those of endpoints that need no name; its edition is ours. 0 or -ENOMEM,
 * and nothing has changed. The draft is not kept.
 */
GW_MUST_USE int targets_apply(struct targets *targets, struct policy_draft *draft);

/* Every name was answered once, well or not. */
bool targets_are_known(const struct targets *targets);
/* The latest; there must have been one. */
const struct policy_table *targets_table(const struct targets *targets);

/* No seat uses anything older than 'table' any more. */
void targets_release(struct targets *targets, const struct policy_table *table);
void targets_free(struct targets *targets);
uint64_t targets_n_failures(const struct targets *targets);
