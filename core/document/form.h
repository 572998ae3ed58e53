/* SPDX-License-Identifier: Apache-2.0 */
/*
 * form.h - the forms of text that documents hold: spans of time, sizes, addresses, names.
 *
 * Ownership: results that are slices point into the text given. Threads: pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/base/writer.h"

/*
 * "15s", "250ms", "1m", "1h", "1m30s": a whole number and a unit (ns, us, ms, s, m, h), or several,
 * the greatest unit first. "0" needs none. 0; -EINVAL for other text, -EDOM for a number without
 * its unit, -ERANGE beyond 2^64-1 ns.
 */
GW_MUST_USE int form_duration(struct slice text, uint64_t *ret_ns);

/* "1MiB", "64KiB", "10B", "2GiB", or "0". Errors as form_duration(). */
GW_MUST_USE int form_size(struct slice text, uint64_t *ret_bytes);

/* The shortest text that the functions above read back as the same value. */
void form_put_duration(struct writer *w, uint64_t ns);
void form_put_size(struct writer *w, uint64_t bytes);

/* A network: the first 'bits' of ip count, the rest is zero. IPv4 uses 4 bytes. */
struct form_net {
	uint8_t family; /* AF_INET or AF_INET6. */
	uint8_t bits;
	uint8_t ip[16]; /* Network order. */
};

/* "10.0.0.0/8", "fd00::/8", or one address. 0; -EINVAL; -EDOM: bits behind the prefix are set. */
GW_MUST_USE int form_net(struct slice text, struct form_net *ret_net);
void form_put_net(struct writer *w, const struct form_net *net);

/*
 * A place to listen on: "1.2.3.4:80", "[::1]:80", ":80", "unix:/path". Whatever passes,
 * ring_addr_parse() takes. Port 0 (any free one) is allowed. 0 or -EINVAL.
 */
GW_MUST_USE int form_address(struct slice text);

/* A host name of letters, digits, '-', '_' and dots (RFC 1123 2.1), at most 253 bytes. */
bool form_is_host(struct slice text);

/* A host name or IP literal, or "*." and a host name. 0 or -EINVAL. For allowed_hosts. */
GW_MUST_USE int form_host_pattern(struct slice text);

/* An absolute file path without NUL, at most 4,095 bytes. 0 or -EINVAL. */
GW_MUST_USE int form_path(struct slice text);

enum form_scheme { FORM_HTTP, FORM_HTTPS, FORM_H2C, FORM_H2 };

/* Where a request goes. Host and path exclude each other: one of them is empty. */
struct form_url {
	enum form_scheme scheme;
	struct slice host; /* Name or IP literal, without brackets. */
	struct slice path; /* Of a Unix socket. */
	uint16_t port;
};

/*
 * "http://host:port", "http://[v6]:port", "http://host" (port 80), the same with "https", "h2c" and
 * "h2" (port 443 where TLS is spoken); "unix:/path" (http); one '/' may end all but the last.
 * 0; -EINVAL; -EDOM: there is a path, query or user.
 */
GW_MUST_USE int form_url(struct slice text, struct form_url *ret_url);

/*
 * The same without a scheme: "host:port", "[v6]:port", "host" (the scheme's port), "unix:/path".
 * 0; -EINVAL; or -EDOM as above.
 */
GW_MUST_USE int form_endpoint(struct slice text, enum form_scheme scheme, struct form_url *ret_url);

/* "100/s", "5/m", "1000/h", "10/d": so many in such a span. 0; -EINVAL; -ERANGE: 0, or beyond 2^32. */
GW_MUST_USE int form_rate(struct slice text, uint64_t *ret_count, uint64_t *ret_period_ns);

/* An IP address without brackets: AF_INET or AF_INET6, and its 4 or 16 bytes; 0 for other text. */
int form_ip(struct slice text, uint8_t ret_ip[16]);

/* A name by which things refer to each other: letters, digits, '.', '_', '-'; 1 to 64. 0 or -EINVAL. */
GW_MUST_USE int form_name(struct slice text);

/*
 * A path as requests have it when they are matched (RFC 3986 3.3): '/' in front, no empty or dot
 * segments, no query; escapes in upper case, and only of what must be. 0 or -EINVAL.
 */
GW_MUST_USE int form_canonical_path(struct slice text);

/* A method, or the name of a field: a token (RFC 9110 5.6.2). 0 or -EINVAL. */
GW_MUST_USE int form_token(struct slice text);

/* Is it well-formed UTF-8 (RFC 3629) without control characters? Text from outside must be. */
bool form_is_text(struct slice text);
/* The same in several lines: with newlines and tabs. */
bool form_is_lines(struct slice text);
