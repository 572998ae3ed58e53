/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.c - a trivially cheap HTTP/1.1 origin, so that the proxy in front of
 * it is what is measured.
 *
 *	GET  /N, /bytes/N    N bytes with Content-Length; 128 for any other path
 *	GET  /chunked/N      N bytes in chunks of 16 KiB
 *	POST, PUT            reads the body, answers its length in 128 bytes
 *	GET  /stats          what was counted so far, as JSON
 *
 * One thread, level-triggered epoll; answers come from memory that is never
 * written again. It trusts its peers: this is a tool, not a server.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "perf/net.h"

enum {
	IN_SIZE = 8192,
	HEAD_SIZE = 384,
	BLOCK_LEN = 256 * 1024,
	CHUNK_LEN = 16 * 1024,
	CHUNK_FRAME_LEN = 6 + CHUNK_LEN + 2,
	DEFAULT_LEN = 128,
	MAX_CONNS = 32768,
	N_EVENTS = 256,
	N_PARTS = 6,
	N_IOV = 16,
	DISCARD_LEN = 1 << 20,
	MAX_READS_PER_TURN = 8,
	MAX_UNSENT = 256 * 1024,
};

#define MAX_BODY_LEN (1ull << 40)

enum state {
	STATE_HEAD,
	STATE_BODY,       /* 'body_left' bytes of the request are to come. */
	STATE_CHUNK_SIZE, /* A chunk's size line, or the trailer section. */
	STATE_CHUNK_DATA,
	STATE_ANSWER,
};

/* 'count' times the same bytes. */
struct part {
	const char *base;
	uint64_t len;
	uint64_t count;
};

struct conn {
	int fd;
	enum state state;
	bool wants_out; /* Registered for EPOLLOUT. */
	bool close_after;
	bool in_trailers;
	uint32_t in_len;
	uint64_t body_left;
	uint64_t body_len;
	struct part parts[N_PARTS];
	uint32_t part_idx, n_parts;
	uint64_t part_off; /* Bytes sent of the current repetition. */
	char size_line[20];
	char head[HEAD_SIZE];
	char in[IN_SIZE + 1];
};

static char block[BLOCK_LEN];
static char chunk[CHUNK_FRAME_LEN + 1];
static char default_answer[HEAD_SIZE];
static uint32_t default_len;
static struct conn *conns[MAX_CONNS]; /* By descriptor; kept for the next user of it. */
static int epoll_fd;
static struct {
	uint64_t n_accepted, n_open, n_requests, n_body_bytes;
} stats;

static void watch(struct conn *c, bool out)
{
	struct epoll_event ev = { .events = out ? EPOLLOUT : EPOLLIN, .data.fd = c->fd };

	if (c->wants_out == out)
		return;
	c->wants_out = out;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev) < 0)
		net_die("epoll_ctl", errno);
}

static void end(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
	stats.n_open--;
}

static void add_part(struct conn *c, const char *base, uint64_t len, uint64_t count)
{
	if (len && count)
		c->parts[c->n_parts++] = (struct part){ base, len, count };
}

static void begin_answer(struct conn *c)
{
	c->state = STATE_ANSWER;
	c->part_idx = 0;
	c->n_parts = 0;
	c->part_off = 0;
}

static void add_head(struct conn *c, const char *status, const char *fields)
{
	int n = snprintf(c->head, sizeof(c->head), "HTTP/1.1 %s\r\nServer: origin\r\n%s%s\r\n",
			 status, fields, c->close_after ? "Connection: close\r\n" : "");

	add_part(c, c->head, (uint64_t)n, 1);
}

static void answer_bytes(struct conn *c, uint64_t len, bool body)
{
	char fields[96];

	begin_answer(c);
	if (len == DEFAULT_LEN && body && !c->close_after) {
		add_part(c, default_answer, default_len, 1);
		return;
	}
	(void)snprintf(fields, sizeof(fields),
		       "Content-Type: text/plain\r\nContent-Length: %llu\r\n",
		       (unsigned long long)len);
	add_head(c, "200 OK", fields);
	if (!body)
		return;
	add_part(c, block, BLOCK_LEN, len / BLOCK_LEN);
	add_part(c, block, len % BLOCK_LEN, 1);
}

