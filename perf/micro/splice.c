/* SPDX-License-Identifier: Apache-2.0 */
/*
 * splice.c - what a KiB of a body costs: copied through one buffer, or spliced
 * through one pipe.
 *
 * Two children share the other CPU: the source writes bodies of one length,
 * the sink reads one and then tells the source to send the next, so that every
 * body begins and ends as a response does. The mover waits by ring polls, as
 * the product does, and knows each body's length.
 *
 * Prints CPU time of the mover per KiB.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

enum { KIB = 1024, N_CHILDREN = 2, WARM_MS = 100 };

static bool by_splice = true;
static uint32_t room = 256 * KIB; /* Of the pipe or of the buffer. */
static uint32_t body_len = 64 * KIB;
static uint32_t run_ms = 800;

static struct io_uring ring;
static int source_fd, sink_fd, pipe_fds[2];
static char *buf;
static uint64_t n_bodies, n_calls, n_polls;

static void wait_for(int fd, short events)
{
	struct io_uring_sqe *sqe = uring_entry(&ring);
	struct io_uring_cqe *cqe;
	int r;

	io_uring_prep_poll_add(sqe, fd, (unsigned int)events);
	r = io_uring_submit_and_wait(&ring, 1);
	if (r < 0)
		net_die("enter", -r);
	r = io_uring_wait_cqe(&ring, &cqe);
	if (r < 0 || cqe->res < 0)
		net_die("poll", r < 0 ? -r : -cqe->res);
	io_uring_cqe_seen(&ring, cqe);
	n_polls++;
}

/* One call of splice or recv; its bytes are in the pipe or the buffer. */
static uint32_t take(uint32_t most)
{
	for (;;) {
		ssize_t n = by_splice ? splice(source_fd, NULL, pipe_fds[1], NULL, most,
					       SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
				      : recv(source_fd, buf, most, MSG_DONTWAIT);

		n_calls++;
		if (n > 0)
			return (uint32_t)n;
		if (n == 0 || errno != EAGAIN)
			net_die("take", n ? errno : ECONNRESET);
		wait_for(source_fd, POLLIN);
	}
}

static void give(uint32_t len)
{
	uint32_t done = 0;

	while (done < len) {
		ssize_t n = by_splice ? splice(pipe_fds[0], NULL, sink_fd, NULL, len - done,
					       SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
				      : send(sink_fd, buf + done, len - done,
					     MSG_DONTWAIT | MSG_NOSIGNAL);

		n_calls++;
		if (n > 0)
			done += (uint32_t)n;
		else if (errno == EAGAIN)
			wait_for(sink_fd, POLLOUT);
		else
			net_die("give", errno);
	}
}

static void move_body(void)
{
	uint32_t left = body_len;

	while (left) {
		uint32_t n = take(left < room ? left : room);

		give(n);
		left -= n;
	}
	n_bodies++;
}

static void run_for(uint32_t ms)
{
	uint64_t end_ns = net_now_ns() + (uint64_t)ms * 1000000u;

	while (net_now_ns() < end_ns)
		move_body();
}

static void child_start(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	net_pin(1);
}

static _Noreturn void source(uint16_t port, int turn_fd)
{
	char *body = calloc(1, body_len);
	char turn;
	int fd;

	child_start();
	fd = net_connect(port);
	if (!body)
		_exit(1);
	while (read(turn_fd, &turn, 1) == 1) {
		uint32_t done = 0;

		while (done < body_len) {
			ssize_t n = send(fd, body + done, body_len - done, MSG_NOSIGNAL);

			if (n <= 0)
				_exit(0);
			done += (uint32_t)n;
		}
	}
	_exit(0);
}

static _Noreturn void sink(uint16_t port, int turn_fd)
{
	static char into[256 * KIB];
	uint64_t got = 0;
	int fd;

	child_start();
	fd = net_connect(port);
	if (write(turn_fd, "t", 1) != 1)
		_exit(1);
	for (;;) {
		ssize_t n = recv(fd, into, sizeof(into), 0);

		if (n <= 0)
			_exit(0);
		got += (uint64_t)n;
		if (got < body_len)
			continue;
		got = 0;
		if (write(turn_fd, "t", 1) != 1)
			_exit(0);
	}
}

static int accept_from(int listener)
{
	struct pollfd ready = { .fd = listener, .events = POLLIN };
	int fd;

	if (poll(&ready, 1, 5000) != 1)
		net_die("a child did not connect", 0);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		net_die("accept", errno);
	return fd;
}

static void start_children(pid_t *ret_children)
{
	int listeners[N_CHILDREN], turns[2];

	if (pipe2(turns, O_CLOEXEC) < 0)
		net_die("pipe2", errno);
	for (int i = 0; i < N_CHILDREN; i++) {
		listeners[i] = net_listen(0);
		ret_children[i] = fork();
		if (ret_children[i] < 0)
			net_die("fork", errno);
		if (!ret_children[i] && i == 0)
			source(net_port(listeners[i]), turns[0]);
		if (!ret_children[i])
			sink(net_port(listeners[i]), turns[1]);
	}
	source_fd = accept_from(listeners[0]);
	sink_fd = accept_from(listeners[1]);
}

static void create(void)
{
	uring_create(&ring, 8, 16);
	if (pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC) < 0)
		net_die("pipe2", errno);
	if (by_splice && fcntl(pipe_fds[0], F_SETPIPE_SZ, room) < (int)room)
		net_die("F_SETPIPE_SZ", errno);
	buf = malloc(room);
	if (!buf)
		net_die("malloc", errno);
}

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "w:r:b:t:")) != -1) {
		switch (c) {
		case 'w':
			by_splice = !strcmp(optarg, "splice");
			if (!by_splice && strcmp(optarg, "copy") != 0)
				net_die("-w: splice or copy", 0);
			break;
		case 'r':
			room = (uint32_t)net_number("-r", optarg, 4, 1024) * KIB;
			break;
		case 'b':
			body_len = (uint32_t)net_number("-b", optarg, 1, 1024 * 1024) * KIB;
			break;
		case 't':
			run_ms = (uint32_t)net_number("-t", optarg, 10, 10000);
			break;
		default:
			(void)fprintf(stderr,
				      "usage: %s [-w splice|copy] [-r room KiB] [-b body KiB] "
				      "[-t run ms]\n",
				      argv[0]);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	pid_t children[N_CHILDREN];
	uint64_t cpu_ns;
	double n_kib;

	parse(argc, argv);
	(void)signal(SIGPIPE, SIG_IGN);
	net_pin(0);
	start_children(children);
	create();
	run_for(WARM_MS);
	n_bodies = n_calls = n_polls = 0;
	cpu_ns = net_cpu_ns();
	run_for(run_ms);
	cpu_ns = net_cpu_ns() - cpu_ns;
	for (int i = 0; i < N_CHILDREN; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	n_kib = (double)n_bodies * body_len / KIB;
	printf("way=%s room_kib=%u body_kib=%u cpu_ns=%.0f calls=%.1f polls=%.2f\n",
	       by_splice ? "splice" : "copy", room / KIB, body_len / KIB, (double)cpu_ns / n_kib,
	       (double)n_calls / (double)n_bodies, (double)n_polls / (double)n_bodies);
	return 0;
}
