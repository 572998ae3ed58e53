/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.c - what one request and its response cost in a relay of messages, by
 * way of receiving and sending.
 *
 * Clients and origin are a child on the other CPU (load.h). A message is passed
 * on as it arrives; nothing is parsed. The order of operations is the one of
 * the product: a client's receive is armed again when its response goes out,
 * the origin's receive stays armed, as it does in a pool.
 *
 * Prints one line: CPU time, enters, completions and direct calls per request.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perf/micro/load.h"
#include "perf/net.h"
#include "perf/uring.h"

enum {
	GROUP = 0,
	N_SQ = 1024,
	N_CQ = 8192,
	N_EPOLL_EVENTS = 256,
	HEAD_LEN = 160, /* What a serialised head would take. */
	NO_BUF = UINT16_MAX,
};

enum recv_way {
	RECV_ONESHOT,    /* One RECV per message, tried at once. */
	RECV_POLL_FIRST, /* One RECV per message, poll armed first. */
	RECV_MULTISHOT,  /* One RECV for the whole connection. */
	RECV_MIXED,      /* Clients multishot, origin poll first. */
	RECV_POLL,       /* POLL_ADD per message, then recv(2). */
	RECV_POLL_MULTI, /* One POLL_ADD for the connection, then recv(2). */
	RECV_EPOLL,      /* No ring at all: epoll, recv(2). */
	RECV_N_WAYS,
};

enum send_way {
	SEND_PLAIN,         /* SEND of the received bytes. */
	SEND_VECTOR,        /* SENDMSG: a fresh head, then the rest in place. */
	SEND_COPY,          /* SEND of a fresh head with the rest copied behind it. */
	SEND_DIRECT,        /* send(2) of the received bytes. */
	SEND_DIRECT_VECTOR, /* sendmsg(2): a fresh head, then the rest in place. */
	SEND_N_WAYS,
};

static const char *const recv_names[RECV_N_WAYS] = {
	"oneshot", "pollfirst", "multishot", "mixed", "poll", "pollmulti", "epoll",
};

static const char *const send_names[SEND_N_WAYS] = {
	"send", "sendmsg", "copy", "send2", "sendmsg2",
};

enum kind { KIND_RECV, KIND_SEND, KIND_POLL };

struct side {
	int fd;
	uint16_t held; /* Buffer of a message that is on its way to the peer. */
	bool armed;
	char *out; /* A fresh head, or a whole message with SEND_COPY. */
	struct iovec iov[2];
	struct msghdr msg;
};

struct options {
	enum recv_way recv;
	enum send_way send;
	bool skip;  /* IOSQE_CQE_SKIP_SUCCESS on sends. */
	bool fixed; /* Operations name a registered slot. */
	bool eager; /* recv(2) right after a send, before anything is armed. */
	uint32_t n_posted;
	uint32_t buf_size;
	uint32_t min_wait_us;
	uint32_t min_wait_n;
	uint32_t run_ms;
	uint32_t warm_ms;
};

struct counts {
	uint64_t cpu_ns, now_ns;
	uint64_t n_requests, n_enters, n_cqes, n_direct, n_empty, n_enobufs;
	uint64_t n_load;
};

static struct options opt = {
	.recv = RECV_POLL_FIRST,
	.send = SEND_PLAIN,
	.fixed = true,
	.n_posted = 256,
	.buf_size = 16384,
	.run_ms = 800,
	.warm_ms = 200,
};

static struct load load = { .n_pairs = 64, .request_len = 120, .response_len = 280, .cpu = 1 };

static struct io_uring ring;
static struct io_uring_buf_ring *buf_ring;
static char *bufs;
static struct side *sides;
static uint32_t *parked; /* Sides that met an empty buffer ring. */
static uint32_t n_parked;
static uint64_t response_bytes;
static struct counts now;
static int epoll_fd = -1;

static uint64_t tag(enum kind kind, uint32_t s, uint16_t bid)
{
	return (uint64_t)kind << 56 | (uint64_t)s << 16 | bid;
}

static struct io_uring_sqe *sqe_for(uint32_t s)
{
	struct io_uring_sqe *sqe;

	now.n_enters += io_uring_sq_space_left(&ring) == 0;
	sqe = uring_entry(&ring);
	sqe->fd = opt.fixed ? (int)s : sides[s].fd;
	return sqe;
}

static void finish_sqe(struct io_uring_sqe *sqe, uint64_t user_data, unsigned int flags)
{
	sqe->flags |= (uint8_t)(flags | (opt.fixed ? IOSQE_FIXED_FILE : 0));
	sqe->user_data = user_data;
}

static char *buf_at(uint16_t bid)
{
	return bufs + (size_t)bid * opt.buf_size;
}

