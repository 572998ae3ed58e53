/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "core/document/form.h"

#include "core/base/clock.h"

enum {
	FORM_HOST_MAX = 253,
	FORM_LABEL_MAX = 63,
	FORM_SOCKET_PATH_MAX = 107, /* sun_path without its NUL. */
	FORM_PATH_MAX = 4095,
	FORM_NAME_MAX = 64,
	FORM_TOKEN_MAX = 64,
	FORM_CANONICAL_MAX = 1024,
};

struct unit {
	struct slice name;
	uint64_t factor;
};

static const struct unit time_units[] = {
	{ SLICE_INIT("h"), 3600000000000 }, { SLICE_INIT("m"), 60000000000 },
	{ SLICE_INIT("s"), 1000000000 },    { SLICE_INIT("ms"), 1000000 },
	{ SLICE_INIT("us"), 1000 },         { SLICE_INIT("ns"), 1 },
};

static const struct unit size_units[] = {
	{ SLICE_INIT("TiB"), 1ull << 40 },
	{ SLICE_INIT("GiB"), 1ull << 30 },
	{ SLICE_INIT("MiB"), 1ull << 20 },
	{ SLICE_INIT("KiB"), 1ull << 10 },
	{ SLICE_INIT("B"), 1 },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	c = slice_lower(c);
	return c >= 'a' && c <= 'z';
}

/* Takes the bytes in front of which 'is' holds off the text. */
static struct slice take_while(struct slice *text, bool (*is)(char c))
{
	size_t n = 0;

	while (n < text->len && is(text->ptr[n]))
		n++;

	struct slice taken = slice_take(*text, n);

	*text = slice_drop(*text, n);
	return taken;
}

/* The unit's index from 'least' on, or 'n'. */
static size_t find_unit(const struct unit *units, size_t n, size_t least, struct slice name)
{
	for (size_t i = least; i < n; i++)
		if (slice_eq(units[i].name, name))
			return i;
	return n;
}

static int add_part(uint64_t number, uint64_t factor, uint64_t *sum)
{
	uint64_t part;

	if (__builtin_mul_overflow(number, factor, &part) ||
	    __builtin_add_overflow(*sum, part, sum))
		return -ERANGE;
	return 0;
}

/* Numbers with units that grow smaller; at most 'n_parts' of them. */
static int parse_quantity(struct slice text, const struct unit *units, size_t n_units,
			  size_t n_parts, uint64_t *ret_value)
{
	uint64_t sum = 0;
	size_t next_unit = 0;

	if (slice_eq(text, SLICE("0"))) {
		*ret_value = 0;
		return 0;
	}
	for (size_t i = 0; i == 0 || text.len; i++) {
		struct slice digits = take_while(&text, is_digit);
		struct slice name = take_while(&text, is_letter);
		uint64_t number;
		int r = slice_to_u64(digits, &number);

		if (r == -EINVAL || i == n_parts)
			return -EINVAL;
		if (r == 0 && name.len == 0 && text.len == 0)
			return -EDOM;

		size_t unit = find_unit(units, n_units, next_unit, name);

		if (unit == n_units)
			return -EINVAL;
		if (r == 0)
			r = add_part(number, units[unit].factor, &sum);
		if (r < 0)
			return r;
		next_unit = unit + 1;
	}
	*ret_value = sum;
	return 0;
}

int form_duration(struct slice text, uint64_t *ret_ns)
{
	return parse_quantity(text, time_units, ARRAY_SIZE(time_units), ARRAY_SIZE(time_units),
			      ret_ns);
}

int form_size(struct slice text, uint64_t *ret_bytes)
{
	return parse_quantity(text, size_units, ARRAY_SIZE(size_units), 1, ret_bytes);
}

/* In the greatest unit that leaves no rest; zero in the one named. */
static void put_quantity(struct writer *w, uint64_t value, const struct unit *units, size_t n,
			 struct slice zero)
{
	size_t i = 0;

	if (value == 0) {
		writer_put(w, zero);
		return;
	}
	while (value % units[i].factor)
		i++;
	GW_ASSERT(i < n);
	writer_u64(w, value / units[i].factor);
	writer_put(w, units[i].name);
}

