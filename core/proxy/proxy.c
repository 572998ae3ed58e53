/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/proxy.h"

#include <errno.h>
#include <stdlib.h>

#include "core/proxy/client.h"
#include "core/proxy/exchange.h"
#include "core/proxy/listener.h"
#include "core/proxy/upstream.h"

/* An exchange may outlive its client by the last answer of a relay. */
enum { EXCHANGES_PER_CLIENT = 2 };

static int reserve(struct proxy *p)
{
	const struct proxy_options *opt = p->options;
	const struct {
		struct slab *slab;
		size_t size;
		uint32_t n;
	} wanted[] = {
		{ &p->clients, sizeof(struct client), opt->clients_max },
		{ &p->upstreams, sizeof(struct upstream), opt->upstreams_max },
		{ &p->exchanges, sizeof(struct exchange), opt->clients_max * EXCHANGES_PER_CLIENT },
		{ &p->heads, sizeof(struct head_block), opt->heads_max },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		int r = slab_init(wanted[i].slab, wanted[i].size, 64, wanted[i].n);

		if (r < 0) {
			while (i-- > 0)
				slab_fini(wanted[i].slab);
			return r;
		}
	}
	return 0;
}

int proxy_create(const struct proxy_parts *parts, struct proxy **ret_proxy)
{
	struct proxy *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->ring = parts->ring;
	p->options = parts->options;
	p->shared = parts->shared;
	p->metrics = parts->metrics;
	p->worker = parts->worker;
	list_init(&p->listeners);
	list_counted_init(&p->idle);
	rng_seed(&p->rng, parts->seed);
	for (uint16_t i = 0; i < POLICY_SERVICES_MAX; i++)
		for (uint16_t j = 0; j < POLICY_ENDPOINTS_MAX; j++)
			list_counted_init(&p->services[i].endpoints[j].idle);
	r = reserve(p);
	if (r < 0) {
		free(p);
		return r;
	}
	p->seat = parts->seat;
	*ret_proxy = p;
	return 0;
}

void proxy_destroy(struct proxy *p)
{
	GW_ASSERT(proxy_is_quiet(p));
	GW_ASSERT(p->heads.n_used == 0);
	slab_fini(&p->clients);
	slab_fini(&p->upstreams);
	slab_fini(&p->exchanges);
	slab_fini(&p->heads);
	free(p);
}

const struct policy_table *proxy_table(struct proxy *p)
{
	const struct policy_table *table = seat_table(p->seat);

	if (GW_UNLIKELY(table != p->table)) {
		uint64_t waited_ns = seat_waited_ns(p->seat, ring_now_ns(p->ring));

		if (waited_ns)
			metric_observe(p->metrics, METRIC_POLICY_SYNC, waited_ns);
		p->table = table;
		upstream_adopt(p, table);
		metric_gauge_set(p->metrics, METRIC_POLICY_GENERATION, table->generation);
	}
	return table;
}

/* Calls 'fn' for each live object. */
#define each_live(type, slab, object)                                                              \
	for (struct {                                                                              \
		     uint32_t slot;                                                                \
		     type *it;                                                                     \
	     } object = { 0, slab_next((slab), &object.slot) };                                    \
	     object.it; object.it = slab_next((slab), &object.slot))

void proxy_check(const struct proxy *p)
{
	slab_check(&p->clients);
	slab_check(&p->upstreams);
	slab_check(&p->exchanges);
	slab_check(&p->heads);
	each_live(const struct client, &p->clients, client) client_check(client.it);
	each_live(const struct upstream, &p->upstreams, upstream) upstream_check(upstream.it);
	each_live(const struct exchange, &p->exchanges, ex) exchange_check(ex.it);
}

bool proxy_is_quiet(const struct proxy *p)
{
	return list_is_empty(&p->listeners) && p->clients.n_used == 0 && p->upstreams.n_used == 0 &&
	       p->exchanges.n_used == 0;
}

void proxy_drain(struct proxy *p)
{
	p->draining = true;
	each_live(struct client, &p->clients, client) client_last(client.it);
	upstream_purge(p);
}

void proxy_abort(struct proxy *p)
{
	p->aborting = true;
	list_each(node, &p->listeners) listener_close(list_entry(node, struct listener, link));
	each_live(struct exchange, &p->exchanges, ex) exchange_abort(ex.it);
	each_live(struct client, &p->clients, client) client_close(client.it);
	upstream_purge(p);
}
