/* SPDX-License-Identifier: Apache-2.0 */
/* Under the fault shim the ring behaves badly inside and well outside: no byte is lost. */
#include "tests/unit/ring/ring_test.h"

#include "ring/ring_fault.c"

enum { N_SEEDS = 20, N_STREAMS = 6, STREAM_BYTES = 60000 };

/* A stream: bytes of a pattern go in by ring_send, come back by ring_recv through a socket pair. */
struct stream {
	struct ring_op send, recv;
	struct ring *ring;
	int32_t from, to;
	uint32_t n_sent, n_got;
	bool ended;
	uint8_t piece[3000];
};

static uint8_t pattern(const struct stream *s, uint32_t at)
{
	return (uint8_t)(at * 31 + at / 251 + (uint32_t)s->from);
}

static void stream_send(struct stream *s)
{
	uint32_t len = STREAM_BYTES - s->n_sent;

	if (len == 0) {
		ring_shutdown_send(s->ring, s->from);
		return;
	}
	len = len < sizeof(s->piece) ? len : sizeof(s->piece);
	for (uint32_t i = 0; i < len; i++)
		s->piece[i] = pattern(s, s->n_sent + i);
	s->n_sent += len;
	ring_send(s->ring, &s->send, s->from, s->piece, len);
}

static void stream_sent(struct ring_op *op, const struct ring_answer *answer)
{
	struct stream *s = GW_CONTAINER_OF(op, struct stream, send);

	assert_true(answer->res > 0 && !answer->more);
	stream_send(s);
}

static void stream_received(struct ring_op *op, const struct ring_answer *answer)
{
	struct stream *s = GW_CONTAINER_OF(op, struct stream, recv);

	if (answer->res == 0) {
		s->ended = true;
		return;
	}
	assert_true(answer->res > 0);
	for (uint32_t i = 0; i < answer->buf->len; i++)
		assert_int_equal(ring_buf_data(answer->buf)[i], pattern(s, s->n_got + i));
	s->n_got += answer->buf->len;
	ring_buf_give(s->ring, answer->buf);
	ring_recv(s->ring, &s->recv, s->to, s->n_got & 1);
}

static void stream_open(struct stream *s, struct ring *ring)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	*s = (struct stream){ .ring = ring,
			      .from = rt_adopt(ring, fds[0]),
			      .to = rt_adopt(ring, fds[1]) };
	ring_op_init(&s->send, stream_sent);
	ring_op_init(&s->recv, stream_received);
	stream_send(s);
	ring_recv(ring, &s->recv, s->to, true);
}

static bool all_ended(const struct stream *streams)
{
	for (int i = 0; i < N_STREAMS; i++) {
		if (!streams[i].ended)
			return false;
	}
	return true;
}

static struct ring *faulty_ring(uint64_t seed)
{
	return rt_open(&(struct ring_options){ .files_max = 64,
					       .bufs_max = 5,
					       .bufs_posted = 4,
					       .fault_seed = seed,
					       .registered = seed & 1 });
}

static void no_byte_is_lost(void **state)
{
	static struct stream streams[N_STREAMS];

	(void)state;
	for (uint64_t seed = 1; seed <= N_SEEDS; seed++) {
		struct ring *ring = faulty_ring(seed);

		for (int i = 0; i < N_STREAMS; i++)
			stream_open(&streams[i], ring);
		RT_UNTIL(ring, all_ended(streams));
		for (int i = 0; i < N_STREAMS; i++) {
			assert_int_equal(streams[i].n_got, STREAM_BYTES);
			ring_close(ring, streams[i].from);
			ring_close(ring, streams[i].to);
		}
		assert_true(ring_stats(ring)->nobufs > 0);
		rt_end(ring);
	}
}

