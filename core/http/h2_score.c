/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/h2_score.h"

#include "core/base/clock.h"

static void forget(struct h2_score *score, uint64_t now_ns)
{
	uint64_t step_ns = GW_NS_PER_S / H2_SCORE_PER_S;
	uint64_t n = now_ns > score->since_ns ? (now_ns - score->since_ns) / step_ns : 0;

	score->points -= n < score->points ? (uint32_t)n : score->points;
	score->since_ns += n * step_ns;
}

enum h2_standing h2_score_add(struct h2_score *score, uint32_t points, uint64_t now_ns)
{
	forget(score, now_ns);
	score->points += points;
	if (score->points >= H2_SCORE_LIMIT)
		return H2_EXPELLED;
	return score->points >= H2_SCORE_WARN ? H2_WARNED : H2_FINE;
}

void h2_score_forgive(struct h2_score *score)
{
	score->points -= score->points < H2_SCORE_DONE ? score->points : H2_SCORE_DONE;
}
