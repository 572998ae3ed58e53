/* SPDX-License-Identifier: Apache-2.0 */
/*
 * short_form.h - the few words by which a setup of one service may be limited as a whole.
 *
 * Threads: not a worker's.
 */
#pragma once

#include "core/base/arena.h"
#include "core/document/report.h"
#include "policy/schema.h"

/*
 * "rate_limit: N" becomes a limit of that name, N/s in all, which every route has in front of its
 * own. 0; -EINVAL when there is no place for it, and rep says so; -ENOMEM: the arena is full.
 */
GW_MUST_USE int short_form_expand(struct written_policy *policy, struct arena *arena,
				  struct report *rep);
