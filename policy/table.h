/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - what the request path asks: one immutable table of services and routes.
 *
 * A table is one block of memory, made by policy_compile() (compile.h) off the
 * workers. It never changes once a seat (seat.h) was offered it. It holds no
 * pointers: parts are found by their distance from its first byte, so a copy is
 * a memcpy and each worker has its own.
 *
 * Services, endpoints and routes have slots that stay the same from one
 * generation to the next as long as their names do; run-time state (connections,
 * loads, counters) is addressed by slot, never by pointer.
 *
 * Threads: written by the publisher before the offer, read by one worker after.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "policy/gcra.h"

enum {
	POLICY_SERVICES_MAX = 1024,
	POLICY_ENDPOINTS_MAX = 4096,       /* In all services. */
	POLICY_SERVICE_ENDPOINTS_MAX = 64, /* In one. */
	POLICY_ROUTES_MAX = 60000,
	POLICY_ADDRS_MAX = 8, /* Addresses one name may stand for. */
	POLICY_NAME_MAX = 64,
	POLICY_HOST_TEXT_MAX = 255,
	POLICY_SERVER_NAME_MAX = 253,
	POLICY_PATH_MAX = 1024,   /* Bytes of a path in a route. */
	POLICY_SEGMENTS_MAX = 31, /* In a prefix. */
	POLICY_METHODS_MAX = 16,  /* Of a route, */
	POLICY_HEADERS_MAX = 8,   /* and fields that must be equal. */
	POLICY_TRUSTS_MAX = 1,
	POLICY_RULES_MAX = 32,         /* Fields in one list of a route's rules, */
	POLICY_VALUE_MAX = 1024,       /* bytes of a field's value in them, */
	POLICY_RESPONSE_MAX = 1024,    /* and bytes that they come to for a response. */
	POLICY_LIMITS_MAX = 256,       /* Rate limits, */
	POLICY_ROUTE_LIMITS_MAX = 8,   /* and those of one route. */
	POLICY_AUTHS_MAX = 128,        /* Ways to be asked who one is; of one of them: */
	POLICY_KEYS_MAX = 32,          /* keys, issuers, audiences, */
	POLICY_KEY_MAX = 8192,         /* bytes of a key as it is written, */
	POLICY_CLAIMS_MAX = 8,         /* claims that are told, */
	POLICY_API_KEYS_MAX = 4096,    /* clients that are known by a key or a certificate. */
	POLICY_SCOPES_MAX = 8,         /* Of a route. */
	POLICY_ANSWER_MAX = 16 * 1024, /* Bytes of an answer that a route gives by itself. */
};

/* What a service's endpoints speak. */
enum policy_protocol {
	POLICY_HTTP,  /* HTTP/1.1 in the clear, */
	POLICY_HTTPS, /* over TLS; */
	POLICY_H2C,   /* HTTP/2 in the clear, by prior knowledge, */
	POLICY_H2,    /* over TLS. */
	POLICY_N_PROTOCOLS,
};

static inline bool policy_is_tls(enum policy_protocol protocol)
{
	return protocol == POLICY_HTTPS || protocol == POLICY_H2;
}

/* A number of bytes or elements somewhere in the table. */
struct policy_part {
	uint32_t at; /* Bytes from the table's first. */
	uint32_t n;
};

struct policy_addr {
	uint8_t family; /* AF_INET, AF_INET6, AF_UNIX. */
	uint8_t path_len;
	uint16_t port;
	union {
		uint8_t ip[16];
		char path[108];
	};
};

/* One endpoint as its operator wrote it, with the addresses that it has now. */
struct policy_endpoint {
	uint16_t slot;
	uint16_t n_addrs;               /* 0: its name does not resolve (yet). */
	struct policy_part authority;   /* Text: "host:port" for the log and for probes. */
	struct policy_part server_name; /* Text. TLS: what its certificate must be for. */
	struct policy_addr addrs[POLICY_ADDRS_MAX];
};

/* Protocols that a route may let a connection be turned into: bits of policy_route.upgrades. */
enum policy_upgrade { POLICY_UPGRADE_WEBSOCKET = 1 };

/* Spans in nanoseconds; 0 is off. */
struct policy_timeouts {
	uint64_t connect_ns;
	uint64_t response_head_ns; /* From the whole request sent to the response head. */
	uint64_t body_idle_ns;     /* Without progress, either direction. */
	uint64_t write_stall_ns;   /* Without progress while sending. */
	uint64_t pool_idle_ns;     /* An unused upstream connection is kept so long. */
	uint64_t tunnel_idle_ns;   /* Without a byte, either direction, behind a 101. */
};

