/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/uring.h"

void uring_create(struct io_uring *ring, uint32_t n_sq, uint32_t n_cq)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
		.cq_entries = n_cq,
	};
	int r = io_uring_queue_init_params(n_sq, ring, &params);

	if (r < 0)
		net_die("io_uring_setup", -r);
	r = io_uring_register_ring_fd(ring);
	if (r < 0)
		net_die("register_ring_fd", -r);
}

struct io_uring_buf_ring *uring_bufs(struct io_uring *ring, uint32_t n, uint16_t group)
{
	int r;
	struct io_uring_buf_ring *bufs = io_uring_setup_buf_ring(ring, n, group, 0, &r);

	if (!bufs)
		net_die("setup_buf_ring", -r);
	return bufs;
}

struct io_uring_sqe *uring_entry(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe) {
		io_uring_submit(ring);
		sqe = io_uring_get_sqe(ring);
	}
	if (!sqe)
		net_die("no submission entry", 0);
	return sqe;
}
