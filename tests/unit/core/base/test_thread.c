/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/thread.c"

#include "base_test.h"

#include <sched.h>

struct seen {
	char name[16];
	sigset_t blocked;
	int cpu;
	int n_cpus;
};

static void look_around(void *arg)
{
	struct seen *seen = arg;
	cpu_set_t set;

	GW_ASSERT(pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name)) == 0);
	GW_ASSERT(pthread_sigmask(SIG_BLOCK, NULL, &seen->blocked) == 0);
	GW_ASSERT(sched_getaffinity(0, sizeof(set), &set) == 0);
	seen->n_cpus = CPU_COUNT(&set);
	seen->cpu = sched_getcpu();
}

static void threads_are_named_and_pinned(void **state)
{
	struct seen seen = { 0 };
	struct thread t;
	int cpus[64];
	uint32_t n = thread_cpus(cpus, ARRAY_SIZE(cpus));

	(void)state;
	assert_true(n > 0);
	assert_int_equal(thread_start(&t, "a-name-beyond-fifteen", cpus[n - 1], look_around, &seen),
			 0);
	thread_join(&t);
	assert_int_equal(t.pin_result, 0);
	assert_string_equal(seen.name, "a-name-beyond-f");
	assert_int_equal(seen.cpu, cpus[n - 1]);
	assert_int_equal(seen.n_cpus, 1);
	assert_int_equal(thread_cpus(cpus, 64), n); /* The caller stays where it was. */
}

static void only_deadly_signals_reach_them(void **state)
{
	struct seen seen = { 0 };
	struct thread t;
	sigset_t mine;

	(void)state;
	assert_int_equal(thread_start(&t, "t", THREAD_ANY_CPU, look_around, &seen), 0);
	thread_join(&t);
	assert_true(sigismember(&seen.blocked, SIGTERM));
	assert_true(sigismember(&seen.blocked, SIGPIPE));
	assert_true(sigismember(&seen.blocked, SIGUSR1));
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		assert_false(sigismember(&seen.blocked, deadly[i]));
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &mine), 0);
	assert_false(sigismember(&mine, SIGTERM));
}

static void bad_cpus_are_refused(void **state)
{
	struct seen seen = { 0 };
	struct thread t;

	(void)state;
	assert_int_equal(thread_pin(-1), -EINVAL);
	assert_int_equal(thread_pin(CPU_SETSIZE), -EINVAL);
	assert_int_equal(thread_start(&t, "t", CPU_SETSIZE - 1, look_around, &seen), 0);
	thread_join(&t);
	assert_int_equal(t.pin_result, -EINVAL); /* No such CPU; it ran all the same. */
	assert_string_equal(seen.name, "t");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_are_named_and_pinned),
		cmocka_unit_test(only_deadly_signals_reach_them),
		cmocka_unit_test(bad_cpus_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
