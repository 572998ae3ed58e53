/* SPDX-License-Identifier: Apache-2.0 */
/* Signals become answers, one each, until the operation is cancelled. */
#include "tests/unit/ring/ring_test.h"

#include "ring/ring_signal.c"

static void signals_are_answers(void **state)
{
	static const int wanted[] = { SIGUSR1, SIGUSR2 };
	struct ring *ring = rt_ring();
	struct rt_op signals;
	sigset_t set, old;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
	rt_op_init(&signals);
	ring_signals(ring, &signals.op, wanted, 2);
	rt_settle(ring);
	assert_int_equal(signals.n_answers, 0);
	for (int i = 0; i < 4; i++) {
		kill(getpid(), i & 1 ? SIGUSR2 : SIGUSR1);
		RT_UNTIL(ring, signals.n_answers == (uint32_t)i + 1);
		assert_int_equal(signals.last.res, i & 1 ? SIGUSR2 : SIGUSR1);
		assert_true(signals.last.more);
	}
	ring_cancel(ring, &signals.op);
	RT_UNTIL(ring, signals.n_final == 1);
	assert_int_equal(signals.last.res, -ECANCELED);
	RT_UNTIL(ring, ring->n_files == 0);
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
	rt_end(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_are_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
