/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit_buckets.h - the numbers of the buckets that all clients draw from.
 *
 * A limit by all has one, a limit by route has one for each route that is under it, one by service
 * for each service of such routes. Who has one in the table before keeps it, and so its tokens:
 * limits, routes and services go by their names. New ones get the lowest numbers that nobody has in
 * either table, as long as there are such ones, so that memory is used for as many as there are.
 *
 * Threads: not a worker's; pure but for what it allocates.
 */
#pragma once

#include "policy/draft.h"

/* Fills in the buckets of all routes' limits. Identities of limits are there. 0 or -ENOMEM. */
GW_MUST_USE int limit_buckets_assign(struct policy_draft *draft, const struct policy_table *before);
