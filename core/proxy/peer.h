/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h - who a client is: its address, whether it is a trusted proxy, how many it has.
 *
 * Threads: pure, except peer_counts, which all workers share (atomics only).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/hash.h"
#include "core/base/slice.h"
#include "ring/ring_net.h"

struct peer {
	uint8_t family; /* AF_INET, AF_INET6, AF_UNIX. */
	uint16_t port;
	uint8_t ip[16]; /* Network order; an IPv4 address mapped into IPv6 is AF_INET here. */
};

struct peer_net {
	uint8_t family;
	uint8_t prefix; /* Bits. */
	uint8_t ip[16];
};

enum { PEER_TEXT = 46 };

struct peer peer_of(const struct ring_addr *addr);

/* "192.0.2.1", "2001:db8::1", "unix"; returns the length. */
size_t peer_format(const struct peer *peer, char text[PEER_TEXT]);
/* An address, perhaps with a port behind it: "192.0.2.1", "[2001:db8::1]:80". 0 or -EINVAL. */
GW_MUST_USE int peer_parse(struct slice text, struct peer *ret_peer);
bool peer_in(const struct peer *peer, const struct peer_net *nets, uint32_t n_nets);

/*
 * Connections by address (IPv4 whole, IPv6 by /64), for a limit that all
 * workers share. Two hashed counters per address; the smaller one counts, so
 * that two addresses are mixed up only if both hashes meet.
 */
enum { PEER_COUNTS = 1 << 16 };

struct peer_counts {
	struct hash_key key;
	_Atomic uint32_t n[2][PEER_COUNTS];
};

/* Count one more; false, and nothing counted, when that would be more than 'max'. */
bool peer_counts_add(struct peer_counts *counts, const struct peer *peer, uint32_t max);
void peer_counts_del(struct peer_counts *counts, const struct peer *peer);
