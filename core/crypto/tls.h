/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - one TLS connection as a turn of bytes into bytes; no descriptor is in sight.
 *
 * The user lends what has come from the peer (give) and a place for what is to
 * go there (room), then calls one of the steps below until it says why it
 * cannot go on:
 *
 *     -EAGAIN   everything given was used; more from the peer is needed
 *     -ENOBUFS  the room is used up; send it and lend another
 *     -EPROTO   the peer broke the protocol, or is not trusted: tls_failure(). The
 *               room may hold an alert that should still be sent.
 *     -ENOMEM   the worker's pool is used up (crypto_pool.h)
 *
 * A step that said -ENOBUFS is repeated with the same arguments. Any step may
 * put bytes into the room: tickets, key updates, alerts.
 *
 * Ownership: tls_open() and tls_dial() allocate out of the thread's pool, tls_close() frees.
 * What is lent is used only during steps, until the next give or room.
 * Threads: one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

struct tls_client;
struct tls_server;

enum {
	TLS_PEER_NAME_MAX = 253,
	/* What a record adds to its payload at most (RFC 8446 5.2), and the most it carries. */
	TLS_RECORD_EXTRA = 5 + 256,
	TLS_RECORD_MAX = 16384,
};

enum tls_protocol { TLS_PROTOCOL_HTTP1, TLS_PROTOCOL_HTTP2 };

/* The version of OpenSSL that is in use: "3.0.19". */
const char *tls_version(void);
/*
 * Bytes of the pool that an idle connection holds at the most, behind its handshake: what
 * capacities are shared out by. Measured, per library, by tests/e2e/test_tls.py.
 */
size_t tls_memory(void);

enum tls_failure {
	TLS_FAILURE_OTHER,
	TLS_FAILURE_VERSION,     /* No version in common. */
	TLS_FAILURE_PLAIN_HTTP,  /* The peer speaks HTTP in the clear. */
	TLS_FAILURE_NAME,        /* No certificate for the name that was asked for. */
	TLS_FAILURE_PROTOCOL,    /* No application protocol in common. */
	TLS_FAILURE_CERTIFICATE, /* The peer's is missing, or not trusted. */
	TLS_FAILURE_EXPIRED,     /* The server's, or one of those above it, is not valid now. */
	TLS_FAILURE_ALERT,       /* The peer refused us. */
};

/* Whom a connection is made to. */
struct tls_peer {
	struct tls_client *client; /* Who dials. */
	struct slice name; /* The certificate must be for it: a host name, or an IP address. */
	uint32_t slot;     /* Of the client's peers: whose sessions may be resumed. */
	enum tls_protocol protocol; /* What is offered. */
};

struct tls {
	void *ssl;                 /* OpenSSL's. */
	struct tls_server *server; /* One of these two. */
	struct tls_client *client;
	const uint8_t *in;
	uint8_t *out;
	uint32_t in_len, out_len, out_size;
	uint8_t failure;          /* enum tls_failure. */
	uint32_t peer, peer_turn; /* Private: the client's slot, and whose it was. */
	int64_t until_s;          /* Private: of the session that was offered. */
};

/* The server's side of a connection. 0 or -ENOMEM. */
GW_MUST_USE int tls_open(struct tls *t, struct tls_server *server);
/* The client's side of one. 0 or -ENOMEM. */
GW_MUST_USE int tls_dial(struct tls *t, const struct tls_peer *peer);
void tls_close(struct tls *t);

static inline void tls_give(struct tls *t, const void *bytes, uint32_t len)
{
	t->in = bytes;
	t->in_len = len;
}

static inline void tls_room(struct tls *t, void *room, uint32_t size)
{
	t->out = room;
	t->out_len = 0;
	t->out_size = size;
}

/* 0 when it is done. */
GW_MUST_USE int tls_handshake(struct tls *t);

/* Payload: n > 0 bytes of it; 0 when the peer has said that it sends no more. */
GW_MUST_USE int32_t tls_read(struct tls *t, void *to, uint32_t len);

/* The payload that was put into the room, n > 0: all of it, or as many records as fit. */
GW_MUST_USE int32_t tls_write(struct tls *t, const void *from, uint32_t len);

/* Tell the peer that nothing more comes: an alert of a few bytes into the room. */
void tls_end(struct tls *t);

/* Payload is waiting in there, or may be: read before waiting for the peer. */
bool tls_has_input(const struct tls *t);

enum tls_failure tls_failure(const struct tls *t);

/* After the handshake. */
enum tls_protocol tls_protocol(const struct tls *t); /* HTTP/1 also when none was chosen. */
bool tls_is_resumed(const struct tls *t);
/* Of TLS 1.x: 2 or 3. */
uint8_t tls_minor(const struct tls *t);
/* What bytes are sealed with, as OpenSSL names it; good for ever. */
struct slice tls_cipher(const struct tls *t);
/* The server name that the client asked for, as it wrote it; empty: none. Good while it is open. */
struct slice tls_server_name(const struct tls *t);
/*
 * The server's side: are requests for this host, canonical (empty: none was named), meant for this
 * connection? Where the client was asked who it is, or names are strict, only if the entry that was
 * shown is for the host (RFC 9110 7.4). And where the listener asks at all, only if a client that
 * means this host would have been asked the same: not if another entry is the host's and either
 * asks. Elsewhere always.
 */
bool tls_serves(const struct tls *t, struct slice host);
