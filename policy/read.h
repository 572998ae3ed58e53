/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read.h - a document becomes a policy, if it is a good one.
 *
 * Threads: not a worker's.
 */
#pragma once

#include "core/document/document.h"
#include "policy/schema.h"

/*
 * Bound and checked as a whole. 0; -EINVAL, and 'rep' says what is wrong and where; or -ENOMEM.
 * 'room' is how large the document was in bytes; the policy keeps nothing of it.
 */
GW_MUST_USE int policy_read(const struct document_node *root, size_t room, struct report *rep,
			    struct written_policy **ret_policy);
void policy_read_free(struct written_policy *policy);
