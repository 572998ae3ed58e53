/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - a policy as it is written: what its schema fills.
 *
 * Ownership: everything lies in the arena that it was bound with.
 */
#pragma once

#include "core/document/schema.h"

struct written_endpoint {
	struct slice address;
};

struct written_timeouts {
	uint64_t connect_ns, response_head_ns, idle_ns, write_stall_ns, tunnel_idle_ns;
};

struct written_pool {
	uint64_t max_idle, idle_ns;
	uint64_t max_requests; /* 0: no limit. */
};

struct written_service {
	struct slice name;
	uint32_t protocol; /* enum policy_protocol. */
	const struct written_endpoint *endpoints;
	uint32_t n_endpoints;
	struct written_timeouts timeouts;
	struct written_pool pool;
};

struct written_match {
	const struct slice *hosts;
	uint32_t n_hosts;
	struct slice path_prefix, path; /* Empty: not said. */
	const struct slice *methods;
	uint32_t n_methods;
	const struct schema_pair *headers;
	uint32_t n_headers;
};

struct written_route {
	struct slice name;
	struct written_match match;
	struct slice service;
	uint64_t max_body; /* UINT64_MAX: no limit. */
	uint32_t upgrades; /* enum policy_upgrade bits. */
};

struct written_policy {
	uint64_t version;
	bool enabled;
	const struct written_service *services;
	uint32_t n_services;
	const struct written_route *routes;
	uint32_t n_routes;
};

extern const struct schema policy_schema;
