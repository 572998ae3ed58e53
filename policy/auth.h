/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.h - who may ask, from how it is written to a draft.
 *
 * Threads: not a worker's.
 */
#pragma once

#include "core/document/report.h"
#include "policy/draft.h"
#include "policy/keyring.h"
#include "policy/schema.h"

/* Says in 'rep' what is wrong with the policy's auths, and with how routes use them. 0 or -ENOMEM. */
GW_MUST_USE int auths_check(const struct written_policy *policy, struct report *rep);

/* Memory of a draft's auths. */
struct auth_room {
	struct draft_auth *auths;
	struct draft_claim *claims;
	struct draft_client *clients;
	struct slice *told;
	uint32_t n_told;
	uint32_t n_drawn; /* Those whose ring is held. */
};

/*
 * All of them; 'keyring' may be NULL when there are no tokens. What was checked cannot fail but for
 * -ENOMEM and -ENOSPC. auths_drop() in any case.
 */
GW_MUST_USE int auths_draw(const struct written_policy *policy, struct keyring *keyring,
			   struct auth_room *room);
void auths_drop(struct auth_room *room, struct keyring *keyring);

/* 1 + the index of that name; 0 for an empty one. */
uint16_t auth_of(const struct written_policy *policy, struct slice name);
