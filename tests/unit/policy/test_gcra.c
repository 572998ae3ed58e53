/* SPDX-License-Identifier: Apache-2.0 */
/* The bucket in one number, against one that counts its level. */
#include "policy/gcra.c"

#include "tests/unit/core/base/base_test.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/base/rng.h"

#define DAY_NS (86400 * GW_NS_PER_S)

static struct gcra_rule rule_of(uint64_t count, uint64_t period_ns, uint64_t burst)
{
	struct gcra_rule rule;

	assert_int_equal(gcra_rule_set(count, period_ns, burst, &rule), 0);
	return rule;
}

static const struct {
	const char *name;
	uint64_t count, period_ns, burst;
	uint64_t interval_ns; /* 0: refused. */
} rules[] = {
	{ "3 per s", 3, GW_NS_PER_S, 10, 333333333 },
	{ "1 per day", 1, DAY_NS, 1, DAY_NS },
	{ "1 per day, largest burst", 1, DAY_NS, 13343, DAY_NS },
	{ "1 per day, more burst", 1, DAY_NS, 13344, 0 },
	{ "slower than 1 per day", 1, DAY_NS + 1, 1, 0 },
	{ "10,000,000 per s", 10000000, GW_NS_PER_S, 1, 100 },
	{ "10,000,000 per s, largest burst", 10000000, GW_NS_PER_S, 1000000000, 100 },
	{ "faster", 10101011, GW_NS_PER_S, 1, 0 },
	{ "more burst", 10000000, GW_NS_PER_S, 1000000001, 0 },
	{ "no rate", 0, GW_NS_PER_S, 1, 0 },
	{ "no burst", 1, GW_NS_PER_S, 0, 0 },
	{ "no period", 1, 0, 1, 0 },
	{ "all of it", UINT64_MAX, UINT64_MAX, UINT64_MAX, 0 },
};

static void rules_are_bounded(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		struct gcra_rule rule = { .interval_ns = 7 };
		int r = gcra_rule_set(rules[i].count, rules[i].period_ns, rules[i].burst, &rule);

		if (rules[i].interval_ns == 0) {
			if (r != -ERANGE || rule.interval_ns != 7)
				fail_msg("%s: %d", rules[i].name, r);
		} else if (r != 0 || rule.interval_ns != rules[i].interval_ns ||
			   rule.tolerance_ns != rules[i].interval_ns * rules[i].burst) {
			fail_msg("%s: %d, %llu ns", rules[i].name, r,
				 (unsigned long long)rule.interval_ns);
		}
	}
}

/* The same bucket said otherwise: a level that time fills, in ns of the rate. */
struct level {
	uint64_t held_ns;
	uint64_t seen_ns;
};

static struct gcra_answer level_take(struct level *l, const struct gcra_rule *rule, uint64_t now_ns,
				     uint32_t n)
{
	uint64_t price_ns = n * rule->interval_ns;
	struct gcra_answer a = { .admitted = true };

	l->held_ns += now_ns - l->seen_ns;
	if (l->held_ns > rule->tolerance_ns)
		l->held_ns = rule->tolerance_ns;
	l->seen_ns = now_ns;
	if (price_ns <= l->held_ns)
		l->held_ns -= price_ns;
	else
		a = (struct gcra_answer){ .retry_after_ns = n > rule->burst
								    ? GCRA_NEVER
								    : price_ns - l->held_ns };
	a.remaining = (uint32_t)(l->held_ns / rule->interval_ns);
	a.reset_after_ns = rule->tolerance_ns - l->held_ns;
	return a;
}

static void level_refund(struct level *l, const struct gcra_rule *rule, uint32_t n)
{
	l->held_ns += n * rule->interval_ns;
	if (l->held_ns > rule->tolerance_ns)
		l->held_ns = rule->tolerance_ns;
}

static void same_answer(const struct gcra_answer *got, const struct gcra_answer *want)
{
	assert_int_equal(got->admitted, want->admitted);
	assert_int_equal(got->remaining, want->remaining);
	assert_true(got->retry_after_ns == want->retry_after_ns);
	assert_true(got->reset_after_ns == want->reset_after_ns);
}

