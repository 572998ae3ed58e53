/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/targets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/server/certs.h"

/* Bounds of the time to live that is believed, and the wait after a failure. */
#define TTL_MIN_S 1
#define TTL_MAX_S 60
#define RETRY_S   2

struct target {
	struct targets *targets;
	struct ring_timer timer;
	struct slice host; /* Empty: an address, known once and for all. */
	uint16_t port;
	uint16_t slot;
	bool answered;
};

struct generation {
	struct list_node link;
	struct policy_table table;
};

struct targets {
	struct targets_options opt;
	struct ring_resolver *resolver;
	struct list generations; /* The latest last. */
	uint64_t n_failures;
	uint32_t n;
	struct target targets[CONFIG_UPSTREAMS_MAX];
};

static struct policy_addr policy_addr_of(const struct ring_addr *addr)
{
	struct policy_addr out = { .family = addr->family,
				   .path_len = addr->path_len,
				   .port = addr->port };

	if (addr->family == AF_UNIX)
		memcpy(out.path, addr->path, addr->path_len);
	else
		memcpy(out.ip, addr->ip, sizeof(out.ip));
	return out;
}

static struct generation *latest(const struct targets *t)
{
	return list_entry(list_last(&t->generations), struct generation, link);
}

/* A copy of the latest table, to be changed and then offered. */
static struct generation *next_generation(struct targets *t)
{
	struct generation *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	if (!list_is_empty(&t->generations))
		g->table = latest(t)->table;
	g->table.generation++;
	return g;
}

static void publish(struct targets *t, struct generation *g)
{
	table_check(&g->table);
	list_push_back(&t->generations, &g->link);
	t->opt.changed(t->opt.owner, &g->table);
}

/* --- Names. ---------------------------------------------------------------------------------- */

static void ask(struct target *target);

static void ask_again(struct ring_timer *timer)
{
	ask(GW_CONTAINER_OF(timer, struct target, timer));
}

static void ask_later(struct target *target, uint64_t seconds)
{
	struct ring *ring = target->targets->opt.ring;

	ring_timer_set(ring, &target->timer, ring_now_ns(ring) + seconds * GW_NS_PER_S);
}

static bool same_addrs(const struct policy_endpoint *endpoint, const struct policy_addr *addrs,
		       uint16_t n)
{
	return endpoint->n_addrs == n && memcmp(endpoint->addrs, addrs, n * sizeof(*addrs)) == 0;
}

static void learnt(struct target *target, const struct ring_addr *addrs, uint32_t n_addrs)
{
	struct targets *t = target->targets;
	struct policy_addr found[POLICY_ADDRS_MAX] = { 0 };
	struct generation *g;
	uint16_t n = 0;

	for (; n < POLICY_ADDRS_MAX && n < n_addrs; n++)
		found[n] = policy_addr_of(&addrs[n]);
	if (same_addrs(&latest(t)->table.services[0].endpoints[target->slot], found, n))
		return;
	g = next_generation(t);
	if (!g)
		return; /* The old addresses stay; asked again in time. */
	g->table.services[0].endpoints[target->slot].n_addrs = n;
	memcpy(g->table.services[0].endpoints[target->slot].addrs, found, sizeof(found));
	publish(t, g);
}

static void resolved(void *owner, int status, const struct ring_addr *addrs, uint32_t n_addrs,
		     uint32_t ttl_s)
{
	struct target *target = owner;

	if (status == -ECANCELED)
		return;
	target->answered = true;
	if (status < 0) {
		target->targets->n_failures++;
		LOG_EVENT(LOG_WARN, "resolve_failed", LOG_STR("host", target->host),
			  LOG_ERRNO("error", status));
		ask_later(target, RETRY_S);
		return;
	}
	learnt(target, addrs, n_addrs);
	ttl_s = ttl_s < TTL_MIN_S ? TTL_MIN_S : ttl_s;
	ask_later(target, ttl_s > TTL_MAX_S ? TTL_MAX_S : ttl_s);
}

static void ask(struct target *target)
{
	int r = ring_resolve(target->targets->resolver, target->host, target->port, resolved,
			     target);

	if (r < 0)
		resolved(target, r, NULL, 0, 0);
}

