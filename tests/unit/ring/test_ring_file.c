/* SPDX-License-Identifier: Apache-2.0 */
/* Files: registered when that pays, closed for sure, their index used again only then. */
#include "tests/unit/ring/ring_test.h"

#include "ring/ring_file.c"

static void one_receive(struct ring *ring, struct rt_op *recv, int32_t file, int fd)
{
	uint32_t n = recv->n_final;

	ring_recv(ring, &recv->op, file, true);
	rt_put(fd, "x", 1);
	RT_UNTIL(ring, recv->n_final == n + 1);
	assert_int_equal(recv->last.res, 1);
	ring_buf_give(ring, recv->last.buf);
}

static void the_third_operation_registers(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op recv;
	char byte;
	int fd;
	int32_t file = rt_pair(ring, &fd);

	(void)state;
	rt_op_init(&recv);
	for (int i = 1; i <= 6; i++) {
		one_receive(ring, &recv, file, fd);
		assert_int_equal(ring->files[file].fixed, i >= RING_FIXED_AFTER);
	}
	ring_close(ring, file);
	assert_int_equal(ring->files[file].state, RING_FILE_CLOSING);
	RT_UNTIL(ring, ring->n_closing == 0);
	assert_int_equal(ring->files[file].state, RING_FILE_FREE);
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
	rt_end(ring);
}

static void a_ring_without_the_table_registers_nothing(void **state)
{
	struct ring *ring =
		rt_open(&(struct ring_options){ .files_max = 4, .bufs_max = 4, .bufs_posted = 2 });
	struct rt_op recv;
	int fd;
	int32_t file = rt_pair(ring, &fd);

	(void)state;
	rt_op_init(&recv);
	for (int i = 0; i < 6; i++)
		one_receive(ring, &recv, file, fd);
	assert_false(ring->files[file].fixed);
	ring_close(ring, file);
	assert_int_equal(ring->files[file].state, RING_FILE_FREE); /* At once. */
	close(fd);
	rt_end(ring);
}

/* The kernel will not register a descriptor that is none: plain operations go on. */
static void a_refused_registration_is_survived(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op recv;
	int fd, good;
	int32_t file = rt_pair(ring, &fd);

	(void)state;
	rt_op_init(&recv);
	for (int i = 1; i < RING_FIXED_AFTER; i++)
		one_receive(ring, &recv, file, fd);
	ring_recv(ring, &recv.op, file, true);
	assert_true(ring->files[file].fixed);
	good = ring->files[file].fd;
	ring->files[file].fd = 1 << 30; /* What the kernel reads when the entry is submitted. */
	assert_true(io_uring_submit(&ring->uring) >= 0);
	ring->files[file].fd = good;
	rt_put(fd, "x", 1);
	RT_UNTIL(ring, recv.n_final == RING_FIXED_AFTER);
	assert_int_equal(recv.last.res, 1);
	ring_buf_give(ring, recv.last.buf);
	assert_false(ring->files[file].fixed);
	assert_true(ring->files[file].unfixable);
	one_receive(ring, &recv, file, fd);
	ring_close(ring, file);
	close(fd);
	rt_end(ring);
}

/* The same, and the file is closed before that is known: every operation still ends. */
static void a_refused_registration_does_not_stop_a_close(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op polls[RING_FIXED_AFTER];
	char byte;
	int fd, good;
	int32_t file = rt_pair(ring, &fd);

	(void)state;
	for (int i = 0; i < RING_FIXED_AFTER; i++) {
		rt_op_init(&polls[i]);
		ring_poll(ring, &polls[i].op, file, RING_READABLE);
	}
	ring_close(ring, file);
	good = ring->files[file].fd;
	ring->files[file].fd = 1 << 30;
	assert_true(io_uring_submit(&ring->uring) >= 0);
	ring->files[file].fd = good;
	for (int i = 0; i < RING_FIXED_AFTER; i++) {
		RT_UNTIL(ring, polls[i].n_final == 1);
		assert_int_equal(polls[i].last.res, -ECANCELED);
	}
	RT_UNTIL(ring, ring->n_closing == 0);
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
	rt_end(ring);
}

static void an_index_is_used_again_when_really_closed(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op recv;
	int fds[3];
	int32_t first = rt_pair(ring, &fds[0]), second, third;

	(void)state;
	rt_op_init(&recv);
	ring_recv(ring, &recv.op, first, true);
	ring_close(ring, first);
	second = rt_pair(ring, &fds[1]);
	assert_int_not_equal(second, first);
	RT_UNTIL(ring, recv.n_final == 1 && ring->n_closing == 0);
	third = rt_pair(ring, &fds[2]);
	assert_int_equal(third, first);
	assert_int_equal(ring_files_left(ring), 62);
	ring_close(ring, second);
	ring_close(ring, third);
	assert_int_equal(ring_files_left(ring), 64);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	rt_end(ring);
}

static void a_full_table_takes_no_more(void **state)
{
	struct ring *ring =
		rt_open(&(struct ring_options){ .files_max = 2, .bufs_max = 4, .bufs_posted = 2 });
	int32_t files[2], none = -7;

	(void)state;
	assert_int_equal(ring_socket(ring, AF_INET, &files[0]), 0);
	assert_int_equal(ring_socket(ring, AF_INET, &files[1]), 0);
	assert_int_equal(ring_files_left(ring), 0);
	assert_int_equal(ring_socket(ring, AF_INET, &none), -ENFILE);
	assert_int_equal(none, -7);
	ring_close(ring, files[0]);
	assert_int_equal(ring_socket(ring, AF_INET, &files[0]), 0);
	ring_close(ring, files[0]);
	ring_close(ring, files[1]);
	rt_end(ring);
}

/* Many connections come and go, at all stages of use: every descriptor is closed. */
static void no_descriptor_is_left(void **state)
{
	struct ring *ring = rt_ring();
	struct rng rng;
	int lowest = dup(0);

	(void)state;
	close(lowest);
	rng_seed(&rng, 3);
	for (int i = 0; i < 500; i++) {
		struct rt_op recv, poll;
		int fd;
		int32_t file = rt_pair(ring, &fd);

		rt_op_init(&recv);
		rt_op_init(&poll);
		for (uint64_t n = rng_below(&rng, 4); n > 0; n--)
			one_receive(ring, &recv, file, fd);
		recv.n_final = 0;
		if (rng_below(&rng, 2))
			ring_recv(ring, &recv.op, file, true);
		if (rng_below(&rng, 2))
			ring_poll(ring, &poll.op, file, RING_READABLE);
		if (rng_below(&rng, 2))
			assert_int_equal(ring_turn(ring, 0), 0);
		ring_close(ring, file);
		RT_UNTIL(ring, !recv.op.armed && !poll.op.armed);
		close(fd);
	}
	RT_UNTIL(ring, ring->n_closing == 0);
	assert_int_equal(dup(0), lowest);
	close(lowest);
	rt_end(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_third_operation_registers),
		cmocka_unit_test(a_ring_without_the_table_registers_nothing),
		cmocka_unit_test(a_refused_registration_is_survived),
		cmocka_unit_test(a_refused_registration_does_not_stop_a_close),
		cmocka_unit_test(an_index_is_used_again_when_really_closed),
		cmocka_unit_test(a_full_table_takes_no_more),
		cmocka_unit_test(no_descriptor_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
