/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - what the request path asks: one immutable table of services and routes.
 *
 * A table is built off the workers, checked by table_check(), and never changes
 * once a seat (seat.h) was offered it. It holds no pointers, so a copy is a
 * memcpy and each worker has its own. Services and endpoints have slots that
 * stay the same from one generation to the next; run-time state (connections,
 * loads) is addressed by slot, never by pointer.
 *
 * Threads: written by the publisher before the offer, read by one worker after.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

enum {
	POLICY_SERVICES_MAX = 1,
	POLICY_ROUTES_MAX = 1,
	POLICY_ENDPOINTS_MAX = 64,
	POLICY_ADDRS_MAX = 8,  /* Addresses one name may stand for. */
	POLICY_HOSTS_MAX = 64, /* Names a listener may be asked for. */
	POLICY_NAME_MAX = 64,
	POLICY_HOST_TEXT_MAX = 255,
	POLICY_SERVER_NAME_MAX = 253,
	POLICY_TRUSTS_MAX = 1,
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
	uint16_t n_addrs; /* 0: its name does not resolve (yet). */
	uint16_t authority_len;
	char authority[POLICY_HOST_TEXT_MAX + 1]; /* "host:port" for the log and for probes. */
	uint8_t n_server_name;
	char server_name[POLICY_SERVER_NAME_MAX]; /* TLS: what its certificate must be for. */
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

struct policy_service {
	uint16_t n_name;
	char name[POLICY_NAME_MAX];
	uint16_t n_endpoints;
	uint16_t max_idle;     /* Idle upstream connections kept per worker and endpoint, */
	uint32_t max_idle_all; /* and per worker. */
	uint32_t max_requests; /* Per upstream connection; 0 is no limit. */
	uint8_t protocol;      /* enum policy_protocol. */
	uint8_t trust; /* TLS: slot of what its endpoints are judged by; not here, since it holds
				* files' contents and changes with them (core/server/certs.h). */
	struct policy_timeouts timeouts;
	struct policy_endpoint endpoints[POLICY_ENDPOINTS_MAX];
};

struct policy_route {
	uint16_t service;  /* Slot. */
	uint64_t max_body; /* Bytes; UINT64_MAX is no limit. */
	bool retry;        /* One retry on a dead reused connection. */
	uint8_t upgrades;  /* enum policy_upgrade bits; what is not there is not passed on. */
};

struct policy_host {
	uint16_t len;
	char text[POLICY_HOST_TEXT_MAX +
		  1]; /* Lower case; "*.example.org" stands for names below it. */
};

struct policy_table {
	uint32_t generation;
	bool enabled; /* False: 429 policy_disabled. */
	uint16_t n_services, n_routes, n_hosts;
	struct policy_host hosts[POLICY_HOSTS_MAX]; /* Empty: any host. */
	struct policy_route routes[POLICY_ROUTES_MAX];
	struct policy_service services[POLICY_SERVICES_MAX];
};

/* Every index in range, every text within its field. Traps when not: a builder's bug. */
void table_check(const struct policy_table *table);
