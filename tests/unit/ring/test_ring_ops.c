/* SPDX-License-Identifier: Apache-2.0 */
/* Operations against the real kernel: each gets its answers, and exactly one final one. */
#include "tests/unit/ring/ring_test.h"

#include "ring/ring_ops.c"

static void a_receive_lends_a_buffer(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op recv;
	int fd;
	int32_t file = rt_pair(ring, &fd);

	(void)state;
	rt_op_init(&recv);
	for (int i = 0; i < 10; i++) {
		ring_recv(ring, &recv.op, file, i & 1);
		rt_settle(ring);
		assert_int_equal(recv.n_answers, i);
		rt_put(fd, "hello", 5);
		RT_UNTIL(ring, recv.n_answers == (uint32_t)i + 1);
		assert_int_equal(recv.last.res, 5);
		assert_int_equal(recv.last.buf->start, RING_BUF_ROOM);
		assert_int_equal(recv.last.buf->len, 5);
		assert_memory_equal(ring_buf_data(recv.last.buf), "hello", 5);
		ring_buf_give(ring, recv.last.buf);
	}
	close(fd);
	ring_recv(ring, &recv.op, file, true);
	RT_UNTIL(ring, recv.n_answers == 11);
	assert_int_equal(recv.last.res, 0);
	assert_null(recv.last.buf);
	ring_close(ring, file);
	rt_end(ring);
}

static void a_receive_tells_that_more_waits(void **state)
{
	static char much[2 * RING_BUF_DATA];
	struct ring *ring = rt_ring();
	struct rt_op recv;
	struct ring_addr addr;
	int32_t listener = rt_listen(ring, &addr), file;
	struct rt_op accept;
	int fd;

	(void)state;
	rt_op_init(&accept);
	rt_op_init(&recv);
	ring_accept(ring, &accept.op, listener);
	fd = rt_dial(&addr);
	RT_UNTIL(ring, accept.n_answers == 1);
	file = accept.last.res;
	rt_put(fd, much, sizeof(much));
	for (int i = 0; i < 2; i++) {
		ring_recv(ring, &recv.op, file, true);
		RT_UNTIL(ring, recv.n_answers == (uint32_t)i + 1);
		assert_int_equal(recv.last.res, RING_BUF_DATA);
		assert_int_equal(recv.last.nonempty, i == 0);
		assert_int_equal(ring_buf_tailroom(recv.last.buf), RING_BUF_TAIL);
		ring_buf_give(ring, recv.last.buf);
	}
	ring_close(ring, file);
	ring_close(ring, listener);
	close(fd);
	RT_UNTIL(ring, accept.n_final == 1);
	rt_end(ring);
}

/* --- Sending ------------------------------------------------------------------------------ */

static size_t drain(int fd)
{
	static char sink[65536];
	size_t sum = 0;
	ssize_t n;

	while ((n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT)) > 0)
		sum += (size_t)n;
	return sum;
}

static void a_send_is_answered_when_all_is_taken(void **state)
{
	enum { SIZE = 8 << 20 };
	struct ring *ring = rt_ring();
	uint8_t *data = calloc(1, SIZE);
	struct rt_op send;
	size_t got = 0;
	int fd;
	int32_t file = rt_pair(ring, &fd);

	(void)state;
	rt_op_init(&send);
	ring_send(ring, &send.op, file, data, SIZE);
	rt_settle(ring);
	assert_int_equal(send.n_answers, 0);
	RT_UNTIL(ring, (got += drain(fd)) && send.n_answers == 1);
	assert_int_equal(send.last.res, SIZE);
	assert_int_equal(got + drain(fd), SIZE);
	close(fd);
	ring_send(ring, &send.op, file, data, 1);
	RT_UNTIL(ring, send.n_answers == 2);
	assert_int_equal(send.last.res, -EPIPE);
	ring_close(ring, file);
	free(data);
	rt_end(ring);
}

