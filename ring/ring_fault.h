/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_fault.h - completions of the real ring rewritten from a seeded schedule.
 *
 * For tests: SLUICE_FAULTS=SEED makes the ring behave worse than the kernel
 * usually does, in ways that the kernel may: short receives and sends (the
 * request is cut, so the bytes really move), -EAGAIN and -EINTR, -ENOBUFS,
 * -ECANCELED of polls and receives (re-armed by the ring, as the contract
 * says), a multishot that ends early, short splices. The seed decides
 * everything; zero decides nothing and costs one predicted branch.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/rng.h"

struct ring_fault {
	struct rng rng;
	bool on;
};

void ring_fault_init(struct ring_fault *fault, uint64_t seed);

/* How many of 'len' bytes to ask the kernel for: 1..len. */
uint32_t ring_fault_cut(struct ring_fault *fault, uint32_t len);

/* Zero, or the errno (negative) to pretend for this completion of a repeatable kind. */
int32_t ring_fault_error(struct ring_fault *fault);