void form_put_duration(struct writer *w, uint64_t ns)
{
	put_quantity(w, ns, time_units, ARRAY_SIZE(time_units), SLICE("0s"));
}

void form_put_size(struct writer *w, uint64_t bytes)
{
	put_quantity(w, bytes, size_units, ARRAY_SIZE(size_units), SLICE("0B"));
}

/* An IP literal without brackets; 0 or -EINVAL. */
static int parse_ip(struct slice text, int family, uint8_t ret_ip[16])
{
	char buf[INET6_ADDRSTRLEN];

	if (text.len == 0 || text.len >= sizeof(buf) || memchr(text.ptr, 0, text.len))
		return -EINVAL;
	memcpy(buf, text.ptr, text.len);
	buf[text.len] = '\0';
	return inet_pton(family, buf, ret_ip) == 1 ? 0 : -EINVAL;
}

/* Is every bit behind the prefix zero? */
static bool is_prefix(const uint8_t *ip, unsigned int n_bits, unsigned int bits)
{
	for (unsigned int i = bits; i < n_bits; i++)
		if (ip[i / 8] & (0x80u >> i % 8))
			return false;
	return true;
}

int form_net(struct slice text, struct form_net *ret_net)
{
	struct form_net net = { 0 };
	struct slice ip, bits;
	bool with_bits = slice_split(text, '/', &ip, &bits);
	unsigned int bits_max;
	uint64_t n;

	net.family = slice_find(ip, ':') == SLICE_NONE ? AF_INET : AF_INET6;
	if (parse_ip(ip, net.family, net.ip) < 0)
		return -EINVAL;
	bits_max = net.family == AF_INET ? 32 : 128;
	n = bits_max;
	if (with_bits && (slice_to_u64(bits, &n) < 0 || n > bits_max || bits.len > 3))
		return -EINVAL;
	net.bits = (uint8_t)n;
	if (!is_prefix(net.ip, bits_max, net.bits))
		return -EDOM;
	*ret_net = net;
	return 0;
}

void form_put_net(struct writer *w, const struct form_net *net)
{
	char buf[INET6_ADDRSTRLEN];
	const char *text = inet_ntop(net->family, net->ip, buf, sizeof(buf));

	GW_ASSERT(text);
	writer_put(w, slice_of(text));
	writer_char(w, '/');
	writer_u64(w, net->bits);
}

static int parse_port(struct slice text, uint16_t *ret_port)
{
	uint64_t port;

	if (text.len > 5 || slice_to_u64(text, &port) < 0 || port > UINT16_MAX)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

/* "host:port", "[v6]:port", ":port"; brackets go. Without a port: false, the port is untouched. */
static int split_port(struct slice text, struct slice *ret_host, struct slice *ret_port,
		      bool *ret_literal6)
{
	struct slice port = { 0 };
	size_t end;

	*ret_literal6 = text.len && text.ptr[0] == '[';
	if (*ret_literal6) {
		end = slice_find(text, ']');
		if (end == SLICE_NONE)
			return -EINVAL;
		*ret_host = slice_make(text.ptr + 1, end - 1);
		port = slice_drop(text, end + 1);
		if (port.len && port.ptr[0] != ':')
			return -EINVAL;
	} else {
		end = slice_find(text, ':');
		*ret_host = slice_take(text, end == SLICE_NONE ? text.len : end);
		port = slice_drop(text, ret_host->len);
	}
	*ret_port = port;
	return 0;
}

static bool is_ip(struct slice text, int family)
{
	uint8_t ip[16];

	return parse_ip(text, family, ip) == 0;
}

static bool is_socket_path(struct slice text)
{
	return text.len > 1 && text.len <= FORM_SOCKET_PATH_MAX && form_path(text) == 0;
}

int form_address(struct slice text)
{
	struct slice host, port_text;
	uint16_t port;
	bool literal6;

	if (slice_starts_with(text, SLICE("unix:")))
		return is_socket_path(slice_drop(text, 5)) ? 0 : -EINVAL;
	if (split_port(text, &host, &port_text, &literal6) < 0)
		return -EINVAL;
	if (parse_port(slice_drop(port_text, 1), &port) < 0)
		return -EINVAL;
	if (literal6)
		return is_ip(host, AF_INET6) ? 0 : -EINVAL;
	return host.len == 0 || is_ip(host, AF_INET) ? 0 : -EINVAL;
}

static bool is_label(struct slice label)
{
	if (label.len == 0 || label.len > FORM_LABEL_MAX)
		return false;
	if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++) {
		char c = label.ptr[i];

		if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_')
			return false;
	}
	return true;
}

