/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/slots.h"

#include <errno.h>
#include <stdlib.h>

enum { FREE, LEFT, KEPT };

#define NO_SLOT UINT32_MAX

int slots_by_name(const void *a, const void *b)
{
	return slice_cmp(((const struct slot_name *)a)->name, ((const struct slot_name *)b)->name);
}

/* The next that is as free as that, around the end; or 'max'. */
static uint32_t next_free(const uint8_t *states, uint32_t max, uint32_t from, uint8_t state)
{
	for (uint32_t i = 0; i < max; i++)
		if (states[(from + i) % max] == state)
			return (from + i) % max;
	return max;
}

static void give_new(struct slot_name *now, uint32_t n_now, uint8_t *states, uint32_t max,
		     uint32_t *cursor)
{
	uint8_t state = FREE;
	uint32_t at;

	for (uint32_t i = 0; i < n_now; i++) {
		if (now[i].slot != NO_SLOT)
			continue;
		at = next_free(states, max, *cursor, state);
		if (at == max && state == FREE) { /* Those that were just left, then. */
			state = LEFT;
			at = next_free(states, max, *cursor, state);
		}
		GW_ASSERT(at < max);
		now[i].slot = at;
		states[at] = KEPT;
		*cursor = (at + 1) % max;
	}
}

int slots_assign(struct slot_name *old, uint32_t n_old, struct slot_name *now, uint32_t n_now,
		 uint32_t max, uint32_t *cursor)
{
	uint8_t *states = calloc(max, 1);

	GW_ASSERT(n_now <= max && max < NO_SLOT);
	if (!states)
		return -ENOMEM;
	if (n_old)
		qsort(old, n_old, sizeof(*old), slots_by_name);
	for (uint32_t i = 0; i < n_old; i++)
		states[old[i].slot] = LEFT;
	for (uint32_t i = 0; i < n_now; i++) {
		const struct slot_name *found =
			n_old ? bsearch(&now[i], old, n_old, sizeof(*old), slots_by_name) : NULL;

		now[i].slot = found ? found->slot : NO_SLOT;
		if (found)
			states[found->slot] = KEPT;
	}
	give_new(now, n_now, states, max, cursor);
	free(states);
	return 0;
}
