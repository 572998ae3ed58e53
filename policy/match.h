/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match.h - what the matches of a policy's routes must be, each and together: every route takes some
 * request, and those of one host and path, which are tried one after the other, are few.
 *
 * Threads: not a worker's.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/document/report.h"
#include "policy/schema.h"

/* Of route i, as it was written. */
void match_check(const struct written_match *match, uint32_t i, struct report *rep);

/* Of all routes; their hosts and the names of fields are in lower case. 0; -ENOMEM. */
GW_MUST_USE int match_check_all(const struct written_policy *policy, struct report *rep);
