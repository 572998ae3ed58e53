/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h - who is called as before keeps the slot of before.
 *
 * Threads: pure over the caller's memory, which is sorted on the way; allocates.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

struct slot_name {
	struct slice name; /* Each once; among the old ones also more often, with one slot. */
	uint32_t i;        /* The caller's. */
	uint32_t slot;
};

/* For qsort() and bsearch(). */
int slots_by_name(const void *a, const void *b);

/*
 * A slot below 'max' for each of the new ones: the old one's of that name; or the next one from
 * *cursor on, which goes on there, that no old one has, as long as there is such a one: what was
 * counted or is still running under a slot is not to become somebody else's soon. There are no more
 * new ones than slots. 0 or -ENOMEM.
 */
GW_MUST_USE int slots_assign(struct slot_name *old, uint32_t n_old, struct slot_name *now,
			     uint32_t n_now, uint32_t max, uint32_t *cursor);