static void answer_chunked(struct conn *c, uint64_t len)
{
	uint64_t rest = len % CHUNK_LEN;
	int n;

	begin_answer(c);
	add_head(c, "200 OK", "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n");
	add_part(c, chunk, CHUNK_FRAME_LEN, len / CHUNK_LEN);
	if (rest) {
		n = snprintf(c->size_line, sizeof(c->size_line), "%llx\r\n",
			     (unsigned long long)rest);
		add_part(c, c->size_line, (uint64_t)n, 1);
		add_part(c, block, rest, 1);
		add_part(c, "\r\n", 2, 1);
	}
	add_part(c, "0\r\n\r\n", 5, 1);
}

/* 'text' is padded with blanks to 128 bytes, so that it is as long as any answer. */
static void answer_text(struct conn *c, const char *status, const char *text)
{
	char fields[64 + DEFAULT_LEN * 2];
	int len = snprintf(fields, sizeof(fields), "%s", text);
	int body_len = len < DEFAULT_LEN ? DEFAULT_LEN : len;

	begin_answer(c);
	(void)snprintf(fields, sizeof(fields), "Content-Type: text/plain\r\nContent-Length: %d\r\n",
		       body_len);
	add_head(c, status, fields);
	len = snprintf(c->head + c->parts[0].len, sizeof(c->head) - c->parts[0].len, "%-*s",
		       DEFAULT_LEN, text);
	c->parts[0].len += (uint64_t)len;
}

static void answer_stats(struct conn *c)
{
	char text[160];

	(void)snprintf(text, sizeof(text),
		       "{\"accepted\":%llu,\"open\":%llu,\"requests\":%llu,\"body_bytes\":%llu}",
		       (unsigned long long)stats.n_accepted, (unsigned long long)stats.n_open,
		       (unsigned long long)stats.n_requests,
		       (unsigned long long)stats.n_body_bytes);
	answer_text(c, "200 OK", text);
}

static void answer_upload(struct conn *c)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "received %llu\n", (unsigned long long)c->body_len);
	answer_text(c, "200 OK", text);
}

static uint64_t path_number(const char *digits)
{
	char *stop;
	unsigned long long n = strtoull(digits, &stop, 10);

	return stop == digits || n > MAX_BODY_LEN ? DEFAULT_LEN : n;
}

static void route(struct conn *c, const char *path, bool body)
{
	if (!strncmp(path, "/stats ", 7))
		answer_stats(c);
	else if (!strncmp(path, "/chunked/", 9) && body)
		answer_chunked(c, path_number(path + 9));
	else if (!strncmp(path, "/bytes/", 7))
		answer_bytes(c, path_number(path + 7), body);
	else
		answer_bytes(c, path_number(path + 1), body);
}

/* The value of a field of the NUL-terminated head, or NULL. */
static const char *field(const char *head, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = strstr(head, "\r\n"); p; p = strstr(p, "\r\n")) {
		p += 2;
		if (!strncasecmp(p, name, len) && p[len] == ':') {
			p += len + 1;
			return p + strspn(p, " \t");
		}
	}
	return NULL;
}

static void read_connection_field(struct conn *c, const char *head)
{
	const char *value = field(head, "Connection");
	const char *line_end = strstr(head, "\r\n");
	bool is_old = line_end && line_end - head > 8 && !strncmp(line_end - 8, "HTTP/1.0", 8);

	c->close_after = is_old;
	if (value && !strncasecmp(value, "close", 5))
		c->close_after = true;
	else if (value && !strncasecmp(value, "keep-alive", 10))
		c->close_after = false;
}

