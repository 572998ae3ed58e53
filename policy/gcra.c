/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/gcra.h"

#include <errno.h>

/* What gcra.h says does not overflow: a full debt and one more burst. */
_Static_assert(GCRA_NOW_MAX_NS + 2 * GCRA_TOLERANCE_MAX_NS <= INT64_MAX, "TATs fit");

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

int gcra_rule_set(uint64_t count, uint64_t period_ns, uint64_t burst, struct gcra_rule *ret_rule)
{
	uint64_t interval_ns;

	if (count == 0 || burst == 0 || burst > GCRA_BURST_MAX)
		return -ERANGE;
	interval_ns = period_ns / count;
	if (interval_ns < GCRA_INTERVAL_MIN_NS || interval_ns > GCRA_INTERVAL_MAX_NS ||
	    interval_ns > GCRA_TOLERANCE_MAX_NS / burst)
		return -ERANGE;
	*ret_rule = (struct gcra_rule){ .interval_ns = interval_ns,
					.tolerance_ns = burst * interval_ns,
					.burst = (uint32_t)burst };
	return 0;
}

/* How far ahead of now. */
static uint64_t debt_of(uint64_t tat_ns, uint64_t now_ns)
{
	GW_ASSERT(now_ns <= GCRA_NOW_MAX_NS);
	return tat_ns > now_ns ? tat_ns - now_ns : 0;
}

/* A debt beyond the tolerance is another worker's later clock, or was made under another rule. */
static uint32_t tokens_left(const struct gcra_rule *rule, uint64_t debt_ns)
{
	if (debt_ns >= rule->tolerance_ns)
		return 0;
	return (uint32_t)((rule->tolerance_ns - debt_ns) / rule->interval_ns);
}

static uint64_t wait_for(const struct gcra_rule *rule, uint64_t debt_ns, uint32_t n)
{
	if (n > rule->burst)
		return GCRA_NEVER;
	return debt_ns + n * rule->interval_ns - rule->tolerance_ns;
}

void gcra_take(const struct gcra_rule *rule, uint64_t *tat_ns, uint64_t now_ns, uint32_t n,
	       struct gcra_answer *ret_answer)
{
	uint64_t debt_ns = debt_of(*tat_ns, now_ns);
	bool admitted = n == 0 ||
			(n <= rule->burst && debt_ns + n * rule->interval_ns <= rule->tolerance_ns);

	*ret_answer = (struct gcra_answer){ .admitted = admitted };
	if (!admitted) {
		ret_answer->retry_after_ns = wait_for(rule, debt_ns, n);
	} else if (n) {
		debt_ns += n * rule->interval_ns;
		*tat_ns = now_ns + debt_ns;
	}
	ret_answer->remaining = tokens_left(rule, debt_ns);
	ret_answer->reset_after_ns = debt_ns;
}

uint64_t gcra_refund(const struct gcra_rule *rule, uint64_t tat_ns, uint64_t now_ns, uint32_t n)
{
	uint64_t debt_ns = debt_of(tat_ns, now_ns);

	/* The rule may have become smaller since they were taken. */
	n = (uint32_t)min_u64(n, rule->burst);
	return tat_ns - min_u64(debt_ns, n * rule->interval_ns);
}

uint32_t gcra_available(const struct gcra_rule *rule, uint64_t tat_ns, uint64_t now_ns)
{
	return tokens_left(rule, debt_of(tat_ns, now_ns));
}

uint64_t gcra_clamp(const struct gcra_rule *rule, uint64_t tat_ns, uint64_t now_ns)
{
	GW_ASSERT(now_ns <= GCRA_NOW_MAX_NS);
	return min_u64(tat_ns, now_ns + rule->tolerance_ns);
}
