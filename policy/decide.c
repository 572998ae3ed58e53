/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/decide.h"

static struct verdict refuse(const struct policy_table *table, enum reason reason)
{
	return (struct verdict){
		.kind = VERDICT_REFUSE,
		.generation = table->generation,
		.reason = (uint16_t)reason,
		.status = (uint16_t)reason_status(reason),
	};
}

/* "*.example.org" stands for every name below example.org, not for itself. */
static bool host_matches(const struct policy_host *want, struct slice host)
{
	struct slice text = { want->text, want->len };

	if (!slice_starts_with(text, SLICE("*.")))
		return slice_eq(text, host);
	return host.len > text.len - 1 && slice_ends_with(host, slice_drop(text, 1));
}

static bool host_is_known(const struct policy_table *table, struct slice host)
{
	for (uint16_t i = 0; i < table->n_hosts; i++)
		if (host_matches(&table->hosts[i], host))
			return true;
	return table->n_hosts == 0;
}

struct verdict policy_decide(const struct policy_table *table, const struct policy_request *request)
{
	const struct policy_route *route = &table->routes[0];

	if (!table->enabled)
		return refuse(table, REASON_POLICY_DISABLED);
	if (!host_is_known(table, request->host))
		return refuse(table, REASON_HOST_NOT_ALLOWED);
	if (table->n_routes == 0)
		return refuse(table, REASON_NO_ROUTE);
	if (request->content_length > route->max_body)
		return refuse(table, REASON_BODY_TOO_LARGE);
	return (struct verdict){
		.kind = VERDICT_FORWARD,
		.retry = route->retry,
		.upgrades = route->upgrades,
		.generation = table->generation,
		.service = route->service,
		.max_body = route->max_body,
		.timeouts = table->services[route->service].timeouts,
	};
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
