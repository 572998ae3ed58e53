/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_resolve.c - c-ares over the ring: it asks for sockets, polls and time.
 *
 * c-ares opens and closes its sockets through us, so each is a file of the ring
 * and its close ends the polls on it. It says which sockets it wants to read or
 * write, and when it wants to be called at the latest.
 *
 * c-ares may answer from inside ares_getaddrinfo(); such an answer, like any
 * other, is kept in the question and handed out in the next turn.
 *
 * Memory: a question lives until its answer was handed out. The resolver lives
 * until ring_resolver_free() and the last answer of its operations (n_pins).
 */
#include "ring/ring_resolve.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>

#include "core/base/clock.h"
#include "ring/ring_addr.h"
#include "ring/ring_internal.h"

enum { RESOLVE_SOCKETS = 64, RESOLVE_TIMEOUT_MS = 2000, RESOLVE_TRIES = 3 };

/* One of c-ares's sockets. Free when closed and neither poll is armed. */
struct resolve_socket {
	struct ring_op readable, writable;
	struct ring_resolver *resolver;
	int fd;
	int32_t file; /* -1: closed. */
	bool wants_read, wants_write;
};

struct ring_question {
	struct ring_op answer; /* Soon. */
	struct list_node link;
	struct ring_resolver *resolver;
	ring_resolved_fn *fn; /* NULL: has been told. */
	void *owner;
	bool done;
	uint16_t port;
	int status;
	uint32_t n_addrs, ttl_s;
	struct ring_addr addrs[RING_RESOLVE_ADDRS];
};

struct ring_resolver {
	struct ring *ring;
	ares_channel channel;
	struct ring_timer timer;
	struct list_counted questions;
	uint32_t n_pins; /* Questions and armed polls. */
	bool freeing;
	struct resolve_socket sockets[RESOLVE_SOCKETS];
};

static void unpin(struct ring_resolver *r)
{
	GW_ASSERT(r->n_pins > 0);
	r->n_pins--;
	if (r->n_pins == 0 && r->freeing)
		free(r);
}

/* --- Time --------------------------------------------------------------------------------- */

/* After every call into c-ares: when does it want the next one? */
static void set_timer(struct ring_resolver *r)
{
	struct timeval tv;

	if (!ares_timeout(r->channel, NULL, &tv)) {
		ring_timer_cancel(r->ring, &r->timer);
		return;
	}
	ring_timer_set(r->ring, &r->timer,
		       gw_now_ns() + (uint64_t)tv.tv_sec * GW_NS_PER_S +
			       (uint64_t)tv.tv_usec * GW_NS_PER_US);
}

static void process(struct ring_resolver *r, int read_fd, int write_fd)
{
	ares_process_fd(r->channel, read_fd, write_fd);
	set_timer(r);
}

static void time_is_up(struct ring_timer *timer)
{
	process(GW_CONTAINER_OF(timer, struct ring_resolver, timer), ARES_SOCKET_BAD,
		ARES_SOCKET_BAD);
}

/* --- Sockets ------------------------------------------------------------------------------ */

static void arm_polls(struct resolve_socket *s)
{
	struct ring_resolver *r = s->resolver;

	if (s->file < 0)
		return;
	if (s->wants_read && !s->readable.armed) {
		ring_poll(r->ring, &s->readable, s->file, RING_READABLE);
		r->n_pins++;
	}
	if (s->wants_write && !s->writable.armed) {
		ring_poll(r->ring, &s->writable, s->file, RING_WRITABLE);
		r->n_pins++;
	}
}

static void socket_ready(struct resolve_socket *s, bool readable)
{
	struct ring_resolver *r = s->resolver;

	/* Processing may close this socket and even use it for another one. */
	if (!r->freeing && s->file >= 0)
		process(r, readable && s->wants_read ? s->fd : ARES_SOCKET_BAD,
			!readable && s->wants_write ? s->fd : ARES_SOCKET_BAD);
	if (!r->freeing)
		arm_polls(s);
	unpin(r);
}

static void socket_readable(struct ring_op *op, const struct ring_answer *answer)
{
	(void)answer; /* An error shows when c-ares reads. */
	socket_ready(GW_CONTAINER_OF(op, struct resolve_socket, readable), true);
}

static void socket_writable(struct ring_op *op, const struct ring_answer *answer)
{
	(void)answer;
	socket_ready(GW_CONTAINER_OF(op, struct resolve_socket, writable), false);
}

static struct resolve_socket *socket_find(struct ring_resolver *r, int fd)
{
	for (uint32_t i = 0; i < RESOLVE_SOCKETS; i++) {
		if (r->sockets[i].file >= 0 && r->sockets[i].fd == fd)
			return &r->sockets[i];
	}
	return NULL;
}

