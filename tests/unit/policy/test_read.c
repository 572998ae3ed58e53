/* SPDX-License-Identifier: Apache-2.0 */
/* Policies as they are written: what is taken, and the exact word on what is not. */
#include "policy/read.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/document/page.h"
#include "core/document/yaml.h"
#include "policy/template.h"

static struct written_policy *policy;

/* NULL when it is taken; else the first thing that is wrong. */
static const char *reading(const char *yaml)
{
	static char text[1024];
	static struct report rep;
	struct document *doc;
	int r;

	policy = NULL;
	report_init(&rep, "f");
	if (yaml_read(slice_of(yaml), &rep, &doc) == 0) {
		r = policy_read(document_root(doc), strlen(yaml), &rep, &policy);
		document_free(doc);
		if (r == 0)
			return NULL;
	}
	(void)report_format(&rep, 0, text, sizeof(text));
	return text;
}

#define FIELD_NAME                                                                                 \
	"a field's name, without '_' (the gateway refuses requests with one), and none that is "   \
	"about the connection, the body's length, or who forwards"

#define S "services: {s: {}}\n"

static const struct {
	const char *yaml, *error;
} wrong[] = {
	{ "{}", "f:1:1: the key \"version\" is missing; it needs 1 to 1" },
	{ "version: 2", "f:1:10: version: 2 is too large; allowed: 1 to 1" },
	{ "version: 1\nenabeld: true",
	  "f:2:1: unknown key \"enabeld\"; did you mean \"enabled\"?" },
	{ "version: 1\nservices: [a]",
	  "f:2:11: services: a list is of the wrong type; allowed: a map of up to 1024, each key a name "
	  "of letters, digits, '.', '_' and '-', at most 64" },
	{ "version: 1\nservices: {\"a b\": {}}",
	  "f:2:12: services.a b: \"a b\" is not allowed as a key; allowed: a name of letters, digits, "
	  "'.', '_' and '-', at most 64" },
	{ "version: 1\nservices: {a: {protocol: htps}}",
	  "f:2:26: services.a.protocol: \"htps\" is not allowed; did you mean \"https\"? allowed: http, "
	  "https, h2c or h2" },
	{ "version: 1\nservices: {a: {endpoints: [{}]}}",
	  "f:2:28: services.a.endpoints[0]: the key \"address\" is missing; it needs \"host:port\", "
	  "\"[v6]:port\" or \"unix:/path\"" },
	{ "version: 1\nservices: {a: {endpoints: [{address: \"http://x\"}]}}",
	  "f:2:38: services.a.endpoints[0].address: \"http://x\" is not allowed; allowed: "
	  "\"host:port\", \"[v6]:port\" or \"unix:/path\"" },
	{ "version: 1\nservices: {a: {endpoints: [{address: X}, {address: \"x:80\"}]}}",
	  "f:2:42: services.a.endpoints[1]: \"x:80\" is endpoints[0], too" },
	{ "version: 1\nservices: {a: {timeouts: {connect: 2}}}",
	  "f:2:36: services.a.timeouts.connect: 2 has no unit; allowed: 10ms to 5m" },
	{ "version: 1\nservices: {a: {pool: {max_idle: 70000}}}",
	  "f:2:33: services.a.pool.max_idle: 70000 is too large; allowed: 0 to 65535" },
	{ "version: 1\n" S "routes: [{service: s}]",
	  "f:3:10: routes[0]: the key \"name\" is missing; it needs letters, digits, '.', '_' and '-', "
	  "at most 64" },
	{ "version: 1\n" S "routes: [{name: r, service: t}]",
	  "f:3:29: routes[0].service: \"t\" is no service of this policy" },
	{ "version: 1\n" S
	  "routes: [{name: r, service: s}, {name: q, service: s}, {name: r, service: s}]",
	  "f:3:63: routes[2].name: \"r\" is the name of another route, too" },
	{ "version: 1\n" S "routes: [{name: r, service: s, match: {path: /a, path_prefix: /b}}]",
	  "f: routes[0].match: has path and path_prefix, which exclude each other" },
#define METHOD(method_, error_)                                                                    \
	{                                                                                          \
		"version: 1\n" S "routes: [{name: r, service: s, match: {methods: [" method_       \
		"]}}]",                                                                            \
			"f: routes[0].match.methods: \"" method_ "\" takes no request: " error_    \
	}
	METHOD("get", "methods are case-sensitive: GET"),
	METHOD("Options", "methods are case-sensitive: OPTIONS"),
	METHOD("TRACE", "the gateway answers it with 405"),
	METHOD("CONNECT", "the gateway answers it with 405"),
#define FIELD(field_, error_)                                                                      \
	{                                                                                          \
		"version: 1\n" S "routes: [{name: r, service: s, match: {headers: {" field_        \
		"}}}]",                                                                            \
			"f: routes[0].match.headers: has " error_                                  \
	}
	FIELD("Host: a.test", "\"Host\", which hosts is for"),
	FIELD("x_y: a", "\"x_y\", and requests with '_' in a field's name are refused"),
	FIELD("x: \" a\"", "a value with blanks at its ends, which no request has: \" a\""),
	FIELD("x-a: a, X-A: b", "a field twice, in two spellings"),
	{ "version: 1\n" S "routes: [{name: r, service: s, match: {hosts: [a, b, A]}}]",
	  "f: routes[0].match.hosts: has \"a\" twice" },
#define IDLE(one_, other_, error_)                                                                 \
	{                                                                                          \
		"version: 1\n" S "routes: [{name: r, service: s, match: {" one_                    \
		"}}, {name: q, service: s, match: {" other_ "}}]",                                 \
			"f: routes" error_                                                         \
	}
#define BY_FIRST                                                                                   \
	"[1].match: \"q\" takes no request: for its hosts, path, headers and methods routes[0], "  \
	"\"r\", is tried before it"
	IDLE("", "", BY_FIRST),
	IDLE("", "path_prefix: /", BY_FIRST),
	IDLE("path_prefix: /x", "path_prefix: /x/", BY_FIRST),
	IDLE("path: /x", "path: /x", BY_FIRST),
	IDLE("hosts: [a, b]", "hosts: [B]", BY_FIRST),
	IDLE("methods: [GET, PUT]", "methods: [PUT, GET]", BY_FIRST),
	IDLE("methods: [GET, PUT]", "methods: [PUT]", BY_FIRST),
	IDLE("methods: [GET]", "methods: [HEAD]", BY_FIRST),
	IDLE("headers: {a: x, b: y}", "headers: {B: y, a: x}", BY_FIRST),

	{ "version: 1\n" S "routes: [{name: r, service: s, match: {path_prefix: /a/../b}}]",
	  "f:3:53: routes[0].match.path_prefix: \"/a/../b\" is not allowed; allowed: off, or a path in "
	  "its canonical form: '/' in front, no \"//\", no \".\" or \"..\" as a segment, "
	  "percent-encoding in upper case and only where it is needed" },
	{ "version: 1\n" S "routes: [{name: r, service: s, match: {hosts: [\"*.*.a\"]}}]",
	  "f:3:48: routes[0].match.hosts[0]: \"*.*.a\" is not allowed; allowed: a host name, an IP "
	  "address (of IPv6 in brackets: \"[::1]\"), or \"*.\" and a host name" },
	{ "version: 1\n" S "routes: [{name: r, service: s, match: {methods: [\"GET \"]}}]",
	  "f:3:50: routes[0].match.methods[0]: \"GET \" is not allowed; allowed: a method, such as GET" },
	{ "version: 1\n" S "routes: [{name: r, service: s, match: {headers: {\"x y\": a}}}]",
	  "f:3:50: routes[0].match.headers.x y: \"x y\" is not allowed as a key; allowed: a field's "
	  "name" },
	{ "version: 1\n" S "routes: [{name: r, service: s, match: {headers: {x: 1}}}]",
	  "f:3:53: routes[0].match.headers.x: 1 is of the wrong type; allowed: a text of 1 to 256 "
	  "bytes" },
	{ "version: 1\n" S "routes: [{name: r, service: s, max_body: 5}]",
	  "f:3:42: routes[0].max_body: 5 has no unit; allowed: off, or 0B to 1TiB" },
	{ "version: 1\n" S "routes: [{name: r}]",
	  "f:3:10: routes[0]: needs one of service, redirect and respond" },
	{ "version: 1\n" S "routes: [{name: r, service: s, respond: {status: 200}}]",
	  "f:3:10: routes[0]: has more than one of service, redirect and respond" },
	{ "version: 1\n" S "routes: [{name: r, respond: {status: 99}}]",
	  "f:3:38: routes[0].respond.status: 99 is too small; allowed: off, or 200 to 599" },
	{ "version: 1\n" S "routes: [{name: r, respond: {status: 200, content_type: html}}]",
	  "f:3:57: routes[0].respond.content_type: \"html\" is not allowed; allowed: a media type, such "
	  "as text/html" },
	{ "version: 1\n" S "routes: [{name: r, redirect: {to: \"https://a\", status: \"304\"}}]",
	  "f:3:56: routes[0].redirect.status: \"304\" is not allowed; did you mean \"301\"? allowed: "
	  "301, 302, 303, 307 or 308" },
#define LOCATION(to_)                                                                                          \
	{                                                                                                      \
		"version: 1\n" S "routes: [{name: r, redirect: {to: \"" to_ "\"}}]",                           \
			"f:3:35: routes[0].redirect.to: \"" to_                                                \
			"\" is not allowed; allowed: off, or "                                                 \
			"\"https://\" or \"http://\" and a host, or \"/\" and a path; ${host}, ${scheme}, "    \
			"${path}, ${query}, ${rest} stand for those of the request, but nothing of it except " \
			"${host} may come where a host is expected"                                            \
	}
	LOCATION("//evil.test/"),
	LOCATION("${path}"),
	LOCATION("/${rest}"),
	LOCATION("https://${path}"),
	LOCATION("https:///x"),
	LOCATION("ftp://x"),
	LOCATION("https://a b"),
	LOCATION("https://a/${what}"),
	LOCATION("evil.test"),
	{ "version: 1\n" S "routes: [{name: r, service: s, rewrite: {prefix: /a, path: /b}}]",
	  "f:3:41: routes[0].rewrite: has prefix and path, which exclude each other" },
	{ "version: 1\n" S
	  "routes: [{name: r, service: s, match: {path: /x}, rewrite: {prefix: /a}}]",
	  "f:3:69: routes[0].rewrite.prefix: needs a match by path_prefix, not by path" },
	{ "version: 1\n" S "routes: [{name: r, respond: {status: 200}, rewrite: {host: a}}]",
	  "f:3:53: routes[0].rewrite: is of no use without a service" },
	{ "version: 1\n" S "routes: [{name: r, service: s, rewrite: {path: \"/a?b\"}}]",
	  "f:3:48: routes[0].rewrite.path: \"/a?b\" is not allowed; allowed: off, or a path; ${path} "
	  "and ${rest}, which is what follows the prefix, stand for them" },
	{ "version: 1\n" S "routes: [{name: r, service: s, rewrite: {host: \"http://a\"}}]",
	  "f:3:48: routes[0].rewrite.host: \"http://a\" is not allowed; allowed: off, or a host's "
	  "name, perhaps with a port" },
#define NAME(name_)                                                                                \
	{                                                                                          \
		"version: 1\n" S                                                                   \
		"routes: [{name: r, service: s, request_headers: {remove: [" name_ "]}}]",         \
			"f:3:59: routes[0].request_headers.remove[0]: \"" name_                    \
			"\" is not allowed; allowed: " FIELD_NAME                                  \
	}
	NAME("Connection"),
	NAME("content-length"),
	NAME("Transfer-Encoding"),
	NAME("HOST"),
	NAME("te"),
	NAME("upgrade"),
	NAME("x-forwarded-for"),
	NAME("X-Client-Cert-Subject"),
	NAME("x-request-id"),
	NAME("x_y"),
	NAME("x y"),
	{ "version: 1\n" S
	  "routes: [{name: r, service: s, request_headers: {set: {X-A: \"b\\r\\nc: d\"}}}]",
	  "f:3:61: routes[0].request_headers.set.X-A: control characters or bytes that are not UTF-8" },
	{ "version: 1\n" S
	  "routes: [{name: r, service: s, response_headers: {set: {x: \"${path}\"}}}]",
	  "f:3:60: routes[0].response_headers.set.x: \"${path}\" is not allowed; allowed: a field's "
	  "value; ${client_ip}, ${host}, ${scheme}, ${route}, ${service}, ${request_id} stand for what "
	  "they say" },
	{ "version: 1\n" S "routes: [{name: r, service: s, request_headers: {set: {x: a, X: b}}}]",
	  "f:3:55: routes[0].request_headers.set: has a field twice, in two spellings" },
	{ "version: 1\n" S "routes: [{name: r, service: s, response_headers: {set: {date: a}}}]",
	  "f:3:57: routes[0].response_headers.set.date: \"date\" is not allowed as a key; allowed: " FIELD_NAME },
	{ "version: 1\n" S
	  "routes: [{name: r, service: s, response_headers: {set: {a: \"${host}${host}\", b: "
	  "\"${host}${host}\"}}}]",
	  "f:3:50: routes[0].response_headers: come to more than 1024 bytes, with cors and the values of "
	  "variables" },
	{ "version: 1\n" S "routes: [{name: r, service: s, match: {hosts: [\"::1\"]}}]",
	  "f:3:48: routes[0].match.hosts[0]: \"::1\" is not allowed; allowed: a host name, an IP "
	  "address (of IPv6 in brackets: \"[::1]\"), or \"*.\" and a host name" },
	{ "version: 1\n" S "routes: [{name: r, redirect: {to: \"https://a\", status: 304}}]",
	  "f:3:56: routes[0].redirect.status: 304 is of the wrong type; allowed: 301, 302, 303, 307 "
	  "or 308" },
	{ "version: 1\n" S "routes: [{name: r, service: s, request_headers: {add: {Cookie: a=b}}}]",
	  "f: routes[0].request_headers.add: would make a second cookie of a client's, which RFC 6265 "
	  "5.4 forbids: set stands in place of it" },
#define ANSWER(route_, error_)                                                                     \
	{                                                                                          \
		"version: 1\n" S "routes: [{name: r, " route_ "}]", "f: routes[0]." error_         \
	}
	ANSWER("respond: {status: 204, body: x}",
	       "respond.body: goes with no answer of status 204"),
	ANSWER("respond: {status: 205, body: x}",
	       "respond.body: goes with no answer of status 205"),
	ANSWER("respond: {status: 304, body: x}",
	       "respond.body: goes with no answer of status 304"),
	ANSWER("service: s, respond: {body: x}", "respond.body: needs a status"),
	ANSWER("respond: {status: 302}",
	       "respond.status: 302 needs a location: use redirect, or set "
	       "it in response_headers"),
	ANSWER("respond: {status: 200}, cookies: {drop: [a]}",
	       "cookies: is of no use without a service"),
	ANSWER("respond: {status: 200}, cookies: {max_bytes: 1KiB}",
	       "cookies: is of no use without a service"),
	ANSWER("redirect: {to: /x}, request_headers: {remove: [a]}",
	       "request_headers: is of no use without a service"),
	ANSWER("service: s, cors: {methods: [PUT]}",
	       "cors: has no origins, without which nothing of it applies"),
	ANSWER("service: s, cors: {credentials: true}",
	       "cors: has no origins, without which nothing of it applies"),
	{ "version: 1\n" S "routes: [{name: r, service: s, cookies: {allow: [a], drop: [b]}}]",
	  "f:3:41: routes[0].cookies: has allow and drop, which exclude each other" },
	{ "version: 1\n" S "routes: [{name: r, service: s, cookies: {max_bytes: 0B}}]",
	  "f:3:53: routes[0].cookies.max_bytes: \"0B\" is too small; allowed: off, or 1B to 64KiB" },
	{ "version: 1\n" S "routes: [{name: r, service: s, cors: {origins: [app.test]}}]",
	  "f:3:49: routes[0].cors.origins[0]: \"app.test\" is not allowed; allowed: \"https://host\", "
	  "\"https://*.host\", with a port where it has one, or \"*\"" },
	{ "version: 1\n" S
	  "routes: [{name: r, service: s, cors: {origins: [\"*\"], credentials: true}}]",
	  "f:3:68: routes[0].cors.credentials: would let every page of the web act as the user: name the "
	  "origins" },
	{ "version: 1\nlimits: {x: {}}",
	  "f:2:13: limits.x: the key \"rate\" is missing; it needs a number, \"/\" and s, m, h or d, "
	  "such as 100/s" },
#define RATE(rate_)                                                                                \
	{                                                                                          \
		"version: 1\nlimits: {x: {rate: \"" rate_ "\"}}",                                  \
			"f:2:20: limits.x.rate: \"" rate_                                          \
			"\" is not allowed; allowed: a number, \"/\" and s, m, h "                 \
			"or d, such as 100/s"                                                      \
	}
	RATE("100"),
	RATE("0/s"),
	RATE("1/w"),
	RATE("1.5/s"),
	RATE("5000000000/s"),
	{ "version: 1\nlimits: {x: {rate: 20000000/s}}",
	  "f:2:13: limits.x: rate and burst go together to no bucket: at most 10000000/s, and what is full "
	  "again within 36 years" },
	{ "version: 1\nlimits: {x: {rate: 1/d, burst: 20000}}",
	  "f:2:13: limits.x: rate and burst go together to no bucket: at most 10000000/s, and what is full "
	  "again within 36 years" },
	{ "version: 1\nlimits: {x: {rate: 1/s, key: ip}}",
	  "f:2:30: limits.x.key: \"ip\" is not allowed; allowed: client_ip, header:NAME, "
	  "claim:NAME, route, service or all" },
	{ "version: 1\nlimits: {x: {rate: 1/s, key: \"header:\"}}",
	  "f:2:30: limits.x.key: \"header:\" is not allowed; allowed: client_ip, header:NAME, "
	  "claim:NAME, route, service or all" },
	{ "version: 1\n" S "routes: [{name: r, service: s, limits: [x]}]",
	  "f:3:40: routes[0].limits: \"x\" is no limit of this policy" },
	{ "version: 1\nlimits: {x: {rate: 1/s}}\n" S
	  "routes: [{name: r, service: s, limits: [x, x]}]",
	  "f:4:40: routes[0].limits: \"x\" is there twice" },
#define KEY                                                                                        \
	"{jwk: '{\"kty\": \"oct\", \"alg\": \"HS256\", \"k\": "                                    \
	"\"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M\"}'}"
	{ "version: 1\nauth: {m: {}}",
	  "f:2:11: auth.m: needs one of jwt, api_keys and mtls, with its keys" },
	{ "version: 1\nauth: {m: {jwt: {keys: [" KEY "]}, mtls: {subjects: [x]}}}",
	  "f:2:11: auth.m: needs one of jwt, api_keys and mtls, with its keys" },
	{ "version: 1\nauth: {m: {jwt: {keys: [" KEY ", {kid: a}]}}}",
	  "f:2:118: auth.m.jwt.keys[1]: needs jwk or pem, one of them" },
	{ "version: 1\nauth: {m: {jwt: {keys: [{jwk: x, pem: y}]}}}",
	  "f:2:25: auth.m.jwt.keys[0]: needs jwk or pem, one of them" },
	{ "version: 1\nauth: {m: {jwt: {keys: [{alg: HS512, jwk: '{}'}]}}}",
	  "f:2:31: auth.m.jwt.keys[0].alg: \"HS512\" is not allowed; did you mean \"RS512\"? allowed: "
	  "any, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, HS256, or the name "
	  "of an algorithm" },
	{ "version: 1\nauth: {m: {jwt: {keys: [" KEY "], claims_to_headers: {a: x-u, b: X-U}}}}",
	  "f:2:138: auth.m.jwt.claims_to_headers: has a field for two claims" },
	{ "version: 1\nauth: {m: {jwt: {keys: [" KEY "], claims_to_headers: {a: host}}}}",
	  "f:2:142: auth.m.jwt.claims_to_headers.a: \"host\" is not allowed; allowed: a field's name, "
	  "none that is about the connection, the body's length, or who forwards" },
	{ "version: 1\nauth: {m: {jwt: {keys: [" KEY "], leeway: 31s}}}",
	  "f:2:127: auth.m.jwt.leeway: \"31s\" is too large; allowed: 0s to 30s" },
#define H64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	{ "version: 1\nauth: {m: {api_keys: {keys: {a: \"" H64 "\", b: \"" H64 "\"}}}}",
	  "f:2:29: auth.m.api_keys.keys: has the same key under two names" },
	{ "version: 1\nauth: {m: {jwt: {keys: [{jwk: '{\"kty\": \"EC\", \"crv\": \"P-256\", \"x\": "
	  "\"x\", \"y\": \"y\", \"d\": \"AQAB\"}'}]}}}",
	  "f:2:25: auth.m.jwt.keys[0]: d: this is the private key; give the public one alone" },
	{ "version: 1\nauth: {m: {api_keys: {keys: {a: secret}}}}",
	  "f:2:33: auth.m.api_keys.keys.a: \"secret\" is not allowed; allowed: 64 hexadecimal digits in "
	  "lower case" },
