/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit.h - rate limits from how they are written to a draft.
 *
 * Threads: not a worker's; pure but for what it allocates.
 */
#pragma once

#include "policy/draft.h"
#include "policy/schema.h"

/* The claim that a limit goes by; empty: it goes by something else. */
struct slice limit_claim(const struct written_limit *limit);

/* 0; -EINVAL when it is no key. */
GW_MUST_USE int limit_check_key(struct slice key);

/* 0; -ERANGE when rate and burst go together to no rule (gcra.h). */
GW_MUST_USE int limit_rule(const struct written_limit *written, struct gcra_rule *ret_rule);

/*
 * All of them. One that 'before' has under the same name and key is the same one:
 * it keeps its identity, and what changes of its numbers is an edition of it. 'limits' has room
 * for all.
 */
void limits_draw(const struct written_policy *policy, const struct policy_table *before,
		 uint32_t generation, struct draft_limit *limits);
