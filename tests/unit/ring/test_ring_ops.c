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

static void a_first_receive_takes_no_more_than_asked(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op recv;
	int fd;
	int32_t file = rt_pair(ring, &fd);

	(void)state;
	rt_op_init(&recv);
	ring_recv_first(ring, &recv.op, file, 4);
	rt_settle(ring);
	assert_int_equal(recv.n_answers, 0);
	rt_put(fd, "head, body", 10);
	RT_UNTIL(ring, recv.n_answers == 1);
	assert_int_equal(recv.last.res, 4);
	ring_buf_give(ring, recv.last.buf);
	ring_recv(ring, &recv.op, file, true);
	RT_UNTIL(ring, recv.n_answers == 2);
	assert_int_equal(recv.last.res, 6);
	assert_memory_equal(ring_buf_data(recv.last.buf), ", body", 6);
	ring_buf_give(ring, recv.last.buf);
	ring_close(ring, file);
	close(fd);
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

static ssize_t send_directly(struct ring *ring, int32_t file, const void *data, size_t len)
{
	return send(ring_file_open(ring, file)->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
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
	while (send_directly(ring, file, data, SIZE) > 0)
		;
	assert_int_equal(errno, EAGAIN);
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

/* A connection to 'listener', whose 'accept' is armed: its file, and the peer's descriptor. */
static int32_t connection(struct ring *ring, const struct ring_addr *addr, struct rt_op *accept,
			  int *ret_fd)
{
	uint32_t n = accept->n_answers;

	*ret_fd = rt_dial(addr);
	RT_UNTIL(ring, accept->n_answers == n + 1);
	return accept->last.res;
}

/* What the kernel's own wait for room takes for room: the peer's end, or an urgent byte. */
static void say(int fd, bool end)
{
	if (end)
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
	else
		assert_int_equal(send(fd, "!", 1, MSG_OOB), 1);
}

static void check_that_nothing_happens(struct ring *ring)
{
	uint64_t n_cqes;

	rt_settle(ring);
	n_cqes = ring->stats.cqes;
	for (int turn = 0; turn < 20; turn++)
		assert_int_equal(ring_turn(ring, 0), 0);
	assert_int_equal(ring->stats.cqes, n_cqes);
}

/* Ended by a cancel or a close, it says how much was taken. */
static void end_stuck(struct ring *ring, struct rt_op *stuck, int32_t file, int fd, bool cancel)
{
	size_t got = 0;

	assert_int_equal(stuck->n_answers, 0);
	if (cancel)
		ring_cancel(ring, &stuck->op);
	else
		ring_close(ring, file);
	RT_UNTIL(ring, stuck->n_final == 1);
	assert_true(stuck->last.res > 0);
	if (!cancel)
		return; /* With an urgent byte unread that was a reset: who knows what arrives. */
	RT_UNTIL(ring, (got += drain(fd)) >= (size_t)stuck->last.res);
	assert_int_equal(got, stuck->last.res);
	ring_close(ring, file);
}

/* Sends to peers that take nothing wait each for itself, whatever else the peers say, and when. */
static void a_stuck_send_holds_up_no_other(void **state)
{
	enum { SIZE = 8 << 20 };
	struct ring *ring = rt_ring();
	uint8_t *data = calloc(1, SIZE);
	struct rt_op accept, sends[2];
	struct ring_addr addr;
	int32_t listener = rt_listen(ring, &addr), files[2];
	int fds[2];

	(void)state;
	rt_op_init(&accept);
	ring_accept(ring, &accept.op, listener);
	for (int way = 0; way < 8; way++) {
		bool end = way & 1, early = way & 2, cancel = way & 4;
		size_t got = 0;

		for (int i = 0; i < 2; i++) {
			files[i] = connection(ring, &addr, &accept, &fds[i]);
			rt_op_init(&sends[i]);
			if (early)
				say(fds[i], end);
			ring_send(ring, &sends[i].op, files[i], data, SIZE);
			rt_settle(ring);
			if (!early)
				say(fds[i], end);
			check_that_nothing_happens(ring);
		}
		RT_UNTIL(ring, (got += drain(fds[1])) && sends[1].n_final == 1);
		assert_int_equal(sends[1].last.res, SIZE);
		end_stuck(ring, &sends[0], files[0], fds[0], cancel);
		ring_close(ring, files[1]);
		close(fds[0]);
		close(fds[1]);
	}
	ring_close(ring, listener);
	RT_UNTIL(ring, accept.n_final == 1);
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

/* --- Order -------------------------------------------------------------------------------- */

enum { ECHOES = 3000 };

static void *echo(void *arg)
{
	char bytes[64];
	ssize_t n;

	while ((n = read(*(int *)arg, bytes, sizeof(bytes))) > 0)
		if (write(*(int *)arg, bytes, (size_t)n) != n)
			break;
	return NULL;
}

/* However fast the peer is: what it says to a send is answered behind it. */
static void an_echo_comes_behind_its_send(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op accept, send, recv;
	struct ring_addr addr;
	int32_t listener = rt_listen(ring, &addr), file;
	pthread_t thread;
	int fd;

	(void)state;
	rt_op_init(&accept);
	rt_op_init(&send);
	rt_op_init(&recv);
	ring_accept_one(ring, &accept.op, listener);
	fd = rt_dial(&addr);
	RT_UNTIL(ring, accept.n_answers == 1);
	file = accept.last.res;
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0); /* The thread waits. */
	assert_int_equal(pthread_create(&thread, NULL, echo, &fd), 0);
	for (uint32_t i = 1; i <= ECHOES; i++) {
		bool early = i & 1; /* Armed before the send, or with it. */

		if (early)
			ring_recv(ring, &recv.op, file, true);
		ring_send(ring, &send.op, file, "ping", 4);
		if (!early)
			ring_recv(ring, &recv.op, file, i & 2);
		for (int turns = 0; recv.n_final < i; turns++) {
			assert_true(turns < 100);
			assert_int_equal(ring_turn(ring, RT_PATIENCE_NS), 0);
			assert_true(send.n_final >= recv.n_final);
		}
		ring_buf_give(ring, recv.last.buf);
	}
	ring_close(ring, file);
	ring_close(ring, listener);
	RT_UNTIL(ring, accept.n_final == 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(fd);
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

struct then {
	struct ring_op op;
	struct ring *ring;
	struct rt_op *next;
	const struct rt_op *other;
};

static void arm_next(struct ring_op *op, const struct ring_answer *answer)
{
	struct then *then = GW_CONTAINER_OF(op, struct then, op);

	(void)answer;
	assert_int_equal(then->other->n_answers, 0);
	ring_next(then->ring, &then->next->op);
}

static void check_order(struct ring_op *op, const struct ring_answer *answer)
{
	struct then *then = GW_CONTAINER_OF(op, struct then, op);

	(void)answer;
	assert_int_equal(then->other->n_answers, 1);
}

/* Before the answers that wait in the same turn; without an answer under way, in the next turn. */
static void next_follows_the_answer(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op next, idle;
	struct then first = { .ring = ring, .next = &next, .other = &next };
	struct then second = { .ring = ring, .other = &next };

	(void)state;
	rt_op_init(&next);
	rt_op_init(&idle);
	ring_op_init(&first.op, arm_next);
	ring_op_init(&second.op, check_order);
	ring_soon(ring, &first.op);
	ring_soon(ring, &second.op);
	assert_int_equal(ring_turn(ring, UINT64_MAX), 0);
	assert_int_equal(next.n_answers, 1);
	ring_next(ring, &next.op);
	ring_next(ring, &idle.op);
	ring_cancel(ring, &idle.op);
	assert_int_equal(ring_turn(ring, UINT64_MAX), 0); /* Does not sleep. */
	assert_int_equal(next.n_answers, 2);
	assert_int_equal(idle.last.res, -ECANCELED);
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

/* A peer that has ended its side, and reads nothing: it is waited for, not asked again and again. */
static void a_half_closed_peer_is_waited_for(void **state)
{
	static char block[65536];
	struct ring *ring = rt_ring();
	struct rt_op writable, accept;
	struct ring_addr addr;
	int32_t listener = rt_listen(ring, &addr), file;
	uint64_t n_cqes;
	int fd = rt_dial(&addr);

	(void)state;
	rt_op_init(&writable);
	rt_op_init(&accept);
	ring_accept(ring, &accept.op, listener);
	RT_UNTIL(ring, accept.n_answers == 1);
	file = accept.last.res;
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	for (int i = 0; i < 2; i++) { /* Answered, then cancelled. */
		while (send(ring->files[file].fd, block, sizeof(block), MSG_DONTWAIT) > 0)
			;
		ring_poll(ring, &writable.op, file, RING_WRITABLE);
		rt_settle(ring);
		n_cqes = ring->stats.cqes;
		for (int turn = 0; turn < 20; turn++)
			assert_int_equal(ring_turn(ring, 0), 0);
		assert_int_equal(ring->stats.cqes, n_cqes);
		assert_int_equal(writable.n_answers, i);
		if (i == 0)
			while (writable.n_answers == 0) {
				while (recv(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
					;
				assert_int_equal(ring_turn(ring, RT_STEP_NS), 0);
			}
		else
			ring_cancel(ring, &writable.op);
		RT_UNTIL(ring, writable.n_final == (uint32_t)i + 1);
		assert_true(i ? writable.last.res == -ECANCELED : writable.last.res >= 0);
	}
	ring_close(ring, file);
	ring_close(ring, listener);
	close(fd);
	RT_UNTIL(ring, accept.n_final == 1);
	rt_end(ring);
}

/* Neither bytes nor the peer's own end; cancelled, it is answered once. */
static void a_watch_answers_the_end_of_both_sides(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op watch, accept;
	struct ring_addr addr;
	int32_t listener = rt_listen(ring, &addr);

	(void)state;
	rt_op_init(&watch);
	rt_op_init(&accept);
	ring_accept(ring, &accept.op, listener);
	for (uint32_t i = 0; i < 8; i++) {
		struct linger reset = { .l_onoff = 1 };
		int fd = rt_dial(&addr);
		int32_t file;

		RT_UNTIL(ring, accept.n_answers == i + 1);
		file = accept.last.res;
		if (i & 1) {
			rt_put(fd, "x", 1);
			assert_int_equal(shutdown(fd, SHUT_WR), 0);
		}
		ring_poll(ring, &watch.op, file, RING_BROKEN);
		rt_settle(ring);
		if (!(i & 1)) {
			rt_put(fd, "x", 1);
			rt_settle(ring);
			assert_int_equal(shutdown(fd, SHUT_WR), 0);
		}
		rt_settle(ring);
		assert_int_equal(watch.n_answers, i);
		if (i & 2)
			ring_cancel(ring, &watch.op);
		else if (i & 4)
			assert_int_equal(shutdown(ring->files[file].fd, SHUT_WR), 0);
		else
			assert_int_equal(
				setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
		if (!(i & 6))
			close(fd);
		RT_UNTIL(ring, watch.n_final == i + 1);
		assert_int_equal(watch.n_answers, i + 1);
		assert_true(i & 2 ? watch.last.res == -ECANCELED : watch.last.res >= 0);
		ring_close(ring, file);
		if (i & 6)
			close(fd);
	}
	ring_close(ring, listener);
	RT_UNTIL(ring, accept.n_final == 1);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_receive_lends_a_buffer),
		cmocka_unit_test(a_first_receive_takes_no_more_than_asked),
		cmocka_unit_test(a_receive_tells_that_more_waits),
		cmocka_unit_test(a_send_is_answered_when_all_is_taken),
		cmocka_unit_test(a_cancelled_send_tells_how_far_it_came),
		cmocka_unit_test(a_stuck_send_holds_up_no_other),
		cmocka_unit_test(a_cancelled_receive_is_answered_once),
		cmocka_unit_test(a_cancel_may_lose_against_data),
		cmocka_unit_test(a_close_ends_what_is_armed),
		cmocka_unit_test(an_echo_comes_behind_its_send),
		cmocka_unit_test(soon_is_the_next_turn),
		cmocka_unit_test(next_follows_the_answer),
		cmocka_unit_test(a_poll_answers_when_ready),
		cmocka_unit_test(a_half_closed_peer_is_waited_for),
		cmocka_unit_test(a_watch_answers_the_end_of_both_sides),
		cmocka_unit_test(connections_are_made_and_refused),
		cmocka_unit_test(a_connect_can_be_cancelled),
		cmocka_unit_test(unix_connections_never_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