#define SAN(san_)                                                                                      \
	{                                                                                              \
		"version: 1\nauth: {m: {mtls: {sans: [\"dns:a.test\", \"" san_ "\"]}}}",               \
			"f:2:40: auth.m.mtls.sans[1]: \"" san_                                         \
			"\" is not allowed; allowed: \"dns:\" and a host's name, \"uri:\" and a URI, " \
			"or \"email:\" and an address; no patterns"                                    \
	}
	SAN("dns:*.example.org"),
	SAN("spiffe://example.org/a"),
	SAN("ip:192.0.2.1"),
	SAN("uri:spiffe://example.org/a b"),
	{ "version: 1\n" S "routes: [{name: r, service: s, auth: m}]",
	  "f:3:38: routes[0].auth: is no name in auth of this policy" },
	{ "version: 1\nauth: {m: {mtls: {subjects: [x]}}}\n" S
	  "routes: [{name: r, service: s, auth: m, scopes: [a]}]",
	  "f:4:49: routes[0].scopes: need an auth by jwt" },
	{ "version: 1\nlimits: {l: {rate: 1/s, key: \"claim:sub\"}}\n" S
	  "routes: [{name: r, service: s, limits: [l]}]",
	  "f:4:40: routes[0].limits: go by a claim, and need an auth by jwt" },
	{ "version: 1\n" S "routes: [{name: r, service: s, scopes: [\"a b\"]}]",
	  "f:3:41: routes[0].scopes[0]: \"a b\" is not allowed; allowed: a scope, without blanks and "
	  "quotes (RFC 6749 3.3)" },
	{ "version: 1\nlimits: {rate_limit: {rate: 1/s}}\nrate_limit: 5",
	  "f:3:13: rate_limit: is the name of one of the limits, too" },
	{ "version: 1\nrate_limit: 5/s",
	  "f:2:13: rate_limit: \"5/s\" is not allowed; allowed: off, or 1 to 10000000" },
	{ "version: 1\nservices: {s: {breaker: {consecutive: 0}}}",
	  "f:2:39: services.s.breaker.consecutive: 0 is too small; allowed: 1 to 1000000" },
	{ "version: 1\n" S "routes: [{name: r, service: s, cors: {max_age: 2d}}]",
	  "f:3:48: routes[0].cors.max_age: \"2d\" is not allowed; allowed: 1s to 24h" },
};

