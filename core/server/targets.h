/* SPDX-License-Identifier: Apache-2.0 */
/*
 * targets.h - the upstreams of the configuration as policy tables, names resolved.
 *
 * --upstream builds a table of one service and one route. Names are looked up
 * on the control thread, again when their time to live has passed, and each
 * change becomes a new generation, offered to every worker's seat. An answer
 * that fails keeps the last good one.
 *
 * A table is freed when every worker has adopted a later one.
 *
 * Threads: the control thread's.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/server/config.h"
#include "policy/seat.h"
#include "policy/table.h"
#include "ring/ring_resolve.h"

struct targets;

/* A new table is there: offer it to all workers. */
typedef void targets_fn(void *owner, const struct policy_table *table);

struct targets_options {
	struct ring *ring;
	const struct config *config;
	const struct ring_addr
		*demo; /* The built-in origin, used when there is no upstream; or NULL. */
	uint32_t n_workers;
	targets_fn *changed;
	void *owner;
};

GW_MUST_USE int targets_open(const struct targets_options *opt, struct targets **ret_targets);

/* Every name was answered once, well or not. */
bool targets_are_known(const struct targets *targets);
const struct policy_table *targets_table(const struct targets *targets);

/* Other timeouts and limits (reload): a new generation. 0 or -ENOMEM. */
GW_MUST_USE int targets_configure(struct targets *targets, const struct config *config);

/* No seat uses anything older than 'table' any more. */
void targets_release(struct targets *targets, const struct policy_table *table);
void targets_free(struct targets *targets);
uint64_t targets_n_failures(const struct targets *targets);
