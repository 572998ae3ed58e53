/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs run elsewhere, one after the other, and each one comes home once. */
#include "core/server/jobs.c"

#include <pthread.h>

#include "tests/unit/core/base/base_test.h"

enum { MANY = JOBS_MAX * 20 };

struct task {
	struct job job;
	uint32_t number;
	pthread_t ran_by;
	uint32_t ran_as; /* The how manieth, from 1. */
	uint32_t n_done;
	bool again;
};

static struct {
	struct ring *home;
	struct jobs *jobs;
	uint32_t n_ran; /* The jobs' thread's. */
	uint32_t n_done;
	uint32_t order[MANY]; /* Numbers of those that came home. */
	pthread_mutex_t gate; /* Held by the test: a job that wants it waits. */
} w = { .gate = PTHREAD_MUTEX_INITIALIZER };

static void run_task(struct job *job)
{
	struct task *task = GW_CONTAINER_OF(job, struct task, job);

	task->ran_by = pthread_self();
	task->ran_as = ++w.n_ran;
}

static void run_gated(struct job *job)
{
	pthread_mutex_lock(&w.gate);
	pthread_mutex_unlock(&w.gate);
	run_task(job);
}

static void task_done(struct job *job)
{
	struct task *task = GW_CONTAINER_OF(job, struct task, job);

	assert_true(w.n_done < MANY);
	w.order[w.n_done++] = task->number;
	task->n_done++;
	if (task->again)
		assert_int_equal(jobs_give(w.jobs, job), 0);
}

static struct task task_of(uint32_t number)
{
	return (struct task){ .job = { run_task, task_done }, .number = number };
}

static void told_home(void *owner, uint64_t word)
{
	assert_ptr_equal(owner, &w);
	jobs_posted(w.jobs, word);
}

static int begin(void **state)
{
	const struct ring_options ring = { .files_max = 8, .bufs_max = 4, .bufs_posted = 2 };

	(void)state;
	w.n_ran = 0;
	w.n_done = 0;
	assert_int_equal(ring_open(&ring, &w.home), 0);
	ring_on_post(w.home, told_home, &w);
	assert_int_equal(ring_enable(w.home), 0);
	assert_int_equal(jobs_open(w.home, &w.jobs), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	jobs_free(w.jobs);
	ring_free(w.home);
	return 0;
}

/* Woken by what is done: a bell that is not rung is waited for until the test's time is over. */
static void turn_until_done(uint32_t n)
{
	while (w.n_done < n)
		assert_int_equal(ring_turn(w.home, 1000 * GW_NS_PER_S), 0);
	assert_int_equal(w.n_done, n);
}

static void a_job_runs_elsewhere(void **state)
{
	struct task task = task_of(7);

	(void)state;
	assert_int_equal(jobs_n_given(w.jobs), 0);
	assert_int_equal(jobs_give(w.jobs, &task.job), 0);
	assert_int_equal(jobs_n_given(w.jobs), 1);
	turn_until_done(1);
	assert_int_equal(jobs_n_given(w.jobs), 0);
	assert_int_equal(w.order[0], 7);
	assert_int_equal(task.ran_as, 1);
	assert_false(pthread_equal(task.ran_by, pthread_self()));
}

static void so_many_at_a_time_and_in_order(void **state)
{
	struct task tasks[JOBS_MAX + 1];

	(void)state;
	for (uint32_t i = 0; i <= JOBS_MAX; i++)
		tasks[i] = task_of(i);
	tasks[0].job.run = run_gated;
	pthread_mutex_lock(&w.gate);
	for (uint32_t i = 0; i < JOBS_MAX; i++)
		assert_int_equal(jobs_give(w.jobs, &tasks[i].job), 0);
	assert_int_equal(jobs_give(w.jobs, &tasks[JOBS_MAX].job), -EAGAIN);
	assert_int_equal(jobs_n_given(w.jobs), JOBS_MAX);
	assert_int_equal(ring_turn(w.home, 0), 0);
	assert_int_equal(w.n_done, 0); /* Home has turned, the first job waits. */
	pthread_mutex_unlock(&w.gate);
	turn_until_done(JOBS_MAX);
	for (uint32_t i = 0; i < JOBS_MAX; i++) {
		assert_int_equal(w.order[i], i);
		assert_int_equal(tasks[i].ran_as, i + 1);
		assert_int_equal(tasks[i].n_done, 1);
	}
	assert_int_equal(jobs_give(w.jobs, &tasks[JOBS_MAX].job), 0);
	turn_until_done(JOBS_MAX + 1);
}

/* Done comes as soon as a job is, not when the queue is empty. */
static void the_next_job_holds_none_back(void **state)
{
	struct task first = task_of(1), second = task_of(2);

	(void)state;
	second.job.run = run_gated;
	pthread_mutex_lock(&w.gate);
	assert_int_equal(jobs_give(w.jobs, &first.job), 0);
	assert_int_equal(jobs_give(w.jobs, &second.job), 0);
	turn_until_done(1);
	assert_int_equal(jobs_n_given(w.jobs), 1);
	pthread_mutex_unlock(&w.gate);
	turn_until_done(2);
}

static void one_that_is_done_may_be_given_anew(void **state)
{
	struct task task = task_of(3);

	(void)state;
	task.again = true;
	assert_int_equal(jobs_give(w.jobs, &task.job), 0);
	turn_until_done(MANY - 1);
	task.again = false;
	turn_until_done(MANY);
	assert_int_equal(task.n_done, MANY);
	assert_int_equal(w.n_ran, MANY);
}

static void what_is_given_at_the_end_still_runs(void **state)
{
	struct task tasks[3];

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(tasks); i++) {
		tasks[i] = task_of(i);
		assert_int_equal(jobs_give(w.jobs, &tasks[i].job), 0);
	}
	jobs_free(w.jobs);
	assert_int_equal(w.n_ran, ARRAY_SIZE(tasks));
	assert_int_equal(w.n_done, 0);
	assert_int_equal(jobs_open(w.home, &w.jobs), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_job_runs_elsewhere, begin, end),
		cmocka_unit_test_setup_teardown(so_many_at_a_time_and_in_order, begin, end),
		cmocka_unit_test_setup_teardown(the_next_job_holds_none_back, begin, end),
		cmocka_unit_test_setup_teardown(one_that_is_done_may_be_given_anew, begin, end),
		cmocka_unit_test_setup_teardown(what_is_given_at_the_end_still_runs, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
