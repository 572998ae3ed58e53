/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring.h - the ring of a measuring program: flags, entries and turns as the
 * product has them.
 *
 * Ownership: the ring and what is set up on it are the caller's, until the
 * program ends.
 *
 * Threads: one, the one that made the ring.
 */
#pragma once

#include "perf/net.h"

#include <errno.h>
#include <liburing.h>

typedef void uring_cqe_fn(const struct io_uring_cqe *cqe);

/* With n_sq entries to submit and n_cq to complete, its own descriptor registered. */
void uring_create(struct io_uring *ring, uint32_t n_sq, uint32_t n_cq);

/* A group of n provided buffers (a power of two), empty yet. */
struct io_uring_buf_ring *uring_bufs(struct io_uring *ring, uint32_t n, uint16_t group);

/* A free entry, never NULL; what is queued is submitted when there is none. */
struct io_uring_sqe *uring_entry(struct io_uring *ring);

/* Submit, wait for an answer, at most a second, and hand out those that are there. */
static inline void uring_turn(struct io_uring *ring, uring_cqe_fn *fn)
{
	struct __kernel_timespec wait = { .tv_sec = 1 };
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;
	int r = io_uring_submit_and_wait_timeout(ring, &cqe, 1, &wait, NULL);

	if (r < 0 && r != -ETIME && r != -EINTR)
		net_die("enter", -r);
	io_uring_for_each_cqe(ring, head, cqe)
	{
		fn(cqe);
		n++;
	}
	io_uring_cq_advance(ring, n);
}
