/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor.c - the least that a proxy can cost here: bytes passed on unread, one
 * connection to the origin for each client.
 *
 *	floor copy PORT ORIGIN_PORT      RECV into a provided buffer, SEND
 *	floor splice PORT ORIGIN_PORT    POLL_ADD, then splice(2) through a pipe
 *
 * One thread, one ring, flags and buffers as the product has them. SIGTERM
 * ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perf/net.h"
#include "perf/uring.h"

enum {
	GROUP = 0,
	N_SQ = 1024,
	N_CQ = 16384,
	N_BUFS = 256,
	BUF_SIZE = 16384,
	PIPE_SIZE = 256 * 1024,
	MAX_ROUNDS = 4,
	MAX_PIPES = 512,
	MAX_PAIRS = 9500,
	NO_BUF = UINT16_MAX,
	NO_PIPE = -1,
};

enum kind { KIND_ACCEPT, KIND_CONNECT, KIND_RECV, KIND_SEND, KIND_IN, KIND_OUT };

struct pipe {
	int in, out;
};

/* Side 2i is a client, 2i + 1 its connection to the origin. */
struct side {
	int fd;
	uint32_t n_armed; /* Operations of the kernel on this side. */
	bool has_ended;   /* It will send nothing more. */
	bool is_sending;  /* Bytes from here are on their way to the peer. */
	uint16_t queued;  /* One more buffer from here, waiting for that. */
	uint32_t queued_len;
	struct pipe pipe;
	uint32_t in_pipe;
};

static struct io_uring ring;
static struct io_uring_buf_ring *buf_ring;
static char bufs[N_BUFS][BUF_SIZE];
static struct side sides[2 * MAX_PAIRS];
static uint32_t free_pairs[MAX_PAIRS], n_free;
static uint32_t parked[2 * MAX_PAIRS], n_parked;
static struct pipe pipes[MAX_PIPES];
static uint32_t n_pipes;
static struct sockaddr_in origin;
static bool by_splice;
static volatile sig_atomic_t stopping;

static void arm(struct io_uring_sqe *sqe, enum kind kind, uint32_t s, uint16_t bid)
{
	sqe->user_data = (uint64_t)kind << 56 | (uint64_t)s << 16 | bid;
	if (kind != KIND_ACCEPT)
		sides[s].n_armed++;
}

