/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Six levels of 64 slots. A slot of level L covers 64^L ticks. A timer goes to
 * the level of the highest 6-bit digit in which its tick differs from the
 * wheel's, into the slot of its own digit there. Hence
 *
 *  1  all timers of a level lie before all of any higher level
 *  2  on levels above 0 the slot of the wheel's own digit is empty; when the
 *     wheel enters a slot, its timers are sorted into lower levels
 *  3  a bit of 'used' is set exactly when its slot has timers
 *  4  w->tick never passes the start of a slot in use without emptying it
 *
 * So the next thing to do is found from one bitmap, and stepping over idle time
 * costs nothing. A tick beyond the top level's reach waits in its last slot and
 * is placed anew from there.
 */
#include "core/base/wheel.h"

#include "core/base/bits.h"

#define DIGIT_BITS 6u
#define DIGIT_MASK (WHEEL_N_SLOTS - 1u)
#define REACH_MASK ((UINT64_C(1) << (DIGIT_BITS * WHEEL_N_LEVELS)) - 1)
#define PLACE_DUE  (WHEEL_N_LEVELS * WHEEL_N_SLOTS)

static unsigned digit(uint64_t tick, unsigned level)
{
	return (unsigned)(tick >> (DIGIT_BITS * level)) & DIGIT_MASK;
}

/* Rounds up, so that a timer is never early. */
static uint64_t tick_of(uint64_t deadline_ns)
{
	return deadline_ns / WHEEL_TICK_NS + (deadline_ns % WHEEL_TICK_NS != 0);
}

void wheel_init(struct wheel *w, uint64_t now_ns)
{
	*w = (struct wheel){ .tick = now_ns / WHEEL_TICK_NS };
	list_init(&w->due);
	for (unsigned level = 0; level < WHEEL_N_LEVELS; level++) {
		for (unsigned slot = 0; slot < WHEEL_N_SLOTS; slot++)
			list_init(&w->slots[level][slot]);
	}
}

static void place(struct wheel *w, struct wheel_timer *timer)
{
	uint64_t tick = timer->tick;
	unsigned level = 0;
	unsigned slot;

	GW_ASSERT(tick >= w->tick);
	if ((tick ^ w->tick) > REACH_MASK)
		tick = w->tick | REACH_MASK;
	if (tick != w->tick)
		level = bits_highest(tick ^ w->tick) / DIGIT_BITS;
	slot = digit(tick, level);
	list_push_back(&w->slots[level][slot], &timer->node);
	w->used[level] |= UINT64_C(1) << slot;
	timer->place = (uint16_t)(level * WHEEL_N_SLOTS + slot);
}

void wheel_add(struct wheel *w, struct wheel_timer *timer, uint64_t deadline_ns)
{
	uint64_t tick = tick_of(deadline_ns); /* Even of UINT64_MAX below WHEEL_TICK_MAX. */

	GW_ASSERT(timer->fn);
	wheel_del(w, timer);
	timer->tick = (tick < w->tick ? w->tick : tick) & WHEEL_TICK_MAX;
	place(w, timer);
	w->n_armed++;
}

void wheel_del(struct wheel *w, struct wheel_timer *timer)
{
	unsigned level = timer->place / WHEEL_N_SLOTS;
	unsigned slot = timer->place % WHEEL_N_SLOTS;

	if (!wheel_timer_is_armed(timer))
		return;
	GW_ASSERT(w->n_armed > 0 && timer->place <= PLACE_DUE);
	list_remove(&timer->node);
	w->n_armed--;
	if (timer->place != PLACE_DUE && list_is_empty(&w->slots[level][slot]))
		w->used[level] &= ~(UINT64_C(1) << slot);
}

/* Takes all timers of a slot, in order. */
static void empty_slot(struct wheel *w, unsigned level, unsigned slot, struct list *ret_timers)
{
	list_init(ret_timers);
	list_splice_back(ret_timers, &w->slots[level][slot]);
	w->used[level] &= ~(UINT64_C(1) << slot);
}

static void place_all(struct wheel *w, struct list *timers)
{
	struct list_node *node;

	while ((node = list_pop_front(timers)))
		place(w, list_entry(node, struct wheel_timer, node));
}

