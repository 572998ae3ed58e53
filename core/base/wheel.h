/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wheel.h - hierarchical timer wheel: all deadlines of one worker, 1 ms ticks.
 *
 * Adding and removing are O(1). A timer never fires before its deadline; it
 * fires at the first wheel_advance() whose time has reached the end of the
 * deadline's millisecond, in the order of the ticks. Removing or re-adding any
 * timer, the running one included, is allowed in a callback.
 *
 * Ownership: a wheel_timer lives inside the object whose deadline it is; the
 * wheel only links it. Remove it before its memory goes. Zeroed memory with
 * 'fn' set is a valid idle timer.
 *
 * Threads: a wheel belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/list.h"

#define WHEEL_TICK_NS  1000000u
#define WHEEL_N_LEVELS 6u
#define WHEEL_N_SLOTS  64u
#define WHEEL_NEVER    UINT64_MAX
#define WHEEL_TICK_MAX ((UINT64_C(1) << 48) - 1)

struct wheel_timer;
typedef void wheel_fn(struct wheel_timer *timer);

struct wheel_timer {
	struct list_node node; /* Private: linked while armed. */
	wheel_fn *fn;
	uint64_t tick : 48;  /* Private: fires when it has been reached; any uint64_t of ns fits. */
	uint64_t place : 16; /* Private: level * WHEEL_N_SLOTS + slot. */
};

struct wheel {
	uint64_t tick; /* All ticks before this one are done. */
	uint64_t n_armed;
	uint64_t used[WHEEL_N_LEVELS]; /* Which slots hold timers. */
	struct list due;               /* Taken out of their slot, to be fired. */
	struct list slots[WHEEL_N_LEVELS][WHEEL_N_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now_ns);

static inline void wheel_timer_init(struct wheel_timer *timer, wheel_fn *fn)
{
	*timer = (struct wheel_timer){ .fn = fn };
}

static inline bool wheel_timer_is_armed(const struct wheel_timer *timer)
{
	return list_node_is_linked(&timer->node);
}

/*
 * Arms a timer, or moves an armed one. A deadline that has passed fires at the
 * first wheel_advance() in a later tick than the last one.
 */
void wheel_add(struct wheel *w, struct wheel_timer *timer, uint64_t deadline_ns);
/* Disarms; an idle timer is left alone. */
void wheel_del(struct wheel *w, struct wheel_timer *timer);

/*
 * Fires timers whose tick has been reached, at most fired_max of them; the rest
 * keeps its order for the next call. Returns how many were fired.
 */
uint32_t wheel_advance(struct wheel *w, uint64_t now_ns, uint32_t fired_max);

/*
 * A moment at which wheel_advance() should next be called: no timer can fire
 * before it. Exact when the next timer is at most 64 ms away; otherwise it may
 * be earlier, for far timers have to be sorted finer on the way (at most
 * WHEEL_N_LEVELS - 1 times each within two years). In the past when timers are
 * waiting; WHEEL_NEVER when none is armed.
 */
uint64_t wheel_next_ns(const struct wheel *w);

/* Invariants; walks all slots. */
void wheel_check(const struct wheel *w);