bool form_is_host(struct slice text)
{
	struct slice rest = text, label;
	bool more = text.len > 0 && text.len <= FORM_HOST_MAX;

	if (!more)
		return false;
	while (more) {
		more = slice_split(rest, '.', &label, &rest);
		if (!is_label(label))
			return false;
	}
	/* What ends in a number is meant as an IPv4 address, and would have been one. */
	take_while(&label, is_digit);
	return label.len > 0;
}

static bool is_host_or_ip4(struct slice text)
{
	return is_ip(text, AF_INET) || form_is_host(text);
}

int form_host_pattern(struct slice text)
{
	if (text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
		return is_ip(slice_make(text.ptr + 1, text.len - 2), AF_INET6) ? 0 : -EINVAL;
	if (slice_starts_with(text, SLICE("*.")))
		return form_is_host(slice_drop(text, 2)) ? 0 : -EINVAL;
	return is_host_or_ip4(text) ? 0 : -EINVAL;
}

int form_path(struct slice text)
{
	if (text.len == 0 || text.len > FORM_PATH_MAX || text.ptr[0] != '/')
		return -EINVAL;
	return form_is_text(text) ? 0 : -EINVAL;
}

static int parse_authority(struct slice text, enum form_scheme scheme, struct form_url *ret_url)
{
	bool is_tls = scheme == FORM_HTTPS || scheme == FORM_H2;
	struct form_url url = { .scheme = scheme, .port = is_tls ? 443 : 80 };
	struct slice port;
	bool literal6;

	if (split_port(text, &url.host, &port, &literal6) < 0)
		return -EINVAL;
	if (port.len && (parse_port(slice_drop(port, 1), &url.port) < 0 || url.port == 0))
		return -EINVAL;
	if (literal6 ? !is_ip(url.host, AF_INET6) : !is_host_or_ip4(url.host))
		return -EINVAL;
	*ret_url = url;
	return 0;
}

/* What stands behind "scheme://"; without text when there is none that is known. */
static struct slice take_scheme(struct slice text, enum form_scheme *ret_scheme)
{
	static const struct slice starts[] = {
		[FORM_HTTP] = SLICE_INIT("http://"),
		[FORM_HTTPS] = SLICE_INIT("https://"),
		[FORM_H2C] = SLICE_INIT("h2c://"),
		[FORM_H2] = SLICE_INIT("h2://"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		if (!slice_starts_with_nocase(text, starts[i]))
			continue;
		*ret_scheme = (enum form_scheme)i;
		return slice_drop(text, starts[i].len);
	}
	return SLICE("");
}

int form_endpoint(struct slice text, enum form_scheme scheme, struct form_url *ret_url)
{
	if (slice_starts_with(text, SLICE("unix:"))) {
		text = slice_drop(text, 5);
		if (!is_socket_path(text))
			return -EINVAL;
		*ret_url = (struct form_url){ .scheme = scheme, .path = text };
		return 0;
	}
	for (size_t i = 0; i < text.len; i++)
		if (memchr("/?#@", text.ptr[i], 4))
			return -EDOM;
	return parse_authority(text, scheme, ret_url);
}

int form_url(struct slice text, struct form_url *ret_url)
{
	enum form_scheme scheme = FORM_HTTP;
	struct slice rest = text;

	if (!slice_starts_with(text, SLICE("unix:"))) {
		rest = take_scheme(text, &scheme);
		if (slice_ends_with(rest, SLICE("/")))
			rest = slice_take(rest, rest.len - 1);
	}
	return form_endpoint(rest, scheme, ret_url);
}

int form_ip(struct slice text, uint8_t ret_ip[16])
{
	if (parse_ip(text, AF_INET, ret_ip) == 0)
		return AF_INET;
	return parse_ip(text, AF_INET6, ret_ip) == 0 ? AF_INET6 : 0;
}

/* --- Words. ---------------------------------------------------------------------------------- */

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int all_of(struct slice text, size_t len_max, const char *others)
{
	if (text.len == 0 || text.len > len_max)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++)
		if (!is_alnum(text.ptr[i]) && !memchr(others, text.ptr[i], strlen(others)))
			return -EINVAL;
	return 0;
}

int form_name(struct slice text)
{
	return all_of(text, FORM_NAME_MAX, "._-");
}

int form_token(struct slice text)
{
	return all_of(text, FORM_TOKEN_MAX, "!#$%&'*+-.^_`|~");
}

/* --- Paths of requests. ---------------------------------------------------------------------- */

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* An escape of what could not stand there, or would mean something else (RFC 3986 2.3). */
static bool is_escape(struct slice text)
{
	int high = text.len >= 3 ? hex_of(text.ptr[1]) : -1;
	int low = text.len >= 3 ? hex_of(text.ptr[2]) : -1;
	char c = (char)(high * 16 + low);

	return high >= 0 && low >= 0 && !is_alnum(c) && c != '-' && c != '.' && c != '_' &&
	       c != '~' && c != '/';
}

static bool is_segment(struct slice segment)
{
	if (slice_eq(segment, SLICE(".")) || slice_eq(segment, SLICE("..")))
		return false;
	for (size_t i = 0; i < segment.len; i++) {
		char c = segment.ptr[i];

		if (c == '%' ? !is_escape(slice_drop(segment, i))
			     : !is_alnum(c) && !memchr("-._~!$&'()*+,;=:@", c, 17))
			return false;
	}
	return true;
}

int form_canonical_path(struct slice text)
{
	struct slice rest, segment;
	bool more = text.len > 0 && text.len <= FORM_CANONICAL_MAX && text.ptr[0] == '/';

	if (!more)
		return -EINVAL;
	rest = slice_drop(text, 1);
	while (more) {
		more = slice_split(rest, '/', &segment, &rest);
		if (!is_segment(segment) || (segment.len == 0 && more))
			return -EINVAL;
	}
	return 0;
}

/*
 * Length of the well-formed sequence at the start of s, 0 when it is not one (RFC 3629 4) or is a
 * control character: U+0000 to U+001F and U+007F to U+009F.
 */
static size_t char_len(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return p[0] < 0x20 || p[0] == 0x7f ? 0 : 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0 || p[0] == 0xc2)
		low = 0xa0; /* Shorter forms exist; after 0xc2: controls. */
	else if (p[0] == 0xed)
		high = 0x9f; /* Surrogates. */
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f; /* Beyond U+10FFFF. */
	if (s.len < n || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return n;
}

bool form_is_text(struct slice text)
{
	while (text.len) {
		size_t n = char_len(text);

		if (n == 0)
			return false;
		text = slice_drop(text, n);
	}
	return true;
}

bool form_is_lines(struct slice text)
{
	size_t start = 0;

	for (size_t i = 0; i <= text.len; i++) {
		if (i < text.len && text.ptr[i] != '\n' && text.ptr[i] != '\t')
			continue;
		if (!form_is_text(slice_make(text.ptr + start, i - start)))
			return false;
		start = i + 1;
	}
	return true;
}

int form_rate(struct slice text, uint64_t *ret_count, uint64_t *ret_period_ns)
{
	static const struct {
		char unit;
		uint64_t span_ns;
	} units[] = {
		{ 's', GW_NS_PER_S },
		{ 'm', 60 * GW_NS_PER_S },
		{ 'h', 3600 * GW_NS_PER_S },
		{ 'd', 86400 * GW_NS_PER_S },
	};
	struct slice count, unit;

	if (!slice_split(text, '/', &count, &unit) || unit.len != 1 ||
	    slice_to_u64(count, ret_count) < 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (units[i].unit == unit.ptr[0]) {
			*ret_period_ns = units[i].span_ns;
			return *ret_count > 0 && *ret_count <= UINT32_MAX ? 0 : -ERANGE;
		}
	return -EINVAL;
}
