/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deadline.h - a deadline that is moved often and met rarely.
 *
 * Moving it later is one store: the timer in the wheel stays where it is, and
 * when it fires too early it is set again. So a keep-alive connection costs the
 * wheel nothing per request.
 *
 * Threads: the worker's.
 */
#pragma once

#include "ring/ring.h"

#define DEADLINE_NEVER UINT64_MAX

struct deadline {
	struct ring_timer timer;
	uint64_t at_ns;    /* When it is due; DEADLINE_NEVER when not. */
	uint64_t armed_ns; /* When the timer will look. */
};

static inline void deadline_init(struct deadline *d, ring_timer_fn *fire)
{
	ring_timer_init(&d->timer, fire);
	d->at_ns = DEADLINE_NEVER;
	d->armed_ns = DEADLINE_NEVER;
}

static inline void deadline_arm_(struct deadline *d, struct ring *ring)
{
	d->armed_ns = d->at_ns;
	if (d->at_ns != DEADLINE_NEVER)
		ring_timer_set(ring, &d->timer, d->at_ns);
}

static inline void deadline_set(struct deadline *d, struct ring *ring, uint64_t at_ns)
{
	d->at_ns = at_ns;
	if (at_ns < d->armed_ns)
		deadline_arm_(d, ring);
}

/* Span 0 is no deadline. */
static inline void deadline_in(struct deadline *d, struct ring *ring, uint64_t span_ns)
{
	deadline_set(d, ring, span_ns ? ring_now_ns(ring) + span_ns : DEADLINE_NEVER);
}

/* First thing in the fire function: whether it is really due. */
static inline bool deadline_is_due(struct deadline *d, struct ring *ring)
{
	if (ring_now_ns(ring) >= d->at_ns) {
		d->at_ns = DEADLINE_NEVER;
		d->armed_ns = DEADLINE_NEVER;
		return true;
	}
	deadline_arm_(d, ring);
	return false;
}

/* Before the owner's memory goes. */
static inline void deadline_stop(struct deadline *d, struct ring *ring)
{
	ring_timer_cancel(ring, &d->timer);
	d->at_ns = DEADLINE_NEVER;
	d->armed_ns = DEADLINE_NEVER;
}
