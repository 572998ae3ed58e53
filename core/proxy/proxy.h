/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy.h - everything that one worker proxies with: its objects, bounds and state.
 *
 * One per worker, made before its ring runs. All memory is reserved by
 * proxy_create(); afterwards nothing here allocates. Tables of connections and
 * requests are slabs; what is in use is what is alive.
 *
 * Threads: created by any thread before the worker starts; the worker's alone
 * from then on, except the metric set and struct proxy_shared, which say so.
 */
#pragma once

#include <stdatomic.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/recorder.h"
#include "core/base/rng.h"
#include "core/base/slab.h"
#include "core/http/chunk.h"
#include "core/http/h1_parse.h"
#include "core/http/h2_session.h"
#include "core/proxy/auth.h"
#include "core/proxy/limits.h"
#include "core/proxy/peer_rate.h"
#include "core/proxy/turns.h"
#include "policy/decide.h"
#include "policy/seat.h"
#include "ring/ring.h"

enum { QUEUE_SHARES = 256 }; /* Clients are told apart by a hash: few share one by accident. */

struct certs;
struct listener;
struct tls_client;

/*
 * A head that came in pieces, or one too large for its request's own room. The slab's
 * objects are large enough for HTTP/2's (struct h2_block) and those of requests that wait for
 * their turn (struct exchange_queued), too.
 */
struct head_block {
	struct h1_parser parser;
	uint32_t len;
	char text[HTTP_HEAD_TEXT];
};

/* What the operator set, the same for all workers. Spans in nanoseconds; 0 is off. */
struct proxy_options {
	struct h1_limits limits;
	uint64_t head_ns;         /* From a request's first byte to the end of its head. */
	uint64_t keepalive_ns;    /* Between two requests. */
	uint64_t write_stall_ns;  /* For an answer of ours to leave. */
	uint64_t handshake_ns;    /* From acceptance to the end of a TLS handshake. */
	uint64_t linger_ns;       /* Without a byte of what follows the last reply. */
	uint64_t tunnel_grace_ns; /* From the beginning of a drain to the end of its tunnels. */
	uint64_t splice_min;      /* Bodies from here on are spliced; UINT64_MAX: never. */
	uint32_t clients_max;     /* Per worker, this and the next. */
	uint32_t upstreams_max;
	uint32_t heads_max;
	uint32_t sealed_max;     /* So many connections speak TLS; 0: none does. */
	uint32_t h2_streams_max; /* Streams of HTTP/2 in all; 0: nobody speaks it. */
	uint32_t h2_total_max;   /* On one connection before it is told to go; 0: no limit. */
	uint32_t per_client;     /* Connections of one address, over all workers; 0: no limit. */
	uint32_t
		handshakes; /* Full ones per second of one network, over all workers; 0: no limit. */
	uint32_t log_sample; /* Log one of so many requests; 0: none. */
	const struct certs
		*certs; /* The server's: workers find their TLS servers there. NULL: none. */
	struct slice health_path; /* Answered here; empty: off. */
	struct slice via;         /* Our name in Via, unique to this instance. */
	bool redact_query;        /* Logs show the path only. */
};

/* What all workers look at. */
struct proxy_shared {
	struct peer_counts peers;     /* Connections by client address. */
	struct peer_rates handshakes; /* By client network. */
	_Atomic bool unready;         /* /health says 503: set while draining. */
	struct limits_shared *limits; /* NULL: no table has limits. */
	struct keyring *keyring;      /* NULL: or tokens. */
};

/* Run-time state of an endpoint slot: outlives the tables that name it. */
struct proxy_endpoint {
	uint32_t edition;         /* Of the latest table that has named it; 0: none has yet. */
	struct list_counted idle; /* Upstream connections; the latest used first. */
	struct list sharing;      /* HTTP/2: in use, with room for more; */
	struct list connecting;   /* being made. */
	uint32_t n_active;        /* Requests in flight. */
	uint32_t n_open;          /* Connections, idle ones included. */
	uint32_t streams_max;     /* HTTP/2: which the peer was last seen to allow; 0: not seen. */
	uint16_t n_addrs;
	uint16_t next_addr; /* Takes turns. */
	uint16_t service;   /* Whose it is, and as in that: */
	uint8_t protocol, trust;
	uint32_t turn; /* How often what is spoken with it changed: part of the pool's key. */
	uint64_t
		learned_idle_ns; /* The peer was seen to close idle connections after this; 0: not seen. */
	struct policy_addr addrs[POLICY_ADDRS_MAX];
	struct slice authority; /* Into authority_text. */
	char authority_text[POLICY_HOST_TEXT_MAX + 1];
	struct slice server_name; /* TLS: into server_name_text. */
	char server_name_text[POLICY_SERVER_NAME_MAX];
};

