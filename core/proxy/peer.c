/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "core/base/writer.h"

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

struct peer peer_of(const struct ring_addr *addr)
{
	struct peer peer = { .family = addr->family, .port = addr->port };

	if (addr->family == AF_INET6 && !memcmp(addr->ip, mapped_prefix, sizeof(mapped_prefix))) {
		peer.family = AF_INET;
		memcpy(peer.ip, addr->ip + sizeof(mapped_prefix), 4);
	} else if (addr->family != AF_UNIX) {
		memcpy(peer.ip, addr->ip, sizeof(peer.ip));
	}
	return peer;
}

/* For each request: inet_ntop() formats by printf, which stood in the profile. */
static size_t format_ip4(const uint8_t ip[4], char text[PEER_TEXT])
{
	struct writer out = writer_make(text, PEER_TEXT);

	for (int i = 0; i < 4; i++) {
		if (i > 0)
			writer_char(&out, '.');
		writer_u64(&out, ip[i]);
	}
	return writer_len(&out);
}

size_t peer_format(const struct peer *peer, char text[PEER_TEXT])
{
	if (peer->family == AF_INET)
		return format_ip4(peer->ip, text);
	if (peer->family == AF_UNIX || !inet_ntop(peer->family, peer->ip, text, PEER_TEXT)) {
		memcpy(text, "unix", 4);
		return 4;
	}
	return strnlen(text, PEER_TEXT);
}

/* Without brackets and port. */
static struct slice address_part(struct slice text)
{
	size_t end = slice_find(text, ']');

	if (text.len && text.ptr[0] == '[')
		return end == SLICE_NONE ? SLICE("") : slice_drop(slice_take(text, end), 1);
	end = slice_find(text, ':');
	return end != SLICE_NONE && slice_find(slice_drop(text, end + 1), ':') == SLICE_NONE
		       ? slice_take(text, end)
		       : text;
}

int peer_parse(struct slice text, struct peer *ret_peer)
{
	struct slice part = address_part(text);
	struct ring_addr addr = { 0 };
	char copy[PEER_TEXT];

	if (part.len == 0 || part.len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, part.ptr, part.len);
	copy[part.len] = '\0';
	addr.family = slice_find(part, ':') == SLICE_NONE ? AF_INET : AF_INET6;
	if (inet_pton(addr.family, copy, addr.ip) != 1)
		return -EINVAL;
	*ret_peer = peer_of(&addr);
	return 0;
}

static bool in_net(const struct peer *peer, const struct peer_net *net)
{
	uint32_t whole = net->prefix / 8, rest = net->prefix % 8;

	if (peer->family != net->family || memcmp(peer->ip, net->ip, whole) != 0)
		return false;
	return rest == 0 || (peer->ip[whole] ^ net->ip[whole]) >> (8 - rest) == 0;
}

bool peer_in(const struct peer *peer, const struct peer_net *nets, uint32_t n_nets)
{
	for (uint32_t i = 0; i < n_nets; i++)
		if (in_net(peer, &nets[i]))
			return true;
	return false;
}

/* The two cells of an address. */
static void cells_of(struct peer_counts *counts, const struct peer *peer,
		     _Atomic uint32_t *ret_cells[2])
{
	size_t len = peer->family == AF_INET6 ? 8 : 4;
	uint64_t hash = hash_sip(counts->key, slice_make(peer->ip, len)) + peer->family;

	ret_cells[0] = &counts->n[0][hash % PEER_COUNTS];
	ret_cells[1] = &counts->n[1][(hash >> 32) % PEER_COUNTS];
}

/*
 * Looked at when both are counted, in one order for all: of those who are one too many the last
 * to count itself sees all the others in both cells. What the additions return would not do:
 * somebody who leaves and comes again in between shows each cell at another time.
 */
bool peer_counts_add(struct peer_counts *counts, const struct peer *peer, uint32_t max)
{
	_Atomic uint32_t *cells[2];
	uint32_t first, second;

	cells_of(counts, peer, cells);
	atomic_fetch_add(cells[0], 1);
	atomic_fetch_add(cells[1], 1);
	first = atomic_load(cells[0]);
	second = atomic_load(cells[1]);
	if ((first < second ? first : second) <= max)
		return true;
	peer_counts_del(counts, peer);
	return false;
}

void peer_counts_del(struct peer_counts *counts, const struct peer *peer)
{
	_Atomic uint32_t *cells[2];

	cells_of(counts, peer, cells);
	for (int i = 0; i < 2; i++) {
		uint32_t before = atomic_fetch_sub_explicit(cells[i], 1, memory_order_relaxed);

		GW_ASSERT(before > 0);
	}
}