/* Element 'slot' of the table's services; without a name: nobody has that slot. */
struct policy_service {
	struct policy_part name;      /* Text. */
	struct policy_part endpoints; /* struct policy_endpoint. */
	uint16_t max_idle;            /* Idle upstream connections kept per worker and endpoint, */
	uint32_t max_idle_all;        /* and per worker. */
	uint32_t max_requests;        /* Per upstream connection; 0 is no limit. */
	uint8_t protocol;             /* enum policy_protocol. */
	uint8_t trust; /* TLS: slot of what its endpoints are judged by; not here, since it holds
				* files' contents and changes with them (core/server/certs.h). */
	struct policy_timeouts timeouts;
};

/* A field that a request must have. */
struct policy_field {
	struct policy_part name;  /* Text, lower case. */
	struct policy_part value; /* Text. */
};

/* What becomes of fields: these names go, then these lines come. */
struct policy_rules {
	struct policy_part drops; /* Text: names in lower case, a '\n' behind each. */
	struct policy_part lines; /* Template (template.h). */
};

struct policy_cookies {
	struct policy_part names; /* struct policy_part, each a text. */
	uint32_t max;             /* Bytes of all of them; 0: no limit. */
	bool allow;               /* Only the names pass; else all but the names. */
};

/* Another origin's pages (https://fetch.spec.whatwg.org, "CORS protocol"). */
struct policy_cors {
	struct policy_part origins;   /* struct policy_part, each a text. None: no CORS. */
	struct policy_part lines;     /* Template: with an answer to an origin that is allowed, */
	struct policy_part preflight; /* and what an answer to a preflight says besides. */
};

/* Instead of a service's. */
struct policy_answer {
	uint16_t status;             /* 0: the service answers. */
	struct policy_part location; /* Template; empty: no redirect. */
	struct policy_part type;     /* Text. */
	struct policy_part body;     /* Bytes. */
};

/* What a route does with requests and answers besides passing them on. */
struct policy_handling {
	struct policy_rules request, response;
	struct policy_part host; /* Text, in place of the request's; or empty. */
	struct policy_part path; /* Template, the same. */
	struct policy_cookies cookies;
	struct policy_cors cors;
	struct policy_answer answer;
};

/* What has a bucket of its own under a rate limit. */
enum policy_limit_by {
	POLICY_BY_ALL,       /* Nothing: there is one bucket. */
	POLICY_BY_CLIENT_IP, /* IPv6 by /64. */
	POLICY_BY_HEADER,    /* A field's value; all without it share one. */
	POLICY_BY_ROUTE,
	POLICY_BY_SERVICE,
	POLICY_BY_CLAIM, /* Of the token, by which the route knows its client. */
	POLICY_N_LIMIT_BYS
};

struct policy_limit {
	uint16_t slot;            /* Of its bucket, when it has only one. */
	uint8_t by;               /* enum policy_limit_by. */
	bool told;                /* Answers say what is left. */
	struct policy_part name;  /* Text. */
	struct policy_part field; /* Text: of BY_HEADER, BY_CLAIM. */
	uint64_t identity;        /* Stays as long as its name and what it goes by do. */
	struct gcra_rule rule;
};

enum policy_auth_by { POLICY_BY_JWT, POLICY_BY_API_KEY, POLICY_BY_CERTIFICATE, POLICY_N_AUTH_BYS };

/* A claim that is of use, with the field that tells it to the service; or without. */
struct policy_claim {
	struct policy_part name;   /* Text. */
	struct policy_part header; /* Text, lower case; or empty. */
};

/* A client that is known by the SHA-256 of its key. */
struct policy_client {
	uint8_t sha256[32];
	struct policy_part name; /* Text. */
};

/* Who may ask. */
struct policy_auth {
	uint8_t by;    /* enum policy_auth_by. */
	uint16_t ring; /* BY_JWT: what its tokens are judged by, in the keyring (keyring.h). */
	struct policy_part name;         /* Text. */
	struct policy_part claims;       /* BY_JWT: struct policy_claim. */
	struct policy_part header;       /* BY_API_KEY: text, */
	struct policy_part name_header;  /* the same, or empty; */
	struct policy_part clients;      /* struct policy_client, sorted. */
	struct policy_part certificates; /* BY_CERTIFICATE: struct policy_part, texts of SHA-256 */
	struct policy_part subjects;     /* and of names. */
};

#define POLICY_NO_SERVICE UINT16_MAX

