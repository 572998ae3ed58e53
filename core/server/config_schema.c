/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of sluice.yaml. docs/CONFIG.md and docs/LIMITS.md are made from these tables.
 */
#include "core/base/clock.h"
#include "core/http/head.h"
#include "core/server/config.h"
#include "policy/table.h"

#define MS     GW_NS_PER_MS
#define SECOND GW_NS_PER_S
#define MINUTE (60 * GW_NS_PER_S)
#define HOUR   (60 * MINUTE)
#define KIB    (1ull << 10)
#define MIB    (1ull << 20)
#define GIB    (1ull << 30)

#define ADDRESS_EXPECTED                                                                           \
	"an address such as \"127.0.0.1:8080\", \"[::1]:8080\", \":8080\" or \"unix:/path\""

static const struct schema_word word_auto[] = { { "auto", 0, NULL }, { NULL, 0, NULL } };
static const struct schema_word word_off[] = { { "off", 0, NULL }, { NULL, 0, NULL } };

/* --- listeners ------------------------------------------------------------------------------ */

static const struct schema_word protocols[] = {
	{ "h2", CONFIG_HTTP2, "HTTP/2: with TLS by ALPN, in the clear by prior knowledge" },
	{ "http/1.1", CONFIG_HTTP1, "HTTP/1.1 and HTTP/1.0" },
	{ NULL, 0, NULL },
};

static const struct schema_field trusted_proxy = { .type = SCHEMA_NET };

static const struct schema_field listener_fields[] = {
	{ .key = "address",
	  SCHEMA_MEMBER(config_listener, address),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_REQUIRED,
	  .check = form_address,
	  .expected = ADDRESS_EXPECTED,
	  .example = "\"0.0.0.0:8080\"",
	  .help = "Where clients connect. Without a host all addresses are meant, of both families." },
	{ .key = "protocols",
	  SCHEMA_MEMBER(config_listener, protocols),
	  .type = SCHEMA_SET,
	  .words = protocols,
	  .preset = "http/1.1",
	  .example = "[h2, http/1.1]",
	  .help = "What is spoken here. With TLS, a client that has both gets h2." },
	{ .key = "trusted_proxies",
	  SCHEMA_COUNTED(config_listener, trusted_proxies, n_trusted_proxies),
	  .type = SCHEMA_LIST,
	  .max = CONFIG_NETS_MAX,
	  .element = &trusted_proxy,
	  .example = "[\"10.0.0.0/8\", \"fd00::/8\"]",
	  .help = "Who may say for whom they ask: from these networks X-Forwarded-For, -Host, -Proto, "
		  "X-Real-IP and Forwarded are kept and appended to; from everyone else they are "
		  "dropped and written anew." },
	{ .key = "tls",
	  SCHEMA_MEMBER(config_listener, tls),
	  .type = SCHEMA_MAP,
	  .map = &config_tls_schema,
	  .help = "TLS with clients." },
};

static const struct schema listener_schema = {
	.title = "listener",
	.help = "One place where clients connect.",
	.size = sizeof(struct config_listener),
	.n_fields = ARRAY_SIZE(listener_fields),
	.fields = listener_fields,
};

static const struct schema_field listener = { .type = SCHEMA_MAP, .map = &listener_schema };

/* --- admin and control ---------------------------------------------------------------------- */

static const struct schema_field admin_fields[] = {
	{ .key = "address",
	  SCHEMA_MEMBER(config_admin, address),
	  .type = SCHEMA_TEXT,
	  .words = word_off,
	  .check = form_address,
	  .expected = ADDRESS_EXPECTED,
	  .preset = "127.0.0.1:9901",
	  .help = "Where /metrics, /livez and /readyz are served. Whoever reaches it may read it: "
		  "keep it on a loopback or Unix address, or behind a firewall." },
};

static const struct schema admin_schema = {
	.title = "admin",
	.help = "The administrative listener.",
	.size = sizeof(struct config_admin),
	.n_fields = ARRAY_SIZE(admin_fields),
	.fields = admin_fields,
};

static const struct schema_word control_words[] = {
	{ "auto", SCHEMA_AS_IS,
	  "/run/sluice/control.sock; where that cannot be made, $XDG_RUNTIME_DIR/sluice/control.sock; "
	  "else off, with a warning" },
	{ "off", SCHEMA_EMPTY, "no control socket" },
	{ NULL, 0, NULL },
};