/* Where the same text is written by a macro, it says no place: "f: ". */
static bool is_meant(const char *got, const char *want)
{
	if (strncmp(want, "f: ", 3) == 0 && strncmp(got, "f:3:", 4) == 0) {
		got = strchr(got + 4, ':') + 1;
		want += 2;
	}
	return strcmp(got, want) == 0;
}

static void broken_policies_are_refused(void **state)
{
	uint32_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		const char *got = reading(wrong[i].yaml);

		if (got && is_meant(got, wrong[i].error))
			continue;
		print_error("%s\ngot:  %s\nwant: %s\n", wrong[i].yaml, got ? got : "taken",
			    wrong[i].error);
		policy_read_free(policy);
		n++;
	}
	assert_int_equal(n, 0);
}

static void what_is_not_said_has_its_default(void **state)
{
	const struct written_service *s;
	const struct written_route *r;

	(void)state;
	assert_null(reading("version: 1\nservices: {a: , b: {endpoints: [{address: h}]}}\n"
			    "routes: [{name: r, service: b}]"));
	assert_true(policy->enabled && policy->n_services == 2 && policy->n_routes == 1);
	s = &policy->services[1];
	r = &policy->routes[0];
	assert_true(slice_eq(policy->services[0].name, SLICE("a")));
	assert_true(slice_eq(s->name, SLICE("b")) && s->protocol == POLICY_HTTP);
	assert_int_equal(policy->services[0].timeouts.connect_ns, 2000000000);
	assert_int_equal(s->timeouts.tunnel_idle_ns, 3600 * UINT64_C(1000000000));
	assert_int_equal(s->pool.max_idle, 500);
	assert_int_equal(r->max_body, 1 << 20);
	assert_true(r->upgrades == 0 && r->match.n_hosts == 0 && r->match.path.len == 0);
	policy_read_free(policy);
}

