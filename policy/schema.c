/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/schema.h"

#include "core/base/clock.h"
#include "core/document/form.h"
#include "policy/table.h"

#define MS     GW_NS_PER_MS
#define MINUTE (60 * GW_NS_PER_S)
#define HOUR   (60 * MINUTE)

static const struct schema_word word_off[] = { { "off", 0, NULL }, { NULL, 0, NULL } };

/* --- Services. ------------------------------------------------------------------------------- */

static int is_endpoint(struct slice text)
{
	struct form_url url;

	return form_endpoint(text, FORM_HTTP, &url);
}

static const struct schema_field endpoint_fields[] = {
	{ .key = "address",
	  SCHEMA_MEMBER(written_endpoint, address),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_REQUIRED,
	  .check = is_endpoint,
	  .expected = "\"host:port\", \"[v6]:port\" or \"unix:/path\"",
	  .example = "10.0.0.11:8080",
	  .help = "Where it listens. Without a port: 80, or 443 where TLS is spoken. A name is looked up "
		  "again when its time to live has passed." },
	{ .key = "weight",
	  SCHEMA_MEMBER(written_endpoint, weight),
	  .type = SCHEMA_NUMBER,
	  .flags = SCHEMA_INACTIVE,
	  .min = 1,
	  .max = 1000,
	  .preset = "1",
	  .help = "Its share of the load. Nothing acts on it yet." },
	{ .key = "region",
	  SCHEMA_MEMBER(written_endpoint, region),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_INACTIVE,
	  .words = word_off,
	  .check = form_name,
	  .expected = "a name",
	  .preset = "off",
	  .help = "Where it is. Nothing acts on it yet." },
	{ .key = "zone",
	  SCHEMA_MEMBER(written_endpoint, zone),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_INACTIVE,
	  .words = word_off,
	  .check = form_name,
	  .expected = "a name",
	  .preset = "off",
	  .help = "And where there. Nothing acts on it yet." },
};

static const struct schema endpoint_schema = {
	.title = "endpoint",
	.help = "One of those who answer for a service.",
	.size = sizeof(struct written_endpoint),
	.n_fields = ARRAY_SIZE(endpoint_fields),
	.fields = endpoint_fields,
};

static const struct schema_field endpoint = { .type = SCHEMA_MAP, .map = &endpoint_schema };

#define TIMEOUT(key_, member_, max_, preset_, help_, over_)                                        \
	{                                                                                          \
		.key = key_, SCHEMA_MEMBER(written_timeouts, member_), .type = SCHEMA_DURATION,    \
		.min = 10 * MS, .max = max_, .preset = preset_, .help = help_, .over = over_       \
	}

static const struct schema_field timeouts_fields[] = {
	TIMEOUT("connect", connect_ns, 5 * MINUTE, "2s", "Until a connection stands.",
		"another endpoint is tried, or 504"),
	TIMEOUT("response_head", response_head_ns, HOUR, "15s",
		"From the whole request sent to the head of the response.", "504"),
	TIMEOUT("idle", idle_ns, HOUR, "15s",
		"A body may stand still so long while it is being read, from either side.",
		"408 and close; if it was the upstream's body, the response is broken off"),
	TIMEOUT("write_stall", write_stall_ns, HOUR, "30s",
		"What is being sent may make no progress for so long.", "the connection is reset"),
	TIMEOUT("tunnel_idle", tunnel_idle_ns, 24 * HOUR, "1h",
		"A tunnel, or a call of gRPC, may stand so long without a byte, either way.",
		"it is ended, and both sides are told so; a call as idle does"),
};

static const struct schema timeouts_schema = {
	.title = "timeouts",
	.help = "Every phase of a request has its deadline.",
	.size = sizeof(struct written_timeouts),
	.n_fields = ARRAY_SIZE(timeouts_fields),
	.fields = timeouts_fields,
};

