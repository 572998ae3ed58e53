/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/table.h"

#include <sys/socket.h>

#include "core/base/bits.h"

static void part_check(const struct policy_table *table, struct policy_part part, size_t element)
{
	GW_ASSERT(part.n == 0 || (part.at >= sizeof(*table) && part.at <= table->size &&
				  part.n <= (table->size - part.at) / element));
}

static void text_check(const struct policy_table *table, struct policy_part text, uint32_t max)
{
	part_check(table, text, 1);
	GW_ASSERT(text.n <= max);
}

/* --- Services. ------------------------------------------------------------------------------- */

static void addr_check(const struct policy_addr *addr)
{
	GW_ASSERT(addr->family == AF_INET || addr->family == AF_INET6 || addr->family == AF_UNIX);
	GW_ASSERT(addr->path_len <= sizeof(addr->path));
}

/* 'seen' has a byte for each slot. */
static void endpoint_check(const struct policy_table *table, const struct policy_endpoint *endpoint,
			   bool tls, uint8_t *seen)
{
	GW_ASSERT(endpoint->slot < POLICY_ENDPOINTS_MAX && !seen[endpoint->slot]);
	seen[endpoint->slot] = 1;
	text_check(table, endpoint->authority, POLICY_HOST_TEXT_MAX);
	text_check(table, endpoint->server_name, POLICY_SERVER_NAME_MAX);
	GW_ASSERT(!tls || endpoint->server_name.n > 0);
	GW_ASSERT(endpoint->n_addrs <= POLICY_ADDRS_MAX);
	for (uint16_t i = 0; i < endpoint->n_addrs; i++)
		addr_check(&endpoint->addrs[i]);
}

static void services_check(const struct policy_table *table)
{
	uint8_t seen[POLICY_ENDPOINTS_MAX] = { 0 };

	part_check(table, table->services, sizeof(struct policy_service));
	GW_ASSERT(table->services.n <= POLICY_SERVICES_MAX);
	for (uint32_t i = 0; i < table->services.n; i++) {
		const struct policy_service *service = table_service(table, i);

		text_check(table, service->name, POLICY_NAME_MAX);
		part_check(table, service->endpoints, sizeof(struct policy_endpoint));
		GW_ASSERT(service->endpoints.n <= POLICY_SERVICE_ENDPOINTS_MAX);
		GW_ASSERT(service->protocol < POLICY_N_PROTOCOLS);
		GW_ASSERT(service->trust < POLICY_TRUSTS_MAX);
		for (uint32_t k = 0; k < service->endpoints.n; k++)
			endpoint_check(table, table_endpoint(table, service, k),
				       policy_is_tls(service->protocol), seen);
	}
}

/* --- Routes. --------------------------------------------------------------------------------- */

static void texts_check(const struct policy_table *table, struct policy_part list)
{
	part_check(table, list, sizeof(struct policy_part));
	for (uint32_t i = 0; i < list.n; i++)
		part_check(table, ((const struct policy_part *)table_at_(table, list.at))[i], 1);
}

/* Text that is read line by line. */
static void lines_check(const struct policy_table *table, struct policy_part text)
{
	part_check(table, text, 1);
	GW_ASSERT(text.n == 0 || slice_ends_with(table_text(table, text), SLICE("\n")));
}

static void rules_check(const struct policy_table *table, const struct policy_rules *rules)
{
	lines_check(table, rules->drops);
	lines_check(table, rules->lines);
}

static void handling_check(const struct policy_table *table, const struct policy_route *route)
{
	const struct policy_handling *h;

	part_check(table, route->handling, sizeof(*h));
	GW_ASSERT(route->handling.n <= 1);
	h = table_handling(table, route);
	GW_ASSERT((route->service == POLICY_NO_SERVICE) == (h && h->answer.status > 0));
	if (!h)
		return;
	rules_check(table, &h->request);
	rules_check(table, &h->response);
	text_check(table, h->host, POLICY_HOST_TEXT_MAX);
	text_check(table, h->path, POLICY_PATH_MAX);
	texts_check(table, h->cookies.names);
	texts_check(table, h->cors.origins);
	lines_check(table, h->cors.lines);
	lines_check(table, h->cors.preflight);
	GW_ASSERT(h->answer.status == 0 || (h->answer.status >= 200 && h->answer.status <= 599));
	text_check(table, h->answer.location, POLICY_VALUE_MAX);
	text_check(table, h->answer.type, UINT32_MAX);
	text_check(table, h->answer.body, POLICY_ANSWER_MAX);
}

static void route_limits_check(const struct policy_table *table, const struct policy_route *route)
{
	part_check(table, route->limits, sizeof(struct policy_route_limit));
	GW_ASSERT(route->limits.n <= POLICY_ROUTE_LIMITS_MAX);
	for (uint32_t i = 0; i < route->limits.n; i++) {
		const struct policy_route_limit *one = table_route_limits(table, route) + i;

		if (policy_limit_is_shared(table_route_limit(table, route, i)->by))
			GW_ASSERT(one->bucket < POLICY_BUCKETS_MAX &&
				  one->since <= table->generation);
		else
			GW_ASSERT(one->bucket == POLICY_NO_BUCKET);
	}
}

