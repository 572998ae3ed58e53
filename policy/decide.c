/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/decide.h"

#include "policy/find.h"

static struct verdict refuse(const struct policy_table *table, uint32_t index, enum reason reason)
{
	return (struct verdict){
		.kind = VERDICT_REFUSE,
		.generation = table->generation,
		.index = index,
		.reason = (uint16_t)reason,
		.status = (uint16_t)reason_status(reason),
	};
}

static struct verdict answer(const struct policy_table *table, uint32_t index,
			     enum verdict_kind kind)
{
	return (struct verdict){
		.kind = (uint8_t)kind,
		.generation = table->generation,
		.index = index,
		.route = table_route(table, index)->slot,
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
		.index = index,
		.service = route->service,
		.route = route->slot,
		.max_body = route->max_body,
		.timeouts = table_service(table, route->service)->timeouts,
	};
}

/* OPTIONS that ask, for a page of another origin, whether it may use a method. */
static bool asks_for_method(const struct policy_request *request, struct slice *ret_method)
{
	struct slice origin;

	return request->field && slice_eq(request->method, SLICE("OPTIONS")) &&
	       request->field(request->head, SLICE("access-control-request-method"), ret_method) &&
	       request->field(request->head, SLICE("origin"), &origin);
}

/* The route of the method that is asked for, if it speaks for its service in this. */
static bool is_preflight(const struct policy_table *table, const struct policy_request *request,
			 uint32_t *ret_route)
{
	struct policy_request as = *request;
	const struct policy_handling *handling;

	if (!asks_for_method(request, &as.method) ||
	    policy_find(table, &as, ret_route) != POLICY_FOUND)
		return false;
	handling = table_handling(table, table_route(table, *ret_route));
	return handling && handling->cors.origins.n > 0;
}

static struct verdict judge(const struct policy_table *table, const struct policy_request *request,
			    uint32_t index)
{
	const struct policy_route *route = table_route(table, index);

	if (request->content_length > route->max_body)
		return refuse(table, index, REASON_BODY_TOO_LARGE);
	return route->service == POLICY_NO_SERVICE ? answer(table, index, VERDICT_ANSWER)
						   : forward(table, index);
}

struct verdict policy_decide(const struct policy_table *table, const struct policy_request *request)
{
	uint32_t route;

	if (!table->enabled)
		return refuse(table, POLICY_NO_ROUTE, REASON_POLICY_DISABLED);
	if (is_preflight(table, request, &route))
		return answer(table, route, VERDICT_PREFLIGHT);
	switch (policy_find(table, request, &route)) {
	case POLICY_UNKNOWN_HOST:
		return refuse(table, POLICY_NO_ROUTE, REASON_HOST_NOT_ALLOWED);
	case POLICY_UNKNOWN_PATH:
		return refuse(table, POLICY_NO_ROUTE,
			      policy_allow(table, request, NULL) ? REASON_METHOD_NOT_ALLOWED
								 : REASON_NO_ROUTE);
	case POLICY_FOUND:
		break;
	}
	return judge(table, request, route);
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