static const struct schema_field pool_fields[] = {
	{ .key = "max_idle",
	  SCHEMA_MEMBER(written_pool, max_idle),
	  .type = SCHEMA_NUMBER,
	  .min = 0,
	  .max = 65535,
	  .preset = "500",
	  .help = "Idle connections to one endpoint, in all.",
	  .over = "those that have idled longest, for 5 s at least, are closed" },
	{ .key = "idle_timeout",
	  SCHEMA_MEMBER(written_pool, idle_ns),
	  .type = SCHEMA_DURATION,
	  .min = 10 * MS,
	  .max = HOUR,
	  .preset = "30s",
	  .help = "A connection may idle so long.",
	  .over = "it is closed" },
	{ .key = "max_requests",
	  SCHEMA_MEMBER(written_pool, max_requests),
	  .type = SCHEMA_NUMBER,
	  .words = word_off,
	  .min = 1,
	  .max = 1000000000,
	  .preset = "10000",
	  .help = "Requests on one connection.",
	  .over = "it is closed and replaced by a new one" },
};

static const struct schema pool_schema = {
	.title = "pool",
	.help = "Connections that are kept for the next request.",
	.size = sizeof(struct written_pool),
	.n_fields = ARRAY_SIZE(pool_fields),
	.fields = pool_fields,
};

static const struct schema_word protocols[] = {
	{ "http", POLICY_HTTP, "HTTP/1.1 in the clear" },
	{ "https", POLICY_HTTPS, "HTTP/1.1 over TLS, as the configuration's upstream_tls says" },
	{ "h2c", POLICY_H2C, "HTTP/2 in the clear, by prior knowledge" },
	{ "h2", POLICY_H2, "HTTP/2 over TLS" },
	{ NULL, 0, NULL },
};

static const struct schema_field service_fields[] = {
	{ .key = "protocol",
	  SCHEMA_MEMBER(written_service, protocol),
	  .type = SCHEMA_ENUM,
	  .words = protocols,
	  .preset = "http",
	  .help = "What its endpoints speak." },
	{ .key = "endpoints",
	  SCHEMA_COUNTED(written_service, endpoints, n_endpoints),
	  .type = SCHEMA_LIST,
	  .max = POLICY_SERVICE_ENDPOINTS_MAX,
	  .element = &endpoint,
	  .example = "[{address: \"10.0.0.11:8080\"}]",
	  .help = "Who shares its load. None: requests are answered 503, no_endpoint." },
	{ .key = "timeouts",
	  SCHEMA_MEMBER(written_service, timeouts),
	  .type = SCHEMA_MAP,
	  .map = &timeouts_schema },
	{ .key = "pool",
	  SCHEMA_MEMBER(written_service, pool),
	  .type = SCHEMA_MAP,
	  .map = &pool_schema },
#define LATER(key_, member_, schema_)                                                              \
	{                                                                                          \
		.key = key_, SCHEMA_MEMBER(written_service, member_), .type = SCHEMA_MAP,          \
		.flags = SCHEMA_INACTIVE, .map = &policy_##schema_##_schema                        \
	}
	LATER("limit", load, load),
	LATER("breaker", breaker, breaker),
	LATER("retry", retry, retry),
	LATER("health", health, health),
};

static const struct schema service_schema = {
	.title = "service",
	.help = "Endpoints that do the same. Its name is its identity: under the same name it keeps "
		"its connections from one policy to the next.",
	.size = sizeof(struct written_service),
	.n_fields = ARRAY_SIZE(service_fields),
	.fields = service_fields,
};

static const struct schema_field service = { .type = SCHEMA_MAP, .map = &service_schema };

/* --- Routes. --------------------------------------------------------------------------------- */

static const struct schema_field host = {
	.type = SCHEMA_TEXT,
	.check = form_host_pattern,
	.expected =
		"a host name, an IP address (of IPv6 in brackets: \"[::1]\"), or \"*.\" and a host name",
};

static const struct schema_field method = {
	.type = SCHEMA_TEXT,
	.max = 32,
	.check = form_token,
	.expected = "a method, such as GET",
};

static const struct schema_field header_value = { .type = SCHEMA_TEXT, .max = 256 };