static void route_check(const struct policy_table *table, const struct policy_route *route)
{
	const struct policy_part *methods = table_at_(table, route->methods.at);
	const struct policy_field *fields = table_at_(table, route->fields.at);

	GW_ASSERT(route->slot < POLICY_ROUTES_MAX);
	GW_ASSERT(route->service < table->services.n || route->service == POLICY_NO_SERVICE);
	if (route->service != POLICY_NO_SERVICE)
		GW_ASSERT(table_service(table, route->service)->name.n > 0);
	handling_check(table, route);
	GW_ASSERT(route->auth <= table->auths.n);
	texts_check(table, route->scopes);
	route_limits_check(table, route);
	text_check(table, route->name, POLICY_NAME_MAX);
	part_check(table, route->methods, sizeof(*methods));
	part_check(table, route->fields, sizeof(*fields));
	GW_ASSERT(route->methods.n <= POLICY_METHODS_MAX && route->fields.n <= POLICY_HEADERS_MAX);
	for (uint32_t i = 0; i < route->methods.n; i++)
		text_check(table, methods[i], UINT32_MAX);
	for (uint32_t i = 0; i < route->fields.n; i++) {
		text_check(table, fields[i].name, UINT32_MAX);
		text_check(table, fields[i].value, UINT32_MAX);
	}
}

static void auth_check(const struct policy_table *table, const struct policy_auth *auth)
{
	const struct policy_claim *claims = table_at_(table, auth->claims.at);

	GW_ASSERT(auth->by < POLICY_N_AUTH_BYS);
	text_check(table, auth->name, POLICY_NAME_MAX);
	text_check(table, auth->header, POLICY_NAME_MAX);
	text_check(table, auth->name_header, POLICY_NAME_MAX);
	part_check(table, auth->claims, sizeof(struct policy_claim));
	GW_ASSERT(auth->claims.n <= POLICY_CLAIMS_MAX);
	for (uint32_t i = 0; i < auth->claims.n; i++) {
		part_check(table, claims[i].name, 1);
		part_check(table, claims[i].header, 1);
	}
	part_check(table, auth->clients, sizeof(struct policy_client));
	texts_check(table, auth->certificates);
	texts_check(table, auth->subjects);
	texts_check(table, auth->sans);
	for (uint32_t i = 1; i < auth->sans.n; i++)
		GW_ASSERT(slice_cmp(table_text_of(table, auth->sans, i - 1),
				    table_text_of(table, auth->sans, i)) <= 0);
}

static void auths_check(const struct policy_table *table)
{
	part_check(table, table->auths, sizeof(struct policy_auth));
	GW_ASSERT(table->auths.n <= POLICY_AUTHS_MAX);
	for (uint32_t i = 0; i < table->auths.n; i++)
		auth_check(table, table_auth(table, i));
	texts_check(table, table->told);
}

static void limits_check(const struct policy_table *table)
{
	part_check(table, table->limits, sizeof(struct policy_limit));
	GW_ASSERT(table->limits.n <= POLICY_LIMITS_MAX);
	for (uint32_t i = 0; i < table->limits.n; i++) {
		const struct policy_limit *limit = table_limit(table, i);

		GW_ASSERT(limit->by < POLICY_N_LIMIT_BYS && limit->rule.interval_ns > 0);
		GW_ASSERT((limit->by == POLICY_BY_HEADER || limit->by == POLICY_BY_CLAIM) ==
			  (limit->field.n > 0));
		text_check(table, limit->name, POLICY_NAME_MAX);
		text_check(table, limit->field, POLICY_NAME_MAX);
	}
}

/* There is a free key, where looking ends. */
static void keys_check(const struct policy_table *table, struct policy_part keys, uint32_t text_max)
{
	const struct policy_key *list = table_at_(table, keys.at);
	uint32_t n_free = 0;

	part_check(table, keys, sizeof(*list));
	GW_ASSERT(keys.n == 0 || bits_is_pow2(keys.n));
	for (uint32_t i = 0; i < keys.n; i++) {
		const uint32_t *routes = table_at_(table, list[i].routes.at);

		n_free += list[i].hash == 0;
		text_check(table, list[i].text, text_max);
		GW_ASSERT(list[i].hash == 0 || list[i].host < table->hosts.n);
		part_check(table, list[i].routes, sizeof(*routes));
		for (uint32_t k = 0; k < list[i].routes.n; k++)
			GW_ASSERT(routes[k] < table->routes.n);
	}
	GW_ASSERT(keys.n == 0 || n_free > 0);
}

void table_check(const struct policy_table *table)
{
	GW_ASSERT(table->size >= sizeof(*table));
	services_check(table);
	limits_check(table);
	auths_check(table);
	part_check(table, table->routes, sizeof(struct policy_route));
	part_check(table, table->hosts, sizeof(struct policy_host));
	GW_ASSERT(table->routes.n <= POLICY_ROUTES_MAX);
	GW_ASSERT(table->any_host == POLICY_NO_HOST || table->any_host < table->hosts.n);
	for (uint32_t i = 0; i < table->routes.n; i++)
		route_check(table, table_route(table, i));
	keys_check(table, table->exact_hosts, POLICY_HOST_TEXT_MAX);
	keys_check(table, table->wildcard_hosts, POLICY_HOST_TEXT_MAX);
	keys_check(table, table->prefixes, POLICY_PATH_MAX);
	keys_check(table, table->paths, POLICY_PATH_MAX);
}
