/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_test.h - what the tests of this folder share: a ring, operations that
 * remember their answers, and turning until something has happened.
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "core/base/clock.h"
#include "ring/ring_internal.h"

#define RT_MS          GW_NS_PER_MS
#define RT_PATIENCE_NS (5000 * GW_NS_PER_MS)
#ifndef RT_STEP_NS
#define RT_STEP_NS (20 * RT_MS) /* Shorter where something else has to be served, too. */
#endif

/* An operation and what it was answered. */
struct rt_op {
	struct ring_op op;
	uint32_t n_answers;
	uint32_t n_final;
	struct ring_answer last;
};

static inline void rt_answer(struct ring_op *op, const struct ring_answer *answer)
{
	struct rt_op *t = GW_CONTAINER_OF(op, struct rt_op, op);

	assert_true(answer->more == op->armed);
	t->n_answers++;
	if (!answer->more)
		t->n_final++;
	t->last = *answer;
}

static inline void rt_op_init(struct rt_op *t)
{
	*t = (struct rt_op){ 0 };
	ring_op_init(&t->op, rt_answer);
}

static inline struct ring *rt_open(const struct ring_options *opt)
{
	struct ring *ring = NULL;

	assert_int_equal(ring_open(opt, &ring), 0);
	GW_ASSERT(ring); /* For the analyzer, which does not know cmocka. */
	assert_int_equal(ring_enable(ring), 0);
	return ring;
}

/* A small ring with every part in use. */
static inline struct ring *rt_ring(void)
{
	return rt_open(&(struct ring_options){ .files_max = 64,
					       .bufs_max = 64,
					       .bufs_posted = 16,
					       .pipes_max = 4,
					       .registered = true });
}

/* Turns until 'cond' holds, or fails the test when it takes too long. */
#define RT_UNTIL(ring, cond)                                                                       \
	do {                                                                                       \
		uint64_t rt_end_ns = gw_now_ns() + RT_PATIENCE_NS;                                 \
		while (!(cond)) {                                                                  \
			assert_int_equal(ring_turn((ring), RT_STEP_NS), 0);                        \
			if (gw_now_ns() > rt_end_ns)                                               \
				fail_msg("never came true: %s", #cond);                            \
		}                                                                                  \
	} while (0)

/* A few turns in which nothing is waited for. */
static inline void rt_settle(struct ring *ring)
{
	for (int i = 0; i < 5; i++)
		assert_int_equal(ring_turn(ring, 0), 0);
}

static inline int32_t rt_adopt(struct ring *ring, int fd)
{
	int file = ring_file_adopt(ring, fd);

	assert_true(file >= 0);
	return file;
}

/* A stream whose one end is a file of the ring, the other a plain descriptor. */
static inline int32_t rt_pair(struct ring *ring, int *ret_fd)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	*ret_fd = fds[1];
	return rt_adopt(ring, fds[0]);
}

static inline int32_t rt_listen(struct ring *ring, struct ring_addr *ret_addr)
{
	struct ring_addr any = { .family = AF_INET, .ip = { 127, 0, 0, 1 } };
	int32_t listener;

	assert_int_equal(
		ring_listen(ring, &any, &(struct ring_listen){ .reuse_port = true }, &listener), 0);
	assert_int_equal(ring_local_addr(ring, listener, ret_addr), 0);
	assert_int_not_equal(ret_addr->port, 0);
	return listener;
}

/* A plain, non-blocking TCP client; the kernel completes the handshake by itself. */
static inline int rt_dial(const struct ring_addr *addr)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(addr->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(&to.sin_addr, addr->ip, 4);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static inline void rt_put(int fd, const void *data, size_t len)
{
	assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Frees the ring and with it asserts that nothing is left. */
static inline void rt_end(struct ring *ring)
{
	rt_settle(ring);
	assert_int_equal(ring->n_armed, 0);
	ring_free(ring);
}

/* Runs 'child' in a process of its own; how it ended, as waitpid() says. */
static inline int rt_in_child(void (*child)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGILL, SIG_DFL); /* cmocka would report it. */
		(void)signal(SIGTRAP, SIG_DFL);
		(void)freopen("/dev/null", "w", stderr);
		child();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}
