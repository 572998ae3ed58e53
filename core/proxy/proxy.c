/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/proxy.h"

#include <errno.h>
#include <stdlib.h>

#include "core/proxy/client.h"
#include "core/proxy/exchange.h"
#include "core/proxy/listener.h"
#include "core/proxy/sealed.h"
#include "core/proxy/upstream.h"

/* An exchange may outlive its client by the last answer of a relay. */
enum { EXCHANGES_PER_CLIENT = 2 };

/* nghttp2's memory: a session with its tables is some 40 KiB, and streams come on top. */
#define H2_MEMORY_BASE       ((size_t)16 << 20)
#define H2_MEMORY_PER_CLIENT ((size_t)64 << 10)
#define H2_MEMORY_PER_STREAM ((size_t)2 << 10)

/* All that a slot of 'heads' is used for. */
union any_head {
	struct head_block block;
	struct h2_block h2;
	struct exchange_queued queued;
};

/* As long as a handshake takes, about: a signature of ES256 is 77 us. */
enum { TOKENS_AT_ONCE = 4 };

static int reserve(struct proxy *p)
{
	const struct proxy_options *opt = p->options;
	const struct {
		struct slab *slab;
		size_t size, align;
		uint32_t n;
	} wanted[] = {
		/* Of them there are many, and most are idle: packed densely. */
		{ &p->clients, sizeof(struct client), _Alignof(struct client), opt->clients_max },
		{ &p->upstreams, sizeof(struct upstream), 64, opt->upstreams_max },
		{ &p->exchanges, sizeof(struct exchange), 64,
		  opt->clients_max * EXCHANGES_PER_CLIENT + opt->h2_streams_max },
		{ &p->heads, sizeof(union any_head), 64, opt->heads_max },
		{ &p->sealed, sizeof(struct sealed), _Alignof(struct sealed),
		  opt->sealed_max ? opt->sealed_max : 1 },
		{ &p->h2_streams, sizeof(struct h2_stream), 64,
		  opt->h2_streams_max ? opt->h2_streams_max : 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		int r = slab_init(wanted[i].slab, wanted[i].size, wanted[i].align, wanted[i].n);

		if (r < 0) {
			while (i-- > 0)
				slab_fini(wanted[i].slab);
			return r;
		}
	}
	return 0;
}

static size_t h2_memory(const struct proxy_options *opt)
{
	return H2_MEMORY_BASE + opt->clients_max * H2_MEMORY_PER_CLIENT +
	       opt->h2_streams_max * H2_MEMORY_PER_STREAM;
}

/* Also what is only half made. */
static void release(struct proxy *p)
{
	leases_fini(&p->leases);
	slab_fini(&p->clients);
	slab_fini(&p->upstreams);
	slab_fini(&p->exchanges);
	slab_fini(&p->heads);
	slab_fini(&p->sealed);
	slab_fini(&p->h2_streams);
	h2_shared_destroy(p->h2);
	auth_fini(&p->auth);
	free(p);
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
	p->tunnels_until_ns = DEADLINE_NEVER;
	list_init(&p->listeners);
	list_counted_init(&p->idle);
	turns_init(&p->handshakes, p->ring, p->metrics,
		   &(struct turns_kind){ sealed_turn_comes, METRIC_TLS_HANDSHAKES_WAITED, 1 });
	turns_init(&p->tokens, p->ring, p->metrics,
		   &(struct turns_kind){ exchange_turn_comes, METRIC_JWT_WAITED, TOKENS_AT_ONCE });
	rng_seed(&p->rng, parts->seed);
	r = reserve(p);
	if (r == 0)
		r = leases_init(&p->leases, limits_leases(p->shared->limits), p->ring);
	if (r == 0 && p->shared->keyring)
		r = auth_init(&p->auth);
	if (r == 0 && p->options->h2_streams_max > 0)
		r = h2_shared_create(h2_memory(p->options), &p->h2);
	if (r < 0) {
		release(p);
		return r;
	}
	p->seat = parts->seat;
	*ret_proxy = p;
	return 0;
}

void proxy_destroy(struct proxy *p)
{
	GW_ASSERT(proxy_is_quiet(p));
	GW_ASSERT(p->heads.n_used == 0 && p->sealed.n_used == 0 && p->h2_streams.n_used == 0);
	release(p);
}

const struct policy_table *proxy_table(struct proxy *p)
{
	const struct policy_table *table = seat_table(p->seat);

	if (GW_UNLIKELY(table != p->table)) {
		uint64_t waited_ns = seat_waited_ns(p->seat, ring_now_ns(p->ring));

		if (waited_ns)
			metric_observe(p->metrics, METRIC_POLICY_SYNC, waited_ns);
		if (p->auth.cache && p->table && p->table->generation != table->generation)
			jwt_cache_flush(p->auth.cache); /* Facts are what a policy asks for. */
		p->table = table;
		upstream_adopt(p, table);
		metric_gauge_set(p->metrics, METRIC_POLICY_GENERATION, table->generation);
	}
	return table;
}

void proxy_check(const struct proxy *p)
{
	const struct client *client;
	const struct upstream *upstream;
	const struct exchange *ex;

	slab_check(&p->clients);
	slab_check(&p->upstreams);
	slab_check(&p->exchanges);
	slab_check(&p->heads);
	slab_check(&p->sealed);
	slab_check(&p->h2_streams);
	for (uint32_t slot = 0; (client = slab_next(&p->clients, &slot));)
		client_check(client);
	for (uint32_t slot = 0; (upstream = slab_next(&p->upstreams, &slot));)
		upstream_check(upstream);
	for (uint32_t slot = 0; (ex = slab_next(&p->exchanges, &slot));)
		exchange_check(ex);
}

bool proxy_is_quiet(const struct proxy *p)
{
	return list_is_empty(&p->listeners) && p->clients.n_used == 0 && p->upstreams.n_used == 0 &&
	       p->exchanges.n_used == 0 && turns_are_over(&p->handshakes) &&
	       turns_are_over(&p->tokens);
}

void proxy_drain(struct proxy *p)
{
	struct exchange *ex;
	struct client *client;

	p->draining = true;
	p->tunnels_until_ns = ring_now_ns(p->ring) + p->options->tunnel_grace_ns;
	for (uint32_t slot = 0; (ex = slab_next(&p->exchanges, &slot));)
		exchange_drain(ex);
	for (uint32_t slot = 0; (client = slab_next(&p->clients, &slot));)
		client_last(client);
	upstream_purge(p);
}

void proxy_abort(struct proxy *p)
{
	struct exchange *ex;
	struct client *client;

	p->aborting = true;
	list_each(node, &p->listeners) listener_close(list_entry(node, struct listener, link));
	for (uint32_t slot = 0; (ex = slab_next(&p->exchanges, &slot));)
		exchange_abort(ex);
	for (uint32_t slot = 0; (client = slab_next(&p->clients, &slot));)
		client_close(client);
	upstream_purge(p);
}
