/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accept.c - what a registered file costs a connection that lives for n
 * requests: never registered, by a FILES_UPDATE entry, by a register call, or
 * lazily after the second request.
 *
 * The client is a child on the other CPU: connect, n times a request and its
 * response, close. The server accepts by multishot, answers by the ring and
 * closes: slot first where there is one, then the descriptor.
 *
 * Prints CPU time of the server per connection.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf/net.h"
#include "perf/uring.h"

enum {
	N_SLOTS = 4096,
	N_CLIENTS = 32,
	GROUP = 0,
	N_BUFS = 256,
	BUF_SIZE = 4096,
	MESSAGE_LEN = 200,
	LAZY_AFTER = 2,
	WARM_MS = 200,
};

enum file_way { FILE_NONE, FILE_SQE, FILE_CALL, FILE_LAZY, FILE_N_WAYS };

static const char *const way_names[FILE_N_WAYS] = { "none", "sqe", "call", "lazy" };

enum kind { KIND_ACCEPT, KIND_RECV, KIND_SEND, KIND_UPDATE, KIND_CLOSE };

struct conn {
	int fd;
	uint32_t n_requests;
	bool is_registered;
};

static enum file_way way;
static uint32_t n_per_conn = 1;
static uint32_t run_ms = 800;
static struct io_uring ring;
static struct io_uring_buf_ring *buf_ring;
static char bufs[N_BUFS][BUF_SIZE];
static struct conn conns[N_SLOTS]; /* Index: the descriptor, which is the slot too. */
static uint64_t n_conns;
static uint64_t n_requests;

/* At the end, since the prepare functions clear user_data. */
static void seal(struct io_uring_sqe *sqe, enum kind kind, uint32_t slot, uint16_t bid,
		 unsigned int flags)
{
	sqe->user_data = (uint64_t)kind << 56 | (uint64_t)slot << 16 | bid;
	sqe->flags |= (uint8_t)(flags | (conns[slot].is_registered ? IOSQE_FIXED_FILE : 0));
}

static void recycle(uint16_t bid)
{
	io_uring_buf_ring_add(buf_ring, bufs[bid], BUF_SIZE, bid, io_uring_buf_ring_mask(N_BUFS),
			      0);
	io_uring_buf_ring_advance(buf_ring, 1);
}

static void register_file(uint32_t slot)
{
	struct io_uring_sqe *sqe;
	int r;

	if (way == FILE_CALL) {
		r = io_uring_register_files_update(&ring, slot, &conns[slot].fd, 1);
		if (r < 0)
			net_die("register_files_update", -r);
	} else {
		sqe = uring_entry(&ring);
		io_uring_prep_files_update(sqe, &conns[slot].fd, 1, (int)slot);
		seal(sqe, KIND_UPDATE, slot, 0, IOSQE_CQE_SKIP_SUCCESS);
	}
	conns[slot].is_registered = true;
}

static void arm_recv(uint32_t slot)
{
	struct io_uring_sqe *sqe = uring_entry(&ring);

	io_uring_prep_recv(sqe, (int)slot, NULL, BUF_SIZE, 0);
	sqe->buf_group = GROUP;
	sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	seal(sqe, KIND_RECV, slot, 0, IOSQE_BUFFER_SELECT);
}

static void on_accept(const struct io_uring_cqe *cqe)
{
	uint32_t slot = (uint32_t)cqe->res;

	if (cqe->res < 0)
		net_die("accept", -cqe->res);
	if (slot >= N_SLOTS || !(cqe->flags & IORING_CQE_F_MORE))
		net_die("accept ended, or a descriptor beyond the table", 0);
	conns[slot] = (struct conn){ .fd = cqe->res };
	if (way == FILE_SQE || way == FILE_CALL)
		register_file(slot);
	arm_recv(slot);
}

static void on_end(uint32_t slot)
{
	struct conn *c = &conns[slot];
	struct io_uring_sqe *sqe;

	if (c->is_registered) {
		sqe = uring_entry(&ring);
		io_uring_prep_close_direct(sqe, slot);
		c->is_registered = false;
		seal(sqe, KIND_CLOSE, slot, 0, IOSQE_CQE_SKIP_SUCCESS);
	}
	sqe = uring_entry(&ring);
	io_uring_prep_close(sqe, c->fd);
	seal(sqe, KIND_CLOSE, slot, 0, IOSQE_CQE_SKIP_SUCCESS);
	n_conns++;
}