static void arm_recv(uint32_t s)
{
	struct io_uring_sqe *sqe = uring_entry(&ring);

	io_uring_prep_recv(sqe, sides[s].fd, NULL, BUF_SIZE, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	sqe->buf_group = GROUP;
	arm(sqe, KIND_RECV, s, 0);
}

/* KIND_IN: 's' may be read. KIND_OUT: the peer of 's' may be written. */
static void arm_poll(uint32_t s, enum kind kind)
{
	struct io_uring_sqe *sqe = uring_entry(&ring);

	if (kind == KIND_IN)
		io_uring_prep_poll_add(sqe, sides[s].fd, POLLIN | POLLRDHUP);
	else
		io_uring_prep_poll_add(sqe, sides[s ^ 1].fd, POLLOUT);
	arm(sqe, kind, s, 0);
}

static void arm_input(uint32_t s)
{
	if (by_splice)
		arm_poll(s, KIND_IN);
	else
		arm_recv(s);
}

static void recycle(uint16_t bid)
{
	if (bid == NO_BUF)
		return;
	io_uring_buf_ring_add(buf_ring, bufs[bid], BUF_SIZE, bid, io_uring_buf_ring_mask(N_BUFS),
			      0);
	io_uring_buf_ring_advance(buf_ring, 1);
	if (n_parked)
		arm_recv(parked[--n_parked]);
}

/* Wakes whatever is armed on the pair; the last answer closes it. */
static void abandon(uint32_t s)
{
	shutdown(sides[s].fd, SHUT_RDWR);
	shutdown(sides[s ^ 1].fd, SHUT_RDWR);
	sides[s].has_ended = true;
	sides[s ^ 1].has_ended = true;
}

static void drop_pipe(struct side *side)
{
	if (side->pipe.in == NO_PIPE)
		return;
	if (side->in_pipe || n_pipes == MAX_PIPES) {
		close(side->pipe.in);
		close(side->pipe.out);
	} else {
		pipes[n_pipes++] = side->pipe;
	}
	side->pipe.in = NO_PIPE;
	side->in_pipe = 0;
}

static bool is_parked(uint32_t s)
{
	for (uint32_t i = 0; i < n_parked; i++) {
		if (parked[i] == s)
			return true;
	}
	return false;
}

static void close_if_done(uint32_t s)
{
	uint32_t first = s & ~1u;

	for (uint32_t k = first; k < first + 2; k++) {
		struct side *side = &sides[k];

		if (!side->has_ended || side->n_armed || is_parked(k))
			return;
	}
	for (uint32_t k = first; k < first + 2; k++) {
		recycle(sides[k].queued);
		drop_pipe(&sides[k]);
		close(sides[k].fd);
	}
	free_pairs[n_free++] = first / 2;
}

/* Bytes that are still on their way go out before the end does: see on_send(). */
static void end_of(uint32_t s)
{
	sides[s].has_ended = true;
	if (!sides[s].is_sending)
		shutdown(sides[s ^ 1].fd, SHUT_WR);
}

static void send_on(uint32_t s, uint16_t bid, uint32_t len)
{
	struct io_uring_sqe *sqe = uring_entry(&ring);

	sides[s].is_sending = true;
	io_uring_prep_send(sqe, sides[s ^ 1].fd, bufs[bid], len, MSG_WAITALL);
	arm(sqe, KIND_SEND, s, bid);
}

static void on_recv(uint32_t s, const struct io_uring_cqe *cqe)
{
	uint16_t bid = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
	struct side *side = &sides[s];

	if (cqe->res == -ENOBUFS && !side->has_ended) {
		parked[n_parked++] = s;
		return;
	}
	if (cqe->res <= 0 || side->has_ended) {
		if (cqe->flags & IORING_CQE_F_BUFFER)
			recycle(bid);
		if (cqe->res < 0)
			abandon(s);
		else
			end_of(s);
		return;
	}
	if (side->is_sending) {
		side->queued = bid;
		side->queued_len = (uint32_t)cqe->res;
		return;
	}
	send_on(s, bid, (uint32_t)cqe->res);
	arm_recv(s);
}

static void on_send(uint32_t s, const struct io_uring_cqe *cqe)
{
	struct side *side = &sides[s];
	uint16_t queued = side->queued;

	recycle((uint16_t)cqe->user_data);
	side->is_sending = false;
	if (cqe->res <= 0) {
		abandon(s);
		return;
	}
	side->queued = NO_BUF;
	if (side->has_ended) {
		recycle(queued);
		end_of(s);
		return;
	}
	if (queued == NO_BUF)
		return;
	send_on(s, queued, side->queued_len);
	arm_recv(s);
}

static void take_pipe(struct side *side)
{
	int fds[2];

	if (side->pipe.in != NO_PIPE)
		return;
	if (n_pipes) {
		side->pipe = pipes[--n_pipes];
		return;
	}
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
		net_die("pipe2", errno);
	(void)fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE); /* Works at any size. */
	side->pipe = (struct pipe){ .in = fds[1], .out = fds[0] };
}

/* False: the pipe could not be emptied and something else goes on with it. */
static bool drain_pipe(uint32_t s)
{
	struct side *side = &sides[s];

	while (side->in_pipe) {
		ssize_t n = splice(side->pipe.out, NULL, sides[s ^ 1].fd, NULL, side->in_pipe,
				   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n < 0 && errno == EAGAIN) {
			arm_poll(s, KIND_OUT);
			return false;
		}
		if (n <= 0) {
			abandon(s);
			return false;
		}
		side->in_pipe -= (uint32_t)n;
	}
	return true;
}