static int is_group(struct slice text)
{
	return form_is_host(text) && text.len <= 32 ? 0 : -1;
}

static int is_socket_path(struct slice text)
{
	return text.len <= 107 ? form_path(text) : -1;
}

static const struct schema_field control_fields[] = {
	{ .key = "path",
	  SCHEMA_MEMBER(config_control, path),
	  .type = SCHEMA_TEXT,
	  .words = control_words,
	  .check = is_socket_path,
	  .expected = "an absolute path of at most 107 bytes",
	  .preset = "auto",
	  .help = "The Unix socket that gwtool talks to. It has mode 0660." },
	{ .key = "group",
	  SCHEMA_MEMBER(config_control, group),
	  .type = SCHEMA_TEXT,
	  .words = word_off,
	  .check = is_group,
	  .expected = "the name of a group",
	  .preset = "off",
	  .example = "sluice",
	  .help = "Whose members may use the socket besides root and the daemon's own user. The "
		  "members are looked up when the daemon starts. With path auto the folder is given to "
		  "the group as well, if it is the daemon's own; another folder has to let it in." },
};

static const struct schema control_schema = {
	.title = "control",
	.help = "The control socket.",
	.size = sizeof(struct config_control),
	.n_fields = ARRAY_SIZE(control_fields),
	.fields = control_fields,
};

/* --- limits --------------------------------------------------------------------------------- */

static const struct schema_field limits_fields[] = {
	{ .key = "connections",
	  SCHEMA_MEMBER(config_limits, connections),
	  .type = SCHEMA_NUMBER,
	  .words = word_auto,
	  .min = 1,
	  .max = 10000000,
	  .preset = "auto",
	  .help = "Client connections at a time, in all. auto: what the limit of open files and the "
		  "memory leave room for.",
	  .over = "accepting pauses until some have gone; new clients wait in the kernel's queue" },
	{ .key = "per_client",
	  SCHEMA_MEMBER(config_limits, per_client),
	  .type = SCHEMA_NUMBER,
	  .words = word_off,
	  .min = 1,
	  .max = 1000000,
	  .flags = SCHEMA_LIVE,
	  .preset = "off",
	  .help = "Connections at a time from one IPv4 address or one IPv6 /64. One address may be a "
		  "whole office, a balancer or a benchmark: off unless set.",
	  .over = "the connection is reset; others are not affected" },
	{ .key = "tls_handshakes",
	  SCHEMA_MEMBER(config_limits, tls_handshakes),
	  .type = SCHEMA_NUMBER,
	  .words = word_off,
	  .min = 1,
	  .max = 1000000,
	  .flags = SCHEMA_LIVE,
	  .preset = "off",
	  .help = "TLS handshakes per second with clients of one IPv4 /24 or IPv6 /64, and a second's "
		  "worth at once. What turns out to be resumed is given back; trusted proxies do not "
		  "count. One network may be a whole provider's: off unless set.",
	  .over = "the connection is closed before its handshake; others are not affected" },
	{ .key = "rate_keys",
	  SCHEMA_MEMBER(config_limits, rate_keys),
	  .type = SCHEMA_NUMBER,
	  .min = 1024,
	  .max = UINT64_C(1) << 28,
	  .preset = "262144",
	  .help = "Buckets of a policy's rate limits, for all clients and keys: 16 bytes each, rounded "
		  "up to a power of two. About twice as many as there are keys at a time whose bucket "
		  "is not full.",
	  .over = "the fullest bucket among eight is forgotten: gateway_rate_limit_evictions_total" },
	{ .key = "head_bytes",
	  SCHEMA_MEMBER(config_limits, head_bytes),
	  .type = SCHEMA_SIZE,
	  .min = 1 * KIB,
	  .max = HTTP_HEAD_MAX,
	  .flags = SCHEMA_LIVE,
	  .preset = "32KiB",
	  .help = "A request's or response's whole head: first line and fields.",
	  .over = "431 to the client; 502 when it was the upstream's" },
	{ .key = "head_fields",
	  SCHEMA_MEMBER(config_limits, head_fields),
	  .type = SCHEMA_NUMBER,
	  .min = 8,
	  .max = HTTP_FIELDS_MAX,
	  .flags = SCHEMA_LIVE,
	  .preset = "100",
	  .help = "Fields in one head.",
	  .over = "431 to the client; 502 when it was the upstream's" },
	{ .key = "streams_per_connection",
	  SCHEMA_MEMBER(config_limits, h2_streams),
	  .type = SCHEMA_NUMBER,
	  .min = 1,
	  .max = UINT32_MAX,
	  .words = word_off,
	  .flags = SCHEMA_LIVE,
	  .preset = "off",
	  .help = "Requests on one HTTP/2 connection in all. (At a time there may be 100.)",
	  .over = "GOAWAY; what runs is finished, and the client connects again" },
};

