/* SPDX-License-Identifier: Apache-2.0 */
/* What others ask of the daemon: metrics, readiness, status. */
#include <stdlib.h>
#include <unistd.h>

#include "core/server/scrape.h"
#include "core/server/server_private.h"

/* By slot; without memory they count as others. To be freed. */
static struct slice *route_names(const struct policy_table *table, uint32_t *ret_n)
{
	struct slice *names = calloc(POLICY_ROUTES_MAX, sizeof(*names));

	*ret_n = names ? POLICY_ROUTES_MAX : 0;
	for (uint32_t i = 0; names && i < table->routes.n; i++) {
		const struct policy_route *route = table_route(table, i);

		names[route->slot] = table_text(table, route->name);
	}
	return names;
}

static struct slice *service_names(const struct policy_table *table, uint32_t *ret_n)
{
	struct slice *names = calloc(table->services.n + 1, sizeof(*names));

	*ret_n = names ? table->services.n : 0;
	for (uint32_t i = 0; names && i < table->services.n; i++)
		names[i] = table_text(table, table_service(table, i)->name);
	return names;
}

void server_metrics(void *owner, struct growbuf *out)
{
	struct server *s = owner;
	const struct policy_table *table = targets_table(s->targets);
	const struct ring *rings[CONFIG_WORKERS_MAX];
	const struct crypto_pool *pools[CONFIG_WORKERS_MAX];
	uint32_t n_routes, n_services;
	struct slice *routes = route_names(table, &n_routes);
	struct slice *services = service_names(table, &n_services);
	struct scrape_view view = {
		.metrics = { .sets = s->metric_sets,
			     .n_sets = s->n_running + 1,
			     .routes = { routes, n_routes },
			     .services = { services, n_services } },
		.rings = rings,
		.certs = s->settings->certs,
		.pools = pools,
		.log = s->log,
		.n_dns_failures = targets_n_failures(s->targets),
	};

	for (uint32_t i = 0; i < s->n_running; i++) {
		if (s->rings[i])
			rings[view.n_rings++] = s->rings[i];
		if (s->workers[i].crypto)
			pools[view.n_pools++] = s->workers[i].crypto;
	}
	scrape_render(&view, out);
	free(routes);
	free(services);
}

const char *server_unready(void *owner)
{
	const struct server *s = owner;

	return s->state == SERVER_SERVING ? NULL : server_state_name(s);
}

static int64_t gauge(const struct server *s, enum metric_gauge which)
{
	struct metric_view view = { .sets = s->metric_sets, .n_sets = s->n_running + 1 };

	return metric_sum_gauge(&view, which);
}

static struct slice trust_of(const struct certs *certs)
{
	if (!certs || certs->n_trusts == 0)
		return SLICE("off");
	return certs_believe_anybody(certs) ? SLICE("unverified") : SLICE("verified");
}

void server_status(void *owner, struct pack *out)
{
	struct server *s = owner;

	pack_map(out, 10);
	pack_entry_text(out, "state", slice_of(server_state_name(s)));
	pack_entry_text(out, "version", SLICE(GW_VERSION));
	pack_entry_u64(out, "pid", (uint64_t)getpid());
	pack_entry_double(out, "uptime_s",
			  (double)(gw_now_ns() - s->begun_ns) / (double)GW_NS_PER_S);
	pack_entry_u64(out, "workers", s->n_workers);
	pack_entry_u64(out, "generation", s->policy.generation);
	pack_entry_u64(out, "connections",
		       (uint64_t)(gauge(s, METRIC_CONNECTIONS_ACTIVE) +
				  gauge(s, METRIC_CONNECTIONS_IDLE)));
	pack_entry_u64(out, "requests_active", (uint64_t)gauge(s, METRIC_REQUESTS_ACTIVE));
	pack_entry_u64(out, "upstream_idle", (uint64_t)gauge(s, METRIC_UPSTREAM_IDLE));
	pack_entry_text(out, "upstream_tls", trust_of(s->settings->certs));
}
