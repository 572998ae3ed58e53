/* SPDX-License-Identifier: Apache-2.0 */
/* rate_traffic.h - requests of one client at the workers of a gateway, in virtual time. */
#pragma once

#include "core/base/clock.h"
#include "core/base/rng.h"
#include "policy/gcra.h"

enum { WORKERS = 16 };

/* Where the requests go. */
enum shape { EVEN, ONE_WORKER, HOPPING, SHAPES }; /* To another worker every 50 ms. */

struct traffic {
	struct gcra_rule rule;
	enum shape shape;
	uint32_t percent;  /* Of the rule's rate. */
	uint64_t turn_ns;  /* Workers read their clocks that often; 0: always. */
	uint64_t begin_ns; /* Of virtual time. */
	uint64_t span_ns;
	uint64_t tick_ns; /* How often each worker's tick is called; 0: never. */
};

struct tally {
	uint64_t n_offered, n_admitted;
	int64_t least_ns; /* Of admissions: their number so far times the interval, minus the time. */
	int64_t burst_ns; /* The most admitted in any span, times the interval, minus the span. */
};

/* Worker w decides at its time. */
typedef bool take_fn(const struct gcra_rule *rule, uint32_t w, uint64_t now_ns);
typedef void tick_fn(const struct gcra_rule *rule, uint32_t w, uint64_t now_ns);

static inline void tally_admitted(struct tally *t, const struct gcra_rule *rule, uint64_t at_ns)
{
	int64_t here = (int64_t)(t->n_admitted * rule->interval_ns) - (int64_t)at_ns;

	if (t->n_admitted++ == 0 || here < t->least_ns)
		t->least_ns = here;
	if (here - t->least_ns + (int64_t)rule->interval_ns > t->burst_ns)
		t->burst_ns = here - t->least_ns + (int64_t)rule->interval_ns;
}

static inline uint32_t traffic_worker(const struct traffic *t, uint64_t n, uint64_t at_ns)
{
	switch (t->shape) {
	case EVEN:
		return n % WORKERS;
	case HOPPING:
		return at_ns / (50 * GW_NS_PER_MS) % WORKERS;
	case ONE_WORKER:
	case SHAPES:
		break;
	}
	return 3;
}

/* A worker's clock stands still during a turn; turns of workers are not in step. */
static inline uint64_t traffic_clock(const struct traffic *t, uint32_t w, uint64_t at_ns)
{
	return t->turn_ns ? at_ns - (at_ns + w * 137 * GW_NS_PER_US) % t->turn_ns : at_ns;
}

static inline void traffic_tick(const struct traffic *t, tick_fn *tick, uint64_t at_ns)
{
	for (uint32_t w = 0; w < WORKERS; w++)
		tick(&t->rule, w, traffic_clock(t, w, at_ns));
}

/* The gaps are random: from none to twice the mean. */
static inline struct tally traffic_run(const struct traffic *t, take_fn *take, tick_fn *tick)
{
	uint64_t at_ns = t->begin_ns, tick_at_ns = t->begin_ns + t->tick_ns;
	uint64_t gap_ns = 2 * 100 * t->rule.interval_ns / t->percent;
	struct tally tally = { 0 };
	struct rng rng;

	rng_seed(&rng, 18);
	for (; at_ns < t->begin_ns + t->span_ns; at_ns += rng_below(&rng, gap_ns + 1)) {
		uint32_t w = traffic_worker(t, tally.n_offered++, at_ns);

		for (; t->tick_ns && tick_at_ns <= at_ns; tick_at_ns += t->tick_ns)
			traffic_tick(t, tick, tick_at_ns);
		if (take(&t->rule, w, traffic_clock(t, w, at_ns)))
			tally_admitted(&tally, &t->rule, at_ns);
	}
	return tally;
}

/* Admitted beyond the burst, in thousandths of what the rate allows. */
static inline uint64_t tally_permille(const struct tally *tally, const struct traffic *t)
{
	return (tally->n_admitted - t->rule.burst) * t->rule.interval_ns * 1000 / t->span_ns;
}
