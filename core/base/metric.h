/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric.h - counters, gauges and log-linear histograms of one thread, summed on read.
 *
 * The rows are in metrics.def. Each thread that counts owns one metric_set and is
 * its only writer: plain relaxed loads and stores, no locked instruction. Any
 * other thread may sum or render the sets at any time (metric_render.h).
 *
 * Ownership: a set is one mapping that is touched lazily; it outlives its readers.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "core/base/bits.h"
#include "core/base/gw_assert.h"
#include "core/base/metric_id.h"

/*
 * A histogram has 16 cells per power of two, so a cell is at most 6.25 % wide;
 * 0..15 have a cell each; from 2^METRIC_HIST_BITS on everything is in the last.
 */
#define METRIC_HIST_BITS    40u
#define METRIC_HIST_N_CELLS (16u + 16u * (METRIC_HIST_BITS - 4u))

struct metric_hist_cells {
	_Atomic uint64_t sum;
	_Atomic uint64_t n[METRIC_HIST_N_CELLS];
};

struct metric_keyed_table;

struct metric_set {
	uint32_t worker; /* Number shown by WORKER rows, or METRIC_NO_WORKER. */
	_Atomic uint64_t counters[METRIC_N_COUNTER_CELLS];
	_Atomic uint64_t gauges[METRIC_N_GAUGES]; /* Two's complement. */
	struct metric_hist_cells hists[METRIC_N_HISTS];
	struct metric_keyed_table *keyed[METRIC_N_KEYED];
};

#define METRIC_NO_WORKER UINT32_MAX

/* 0 or -ENOMEM. */
GW_MUST_USE int metric_create(uint32_t worker, struct metric_set **ret_set);
void metric_destroy(struct metric_set *set);

static inline void metric_bump_(_Atomic uint64_t *cell, uint64_t n)
{
	uint64_t now = atomic_load_explicit(cell, memory_order_relaxed);

	atomic_store_explicit(cell, now + n, memory_order_relaxed);
}

static inline void metric_add(struct metric_set *set, enum metric_counter counter, uint64_t n)
{
	metric_bump_(&set->counters[counter], n);
}

static inline void metric_inc(struct metric_set *set, enum metric_counter counter)
{
	metric_add(set, counter, 1);
}

/* One of a labelled row, e.g. metric_inc_label(set, METRIC_REJECTED, reason). */
#define metric_inc_label(set, first, value) metric_inc_cell((set), (first), first##_LAST, (value))

static inline void metric_inc_cell(struct metric_set *set, enum metric_counter first,
				   enum metric_counter last, unsigned value)
{
	GW_ASSERT(value <= (unsigned)last - (unsigned)first);
	metric_bump_(&set->counters[(unsigned)first + value], 1);
}

static inline void metric_gauge_add(struct metric_set *set, enum metric_gauge gauge, int64_t delta)
{
	metric_bump_(&set->gauges[gauge], (uint64_t)delta);
}

static inline void metric_gauge_set(struct metric_set *set, enum metric_gauge gauge, int64_t value)
{
	atomic_store_explicit(&set->gauges[gauge], (uint64_t)value, memory_order_relaxed);
}

/* The cell of a value; cells are numbered in the order of the values. */
static inline unsigned metric_hist_cell(uint64_t value)
{
	unsigned shift;

	if (value < 16)
		return (unsigned)value;
	if (value >> METRIC_HIST_BITS)
		return METRIC_HIST_N_CELLS - 1;
	shift = bits_highest(value) - 4;
	return 16 * shift + (unsigned)(value >> shift);
}

/* Nanoseconds for *_seconds histograms, else a plain number. */
static inline void metric_observe(struct metric_set *set, enum metric_hist hist, uint64_t value)
{
	struct metric_hist_cells *h = &set->hists[hist];

	metric_bump_(&h->sum, value);
	metric_bump_(&h->n[metric_hist_cell(value)], 1);
}

/* One more of (a, b, name). When the table is nearly full, new names count as OTHER. */
void metric_inc_keyed(struct metric_set *set, enum metric_keyed keyed, unsigned a, unsigned b,
		      unsigned name);
