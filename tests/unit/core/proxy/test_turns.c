/* SPDX-License-Identifier: Apache-2.0 */
/* One in each turn of the loop, in order, and those in between who have gone are not missed. */
#include "core/proxy/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/clock.h"

enum { N = 5 };

#define LONG (500 * GW_NS_PER_MS) /* Beside what turns without work take. */

static struct ring *ring;
static struct metric_set *metrics;
static struct turns turns;
static struct waiter {
	struct turn turn;
	uint32_t number; /* Of the turn that it has had; 0: none. */
} waiters[N];
static uint32_t n_turns;

static void come(struct turn *turn)
{
	struct waiter *w = GW_CONTAINER_OF(turn, struct waiter, turn);

	assert_int_equal(w->number, 0);
	w->number = n_turns;
}

static int begin(void **state)
{
	(void)state;
	assert_int_equal(ring_open(&(struct ring_options){ 0 }, &ring), 0);
	assert_int_equal(ring_enable(ring), 0);
	assert_int_equal(metric_create(0, &metrics), 0);
	memset(waiters, 0, sizeof(waiters));
	n_turns = 0;
	turns_init(&turns, ring, metrics,
		   &(struct turns_kind){ come, METRIC_TLS_HANDSHAKES_WAITED, 1 });
	return 0;
}

/* ring_free() traps on what is still armed. */
static int end(void **state)
{
	(void)state;
	assert_true(turns_are_over(&turns));
	metric_destroy(metrics);
	ring_free(ring);
	return 0;
}

static void turn_once(void)
{
	n_turns++;
	assert_int_equal(ring_turn(ring, 0), 0);
}

static void the_first_need_not_wait(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(turns_ask(&turns, &waiters[0].turn));
		assert_false(turns_are_over(&turns));
		turn_once();
		assert_true(turns_are_over(&turns));
	}
	assert_int_equal(waiters[0].number, 0);
}

static void each_turn_has_one(void **state)
{
	(void)state;
	assert_true(turns_ask(&turns, &waiters[0].turn));
	for (uint32_t i = 1; i < N; i++)
		assert_false(turns_ask(&turns, &waiters[i].turn));
	assert_int_equal(metrics->counters[METRIC_TLS_HANDSHAKES_WAITED], N - 1);
	for (uint32_t i = 1; i < N; i++) {
		turn_once();
		assert_int_equal(waiters[i].number, i);
	}
	/* The last one's turn is not over yet. */
	assert_false(turns_ask(&turns, &waiters[0].turn));
	turn_once();
	assert_int_equal(waiters[0].number, N);
	turn_once();
}

/* Of light work: so many at once, and in the following turns as many of those who wait. */
static void a_turn_may_have_a_few(void **state)
{
	(void)state;
	turns.kind.at_once = 2;
	assert_true(turns_ask(&turns, &waiters[0].turn));
	assert_true(turns_ask(&turns, &waiters[0].turn));
	for (uint32_t i = 1; i < 4; i++)
		assert_false(turns_ask(&turns, &waiters[i].turn));
	turn_once();
	assert_int_equal(waiters[1].number, 1);
	assert_int_equal(waiters[2].number, 1);
	assert_false(turns_ask(&turns, &waiters[4].turn)); /* Behind those who wait. */
	turns_leave(&turns, &waiters[4].turn);
	turn_once();
	assert_int_equal(waiters[3].number, 2);
	assert_true(turns_ask(&turns, &waiters[4].turn)); /* That turn has one left. */
	assert_false(turns_ask(&turns, &waiters[4].turn));
	turn_once();
	assert_int_equal(waiters[4].number, 3);
	turn_once();
}

static void who_leaves_is_passed_over(void **state)
{
	(void)state;
	assert_true(turns_ask(&turns, &waiters[0].turn));
	for (uint32_t i = 1; i < N; i++)
		assert_false(turns_ask(&turns, &waiters[i].turn));
	turns_leave(&turns, &waiters[0].turn); /* It does not wait. */
	turns_leave(&turns, &waiters[2].turn);
	turns_leave(&turns, &waiters[N - 1].turn);
	assert_int_equal(turns.waiting.n, N - 3);
	for (uint32_t i = 0; i < N; i++)
		turn_once();
	assert_int_equal(waiters[1].number, 1);
	assert_int_equal(waiters[2].number, 0);
	assert_int_equal(waiters[3].number, 2);
	assert_int_equal(waiters[4].number, 0);
}

/* As if the kernel had told something in between. */
static void others_are_busy(void)
{
	((struct ring_stats *)(uintptr_t)ring_stats(ring))->cqes++;
}

static void others_have_as_long(void **state)
{
	(void)state;
	assert_true(turns_ask(&turns, &waiters[0].turn));
	for (uint32_t i = 1; i < N; i++)
		assert_false(turns_ask(&turns, &waiters[i].turn));
	turns.begun_ns -= LONG; /* That turn has taken so long. */
	for (int i = 0; i < 10; i++) {
		others_are_busy();
		turn_once();
		assert_int_equal(waiters[1].number, 0);
	}
	assert_in_range(turns.due_ns, ring_now_ns(ring) + LONG / 2, ring_now_ns(ring) + LONG * 2);
	turns.due_ns = ring_now_ns(ring);
	others_are_busy();
	turn_once();
	assert_int_equal(waiters[1].number, n_turns);
	turns.begun_ns -= LONG;
	others_are_busy();
	turn_once();
	assert_int_equal(waiters[2].number, 0);
	turn_once(); /* Nobody else has anything to do. */
	assert_int_equal(waiters[2].number, n_turns);
	for (uint32_t i = 3; i <= N; i++)
		turn_once();
}

/* Nobody waits, and the others have still not had their time: who comes then waits, too. */
static void a_late_one_waits(void **state)
{
	(void)state;
	assert_true(turns_ask(&turns, &waiters[0].turn));
	turns.begun_ns -= LONG;
	others_are_busy();
	turn_once();
	assert_false(turns_ask(&turns, &waiters[1].turn));
	turn_once();
	assert_int_equal(waiters[1].number, n_turns);
	turn_once();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_need_not_wait, begin, end),
		cmocka_unit_test_setup_teardown(each_turn_has_one, begin, end),
		cmocka_unit_test_setup_teardown(others_have_as_long, begin, end),
		cmocka_unit_test_setup_teardown(a_late_one_waits, begin, end),
		cmocka_unit_test_setup_teardown(a_turn_may_have_a_few, begin, end),
		cmocka_unit_test_setup_teardown(who_leaves_is_passed_over, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