static const struct schema_field match_fields[] = {
	{ .key = "hosts",
	  SCHEMA_COUNTED(written_match, hosts, n_hosts),
	  .type = SCHEMA_LIST,
	  .max = 64,
	  .element = &host,
	  .example = "[api.example.com, \"*.example.org\"]",
	  .help = "For whom it is; \"*.example.org\" stands for every name below example.org. None: for "
		  "requests whose host no route names." },
	{ .key = "path_prefix",
	  SCHEMA_MEMBER(written_match, path_prefix),
	  .type = SCHEMA_TEXT,
	  .max = POLICY_PATH_MAX,
	  .words = word_off,
	  .check = form_canonical_path,
	  .expected = POLICY_PATH_EXPECTED,
	  .preset = "off",
	  .example = "/api/v1/users",
	  .help = "The path, or whole segments in front of it. With neither this nor path: \"/\"." },
	{ .key = "path",
	  SCHEMA_MEMBER(written_match, path),
	  .type = SCHEMA_TEXT,
	  .max = POLICY_PATH_MAX,
	  .words = word_off,
	  .check = form_canonical_path,
	  .expected = POLICY_PATH_EXPECTED,
	  .preset = "off",
	  .help = "The path, as a whole. Goes before any prefix." },
	{ .key = "methods",
	  SCHEMA_COUNTED(written_match, methods, n_methods),
	  .type = SCHEMA_LIST,
	  .max = POLICY_METHODS_MAX,
	  .element = &method,
	  .example = "[GET, HEAD]",
	  .help = "None: any method. GET takes HEAD as well. A method that none of the routes of a host "
		  "and path takes is answered 405, method_not_allowed, with theirs in allow." },
	{ .key = "headers",
	  SCHEMA_COUNTED(written_match, headers, n_headers),
	  .type = SCHEMA_NAMED,
	  .max = POLICY_HEADERS_MAX,
	  .check = form_token,
	  .expected = "a field's name",
	  .element = &header_value,
	  .example = "{x-version: \"2\"}",
	  .help = "Fields that the request must have, once, with these very values. Not host: see hosts." },
};

static const struct schema match_schema = {
	.title = "match",
	.help = "Which requests take a route. First the host decides: a name before a wildcard, a longer "
		"wildcard before a shorter, and routes without hosts where none fits. Then the path: "
		"equal as a whole, then the longest prefix. Then, among equals, more headers before "
		"fewer, with methods before without, and the order in the list. What does not fit is "
		"passed over, on to shorter prefixes of the same host. At most 64 routes have the same "
		"host and path, and each is the first for some request: one that never would be is "
		"refused.",
	.size = sizeof(struct written_match),
	.n_fields = ARRAY_SIZE(match_fields),
	.fields = match_fields,
};

static const struct schema_word word_unlimited[] = {
	{ "off", UINT64_MAX, "no limit: bodies stream through" },
	{ NULL, 0, NULL },
};

static const struct schema_word upgrade_words[] = {
	{ "none", 0, NULL },
	{ "websocket", POLICY_UPGRADE_WEBSOCKET, "RFC 6455" },
	{ NULL, 0, NULL },
};

static int is_scope(struct slice text)
{
	return slice_find(text, ' ') == SLICE_NONE && slice_find(text, '"') == SLICE_NONE &&
			       slice_find(text, '\\') == SLICE_NONE
		       ? 0
		       : -1;
}

static const struct schema_field scope = {
	.type = SCHEMA_TEXT,
	.max = POLICY_NAME_MAX,
	.check = is_scope,
	.expected = "a scope, without blanks and quotes (RFC 6749 3.3)",
};

static const struct schema_word priorities[] = {
	{ "critical", 0, NULL },   { "normal", 1, NULL }, { "low", 2, NULL },
	{ "background", 3, NULL }, { NULL, 0, NULL },
};

static const struct schema_field limit_name = {
	.type = SCHEMA_TEXT,
	.check = form_name,
	.expected = "the name of a limit",
};

