/* SPDX-License-Identifier: Apache-2.0 */
/* Completions: which of them an owner sees, and when a series of answers ends. */
#include "tests/unit/ring/ring_test.h"

#include "ring/ring_complete.c"

/* Connections beyond the table are dropped, and the series ends with the reason. */
static void a_full_table_ends_accepting(void **state)
{
	struct ring *ring = rt_open(&(struct ring_options){
		.files_max = 4, .bufs_max = 4, .bufs_posted = 2, .registered = true });
	struct rt_op accept;
	struct ring_addr addr;
	int32_t listener = rt_listen(ring, &addr);
	int fds[5];

	(void)state;
	rt_op_init(&accept);
	ring_accept(ring, &accept.op, listener);
	assert_int_equal(ring_files_left(ring), 3);
	for (int i = 0; i < 3; i++) {
		fds[i] = rt_dial(&addr);
		RT_UNTIL(ring, accept.n_answers == (uint32_t)i + 1);
		assert_true(accept.last.res >= 0 && accept.last.more);
	}
	assert_int_equal(ring_files_left(ring), 0);
	fds[3] = rt_dial(&addr);
	RT_UNTIL(ring, accept.n_final == 1);
	assert_int_equal(accept.last.res, -ENFILE);

	/* With room again, accepting goes on. */
	ring_close(ring, 1);
	ring_accept(ring, &accept.op, listener);
	fds[4] = rt_dial(&addr);
	RT_UNTIL(ring, accept.n_answers == 5);
	assert_int_equal(accept.last.res, 1);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	for (int32_t file = 0; file < 4; file++)
		ring_close(ring, file);
	RT_UNTIL(ring, accept.n_final == 2);
	rt_end(ring);
}