/* --- Tables. --------------------------------------------------------------------------------- */

static void put_hosts(struct policy_table *table, const struct config *config)
{
	table->n_hosts = (uint16_t)config->n_allowed_hosts;
	for (uint16_t i = 0; i < table->n_hosts; i++) {
		struct slice host = config->allowed_hosts[i];

		GW_ASSERT(host.len <= POLICY_HOST_TEXT_MAX);
		memcpy(table->hosts[i].text, host.ptr, host.len);
		table->hosts[i].len = (uint16_t)host.len;
	}
}

static uint16_t share(uint64_t total, uint32_t n_workers)
{
	uint64_t each = (total + n_workers - 1) / n_workers;

	return (uint16_t)(each < UINT16_MAX ? each : UINT16_MAX);
}

/* Everything but the endpoints. */
static void put_settings(struct targets *t, struct policy_table *table, const struct config *config)
{
	struct policy_service *service = &table->services[0];

	table->enabled = true;
	table->n_services = 1;
	table->n_routes = 1;
	table->routes[0] = (struct policy_route){ .max_body = UINT64_MAX,
						  .retry = true,
						  .upgrades = (uint8_t)config->upgrades };
	put_hosts(table, config);
	memcpy(service->name, "default", 7);
	service->n_name = 7;
	service->max_idle = share(config->pool.max_idle_per_upstream, t->opt.n_workers);
	service->max_idle_all = share(config->pool.max_idle, t->opt.n_workers);
	service->max_requests = (uint32_t)config->pool.max_requests;
	service->timeouts = (struct policy_timeouts){
		.connect_ns = config->timeouts.connect_ns,
		.response_head_ns = config->timeouts.response_head_ns,
		.body_idle_ns = config->timeouts.body_idle_ns,
		.write_stall_ns = config->timeouts.write_stall_ns,
		.pool_idle_ns = config->pool.idle_ns,
		.tunnel_idle_ns = config->timeouts.tunnel_idle_ns,
	};
}

static void put_protocol(struct policy_service *service, const struct config *config)
{
	static const uint8_t protocols[] = {
		[FORM_HTTP] = POLICY_HTTP,
		[FORM_HTTPS] = POLICY_HTTPS,
		[FORM_H2C] = POLICY_H2C,
		[FORM_H2] = POLICY_H2,
	};

	service->protocol = protocols[config_scheme(config)];
	service->trust = CERTS_UPSTREAM_TRUST;
}

/* The upstreams are those that this process began with; what they must be called may change. */
static void put_server_names(const struct targets *t, struct policy_service *service,
			     const struct config *config)
{
	for (uint32_t i = 0; i < t->opt.config->n_upstreams; i++) {
		struct policy_endpoint *endpoint = &service->endpoints[i];
		struct slice name = config->upstream_tls.server_name;

		if (name.len == 0)
			name = t->opt.config->upstreams[i].url.host;
		GW_ASSERT(name.len <= POLICY_SERVER_NAME_MAX);
		if (name.len)
			memcpy(endpoint->server_name, name.ptr, name.len);
		endpoint->n_server_name = (uint8_t)name.len;
	}
}

static struct policy_endpoint *add_endpoint(struct targets *t, struct policy_table *table,
					    struct slice authority)
{
	struct policy_service *service = &table->services[0];
	struct policy_endpoint *endpoint = &service->endpoints[service->n_endpoints++];
	struct slice text = slice_take(authority, POLICY_HOST_TEXT_MAX);

	GW_ASSERT(service->n_endpoints <= POLICY_ENDPOINTS_MAX);
	memcpy(endpoint->authority, text.ptr, text.len);
	endpoint->authority_len = (uint16_t)text.len;
	t->n = service->n_endpoints;
	return endpoint;
}

