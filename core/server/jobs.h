/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs.h - one thread for what takes long or waits: compiling a policy, keeping it on disk.
 *
 * Jobs run one after the other, in the order in which they were given. What a job tells comes home
 * as a post to the ring of whoever gave it, and there 'done' is called, once for each job.
 *
 * Ownership: a job is embedded in what it works on. From jobs_give() until 'done' all of that is
 * the jobs' thread's: nobody else touches or frees it, and what the job reads of others' must not
 * change meanwhile.
 *
 * Threads: everything here is the home thread's; only 'run' runs on the jobs' thread. There it may
 * allocate, open files and wait; it must not log or use a ring.
 */
#pragma once

#include <stdint.h>

#include "core/base/gw_assert.h"

struct ring;
struct job;
struct jobs;

enum { JOBS_MAX = 32 };               /* At a time, the one that runs included. */
#define JOBS_WORD (UINT64_C(1) << 32) /* Words from here on are for jobs_posted(). */

typedef void job_fn(struct job *job);

struct job {
	job_fn *run; /* On the jobs' thread. */
	job_fn *done; /* At home, from inside a turn of its ring. May free the job, or give it anew. */
};

/* Start the thread. 'home' is enabled, and outlives it. 0 or -errno. */
GW_MUST_USE int jobs_open(struct ring *home, struct jobs **ret_jobs);

/* 0; or -EAGAIN: as many as there may be are under way. */
GW_MUST_USE int jobs_give(struct jobs *jobs, struct job *job);

/* Home's ring was posted this word. */
void jobs_posted(struct jobs *jobs, uint64_t word);

/* Given, and not done. */
uint32_t jobs_n_given(const struct jobs *jobs);

/* End the thread. What is given still runs, but none is done any more. */
void jobs_free(struct jobs *jobs);