/* Cancels and closes under faults: one final answer each, whatever the moment. */
static void ends_are_ends(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= N_SEEDS; seed++) {
		struct ring *ring = faulty_ring(seed);
		struct rt_op recv, poll, send, watch;
		struct rng rng;

		rng_seed(&rng, seed);
		for (int i = 0; i < 60; i++) {
			int fd;
			int32_t file = rt_pair(ring, &fd);

			rt_op_init(&recv);
			rt_op_init(&poll);
			rt_op_init(&send);
			rt_op_init(&watch);
			if (rng_below(&rng, 2))
				rt_put(fd, "bytes", 5);
			ring_recv(ring, &recv.op, file, rng_below(&rng, 2));
			ring_poll(ring, &poll.op, file, RING_READABLE);
			ring_poll(ring, &watch.op, file, RING_BROKEN);
			ring_send(ring, &send.op, file, "bytes", 5);
			for (uint64_t n = rng_below(&rng, 4); n > 0; n--)
				assert_int_equal(ring_turn(ring, 0), 0);
			if (rng_below(&rng, 2))
				ring_cancel(ring, &recv.op);
			if (rng_below(&rng, 2))
				ring_cancel(ring, &poll.op);
			if (rng_below(&rng, 2))
				ring_cancel(ring, &watch.op);
			ring_close(ring, file);
			RT_UNTIL(ring,
				 recv.n_final + poll.n_final + send.n_final + watch.n_final == 4);
			assert_true(recv.last.res == -ECANCELED || recv.last.res > 0);
			if (recv.last.buf)
				ring_buf_give(ring, recv.last.buf);
			assert_true(poll.last.res == -ECANCELED || poll.last.res > 0);
			assert_true(send.last.res == -ECANCELED || send.last.res > 0);
			assert_int_equal(watch.last.res, -ECANCELED);
			close(fd);
		}
		rt_end(ring);
	}
}

static void accepting_goes_on(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= N_SEEDS; seed++) {
		struct ring *ring = faulty_ring(seed);
		struct ring_addr addr;
		int32_t listener = rt_listen(ring, &addr);
		struct rt_op accept;

		rt_op_init(&accept);
		ring_accept(ring, &accept.op, listener);
		for (uint32_t i = 1; i <= 30; i++) {
			int fd = rt_dial(&addr);

			RT_UNTIL(ring, accept.n_answers == i);
			assert_true(accept.last.res >= 0 && accept.last.more);
			ring_close(ring, accept.last.res);
			close(fd);
		}
		ring_close(ring, listener);
		RT_UNTIL(ring, accept.n_final == 1);
		rt_end(ring);
	}
}

static void splices_are_cut(void **state)
{
	static uint8_t sent[200000], got[200000];

	(void)state;
	for (uint64_t seed = 1; seed <= N_SEEDS; seed++) {
		struct ring *ring = faulty_ring(seed);
		uint32_t n_sent = 0, n_got = 0, n_short = 0;
		int in_fd, out_fd;
		int32_t in = rt_pair(ring, &in_fd), out = rt_pair(ring, &out_fd);
		struct ring_pipe *pipe = ring_pipe_take(ring);
		uint64_t end_ns = gw_now_ns() + RT_PATIENCE_NS;

		for (uint32_t i = 0; i < sizeof(sent); i++)
			sent[i] = (uint8_t)(i * seed + i / 256);
		while (n_got < sizeof(sent)) {
			ssize_t n = n_sent == sizeof(sent)
					    ? 0
					    : send(in_fd, sent + n_sent, sizeof(sent) - n_sent, 0);
			int32_t moved = ring_splice_in(ring, in, pipe, 5000);

			n_sent += n > 0 ? (uint32_t)n : 0;
			n_short += moved > 0 && moved < 5000;
			if (pipe->held > 0)
				(void)ring_splice_out(ring, pipe, out, 3000);
			n = recv(out_fd, got + n_got, sizeof(got) - n_got, 0);
			n_got += n > 0 ? (uint32_t)n : 0;
			assert_true(gw_now_ns() < end_ns);
		}
		assert_true(n_short > 0);
		assert_memory_equal(sent, got, sizeof(sent));
		assert_int_equal(pipe->held, 0);
		ring_pipe_give(ring, pipe);
		ring_close(ring, in);
		ring_close(ring, out);
		close(in_fd);
		close(out_fd);
		rt_end(ring);
	}
}

static void the_seed_decides_everything(void **state)
{
	struct ring_fault a, b, none;
	uint32_t n_cut = 0, n_errors = 0;

	(void)state;
	ring_fault_init(&none, 0);
	assert_false(none.on);
	ring_fault_init(&a, 42);
	ring_fault_init(&b, 42);
	assert_true(a.on);
	for (int i = 0; i < 1000; i++) {
		uint32_t len = 1 + (uint32_t)i * 7, cut = ring_fault_cut(&a, len);
		int32_t error = ring_fault_error(&a);

		assert_int_equal(cut, ring_fault_cut(&b, len));
		assert_int_equal(error, ring_fault_error(&b));
		assert_true(cut >= 1 && cut <= len && error <= 0);
		n_cut += cut < len;
		n_errors += error < 0;
	}
	assert_true(n_cut > 300 && n_cut < 700);
	assert_true(n_errors > 150 && n_errors < 350);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_byte_is_lost),
		cmocka_unit_test(ends_are_ends),
		cmocka_unit_test(accepting_goes_on),
		cmocka_unit_test(splices_are_cut),
		cmocka_unit_test(the_seed_decides_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
