/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_event.c - what will happen, in a heap ordered by due time.
 *
 * Events that are due at the same moment come in an order of the seed's
 * choosing, so nothing can rely on the order in which it asked.
 */
#include "tests/sim/sim_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/hash.h"

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->tie < b->tie;
}

static void place(struct ring *ring, uint32_t i, struct sim_event *event)
{
	ring->heap[i] = event;
	event->place = i + 1;
}

static void sift_up(struct ring *ring, uint32_t i, struct sim_event *event)
{
	while (i > 0 && is_before(event, ring->heap[(i - 1) / 2])) {
		place(ring, i, ring->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(ring, i, event);
}

static void sift_down(struct ring *ring, uint32_t i, struct sim_event *event)
{
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= ring->n_heap)
			break;
		if (child + 1 < ring->n_heap && is_before(ring->heap[child + 1], ring->heap[child]))
			child++;
		if (!is_before(ring->heap[child], event))
			break;
		place(ring, i, ring->heap[child]);
		i = child;
	}
	place(ring, i, event);
}

void sim_event_drop(struct ring *ring, struct sim_event *event)
{
	uint32_t i = event->place;

	if (i-- == 0)
		return;
	GW_ASSERT(i < ring->n_heap && ring->heap[i] == event);
	event->place = 0;
	struct sim_event *last = ring->heap[--ring->n_heap];

	if (last == event)
		return;
	sift_up(ring, i, last);
	if (last->place == i + 1)
		sift_down(ring, i, last);
}

void sim_event_at(struct ring *ring, struct sim_event *event, uint64_t due_ns)
{
	GW_ASSERT(event->run);
	sim_event_drop(ring, event);
	if (ring->n_heap == ring->heap_max) {
		ring->heap_max = ring->heap_max ? 2 * ring->heap_max : 256;
		ring->heap = realloc(ring->heap, ring->heap_max * sizeof(*ring->heap));
		GW_ASSERT(ring->heap);
	}
	event->due_ns = due_ns > ring->now_ns ? due_ns : ring->now_ns;
	event->tie = rng_next(&ring->rng);
	sift_up(ring, ring->n_heap++, event);
}

/* Mostly microseconds; now and then a delay that lets much else happen first. */
uint64_t sim_event_latency(struct ring *ring)
{
	uint64_t span = 20000;

	if (sim_chance(ring, ring->opt.faults.slow))
		span = 30000000;
	else if (sim_chance(ring, 50))
		span = 500000;
	return 500 + sim_pick(ring, span);
}

void sim_event_later(struct ring *ring, struct sim_event *event)
{
	sim_event_at(ring, event, ring->now_ns + sim_event_latency(ring));
}

struct sim_event *sim_event_first(struct ring *ring)
{
	return ring->n_heap ? ring->heap[0] : NULL;
}

bool sim_is_silent(const struct ring *ring)
{
	return ring->n_heap == 0 && ring->n_answers == 0 && list_is_empty(&ring->soon) &&
	       list_is_empty(&ring->next) && list_is_empty(&ring->timers_due) && ring->n_mail == 0;
}

uint64_t sim_pick(struct ring *ring, uint64_t n)
{
	return rng_below(&ring->rng, n);
}

bool sim_chance(struct ring *ring, uint32_t per_mille)
{
	return per_mille > 0 && sim_pick(ring, 1000) < per_mille;
}

__attribute__((format(printf, 2, 0))) static void say(const struct ring *ring, const char *format,
						      va_list args)
{
	(void)fprintf(stderr, "%12.6f ", (double)ring->now_ns / 1e9);
	(void)vfprintf(stderr, format, args);
	(void)fputc('\n', stderr);
}

void sim_say(const struct ring *ring, const char *format, ...)
{
	va_list args;

	if (!ring->opt.trace)
		return;
	va_start(args, format);
	say(ring, format, args);
	va_end(args);
}

void sim_fail(const struct ring *ring, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)fprintf(stderr, "seed %llu: ", (unsigned long long)ring->opt.seed);
	say(ring, format, args);
	va_end(args);
	abort();
}
