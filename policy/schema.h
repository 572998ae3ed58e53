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
	uint64_t weight; /* This and the rest: schema_later.c. */
	struct slice region, zone;
};

struct written_load {
	uint32_t mode;
	uint64_t max;
};

struct written_breaker {
	uint64_t consecutive, error_percent, base_ns, cap_ns;
};

struct written_retry {
	uint64_t attempts, budget_percent;
};

struct written_health {
	struct slice path;
	uint64_t interval_ns, fall, rise;
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
	struct written_load load;
	struct written_breaker breaker;
	struct written_retry retry;
	struct written_health health;
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

/* --- What becomes of a request that has taken a route: schema_handling.c. -------------------- */

struct written_headers {
	const struct schema_pair *set, *add; /* Templates. */
	uint32_t n_set, n_add;
	const struct slice *remove;
	uint32_t n_remove;
};

struct written_rewrite {
	struct slice prefix, path, host; /* Empty: as it is. 'path' is a template. */
};

struct written_redirect {
	struct slice to; /* A template; empty: no redirect. */
	uint32_t status;
};

struct written_respond {
	uint64_t status; /* 0: none. */
	struct slice content_type, body;
};

struct written_cookies {
	const struct slice *allow, *drop;
	uint32_t n_allow, n_drop;
	uint64_t max_bytes; /* 0: no limit of its own. */
};

struct written_cors {
	const struct slice *origins, *methods, *headers, *expose;
	uint32_t n_origins, n_methods, n_headers, n_expose;
	uint64_t max_age_ns;
	bool credentials;
};

struct written_limit {
	struct slice name;
	struct slice key; /* "client_ip", "header:NAME", "route", "service", "all". */
	struct slice rate;
	uint64_t burst; /* 0: as many as the rate's number. */
	bool fields;
};

/* --- Who may ask: schema_auth.c. ------------------------------------------------------------ */

struct written_jwt_key {
	struct slice kid, alg, issuer; /* Empty: not said. */
	struct slice jwk, pem;         /* One of them. */
};

struct written_jwt {
	const struct written_jwt_key *keys; /* None: tokens are not asked for. */
	const struct slice *issuers, *audiences;
	const struct schema_pair *claims; /* A claim, and the field that tells it. */
	uint32_t n_keys, n_issuers, n_audiences, n_claims;
	struct slice type;
	uint64_t leeway_ns;
	bool require_exp;
};

struct written_api_keys {
	struct slice header, name_header;
	const struct schema_pair *keys; /* A name, and a SHA-256 in hexadecimal digits. */
	uint32_t n_keys;
};

struct written_mtls {
	const struct slice *digests, *subjects, *sans;
	uint32_t n_digests, n_subjects, n_sans;
};

struct written_auth {
	struct slice name;
	struct written_jwt jwt;
	struct written_api_keys api_keys;
	struct written_mtls mtls;
};

struct written_route {
	struct slice name;
	struct written_match match;
	struct slice service; /* Empty: it answers by itself. */
	uint64_t max_body;    /* UINT64_MAX: no limit. */
	uint32_t upgrades;    /* enum policy_upgrade bits. */
	bool security_headers;
	struct written_rewrite rewrite;
	struct written_redirect redirect;
	struct written_respond respond;
	struct written_headers request_headers, response_headers;
	struct written_cookies cookies;
	struct written_cors cors;
	const struct slice *limits;
	uint32_t n_limits;
	uint32_t priority;
	struct slice auth; /* Empty: everybody may ask. */
	const struct slice *scopes;
	uint32_t n_scopes;
};

/* Of form_canonical_path(). */
#define POLICY_PATH_EXPECTED                                                                       \
	"a path in its canonical form: '/' in front, no \"//\", no \".\" or \"..\" as a segment, " \
	"percent-encoding in upper case and only where it is needed"

extern const struct schema policy_rewrite_schema, policy_redirect_schema, policy_respond_schema,
	policy_request_headers_schema, policy_response_headers_schema, policy_cookies_schema,
	policy_cors_schema, policy_limit_schema, policy_auth_schema, policy_load_schema,
	policy_breaker_schema, policy_retry_schema, policy_health_schema;

struct written_policy {
	uint64_t version;
	bool enabled;
	uint64_t rate_limit;                /* 0: none. short_form.h. */
	uint64_t circuit_breaker_threshold; /* Percent. */
	const struct written_service *services;
	uint32_t n_services;
	const struct written_route *routes;
	uint32_t n_routes;
	const struct written_limit *limits;
	uint32_t n_limits;
	const struct written_auth *auths;
	uint32_t n_auths;
};

extern const struct schema policy_schema;
