/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/peer_rate.h"

#include "core/base/clock.h"

#define BURST_NS GW_NS_PER_S

/* The two cells of a network. */
static void cells_of(struct peer_rates *rates, const struct peer *peer,
		     _Atomic uint64_t *ret_cells[2])
{
	size_t len = peer->family == AF_INET6 ? 8 : 3;
	uint64_t hash = hash_sip(rates->key, slice_make(peer->ip, len)) + peer->family;

	ret_cells[0] = &rates->full_ns[0][hash % PEER_RATES];
	ret_cells[1] = &rates->full_ns[1][(hash >> 32) % PEER_RATES];
}

static bool is_used_up(const _Atomic uint64_t *cell, uint64_t span_ns, uint64_t now_ns)
{
	return atomic_load_explicit(cell, memory_order_relaxed) + span_ns > now_ns + BURST_NS;
}

/* A cell that others have used up goes no further: they would pay for it afterwards. */
static void take(_Atomic uint64_t *cell, uint64_t span_ns, uint64_t now_ns)
{
	uint64_t full_ns = atomic_load_explicit(cell, memory_order_relaxed), next_ns;

	do {
		next_ns = (full_ns > now_ns ? full_ns : now_ns) + span_ns;
		if (next_ns > now_ns + BURST_NS)
			next_ns = now_ns + BURST_NS;
	} while (!atomic_compare_exchange_weak_explicit(
		cell, &full_ns, next_ns, memory_order_relaxed, memory_order_relaxed));
}

bool peer_rates_take(struct peer_rates *rates, const struct peer *peer, uint32_t per_second,
		     uint64_t now_ns)
{
	uint64_t span_ns = GW_NS_PER_S / per_second;
	_Atomic uint64_t *cells[2];

	GW_ASSERT(per_second > 0);
	cells_of(rates, peer, cells);
	if (is_used_up(cells[0], span_ns, now_ns) && is_used_up(cells[1], span_ns, now_ns))
		return false;
	take(cells[0], span_ns, now_ns);
	take(cells[1], span_ns, now_ns);
	return true;
}

void peer_rates_give(struct peer_rates *rates, const struct peer *peer, uint32_t per_second)
{
	uint64_t span_ns = GW_NS_PER_S / per_second;
	_Atomic uint64_t *cells[2];

	cells_of(rates, peer, cells);
	for (int i = 0; i < 2; i++) {
		uint64_t full_ns = atomic_load_explicit(cells[i], memory_order_relaxed);

		while (full_ns >= span_ns && !atomic_compare_exchange_weak_explicit(
						     cells[i], &full_ns, full_ns - span_ns,
						     memory_order_relaxed, memory_order_relaxed))
			;
	}
}