static void no_descriptor_ends_accepting(void **state)
{
	struct ring *ring = rt_ring();
	struct rlimit old, low;
	struct rt_op accept;
	struct ring_addr addr;
	int32_t listener = rt_listen(ring, &addr);
	int fd = rt_dial(&addr);

	(void)state;
	rt_op_init(&accept);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = (struct rlimit){ .rlim_cur = 1, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	ring_accept(ring, &accept.op, listener);
	RT_UNTIL(ring, accept.n_final == 1);
	assert_int_equal(accept.last.res, -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);

	/* The connection is still in the queue of the listener. */
	ring_accept(ring, &accept.op, listener);
	RT_UNTIL(ring, accept.n_answers == 2);
	assert_true(accept.last.res >= 0);
	ring_close(ring, accept.last.res);
	ring_cancel(ring, &accept.op);
	RT_UNTIL(ring, accept.n_final == 2);
	assert_int_equal(accept.last.res, -ECANCELED);
	ring_close(ring, listener);
	close(fd);
	rt_end(ring);
}

/* --- Echo --------------------------------------------------------------------------------- */

enum { ECHO_CLIENTS = 50, ECHO_ROUNDS = 40 };

struct echo_server {
	struct ring_op recv, send;
	struct ring *ring;
	struct ring_buf *buf;
	int32_t file;
};

struct echo_world {
	struct ring_op accept;
	struct ring *ring;
	struct echo_server servers[ECHO_CLIENTS];
	uint32_t n_servers, n_ended;
};

static void echo_received(struct ring_op *op, const struct ring_answer *answer)
{
	struct echo_server *s = GW_CONTAINER_OF(op, struct echo_server, recv);

	if (answer->res <= 0) {
		assert_int_equal(answer->res, 0);
		ring_close(s->ring, s->file);
		s->file = -1;
		return;
	}
	s->buf = answer->buf;
	ring_send(s->ring, &s->send, s->file, ring_buf_data(s->buf), s->buf->len);
}

static void echo_sent(struct ring_op *op, const struct ring_answer *answer)
{
	struct echo_server *s = GW_CONTAINER_OF(op, struct echo_server, send);

	assert_int_equal(answer->res, s->buf->len);
	ring_buf_give(s->ring, s->buf);
	ring_recv(s->ring, &s->recv, s->file, true);
}

static void echo_accepted(struct ring_op *op, const struct ring_answer *answer)
{
	struct echo_world *w = GW_CONTAINER_OF(op, struct echo_world, accept);
	struct echo_server *s;

	if (!answer->more)
		return;
	assert_true(w->n_servers < ECHO_CLIENTS);
	s = &w->servers[w->n_servers++];
	s->ring = w->ring;
	s->file = answer->res;
	ring_op_init(&s->recv, echo_received);
	ring_op_init(&s->send, echo_sent);
	ring_recv(s->ring, &s->recv, s->file, false);
}

static void echo_round(struct echo_world *w, const int *fds, int round)
{
	char sent[64], got[64];
	int n_back = 0, len = 0;

	for (int i = 0; i < ECHO_CLIENTS; i++) {
		len = snprintf(sent, sizeof(sent), "client %02d round %04d", i, round);
		rt_put(fds[i], sent, (size_t)len);
	}
	for (int i = 0; i < ECHO_CLIENTS; i++) {
		RT_UNTIL(w->ring, recv(fds[i], got, sizeof(got), MSG_DONTWAIT) == len);
		snprintf(sent, sizeof(sent), "client %02d round %04d", i, round);
		assert_memory_equal(got, sent, (size_t)len);
		n_back++;
	}
	assert_int_equal(n_back, ECHO_CLIENTS);
}

static void echo_over_tcp(void **state)
{
	static struct echo_world w;
	static const struct ring_options options[] = {
		{ .files_max = 64, .bufs_max = 64, .bufs_posted = 16, .registered = true },
		{ .files_max = 64, .bufs_max = 64, .bufs_posted = 16 },
		{ .files_max = 64,
		  .bufs_max = 8,
		  .bufs_posted = 4,
		  .turn_answers = 3,
		  .feature_mask = ~0u,
		  .registered = true },
	};
	int fds[ECHO_CLIENTS];
	struct ring_addr addr;
	int32_t listener;

	(void)state;
	for (size_t o = 0; o < ARRAY_SIZE(options); o++) {
		w = (struct echo_world){ .ring = rt_open(&options[o]) };
		listener = rt_listen(w.ring, &addr);
		ring_op_init(&w.accept, echo_accepted);
		ring_accept(w.ring, &w.accept, listener);
		for (int i = 0; i < ECHO_CLIENTS; i++) {
			fds[i] = rt_dial(&addr);
			RT_UNTIL(w.ring, w.n_servers == (uint32_t)i + 1);
		}
		for (int round = 0; round < ECHO_ROUNDS; round++)
			echo_round(&w, fds, round);
		for (int i = 0; i < ECHO_CLIENTS; i++)
			close(fds[i]);
		RT_UNTIL(w.ring, w.ring->n_files == 1);
		ring_close(w.ring, listener);
		RT_UNTIL(w.ring, !w.accept.armed);
		assert_int_equal(ring_stats(w.ring)->stale_answers, 0);
		rt_end(w.ring);
	}
}

/* No kernel should send one; if one does, the answer reaches nobody and its buffer is kept. */
static void stale_answers_are_counted(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op recv;
	struct io_uring_cqe cqe = { .res = 5 };
	uint32_t slot, generation, n_free, id;
	int fd;
	int32_t file = rt_pair(ring, &fd);

	(void)state;
	rt_op_init(&recv);
	ring_recv(ring, &recv.op, file, false);
	slot = recv.op.slot;
	generation = ring->slots[slot].generation;
	rt_put(fd, "x", 1);
	RT_UNTIL(ring, recv.n_answers == 1);
	ring_buf_give(ring, recv.last.buf);
	ring_buf_refill(ring);

	n_free = ring->n_bufs_free;
	id = 15; /* Posted, and not taken by the kernel. */
	cqe.user_data = ring_user_data(KIND_RECV, slot, generation);
	cqe.flags = IORING_CQE_F_BUFFER | id << IORING_CQE_BUFFER_SHIFT;
	ring_complete(ring, &cqe);
	assert_int_equal(recv.n_answers, 1);
	assert_int_equal(ring_stats(ring)->stale_answers, 1);
	assert_int_equal(ring->n_bufs_free, n_free + 1);

	/* The same when another operation has the slot by now. */
	ring_recv(ring, &recv.op, file, false);
	assert_int_equal(recv.op.slot, slot);
	cqe.flags = 0;
	ring_complete(ring, &cqe);
	assert_int_equal(ring_stats(ring)->stale_answers, 2);
	assert_int_equal(recv.n_answers, 1);
	ring_cancel(ring, &recv.op);
	RT_UNTIL(ring, recv.n_final == 2);
	assert_int_equal(recv.last.res, -ECANCELED);

	cqe.user_data = ring_user_data(KIND_ACCEPT, slot, generation);
	cqe.flags = 0;
	cqe.res = fd;
	ring_complete(ring, &cqe);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* It was closed. */
	ring_close(ring, file);
	rt_end(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_table_ends_accepting),
		cmocka_unit_test(no_descriptor_ends_accepting),
		cmocka_unit_test(echo_over_tcp),
		cmocka_unit_test(stale_answers_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
