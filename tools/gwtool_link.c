/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "tools/gwtool_link.h"

#define LINGER_NS (1 * GW_NS_PER_S)

/* --- The socket. ----------------------------------------------------------------------------- */

static int wait_for(const struct gwtool_link *link, short events)
{
	struct pollfd fds[] = { { .fd = link->fd, .events = events },
				{ .fd = link->stop_fd, .events = POLLIN } };
	uint64_t now_ns = gw_now_ns();
	int timeout_ms, n;

	if (now_ns >= link->until_ns)
		return -ETIMEDOUT;
	timeout_ms = (int)((link->until_ns - now_ns) / GW_NS_PER_MS) + 1;
	n = poll(fds, link->stoppable ? 2 : 1, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (link->stoppable && fds[1].revents)
		return -ECANCELED;
	return n == 0 ? -ETIMEDOUT : 0;
}

static int32_t receive(const struct gwtool_link *link, void *to, uint32_t len)
{
	for (;;) {
		ssize_t n = recv(link->fd, to, len, 0);
		int r;

		if (n >= 0)
			return (int32_t)n;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = wait_for(link, POLLIN);
		if (r < 0)
			return r;
	}
}

static int send_all(const struct gwtool_link *link, const void *bytes, size_t len)
{
	for (size_t sent = 0; sent < len;) {
		ssize_t n = send(link->fd, (const char *)bytes + sent, len - sent, MSG_NOSIGNAL);
		int r = 0;

		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EAGAIN || errno == EINTR)
			r = wait_for(link, POLLOUT);
		else
			r = -errno;
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- TLS. ------------------------------------------------------------------------------------ */

static int flush(struct gwtool_link *link)
{
	int r = send_all(link, link->out, link->tls.out_len);

	tls_room(&link->tls, link->out, sizeof(link->out));
	return r;
}

/* More of the peer's for TLS: n > 0 bytes, 0 at the end, or -errno. */
static int32_t feed(struct gwtool_link *link)
{
	int32_t n = receive(link, link->in, sizeof(link->in));

	if (n > 0)
		tls_give(&link->tls, link->in, (uint32_t)n);
	return n;
}

/* Behind a step that said *r: is it to be repeated? Else *r is what to say. */
static bool go_on(struct gwtool_link *link, int32_t *r)
{
	int sent = flush(link);
	int32_t n;

	if (sent < 0)
		*r = sent;
	if (sent < 0 || (*r != -EAGAIN && *r != -ENOBUFS))
		return false;
	if (*r == -ENOBUFS)
		return true;
	n = feed(link);
	if (n <= 0) /* Cut off: as if it had ended. Whoever needs more of it notices. */
		*r = n;
	return n > 0;
}

static int shake_hands(struct gwtool_link *link)
{
	int32_t r;

	tls_give(&link->tls, NULL, 0);
	tls_room(&link->tls, link->out, sizeof(link->out));
	do {
		r = tls_handshake(&link->tls);
		link->sealed = r == 0;
	} while (go_on(link, &r));
	return r == 0 && !link->sealed ? -EPROTO : r;
}

static int open_tls(struct gwtool_link *link, const struct tls_credentials *credentials)
{
	/* One of its own, since a server belongs to one thread. */
	int r = tls_server_create(credentials, &link->server);

	if (r < 0)
		return r;
	r = tls_open(&link->tls, link->server);
	if (r < 0) {
		tls_server_free(link->server);
		link->server = NULL;
		return r;
	}
	return shake_hands(link);
}

/* --- What it is for. ------------------------------------------------------------------------- */

int gwtool_link_open(struct gwtool_link *link, int fd, int stop_fd, uint64_t until_ns,
		     const struct tls_credentials *credentials)
{
	int r;

	link->fd = fd;
	link->stop_fd = stop_fd;
	link->stoppable = true;
	link->sealed = false;
	link->until_ns = until_ns;
	link->server = NULL;
	r = credentials ? open_tls(link, credentials) : 0;
	if (r < 0)
		gwtool_link_close(link);
	return r;
}

int32_t gwtool_link_read(struct gwtool_link *link, void *to, uint32_t len)
{
	int32_t r;

	if (!link->server)
		return receive(link, to, len);
	do
		r = tls_read(&link->tls, to, len);
	while (go_on(link, &r));
	return r;
}

static int write_sealed(struct gwtool_link *link, struct slice bytes)
{
	while (bytes.len) {
		uint32_t len = bytes.len < TLS_RECORD_MAX ? (uint32_t)bytes.len : TLS_RECORD_MAX;
		int32_t r;

		do
			r = tls_write(&link->tls, bytes.ptr, len);
		while (go_on(link, &r));
		if (r <= 0)
			return r < 0 ? r : -EPIPE;
		bytes = slice_drop(bytes, (size_t)r);
	}
	return 0;
}

int gwtool_link_write(struct gwtool_link *link, struct slice bytes)
{
	return link->server ? write_sealed(link, bytes) : send_all(link, bytes.ptr, bytes.len);
}

/* What comes is of no use any more, however much it is. */
static void linger(struct gwtool_link *link)
{
	link->stoppable = true;
	link->until_ns = gw_now_ns() + LINGER_NS;
	if (shutdown(link->fd, SHUT_WR) < 0)
		return;
	while (gw_now_ns() < link->until_ns && receive(link, link->in, sizeof(link->in)) > 0)
		;
}

void gwtool_link_close(struct gwtool_link *link)
{
	if (link->sealed) {
		tls_end(&link->tls);
		(void)flush(link); /* A client that does not read it has gone. */
	}
	linger(link);
	if (link->server) {
		tls_close(&link->tls);
		tls_server_free(link->server);
	}
	(void)close(link->fd); /* Nothing is written to it any more. */
}
