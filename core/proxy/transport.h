/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.h - the transport seam: a connection that moves bytes and nothing else.
 *
 * A codec reads and writes through this and cannot tell clear from encrypted.
 * Bytes come in as buffers that the user then holds; bytes go out from memory
 * that stays pinned until they are written. One read and one write at a time.
 *
 * An event is never delivered from inside the call that caused it.
 *
 * transport_close() may be called at any time, from any event; 'closed' follows
 * when nothing is armed any more, and only then may the memory go.
 *
 * Threads: the worker's. Implementations: clear.c, sealed.c (TLS).
 */
#pragma once

#include "ring/ring.h"
#include "ring/ring_buf.h"
#include "ring/ring_net.h"

struct transport;
struct sealed;

/* What was not asked for is not told, and may be NULL. */
struct transport_user {
	/*
	 * res > 0: 'buf' holds res bytes and is the user's now; 'more' were waiting
	 * behind them. 0: end. -ECONNABORTED: an end that was not said as the peer's
	 * protocol wants it, so bytes may be missing. -EPROTO: what came is not of
	 * that protocol, or the peer has refused us by it. Else -errno.
	 */
	void (*bytes)(struct transport *t, struct ring_buf *buf, int32_t res, bool more);
	/* The pending write is over: 0 or -errno. */
	void (*written)(struct transport *t, int res);
	/* transport_connect(), or the handshake of an accepted connection, is over: 0 or -errno. */
	void (*connected)(struct transport *t, int res);
	/* The last event there is. */
	void (*closed)(struct transport *t);
};

struct transport_ops {
	void (*connect)(struct transport *t, const struct ring_addr *addr);
	void (*read)(struct transport *t, uint32_t len_max, bool idle);
	void (*watch)(struct transport *t);
	void (*write)(struct transport *t, const void *data, uint32_t len);
	void (*fail)(struct transport *t, int error);
	int32_t (*raw_file)(const struct transport *t);
	void (*finish)(struct transport *t);
	void (*close)(struct transport *t, bool abort);
};

struct transport {
	const struct transport_ops *ops;
	const struct transport_user *user;
	struct ring *ring;
	struct sealed *sealed; /* NULL: in the clear. */
	struct ring_op in;
	struct ring_op out;
	int32_t file;      /* -1 once closed. */
	uint32_t out_len;  /* Private: of the pending write. */
	uint32_t read_len; /* Private: of the read that is next, */
	int16_t out_error; /* Private: what transport_fail() asked for. */
	bool closing : 1;
	bool reading : 1; /* A read was asked for, and is not answered yet. */
	bool connecting : 1;
	bool read_idle : 1; /* its kind, */
	bool read_next : 1; /* and that there is one. */
	bool watching : 1;  /* Private: 'in' is a watch, which makes room for that read. */
};

/* A clear transport over an open file, which it owns from now on. Whoever takes it over sets 'user'. */
void clear_init(struct transport *t, const struct transport_user *user, struct ring *ring,
		int32_t file);

/* The file was made by ring_socket(). 'connected' follows. */
static inline void transport_connect(struct transport *t, const struct ring_addr *addr)
{
	t->ops->connect(t, addr);
}

/* Bytes are waiting to be read. After raw bytes were taken; otherwise 'bytes' tells. */
static inline bool transport_has_input(const struct transport *t)
{
	return !t->closing && ring_has_input(t->ring, t->file);
}

/* Ask for bytes; 'idle' as in ring_recv(). Not while a read is under way. */
static inline void transport_read(struct transport *t, bool idle)
{
	t->ops->read(t, RING_BUF_DATA, idle);
}

/* The same, idle, of at most 'len_max' bytes. */
static inline void transport_read_first(struct transport *t, uint32_t len_max)
{
	t->ops->read(t, len_max, true);
}

static inline bool transport_is_reading(const struct transport *t)
{
	return t->reading;
}

/*
 * Nothing is to be read for now: have 'bytes' say -ECONNRESET when the
 * connection breaks all the same. The peer's orderly end of its side is not
 * told, nor are bytes. The next read takes its place. Not while a read is under
 * way; asking twice is fine.
 */
static inline void transport_watch(struct transport *t)
{
	t->ops->watch(t);
}

/* 'data' is pinned until 'written', or 'closed'. Not while a write is pending. */
static inline void transport_write(struct transport *t, const void *data, uint32_t len)
{
	t->ops->write(t, data, len);
}

/* Have 'written' say 'error' (or 0) soon, without a write. Not while one is pending. */
static inline void transport_fail(struct transport *t, int error)
{
	t->ops->fail(t, error);
}

/* The ring file whose bytes are this transport's bytes, for splice; or -1. */
static inline int32_t transport_raw_file(const struct transport *t)
{
	return t->closing ? -1 : t->ops->raw_file(t);
}

/* Nothing more is written: the peer reads the end of our side. Not while a write is pending. */
static inline void transport_finish(struct transport *t)
{
	t->ops->finish(t);
}

/* 'abort': the peer is to see a reset instead of an orderly end. Asking twice is fine. */
static inline void transport_close(struct transport *t, bool abort)
{
	t->ops->close(t, abort);
}