static struct resolve_socket *socket_take(struct ring_resolver *r)
{
	for (uint32_t i = 0; i < RESOLVE_SOCKETS; i++) {
		struct resolve_socket *s = &r->sockets[i];

		if (s->file < 0 && !s->readable.armed && !s->writable.armed)
			return s;
	}
	return NULL;
}

static ares_socket_t socket_open(int family, int type, int protocol, void *owner)
{
	struct ring_resolver *r = owner;
	struct resolve_socket *s = socket_take(r);
	int fd;

	if (!s) {
		errno = EMFILE;
		return ARES_SOCKET_BAD;
	}
	fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return ARES_SOCKET_BAD;
	s->file = ring_file_adopt(r->ring, fd);
	if (s->file < 0) {
		s->file = -1;
		close(fd);
		errno = ENFILE;
		return ARES_SOCKET_BAD;
	}
	s->fd = fd;
	s->wants_read = false;
	s->wants_write = false;
	return fd;
}

static int socket_close(ares_socket_t fd, void *owner)
{
	struct ring_resolver *r = owner;
	struct resolve_socket *s = socket_find(r, fd);

	GW_ASSERT(s);
	ring_close(r->ring, s->file);
	s->file = -1;
	return 0;
}

static int socket_connect(ares_socket_t fd, const struct sockaddr *addr, ares_socklen_t len,
			  void *owner)
{
	(void)owner;
	return connect(fd, addr, len);
}

/* NOLINTNEXTLINE(readability-function-size): c-ares asks for seven. */
static ares_ssize_t socket_receive(ares_socket_t fd, void *data, size_t size, int flags,
				   struct sockaddr *from, ares_socklen_t *from_len, void *owner)
{
	(void)owner;
	return recvfrom(fd, data, size, flags, from, from_len);
}

static ares_ssize_t socket_send(ares_socket_t fd, const struct iovec *parts, int n_parts,
				void *owner)
{
	struct iovec copy[8];
	struct msghdr message = { .msg_iov = copy };

	(void)owner;
	/* A stream may be sent in parts; what is left comes again. A query is one part. */
	message.msg_iovlen = (size_t)n_parts < ARRAY_SIZE(copy) ? (size_t)n_parts
								: ARRAY_SIZE(copy);
	memcpy(copy, parts, message.msg_iovlen * sizeof(copy[0]));
	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static const struct ares_socket_functions socket_functions = {
	.asocket = socket_open,
	.aclose = socket_close,
	.aconnect = socket_connect,
	.arecvfrom = socket_receive,
	.asendv = socket_send,
};

static void socket_wants(void *owner, ares_socket_t fd, int readable, int writable)
{
	struct resolve_socket *s = socket_find(owner, fd);

	if (!s) /* About to be closed, or closed. */
		return;
	s->wants_read = readable;
	s->wants_write = writable;
	arm_polls(s);
}

/* --- Questions ---------------------------------------------------------------------------- */

/* Letters, digits, '-', '_' in labels of 1..63 bytes, 253 in all; a dot may end it. */
static bool is_host_name(struct slice host)
{
	size_t label_len = 0;

	if (host.len == 0 || host.len > 253)
		return false;
	for (size_t i = 0; i < host.len; i++) {
		char c = slice_lower(host.ptr[i]);

		if (c == '.') {
			if (label_len == 0)
				return false;
			label_len = 0;
		} else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
			   c == '_') {
			if (++label_len > 63)
				return false;
		} else {
			return false;
		}
	}
	return true;
}

static int status_of(int ares_status)
{
	switch (ares_status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
		return -ENOENT;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION:
		return -ECANCELED;
	default:
		return -EIO;
	}
}

static bool has_addr(const struct ring_question *q, const struct ring_addr *addr)
{
	for (uint32_t i = 0; i < q->n_addrs; i++) {
		if (ring_addr_eq(&q->addrs[i], addr))
			return true;
	}
	return false;
}

/* The answer came from the network: more than there is room for is left out, once is enough. */
static void keep_addrs(struct ring_question *q, const struct ares_addrinfo *result)
{
	const struct ares_addrinfo_node *node = result->nodes;
	uint32_t ttl_s = UINT32_MAX;

	for (; node && q->n_addrs < RING_RESOLVE_ADDRS; node = node->ai_next) {
		struct sockaddr_storage at = { 0 };
		struct ring_addr addr;

		if (node->ai_addrlen > sizeof(at))
			continue;
		memcpy(&at, node->ai_addr, node->ai_addrlen);
		ring_addr_from_sockaddr(&at, node->ai_addrlen, &addr);
		addr.port = q->port;
		if ((addr.family != AF_INET && addr.family != AF_INET6) || has_addr(q, &addr))
			continue;
		q->addrs[q->n_addrs++] = addr;
		if (node->ai_ttl >= 0 && (uint32_t)node->ai_ttl < ttl_s)
			ttl_s = (uint32_t)node->ai_ttl;
	}
	q->ttl_s = ttl_s == UINT32_MAX ? 0 : ttl_s;
}

