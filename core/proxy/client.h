/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - one accepted connection: its codec, its deadlines, where its requests go.
 *
 * The connection begins as a transport; when it is known which protocol is
 * spoken (by ALPN, or by the first bytes), a codec takes it over. The codec says what the connection waits for;
 * this file knows for how long, and opens an exchange for each request.
 *
 * Threads: the worker's.
 */
#pragma once

#include "core/proxy/deadline.h"
#include "core/proxy/h1.h"
#include "core/proxy/h2.h"
#include "core/proxy/peer.h"

/* clang-format off */
#define CLIENT_STATES(X) \
	X(SHAKING, TO(SNIFFING) | TO(SERVING) | TO(OVER)) /* TLS has not agreed yet. */ \
	X(SNIFFING, TO(SERVING) | TO(OVER))               /* The first bytes will tell the protocol. */ \
	X(SERVING, TO(OVER))                              /* A codec has the connection. */ \
	X(OVER, 0)                                        /* Waits for its transport's last event. */
/* clang-format on */

enum client_state {
#define X(name, next) CLIENT_##name,
	CLIENT_STATES(X)
#undef X
		CLIENT_N_STATES
};

struct client {
	union {
		struct transport transport; /* The codec's first member. */
		struct h1 h1;
		struct h2 h2;
	};
	struct proxy *proxy;
	struct listener *listener;
	struct deadline deadline;
	struct peer peer;
	uint8_t state;          /* enum client_state. */
	uint8_t phase;          /* enum codec_phase; IDLE before there is a codec. */
	bool is_h2;             /* SERVING: by which codec. */
	struct ring_buf *first; /* SNIFFING: what came so far. */
	uint32_t charged;  /* What its handshake was charged by: the limit then; 0: by nothing. */
	uint8_t n_lingers; /* Spans of linger_ns in which more came. */
	bool counted;      /* In proxy_shared.peers. */
	bool trusted;      /* A proxy whose word on its clients is believed. */
};

/* Serve a file that was accepted, or close it when that cannot be. */
void client_accept(struct listener *listener, int32_t file);

/* Serve no further request; closes when idle. */
void client_last(struct client *client);
void client_close(struct client *client);
void client_check(const struct client *client);