static void a_cancelled_send_tells_how_far_it_came(void **state)
{
	enum { SIZE = 8 << 20 };
	struct ring *ring = rt_ring();
	uint8_t *data = calloc(1, SIZE);
	struct rt_op send;
	int fd;
	int32_t file = rt_pair(ring, &fd);

	(void)state;
	rt_op_init(&send);
	ring_send(ring, &send.op, file, data, SIZE);
	rt_settle(ring);
	ring_cancel(ring, &send.op);
	assert_true(send.op.stopping);
	RT_UNTIL(ring, send.n_answers == 1);
	assert_true(send.last.res > 0 && send.last.res < SIZE);
	assert_int_equal(drain(fd), send.last.res);

	/* Nothing taken at all: the buffer of the kernel is full again. */
	while (ring_send_now(ring, file, data, SIZE) > 0)
		;
	assert_int_equal(ring_send_now(ring, file, data, SIZE), -EAGAIN);
	ring_send(ring, &send.op, file, data, SIZE);
	rt_settle(ring);
	ring_cancel(ring, &send.op);
	RT_UNTIL(ring, send.n_answers == 2);
	assert_int_equal(send.last.res, -ECANCELED);
	ring_close(ring, file);
	close(fd);
	free(data);
	rt_end(ring);
}

/* --- Cancelling --------------------------------------------------------------------------- */

static void a_cancelled_receive_is_answered_once(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op recv;
	int fd;
	int32_t file = rt_pair(ring, &fd);

	(void)state;
	rt_op_init(&recv);
	ring_cancel(ring, &recv.op); /* Not armed: no effect. */
	for (int i = 0; i < 6; i++) {
		ring_recv(ring, &recv.op, file, i & 1);
		if (i & 2)
			rt_settle(ring); /* Otherwise still in the submission queue. */
		ring_cancel(ring, &recv.op);
		ring_cancel(ring, &recv.op);
		assert_true(recv.op.armed);
		RT_UNTIL(ring, recv.n_answers == (uint32_t)i + 1);
		assert_int_equal(recv.last.res, -ECANCELED);
		assert_false(recv.op.armed || recv.op.stopping);
		rt_settle(ring);
	}
	assert_int_equal(recv.n_final, 6);
	ring_close(ring, file);
	close(fd);
	rt_end(ring);
}

/* Whichever comes first, the data or the cancel: one answer, and no byte is lost. */
static void a_cancel_may_lose_against_data(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op recv;
	uint32_t n_got = 0;
	int fd;
	int32_t file = rt_pair(ring, &fd);

	(void)state;
	rt_op_init(&recv);
	for (uint32_t i = 0; i < 200; i++) {
		ring_recv(ring, &recv.op, file, i & 1);
		if (i & 2)
			rt_settle(ring);
		rt_put(fd, "x", 1);
		if (i & 4)
			assert_int_equal(ring_turn(ring, 0), 0);
		ring_cancel(ring, &recv.op);
		RT_UNTIL(ring, recv.n_final == i + 1);
		if (recv.last.res > 0) {
			n_got += (uint32_t)recv.last.res;
			ring_buf_give(ring, recv.last.buf);
		} else {
			assert_int_equal(recv.last.res, -ECANCELED);
		}
	}
	assert_true(n_got > 0);
	assert_int_equal(n_got + drain(ring->files[file].fd), 200);
	ring_close(ring, file);
	close(fd);
	rt_end(ring);
}

static void a_close_ends_what_is_armed(void **state)
{
	enum { SIZE = 8 << 20 };
	struct ring *ring = rt_ring();
	uint8_t *data = calloc(1, SIZE);
	struct rt_op recv, send, poll;
	char byte;

	(void)state;
	for (int i = 0; i < 8; i++) {
		int fd;
		int32_t file = rt_pair(ring, &fd);

		rt_op_init(&recv);
		rt_op_init(&send);
		rt_op_init(&poll);
		ring->files[file].n_uses = i & 1 ? 1 : 0; /* Registered by the second, or not. */
		ring_recv(ring, &recv.op, file, i & 2);
		ring_send(ring, &send.op, file, data, SIZE);
		if (i & 4)
			rt_settle(ring);
		ring_poll(ring, &poll.op, file, RING_READABLE);
		ring_close(ring, file);
		RT_UNTIL(ring, recv.n_final + send.n_final + poll.n_final == 3);
		assert_int_equal(recv.last.res, -ECANCELED);
		assert_int_equal(poll.last.res, -ECANCELED);
		assert_true(send.last.res == -ECANCELED ||
			    (send.last.res > 0 && send.last.res < SIZE));
		RT_UNTIL(ring, ring->n_closing == 0);
		drain(fd);
		assert_int_equal(read(fd, &byte, 1), 0); /* The peer sees the end. */
		close(fd);
		assert_int_equal(ring->n_files, 0);
	}
	free(data);
	rt_end(ring);
}