/* A number without quotes is the word that it looks like. */
static void answers_that_are_whole_are_taken(void **state)
{
	static const char *const good[] = {
		"redirect: {to: /x, status: 301}",
		"redirect: {to: /x, status: \"301\"}",
		"respond: {status: 204}",
		"respond: {status: 304}",
		"respond: {status: 300, body: x}",
		"respond: {status: 302}, response_headers: {set: {Location: /x}}",
		"respond: {status: 200}, cors: {origins: [\"*\"]}",
		"service: s, request_headers: {set: {Cookie: a=b}}, cors: {}, respond: {body: off}",
	};
	char yaml[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		const char *error;

		(void)snprintf(yaml, sizeof(yaml), "version: 1\n" S "routes: [{name: r, %s}]",
			       good[i]);
		error = reading(yaml);
		if (error)
			fail_msg("%s: %s", good[i], error);
		assert_true(i > 1 || policy->routes[0].redirect.status == 301);
		policy_read_free(policy);
	}
}

/* What is said to be allowed in a template is what is. */
static void variables_are_those_that_are_named(void **state)
{
	static const char *const places[] = { "service: s, request_headers: {set: {x: ",
					      "service: s, response_headers: {set: {x: ",
					      "service: s, rewrite: {path: ", "redirect: {to: " };
	static const char *const names[] = { "${none}",
#define X(id, name, max) "${" name "}",
					     TEMPLATE_VARIABLES(X)
#undef X
	};
	char yaml[256], told[1024] = "";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places) * ARRAY_SIZE(names); i++) {
		const char *place = places[i / ARRAY_SIZE(names)], *error;
		const char *name = names[i % ARRAY_SIZE(names)];

		(void)snprintf(yaml, sizeof(yaml),
			       "version: 1\n" S "routes:\n- {name: r, %s\"/x%s\"}%s}", place, name,
			       strstr(place, "set") ? "}" : "");
		error = reading(yaml);
		if (name == names[0])
			(void)snprintf(told, sizeof(told), "%s", strstr(error, "allowed; allowed"));
		else if ((error == NULL) != (strstr(told, name) != NULL))
			fail_msg("%s: %s", yaml, error ? error : told);
		policy_read_free(policy);
	}
}

