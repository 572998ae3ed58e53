/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes: nothing of one message reaches another, nothing waits, nothing is lost. */
#include "tests/unit/ring/ring_test.h"

#include "ring/ring_pipe.c"

/* Splice wants TCP: Unix sockets would do, but this is what it is for. */
static int32_t tcp_pair(struct ring *ring, int *ret_fd)
{
	struct ring_addr addr;
	int32_t listener = rt_listen(ring, &addr), file;
	struct rt_op accept;

	rt_op_init(&accept);
	ring_accept(ring, &accept.op, listener);
	*ret_fd = rt_dial(&addr);
	RT_UNTIL(ring, accept.n_answers == 1);
	file = accept.last.res;
	ring_close(ring, listener);
	RT_UNTIL(ring, accept.n_final == 1);
	return file;
}

static int32_t wait_splice_in(struct ring *ring, int32_t file, struct ring_pipe *pipe, uint32_t len)
{
	int32_t n = -EAGAIN;

	RT_UNTIL(ring, (n = ring_splice_in(ring, file, pipe, len)) != -EAGAIN);
	return n;
}

static void bytes_pass_through_a_pipe(void **state)
{
	struct ring *ring = rt_ring();
	int in_fd, out_fd;
	int32_t in = tcp_pair(ring, &in_fd), out = tcp_pair(ring, &out_fd);
	struct ring_pipe *pipe = ring_pipe_take(ring);
	char got[64];

	(void)state;
	assert_int_equal(pipe->size, RING_PIPE_SIZE);
	assert_int_equal(ring_splice_in(ring, in, pipe, 1000), -EAGAIN);
	rt_put(in_fd, "0123456789next message", 22);
	assert_int_equal(wait_splice_in(ring, in, pipe, 10), 10); /* Not more than asked. */
	assert_int_equal(pipe->held, 10);
	assert_int_equal(ring_splice_out(ring, pipe, out, 4), 4);
	assert_int_equal(ring_splice_out(ring, pipe, out, 1000), 6);
	assert_int_equal(pipe->held, 0);
	RT_UNTIL(ring, recv(out_fd, got, sizeof(got), MSG_PEEK | MSG_DONTWAIT) == 10);
	assert_memory_equal(got, "0123456789", 10);
	shutdown(in_fd, SHUT_WR);
	assert_int_equal(wait_splice_in(ring, in, pipe, 1000), 12);
	assert_int_equal(wait_splice_in(ring, in, pipe, 1000), 0); /* The end. */
	assert_int_equal(ring_splice_out(ring, pipe, out, 1000), 12);
	ring_pipe_give(ring, pipe);
	ring_close(ring, in);
	ring_close(ring, out);
	close(in_fd);
	close(out_fd);
	rt_end(ring);
}

/* What was put in from memory leaves in front of what was spliced in behind it. */
static void bytes_of_ours_go_first(void **state)
{
	struct ring *ring = rt_ring();
	int in_fd, out_fd;
	int32_t in = tcp_pair(ring, &in_fd), out = tcp_pair(ring, &out_fd);
	struct ring_pipe *pipe = ring_pipe_take(ring);
	char head[] = "head", got[64];
	struct iovec parts[] = { { head, 2 }, { head + 2, 2 } };

	(void)state;
	rt_put(in_fd, " and body", 9);
	assert_true(ring_pipe_put(ring, pipe, parts, 2));
	assert_int_equal(pipe->held, 4);
	assert_int_equal(wait_splice_in(ring, in, pipe, 100), 9);
	assert_int_equal(ring_splice_out(ring, pipe, out, 100), 13);
	RT_UNTIL(ring, recv(out_fd, got, sizeof(got), MSG_PEEK | MSG_DONTWAIT) == 13);
	assert_memory_equal(got, "head and body", 13);
	ring_pipe_give(ring, pipe);
	ring_close(ring, in);
	ring_close(ring, out);
	close(in_fd);
	close(out_fd);
	rt_end(ring);
}

static void what_does_not_fit_is_refused(void **state)
{
	static char much[RING_PIPE_SIZE + 1];
	struct ring *ring = rt_ring();
	struct ring_pipe *pipe = ring_pipe_take(ring);
	struct iovec parts[] = { { much, RING_PIPE_SIZE }, { much, 1 } };

	(void)state;
	assert_false(ring_pipe_put(ring, pipe, parts, 2));
	assert_int_equal(pipe->held, 0);
	assert_true(ring_pipe_put(ring, pipe, parts, 1));
	assert_int_equal(pipe->held, RING_PIPE_SIZE);
	ring_pipe_give(ring, pipe);
	rt_end(ring);
}

