/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue is the mailbox of the thread's ring: a post is a place in 'given', where the job waits,
 * runs, and stays until it is done. Only home takes and gives places, so no lock is needed; the
 * posts order what either side has written.
 */
#include "core/server/jobs.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/thread.h"
#include "ring/ring.h"

#define WAIT_MAX_NS (10 * GW_NS_PER_S)

enum {
	STARTING = 1,
	LEAVE = JOBS_MAX, /* The word after all places. */
};

struct jobs {
	struct thread thread;
	struct ring *home, *ring; /* The thread's own. */
	_Atomic int started;      /* STARTING, then 0 or -errno; written by the thread. */
	bool leaving;             /* The thread's. */
	uint32_t n_given;         /* Home's. */
	struct job
		*given[JOBS_MAX]; /* NULL: a free place. Home's; read by the thread for a post. */
};

/* --- The thread. ----------------------------------------------------------------------------- */

/* Home's mailbox empties as home turns, which waits for no job. */
static void send_home(struct jobs *jobs, uint64_t place)
{
	while (GW_COUNT_IF(ring_post(jobs->ring, jobs->home, JOBS_WORD + place) == -EAGAIN,
			   "home_mailbox_full"))
		sched_yield();
	ring_flush(jobs->ring); /* The next job may take long. */
}

static void asked(void *owner, uint64_t word)
{
	struct jobs *jobs = owner;

	if (word == LEAVE) {
		jobs->leaving = true;
		return;
	}
	GW_ASSERT(word < JOBS_MAX && jobs->given[word]);
	jobs->given[word]->run(jobs->given[word]);
	send_home(jobs, word);
}

static void jobs_main(void *arg)
{
	struct jobs *jobs = arg;
	int r = ring_enable(jobs->ring);

	atomic_store_explicit(&jobs->started, r, memory_order_release);
	while (r == 0 && !jobs->leaving) {
		r = ring_turn(jobs->ring, WAIT_MAX_NS);
		GW_ASSERT(r == 0); /* What was given would never be done. */
	}
	ring_free(jobs->ring);
}

/* --- Home. ----------------------------------------------------------------------------------- */

static int wait_started(struct jobs *jobs)
{
	int r;

	while ((r = atomic_load_explicit(&jobs->started, memory_order_acquire)) == STARTING)
		sched_yield(); /* Once per process. */
	return r;
}

int jobs_open(struct ring *home, struct jobs **ret_jobs)
{
	const struct ring_options opt = {
		.files_max = 4, .bufs_max = 4, .bufs_posted = 2, .pipes_max = 1
	};
	struct jobs *jobs = calloc(1, sizeof(*jobs));
	int r = jobs ? ring_open(&opt, &jobs->ring) : -ENOMEM;

	if (r < 0)
		goto free_jobs;
	jobs->home = home;
	atomic_init(&jobs->started, STARTING);
	ring_on_post(jobs->ring, asked, jobs);
	r = thread_start(&jobs->thread, "jobs", THREAD_ANY_CPU, jobs_main, jobs);
	if (r < 0) {
		ring_free(jobs->ring);
		goto free_jobs;
	}
	r = wait_started(jobs);
	if (r == 0) {
		*ret_jobs = jobs;
		return 0;
	}
	thread_join(&jobs->thread);
free_jobs:
	free(jobs);
	return r;
}

int jobs_give(struct jobs *jobs, struct job *job)
{
	uint64_t place = 0;
	int r;

	while (place < JOBS_MAX && jobs->given[place])
		place++;
	if (place == JOBS_MAX)
		return -EAGAIN;
	jobs->given[place] = job;
	r = ring_post(jobs->home, jobs->ring, place);
	GW_ASSERT(r == 0); /* A mailbox has room for more. */
	jobs->n_given++;
	return 0;
}

void jobs_posted(struct jobs *jobs, uint64_t word)
{
	uint64_t place = word - JOBS_WORD;
	struct job *job;

	GW_ASSERT(place < JOBS_MAX && jobs->given[place]);
	job = jobs->given[place];
	jobs->given[place] = NULL;
	jobs->n_given--;
	job->done(job);
}

uint32_t jobs_n_given(const struct jobs *jobs)
{
	return jobs->n_given;
}

void jobs_free(struct jobs *jobs)
{
	int r = ring_post(jobs->home, jobs->ring, LEAVE);

	GW_ASSERT(r == 0); /* A mailbox has room for more than JOBS_MAX. */
	ring_flush(jobs->home);
	thread_join(&jobs->thread);
	free(jobs);
}