static void hosts_and_fields_are_in_lower_case(void **state)
{
	(void)state;
	assert_null(reading("version: 1\n" S
			    "routes: [{name: r, service: s, max_body: off, upgrades: "
			    "[websocket], match: {hosts: [\"*.A.Test\"], methods: [GET, PROPFIND], "
			    "headers: {X-Tenant: Blue}}}]"));
	assert_true(slice_eq(policy->routes[0].match.hosts[0], SLICE("*.a.test")));
	assert_true(slice_eq(policy->routes[0].match.headers[0].name, SLICE("x-tenant")));
	assert_true(slice_eq(policy->routes[0].match.headers[0].text, SLICE("Blue")));
	assert_int_equal(policy->routes[0].match.n_methods, 2);
	assert_true(policy->routes[0].max_body == UINT64_MAX &&
		    policy->routes[0].upgrades == POLICY_UPGRADE_WEBSOCKET);
	policy_read_free(policy);
}

static void routes_of_one_place_are_taken_when_each_takes_something(void **state)
{
	static const char *const good[][2] = {
		{ "hosts: [a]", "hosts: [a, b]" },
		{ "path: /x", "path_prefix: /x" },
		{ "path: /x", "path: /x/" },
		{ "methods: [GET]", "" },
		{ "methods: [HEAD]", "methods: [GET]" },
		{ "methods: [GET, PUT]", "methods: [GET, POST]" },
		{ "headers: {a: x}", "headers: {a: y}" },
		{ "headers: {a: x}", "headers: {b: x}" },
		{ "", "methods: [GET]" },
		{ "methods: [brew, Lock]", "methods: [PROPFIND]" },
	};
	char yaml[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		const char *error;

		(void)snprintf(yaml, sizeof(yaml),
			       "version: 1\n" S "routes: [{name: r, service: s, match: {%s}}, "
			       "{name: q, service: s, match: {%s}}]",
			       good[i][0], good[i][1]);
		error = reading(yaml);
		if (error)
			fail_msg("%s", error);
		policy_read_free(policy);
	}
}

