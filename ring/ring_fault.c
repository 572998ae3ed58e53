/* SPDX-License-Identifier: Apache-2.0 */
/* ring_fault.c - completions of the real ring rewritten from a seeded schedule. */
#include "ring/ring_fault.h"

#include <errno.h>

#include "core/base/gw_assert.h"

void ring_fault_init(struct ring_fault *fault, uint64_t seed)
{
	fault->on = seed != 0;
	rng_seed(&fault->rng, seed);
}

uint32_t ring_fault_cut(struct ring_fault *fault, uint32_t len)
{
	GW_ASSERT(fault->on);
	if (len <= 1)
		return len;
	/* Half of them whole, a quarter very short, a quarter anywhere. */
	switch (rng_below(&fault->rng, 4)) {
	case 0:
		return 1 + (uint32_t)rng_below(&fault->rng, len < 16 ? len : 16);
	case 1:
		return 1 + (uint32_t)rng_below(&fault->rng, len);
	default:
		return len;
	}
}

int32_t ring_fault_error(struct ring_fault *fault)
{
	static const int32_t errors[] = { -EAGAIN, -EINTR, -ENOBUFS, -ECANCELED };

	GW_ASSERT(fault->on);
	if (rng_below(&fault->rng, 4) != 0)
		return 0;
	return errors[rng_below(&fault->rng, ARRAY_SIZE(errors))];
}