/* "host:port" or "[v6]:port" of a URL, for logs and to parse it as an address. */
static size_t authority_of(const struct form_url *url, char text[POLICY_HOST_TEXT_MAX + 16])
{
	struct writer out = writer_make(text, POLICY_HOST_TEXT_MAX + 16);
	bool v6 = slice_find(url->host, ':') != SLICE_NONE;

	if (url->path.len) {
		writer_lit(&out, "unix:");
		writer_put(&out, url->path);
		return writer_len(&out);
	}
	if (v6)
		writer_char(&out, '[');
	writer_put(&out, url->host);
	if (v6)
		writer_char(&out, ']');
	writer_char(&out, ':');
	writer_u64(&out, url->port);
	return writer_len(&out);
}

static void add_upstream(struct targets *t, struct policy_table *table,
			 const struct config_upstream *upstream)
{
	char text[POLICY_HOST_TEXT_MAX + 16];
	struct slice authority = slice_make(text, authority_of(&upstream->url, text));
	struct target *target = &t->targets[t->n];
	struct policy_endpoint *endpoint;
	struct ring_addr addr;

	target->slot = (uint16_t)t->n;
	endpoint = add_endpoint(t, table, authority);
	if (ring_addr_parse(authority, &addr) == 0) {
		endpoint->addrs[0] = policy_addr_of(&addr);
		endpoint->n_addrs = 1;
		target->answered = true;
		return;
	}
	target->host = upstream->url.host;
	target->port = upstream->url.port;
}

static void add_demo(struct targets *t, struct policy_table *table)
{
	char text[RING_ADDR_TEXT];
	struct slice authority = slice_make(text, ring_addr_format(t->opt.demo, text));
	struct policy_endpoint *endpoint = add_endpoint(t, table, authority);

	endpoint->addrs[0] = policy_addr_of(t->opt.demo);
	endpoint->n_addrs = 1;
	t->targets[0].answered = true;
}

static void put_endpoints(struct targets *t, struct policy_table *table)
{
	for (uint32_t i = 0; i < t->opt.config->n_upstreams; i++)
		add_upstream(t, table, &t->opt.config->upstreams[i]);
	if (t->opt.config->n_upstreams == 0)
		add_demo(t, table);
}

int targets_open(const struct targets_options *opt, struct targets **ret_targets)
{
	struct targets *t = calloc(1, sizeof(*t));
	struct generation *first;
	int r = -ENOMEM;

	if (!t)
		return -ENOMEM;
	t->opt = *opt;
	list_init(&t->generations);
	first = next_generation(t);
	if (!first)
		goto free_targets;
	r = ring_resolver_open(opt->ring, NULL, &t->resolver);
	if (r < 0)
		goto free_first;
	put_settings(t, &first->table, opt->config);
	put_protocol(&first->table.services[0], opt->config);
	put_endpoints(t, &first->table);
	put_server_names(t, &first->table.services[0], opt->config);
	publish(t, first);
	for (uint32_t i = 0; i < t->n; i++) {
		t->targets[i].targets = t;
		ring_timer_init(&t->targets[i].timer, ask_again);
		if (!t->targets[i].answered)
			ask(&t->targets[i]);
	}
	*ret_targets = t;
	return 0;

free_first:
	free(first);
free_targets:
	free(t);
	return r;
}

bool targets_are_known(const struct targets *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (!t->targets[i].answered)
			return false;
	return true;
}

const struct policy_table *targets_table(const struct targets *t)
{
	return &latest(t)->table;
}

int targets_configure(struct targets *t, const struct config *config)
{
	struct generation *g = next_generation(t);

	if (!g)
		return -ENOMEM;
	put_settings(t, &g->table, config);
	put_server_names(t, &g->table.services[0], config);
	publish(t, g);
	return 0;
}

void targets_release(struct targets *t, const struct policy_table *table)
{
	for (;;) {
		struct generation *oldest =
			list_entry(list_first(&t->generations), struct generation, link);

		if (oldest == latest(t) || oldest->table.generation >= table->generation)
			return;
		list_remove(&oldest->link);
		free(oldest);
	}
}

void targets_free(struct targets *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		ring_timer_cancel(t->opt.ring, &t->targets[i].timer);
	ring_resolver_free(t->resolver);
	for (struct list_node *node; (node = list_pop_front(&t->generations));)
		free(list_entry(node, struct generation, link));
	free(t);
}

uint64_t targets_n_failures(const struct targets *t)
{
	return t->n_failures;
}