static uint32_t some_tokens(struct rng *rng, uint32_t burst)
{
	static const uint32_t special[] = { 0, 1, 1, 1, 1, 2 };
	uint64_t i = rng_below(rng, ARRAY_SIZE(special) + 2);

	if (i < ARRAY_SIZE(special))
		return special[i];
	return (uint32_t)rng_below(rng, i % 2 ? (uint64_t)burst + 2 : burst / 4 + 1);
}

static void follow(struct rng *rng, const struct gcra_rule *rule, uint64_t now_ns, int n_steps)
{
	struct level level = { .held_ns = rule->tolerance_ns, .seen_ns = now_ns };
	struct gcra_answer got, want;
	uint64_t tat_ns = 0;

	for (int i = 0; i < n_steps; i++) {
		uint32_t n = some_tokens(rng, rule->burst);

		now_ns += rng_below(rng, 3) ? rng_below(rng, 2 * rule->interval_ns)
					    : rng_below(rng, rule->tolerance_ns);
		if (now_ns > GCRA_NOW_MAX_NS)
			return;
		gcra_take(rule, &tat_ns, now_ns, n, &got);
		want = level_take(&level, rule, now_ns, n);
		same_answer(&got, &want);
		if (got.admitted && rng_below(rng, 5) == 0) {
			tat_ns = gcra_refund(rule, tat_ns, now_ns, n);
			level_refund(&level, rule, n);
			assert_int_equal(gcra_available(rule, tat_ns, now_ns),
					 level.held_ns / rule->interval_ns);
		}
	}
}

static void answers_are_those_of_a_level(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, 1);
	for (int i = 0; i < 400; i++) {
		uint64_t interval_ns = GCRA_INTERVAL_MIN_NS << rng_below(&rng, 39);
		uint64_t most = GCRA_TOLERANCE_MAX_NS / interval_ns;
		uint64_t burst = 1 + rng_below(&rng, most < 1000000000 ? most : 1000000000);
		struct gcra_rule rule;

		if (rng_below(&rng, 2))
			burst = 1 + rng_below(&rng, burst < 100 ? burst : 100);
		rule = rule_of(1, interval_ns, burst);
		follow(&rng, &rule, rng_below(&rng, GCRA_NOW_MAX_NS), 500);
		follow(&rng, &rule, 0, 500);
	}
}

static void extremes_do_not_overflow(void **state)
{
	static const uint64_t nows[] = { 0, 1, GCRA_NOW_MAX_NS };
	struct gcra_answer a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nows); i++) {
		struct gcra_rule rule = rule_of(1, DAY_NS, 13343);
		uint64_t tat_ns = 0;

		gcra_take(&rule, &tat_ns, nows[i], rule.burst, &a);
		assert_true(a.admitted && a.remaining == 0);
		assert_true(tat_ns == nows[i] + rule.tolerance_ns);
		gcra_take(&rule, &tat_ns, nows[i], rule.burst, &a);
		assert_true(!a.admitted && a.retry_after_ns == rule.tolerance_ns);
		gcra_take(&rule, &tat_ns, nows[i], UINT32_MAX, &a);
		assert_true(!a.admitted && a.retry_after_ns == GCRA_NEVER);
		assert_true(tat_ns == nows[i] + rule.tolerance_ns);
		assert_true(gcra_refund(&rule, tat_ns, nows[i], UINT32_MAX) == nows[i]);
	}
}

/* Also where so many would come to 2^64 ns. Some may have been taken under a larger rule. */
static void more_than_the_burst_is_not_there_and_not_given_back(void **state)
{
	struct gcra_rule rule = rule_of(1, UINT64_C(1) << 40, 100);
	uint64_t tat_ns = 0;
	struct gcra_answer a;

	(void)state;
	gcra_take(&rule, &tat_ns, 5, 1u << 24, &a);
	assert_true(!a.admitted && a.retry_after_ns == GCRA_NEVER && tat_ns == 0);
	gcra_take(&rule, &tat_ns, 5, 100, &a);
	assert_int_equal(gcra_refund(&rule, tat_ns, 5, 101), 5);
	assert_int_equal(gcra_refund(&rule, tat_ns, 5, 1u << 24), 5);
	assert_int_equal(gcra_refund(&rule, tat_ns, 5, 99), tat_ns - 99 * rule.interval_ns);
}

