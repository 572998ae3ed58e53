/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_test.h - what the tests of the small server and its users share: a ring
 * and a proxy for it, and a plain client that talks while the ring turns.
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
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/proxy/proxy.h"
#include "ring/ring_buf.h"
#include "ring/ring_net.h"
#include "tests/unit/policy/one_table.h"

#define LT_PATIENCE_NS (5000 * GW_NS_PER_MS)
#define LT_STEP_NS     (2 * GW_NS_PER_MS)

enum { LT_BUFS = 64 };

static struct {
	struct ring *ring;
	struct proxy *proxy;
	struct metric_set *metrics;
	struct policy_seat seat;
	struct policy_table *table;
	struct proxy_options options;
	struct proxy_shared shared;
} lt;

static inline int lt_set_up(void **state)
{
	struct proxy_parts parts = { .options = &lt.options, .shared = &lt.shared, .seed = 1 };
	struct ring_options ring = { .files_max = 128, .bufs_max = LT_BUFS, .bufs_posted = 16 };

	(void)state;
	lt.options = (struct proxy_options){
		.limits = h1_limits_default,
		.clients_max = 1,
		.upstreams_max = 1,
		.heads_max = 64,
	};
	lt.table = no_table();
	assert_int_equal(metric_create(METRIC_NO_WORKER, &lt.metrics), 0);
	assert_int_equal(ring_open(&ring, &lt.ring), 0);
	assert_int_equal(ring_enable(lt.ring), 0);
	parts.ring = lt.ring;
	parts.metrics = lt.metrics;
	seat_offer(&lt.seat, lt.table);
	parts.seat = &lt.seat;
	assert_int_equal(proxy_create(&parts, &lt.proxy), 0);
	return 0;
}

/* Traps when a buffer, a head, a file or an operation is left. */
static inline int lt_tear_down(void **state)
{
	(void)state;
	proxy_destroy(lt.proxy);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ring_turn(lt.ring, 0), 0);
	ring_free(lt.ring);
	metric_destroy(lt.metrics);
	free(lt.table);
	return 0;
}

/* Turns until 'cond' holds, or fails the test when it takes too long. */
#define LT_UNTIL(cond)                                                                             \
	do {                                                                                       \
		uint64_t lt_end_ns = gw_now_ns() + LT_PATIENCE_NS;                                 \
		while (!(cond)) {                                                                  \
			assert_int_equal(ring_turn(lt.ring, LT_STEP_NS), 0);                       \
			if (gw_now_ns() > lt_end_ns)                                               \
				fail_msg("never came true: %s", #cond);                            \
		}                                                                                  \
	} while (0)

static inline int lt_dial_small(const struct ring_addr *addr, int rcvbuf)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(addr->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (rcvbuf > 0)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)), 0);
	memcpy(&to.sin_addr, addr->ip, 4);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static inline int lt_dial(const struct ring_addr *addr)
{
	return lt_dial_small(addr, 0);
}

/* Sends all of it while the ring turns. */
static inline void lt_send(int fd, const char *data, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = send(fd, data + done, len - done, MSG_NOSIGNAL);
		if (n > 0)
			done += (size_t)n;
		else
			assert_true(n < 0 && errno == EAGAIN);
		assert_int_equal(ring_turn(lt.ring, 0), 0);
	}
}

/* What has come by now, behind 'len' bytes of 'text'; -1 at the end, with errno 0, or an error. */
static inline int lt_recv(int fd, char *text, size_t size, size_t *len)
{
	ssize_t n = recv(fd, text + *len, size - 1 - *len, 0);

	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	errno = 0;
	*len += (size_t)n;
	text[*len] = '\0';
	return n == 0 ? -1 : 0;
}

/* Reads until 'want' stands in what came, n times. */
static inline void lt_read_until(int fd, char *text, size_t size, const char *want, int n)
{
	size_t len = 0;

	text[0] = '\0';
	for (uint64_t end_ns = gw_now_ns() + LT_PATIENCE_NS;;) {
		const char *at = text;
		int found = 0;

		assert_int_equal(ring_turn(lt.ring, LT_STEP_NS), 0);
		if (lt_recv(fd, text, size, &len) < 0 || gw_now_ns() > end_ns)
			fail_msg("'%s' never came in: %s", want, text);
		while ((at = strstr(at, want))) {
			found++;
			at += strlen(want);
		}
		if (found >= n)
			return;
	}
}

/* Reads to the end of file. */
static inline size_t lt_read_all(int fd, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (uint64_t end_ns = gw_now_ns() + LT_PATIENCE_NS; lt_recv(fd, text, size, &len) == 0;) {
		assert_int_equal(ring_turn(lt.ring, LT_STEP_NS), 0);
		if (gw_now_ns() > end_ns || len == size - 1)
			fail_msg("never ended: %s", text);
	}
	assert_int_equal(errno, 0);
	return len;
}

/* One request on a connection of its own, the answer up to the end. */
static inline void lt_ask(const struct ring_addr *addr, const char *request, char *text,
			  size_t size)
{
	int fd = lt_dial(addr);

	lt_send(fd, request, strlen(request));
	(void)lt_read_all(fd, text, size);
	close(fd);
}

static inline void lt_has(const char *text, const char *want)
{
	if (!strstr(text, want))
		fail_msg("no '%s' in: %s", want, text);
}