static const struct schema_field route_fields[] = {
	{ .key = "name",
	  SCHEMA_MEMBER(written_route, name),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_REQUIRED,
	  .check = form_name,
	  .expected = "letters, digits, '.', '_' and '-', at most 64",
	  .example = "users-api",
	  .help = "Its identity, for metrics and logs; each once." },
	{ .key = "match",
	  SCHEMA_MEMBER(written_route, match),
	  .type = SCHEMA_MAP,
	  .map = &match_schema },
	{ .key = "service",
	  SCHEMA_MEMBER(written_route, service),
	  .type = SCHEMA_TEXT,
	  .words = word_off,
	  .check = form_name,
	  .expected = "the name of a service",
	  .preset = "off",
	  .example = "users",
	  .help = "Who answers. Each route has this, redirect or respond, and one of them only." },
	{ .key = "redirect",
	  SCHEMA_MEMBER(written_route, redirect),
	  .type = SCHEMA_MAP,
	  .map = &policy_redirect_schema },
	{ .key = "respond",
	  SCHEMA_MEMBER(written_route, respond),
	  .type = SCHEMA_MAP,
	  .map = &policy_respond_schema },
	{ .key = "rewrite",
	  SCHEMA_MEMBER(written_route, rewrite),
	  .type = SCHEMA_MAP,
	  .map = &policy_rewrite_schema },
	{ .key = "request_headers",
	  SCHEMA_MEMBER(written_route, request_headers),
	  .type = SCHEMA_MAP,
	  .map = &policy_request_headers_schema },
	{ .key = "response_headers",
	  SCHEMA_MEMBER(written_route, response_headers),
	  .type = SCHEMA_MAP,
	  .map = &policy_response_headers_schema },
	{ .key = "security_headers",
	  SCHEMA_MEMBER(written_route, security_headers),
	  .type = SCHEMA_BOOL,
	  .preset = "false",
	  .help = "Set in each answer, unless response_headers says otherwise: "
		  "strict-transport-security (a year, and over TLS only: RFC 6797 7.2), "
		  "x-content-type-options (nosniff), "
		  "x-frame-options (DENY), referrer-policy (strict-origin-when-cross-origin)." },
	{ .key = "cookies",
	  SCHEMA_MEMBER(written_route, cookies),
	  .type = SCHEMA_MAP,
	  .map = &policy_cookies_schema },
	{ .key = "cors",
	  SCHEMA_MEMBER(written_route, cors),
	  .type = SCHEMA_MAP,
	  .map = &policy_cors_schema },
	{ .key = "max_body",
	  SCHEMA_MEMBER(written_route, max_body),
	  .type = SCHEMA_SIZE,
	  .words = word_unlimited,
	  .max = UINT64_C(1) << 40,
	  .preset = "1MiB",
	  .help = "Bytes of a request's body.",
	  .over = "413, before anything was sent upstream if the length is announced" },
	{ .key = "limits",
	  SCHEMA_COUNTED(written_route, limits, n_limits),
	  .type = SCHEMA_LIST,
	  .max = POLICY_ROUTE_LIMITS_MAX,
	  .element = &limit_name,
	  .example = "[per-client]",
	  .help = "Rate limits that its requests have to keep, by name. The first one that has no "
		  "token left decides.",
	  .over = "429, rate_limited, with retry-after" },
	{ .key = "priority",
	  SCHEMA_MEMBER(written_route, priority),
	  .type = SCHEMA_ENUM,
	  .flags = SCHEMA_INACTIVE,
	  .words = priorities,
	  .preset = "normal",
	  .help = "What goes last under load. Nothing acts on it yet." },
	{ .key = "auth",
	  SCHEMA_MEMBER(written_route, auth),
	  .type = SCHEMA_TEXT,
	  .words = word_off,
	  .check = form_name,
	  .expected = "a name in auth",
	  .preset = "off",
	  .example = "main",
	  .help = "Who may ask. off: everybody." },
	{ .key = "scopes",
	  SCHEMA_COUNTED(written_route, scopes, n_scopes),
	  .type = SCHEMA_LIST,
	  .max = POLICY_SCOPES_MAX,
	  .element = &scope,
	  .example = "[\"users:read\"]",
	  .help = "All of these have to be among a token's (scope, scp or scopes). 403 without." },
	{ .key = "upgrades",
	  SCHEMA_MEMBER(written_route, upgrades),
	  .type = SCHEMA_SET,
	  .words = upgrade_words,
	  .preset = "none",
	  .help = "Protocols that a client may have its connection turned into, with the upstream's "
		  "consent." },
};

