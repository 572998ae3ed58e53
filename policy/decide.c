/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/decide.h"

#include "policy/find.h"

static struct verdict refuse(const struct policy_table *table, enum reason reason)
{
	return (struct verdict){
		.kind = VERDICT_REFUSE,
		.generation = table->generation,
		.reason = (uint16_t)reason,
		.status = (uint16_t)reason_status(reason),
	};
}

static struct verdict forward(const struct policy_table *table, uint32_t index)
{
	const struct policy_route *route = table_route(table, index);

	return (struct verdict){
		.kind = VERDICT_FORWARD,
		.retry = route->retry,
		.upgrades = route->upgrades,
		.generation = table->generation,
		.service = route->service,
		.route = route->slot,
		.max_body = route->max_body,
		.timeouts = table_service(table, route->service)->timeouts,
	};
}

struct verdict policy_decide(const struct policy_table *table, const struct policy_request *request)
{
	uint32_t route;

	if (!table->enabled)
		return refuse(table, REASON_POLICY_DISABLED);
	switch (policy_find(table, request, &route)) {
	case POLICY_UNKNOWN_HOST:
		return refuse(table, REASON_HOST_NOT_ALLOWED);
	case POLICY_UNKNOWN_PATH:
		return refuse(table, REASON_NO_ROUTE);
	case POLICY_FOUND:
		break;
	}
	if (request->content_length > table_route(table, route)->max_body)
		return refuse(table, REASON_BODY_TOO_LARGE);
	return forward(table, route);
}

int32_t policy_choose(const uint32_t *loads, uint16_t n_loads, uint64_t dice, int32_t avoid)
{
	int32_t first = -1, second = -1;
	uint16_t n_able = 0;

	for (uint16_t i = 0; i < n_loads; i++)
		if (loads[i] != POLICY_LOAD_NONE && i != avoid)
			n_able++;
	if (n_able == 0)
		return avoid >= 0 && avoid < n_loads && loads[avoid] != POLICY_LOAD_NONE ? avoid
											 : -1;

	/* The n-th and the m-th of those that are able, n != m where there are two. */
	uint16_t n = (uint16_t)((uint32_t)dice % n_able);
	uint16_t m = (uint16_t)((n + 1 + (uint32_t)(dice >> 32) % (n_able > 1 ? n_able - 1 : 1)) %
				n_able);

	for (uint16_t i = 0, seen = 0; i < n_loads; i++) {
		if (loads[i] == POLICY_LOAD_NONE || i == avoid)
			continue;
		first = seen == n ? i : first;
		second = seen == m ? i : second;
		seen++;
	}
	GW_ASSERT(first >= 0 && second >= 0);
	return loads[second] < loads[first] ? second : first;
}
