/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to upstreams: the states of one, and how many may idle for how long. */
#include <string.h>

#include "core/proxy/proxy.h"
#include "core/proxy/upstream_private.h"

/* An idle time seen at a peer is believed from here on, with this much taken off. */
#define LEARN_MIN_NS    (500 * GW_NS_PER_MS)
#define LEARN_SHARE(ns) ((ns) / 8 * 7)

#define SURPLUS_NS (5 * GW_NS_PER_S)

enum { RESERVE_MAX = 256 };

#define TO(state) (1u << UPSTREAM_##state)
static const uint8_t may_follow[UPSTREAM_N_STATES] = {
#define X(name, next) [UPSTREAM_##name] = (next),
	UPSTREAM_STATES(X)
#undef X
};

struct proxy_endpoint *upstream_endpoint(const struct upstream *u)
{
	return &u->proxy->endpoints[u->endpoint];
}

static void leave(struct upstream *u)
{
	struct metric_set *metrics = u->proxy->metrics;

	switch ((enum upstream_state)u->state) {
	case UPSTREAM_IDLE:
		list_counted_remove(&upstream_endpoint(u)->idle, &u->link);
		list_counted_remove(&u->proxy->idle, &u->all);
		metric_gauge_add(metrics, METRIC_UPSTREAM_IDLE, -1);
		break;
	case UPSTREAM_BUSY:
		metric_gauge_add(metrics, METRIC_UPSTREAM_ACTIVE, -1);
		break;
	case UPSTREAM_CONNECTING:
	case UPSTREAM_CLOSING:
		break;
	case UPSTREAM_N_STATES:
		GW_UNREACHABLE();
	}
}

static uint64_t idle_span(const struct upstream *u)
{
	uint64_t span = u->proxy->services[u->service].pool_idle_ns;
	uint64_t learned = upstream_endpoint(u)->learned_idle_ns;

	return learned && (learned < span || span == 0) ? learned : span;
}

void upstream_unlist(struct upstream *u)
{
	if (list_node_is_linked(&u->link))
		list_remove(&u->link);
}

void upstream_enter(struct upstream *u, enum upstream_state next)
{
	struct proxy *proxy = u->proxy;

	GW_ASSERT(may_follow[u->state] & (1u << next));
	leave(u);
	upstream_unlist(u);
	u->state = (uint8_t)next;
	switch (next) {
	case UPSTREAM_BUSY:
		deadline_in(&u->deadline, proxy->ring, 0);
		metric_gauge_add(proxy->metrics, METRIC_UPSTREAM_ACTIVE, 1);
		break;
	case UPSTREAM_IDLE:
		u->since_ns = ring_now_ns(proxy->ring);
		list_counted_push_front(&upstream_endpoint(u)->idle, &u->link);
		list_counted_push_front(&proxy->idle, &u->all);
		deadline_in(&u->deadline, proxy->ring, idle_span(u));
		metric_gauge_add(proxy->metrics, METRIC_UPSTREAM_IDLE, 1);
		break;
	case UPSTREAM_CLOSING:
		proxy->n_upstreams_closing++;
		deadline_stop(&u->deadline, proxy->ring);
		break;
	case UPSTREAM_CONNECTING:
	case UPSTREAM_N_STATES:
		GW_UNREACHABLE();
	}
}

void upstream_drop(struct upstream *u, enum metric_pool_close why)
{
	metric_inc_label(u->proxy->metrics, METRIC_POOL_CLOSED, why);
	upstream_enter(u, UPSTREAM_CLOSING);
	upstream_hang_up(u);
}

/* --- How many may idle. ---------------------------------------------------------------------- */

static struct upstream *oldest_of(const struct proxy_endpoint *endpoint)
{
	struct list_node *node = list_last(&endpoint->idle.list);

	return node ? list_entry(node, struct upstream, link) : NULL;
}

static struct upstream *oldest(const struct proxy *proxy)
{
	struct list_node *node = list_last(&proxy->idle.list);

	return node ? list_entry(node, struct upstream, all) : NULL;
}