static const struct schema route_schema = {
	.title = "route",
	.help = "What happens to requests that match. Those that no route matches are answered 421 "
		"(host_not_allowed), 405 (method_not_allowed, where only the method is another) or 404 "
		"(no_route).",
	.size = sizeof(struct written_route),
	.n_fields = ARRAY_SIZE(route_fields),
	.fields = route_fields,
};

static const struct schema_field auth = { .type = SCHEMA_MAP, .map = &policy_auth_schema };

static const struct schema_field limit = { .type = SCHEMA_MAP, .map = &policy_limit_schema };

static const struct schema_field route = { .type = SCHEMA_MAP, .map = &route_schema };

/* --- The whole. ------------------------------------------------------------------------------ */

static const struct schema_field fields[] = {
	{ .key = "version",
	  SCHEMA_MEMBER(written_policy, version),
	  .type = SCHEMA_NUMBER,
	  .flags = SCHEMA_REQUIRED,
	  .min = 1,
	  .max = 1,
	  .example = "1",
	  .help = "Of this form of policies." },
	{ .key = "enabled",
	  SCHEMA_MEMBER(written_policy, enabled),
	  .type = SCHEMA_BOOL,
	  .preset = "true",
	  .help = "false: every request is answered 429, policy_disabled." },
	{ .key = "rate_limit",
	  SCHEMA_MEMBER(written_policy, rate_limit),
	  .type = SCHEMA_NUMBER,
	  .words = word_off,
	  .min = 1,
	  .max = 10000000,
	  .preset = "off",
	  .help = "Requests per second in all: a limit by this name that every route has in front of its "
		  "own. For more than that, see limits.",
	  .over = "429, rate_limited" },
	{ .key = "circuit_breaker_threshold",
	  SCHEMA_MEMBER(written_policy, circuit_breaker_threshold),
	  .type = SCHEMA_NUMBER,
	  .flags = SCHEMA_INACTIVE,
	  .min = 1,
	  .max = 100,
	  .preset = "50",
	  .help = "Percent of requests that may fail at a service. Nothing acts on it yet." },
	{ .key = "services",
	  SCHEMA_COUNTED(written_policy, services, n_services),
	  .type = SCHEMA_NAMED,
	  .max = POLICY_SERVICES_MAX,
	  .check = form_name,
	  .expected = "a name of letters, digits, '.', '_' and '-', at most 64",
	  .element = &service,
	  .help = "By name." },
	{ .key = "routes",
	  SCHEMA_COUNTED(written_policy, routes, n_routes),
	  .type = SCHEMA_LIST,
	  .max = POLICY_ROUTES_MAX,
	  .element = &route,
	  .help = "Which request goes where." },
	{ .key = "limits",
	  SCHEMA_COUNTED(written_policy, limits, n_limits),
	  .type = SCHEMA_NAMED,
	  .max = POLICY_LIMITS_MAX,
	  .check = form_name,
	  .expected = "a name of letters, digits, '.', '_' and '-', at most 64",
	  .element = &limit,
	  .help = "Rate limits, by name. Under the same name, and by the same key, a limit keeps "
		  "its buckets from one policy to the next; those of all, of routes and of "
		  "services as long as each policy has a route that uses them." },
	{ .key = "auth",
	  SCHEMA_COUNTED(written_policy, auths, n_auths),
	  .type = SCHEMA_NAMED,
	  .max = POLICY_AUTHS_MAX,
	  .check = form_name,
	  .expected = "a name of letters, digits, '.', '_' and '-', at most 64",
	  .element = &auth,
	  .help = "Who may ask, by name." },
};

const struct schema policy_schema = {
	.title = "policy.yaml",
	.help = "What workers decide by. Pushed at any time, all or nothing.",
	.size = sizeof(struct written_policy),
	.n_fields = ARRAY_SIZE(fields),
	.fields = fields,
};