static void answered(void *arg, int ares_status, int n_timeouts, struct ares_addrinfo *result)
{
	struct ring_question *q = arg;

	(void)n_timeouts;
	GW_ASSERT(!q->done);
	q->done = true;
	q->status = status_of(ares_status);
	if (q->status == 0 && result)
		keep_addrs(q, result);
	if (q->status == 0 && q->n_addrs == 0)
		q->status = -ENOENT;
	if (result)
		ares_freeaddrinfo(result);
	ring_soon(q->resolver->ring, &q->answer);
}

static void tell(struct ring_question *q, int status)
{
	ring_resolved_fn *fn = q->fn;

	if (!fn)
		return;
	q->fn = NULL;
	fn(q->owner, status, q->addrs, status == 0 ? q->n_addrs : 0, status == 0 ? q->ttl_s : 0);
}

static void hand_over(struct ring_op *op, const struct ring_answer *answer)
{
	struct ring_question *q = GW_CONTAINER_OF(op, struct ring_question, answer);
	struct ring_resolver *r = q->resolver;

	(void)answer;
	list_counted_remove(&r->questions, &q->link);
	tell(q, q->status);
	free(q);
	unpin(r);
}

int ring_resolve(struct ring_resolver *r, struct slice host, uint16_t port, ring_resolved_fn *fn,
		 void *owner)
{
	struct ares_addrinfo_hints hints = { .ai_flags = ARES_AI_NOSORT,
					     .ai_socktype = SOCK_STREAM };
	struct ring_question *q;
	char name[256];

	GW_ASSERT(!r->freeing && fn);
	if (!is_host_name(host))
		return -EINVAL;
	if (r->questions.n == RING_RESOLVE_MAX)
		return -EBUSY;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	memcpy(name, host.ptr, host.len);
	name[host.len] = '\0';
	q->resolver = r;
	q->fn = fn;
	q->owner = owner;
	q->port = port;
	ring_op_init(&q->answer, hand_over);
	list_counted_push_back(&r->questions, &q->link);
	r->n_pins++;
	ares_getaddrinfo(r->channel, name, NULL, &hints, answered, q);
	set_timer(r);
	return 0;
}

/* --- Opening and freeing ------------------------------------------------------------------ */

/*
 * c-ares 1.34 (Debian 13) prefers another call, which 1.18 (Debian 12) does not
 * have; this one does the same in both.
 */
static void use_own_sockets(struct ring_resolver *r)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	ares_set_socket_functions(r->channel, &socket_functions, r);
#pragma GCC diagnostic pop
}

static int open_channel(struct ring_resolver *r, const struct ring_resolver_options *opt)
{
	struct ares_options options = {
		.timeout = (int)(opt->timeout_ms ? opt->timeout_ms : RESOLVE_TIMEOUT_MS),
		.tries = (int)(opt->tries ? opt->tries : RESOLVE_TRIES),
		.sock_state_cb = socket_wants,
		.sock_state_cb_data = r,
	};
	int status =
		ares_init_options(&r->channel, &options,
				  ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);

	if (status != ARES_SUCCESS)
		return status == ARES_ENOMEM ? -ENOMEM : -EIO;
	use_own_sockets(r);
	if (opt->servers && ares_set_servers_ports_csv(r->channel, opt->servers) != ARES_SUCCESS) {
		ares_destroy(r->channel);
		return -EINVAL;
	}
	return 0;
}

int ring_resolver_open(struct ring *ring, const struct ring_resolver_options *opt,
		       struct ring_resolver **ret_resolver)
{
	static const struct ring_resolver_options defaults;
	struct ring_resolver *r = calloc(1, sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	r->ring = ring;
	list_counted_init(&r->questions);
	ring_timer_init(&r->timer, time_is_up);
	for (uint32_t i = 0; i < RESOLVE_SOCKETS; i++) {
		r->sockets[i].resolver = r;
		r->sockets[i].file = -1;
		ring_op_init(&r->sockets[i].readable, socket_readable);
		ring_op_init(&r->sockets[i].writable, socket_writable);
	}
	error = open_channel(r, opt ? opt : &defaults);
	if (error < 0) {
		free(r);
		return error;
	}
	*ret_resolver = r;
	return 0;
}

void ring_resolver_free(struct ring_resolver *r)
{
	if (!r)
		return;
	GW_ASSERT(!r->freeing);
	r->n_pins++;              /* Ours, for the time of this call. */
	ares_destroy(r->channel); /* Ends the questions and closes the sockets. */
	r->freeing = true;
	ring_timer_cancel(r->ring, &r->timer);
	list_each(node, &r->questions.list)
	{
		struct ring_question *q = list_entry(node, struct ring_question, link);

		GW_ASSERT(q->done);
		tell(q, -ECANCELED);
	}
	unpin(r);
}
