/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_timer.c - the timers of ring.h: ticks of a millisecond, never early, sometimes late.
 *
 * A ring_timer has no room for an event, so armed timers are a plain list; one
 * event stands for the first of them. Which of several that are due fires
 * first is up to the seed.
 */
#include "tests/sim/sim_internal.h"

/* Private use of wheel_timer: 'node' links it while armed, 'tick' is the due time in ns. */

void ring_timer_init(struct ring_timer *timer, ring_timer_fn *fire)
{
	GW_ASSERT(fire);
	*timer = (struct ring_timer){ .fire = fire };
}

void ring_timer_cancel(struct ring *ring, struct ring_timer *timer)
{
	if (!list_node_is_linked(&timer->due.node))
		return;
	list_remove(&timer->due.node);
	ring->stats.timers_armed--;
}

/* In ticks. */
static uint64_t due_of(struct ring *ring, uint64_t deadline_ns)
{
	uint64_t due_ns = deadline_ns > ring->now_ns ? deadline_ns : ring->now_ns;
	uint64_t tick = due_ns / WHEEL_TICK_NS + 1;

	if (sim_chance(ring, ring->opt.faults.timer_late)) {
		ring->counts.late_timers++;
		tick += sim_pick(ring, 50);
	}
	return tick;
}

static bool is_due(const struct ring *ring, const struct ring_timer *timer)
{
	return timer->due.tick <= ring->now_ns / WHEEL_TICK_NS;
}

static struct ring_timer *timer_of(struct list_node *node)
{
	return list_entry(node, struct ring_timer, due.node);
}

void ring_timer_set(struct ring *ring, struct ring_timer *timer, uint64_t deadline_ns)
{
	struct list_node *at;

	GW_ASSERT(timer->fire);
	GW_ASSERT(deadline_ns < UINT64_MAX / 2); /* A span that wrapped, or none meant. */
	ring_timer_cancel(ring, timer);
	timer->due.tick = due_of(ring, deadline_ns) & WHEEL_TICK_MAX;
	at = ring->timers.head.prev;
	while (at != &ring->timers.head && timer_of(at)->due.tick > timer->due.tick)
		at = at->prev;
	list_insert_after_(at, &timer->due.node);
	ring->stats.timers_armed++;
}

/* At the end of a turn, after the answers. A timer set by one that fires waits for another turn. */
void sim_timer_run_due(struct ring *ring)
{
	struct list_node *node;

	while ((node = list_first(&ring->timers)) && is_due(ring, timer_of(node))) {
		list_remove(node);
		if (sim_pick(ring, 2))
			list_push_back(&ring->timers_due, node);
		else
			list_push_front(&ring->timers_due, node);
	}
	while ((node = list_pop_front(&ring->timers_due))) {
		struct ring_timer *timer = timer_of(node);

		ring->stats.timers_armed--;
		timer->fire(timer);
		if (ring->check)
			ring->check(ring->check_owner);
	}
}