/* A first splice that brings less than the pipe holds has emptied the socket. */
static void move(uint32_t s)
{
	struct side *side = &sides[s];

	take_pipe(side);
	for (int i = 0; i < MAX_ROUNDS; i++) {
		ssize_t n;

		if (!drain_pipe(s))
			return;
		n = splice(side->fd, NULL, side->pipe.in, NULL, PIPE_SIZE,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			if (n < 0)
				abandon(s);
			else
				end_of(s);
			return;
		}
		side->in_pipe = (uint32_t)n;
		if (!drain_pipe(s))
			return;
		if (n < PIPE_SIZE / 4)
			break;
	}
	drop_pipe(side);
	arm_poll(s, KIND_IN);
}

static void on_accept(const struct io_uring_cqe *cqe)
{
	struct io_uring_sqe *sqe;
	uint32_t s;
	int fd;

	if (cqe->res < 0 || !(cqe->flags & IORING_CQE_F_MORE))
		net_die("accept", cqe->res < 0 ? -cqe->res : 0);
	if (!n_free) {
		close(cqe->res);
		return;
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		net_die("socket", errno);
	net_nodelay(fd);
	s = 2 * free_pairs[--n_free];
	sides[s] = (struct side){ .fd = cqe->res, .queued = NO_BUF, .pipe.in = NO_PIPE };
	sides[s + 1] = (struct side){ .fd = fd, .queued = NO_BUF, .pipe.in = NO_PIPE };
	sqe = uring_entry(&ring);
	io_uring_prep_connect(sqe, fd, (const struct sockaddr *)&origin, sizeof(origin));
	arm(sqe, KIND_CONNECT, s + 1, 0);
}

static void on_connect(uint32_t s, const struct io_uring_cqe *cqe)
{
	if (cqe->res < 0) {
		abandon(s);
		return;
	}
	arm_input(s);
	arm_input(s ^ 1);
}

static void on_cqe(const struct io_uring_cqe *cqe)
{
	enum kind kind = (enum kind)(cqe->user_data >> 56);
	uint32_t s = (uint32_t)(cqe->user_data >> 16);

	if (kind == KIND_ACCEPT) {
		on_accept(cqe);
		return;
	}
	sides[s].n_armed--;
	switch (kind) {
	case KIND_CONNECT:
		on_connect(s, cqe);
		break;
	case KIND_RECV:
		on_recv(s, cqe);
		break;
	case KIND_SEND:
		on_send(s, cqe);
		break;
	case KIND_IN:
	case KIND_OUT:
		if (!sides[s].has_ended)
			move(s);
		break;
	case KIND_ACCEPT:
		break;
	}
	close_if_done(s);
}

static void create(int listener)
{
	struct io_uring_sqe *sqe;

	uring_create(&ring, N_SQ, N_CQ);
	buf_ring = uring_bufs(&ring, N_BUFS, GROUP);
	for (uint32_t b = 0; b < N_BUFS; b++)
		recycle((uint16_t)b);
	for (uint32_t i = 0; i < MAX_PAIRS; i++)
		free_pairs[n_free++] = MAX_PAIRS - 1 - i;
	sqe = uring_entry(&ring);
	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	arm(sqe, KIND_ACCEPT, 0, 0);
}

static void on_signal(int number)
{
	(void)number;
	stopping = 1;
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = on_signal };

	if (argc != 4 || (strcmp(argv[1], "copy") != 0 && strcmp(argv[1], "splice") != 0)) {
		(void)fprintf(stderr, "usage: %s copy|splice PORT ORIGIN_PORT\n", argv[0]);
		return 2;
	}
	by_splice = !strcmp(argv[1], "splice");
	origin = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)net_number("ORIGIN_PORT", argv[3], 1, 65535)),
	};
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	net_raise_files();
	create(net_listen((uint16_t)net_number("PORT", argv[2], 1, 65535)));
	while (!stopping)
		uring_turn(&ring, on_cqe);
	return 0;
}
