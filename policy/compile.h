/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile.h - from a draft to the table that workers ask.
 *
 * Ownership: the table is the caller's, one block for free(). Threads: not a worker's; it
 * allocates, and takes as long as the draft is large.
 */
#pragma once

#include "policy/draft.h"

GW_MUST_USE int policy_compile(const struct policy_draft *draft, struct policy_table **ret_table);

/* A copy, to be changed before it is offered; or NULL. */
struct policy_table *policy_copy(const struct policy_table *table);

#define POLICY_WHEN_OFFERED UINT64_MAX /* gcra_rule.edition_from_ns until that is known. */

/* In a table that is about to be offered: from when on its limits' changes count. */
void policy_begin_limits(struct policy_table *table, uint64_t now_ns);

/* In a table that nobody has been offered yet: an endpoint, to give it other addresses. */
struct policy_endpoint *policy_endpoint_of(struct policy_table *table, uint32_t service,
					   uint32_t i);
