/* SPDX-License-Identifier: Apache-2.0 */
/* Set-up: what the kernel then refuses, and what is done with less than was asked for. */
#include "tests/unit/ring/ring_test.h"

#include <pthread.h>

#include "ring/ring_feature.h"
#include "ring/ring_setup.c"

/* The result of one operation that the ring itself would never ask for. */
static int32_t try_op(struct ring *ring, uint8_t opcode)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	struct io_uring_cqe *cqe;
	int32_t res;

	sqe->opcode = opcode;
	sqe->fd = -1;
	sqe->off = 0;
	sqe->addr = 0;
	sqe->len = 0;
	assert_true(io_uring_submit_and_wait(&ring->uring, 1) >= 0);
	assert_int_equal(io_uring_peek_cqe(&ring->uring, &cqe), 0);
	res = cqe->res;
	io_uring_cqe_seen(&ring->uring, cqe);
	return res;
}

static void other_operations_are_refused(void **state)
{
	static const uint8_t forbidden[] = { IORING_OP_OPENAT, IORING_OP_NOP,      IORING_OP_READ,
					     IORING_OP_WRITE,  IORING_OP_UNLINKAT, IORING_OP_SPLICE,
					     IORING_OP_SOCKET, IORING_OP_SENDMSG };
	struct ring *ring = rt_ring();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
		assert_int_equal(try_op(ring, forbidden[i]), -EACCES);
	assert_int_equal(try_op(ring, IORING_OP_POLL_ADD), -EBADF); /* Allowed, but of no file. */
	assert_int_equal(io_uring_register_files_sparse(&ring->uring, 4), -EACCES);
	rt_end(ring);
}

static void *submit_elsewhere(void *arg)
{
	struct ring *ring = arg;

	return (void *)(intptr_t)io_uring_enter2((unsigned)ring->uring.ring_fd, 0, 0,
						 IORING_ENTER_GETEVENTS, NULL, 0);
}

static void other_threads_are_refused(void **state)
{
	struct ring *ring = rt_ring();
	pthread_t thread;
	void *result;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, submit_elsewhere, ring), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, -EEXIST);
	rt_end(ring);
}

/* Does this kernel refuse the largest ring under that limit? */
static bool counts_rings(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE,
					  .cq_entries = RING_CQ_SIZE };
	int fd = io_uring_setup(RING_SQ_SIZE, &params);

	if (fd >= 0)
		close(fd);
	return fd == -ENOMEM;
}

/* An ordinary user with little locked memory gets a smaller ring, or at worst -ENOMEM. */
static void open_with_little_memory(void)
{
	struct rlimit low = { 128 << 10, 128 << 10 };
	struct ring *ring = NULL;

	if (setrlimit(RLIMIT_MEMLOCK, &low) < 0 || setresuid(65534, 65534, 65534) < 0)
		_exit(2);
	if (ring_open(&(struct ring_options){ .bufs_max = 4, .bufs_posted = 2 }, &ring) < 0)
		_exit(3);
	if (ring_enable(ring) < 0 || ring_turn(ring, 0) < 0)
		_exit(4);
	if (ring_stats(ring)->cq_size != ring->uring.cq.ring_entries)
		_exit(5);
	/* A kernel that counts rings against the limit cannot have granted it all. */
	if (counts_rings() && ring->uring.sq.ring_entries == RING_SQ_SIZE)
		_exit(6);
	ring_free(ring);
}

static void little_memory_makes_a_smaller_ring(void **state)
{
	int status;

	(void)state;
	if (getuid() != 0) {
		skip();
		return;
	}
	status = rt_in_child(open_with_little_memory);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void features_can_be_hidden(void **state)
{
	struct ring_options opt = { .files_max = 4,
				    .bufs_max = 4,
				    .bufs_posted = 2,
				    .feature_mask = ~0u,
				    .registered = true };
	struct ring *ring = rt_open(&opt);
	struct rt_op soon;

	(void)state;
	assert_int_equal(ring_setup_features(&ring->uring, opt.feature_mask), 0);
	assert_non_null(ring->uring.sq.array);
	rt_op_init(&soon);
	ring_soon(ring, &soon.op);
	RT_UNTIL(ring, soon.n_final == 1);
	rt_end(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_operations_are_refused),
		cmocka_unit_test(other_threads_are_refused),
		cmocka_unit_test(little_memory_makes_a_smaller_ring),
		cmocka_unit_test(features_can_be_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
