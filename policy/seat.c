/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/seat.h"

#include "core/base/clock.h"
#include "core/base/probe.h"

void seat_offer(struct policy_seat *seat, const struct policy_table *table)
{
	GW_PROBE(policy_offer, table->generation, table->services.n, table->routes.n);
	atomic_store_explicit(&seat->offered, table, memory_order_release);
}

void seat_renew(struct policy_seat *seat, const struct policy_table *table, uint64_t now_ns)
{
	GW_ASSERT(now_ns > 0);
	atomic_store_explicit(&seat->renewed_ns, now_ns, memory_order_relaxed);
	seat_offer(seat, table); /* Its release makes the time visible, too. */
}

bool seat_has(const struct policy_seat *seat, const struct policy_table *table)
{
	return atomic_load_explicit(&seat->adopted, memory_order_acquire) == table;
}

const struct policy_table *seat_table(struct policy_seat *seat)
{
	const struct policy_table *table;

	table = atomic_load_explicit(&seat->offered, memory_order_acquire);
	GW_ASSERT(table);
	if (GW_UNLIKELY(atomic_load_explicit(&seat->adopted, memory_order_relaxed) != table)) {
		atomic_store_explicit(&seat->adopted_ns, gw_now_ns(), memory_order_relaxed);
		atomic_store_explicit(&seat->adopted, table, memory_order_release);
		GW_PROBE(policy_adopt, table->generation, table->services.n, table->routes.n);
	}
	return table;
}

uint64_t seat_adopted_ns(const struct policy_seat *seat)
{
	return atomic_load_explicit(&seat->adopted_ns, memory_order_relaxed);
}

uint64_t seat_waited_ns(const struct policy_seat *seat, uint64_t now_ns)
{
	uint64_t renewed_ns = atomic_load_explicit(&seat->renewed_ns, memory_order_relaxed);

	if (renewed_ns == 0)
		return 0;
	/* A worker's clock stands still during a turn, so it may be behind. */
	return now_ns > renewed_ns ? now_ns - renewed_ns : 1;
}
