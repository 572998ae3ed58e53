/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/h2_score.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/base/rng.h"

#define S GW_NS_PER_S

static void standing_follows_points(void **state)
{
	struct h2_score score = { 0 };

	(void)state;
	assert_int_equal(h2_score_add(&score, H2_SCORE_WARN - 1, 5 * S), H2_FINE);
	assert_int_equal(h2_score_add(&score, 1, 5 * S), H2_WARNED);
	assert_int_equal(h2_score_add(&score, H2_SCORE_LIMIT - H2_SCORE_WARN - 1, 5 * S),
			 H2_WARNED);
	assert_int_equal(h2_score_add(&score, 1, 5 * S), H2_EXPELLED);
}

/* What was forgotten does not depend on how often it was looked at. */
static void time_forgets_whatever_the_steps(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, 1);
	for (int round = 0; round < 200; round++) {
		struct h2_score once = { 0 }, often = { 0 };
		uint64_t now_ns = 7 * S, end_ns;

		h2_score_add(&once, 900, now_ns);
		h2_score_add(&often, 900, now_ns);
		end_ns = now_ns + 1 + rng_below(&rng, 20 * S);
		while (now_ns < end_ns) {
			now_ns += 1 + rng_below(&rng, S);
			now_ns = now_ns < end_ns ? now_ns : end_ns;
			h2_score_add(&often, 0, now_ns);
		}
		h2_score_add(&once, 0, end_ns);
		assert_int_equal(once.points, often.points);
	}
}

static void a_second_forgets_so_many(void **state)
{
	struct h2_score score = { 0 };

	(void)state;
	h2_score_add(&score, 100, 1 * S);
	h2_score_add(&score, 0, 2 * S + S / H2_SCORE_PER_S);
	assert_in_range(score.points, 100 - H2_SCORE_PER_S - 2, 100 - H2_SCORE_PER_S);
	h2_score_add(&score, 0, 100 * S);
	assert_int_equal(score.points, 0);
	/* Quiet times are not saved up, and a clock that stands still forgets nothing. */
	h2_score_add(&score, 50, 100 * S);
	assert_int_equal(score.points, 50);
	h2_score_add(&score, 50, 99 * S);
	assert_int_equal(score.points, 100);
}

static void good_requests_take_points_back(void **state)
{
	struct h2_score score = { 0 };

	(void)state;
	h2_score_forgive(&score);
	assert_int_equal(score.points, 0);
	h2_score_add(&score, H2_SCORE_DONE + 1, 1 * S);
	h2_score_forgive(&score);
	assert_int_equal(score.points, 1);
	h2_score_forgive(&score);
	assert_int_equal(score.points, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(standing_follows_points),
		cmocka_unit_test(time_forgets_whatever_the_steps),
		cmocka_unit_test(a_second_forgets_so_many),
		cmocka_unit_test(good_requests_take_points_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