static bool is_multishot(uint32_t s)
{
	return opt.recv == RECV_MULTISHOT || (opt.recv == RECV_MIXED && !(s & 1));
}

static void arm_poll(uint32_t s)
{
	int fd = opt.fixed ? (int)s : sides[s].fd;
	struct io_uring_sqe *sqe = sqe_for(s);

	if (opt.recv == RECV_POLL_MULTI)
		io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	else
		io_uring_prep_poll_add(sqe, fd, POLLIN);
	finish_sqe(sqe, tag(KIND_POLL, s, 0), 0);
}

static void arm_recv(uint32_t s)
{
	int fd = opt.fixed ? (int)s : sides[s].fd;
	struct io_uring_sqe *sqe = sqe_for(s);

	if (is_multishot(s))
		io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	else
		io_uring_prep_recv(sqe, fd, NULL, opt.buf_size, 0);
	sqe->buf_group = GROUP;
	if (opt.recv != RECV_ONESHOT)
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	finish_sqe(sqe, tag(KIND_RECV, s, 0), IOSQE_BUFFER_SELECT);
}

static void arm(uint32_t s)
{
	if (sides[s].armed || opt.recv == RECV_EPOLL)
		return;
	sides[s].armed = true;
	if (opt.recv == RECV_POLL || opt.recv == RECV_POLL_MULTI)
		arm_poll(s);
	else
		arm_recv(s);
}

static void recycle(uint16_t bid)
{
	if (bid == NO_BUF)
		return;
	io_uring_buf_ring_add(buf_ring, buf_at(bid), opt.buf_size, bid,
			      io_uring_buf_ring_mask(opt.n_posted), 0);
	io_uring_buf_ring_advance(buf_ring, 1);
	if (n_parked)
		arm(parked[--n_parked]);
}

static void check_sent(int res, uint32_t len)
{
	if (res < 0)
		net_die("send", -res);
	if ((uint32_t)res != len)
		net_die("short send: the message is larger than the socket's buffer", 0);
}

static void make_vector(struct side *from, const char *data, uint32_t len)
{
	uint32_t head_len = len < HEAD_LEN ? len : HEAD_LEN;

	memcpy(from->out, data, head_len);
	from->iov[0] = (struct iovec){ from->out, head_len };
	from->iov[1] = (struct iovec){ (char *)(uintptr_t)data + head_len, len - head_len };
	from->msg.msg_iov = from->iov;
	from->msg.msg_iovlen = len > head_len ? 2 : 1;
}

