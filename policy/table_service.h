/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_service.h - the part of a table that says who answers. Included by table.h.
 *
 * Parts are found by their distance from the table's first byte.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "policy/bounds.h"

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