struct policy_route {
	uint16_t slot;
	uint16_t service;           /* Slot; NO_SERVICE: it answers by itself. */
	uint16_t auth;              /* 1 + index; 0: everybody may ask. */
	uint16_t prefix_len;        /* Of a path, what is matched and is not 'rest'. */
	struct policy_part name;    /* Text. */
	struct policy_part methods; /* struct policy_part, each a text. None: any method. */
	struct policy_part fields;  /* struct policy_field: all must be there. */
	uint64_t max_body;          /* Bytes; UINT64_MAX is no limit. */
	bool retry;                 /* One retry on a dead reused connection. */
	uint8_t upgrades; /* enum policy_upgrade bits; what is not there is not passed on. */
	struct policy_part handling; /* struct policy_handling: one, or none. */
	struct policy_part limits;   /* uint16_t: indices in the table's limits. */
	struct policy_part scopes;   /* struct policy_part, each a text: all are needed. */
};

/* An element of a hash table (find.h), free when its hash is 0: of hosts, or of paths of hosts. */
struct policy_key {
	uint64_t hash;
	struct policy_part text; /* A host's name, or the end of one; or a path. */
	uint32_t host;           /* Its place in 'hosts'. */
	struct policy_part
		routes; /* Of a path: uint32_t, indices of routes in the order of trying. */
};

/* A host's routes. */
struct policy_host {
	uint32_t depths; /* Bit n: there is a prefix of n segments. */
	bool exact;      /* There are paths that are matched as a whole. */
};

#define POLICY_NO_HOST UINT32_MAX

/* Where the next new name gets its slot from: slots are left alone for as long as there are others. */
struct policy_cursors {
	uint32_t services, endpoints, routes, limits;
};

struct policy_table {
	uint32_t size; /* Bytes, with all parts. */
	uint32_t generation;
	uint32_t edition;  /* Counts tables; also those that differ in addresses alone. */
	uint32_t any_host; /* In 'hosts': for whom no other is; or POLICY_NO_HOST. */
	bool enabled;      /* False: 429 policy_disabled. */
	struct policy_cursors cursors;
	struct policy_part services, routes, limits, auths, hosts;
	/* struct policy_part, texts: fields by which any of the auths tells who asks. */
	struct policy_part told;
	/* Hash tables of struct policy_key, their sizes powers of 2; or empty. */
	struct policy_part exact_hosts;     /* By name; */
	struct policy_part wildcard_hosts;  /* by what a name ends in: ".example.org". */
	struct policy_part prefixes, paths; /* By host and path. */
};

static inline const void *table_at_(const struct policy_table *table, uint32_t at)
{
	return (const char *)table + at;
}

static inline struct slice table_text(const struct policy_table *table, struct policy_part text)
{
	return slice_make(table_at_(table, text.at), text.n);
}

static inline const struct policy_service *table_service(const struct policy_table *table,
							 uint32_t slot)
{
	GW_ASSERT(slot < table->services.n);
	return (const struct policy_service *)table_at_(table, table->services.at) + slot;
}

static inline const struct policy_endpoint *
table_endpoint(const struct policy_table *table, const struct policy_service *service, uint32_t i)
{
	GW_ASSERT(i < service->endpoints.n);
	return (const struct policy_endpoint *)table_at_(table, service->endpoints.at) + i;
}

static inline const struct policy_route *table_route(const struct policy_table *table, uint32_t i)
{
	GW_ASSERT(i < table->routes.n);
	return (const struct policy_route *)table_at_(table, table->routes.at) + i;
}

static inline const struct policy_limit *table_limit(const struct policy_table *table, uint32_t i)
{
	GW_ASSERT(i < table->limits.n);
	return (const struct policy_limit *)table_at_(table, table->limits.at) + i;
}

static inline const struct policy_auth *table_auth(const struct policy_table *table, uint32_t i)
{
	GW_ASSERT(i < table->auths.n);
	return (const struct policy_auth *)table_at_(table, table->auths.at) + i;
}

/* Who may take the route; NULL: everybody. */
static inline const struct policy_auth *table_route_auth(const struct policy_table *table,
							 const struct policy_route *route)
{
	return route->auth ? table_auth(table, route->auth - 1u) : NULL;
}

/* The i-th of a route's limits. */
static inline const struct policy_limit *
table_route_limit(const struct policy_table *table, const struct policy_route *route, uint32_t i)
{
	GW_ASSERT(i < route->limits.n);
	return table_limit(table, ((const uint16_t *)table_at_(table, route->limits.at))[i]);
}

/* NULL: the route passes on what there is. */
static inline const struct policy_handling *table_handling(const struct policy_table *table,
							   const struct policy_route *route)
{
	return route->handling.n
		       ? (const struct policy_handling *)table_at_(table, route->handling.at)
		       : NULL;
}

/* Element i of a list of texts. */
static inline struct slice table_text_of(const struct policy_table *table, struct policy_part list,
					 uint32_t i)
{
	GW_ASSERT(i < list.n);
	return table_text(table, ((const struct policy_part *)table_at_(table, list.at))[i]);
}

/* Every part inside, every index in range, every slot once. Traps when not: a builder's bug. */
void table_check(const struct policy_table *table);
