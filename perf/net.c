/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

__attribute__((noreturn)) void net_die(const char *what, int err)
{
	if (err)
		(void)fprintf(stderr, "%s: %s\n", what, strerror(err));
	else
		(void)fprintf(stderr, "%s\n", what);
	exit(1);
}

long net_number(const char *name, const char *text, long min, long max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < min || n > max) {
		(void)fprintf(stderr, "%s: a number from %ld to %ld, not '%s'\n", name, min, max,
			      text);
		exit(2);
	}
	return n;
}

static struct sockaddr_in loopback(uint16_t port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	return addr;
}

int net_listen(uint16_t port)
{
	struct sockaddr_in addr = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	if (fd < 0)
		net_die("socket", errno);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		net_die("SO_REUSEADDR", errno);
	net_nodelay(fd); /* Accepted sockets inherit it. */
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		net_die("bind", errno);
	if (listen(fd, 4096) < 0)
		net_die("listen", errno);
	return fd;
}

uint16_t net_port(int fd)
{
	struct sockaddr_in addr = { 0 };
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		net_die("getsockname", errno);
	return ntohs(addr.sin_port);
}

int net_connect(uint16_t port)
{
	struct sockaddr_in addr = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		net_die("socket", errno);
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		net_die("connect", errno);
	net_nodelay(fd);
	return fd;
}

void net_nodelay(int fd)
{
	int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		net_die("TCP_NODELAY", errno);
}

void net_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		net_die("O_NONBLOCK", errno);
}

void net_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

long net_raise_files(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		net_die("getrlimit", errno);
	lim.rlim_cur = lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
		net_die("setrlimit", errno);
	return (long)lim.rlim_cur;
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) < 0)
		net_die("clock_gettime", errno);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t net_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t net_cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}
