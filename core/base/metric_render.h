/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric_render.h - sums the metric sets of all threads, as figures and as text.
 *
 * Threads: any thread that may allocate; the sets may be counting meanwhile, so
 * two rows of one rendering need not agree with each other to the last event.
 */
#pragma once

#include <stdint.h>

#include "core/base/growbuf.h"
#include "core/base/metric.h"
#include "core/base/slice.h"

/* What the slots of a name label are called; a slot beyond n, or without a name, is "_other". */
struct metric_names {
	const struct slice *names;
	uint32_t n;
};

/* Which sets to sum, and how to call the slots. */
struct metric_view {
	struct metric_set *const *sets;
	uint32_t n_sets;
	struct metric_names routes;
	struct metric_names services;
};

struct metric_hist_sum {
	uint64_t sum;
	uint64_t n;
	uint64_t cells[METRIC_HIST_N_CELLS];
};

/* All rows of metrics.def and the GW_COUNT_IF sites, Prometheus text 0.0.4. */
void metric_render(const struct metric_view *view, struct growbuf *out);

/*
 * For what is counted elsewhere: the two comment lines of a metric, then its
 * samples. 'type' is "counter" or "gauge"; 'labels' is what stands between the
 * braces, already escaped, or empty.
 */
void metric_render_head(struct growbuf *out, struct slice name, struct slice type,
			struct slice help);
void metric_render_sample(struct growbuf *out, struct slice name, struct slice labels,
			  uint64_t value);

uint64_t metric_sum_counter(const struct metric_view *view, enum metric_counter cell);
int64_t metric_sum_gauge(const struct metric_view *view, enum metric_gauge gauge);
void metric_sum_hist(const struct metric_view *view, enum metric_hist hist,
		     struct metric_hist_sum *ret_sum);
/* The value below which 'q' (0..1) of the observations lie, at most 6.25 % off; 0 when none. */
uint64_t metric_quantile(const struct metric_hist_sum *h, double q);
