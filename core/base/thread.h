/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread.h - start a named, optionally pinned thread with all signals blocked.
 *
 * Ownership: the caller owns the handle and joins it.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "core/base/gw_assert.h"

#define THREAD_ANY_CPU (-1)

typedef void thread_fn(void *arg);

struct thread {
	pthread_t handle;
	thread_fn *fn;
	void *arg;
	int cpu;
	int pin_result; /* Of thread_pin(), when the thread has ended: 0 or -errno. */
	char name[16];
};

/*
 * Starts fn(arg). 'name' is cut to 15 bytes. A CPU that cannot be had is no
 * error: the thread runs unpinned. The struct stays put until thread_join().
 * Deadly signals (a trap) still reach the thread. 0 or -errno.
 */
GW_MUST_USE int thread_start(struct thread *t, const char *name, int cpu, thread_fn *fn, void *arg);
void thread_join(struct thread *t);

/* Binds the calling thread to one CPU: 0 or -errno. */
GW_MUST_USE int thread_pin(int cpu);
/* The CPUs this process may use, in order; returns how many (at most max). */
uint32_t thread_cpus(int *ret_cpus, uint32_t max);