static const struct schema limits_schema = {
	.title = "limits",
	.help = "How much of everything there may be. Limits are of the whole process.",
	.size = sizeof(struct config_limits),
	.n_fields = ARRAY_SIZE(limits_fields),
	.fields = limits_fields,
};

/* --- timeouts ------------------------------------------------------------------------------- */

#define TIMEOUT(key_, member_, min_, max_, preset_, help_, over_)                                  \
	{                                                                                          \
		.key = key_, SCHEMA_MEMBER(config_timeouts, member_), .type = SCHEMA_DURATION,     \
		.min = min_, .max = max_, .flags = SCHEMA_LIVE, .preset = preset_, .help = help_,  \
		.over = over_                                                                      \
	}

static const struct schema_field timeouts_fields[] = {
	TIMEOUT("head", head_ns, 10 * MS, 10 * MINUTE, "10s",
		"From the first byte of a request's head to its last; on a new connection, from its "
		"acceptance. It is a total: a trickle does not extend it.",
		"408 and close; a connection that never sent a byte is closed without a word"),
	TIMEOUT("keepalive", keepalive_ns, 10 * MS, 1 * HOUR, "60s",
		"A client's connection may idle so long between two requests.", "it is closed"),
	TIMEOUT("tls_handshake", tls_handshake_ns, 10 * MS, 1 * MINUTE, "10s",
		"From the acceptance of a connection to the end of its TLS handshake.",
		"it is closed"),
	TIMEOUT("body_idle", body_idle_ns, 10 * MS, 1 * HOUR, "15s",
		"A body may stand still so long while it is being read, from either side. For "
		"--upstream: a policy has services.NAME.timeouts.idle.",
		"408 and close; if it was the upstream's body, the response is broken off"),
	TIMEOUT("write_stall", write_stall_ns, 10 * MS, 1 * HOUR, "30s",
		"What is being sent may make no progress for so long. A slow reader that reads goes "
		"on: this is never a total. What is sent to a service of a policy has "
		"services.NAME.timeouts.write_stall.",
		"the connection is reset"),
	TIMEOUT("connect", connect_ns, 10 * MS, 5 * MINUTE, "2s",
		"Until a connection to an upstream stands. For --upstream: a policy "
		"has services.NAME.timeouts.connect.",
		"another upstream is tried, or 504"),
	TIMEOUT("response_head", response_head_ns, 10 * MS, 1 * HOUR, "15s",
		"From the whole request sent to the head of the response. For --upstream: a policy "
		"has services.NAME.timeouts.response_head.",
		"504"),
	TIMEOUT("tunnel_idle", tunnel_idle_ns, 10 * MS, 24 * HOUR, "1h",
		"A tunnel, or a call of gRPC, may stand so long without a byte, either way. For "
		"--upstream: a policy has services.NAME.timeouts.tunnel_idle.",
		"it is ended, and both sides are told so; a call as body_idle does"),
	TIMEOUT("tunnel_grace", tunnel_grace_ns, 0, 24 * HOUR, "15s",
		"From the beginning of a drain: how long tunnels go on as before. They have no end of "
		"their own, so what of drain is left behind it is for both sides to finish.",
		"they are ended, and both sides are told so"),
	TIMEOUT("drain_grace", drain_grace_ns, 0, 10 * MINUTE, "0s",
		"After TERM or QUIT: how long requests are accepted on as before while /readyz already "
		"says no, so that balancers can turn away first.",
		NULL),
	TIMEOUT("drain", drain_ns, 0, 24 * HOUR, "30s",
		"After the grace: how long what runs may take to finish.",
		"connections are closed, the exit code is still 0"),
};

static const struct schema timeouts_schema = {
	.title = "timeouts",
	.help = "Every phase of a request has its deadline.",
	.size = sizeof(struct config_timeouts),
	.n_fields = ARRAY_SIZE(timeouts_fields),
	.fields = timeouts_fields,
};