static void send_direct(uint32_t s, const char *data, uint32_t len)
{
	ssize_t n;

	now.n_direct++;
	if (opt.send == SEND_DIRECT_VECTOR) {
		make_vector(&sides[s], data, len);
		n = sendmsg(sides[s ^ 1].fd, &sides[s].msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} else {
		n = send(sides[s ^ 1].fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	check_sent(n < 0 ? -errno : (int)n, len);
}

static void send_ring(uint32_t s, const char *data, uint32_t len, uint16_t bid)
{
	uint32_t to = s ^ 1;
	int fd = opt.fixed ? (int)to : sides[to].fd;
	struct io_uring_sqe *sqe = sqe_for(to);

	if (opt.send == SEND_VECTOR) {
		make_vector(&sides[s], data, len);
		io_uring_prep_sendmsg(sqe, fd, &sides[s].msg, MSG_WAITALL);
	} else {
		if (opt.send == SEND_COPY)
			data = memmove(sides[s].out, data, len);
		io_uring_prep_send(sqe, fd, data, len, MSG_WAITALL);
	}
	finish_sqe(sqe, tag(KIND_SEND, s, bid), opt.skip ? IOSQE_CQE_SKIP_SUCCESS : 0);
}

static bool uses_direct_send(void)
{
	return opt.send == SEND_DIRECT || opt.send == SEND_DIRECT_VECTOR;
}

/*
 * The sender of a message may reuse its buffer at once after a direct send and
 * after a copy, at the completion where there is one, and otherwise when the
 * peer answers: its answer proves that the message has arrived.
 */
static void pass_on(uint32_t s, char *data, uint32_t len, uint16_t bid)
{
	recycle(sides[s ^ 1].held);
	sides[s ^ 1].held = NO_BUF;
	if (s & 1) {
		response_bytes += len;
	}
	if (uses_direct_send()) {
		send_direct(s, data, len);
		recycle(bid);
	} else if (opt.send == SEND_COPY) {
		send_ring(s, data, len, NO_BUF);
		recycle(bid);
	} else if (opt.skip) {
		send_ring(s, data, len, bid);
		sides[s].held = bid;
	} else {
		send_ring(s, data, len, bid);
	}
	if (s & 1) {
		arm(s);
		arm(s ^ 1);
	}
}

static char *direct_buf; /* recv(2) reads here: one hot buffer for all sides. */

/* True when a message was there. */
static bool recv_direct(uint32_t s)
{
	/* A SEND that may still wait must not see its bytes change: own room. */
	char *to = uses_direct_send() ? direct_buf : sides[s].out + HEAD_LEN;
	ssize_t n = recv(sides[s].fd, to, opt.buf_size, MSG_DONTWAIT);

	now.n_direct++;
	if (n < 0 && errno == EAGAIN) {
		now.n_empty++;
		return false;
	}
	if (n <= 0)
		net_die("recv", n ? errno : ECONNRESET);
	pass_on(s, to, (uint32_t)n, NO_BUF);
	return true;
}

static void on_recv(uint32_t s, const struct io_uring_cqe *cqe)
{
	uint16_t bid = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);

	if (!(cqe->flags & IORING_CQE_F_MORE))
		sides[s].armed = false;
	if (cqe->res == -ENOBUFS) {
		now.n_enobufs++;
		parked[n_parked++] = s;
		return;
	}
	if (cqe->res <= 0)
		net_die("receive", cqe->res ? -cqe->res : ECONNRESET);
	pass_on(s, buf_at(bid), (uint32_t)cqe->res, bid);
	if (is_multishot(s))
		arm(s); /* It may just have ended. */
	if (opt.eager && (s & 1))
		recv_direct(s ^ 1);
}

static void on_poll(uint32_t s, const struct io_uring_cqe *cqe)
{
	if (cqe->res < 0)
		net_die("poll", -cqe->res);
	if (!(cqe->flags & IORING_CQE_F_MORE))
		sides[s].armed = false;
	recv_direct(s);
	if (opt.recv == RECV_POLL_MULTI)
		arm(s);
	if (opt.eager && (s & 1))
		recv_direct(s ^ 1);
}

static void on_cqe(const struct io_uring_cqe *cqe)
{
	uint32_t s = (uint32_t)(cqe->user_data >> 16) & UINT32_MAX;

	now.n_cqes++;
	switch ((enum kind)(cqe->user_data >> 56)) {
	case KIND_RECV:
		on_recv(s, cqe);
		break;
	case KIND_POLL:
		on_poll(s, cqe);
		break;
	case KIND_SEND:
		if (cqe->res <= 0)
			net_die("send", -cqe->res);
		recycle((uint16_t)cqe->user_data);
		break;
	}
}

static void turn_ring(void)
{
	struct __kernel_timespec wait = { .tv_sec = 1 };
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;
	int r;

	if (opt.min_wait_us)
		r = io_uring_submit_and_wait_min_timeout(&ring, &cqe, opt.min_wait_n, &wait,
							 opt.min_wait_us, NULL);
	else
		r = io_uring_submit_and_wait_timeout(&ring, &cqe, 1, &wait, NULL);
	if (r < 0 && r != -ETIME && r != -EINTR)
		net_die("enter", -r);
	now.n_enters++;
	io_uring_for_each_cqe(&ring, head, cqe)
	{
		on_cqe(cqe);
		n++;
	}
	io_uring_cq_advance(&ring, n);
}

static void turn_epoll(void)
{
	struct epoll_event ev[N_EPOLL_EVENTS];
	int n = epoll_wait(epoll_fd, ev, N_EPOLL_EVENTS, 1000);

	now.n_enters++;
	for (int i = 0; i < n; i++) {
		recv_direct(ev[i].data.u32);
		if (opt.eager && (ev[i].data.u32 & 1))
			recv_direct(ev[i].data.u32 ^ 1);
	}
}

static void create_epoll(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (uint32_t s = 0; s < 2 * load.n_pairs; s++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.u32 = s };

		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, sides[s].fd, &ev) < 0)
			net_die("epoll_ctl", errno);
	}
}

static void create_ring(const int *fds)
{
	int r;

	uring_create(&ring, N_SQ, N_CQ);
	r = opt.fixed ? io_uring_register_files(&ring, fds, 2 * load.n_pairs) : 0;
	if (r < 0)
		net_die("register_files", -r);
	buf_ring = uring_bufs(&ring, opt.n_posted, GROUP);
	for (uint32_t b = 0; b < opt.n_posted; b++)
		recycle((uint16_t)b);
	for (uint32_t s = 0; s < 2 * load.n_pairs; s++)
		arm(s);
}