static void begin_upload(struct conn *c, const char *head)
{
	const char *length = field(head, "Content-Length");
	const char *coding = field(head, "Transfer-Encoding");
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	c->body_len = 0;
	c->body_left = length ? strtoull(length, NULL, 10) : 0;
	c->in_trailers = false;
	c->state = coding ? STATE_CHUNK_SIZE : STATE_BODY;
	if (field(head, "Expect"))
		(void)!send(c->fd, go_on, sizeof(go_on) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void begin_request(struct conn *c, const char *head)
{
	const char *path = strchr(head, ' ');

	stats.n_requests++;
	read_connection_field(c, head);
	if (!path)
		answer_text(c, "400 Bad Request", "no target\n");
	else if (head[0] == 'P')
		begin_upload(c, head);
	else
		route(c, path + 1, head[0] != 'H');
}

static void consume(struct conn *c, uint32_t len)
{
	c->in_len -= len;
	memmove(c->in, c->in + len, c->in_len);
	c->in[c->in_len] = 0;
}

/* True when it got further and may be called again. */
static bool step_head(struct conn *c)
{
	char *blank = strstr(c->in, "\r\n\r\n");
	uint32_t len;

	if (!blank && c->in_len == IN_SIZE) {
		c->close_after = true;
		answer_text(c, "431 Request Header Fields Too Large", "too large\n");
		return true;
	}
	if (!blank)
		return false;
	len = (uint32_t)(blank - c->in) + 4;
	blank[2] = 0;
	begin_request(c, c->in);
	consume(c, len);
	return true;
}

static bool step_body(struct conn *c)
{
	uint32_t take = c->body_left < c->in_len ? (uint32_t)c->body_left : c->in_len;

	consume(c, take);
	c->body_left -= take;
	c->body_len += take;
	stats.n_body_bytes += take;
	if (c->body_left)
		return false;
	if (c->state == STATE_CHUNK_DATA)
		c->state = STATE_CHUNK_SIZE;
	else
		answer_upload(c);
	return true;
}

/* A chunk's data and the line end behind it are discarded as one. */
static bool step_chunk_size(struct conn *c)
{
	char *line_end = strstr(c->in, "\r\n");
	uint32_t len;
	uint64_t size;

	if (!line_end)
		return false;
	len = (uint32_t)(line_end - c->in) + 2;
	size = strtoull(c->in, NULL, 16);
	if (c->in_trailers && len == 2) {
		consume(c, len);
		answer_upload(c);
		return true;
	}
	consume(c, len);
	if (!c->in_trailers && size) {
		c->state = STATE_CHUNK_DATA;
		c->body_left = size + 2;
		c->body_len -= 2;
		stats.n_body_bytes -= 2;
	} else {
		c->in_trailers = true;
	}
	return true;
}

static uint32_t fill_iov(const struct conn *c, struct iovec *iov)
{
	uint32_t n = 0;
	uint64_t off = c->part_off;

	for (uint32_t i = c->part_idx; i < c->n_parts && n < N_IOV; i++) {
		const struct part *p = &c->parts[i];

		for (uint64_t k = 0; k < p->count && n < N_IOV; k++) {
			iov[n].iov_base = (void *)((uintptr_t)p->base + off);
			iov[n].iov_len = p->len - off;
			off = 0;
			n++;
		}
	}
	return n;
}

static void advance(struct conn *c, uint64_t sent)
{
	while (sent) {
		struct part *p = &c->parts[c->part_idx];
		uint64_t left = p->len - c->part_off;

		if (sent < left) {
			c->part_off += sent;
			return;
		}
		sent -= left;
		c->part_off = 0;
		if (!--p->count)
			c->part_idx++;
	}
}

/* True when the answer has gone and the next request may be looked at. */
static bool step_answer(struct conn *c)
{
	struct iovec iov[N_IOV];
	struct msghdr msg = { .msg_iov = iov };
	ssize_t n;

	while (c->part_idx < c->n_parts) {
		msg.msg_iovlen = fill_iov(c, iov);
		if (msg.msg_iovlen == 1)
			n = send(c->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
		else
			n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			watch(c, true);
			return false;
		}
		if (n < 0) {
			end(c);
			return false;
		}
		advance(c, (uint64_t)n);
	}
	if (c->close_after) {
		end(c);
		return false;
	}
	watch(c, false);
	c->state = STATE_HEAD;
	return true;
}

/* Bounded: every step but the last consumes input or finishes an answer. */
static void run(struct conn *c)
{
	bool more = true;

	while (more) {
		switch (c->state) {
		case STATE_HEAD:
			more = step_head(c);
			break;
		case STATE_BODY:
		case STATE_CHUNK_DATA:
			more = step_body(c);
			break;
		case STATE_CHUNK_SIZE:
			more = step_chunk_size(c);
			break;
		case STATE_ANSWER:
			more = step_answer(c);
			break;
		}
	}
}

/* Bytes of a body are dropped in the kernel, without being copied. */
static ssize_t discard(struct conn *c)
{
	size_t len = c->body_left < DISCARD_LEN ? (size_t)c->body_left : DISCARD_LEN;
	ssize_t n = recv(c->fd, NULL, len, MSG_TRUNC);

	if (n > 0) {
		c->body_left -= (uint64_t)n;
		c->body_len += (uint64_t)n;
		stats.n_body_bytes += (uint64_t)n;
	}
	return n;
}

static bool is_discarding(const struct conn *c)
{
	return (c->state == STATE_BODY || c->state == STATE_CHUNK_DATA) && c->body_left;
}

static void readable(struct conn *c)
{
	for (int i = 0; i < MAX_READS_PER_TURN; i++) {
		bool whole = is_discarding(c);
		size_t room = IN_SIZE - c->in_len;
		ssize_t n = whole ? discard(c) : recv(c->fd, c->in + c->in_len, room, 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			end(c);
			return;
		}
		if (!whole) {
			c->in_len += (uint32_t)n;
			c->in[c->in_len] = 0;
		}
		run(c);
		if (c->fd < 0 || !is_discarding(c))
			return;
	}
}

static void accept_all(int listener)
{
	for (int i = 0; i < N_EVENTS; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

		if (fd < 0)
			return;
		if (fd >= MAX_CONNS)
			net_die("too many connections", 0);
		if (!conns[fd])
			conns[fd] = malloc(sizeof(*conns[fd]));
		if (!conns[fd])
			net_die("malloc", errno);
		memset(conns[fd], 0, offsetof(struct conn, parts));
		conns[fd]->fd = fd;
		conns[fd]->in[0] = 0;
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
			net_die("epoll_ctl", errno);
		stats.n_accepted++;
		stats.n_open++;
	}
}

static void build_answers(void)
{
	static const char text[] = "the quick brown fox jumps over the lazy dog 0123456789\n";

	for (uint32_t i = 0; i < BLOCK_LEN; i++)
		block[i] = text[i % (sizeof(text) - 1)];
	(void)snprintf(chunk, sizeof(chunk), "%04x\r\n%.*s\r\n", CHUNK_LEN, CHUNK_LEN, block);
	default_len = (uint32_t)snprintf(default_answer, sizeof(default_answer),
					 "HTTP/1.1 200 OK\r\nServer: origin\r\n"
					 "Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
					 "%.*s",
					 DEFAULT_LEN, DEFAULT_LEN, block);
}

/*
 * A thousand long answers would otherwise fill the machine's memory for TCP from here, and what is
 * measured would be how the kernel behaves then. Accepted sockets inherit it.
 */
static void bound_unsent(int listener)
{
	int len = MAX_UNSENT;

	if (setsockopt(listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &len, sizeof(len)) < 0)
		net_die("TCP_NOTSENT_LOWAT", errno);
}

static int watch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void add(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		net_die("epoll_ctl", errno);
}

static void serve(int listener, int signals)
{
	struct epoll_event ev[N_EVENTS];

	for (;;) {
		int n = epoll_wait(epoll_fd, ev, N_EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;

			if (fd == signals)
				return;
			if (fd == listener)
				accept_all(listener);
			else if (conns[fd]->wants_out)
				run(conns[fd]);
			else
				readable(conns[fd]);
		}
	}
}

int main(int argc, char **argv)
{
	int listener, signals;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s PORT\n", argv[0]);
		return 2;
	}
	net_raise_files();
	build_answers();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	signals = watch_signals();
	if (epoll_fd < 0 || signals < 0)
		net_die("epoll or signalfd", errno);
	listener = net_listen((uint16_t)net_number("PORT", argv[1], 1, 65535));
	bound_unsent(listener);
	add(listener);
	add(signals);
	serve(listener, signals);
	return 0;
}
