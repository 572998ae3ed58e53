/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream.h - connections towards endpoints: made, kept for reuse, given up.
 *
 * Whoever needs a stream embeds a struct upstream_call. The answer is a stream
 * (pooled ones at once, by return value), or a failure, exactly once, unless
 * upstream_cancel() came first.
 *
 * A pooled connection keeps its receive armed, so that one which the peer has
 * closed is known before it is used. The pool's key is the endpoint, the very
 * address, and its 'turn', which goes on when protocol, server name or TLS client
 * change: what was made under others is not used again. Last in, first out.
 *
 * An HTTP/2 connection carries many requests. It is BUSY while it has one and
 * listed with its endpoint as long as it would take another; requests that come
 * while the first connection is being made wait for it together. It is made when
 * its peer has said how many it takes; who finds no place then waits for another,
 * as do those that come when all that are there are full.
 *
 * The table of connections never fills up with idle ones: some places are kept
 * for requests that need a new connection, and the one that has idled longest
 * goes, whosever it is.
 *
 * Threads: the worker's.
 */
#pragma once

#include "core/proxy/deadline.h"
#include "core/proxy/h1.h"
#include "core/proxy/h2.h"
#include "policy/table.h"

struct tls_client;
struct upstream;
struct upstream_call;

struct upstream_call_user {
	void (*ready)(struct upstream_call *call, struct stream *stream);
	void (*failed)(struct upstream_call *call, enum reason reason);
};

struct upstream_call {
	const struct upstream_call_user *user;
	struct upstream *upstream; /* Private: being connected, */
	struct list_node link;     /* and in its list of calls. */
	int32_t endpoint;          /* Slot that was chosen (of all services'); -1 before. */
	uint16_t service;
	bool reused;         /* The stream's connection has carried a request before. */
	uint8_t tls;         /* Of TLS 1.x, which that speaks; 0: in the clear, or not there. */
	uint8_t tls_failure; /* 0: none; else 1 + enum metric_tls_failure. */
};

/* clang-format off */
#define UPSTREAM_STATES(X) \
	X(CONNECTING, TO(BUSY) | TO(CLOSING))    \
	X(BUSY, TO(IDLE) | TO(CLOSING))          \
	X(IDLE, TO(BUSY) | TO(CLOSING))          \
	X(CLOSING, 0)
/* clang-format on */

enum upstream_state {
#define X(name, next) UPSTREAM_##name,
	UPSTREAM_STATES(X)
#undef X
		UPSTREAM_N_STATES
};

struct upstream {
	union {
		struct transport transport; /* The codec's first member, there before it. */
		struct h1 h1;
		struct h2 h2;
	};
	struct proxy *proxy;
	struct deadline deadline;  /* Connecting, or idle. */
	struct list_counted calls; /* CONNECTING: who waits for it. */
	struct list_node
		link; /* In one of its endpoint's lists: idle; HTTP/2: sharing, connecting. */
	struct list_node all; /* IDLE: in that of all endpoints. */
	uint64_t since_ns;    /* When it began to connect, or became idle. */
	uint64_t until_ns;    /* It has so long to connect. */
	struct policy_addr addr;
	uint32_t turn; /* The endpoint's, when this began. */
	uint16_t service, endpoint;
	uint8_t protocol; /* enum policy_protocol. */
	uint8_t state;    /* enum upstream_state. */
};

enum upstream_got { UPSTREAM_READY, UPSTREAM_COMING, UPSTREAM_FAILED };

struct upstream_wish {
	uint64_t connect_ns; /* At most so long until a new connection is there. */
	int32_t avoid;       /* The endpoint that has just failed, or -1. */
	uint16_t service;
	bool fresh; /* No connection that has carried a request before. */
};

/*
 * A stream to an endpoint of the service. READY: *ret_stream. COMING: an event
 * follows, at most connect_ns later. FAILED: *ret_reason. In flight until
 * upstream_done().
 */
enum upstream_got upstream_get(struct proxy *proxy, struct upstream_call *call,
			       const struct upstream_wish *wish, struct stream **ret_stream,
			       enum reason *ret_reason);

/* What a service's upstreams speak: requests are put into its form before there is a stream. */
const struct codec *upstream_codec(const struct proxy *proxy, uint16_t service);

/* The request of a call is over, however it ended: it is no load any more. */
void upstream_done(struct proxy *proxy, struct upstream_call *call);

/* Before 'ready': forget it. */
void upstream_cancel(struct upstream_call *call);

/*
 * TLS goes on with these clients, by slot of policy_service.trust; connections that were made with
 * others leave the pool.
 */
void upstream_trust(struct proxy *proxy, struct tls_client *const *trusts, uint32_t n_trusts);

/* Mirror the endpoints of a table; connections to addresses that are gone leave the pool. */
void upstream_adopt(struct proxy *proxy, const struct policy_table *table);

/* Close what is idle, of all endpoints. */
void upstream_purge(struct proxy *proxy);
void upstream_check(const struct upstream *upstream);