/* One side does not read: the socket, then the pipe fill up, and neither call waits. */
static void a_full_pipe_and_a_full_socket_say_so(void **state)
{
	static char much[1 << 20];
	struct ring *ring = rt_ring();
	int in_fd, out_fd;
	int32_t in = tcp_pair(ring, &in_fd), out = tcp_pair(ring, &out_fd), n;
	struct ring_pipe *pipe = ring_pipe_take(ring);
	uint64_t sum = 0, end_ns = gw_now_ns() + RT_PATIENCE_NS;

	(void)state;
	do {
		(void)!send(in_fd, much, sizeof(much), MSG_NOSIGNAL | MSG_DONTWAIT);
		n = ring_splice_in(ring, in, pipe, INT32_MAX);
		if (pipe->held > 0) {
			n = ring_splice_out(ring, pipe, out, INT32_MAX);
			sum += n > 0 ? (uint32_t)n : 0;
		}
		assert_true(gw_now_ns() < end_ns);
	} while (n > 0 || pipe->held == 0);
	assert_int_equal(n, -EAGAIN);
	assert_true(sum > 0 && pipe->held > 0 && pipe->held <= pipe->size);
	while (ring_splice_in(ring, in, pipe, INT32_MAX) > 0)
		;
	assert_int_equal(ring_splice_in(ring, in, pipe, INT32_MAX), -EAGAIN);
	ring_pipe_give(ring, pipe);

	/* What it held is gone with it. */
	pipe = ring_pipe_take(ring);
	assert_int_equal(pipe->held, 0);
	assert_int_equal(read(pipe->read_fd, much, 1), -1);
	assert_int_equal(errno, EAGAIN);
	ring_pipe_give(ring, pipe);
	ring_close(ring, in);
	ring_close(ring, out);
	close(in_fd);
	close(out_fd);
	rt_end(ring);
}

static void pipes_are_bounded_and_used_again(void **state)
{
	struct ring *ring = rt_ring();
	struct ring_pipe *pipes[4];
	int fd;

	(void)state;
	for (int i = 0; i < 4; i++) {
		pipes[i] = ring_pipe_take(ring);
		assert_non_null(pipes[i]);
	}
	assert_null(ring_pipe_take(ring));
	fd = pipes[2]->read_fd;
	for (int i = 0; i < 3; i++)
		ring_pipe_give(ring, pipes[i]);
	assert_ptr_equal(ring_pipe_take(ring), pipes[2]);
	assert_int_equal(pipes[2]->read_fd, fd); /* The same pipe, still open. */
	assert_int_equal(ring_turn(ring, 0), 0);
	assert_int_equal(ring_stats(ring)->pipes_held, 2);
	ring_pipe_give(ring, pipes[2]);
	ring_pipe_give(ring, pipes[3]);
	rt_end(ring);
}

static void no_descriptor_no_pipe(void **state)
{
	struct ring *ring = rt_ring();
	struct rlimit old, low;
	struct ring_pipe *pipe;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = (struct rlimit){ .rlim_cur = 1, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (int i = 0; i < 10; i++)
		assert_null(ring_pipe_take(ring));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	pipe = ring_pipe_take(ring);
	assert_non_null(pipe);
	ring_pipe_give(ring, pipe);
	rt_end(ring);
}

/* A write to a connection that was reset is an error, not a signal. */
static void a_reset_is_an_error(void **state)
{
	struct ring *ring = rt_ring();
	struct linger at_once = { .l_onoff = 1 };
	int in_fd, out_fd;
	int32_t in = tcp_pair(ring, &in_fd), out = tcp_pair(ring, &out_fd), n = 0;
	struct ring_pipe *pipe = ring_pipe_take(ring);

	(void)state;
	setsockopt(out_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(out_fd);
	rt_put(in_fd, "too late", 8);
	assert_int_equal(wait_splice_in(ring, in, pipe, 8), 8);
	RT_UNTIL(ring, (n = ring_splice_out(ring, pipe, out, 1)) < 0);
	assert_true(n == -ECONNRESET || n == -EPIPE);
	RT_UNTIL(ring, (n = ring_splice_out(ring, pipe, out, 1)) < 0);
	assert_int_equal(n, -EPIPE);
	ring_pipe_give(ring, pipe);
	ring_close(ring, in);
	ring_close(ring, out);
	close(in_fd);
	rt_end(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_pass_through_a_pipe),
		cmocka_unit_test(bytes_of_ours_go_first),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(a_full_pipe_and_a_full_socket_say_so),
		cmocka_unit_test(pipes_are_bounded_and_used_again),
		cmocka_unit_test(no_descriptor_no_pipe),
		cmocka_unit_test(a_reset_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
