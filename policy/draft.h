/* SPDX-License-Identifier: Apache-2.0 */
/*
 * draft.h - a policy as plain lists, before it is compiled to a table.
 *
 * Everything in it has been checked by who has made it, against the bounds of
 * table.h. Texts and lists are the maker's.
 */
#pragma once

#include "policy/table.h"

struct draft_endpoint {
	uint16_t slot; /* One of its own. */
	uint16_t n_addrs;
	struct slice authority;
	struct slice server_name;
	struct slice host; /* A name that has to be looked up for 'addrs'; or empty. */
	uint16_t port;     /* Of that name. */
	struct policy_addr addrs[POLICY_ADDRS_MAX];
};

struct draft_service {
	uint16_t slot; /* One of its own. */
	struct slice name;
	const struct draft_endpoint *endpoints;
	uint32_t n_endpoints;
	/* As in struct policy_service. */
	uint16_t max_idle;
	uint32_t max_idle_all;
	uint32_t max_requests;
	uint8_t protocol;
	uint8_t trust;
	struct policy_timeouts timeouts;
};

struct draft_field {
	struct slice name; /* Lower case. */
	struct slice value;
};

struct draft_match {
	const struct slice *hosts; /* Lower case; "*.example.org"; none: any host. */
	uint32_t n_hosts;
	struct slice path; /* Canonical, beginning with '/'. */
	bool is_exact;     /* Else a prefix, of whole segments; one '/' at its end means nothing. */
	const struct slice *methods; /* None: any. */
	uint32_t n_methods;
	const struct draft_field *fields;
	uint32_t n_fields;
};

/* As the structures of table.h, with templates compiled. */
struct draft_rules {
	struct slice drops, lines;
};

struct draft_texts {
	const struct slice *list;
	uint32_t n;
};

struct draft_handling {
	struct draft_rules request, response;
	struct slice host, path;
	struct {
		struct draft_texts names;
		uint32_t max;
		bool allow;
	} cookies;
	struct {
		struct draft_texts origins;
		struct slice lines, preflight;
	} cors;
	struct {
		uint16_t status;
		struct slice location, type, body;
	} answer;
};

struct draft_limit {
	struct slice name, field;
	/* As in struct policy_limit. */
	uint8_t by;
	bool told;
	uint64_t identity;
	struct gcra_rule rule;
};

struct draft_claim {
	struct slice name, header;
};

struct draft_client {
	uint8_t sha256[32];
	struct slice name;
};

struct draft_auth {
	struct slice name, header, name_header;
	/* As in struct policy_auth. */
	uint8_t by;
	uint16_t ring;
	const struct draft_claim *claims;
	const struct draft_client *clients;
	uint32_t n_claims, n_clients;
	struct draft_texts certificates, subjects, sans; /* The last is sorted (san.h). */
};

struct draft_route {
	uint16_t slot; /* One of its own. */
	struct slice name;
	struct draft_match match;
	const struct draft_handling *handling; /* NULL: none. */
	struct policy_route_limit *limits;
	uint32_t n_limits;
	struct draft_texts scopes;
	uint16_t auth; /* 1 + index; 0: none. */
	/* As in struct policy_route. */
	uint16_t service;
	uint64_t max_body;
	bool retry;
	uint8_t upgrades;
};

struct policy_draft {
	uint32_t generation, edition;
	bool enabled;
	struct policy_cursors cursors;
	const struct draft_service *services;
	uint32_t n_services;
	const struct draft_route *routes;
	uint32_t n_routes;
	const struct draft_limit *limits;
	uint32_t n_limits;
	const struct draft_auth *auths;
	uint32_t n_auths;
	struct draft_texts told; /* Fields of all auths' that tell who asks. */
};
