/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines in virtual time: never early, moved for nothing, gone when stopped. */
#include "core/proxy/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/clock.h"

#define MS GW_NS_PER_MS

static struct ring *ring;
static struct deadline deadline;
static uint64_t start_ns, due_ns; /* When it was due; 0: not yet. */
static uint32_t n_looks;

static void fire(struct ring_timer *timer)
{
	struct deadline *d = GW_CONTAINER_OF(timer, struct deadline, timer);

	n_looks++;
	assert_ptr_equal(d, &deadline);
	if (deadline_is_due(d, ring))
		due_ns = ring_now_ns(ring);
}

static int begin(void **state)
{
	(void)state;
	assert_int_equal(ring_open(&(struct ring_options){ 0 }, &ring), 0);
	assert_int_equal(ring_enable(ring), 0);
	deadline_init(&deadline, fire);
	start_ns = ring_now_ns(ring);
	due_ns = 0;
	n_looks = 0;
	return 0;
}

/* ring_free() traps on a timer that is still set. */
static int end(void **state)
{
	(void)state;
	deadline_stop(&deadline, ring);
	ring_free(ring);
	return 0;
}

static void wait_until(uint64_t span_ns)
{
	while (ring_now_ns(ring) < start_ns + span_ns)
		assert_int_equal(ring_turn(ring, start_ns + span_ns - ring_now_ns(ring)), 0);
}

static void assert_due_at(uint64_t span_ns)
{
	assert_in_range(due_ns, start_ns + span_ns, start_ns + span_ns + 2 * MS);
}

static void it_is_met_once(void **state)
{
	(void)state;
	deadline_in(&deadline, ring, 100 * MS);
	wait_until(99 * MS);
	assert_int_equal(due_ns, 0);
	wait_until(1000 * MS);
	assert_due_at(100 * MS);
	assert_int_equal(n_looks, 1);
}

/* Ten thousand moves cost the wheel one look per span. */
static void moving_it_later_is_free(void **state)
{
	(void)state;
	for (uint64_t at_ms = 0; at_ms < 1000; at_ms += 5) {
		wait_until(at_ms * MS);
		for (int i = 0; i < 50; i++)
			deadline_in(&deadline, ring, 100 * MS);
	}
	assert_int_equal(due_ns, 0);
	assert_in_range(n_looks, 9, 12);
	wait_until(2000 * MS);
	assert_due_at(1095 * MS);
}

static void moving_it_earlier_works(void **state)
{
	(void)state;
	deadline_in(&deadline, ring, 1000 * MS);
	wait_until(10 * MS);
	deadline_in(&deadline, ring, 20 * MS);
	wait_until(40 * MS);
	assert_due_at(30 * MS);
	wait_until(2000 * MS);
	assert_int_equal(n_looks, 1);
}

static void never_is_never(void **state)
{
	(void)state;
	deadline_in(&deadline, ring, 50 * MS);
	deadline_in(&deadline, ring, 0);
	wait_until(1000 * MS);
	assert_int_equal(due_ns, 0);
	assert_true(n_looks <= 1);
	deadline_in(&deadline, ring, 10 * MS); /* And can be set again. */
	wait_until(1100 * MS);
	assert_due_at(1010 * MS);
}

static void stopped_it_is_gone(void **state)
{
	(void)state;
	deadline_in(&deadline, ring, 50 * MS);
	deadline_stop(&deadline, ring);
	wait_until(100 * MS);
	assert_int_equal(n_looks, 0);
	deadline_set(&deadline, ring, start_ns + 120 * MS);
	wait_until(200 * MS);
	assert_due_at(120 * MS);
}

/* One in the past is due in the next turn, not before and not inside the call. */
static void the_past_is_due_at_once(void **state)
{
	(void)state;
	wait_until(100 * MS);
	deadline_set(&deadline, ring, start_ns + 1);
	assert_int_equal(n_looks, 0);
	wait_until(103 * MS);
	assert_due_at(100 * MS);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_met_once), TEST(moving_it_later_is_free), TEST(moving_it_earlier_works),
		TEST(never_is_never), TEST(stopped_it_is_gone),      TEST(the_past_is_due_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
