/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - what the daemon is told once: the structure behind sluice.yaml and the flags.
 *
 * Ownership: config_free() ends everything a configuration points to. A configuration never
 * changes after config_load(); a reload makes another one.
 *
 * Threads: built on one thread, then read by any.
 *
 * Every key, default, range and meaning stands in config_schema*.c, which docs/CONFIG.md and
 * docs/LIMITS.md are generated from. Spans are nanoseconds, sizes are bytes. "auto" and "off"
 * are 0 in numbers and empty in texts.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/document/form.h"
#include "core/document/report.h"
#include "core/document/schema.h"

enum {
	CONFIG_LISTENERS_MAX = 64,
	CONFIG_NETS_MAX = 1024,
	CONFIG_HOSTS_MAX = 64,
	CONFIG_UPSTREAMS_MAX = 64, /* POLICY_SERVICE_ENDPOINTS_MAX */
	CONFIG_WORKERS_MAX = 256,
	CONFIG_CERTIFICATES_MAX = 64,
	CONFIG_CERTIFICATE_NAMES_MAX = 64,
};

/* Bits of config_listener.protocols. */
enum { CONFIG_HTTP1 = 1, CONFIG_HTTP2 = 2 };

/* Of config_certificate.client_auth, besides enum tls_client_auth. */
enum { CONFIG_CLIENT_AUTH_INHERIT = 16 };

struct config_certificate {
	struct slice cert, key; /* Paths of PEM files. */
	uint32_t n_names;       /* 0: all of the certificate's. */
	const struct slice *names;
	struct slice client_ca; /* Empty: the listener's. */
	uint32_t client_auth;   /* enum tls_client_auth, or the listener's. */
};

enum config_tls_version { CONFIG_TLS_1_2, CONFIG_TLS_1_3 };

struct config_tls {
	uint32_t n_certificates; /* 0: the listener speaks in the clear. */
	const struct config_certificate *certificates;
	struct slice client_ca; /* Path of a PEM file; empty: clients are not asked. */
	uint32_t client_auth;   /* enum tls_client_auth, where there is a client_ca. */
	uint32_t min_version;   /* enum config_tls_version. */
	bool strict_names;
};

struct config_upstream_tls {
	struct slice ca;          /* Path of a PEM file; empty: the system's. */
	struct slice server_name; /* Empty: each endpoint's own. */
	struct slice cert, key;   /* Paths of PEM files; empty: we show no certificate. */
	uint32_t min_version;     /* enum config_tls_version. */
	bool verify;
};

struct config_listener {
	struct slice address; /* As ring_addr_parse() takes it: it has been checked. */
	uint32_t protocols;
	uint32_t n_trusted_proxies;
	const struct form_net *trusted_proxies;
	struct config_tls tls;
};

struct config_admin {
	struct slice address; /* As above; empty: off. */
};

struct config_control {
	struct slice path;  /* Empty: off. "auto": chosen by control_path(). */
	struct slice group; /* A group's name; empty: only root and the own user. */
};

struct config_limits {
	uint64_t connections;    /* Of clients, in all; 0: what descriptors and memory allow. */
	uint64_t per_client;     /* Connections of one address; 0: no limit. */
	uint64_t tls_handshakes; /* Full ones per second of one network; 0: no limit. */
	uint64_t head_bytes;
	uint64_t head_fields;
	uint64_t rate_keys;  /* Buckets of rate limits. */
	uint64_t h2_streams; /* Of one connection in its life; 0: no limit. */
};

struct config_timeouts {
	uint64_t head_ns;
	uint64_t keepalive_ns;
	uint64_t tls_handshake_ns;
	uint64_t body_idle_ns;
	uint64_t write_stall_ns;
	uint64_t connect_ns;
	uint64_t response_head_ns;
	uint64_t tunnel_idle_ns;
	uint64_t tunnel_grace_ns;
	uint64_t drain_grace_ns;
	uint64_t drain_ns;
};

struct config_pool {
	uint64_t max_idle;              /* In all. */
	uint64_t max_idle_per_upstream; /* In all workers together. */
	uint64_t idle_ns;
	uint64_t max_requests; /* Per connection; 0: no limit. */
};

struct config_access_log {
	struct slice path; /* Empty: off. "stdout", or a file's path. */
	uint64_t sample;   /* One of so many requests is logged. */
};

struct config_splice {
	bool enabled;
	uint64_t min; /* Shorter bodies are copied. */
};

struct config_upstream {
	struct slice text; /* As given. */
	struct form_url url;
};

struct config {
	const struct config_listener *listeners;
	uint32_t n_listeners;
	uint32_t n_allowed_hosts;
	const struct slice *
		allowed_hosts; /* Lower case; "*.example.org" stands for names below it. None: any host. */
	uint64_t workers;         /* 0: one for each CPU that the process may use. */
	uint32_t upgrades;        /* enum policy_upgrade bits that requests may ask for. */
	struct slice health_path; /* Answered by the public listeners themselves; empty: off. */
	struct slice policy;      /* Path of a policy's file; empty: none. */
	struct slice state;       /* Path of the folder that keeps what was accepted; empty: off. */
	struct config_admin admin;
	struct config_control control;
	struct config_limits limits;
	struct config_timeouts timeouts;
	struct config_pool pool;
	struct config_access_log access_log;
	struct config_splice splice;
	struct config_upstream_tls upstream_tls;
	uint32_t n_upstreams;
	const struct config_upstream
		*upstreams; /* From --upstream or UPSTREAM_URL, not from the file; of one scheme. */
	uint32_t replaced;  /* What the file says of them: bits of config_replaced.c. */
};

/* What upstreams are spoken to with; http without any. */
static inline enum form_scheme config_scheme(const struct config *config)
{
	return config->n_upstreams ? config->upstreams[0].url.scheme : FORM_HTTP;
}

/* There is, or may be, a policy of its own, whose services may speak anything. */
static inline bool config_has_policy(const struct config *config)
{
	return config->policy.len > 0 || config->state.len > 0;
}

/* The schema of the file: for reference pages and for programs that check offline; and its parts about TLS. */
extern const struct schema config_schema, config_tls_schema, config_upstream_tls_schema;

/* One value from outside the file: "timeouts.head" = "5s", said by "--head" or "READ_TIMEOUT". */
struct config_override {
	const char *path; /* In the schema; or "upstreams". */
	const char
		*text; /* Repeat the path for a list: the first one replaces what the file says. */
	const char *said_by;
};

/*
 * Read 'file' (NULL: none; JSON when its name ends so, otherwise YAML), lay the overrides over it
 * and check the whole. 0; -EINVAL, and then rep says what is wrong; or -ENOMEM.
 */
GW_MUST_USE int config_load(const char *file, const struct config_override *over, uint32_t n_over,
			    struct report *rep, struct config **ret_config);
void config_free(struct config *config);

/* What is in force, as a sluice.yaml that would bring about the same. 0 or -ENOMEM. */
GW_MUST_USE int config_print(const struct config *config, FILE *to);

/*
 * Can 'next' replace 'now' without a restart? Only keys that the schema marks as live may differ;
 * every other one that does is an error in rep. 0, -EINVAL or -ENOMEM.
 */
GW_MUST_USE int config_check_reload(const struct config *now, const struct config *next,
				    struct report *rep);
