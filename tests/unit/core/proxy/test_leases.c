/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets of all workers: exact over two of them, given back in time, full for who comes next. */
#include "core/proxy/leases.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/clock.h"

enum { WORKERS = 2 };

static struct ring *ring;
static struct leases_shared *shared;
static struct leases workers[WORKERS];

static int begin(void **state)
{
	(void)state;
	assert_int_equal(ring_open(&(struct ring_options){ 0 }, &ring), 0);
	assert_int_equal(ring_enable(ring), 0);
	assert_int_equal(leases_shared_create(WORKERS, &shared), 0);
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(leases_init(&workers[i], shared, ring), 0);
	return 0;
}

/* ring_free() traps on what is still armed. */
static int end(void **state)
{
	(void)state;
	for (int i = 0; i < WORKERS; i++)
		leases_fini(&workers[i]);
	leases_shared_destroy(shared);
	ring_free(ring);
	return 0;
}

static struct gcra_rule rule_of(uint64_t count, uint64_t period_ns, uint64_t burst)
{
	struct gcra_rule rule;

	assert_int_equal(gcra_rule_set(count, period_ns, burst, &rule), 0);
	return rule;
}

#define AN_HOUR (3600 * GW_NS_PER_S)

static uint32_t take(int worker, struct policy_route_limit of, const struct gcra_rule *rule,
		     uint32_t n)
{
	struct gcra_answer a;
	uint32_t n_admitted = 0;

	while (n--) {
		(void)leases_take(&workers[worker], &of, rule, &a);
		n_admitted += a.admitted;
	}
	return n_admitted;
}

/* What is not taken, and not held either. */
static uint32_t left(struct policy_route_limit of, const struct gcra_rule *rule)
{
	struct gcra_answer a;

	leases_look(shared, &of, rule, ring_now_ns(ring), &a);
	return a.remaining + a.admitted;
}

static void workers_share_and_buckets_do_not(void **state)
{
	struct policy_route_limit first = { .bucket = 0, .since = 1 };
	struct policy_route_limit last = { .bucket = POLICY_BUCKETS_MAX - 1, .since = 1 };
	struct gcra_rule rule = rule_of(40, AN_HOUR, 40);

	(void)state;
	assert_int_equal(take(0, first, &rule, 30) + take(1, first, &rule, 30), 40);
	assert_int_equal(left(last, &rule), 40);
	assert_int_equal(take(1, last, &rule, 41), 40);
}

static void what_is_held_comes_back_by_itself(void **state)
{
	struct policy_route_limit of[] = { { .bucket = 3, .since = 1 },
					   { .bucket = 9, .since = 1 } };
	struct gcra_rule rule = rule_of(1000000, GW_NS_PER_S, 100000);
	uint64_t until_ns = ring_now_ns(ring) + 4 * RATE_LEASE_NS;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(take(0, of[i], &rule, 50001), 50001);
		assert_true(workers[0].held[of[i].bucket].lease.left > 100);
	}
	while (ring_now_ns(ring) < until_ns)
		assert_int_equal(ring_turn(ring, until_ns - ring_now_ns(ring)), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(workers[0].held[of[i].bucket].lease.left, 0);
	assert_int_equal(workers[0].first, LIST_END);
	assert_false(wheel_timer_is_armed(&workers[0].settle.due));
	/* And once more: the list is good for another round. */
	assert_int_equal(take(0, of[1], &rule, 1), 1);
	assert_true(wheel_timer_is_armed(&workers[0].settle.due));
}

static void the_end_gives_back_what_is_left(void **state)
{
	struct policy_route_limit of = { .bucket = 3, .since = 1 };
	struct gcra_rule rule = rule_of(100000, GW_NS_PER_S, 1000000);
	uint32_t before;

	(void)state;
	assert_int_equal(take(0, of, &rule, 1), 1);
	before = left(of, &rule);
	leases_fini(&workers[0]);
	assert_in_range(left(of, &rule), before + 900, 1000000 - 1);
	assert_int_equal(leases_init(&workers[0], shared, ring), 0);
}

static void what_was_not_needed_is_there_for_others(void **state)
{
	struct policy_route_limit of = { .bucket = 3, .since = 1 };
	struct gcra_rule slow = rule_of(2, AN_HOUR, 2);

	(void)state;
	assert_int_equal(take(0, of, &slow, 2), 2);
	leases_give_back(&workers[0], &of);
	assert_int_equal(take(1, of, &slow, 2), 1);
}

/* Whose it is goes with each token (test_rate_word.c says the rest). */
static void a_bucket_goes_to_who_has_it_since_later(void **state)
{
	struct policy_route_limit old = { .bucket = 3, .since = 4 },
				  new = { .bucket = 3, .since = 6 };
	struct gcra_rule slow = rule_of(10, AN_HOUR, 10),
			 fast = rule_of(100000, GW_NS_PER_S, 100000);

	(void)state;
	assert_int_equal(take(0, old, &fast, 9), 9);
	assert_true(workers[0].held[3].lease.left > 0);
	assert_int_equal(left(new, &slow), 10);
	assert_int_equal(take(1, new, &slow, 7), 7);
	assert_int_equal(take(1, old, &fast, 1), 0);
	leases_give_back(&workers[0], &old);
	leases_fini(&workers[0]); /* Gives nothing of the old one's to the new one. */
	assert_int_equal(leases_init(&workers[0], shared, ring), 0);
	assert_int_equal(take(0, new, &slow, 5), 3);
}

static void no_policy_has_limits(void **state)
{
	struct leases none;

	(void)state;
	assert_int_equal(leases_init(&none, NULL, ring), 0);
	leases_fini(&none);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test_setup_teardown(workers_share_and_buckets_do_not, begin, end),
		cmocka_unit_test_setup_teardown(what_is_held_comes_back_by_itself, begin, end),
		cmocka_unit_test_setup_teardown(the_end_gives_back_what_is_left, begin, end),
		cmocka_unit_test_setup_teardown(what_was_not_needed_is_there_for_others, begin,
						end),
		cmocka_unit_test_setup_teardown(a_bucket_goes_to_who_has_it_since_later, begin,
						end),
		cmocka_unit_test_setup_teardown(no_policy_has_limits, begin, end),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