/* n routes that differ by a field. */
static const char *reading_many(int n, const char *match)
{
	static char yaml[POLICY_PLACE_ROUTES_MAX * 200];
	struct writer w = writer_make(yaml, sizeof(yaml) - 1);

	writer_lit(&w, "version: 1\n" S "routes:\n");
	for (int i = 0; i < n; i++) {
		char line[160];

		(void)snprintf(line, sizeof(line),
			       "  - {name: r%d, service: s, match: {headers: {x: v%d}%s}}\n", i, i,
			       match);
		writer_put(&w, slice_of(line));
	}
	writer_char(&w, '\0');
	assert_false(w.overflow);
	return reading(yaml);
}

static void routes_of_one_place_are_bounded(void **state)
{
	(void)state;
	assert_null(reading_many(POLICY_PLACE_ROUTES_MAX, ""));
	policy_read_free(policy);
	assert_string_equal(
		reading_many(POLICY_PLACE_ROUTES_MAX + 1, ""),
		"f:4:3: routes: 65 have no hosts and the path_prefix \"/\", and differ by "
		"methods and headers only; at most 64 are allowed");
	assert_string_equal(
		reading_many(POLICY_PLACE_ROUTES_MAX + 1, ", hosts: [A.test], path: /x/"),
		"f:4:3: routes: 65 have the host \"a.test\" and the path \"/x/\", and differ "
		"by methods and headers only; at most 64 are allowed");
}

