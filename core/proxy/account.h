/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account.h - what is known about one request when it is over: counted and logged.
 *
 * The exchange fills the facts in as they happen; account_close() turns them
 * into metrics and, when this request is sampled, into one record of the access
 * log (docs/access-log.md), which the writer thread formats.
 *
 * Threads: the worker's; account_format() runs on the log's writer thread.
 */
#pragma once

#include "core/base/writer.h"
#include "core/http/head.h"
#include "core/proxy/peer.h"
#include "policy/table.h"

struct proxy;
struct tls;

enum { ACCOUNT_HOST = 128, ACCOUNT_PATH = 512, ACCOUNT_ID = 64, ACCOUNT_UPSTREAM = 64 };

/* Who ended it, told with the phase in which it ended. */
/* clang-format off */
#define ACCOUNT_ENDERS(X) \
	X(NOBODY, "none")         /* It ran to its end. */ \
	X(CLIENT, "client")       \
	X(UPSTREAM, "upstream")   \
	X(GATEWAY, "gateway")
#define ACCOUNT_PHASES(X) \
	X(HEAD, "head")           /* The request's head. */ \
	X(CONNECT, "connect")     \
	X(REQUEST, "request")     /* Sending the request, its body included. */ \
	X(WAIT, "wait")           /* For the response's head. */ \
	X(RESPONSE, "response")   /* Sending the response. */ \
	X(TUNNEL, "tunnel")       /* Behind a 101. */
/* clang-format on */

enum account_ender {
#define X(id, text) ACCOUNT_BY_##id,
	ACCOUNT_ENDERS(X)
#undef X
};

enum account_phase {
#define X(id, text) ACCOUNT_IN_##id,
	ACCOUNT_PHASES(X)
#undef X
};

/* Text that is logged, kept only while a request is sampled. */
struct account_text {
	uint16_t host_len, path_len, id_len, upstream_len, sni_len, route_len, service_len;
	uint16_t limit_len;
	char host[ACCOUNT_HOST];
	char path[ACCOUNT_PATH];
	char id[ACCOUNT_ID];
	union { /* Who is refused by a limit is not passed on. */
		char upstream[ACCOUNT_UPSTREAM];
		char limit[POLICY_NAME_MAX];
	};
	char sni[ACCOUNT_HOST];
	char route[POLICY_NAME_MAX];
	char service[POLICY_NAME_MAX];
};

/* Moments are monotonic ns of the worker's clock; 0: it did not come to that. */
struct account {
	uint64_t begun_ns, connected_ns, sent_ns, first_byte_ns;
	uint64_t received_ns, ended_ns; /* All of the response: from upstream, by the client. */
	uint64_t tunnel_ns;             /* The 101 was passed on; what follows counts as bodies. */
	uint64_t bytes_in, bytes_out;   /* Body bytes: of the request, of the response. */
	uint64_t bytes_copied, bytes_spliced; /* Of both. */
	struct peer peer;
	uint32_t generation;
	uint16_t status;          /* Sent to the client; 0: none. */
	uint16_t upstream_status; /* Received; 0: none. */
	uint16_t reason;          /* enum reason. */
	uint16_t route;           /* Slot, or METRIC_NAME_*. */
	uint16_t service;
	uint8_t method;               /* enum http_method. */
	uint8_t minor;                /* Of HTTP/1.x. */
	struct slice tls_cipher;      /* The client's; never freed. */
	uint8_t tls;                  /* The client's: of TLS 1.x, 0: in the clear. */
	uint8_t upstream_tls;         /* The upstream's, the same. */
	uint8_t upstream_tls_failure; /* 0: none; else 1 + enum metric_tls_failure. */
	uint8_t ender;                /* enum account_ender. */
	uint8_t phase;                /* enum account_phase. */
	uint8_t retries;
	bool h2; /* The client spoke HTTP/2. */
	bool reused;
	bool asked_upstream; /* It got as far as choosing an endpoint. */
	bool sampled;
};

struct account_record {
	struct account account;
	struct account_text text;
	uint64_t wall_ns;
	uint32_t worker;
};

void account_begin(struct proxy *proxy, struct account *account, const struct peer *peer);

/* Copies what the log will show of the head; the query and all fields stay out. */
void account_head(struct account *account, struct account_text *text, const struct http_head *head);
/* The same of its TLS session; NULL: there is none. */
void account_session(struct account *account, struct account_text *text, const struct tls *session);
/* The names of its route, and of its service if it has one. */
void account_names(const struct account *account, struct account_text *text,
		   const struct policy_table *table, uint32_t route);
/* The limit that has refused it. */
void account_limit(const struct account *account, struct account_text *text,
		   const struct policy_table *table, const struct policy_limit *limit);
void account_close(struct proxy *proxy, struct account *account, const struct account_text *text);

/* log_format_fn of the access log: one JSON line. */
void account_format(const void *record, struct writer *out);
