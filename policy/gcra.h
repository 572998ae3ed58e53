/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcra.h - a token bucket in one 64-bit number.
 *
 * The number is the TAT, the time in ns at which the bucket is full again. A token costs the
 * rule's interval of that time, and the TAT may lie at most the tolerance (burst times the
 * interval) ahead of now:
 *
 *     admit n  if  max(TAT, now) + n * interval - now <= tolerance;
 *     then     TAT = max(TAT, now) + n * interval
 *
 * So any span D admits at most burst + rate * D, whatever came before. A bucket that was never
 * touched has TAT 0 and is full. Nothing here overflows, since
 *
 *     interval   100 ns (10,000,000 per s) to 86,400 s (1 per day)
 *     burst      1 to 1e9 tokens
 *     tolerance  at most 2^60 ns, 36 years; a rule beyond is refused
 *     now        at most 2^61 ns, 73 years since the start of the clock
 *     TAT        at most now + tolerance of a rule that it was charged by, so below 2^62
 *
 * Times are monotonic (gw_now_ns()). One that is behind, as a worker's is during its turn, only
 * refuses earlier: the TAT does not go back by it.
 *
 * Pure. Threads: any; the TAT is the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/gw_assert.h"

#define GCRA_INTERVAL_MIN_NS  UINT64_C(100)
#define GCRA_INTERVAL_MAX_NS  UINT64_C(86400000000000)
#define GCRA_BURST_MAX        UINT32_C(1000000000)
#define GCRA_TOLERANCE_MAX_NS (UINT64_C(1) << 60)
#define GCRA_NOW_MAX_NS       (UINT64_C(1) << 61)

#define GCRA_NEVER UINT64_MAX /* A time to wait for what no waiting helps. */

/*
 * Made by gcra_rule_set(). The last two are for rate_cell.h: of one limit, the edition is more by 1
 * whenever the other numbers change (it may wrap), and a change counts from a time on when all
 * workers should have it, some 10 ms after it was published. Both start at 0.
 */
struct gcra_rule {
	uint64_t interval_ns;
	uint64_t tolerance_ns; /* burst * interval_ns */
	uint32_t burst;
	uint16_t edition;
	uint64_t edition_from_ns;
};

struct gcra_answer {
	bool admitted;
	uint32_t remaining;      /* Whole tokens that may still be taken now. */
	uint64_t retry_after_ns; /* Until as many are there as were asked for; 0 when admitted. */
	uint64_t reset_after_ns; /* Until the bucket is full. */
};

/*
 * 'count' tokens per 'period_ns', 'burst' at once; the first edition. The interval is period / count,
 * rounded down to ns: who keeps to the rate is never refused, and the rate in force is above the
 * one asked for by less than 1 in interval_ns (3 per s: 3e-9; 3,000,000 per s: 3e-3). -ERANGE
 * outside the bounds above.
 */
GW_MUST_USE int gcra_rule_set(uint64_t count, uint64_t period_ns, uint64_t burst,
			      struct gcra_rule *ret_rule);

/*
 * Takes n tokens, or none. A refusal and n = 0 leave *tat_ns as it was. More than the burst is
 * never admitted.
 */
void gcra_take(const struct gcra_rule *rule, uint64_t *tat_ns, uint64_t now_ns, uint32_t n,
	       struct gcra_answer *ret_answer);

/* Gives n tokens back. The bucket holds no more than the burst, so the TAT stays at or above now. */
uint64_t gcra_refund(const struct gcra_rule *rule, uint64_t tat_ns, uint64_t now_ns, uint32_t n);

/* Whole tokens that may be taken now. */
uint32_t gcra_available(const struct gcra_rule *rule, uint64_t tat_ns, uint64_t now_ns);

/*
 * The TAT under a rule that is new to it: an empty bucket at worst, so that a debt to a slower
 * rule locks nobody out for longer than the new tolerance.
 *
 * To be stored, and only once per change: now + tolerance goes on with the clock and would be
 * refused for ever, and a worker whose clock is behind would forgive what another has charged.
 */
uint64_t gcra_clamp(const struct gcra_rule *rule, uint64_t tat_ns, uint64_t now_ns);