static void create(void)
{
	size_t out_size = HEAD_LEN + opt.buf_size;
	int *fds = calloc(2 * load.n_pairs, sizeof(*fds));

	sides = calloc(2 * load.n_pairs, sizeof(*sides));
	parked = calloc(2 * load.n_pairs, sizeof(*parked));
	direct_buf = malloc(opt.buf_size);
	bufs = mmap(NULL, (size_t)opt.n_posted * opt.buf_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!fds || !sides || !parked || !direct_buf || bufs == MAP_FAILED)
		net_die("out of memory", errno);
	load_start(&load, fds);
	for (uint32_t s = 0; s < 2 * load.n_pairs; s++) {
		net_nonblock(fds[s]);
		sides[s].fd = fds[s];
		sides[s].held = NO_BUF;
		sides[s].out = malloc(out_size);
		if (!sides[s].out)
			net_die("out of memory", ENOMEM);
	}
	load_go(&load);
	if (opt.recv == RECV_EPOLL)
		create_epoll();
	else
		create_ring(fds);
	free(fds);
}

static void run_for(uint32_t ms)
{
	uint64_t end_ns = net_now_ns() + (uint64_t)ms * 1000000u;

	while (net_now_ns() < end_ns) {
		if (opt.recv == RECV_EPOLL)
			turn_epoll();
		else
			turn_ring();
	}
}

static struct counts snapshot(void)
{
	struct counts c = now;

	c.cpu_ns = net_cpu_ns();
	c.now_ns = net_now_ns();
	c.n_requests = response_bytes / load.response_len;
	c.n_load = load_n_responses(&load);
	return c;
}

static void print(const struct counts *a, const struct counts *b)
{
	double n = (double)(b->n_requests - a->n_requests);

	if (b->n_requests == a->n_requests)
		net_die("no request was completed", 0);
	printf("recv=%s send=%s conns=%u cpu_ns=%.0f rps=%.0f enters=%.3f cqes=%.2f direct=%.2f "
	       "empty=%.2f enobufs=%.3f p50_us=%lu p99_us=%lu\n",
	       recv_names[opt.recv], send_names[opt.send], load.n_pairs,
	       (double)(b->cpu_ns - a->cpu_ns) / n, n * 1e9 / (double)(b->now_ns - a->now_ns),
	       (double)(b->n_enters - a->n_enters) / n, (double)(b->n_cqes - a->n_cqes) / n,
	       (double)(b->n_direct - a->n_direct) / n, (double)(b->n_empty - a->n_empty) / n,
	       (double)(b->n_enobufs - a->n_enobufs) / n, load_latency_us(&load, 0.50),
	       load_latency_us(&load, 0.99));
}

static int index_of(const char *option, const char *text, const char *const *names, int n)
{
	for (int i = 0; i < n; i++) {
		if (!strcmp(text, names[i]))
			return i;
	}
	(void)fprintf(stderr, "%s: unknown value '%s'\n", option, text);
	exit(2);
}

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "r:s:c:b:B:w:W:q:a:t:m:Kpe")) != -1) {
		switch (c) {
		case 'r':
			opt.recv = (enum recv_way)index_of("-r", optarg, recv_names, RECV_N_WAYS);
			break;
		case 's':
			opt.send = (enum send_way)index_of("-s", optarg, send_names, SEND_N_WAYS);
			break;
		case 'c':
			load.n_pairs = (uint32_t)net_number("-c", optarg, 1, 8192);
			break;
		case 'b':
			opt.n_posted = (uint32_t)net_number("-b", optarg, 16, 32768);
			break;
		case 'B':
			opt.buf_size = (uint32_t)net_number("-B", optarg, 512, 65536);
			break;
		case 'w':
			opt.min_wait_us = (uint32_t)net_number("-w", optarg, 0, 10000);
			break;
		case 'W':
			opt.min_wait_n = (uint32_t)net_number("-W", optarg, 1, 4096);
			break;
		case 'q':
			load.request_len = (uint32_t)net_number("-q", optarg, 1, 65536);
			break;
		case 'a':
			load.response_len = (uint32_t)net_number("-a", optarg, 1, 65536);
			break;
		case 't':
			opt.run_ms = (uint32_t)net_number("-t", optarg, 10, 10000);
			break;
		case 'm':
			load.think_us = (uint32_t)net_number("-m", optarg, 0, 1000000);
			break;
		case 'K':
			opt.skip = true;
			break;
		case 'p':
			opt.fixed = false;
			break;
		case 'e':
			opt.eager = true;
			break;
		default:
			(void)fprintf(
				stderr,
				"usage: %s [-r receive] [-s send] [-c connections] [-K: skip send "
				"CQEs] [-p: plain descriptors] [-e: eager recv] [-b posted] "
				"[-B size] [-w min wait us -W n] [-q request] [-a response] "
				"[-m think us] [-t run ms]\n",
				argv[0]);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	struct counts before, after;

	parse(argc, argv);
	if (opt.min_wait_us && !opt.min_wait_n)
		opt.min_wait_n = load.n_pairs;
	net_raise_files();
	net_pin(0);
	create();
	run_for(opt.warm_ms);
	before = snapshot();
	run_for(opt.run_ms);
	after = snapshot();
	load_stop(&load);
	print(&before, &after);
	return 0;
}
