/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.h - one listening socket of one worker, and the gate in front of it.
 *
 * Accepting stops before a table is full (a connection that was accepted and
 * finds no slot is lost to its client) and resumes with hysteresis.
 *
 * A drain asks the kernel to begin no connection any more and keeps the gate
 * at work until none can be left that had begun; then the socket closes. What
 * waits for room holds it up, as does a failing accept.
 *
 * Threads: the worker's.
 */
#pragma once

#include "core/base/list.h"
#include "core/proxy/peer.h"
#include "ring/ring.h"

struct proxy;
struct tls_server;

/* clang-format off */
#define LISTENER_STATES(X) \
	X(OPEN, TO(PAUSING) | TO(CLOSING))              /* Accepting. */ \
	X(PAUSING, TO(OPEN) | TO(PAUSED) | TO(CLOSING)) /* Asked to stop, to pause or to go on in another way. */ \
	X(PAUSED, TO(OPEN) | TO(CLOSING))               /* Some table is nearly full, or accepting failed. */ \
	X(CLOSING, TO(CLOSED))                          /* Asked to end. */ \
	X(CLOSED, 0)
/* clang-format on */

enum listener_state {
#define X(name, next) LISTENER_##name,
	LISTENER_STATES(X)
#undef X
		LISTENER_N_STATES
};

/* What is spoken, and whom is believed; the networks and the TLS server outlive the listener. */
struct listener_spec {
	const struct peer_net *trusted;
	uint32_t n_trusted;
	struct tls_server *tls; /* NULL: in the clear. */
	bool h1, h2;            /* At least one; in the clear h2 is by prior knowledge. */
};

struct listener {
	struct proxy *proxy;
	struct ring_op accept;
	struct ring_timer retry; /* While paused. */
	struct ring_timer look;  /* In a drain: whether it is over. */
	struct list_node link;   /* In proxy->listeners. */
	struct listener_spec spec;
	int32_t file;
	uint8_t state; /* enum listener_state. */
	bool one;      /* Accepting one at a time, since there is not room for a whole queue. */
	bool draining;
	bool stirred;      /* Accepted something, or not at all, since the drain last looked. */
	uint64_t stays_ns; /* A drain goes on until then at least. */
};

/* 'file' listens (ring_net.h) and is the listener's from now on; so is the memory until it is closed. */
void listener_open(struct listener *listener, struct proxy *proxy, int32_t file,
		   const struct listener_spec *spec);

/*
 * Let nobody new in, accept what the kernel has begun, then close: after half a second, or when
 * there was room for all of them. No effect when asked again.
 */
void listener_drain(struct listener *listener);

/* Close without looking. */
void listener_close(struct listener *listener);

bool listener_trusts(const struct listener *listener, const struct peer *peer);

/* A connection was taken, or has ended: the gate may have to move. */
void listener_took(struct listener *listener);
void listener_released(struct listener *listener);