static void on_recv(uint32_t slot, const struct io_uring_cqe *cqe)
{
	uint16_t bid = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
	struct io_uring_sqe *sqe;

	if (cqe->flags & IORING_CQE_F_BUFFER && cqe->res <= 0)
		recycle(bid);
	if (cqe->res < 0 && cqe->res != -ECONNRESET)
		net_die("receive", -cqe->res);
	if (cqe->res <= 0) {
		on_end(slot);
		return;
	}
	n_requests++;
	conns[slot].n_requests++;
	if (way == FILE_LAZY && conns[slot].n_requests == LAZY_AFTER)
		register_file(slot);
	sqe = uring_entry(&ring);
	io_uring_prep_send(sqe, (int)slot, bufs[bid], (size_t)cqe->res, MSG_WAITALL);
	seal(sqe, KIND_SEND, slot, bid, 0);
	arm_recv(slot);
}

static void on_cqe(const struct io_uring_cqe *cqe)
{
	uint32_t slot = (uint32_t)(cqe->user_data >> 16);

	switch ((enum kind)(cqe->user_data >> 56)) {
	case KIND_ACCEPT:
		on_accept(cqe);
		break;
	case KIND_RECV:
		on_recv(slot, cqe);
		break;
	case KIND_SEND:
		recycle((uint16_t)cqe->user_data);
		break;
	case KIND_UPDATE:
	case KIND_CLOSE:
		net_die("files_update or close", -cqe->res); /* Success is skipped. */
	}
}

static void create(int listener)
{
	struct io_uring_sqe *sqe;
	int r;

	uring_create(&ring, 1024, 4096);
	r = way == FILE_NONE ? 0 : io_uring_register_files_sparse(&ring, N_SLOTS);
	if (r < 0)
		net_die("register_files", -r);
	buf_ring = uring_bufs(&ring, N_BUFS, GROUP);
	for (uint32_t b = 0; b < N_BUFS; b++)
		recycle((uint16_t)b);
	sqe = uring_entry(&ring);
	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	sqe->user_data = (uint64_t)KIND_ACCEPT << 56;
}

static void exchange(const int *fds)
{
	char message[MESSAGE_LEN] = "";

	for (int i = 0; i < N_CLIENTS; i++) {
		if (send(fds[i], message, sizeof(message), MSG_NOSIGNAL) < 0)
			_exit(0);
	}
	for (int i = 0; i < N_CLIENTS; i++) {
		if (recv(fds[i], message, sizeof(message), MSG_WAITALL) != sizeof(message))
			_exit(0);
	}
}

/* Ends by a reset: thousands of connections a second would fill TIME_WAIT. */
static void abandon(int fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static _Noreturn void clients(uint16_t port)
{
	int fds[N_CLIENTS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	net_pin(1);
	for (;;) {
		for (int i = 0; i < N_CLIENTS; i++)
			fds[i] = net_connect(port);
		for (uint32_t k = 0; k < n_per_conn; k++)
			exchange(fds);
		for (int i = 0; i < N_CLIENTS; i++)
			abandon(fds[i]);
	}
}

static void run_for(uint32_t ms)
{
	uint64_t end_ns = net_now_ns() + (uint64_t)ms * 1000000u;

	while (net_now_ns() < end_ns)
		uring_turn(&ring, on_cqe);
}

static void parse(int argc, char **argv)
{
	int c, i;

	while ((c = getopt(argc, argv, "f:n:t:")) != -1) {
		switch (c) {
		case 'f':
			for (i = 0; i < FILE_N_WAYS && strcmp(optarg, way_names[i]) != 0; i++)
				;
			if (i == FILE_N_WAYS)
				net_die("-f: none, sqe, call or lazy", 0);
			way = (enum file_way)i;
			break;
		case 'n':
			n_per_conn = (uint32_t)net_number("-n", optarg, 1, 100000);
			break;
		case 't':
			run_ms = (uint32_t)net_number("-t", optarg, 10, 10000);
			break;
		default:
			(void)fprintf(stderr,
				      "usage: %s [-f none|sqe|call|lazy] [-n requests] "
				      "[-t run ms]\n",
				      argv[0]);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	uint64_t cpu_ns, conns_before, requests_before;
	int listener;
	pid_t child;

	parse(argc, argv);
	net_raise_files();
	net_pin(0);
	listener = net_listen(0);
	child = fork();
	if (child < 0)
		net_die("fork", errno);
	if (!child)
		clients(net_port(listener));
	create(listener);
	run_for(WARM_MS);
	cpu_ns = net_cpu_ns();
	conns_before = n_conns;
	requests_before = n_requests;
	run_for(run_ms);
	cpu_ns = net_cpu_ns() - cpu_ns;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	if (n_conns == conns_before)
		net_die("no connection was completed", 0);
	printf("files=%s cpu_ns=%.0f requests=%.2f\n", way_names[way],
	       (double)cpu_ns / (double)(n_conns - conns_before),
	       (double)(n_requests - requests_before) / (double)(n_conns - conns_before));
	return 0;
}
