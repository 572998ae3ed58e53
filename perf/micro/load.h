/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - clients and origin of the relay benchmark, in one child process.
 *
 * Every client keeps one request in flight: request bytes out, response bytes
 * in, again. The origin end of each pair answers. Both ends live in one epoll
 * loop on one CPU, so the relay has the other CPU for itself.
 *
 * Ownership: load_start() takes nothing over; the caller ends the child with
 * load_stop() and releases the shared page with it.
 *
 * Threads: single-threaded on both sides; the shared page has one writer.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

enum { LOAD_N_BUCKETS = 16384, LOAD_BUCKET_US = 4 };

/* Written by the child only; complete after load_stop(). */
struct load_stats {
	uint64_t n_responses;
	uint64_t latency_count[LOAD_N_BUCKETS];
};

struct load {
	uint32_t n_pairs;
	uint32_t request_len;
	uint32_t response_len;
	uint32_t think_us; /* A client's pause before its next request; 0: none. */
	int cpu;
	int go_fd; /* The last client, as the relay sees it. */
	pid_t pid;
	struct load_stats *stats;
};

/*
 * Starts the child and connects all pairs: client i is ret_fds[2 * i], its
 * origin ret_fds[2 * i + 1]. All are blocking, with TCP_NODELAY. Traffic
 * starts with load_go(), before the relay reads or writes.
 */
void load_start(struct load *load, int *ret_fds);
void load_go(struct load *load);
void load_stop(struct load *load);

/* So far; the child goes on counting until load_stop(). */
uint64_t load_n_responses(const struct load *load);

/* Upper bound of the quantile (0..1) of response times, in microseconds. */
uint64_t load_latency_us(const struct load *load, double quantile);