/* --- pool, access log, splice --------------------------------------------------------------- */

static const struct schema_field pool_fields[] = {
	{ .key = "max_idle",
	  SCHEMA_MEMBER(config_pool, max_idle),
	  .type = SCHEMA_NUMBER,
	  .min = 0,
	  .max = 1000000,
	  .preset = "1000",
	  .help = "Idle connections to upstreams, in all.",
	  .over = "those that have idled longest, for 5 s at least, are closed" },
	{ .key = "max_idle_per_upstream",
	  SCHEMA_MEMBER(config_pool, max_idle_per_upstream),
	  .type = SCHEMA_NUMBER,
	  .min = 0,
	  .max = 65535,
	  .preset = "500",
	  .help = "Idle connections to one upstream, in all. For --upstream: a policy has "
		  "services.NAME.pool.max_idle.",
	  .over = "those that have idled longest, for 5 s at least, are closed" },
	{ .key = "idle_timeout",
	  SCHEMA_MEMBER(config_pool, idle_ns),
	  .type = SCHEMA_DURATION,
	  .min = 10 * MS,
	  .max = 1 * HOUR,
	  .flags = SCHEMA_LIVE,
	  .preset = "30s",
	  .help = "An upstream connection may idle so long. For --upstream: a policy has "
		  "services.NAME.pool.idle_timeout.",
	  .over = "it is closed" },
	{ .key = "max_requests",
	  SCHEMA_MEMBER(config_pool, max_requests),
	  .type = SCHEMA_NUMBER,
	  .words = word_off,
	  .min = 1,
	  .max = 1000000000,
	  .flags = SCHEMA_LIVE,
	  .preset = "10000",
	  .help = "Requests on one upstream connection. For --upstream: a policy has "
		  "services.NAME.pool.max_requests.",
	  .over = "it is closed and replaced by a new one" },
};

static const struct schema pool_schema = {
	.title = "pool",
	.help = "Connections to upstreams that are kept for the next request.",
	.size = sizeof(struct config_pool),
	.n_fields = ARRAY_SIZE(pool_fields),
	.fields = pool_fields,
};

static const struct schema_word access_log_words[] = {
	{ "off", SCHEMA_EMPTY, "no access log" },
	{ "stdout", SCHEMA_AS_IS, "standard output" },
	{ NULL, 0, NULL },
};

static const struct schema_field access_log_fields[] = {
	{ .key = "path",
	  SCHEMA_MEMBER(config_access_log, path),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_LIVE,
	  .max = 4095,
	  .words = access_log_words,
	  .check = form_path,
	  .expected = "an absolute path",
	  .preset = "off",
	  .help = "Where the access log goes: one JSON object per request. A file is opened again on "
		  "USR1 and HUP." },
	{ .key = "sample",
	  SCHEMA_MEMBER(config_access_log, sample),
	  .type = SCHEMA_NUMBER,
	  .flags = SCHEMA_LIVE,
	  .min = 1,
	  .max = 1000000,
	  .preset = "1",
	  .help = "One of so many requests is logged." },
};

static const struct schema access_log_schema = {
	.title = "access_log",
	.help = "The access log.",
	.size = sizeof(struct config_access_log),
	.n_fields = ARRAY_SIZE(access_log_fields),
	.fields = access_log_fields,
};

static const struct schema_field splice_fields[] = {
	{ .key = "enabled",
	  SCHEMA_MEMBER(config_splice, enabled),
	  .type = SCHEMA_BOOL,
	  .preset = "true",
	  .help = "Move bodies from socket to socket inside the kernel where that is possible. The "
		  "environment variable SLUICE_SPLICE=off has the last word." },
	{ .key = "min",
	  SCHEMA_MEMBER(config_splice, min),
	  .type = SCHEMA_SIZE,
	  .min = 1 * KIB,
	  .max = 1 * GIB,
	  .preset = "32KiB",
	  .help = "Bodies shorter than this are copied, which is cheaper for them." },
};

static const struct schema splice_schema = {
	.title = "splice",
	.help = "Bodies that never enter user memory.",
	.size = sizeof(struct config_splice),
	.n_fields = ARRAY_SIZE(splice_fields),
	.fields = splice_fields,
};

/* --- The whole ------------------------------------------------------------------------------ */

