/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/rate_cell.h"

static bool is_older(uint64_t tag, const struct gcra_rule *rule, uint64_t now_ns)
{
	return (int16_t)(uint16_t)(tag - rate_edition(rule, now_ns)) < 0;
}

uint64_t rate_pair_tat_ns(struct rate_pair pair, const struct gcra_rule *rule, uint64_t now_ns)
{
	return is_older(pair.tag, rule, now_ns) ? gcra_clamp(rule, pair.tat_ns, now_ns)
						: pair.tat_ns;
}

struct rate_pair rate_pair_take(struct rate_pair pair, const struct gcra_rule *rule,
				uint64_t now_ns, uint32_t n, struct gcra_answer *ret_answer)
{
	struct rate_pair now = pair;

	now.tat_ns = rate_pair_tat_ns(pair, rule, now_ns);
	gcra_take(rule, &now.tat_ns, now_ns, n, ret_answer);
	if (now.tat_ns == pair.tat_ns)
		return pair;
	if (is_older(pair.tag, rule, now_ns))
		now.tag = (pair.tag & ~RATE_TAG_EDITION) | rate_edition(rule, now_ns);
	return now;
}

void rate_give_up(const struct gcra_rule *rule, struct gcra_answer *ret_answer)
{
	(void)GW_COUNT_IF(true, "rate_gave_up");
	*ret_answer = (struct gcra_answer){ .retry_after_ns = rule->interval_ns,
					    .reset_after_ns = rule->interval_ns };
}
