/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile_handling.h - the part of a table that says what a route does besides passing on.
 *
 * Threads: as compile.h.
 */
#pragma once

#include "policy/blob.h"
#include "policy/draft.h"

/* One struct policy_handling; nothing when 'from' is NULL. */
struct policy_part compile_handling(struct blob *blob, const struct draft_handling *from);