/* A client that asks exactly when it was told to, and one that is 1 ns early. */
static void waiting_as_told_is_enough_and_no_less(void **state)
{
	struct gcra_rule rule = rule_of(3, GW_NS_PER_S, 2);
	uint64_t now_ns = 12345, tat_ns = 0;
	struct gcra_answer a;

	(void)state;
	gcra_take(&rule, &tat_ns, now_ns, 2, &a);
	for (int i = 0; i < 100; i++) {
		gcra_take(&rule, &tat_ns, now_ns, 1, &a);
		assert_false(a.admitted);
		now_ns += a.retry_after_ns - 1;
		gcra_take(&rule, &tat_ns, now_ns, 1, &a);
		assert_false(a.admitted);
		gcra_take(&rule, &tat_ns, ++now_ns, 1, &a);
		assert_true(a.admitted);
	}
}

/* Who keeps to the rate, to the ns, is never refused: intervals are rounded down. */
static void an_even_client_at_the_rate_is_never_refused(void **state)
{
	static const uint64_t counts[] = { 1, 3, 7, 1000, 2999999, 9900991 };
	struct gcra_answer a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct gcra_rule rule = rule_of(counts[i], GW_NS_PER_S, 1);
		uint64_t tat_ns = 0;

		for (uint64_t k = 0; k < 10000; k++) {
			gcra_take(&rule, &tat_ns, k * GW_NS_PER_S / counts[i], 1, &a);
			assert_true(a.admitted);
		}
	}
}

static void a_clock_that_is_behind_gives_nothing_away(void **state)
{
	struct gcra_rule rule = rule_of(1000, GW_NS_PER_S, 5);
	uint64_t tat_ns = 0, before;
	struct gcra_answer a;

	(void)state;
	gcra_take(&rule, &tat_ns, GW_NS_PER_S, 5, &a);
	before = tat_ns;
	gcra_take(&rule, &tat_ns, GW_NS_PER_S - 3 * GW_NS_PER_MS, 1, &a);
	assert_false(a.admitted);
	assert_int_equal(a.retry_after_ns, 4 * GW_NS_PER_MS); /* By that clock. */
	assert_int_equal(a.remaining, 0);
	gcra_take(&rule, &tat_ns, GW_NS_PER_S - 3 * GW_NS_PER_MS, 0, &a);
	assert_true(a.admitted); /* Nothing was asked for. */
	assert_int_equal(tat_ns, before);
}

static void a_debt_to_a_slower_rule_is_clamped(void **state)
{
	struct gcra_rule slow = rule_of(10, GW_NS_PER_S, 10), fast = rule_of(100, GW_NS_PER_S, 10);
	uint64_t tat_ns = 0, now_ns = 77;
	struct gcra_answer a;

	(void)state;
	gcra_take(&slow, &tat_ns, now_ns, 10, &a);
	assert_true(tat_ns == now_ns + GW_NS_PER_S);
	tat_ns = gcra_clamp(&fast, tat_ns, now_ns);
	assert_true(tat_ns == now_ns + 100 * GW_NS_PER_MS);
	assert_true(gcra_clamp(&slow, tat_ns, now_ns) == tat_ns); /* A smaller debt stays. */
}

static void take_in_a_far_future(void)
{
	struct gcra_rule rule = { .interval_ns = 100, .tolerance_ns = 100, .burst = 1 };
	struct gcra_answer a;
	uint64_t tat_ns = 0;

	gcra_take(&rule, &tat_ns, GCRA_NOW_MAX_NS + 1, 1, &a);
}

static void misuse_traps(void **state)
{
	(void)state;
	assert_traps(take_in_a_far_future);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(rules_are_bounded),
		cmocka_unit_test(answers_are_those_of_a_level),
		cmocka_unit_test(extremes_do_not_overflow),
		cmocka_unit_test(more_than_the_burst_is_not_there_and_not_given_back),
		cmocka_unit_test(waiting_as_told_is_enough_and_no_less),
		cmocka_unit_test(an_even_client_at_the_rate_is_never_refused),
		cmocka_unit_test(a_clock_that_is_behind_gives_nothing_away),
		cmocka_unit_test(a_debt_to_a_slower_rule_is_clamped),
		cmocka_unit_test(misuse_traps),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