/* --- Soon --------------------------------------------------------------------------------- */

struct soon_chain {
	struct ring_op op;
	struct ring *ring;
	uint32_t n_left, n_turns;
};

static void soon_again(struct ring_op *op, const struct ring_answer *answer)
{
	struct soon_chain *c = GW_CONTAINER_OF(op, struct soon_chain, op);

	assert_int_equal(answer->res, 0);
	if (--c->n_left > 0)
		ring_soon(c->ring, &c->op);
}

static void soon_is_the_next_turn(void **state)
{
	struct ring *ring = rt_ring();
	struct soon_chain chain = { .ring = ring, .n_left = 3 };
	struct rt_op stopped;

	(void)state;
	ring_op_init(&chain.op, soon_again);
	rt_op_init(&stopped);
	ring_soon(ring, &chain.op);
	ring_soon(ring, &stopped.op);
	ring_cancel(ring, &stopped.op);
	assert_int_equal(stopped.n_answers, 0);
	for (uint32_t n_left = 3; n_left > 0; n_left--) {
		assert_int_equal(chain.n_left, n_left);
		assert_int_equal(ring_turn(ring, UINT64_MAX), 0); /* Does not sleep. */
	}
	assert_int_equal(chain.n_left, 0);
	assert_int_equal(stopped.n_answers, 1);
	assert_int_equal(stopped.last.res, -ECANCELED);
	rt_end(ring);
}

/* --- Polls -------------------------------------------------------------------------------- */

static void a_poll_answers_when_ready(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op readable, writable;
	char byte;
	int fd;
	int32_t file = rt_pair(ring, &fd);

	(void)state;
	rt_op_init(&readable);
	rt_op_init(&writable);
	ring_poll(ring, &readable.op, file, RING_READABLE);
	ring_poll(ring, &writable.op, file, RING_WRITABLE);
	RT_UNTIL(ring, writable.n_answers == 1);
	assert_true(writable.last.res >= 0);
	assert_int_equal(readable.n_answers, 0);
	rt_put(fd, "x", 1);
	RT_UNTIL(ring, readable.n_answers == 1);
	assert_int_equal(read(ring->files[file].fd, &byte, 1), 1);
	ring_poll(ring, &readable.op, file, RING_READABLE);
	rt_settle(ring);
	assert_int_equal(readable.n_answers, 1);
	close(fd);
	RT_UNTIL(ring, readable.n_answers == 2);
	assert_true(readable.last.res >= 0);
	ring_close(ring, file);
	rt_end(ring);
}

/* --- Connecting and accepting ------------------------------------------------------------- */