/* One that is too many, or NULL: the latest are the likeliest to be alive and used. */
static struct upstream *surplus(const struct proxy *proxy, const struct upstream *of)
{
	const struct proxy_service *service = &proxy->services[of->service];

	if (upstream_endpoint(of)->idle.n > service->max_idle)
		return oldest_of(upstream_endpoint(of));
	return proxy->idle.n > service->max_idle_all ? oldest(proxy) : NULL;
}

/*
 * Those that are too many go, the oldest first, but none before it has idled
 * for some seconds: else a load that goes up and down would connect all the time.
 */
void upstream_trim(struct proxy *proxy, const struct upstream *of)
{
	struct upstream *u = surplus(proxy, of);
	uint64_t due_ns;

	if (!u)
		return;
	due_ns = u->since_ns + SURPLUS_NS;
	if (due_ns < u->deadline.at_ns)
		deadline_set(&u->deadline, proxy->ring, due_ns);
}

void upstream_idle_expired(struct upstream *u)
{
	struct proxy *proxy = u->proxy;
	uint64_t span = idle_span(u);

	if (span && ring_now_ns(proxy->ring) - u->since_ns >= span) {
		upstream_drop(u, METRIC_POOL_CLOSE_IDLE_TIMEOUT);
	} else if (surplus(proxy, u)) {
		upstream_drop(u, METRIC_POOL_CLOSE_MAX_IDLE);
		upstream_trim(proxy, u);
	} else {
		deadline_set(&u->deadline, proxy->ring, span ? u->since_ns + span : DEADLINE_NEVER);
	}
}

static bool addr_eq(const struct policy_addr *a, const struct policy_addr *b)
{
	if (a->family != b->family || a->port != b->port || a->path_len != b->path_len)
		return false;
	if (a->family == AF_UNIX)
		return memcmp(a->path, b->path, a->path_len) == 0;
	return memcmp(a->ip, b->ip, a->family == AF_INET ? 4 : 16) == 0;
}

static bool addr_is_current(const struct proxy_endpoint *endpoint, const struct policy_addr *addr)
{
	for (uint16_t i = 0; i < endpoint->n_addrs; i++)
		if (addr_eq(&endpoint->addrs[i], addr))
			return true;
	return false;
}

/* May what was made to it then be used for it now? */
bool upstream_is_current(const struct upstream *u)
{
	const struct proxy_endpoint *endpoint = upstream_endpoint(u);

	return u->turn == endpoint->turn && addr_is_current(endpoint, &u->addr);
}

/* Places that no idle connection takes. */
static uint32_t reserve(const struct proxy *proxy)
{
	uint32_t n = proxy->upstreams.n_slots;

	if (n < 2)
		return 0;
	return n / 16 < RESERVE_MAX ? 1 + n / 16 : RESERVE_MAX;
}

/* A place is free only when the connection has closed: before the last one is needed. */
void upstream_keep_room(struct proxy *proxy)
{
	uint32_t left = proxy->upstreams.n_slots - proxy->upstreams.n_used;

	if (left + proxy->n_upstreams_closing < reserve(proxy) && oldest(proxy))
		upstream_drop(oldest(proxy), METRIC_POOL_CLOSE_MAX_IDLE);
}

/* A peer that closes what was idle for that long will do so again. */
void upstream_learn(struct upstream *u)
{
	uint64_t span = ring_now_ns(u->proxy->ring) - u->since_ns;
	struct proxy_endpoint *endpoint = upstream_endpoint(u);

	if (span < LEARN_MIN_NS)
		return;
	span = LEARN_SHARE(span);
	if (endpoint->learned_idle_ns == 0 || span < endpoint->learned_idle_ns)
		endpoint->learned_idle_ns = span;
}

void upstream_free(struct upstream *u)
{
	struct proxy *proxy = u->proxy;

	GW_ASSERT(u->state == UPSTREAM_CLOSING && u->calls.n == 0);
	upstream_endpoint(u)->n_open--;
	proxy->n_upstreams_closing--;
	if (u->transport.sealed)
		slab_free(&proxy->sealed, u->transport.sealed);
	slab_free(&proxy->upstreams, u);
}
