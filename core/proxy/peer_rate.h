/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_rate.h - how often a network has done something that costs us much: TLS handshakes.
 *
 * A network is an IPv4 /24 or an IPv6 /64. Of each a token bucket, as the one moment at which
 * it would be full again (the "generic cell rate algorithm"): a second's worth at once, and
 * then as many a second. Two hashed cells per network; it is refused only if both are used
 * up, so that two networks are mixed up only if both hashes meet.
 *
 * Threads: shared by all workers (atomics only).
 */
#pragma once

#include "core/base/hash.h"
#include "core/proxy/peer.h"

enum { PEER_RATES = 1 << 16 };

struct peer_rates {
	struct hash_key key;
	_Atomic uint64_t full_ns[2][PEER_RATES];
};

/* One more, of at most 'per_second'; false when that is too many, and then nothing was taken. */
bool peer_rates_take(struct peer_rates *rates, const struct peer *peer, uint32_t per_second,
		     uint64_t now_ns);

/* What was taken was not needed after all. */
void peer_rates_give(struct peer_rates *rates, const struct peer *peer, uint32_t per_second);
