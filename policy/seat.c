/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/seat.h"

void seat_offer(struct policy_seat *seat, const struct policy_table *table)
{
	table_check(table);
	atomic_store_explicit(&seat->offered, table, memory_order_release);
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
	if (GW_UNLIKELY(atomic_load_explicit(&seat->adopted, memory_order_relaxed) != table))
		atomic_store_explicit(&seat->adopted, table, memory_order_release);
	return table;
}