static void names_of_certificates_are_as_they_are_looked_for(void **state)
{
	const struct written_mtls *mtls;

	(void)state;
	assert_null(reading("version: 1\nauth: {m: {mtls: {sans: [\"uri:spiffe://T/A\", "
			    "\"dns:B.Test\", \"dns:a.test\"]}}}"));
	mtls = &policy->auths[0].mtls;
	assert_int_equal(mtls->n_sans, 3);
	assert_true(slice_eq(mtls->sans[0], SLICE("dns:a.test")));
	assert_true(slice_eq(mtls->sans[1], SLICE("dns:b.test")));
	assert_true(slice_eq(mtls->sans[2], SLICE("uri:spiffe://T/A")));
	policy_read_free(policy);
}

/* As long as the text is, so much room there is. */
static void many_small_routes_have_room(void **state)
{
	enum { N = 3000 };
	char *yaml = malloc(N * 60 + 100);
	struct writer w = writer_make(yaml, N * 60 + 100);

	(void)state;
	writer_lit(&w, "{version: 1,services: {s: },routes: [");
	for (uint64_t i = 0; i < N; i++) {
		writer_lit(&w, "{name: ");
		writer_u64(&w, 100000 + i); /* A number is no name. */
		writer_lit(&w, "a,service: s,match: {path: /");
		writer_u64(&w, i);
		writer_lit(&w, "}},");
	}
	writer_lit(&w, "]}");
	writer_char(&w, '\0');
	assert_null(reading(yaml));
	assert_int_equal(policy->n_routes, N);
	policy_read_free(policy);
	free(yaml);
}