static void connections_are_made_and_refused(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op accept, connect;
	struct ring_addr addr, name;
	int32_t listener = rt_listen(ring, &addr), file;

	(void)state;
	rt_op_init(&accept);
	rt_op_init(&connect);
	ring_accept(ring, &accept.op, listener);
	assert_int_equal(ring_socket(ring, AF_INET, &file), 0);
	ring_connect(ring, &connect.op, file, &addr);
	RT_UNTIL(ring, connect.n_final == 1 && accept.n_answers == 1);
	assert_int_equal(connect.last.res, 0);
	assert_true(accept.last.more);
	assert_int_equal(ring_peer_addr(ring, file, &name), 0);
	assert_true(ring_addr_eq(&name, &addr));
	assert_true(fcntl(ring->files[accept.last.res].fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(ring->files[accept.last.res].fd, F_GETFD) & FD_CLOEXEC);
	ring_close(ring, accept.last.res);
	ring_close(ring, file);
	ring_close(ring, listener);
	RT_UNTIL(ring, accept.n_final == 1);
	assert_int_equal(accept.last.res, -ECANCELED);

	assert_int_equal(ring_socket(ring, AF_INET, &file), 0);
	ring_connect(ring, &connect.op, file, &addr);
	RT_UNTIL(ring, connect.n_final == 2);
	assert_int_equal(connect.last.res, -ECONNREFUSED);
	ring_close(ring, file);
	rt_end(ring);
}

/* An address of TEST-NET that nobody answers for, or that this host has no route to. */
static void a_connect_can_be_cancelled(void **state)
{
	struct ring *ring = rt_ring();
	struct ring_addr nobody = { .family = AF_INET, .port = 9, .ip = { 192, 0, 2, 1 } };
	struct rt_op connect;
	int32_t file;

	(void)state;
	rt_op_init(&connect);
	assert_int_equal(ring_socket(ring, AF_INET, &file), 0);
	ring_connect(ring, &connect.op, file, &nobody);
	assert_int_equal(ring_turn(ring, 0), 0);
	ring_cancel(ring, &connect.op);
	RT_UNTIL(ring, connect.n_final == 1);
	assert_true(connect.last.res < 0);
	ring_close(ring, file);
	rt_end(ring);
}

static void unix_connections_never_wait(void **state)
{
	struct ring *ring = rt_ring();
	struct ring_addr addr = { .family = AF_UNIX };
	struct rt_op connect;
	int32_t listener, files[3];

	(void)state;
	addr.path_len =
		(uint8_t)snprintf(addr.path, sizeof(addr.path), "/tmp/gw-test-%d.sock", getpid());
	rt_op_init(&connect);
	assert_int_equal(ring_socket(ring, AF_UNIX, &files[0]), 0);
	ring_connect(ring, &connect.op, files[0], &addr);
	RT_UNTIL(ring, connect.n_final == 1);
	assert_int_equal(connect.last.res, -ENOENT);

	assert_int_equal(
		ring_listen(ring, &addr,
			    &(struct ring_listen){ .backlog = 1, .mode = 0600, .group = -1 },
			    &listener),
		0);
	ring_connect(ring, &connect.op, files[0], &addr);
	assert_int_equal(connect.n_final, 1); /* Not from inside. */
	RT_UNTIL(ring, connect.n_final == 2);
	assert_int_equal(connect.last.res, 0);
	for (uint32_t i = 1; i < 3; i++) {
		assert_int_equal(ring_socket(ring, AF_UNIX, &files[i]), 0);
		ring_connect(ring, &connect.op, files[i], &addr);
		RT_UNTIL(ring, connect.n_final == 2 + i);
		assert_int_equal(connect.last.res, i == 1 ? 0 : -EAGAIN); /* The backlog is full. */
	}
	for (uint32_t i = 0; i < 3; i++)
		ring_close(ring, files[i]);
	ring_close(ring, listener);
	unlink(addr.path);
	rt_end(ring);
}

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

/* --- Signals and stale answers ------------------------------------------------------------ */

static void signals_are_answers(void **state)
{
	static const int wanted[] = { SIGUSR1, SIGUSR2 };
	struct ring *ring = rt_ring();
	struct rt_op signals;
	sigset_t set, old;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
	rt_op_init(&signals);
	ring_signals(ring, &signals.op, wanted, 2);
	rt_settle(ring);
	assert_int_equal(signals.n_answers, 0);
	for (int i = 0; i < 4; i++) {
		kill(getpid(), i & 1 ? SIGUSR2 : SIGUSR1);
		RT_UNTIL(ring, signals.n_answers == (uint32_t)i + 1);
		assert_int_equal(signals.last.res, i & 1 ? SIGUSR2 : SIGUSR1);
		assert_true(signals.last.more);
	}
	ring_cancel(ring, &signals.op);
	RT_UNTIL(ring, signals.n_final == 1);
	assert_int_equal(signals.last.res, -ECANCELED);
	RT_UNTIL(ring, ring->n_files == 0);
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
	rt_end(ring);
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
		cmocka_unit_test(a_receive_lends_a_buffer),
		cmocka_unit_test(a_receive_tells_that_more_waits),
		cmocka_unit_test(a_send_is_answered_when_all_is_taken),
		cmocka_unit_test(a_cancelled_send_tells_how_far_it_came),
		cmocka_unit_test(a_cancelled_receive_is_answered_once),
		cmocka_unit_test(a_cancel_may_lose_against_data),
		cmocka_unit_test(a_close_ends_what_is_armed),
		cmocka_unit_test(soon_is_the_next_turn),
		cmocka_unit_test(a_poll_answers_when_ready),
		cmocka_unit_test(connections_are_made_and_refused),
		cmocka_unit_test(a_connect_can_be_cancelled),
		cmocka_unit_test(unix_connections_never_wait),
		cmocka_unit_test(a_full_table_ends_accepting),
		cmocka_unit_test(no_descriptor_ends_accepting),
		cmocka_unit_test(echo_over_tcp),
		cmocka_unit_test(signals_are_answers),
		cmocka_unit_test(stale_answers_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