/* Moves to 'tick', which is not past the start of any slot in use. */
static void enter_tick(struct wheel *w, uint64_t tick)
{
	struct list timers;

	GW_ASSERT(tick >= w->tick);
	w->tick = tick;
	for (unsigned level = WHEEL_N_LEVELS - 1; level > 0; level--) {
		if (!(w->used[level] >> digit(tick, level) & 1))
			continue;
		empty_slot(w, level, digit(tick, level), &timers);
		place_all(w, &timers);
	}
}

/* The first tick at which there is something to do, or WHEEL_NEVER. */
static uint64_t next_tick(const struct wheel *w)
{
	for (unsigned level = 0; level < WHEEL_N_LEVELS; level++) {
		unsigned shift = DIGIT_BITS * level;
		uint64_t above = w->tick >> shift >> DIGIT_BITS << DIGIT_BITS << shift;

		if (w->used[level]) /* Rule 1: the lowest level in use has the first. */
			return above | (uint64_t)bits_lowest(w->used[level]) << shift;
	}
	return WHEEL_NEVER;
}

/* Makes the timers of the present tick due, except those that were out of reach. */
static void collect(struct wheel *w)
{
	uint64_t done = w->tick;
	struct list timers;
	struct list_node *node;

	empty_slot(w, 0, digit(done, 0), &timers);
	enter_tick(w, done + 1);
	while ((node = list_pop_front(&timers))) {
		struct wheel_timer *timer = list_entry(node, struct wheel_timer, node);

		if (timer->tick > done) {
			place(w, timer);
		} else {
			list_push_back(&w->due, node);
			timer->place = PLACE_DUE;
		}
	}
}

/* Fires what is due, at most max. */
static uint32_t fire(struct wheel *w, uint32_t max)
{
	uint32_t n = 0;

	while (n < max && !list_is_empty(&w->due)) {
		struct wheel_timer *timer =
			list_entry(list_first(&w->due), struct wheel_timer, node);

		wheel_del(w, timer);
		n++;
		timer->fn(timer);
	}
	return n;
}

uint32_t wheel_advance(struct wheel *w, uint64_t now_ns, uint32_t fired_max)
{
	uint64_t now_tick = now_ns / WHEEL_TICK_NS;
	uint32_t n = fire(w, fired_max);

	while (n < fired_max) {
		uint64_t tick = next_tick(w);

		if (tick > now_tick)
			break;
		enter_tick(w, tick);
		if (w->used[0] >> digit(tick, 0) & 1) {
			collect(w);
			n += fire(w, fired_max - n);
		}
	}
	if (list_is_empty(&w->due) && now_tick >= w->tick && next_tick(w) > now_tick)
		enter_tick(w, now_tick + 1);
	return n;
}

uint64_t wheel_next_ns(const struct wheel *w)
{
	uint64_t tick;

	if (!list_is_empty(&w->due))
		return 0;
	tick = next_tick(w);
	return tick > WHEEL_NEVER / WHEEL_TICK_NS ? WHEEL_NEVER : tick * WHEEL_TICK_NS;
}

static uint64_t check_slot(const struct wheel *w, unsigned level, unsigned slot)
{
	const struct list *l = &w->slots[level][slot];
	uint64_t n = 0;

	GW_ASSERT(list_is_empty(l) == !(w->used[level] >> slot & 1));
	if (level > 0 && slot <= digit(w->tick, level))
		GW_ASSERT(list_is_empty(l));
	list_each(node, l)
	{
		const struct wheel_timer *timer = list_entry(node, struct wheel_timer, node);

		GW_ASSERT(timer->place == level * WHEEL_N_SLOTS + slot);
		n++;
	}
	return n;
}

void wheel_check(const struct wheel *w)
{
	uint64_t n = 0;

	for (unsigned level = 0; level < WHEEL_N_LEVELS; level++) {
		for (unsigned slot = 0; slot < WHEEL_N_SLOTS; slot++)
			n += check_slot(w, level, slot);
	}
	list_each(node, &w->due) n++;
	GW_ASSERT(n == w->n_armed);
}