static const struct schema_word upgrades[] = {
	{ "none", 0, "no upgrade is passed on" },
	{ "websocket", POLICY_UPGRADE_WEBSOCKET, "WebSocket (RFC 6455)" },
	{ NULL, 0, NULL },
};

static const struct schema_field allowed_host = {
	.type = SCHEMA_TEXT,
	.check = form_host_pattern,
	.expected = "a host name, an IP address, or \"*.\" and a host name",
};

#define SECTION(key_, help_)                                                                       \
	{                                                                                          \
		.key = #key_, SCHEMA_MEMBER(config, key_), .type = SCHEMA_MAP,                     \
		.map = &key_##_schema, .help = help_                                               \
	}

static const struct schema_field fields[] = {
	{ .key = "listeners",
	  SCHEMA_COUNTED(config, listeners, n_listeners),
	  .type = SCHEMA_LIST,
	  .max = CONFIG_LISTENERS_MAX,
	  .element = &listener,
	  .help = "Where clients connect. None: only \"127.0.0.1:8080\". --listen replaces them all." },
	{ .key = "workers",
	  SCHEMA_MEMBER(config, workers),
	  .type = SCHEMA_NUMBER,
	  .words = word_auto,
	  .min = 1,
	  .max = CONFIG_WORKERS_MAX,
	  .preset = "auto",
	  .help = "Threads that move data. auto: one for each CPU that the process may use." },
	SECTION(admin, NULL),
	SECTION(control, NULL),
	{ .key = "policy",
	  SCHEMA_MEMBER(config, policy),
	  .type = SCHEMA_TEXT,
	  .max = 4095,
	  .words = word_off,
	  .preset = "off",
	  .example = "/etc/sluice/policy.yaml",
	  .help = "The policy to begin with, when 'state' keeps none and --upstream is not said: see "
		  "POLICY.md. Others are pushed with gwtool push-policy." },
	{ .key = "state",
	  SCHEMA_MEMBER(config, state),
	  .type = SCHEMA_TEXT,
	  .max = 4095,
	  .words = word_off,
	  .preset = "off",
	  .example = "/var/lib/sluice",
	  .help = "The folder that keeps the policies which were accepted last, at most 16: the "
		  "latest for the next start, which begins with it unless --policy or --upstream are "
		  "said; the others for gwtool rollback. It must be there, and the daemon's user "
		  "must be able to write in it." },
	SECTION(limits, NULL),
	SECTION(timeouts, NULL),
	SECTION(pool, NULL),
	{ .key = "upstream_tls",
	  SCHEMA_MEMBER(config, upstream_tls),
	  .type = SCHEMA_MAP,
	  .map = &config_upstream_tls_schema },
	SECTION(access_log, NULL),
	{ .key = "allowed_hosts",
	  SCHEMA_COUNTED(config, allowed_hosts, n_allowed_hosts),
	  .type = SCHEMA_LIST,
	  .max = CONFIG_HOSTS_MAX,
	  .element = &allowed_host,
	  .example = "[\"api.example.com\", \"*.example.org\"]",
	  .help = "Hosts that requests may be for; all others are answered 421. \"*.example.org\" "
		  "stands for every name below example.org. None: any host. For --upstream: a policy "
		  "has routes[].match.hosts." },
	{ .key = "upgrades",
	  SCHEMA_MEMBER(config, upgrades),
	  .type = SCHEMA_SET,
	  .words = upgrades,
	  .flags = SCHEMA_LIVE,
	  .preset = "none",
	  .help = "Protocols that a client may have its connection turned into, with the upstream's "
		  "consent. Other requests for an upgrade are passed on without it, as plain HTTP. "
		  "For --upstream: a policy has routes[].upgrades." },
	{ .key = "health_path",
	  SCHEMA_MEMBER(config, health_path),
	  .type = SCHEMA_TEXT,
	  .words = word_off,
	  .check = form_path,
	  .expected = "a path that begins with \"/\"",
	  .preset = "/health",
	  .help = "GET of this path is answered by the public listeners themselves, without an "
		  "upstream." },
	SECTION(splice, NULL),
};

const struct schema config_schema = {
	.title = "sluice.yaml",
	.help = "What the daemon is told once, at its start. YAML or JSON; units are part of the values.",
	.size = sizeof(struct config),
	.n_fields = ARRAY_SIZE(fields),
	.fields = fields,
};