static void the_page_is_up_to_date(void **state)
{
	static char want[1 << 16], got[1 << 16];
	struct writer w = writer_make(want, sizeof(want));
	const char *root = getenv("GW_SOURCE_DIR");
	char path[4096];
	FILE *file;
	size_t len;

	(void)state;
	page_reference(&w, &policy_schema, "policy");
	(void)snprintf(path, sizeof(path), "%s/docs/POLICY.md", root ? root : ".");
	file = fopen(path, "re");
	assert_non_null(file);
	len = fread(got, 1, sizeof(got), file);
	assert_int_equal(fclose(file), 0);
	if (!slice_eq(slice_make(got, len), writer_slice(&w)))
		fail_msg("%s is not what the schema says: gwtool schema policy --reference", path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_policies_are_refused),
		cmocka_unit_test(what_is_not_said_has_its_default),
		cmocka_unit_test(answers_that_are_whole_are_taken),
		cmocka_unit_test(variables_are_those_that_are_named),
		cmocka_unit_test(hosts_and_fields_are_in_lower_case),
		cmocka_unit_test(routes_of_one_place_are_taken_when_each_takes_something),
		cmocka_unit_test(routes_of_one_place_are_bounded),
		cmocka_unit_test(names_of_certificates_are_as_they_are_looked_for),
		cmocka_unit_test(many_small_routes_have_room),
		cmocka_unit_test(the_page_is_up_to_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