struct proxy_service {
	uint16_t n_endpoints;
	uint16_t endpoints[POLICY_SERVICE_ENDPOINTS_MAX]; /* Slots. */
	uint16_t max_idle;
	uint32_t max_idle_all;
	uint32_t max_requests;
	uint64_t pool_idle_ns;
	uint8_t protocol; /* enum policy_protocol. */
	uint8_t trust;    /* Slot in proxy.trusts. */
};

struct proxy {
	/* Set at the start. */
	struct ring *ring;
	const struct proxy_options *options;
	struct proxy_shared *shared;
	struct metric_set *metrics;
	struct log_source *log; /* NULL: no access log. */
	struct policy_seat *seat;
	uint32_t worker;

	/* Objects. */
	struct slab clients, upstreams, exchanges, heads;
	struct slab sealed; /* Of those connections that speak TLS. */
	struct slab h2_streams;
	struct h2_shared *h2; /* NULL: nobody speaks HTTP/2. */
	struct list listeners;

	/* State. */
	struct tls_client *trusts[POLICY_TRUSTS_MAX]; /* By slot; upstream_trust() sets them. */
	const struct policy_table *table;             /* Which 'services' mirrors; the seat's. */
	uint32_t n_services, n_endpoints; /* Slots that were ever in use: below these. */
	struct proxy_service services[POLICY_SERVICES_MAX];
	struct proxy_endpoint endpoints[POLICY_ENDPOINTS_MAX];
	struct rng rng;
	struct clock_date date;
	uint64_t log_counter;
	struct turns handshakes;          /* Of clients. */
	struct turns tokens;              /* Of requests: signatures are checked. */
	uint32_t queued_by[QUEUE_SHARES]; /* Those that wait, by their clients' hash. */
	struct leases leases;             /* Of the shared limits. */
	struct auth auth;
	struct list_counted idle; /* Upstream connections in all idle lists, the latest first. */
	uint32_t n_upstreams_closing; /* Their places will be free soon. */
	uint64_t tunnels_until_ns;    /* When tunnels are ended; UINT64_MAX: not yet known. */
	bool draining;
	bool aborting; /* What the kernel still hands over is not served. */

	struct recorder recorder; /* What happened last; its thread attaches it. */

	/* Scratch, never held across a handler. */
	struct h1_parser parser;
	struct h2_block h2_block;
	char trailers[CHUNK_TRAILERS_MAX];
	char target[16 * 1024];               /* A path that a route has rewritten. */
	char extra[HTTP_HEAD_MAX + 8192];     /* Lines of ours, with what trusted proxies said. */
	char head_text[HTTP_HEAD_MAX + 8192]; /* A response's head. */
};

/* Everything a proxy needs from outside; all of it outlives the proxy. */
struct proxy_parts {
	struct ring *ring;
	const struct proxy_options *options;
	struct proxy_shared *shared;
	struct metric_set *metrics;
	struct policy_seat *seat; /* Something was offered. */
	uint32_t worker;
	uint64_t seed;
};

GW_MUST_USE int proxy_create(const struct proxy_parts *parts, struct proxy **ret_proxy);

/* Nothing may be left: no client, upstream or exchange. Traps otherwise. */
void proxy_destroy(struct proxy *proxy);

/* The table to judge by; adopts a newer one first. Good until the handler returns. */
const struct policy_table *proxy_table(struct proxy *proxy);

/* Invariants of everything alive; for tests and the simulator. */
void proxy_check(const struct proxy *proxy);

/* No connection, request, upstream connection or listener is left. */
bool proxy_is_quiet(const struct proxy *proxy);

/*
 * Finish: idle clients and pooled upstreams close, running requests end their
 * connections with their reply, tunnels are ended after their grace. Listeners are not touched (listener.h).
 */
void proxy_drain(struct proxy *proxy);

/* The deadline of a drain has come: close everything now. */
void proxy_abort(struct proxy *proxy);
