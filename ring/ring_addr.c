/* SPDX-License-Identifier: Apache-2.0 */
/* ring_addr.c - addresses: text, sockaddr, and the plain value between them. */
#include "ring/ring_addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "core/base/writer.h"

_Static_assert(sizeof(((struct ring_addr *)0)->path) == sizeof(((struct sockaddr_un *)0)->sun_path),
	       "any Unix path fits");

static int parse_port(struct slice text, uint16_t *ret_port)
{
	uint64_t port;

	if (text.len > 5 || slice_to_u64(text, &port) < 0 || port > UINT16_MAX)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

static int parse_ip(int family, struct slice text, uint8_t *ret_ip)
{
	char copy[INET6_ADDRSTRLEN];

	if (text.len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	/* A NUL inside would hide the rest. */
	if (strlen(copy) != text.len || inet_pton(family, copy, ret_ip) != 1)
		return -EINVAL;
	return 0;
}

static int parse_unix(struct slice path, struct ring_addr *ret_addr)
{
	struct ring_addr addr = { .family = AF_UNIX };

	if (path.len == 0 || path.len > sizeof(addr.path) || path.ptr[0] != '/' ||
	    slice_find(path, '\0') != SLICE_NONE)
		return -EINVAL;
	addr.path_len = (uint8_t)path.len;
	memcpy(addr.path, path.ptr, path.len);
	*ret_addr = addr;
	return 0;
}

int ring_addr_parse(struct slice text, struct ring_addr *ret_addr)
{
	struct ring_addr addr = { .family = AF_INET };
	size_t colon = slice_find_last(text, ':');
	struct slice host;

	if (slice_starts_with(text, SLICE("unix:")))
		return parse_unix(slice_drop(text, 5), ret_addr);
	if (colon == SLICE_NONE || parse_port(slice_drop(text, colon + 1), &addr.port) < 0)
		return -EINVAL;

	host = slice_take(text, colon);
	if (host.len == 0) {
		addr.family = AF_INET6; /* "::", which takes both families. */
	} else if (host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
		addr.family = AF_INET6;
		host = slice_take(slice_drop(host, 1), host.len - 2);
		if (parse_ip(AF_INET6, host, addr.ip) < 0)
			return -EINVAL;
	} else if (parse_ip(AF_INET, host, addr.ip) < 0) {
		return -EINVAL;
	}
	*ret_addr = addr;
	return 0;
}

bool ring_addr_eq(const struct ring_addr *a, const struct ring_addr *b)
{
	if (a->family != b->family)
		return false;
	switch (a->family) {
	case AF_INET:
		return a->port == b->port && memcmp(a->ip, b->ip, 4) == 0;
	case AF_INET6:
		return a->port == b->port && memcmp(a->ip, b->ip, 16) == 0;
	case AF_UNIX:
		return a->path_len == b->path_len && memcmp(a->path, b->path, a->path_len) == 0;
	default:
		return true; /* Both are none. */
	}
}

static void put_ip(struct writer *w, const struct ring_addr *addr)
{
	char ip[INET6_ADDRSTRLEN];
	const char *text = inet_ntop(addr->family, addr->ip, ip, sizeof(ip));

	GW_ASSERT(text);
	if (addr->family == AF_INET6)
		writer_char(w, '[');
	writer_put(w, slice_of(text));
	if (addr->family == AF_INET6)
		writer_char(w, ']');
	writer_char(w, ':');
	writer_u64(w, addr->port);
}

size_t ring_addr_format(const struct ring_addr *addr, char text[RING_ADDR_TEXT])
{
	struct writer w = writer_make(text, RING_ADDR_TEXT);

	switch (addr->family) {
	case AF_INET:
	case AF_INET6:
		put_ip(&w, addr);
		break;
	case AF_UNIX:
		writer_put(&w, SLICE("unix:"));
		writer_put(&w, slice_make(addr->path, addr->path_len));
		break;
	default:
		writer_char(&w, '-');
	}
	GW_ASSERT(!w.overflow);
	return (size_t)(w.ptr - text);
}

static socklen_t unix_to_sockaddr(const struct ring_addr *addr, struct sockaddr_un *un)
{
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(un->sun_path, addr->path, addr->path_len);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + addr->path_len);
}

socklen_t ring_addr_to_sockaddr(const struct ring_addr *addr, struct sockaddr_storage *ret_storage)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)ret_storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_storage;

	switch (addr->family) {
	case AF_INET:
		*in4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(addr->port) };
		memcpy(&in4->sin_addr, addr->ip, 4);
		return sizeof(*in4);
	case AF_INET6:
		*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					      .sin6_port = htons(addr->port) };
		memcpy(&in6->sin6_addr, addr->ip, 16);
		return sizeof(*in6);
	default:
		GW_ASSERT(addr->family == AF_UNIX);
		return unix_to_sockaddr(addr, (struct sockaddr_un *)ret_storage);
	}
}

static void from_unix(const struct sockaddr_un *un, socklen_t len, struct ring_addr *addr)
{
	size_t room = len > offsetof(struct sockaddr_un, sun_path)
			      ? len - offsetof(struct sockaddr_un, sun_path)
			      : 0;

	addr->family = AF_UNIX;
	/* Abstract names begin with a NUL and are not ours; unnamed ones have no room. */
	addr->path_len = (uint8_t)strnlen(un->sun_path,
					  room < sizeof(addr->path) ? room : sizeof(addr->path));
	memcpy(addr->path, un->sun_path, addr->path_len);
}

/* A listener for both families shows IPv4 peers as ::ffff:1.2.3.4. */
static void from_inet6(const struct sockaddr_in6 *in6, struct ring_addr *addr)
{
	bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);

	addr->family = mapped ? AF_INET : AF_INET6;
	addr->port = ntohs(in6->sin6_port);
	memcpy(addr->ip, &in6->sin6_addr.s6_addr[mapped ? 12 : 0], mapped ? 4 : 16);
}

void ring_addr_from_sockaddr(const struct sockaddr_storage *storage, socklen_t len,
			     struct ring_addr *ret_addr)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)storage;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)storage;
	struct ring_addr addr = { 0 };

	switch (storage->ss_family) {
	case AF_INET:
		addr.family = AF_INET;
		addr.port = ntohs(in4->sin_port);
		memcpy(addr.ip, &in4->sin_addr, 4);
		break;
	case AF_INET6:
		from_inet6(in6, &addr);
		break;
	case AF_UNIX:
		from_unix((const struct sockaddr_un *)storage, len, &addr);
		break;
	default:
		break;
	}
	*ret_addr = addr;
}
