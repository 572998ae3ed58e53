/* SPDX-License-Identifier: Apache-2.0 */
/*
 * draw.h - from a policy that was read to a draft that can be compiled.
 *
 * Threads: not a worker's.
 */
#pragma once

#include "policy/draft.h"
#include "policy/schema.h"

struct draw_options {
	const struct policy_table *before; /* Slots go on from there; NULL: there is none. */
	uint32_t generation;
	uint32_t n_workers;       /* Among whom numbers of connections are shared. */
	uint32_t max_idle_all;    /* Idle connections of all services, per worker. */
	struct keyring *keyring;  /* NULL: of tokens there are none. */
	struct slice server_name; /* What upstreams are asked for over TLS; empty: their host. */
};

/* 0; or -ENOMEM. The draft points into the policy, which outlives it. */
GW_MUST_USE int policy_draw(const struct written_policy *policy, const struct draw_options *opt,
			    struct policy_draft **ret_draft);
void policy_draw_free(struct policy_draft *draft);
