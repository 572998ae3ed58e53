/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/upstream.h"

#include <errno.h>
#include <string.h>

#include "core/crypto/tls_client.h"
#include "core/proxy/proxy.h"
#include "core/proxy/sealed.h"
#include "core/proxy/upstream_fault.h"

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

static struct upstream *upstream_of(struct h1 *c)
{
	return GW_CONTAINER_OF(c, struct upstream, h1);
}

static struct proxy_endpoint *endpoint_of(const struct upstream *u)
{
	return &u->proxy->services[u->service].endpoints[u->endpoint];
}

static void leave(struct upstream *u)
{
	struct metric_set *metrics = u->proxy->metrics;

	switch ((enum upstream_state)u->state) {
	case UPSTREAM_IDLE:
		list_counted_remove(&endpoint_of(u)->idle, &u->link);
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
	uint64_t learned = endpoint_of(u)->learned_idle_ns;

	return learned && (learned < span || span == 0) ? learned : span;
}

static void enter(struct upstream *u, enum upstream_state next)
{
	struct proxy *proxy = u->proxy;

	GW_ASSERT(may_follow[u->state] & (1u << next));
	leave(u);
	u->state = (uint8_t)next;
	switch (next) {
	case UPSTREAM_BUSY:
		deadline_in(&u->deadline, proxy->ring, 0);
		metric_gauge_add(proxy->metrics, METRIC_UPSTREAM_ACTIVE, 1);
		break;
	case UPSTREAM_IDLE:
		u->since_ns = ring_now_ns(proxy->ring);
		list_counted_push_front(&endpoint_of(u)->idle, &u->link);
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

static void drop(struct upstream *u, enum metric_pool_close why)
{
	metric_inc_label(u->proxy->metrics, METRIC_POOL_CLOSED, why);
	enter(u, UPSTREAM_CLOSING);
	h1_ended(&u->h1, REASON_NONE);
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

	if (endpoint_of(of)->idle.n > service->max_idle)
		return oldest_of(endpoint_of(of));
	return proxy->idle.n > service->max_idle_all ? oldest(proxy) : NULL;
}

/*
 * Those that are too many go, the oldest first, but none before it has idled
 * for some seconds: else a load that goes up and down would connect all the time.
 */
static void trim(struct proxy *proxy, const struct upstream *of)
{
	struct upstream *u = surplus(proxy, of);
	uint64_t due_ns;

	if (!u)
		return;
	due_ns = u->since_ns + SURPLUS_NS;
	if (due_ns < u->deadline.at_ns)
		deadline_set(&u->deadline, proxy->ring, due_ns);
}

static void idle_expired(struct upstream *u)
{
	struct proxy *proxy = u->proxy;
	uint64_t span = idle_span(u);

	if (span && ring_now_ns(proxy->ring) - u->since_ns >= span) {
		drop(u, METRIC_POOL_CLOSE_IDLE_TIMEOUT);
	} else if (surplus(proxy, u)) {
		drop(u, METRIC_POOL_CLOSE_MAX_IDLE);
		trim(proxy, u);
	} else {
		deadline_set(&u->deadline, proxy->ring, span ? u->since_ns + span : DEADLINE_NEVER);
	}
}

/* --- What the codec tells. ------------------------------------------------------------------- */

/* Before there is a codec. */
static void call_failed(struct upstream *u, enum reason reason)
{
	struct upstream_call *call = u->call;

	u->call = NULL;
	enter(u, UPSTREAM_CLOSING);
	transport_close(&u->transport, false);
	if (!call)
		return;
	call->upstream = NULL;
	call->user->failed(call, reason);
}

static enum reason failed_reason(struct upstream *u, int res)
{
	enum metric_tls_failure failure;
	enum reason reason = upstream_fault(&u->transport, res, &failure);

	if (failure == METRIC_TLS_FAILURE_N)
		return reason;
	metric_inc_label(u->proxy->metrics, METRIC_UPSTREAM_TLS_FAILURES, failure);
	if (u->call)
		u->call->tls_failure = (uint8_t)(1 + failure);
	return reason;
}

static void expired(struct ring_timer *timer)
{
	struct upstream *u = GW_CONTAINER_OF(timer, struct upstream, deadline.timer);

	if (!deadline_is_due(&u->deadline, u->proxy->ring))
		return;
	if (u->state == UPSTREAM_CONNECTING)
		call_failed(u, REASON_UPSTREAM_CONNECT_TIMEOUT);
	else if (u->state == UPSTREAM_IDLE)
		idle_expired(u);
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
static bool is_current(const struct upstream *u)
{
	const struct proxy_endpoint *endpoint = endpoint_of(u);

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
static void keep_room(struct proxy *proxy)
{
	uint32_t left = proxy->upstreams.n_slots - proxy->upstreams.n_used;

	if (left + proxy->n_upstreams_closing < reserve(proxy) && oldest(proxy))
		drop(oldest(proxy), METRIC_POOL_CLOSE_MAX_IDLE);
}

static void idle(struct h1 *c)
{
	struct upstream *u = upstream_of(c);
	const struct proxy_service *service = &c->proxy->services[u->service];

	if (c->proxy->draining || !is_current(u))
		drop(u, METRIC_POOL_CLOSE_PURGED);
	else if (service->max_requests && c->n_messages >= service->max_requests)
		drop(u, METRIC_POOL_CLOSE_MAX_REQUESTS);
	else if (service->max_idle == 0 || service->max_idle_all == 0)
		drop(u, METRIC_POOL_CLOSE_MAX_IDLE);
	else
		enter(u, UPSTREAM_IDLE);
	trim(c->proxy, u);
	keep_room(c->proxy);
}

/* A peer that closes what was idle for that long will do so again. */
static void learn(struct upstream *u)
{
	uint64_t span = ring_now_ns(u->proxy->ring) - u->since_ns;
	struct proxy_endpoint *endpoint = endpoint_of(u);

	if (span < LEARN_MIN_NS)
		return;
	span = LEARN_SHARE(span);
	if (endpoint->learned_idle_ns == 0 || span < endpoint->learned_idle_ns)
		endpoint->learned_idle_ns = span;
}

static void ended(struct h1 *c, enum reason reason)
{
	struct upstream *u = upstream_of(c);
	bool by_peer = u->state == UPSTREAM_IDLE && c->eof;

	if (u->state == UPSTREAM_CLOSING) /* We dropped it. */
		return;
	if (reason == REASON_UPSTREAM_UNSOLICITED || reason == REASON_UPSTREAM_EXCESS)
		metric_inc_keyed(c->proxy->metrics, METRIC_UPSTREAM_ERRORS, 0, reason, u->service);
	if (reason == REASON_UPSTREAM_UNSOLICITED) {
		metric_inc_label(c->proxy->metrics, METRIC_POOL_CLOSED,
				 METRIC_POOL_CLOSE_UNSOLICITED);
	} else if (by_peer) {
		learn(u);
		metric_inc_label(c->proxy->metrics, METRIC_POOL_CLOSED,
				 METRIC_POOL_CLOSE_PEER_CLOSED);
	} else if (u->state == UPSTREAM_BUSY) {
		metric_inc_label(c->proxy->metrics, METRIC_POOL_CLOSED,
				 METRIC_POOL_CLOSE_NOT_REUSABLE);
	}
	enter(u, UPSTREAM_CLOSING);
}

static void free_upstream(struct upstream *u)
{
	struct proxy *proxy = u->proxy;

	GW_ASSERT(u->state == UPSTREAM_CLOSING && !u->call);
	endpoint_of(u)->n_open--;
	proxy->n_upstreams_closing--;
	if (u->transport.sealed)
		slab_free(&proxy->sealed, u->transport.sealed);
	slab_free(&proxy->upstreams, u);
}

static void closed(struct h1 *c)
{
	free_upstream(upstream_of(c));
}

static void request(struct h1 *c, struct http_head *head, bool end,
		    const struct http_refusal *refusal)
{
	(void)c;
	(void)head;
	(void)end;
	(void)refusal;
	GW_UNREACHABLE();
}

static void phase(struct h1 *c, enum codec_phase phase)
{
	(void)c;
	(void)phase;
	GW_UNREACHABLE();
}

static const struct h1_owner h1_owner = {
	.request = request,
	.phase = phase,
	.idle = idle,
	.ended = ended,
	.closed = closed,
};

/* --- Connecting. ----------------------------------------------------------------------------- */

/*
 * Here a connection that has been made gets its codec: by the service's protocol, and by what TLS
 * has agreed on (tls_protocol()), where that is more than one.
 */
static struct stream *begin_codec(struct upstream *u)
{
	switch ((enum policy_protocol)u->protocol) {
	case POLICY_HTTP:
	case POLICY_HTTPS:
		h1_init(&u->h1, H1_CLIENT, u->proxy, &h1_owner);
		h1_watch(&u->h1);
		return h1_open_stream(&u->h1);
	case POLICY_H2C: /* No table has them yet. */
	case POLICY_H2:
	case POLICY_N_PROTOCOLS:
		break;
	}
	GW_UNREACHABLE();
}

static uint8_t tls_of(const struct upstream *u)
{
	const struct sealed *sealed = u->transport.sealed;

	return sealed ? tls_minor(&sealed->tls) : 0;
}

static void count_handshake(const struct upstream *u)
{
	const struct sealed *sealed = u->transport.sealed;

	if (sealed)
		metric_inc_label(u->proxy->metrics, METRIC_UPSTREAM_TLS_HANDSHAKES,
				 tls_is_resumed(&sealed->tls) ? METRIC_HANDSHAKE_RESUMED
							      : METRIC_HANDSHAKE_FULL);
}

static void connected(struct transport *t, int res)
{
	struct upstream *u = GW_CONTAINER_OF(t, struct upstream, transport);
	struct upstream_call *call = u->call;

	if (res < 0) {
		call_failed(u, failed_reason(u, res));
		return;
	}
	count_handshake(u);
	metric_observe(u->proxy->metrics, METRIC_UPSTREAM_CONNECT,
		       ring_now_ns(u->proxy->ring) - u->since_ns);
	u->call = NULL;
	call->upstream = NULL;
	call->tls = tls_of(u);
	enter(u, UPSTREAM_BUSY);
	call->user->ready(call, begin_codec(u));
}

static void early_bytes(struct transport *t, struct ring_buf *buf, int32_t res, bool more)
{
	(void)t;
	(void)buf;
	(void)res;
	(void)more;
	GW_UNREACHABLE(); /* Nobody asked for any. */
}

static void early_written(struct transport *t, int res)
{
	(void)t;
	(void)res;
	GW_UNREACHABLE();
}

static void early_closed(struct transport *t)
{
	free_upstream(GW_CONTAINER_OF(t, struct upstream, transport));
}

static const struct transport_user connecting_user = {
	.bytes = early_bytes,
	.written = early_written,
	.connected = connected,
	.closed = early_closed,
};

/* --- Getting one. ---------------------------------------------------------------------------- */

static struct stream *take_idle(struct proxy_endpoint *endpoint, struct upstream_call *call)
{
	struct list_node *node = list_first(&endpoint->idle.list);
	struct upstream *u;

	if (!node)
		return NULL;
	u = list_entry(node, struct upstream, link);
	GW_ASSERT(u->state == UPSTREAM_IDLE);
	enter(u, UPSTREAM_BUSY);
	call->reused = true;
	call->tls = tls_of(u);
	return h1_open_stream(&u->h1);
}

static struct ring_addr ring_addr_of(const struct policy_addr *addr)
{
	struct ring_addr out = { .family = addr->family,
				 .path_len = addr->path_len,
				 .port = addr->port };

	if (addr->family == AF_UNIX)
		memcpy(out.path, addr->path, addr->path_len);
	else
		memcpy(out.ip, addr->ip, sizeof(out.ip));
	return out;
}

/* What the service's protocol is spoken over. 0; or -ENOMEM, and the file is still the caller's. */
static int open_transport(struct upstream *u, int32_t file)
{
	struct proxy *proxy = u->proxy;
	const struct proxy_service *service = &proxy->services[u->service];
	struct tls_peer peer = {
		.name = endpoint_of(u)->server_name,
		.slot = u->service * POLICY_ENDPOINTS_MAX + u->endpoint,
		.protocol = TLS_PROTOCOL_HTTP1,
	};
	struct sealed *sealed;

	if (!policy_is_tls(service->protocol)) {
		clear_init(&u->transport, &connecting_user, proxy->ring, file);
		return 0;
	}
	sealed = slab_alloc(&proxy->sealed);
	if (!sealed)
		return -ENOMEM;
	GW_ASSERT(proxy->trusts[service->trust]);
	if (sealed_dial(&u->transport, sealed, &connecting_user, proxy->ring, file,
			proxy->trusts[service->trust], &peer) < 0) {
		slab_free(&proxy->sealed, sealed);
		return -ENOMEM;
	}
	return 0;
}

static enum upstream_got begin_connect(struct proxy *proxy, struct upstream_call *call,
				       uint64_t connect_ns, enum reason *ret_reason)
{
	struct proxy_endpoint *endpoint = &proxy->services[call->service].endpoints[call->endpoint];
	struct upstream *u = slab_alloc(&proxy->upstreams);
	struct ring_addr addr;
	int32_t file;

	keep_room(proxy);
	if (!u) {
		*ret_reason = REASON_OVERLOAD_UPSTREAM;
		return UPSTREAM_FAILED;
	}
	u->addr = endpoint->addrs[endpoint->next_addr++ % endpoint->n_addrs];
	if (ring_socket(proxy->ring, u->addr.family, &file) < 0) {
		slab_free(&proxy->upstreams, u);
		*ret_reason = REASON_UPSTREAM_RESOURCE;
		return UPSTREAM_FAILED;
	}
	u->proxy = proxy;
	u->service = call->service;
	u->endpoint = (uint16_t)call->endpoint;
	if (open_transport(u, file) < 0) {
		ring_close(proxy->ring, file);
		slab_free(&proxy->upstreams, u);
		*ret_reason = REASON_UPSTREAM_RESOURCE;
		return UPSTREAM_FAILED;
	}
	u->call = call;
	u->turn = endpoint->turn;
	u->protocol = proxy->services[call->service].protocol;
	u->state = UPSTREAM_CONNECTING;
	u->since_ns = ring_now_ns(proxy->ring);
	u->link = (struct list_node){ 0 };
	u->all = (struct list_node){ 0 };
	deadline_init(&u->deadline, expired);
	deadline_in(&u->deadline, proxy->ring, connect_ns);
	call->upstream = u;
	endpoint->n_open++;
	metric_inc(proxy->metrics, METRIC_UPSTREAM_CONNECTS);
	addr = ring_addr_of(&u->addr);
	transport_connect(&u->transport, &addr);
	return UPSTREAM_COMING;
}

static int32_t choose(struct proxy *proxy, uint16_t service_slot, int32_t avoid)
{
	const struct proxy_service *service = &proxy->services[service_slot];
	uint32_t loads[POLICY_ENDPOINTS_MAX];

	if (service->n_endpoints == 1) /* Nothing to choose. */
		return service->endpoints[0].n_addrs ? 0 : -1;
	for (uint16_t i = 0; i < service->n_endpoints; i++)
		loads[i] = service->endpoints[i].n_addrs ? service->endpoints[i].n_active
							 : POLICY_LOAD_NONE;
	return policy_choose(loads, service->n_endpoints, rng_next(&proxy->rng), avoid);
}

enum upstream_got upstream_get(struct proxy *proxy, struct upstream_call *call,
			       const struct upstream_wish *wish, struct stream **ret_stream,
			       enum reason *ret_reason)
{
	int32_t chosen = choose(proxy, wish->service, wish->avoid);
	struct proxy_endpoint *endpoint;
	struct stream *stream;

	GW_ASSERT(!call->upstream && call->endpoint < 0);
	if (chosen < 0) {
		*ret_reason = proxy->services[wish->service].n_endpoints ? REASON_UPSTREAM_RESOLVE
									 : REASON_NO_ENDPOINT;
		return UPSTREAM_FAILED;
	}
	endpoint = &proxy->services[wish->service].endpoints[chosen];
	call->service = wish->service;
	call->endpoint = chosen;
	call->reused = false;
	call->tls = 0;
	call->tls_failure = 0;
	endpoint->n_active++;
	stream = wish->fresh ? NULL : take_idle(endpoint, call);
	metric_inc(proxy->metrics, stream ? METRIC_POOL_HITS : METRIC_POOL_MISSES);
	if (!stream)
		return begin_connect(proxy, call, wish->connect_ns, ret_reason);
	*ret_stream = stream;
	return UPSTREAM_READY;
}

const struct codec *upstream_codec(const struct proxy *proxy, uint16_t service)
{
	GW_ASSERT(service < POLICY_SERVICES_MAX);
	switch ((enum policy_protocol)proxy->services[service].protocol) {
	case POLICY_HTTP:
	case POLICY_HTTPS:
		return &h1_codec;
	case POLICY_H2C: /* As above. */
	case POLICY_H2:
	case POLICY_N_PROTOCOLS:
		break;
	}
	GW_UNREACHABLE();
}

void upstream_done(struct proxy *proxy, struct upstream_call *call)
{
	struct proxy_endpoint *endpoint;

	if (call->endpoint < 0)
		return;
	endpoint = &proxy->services[call->service].endpoints[call->endpoint];
	GW_ASSERT(endpoint->n_active > 0);
	endpoint->n_active--;
	call->endpoint = -1;
}

void upstream_cancel(struct upstream_call *call)
{
	struct upstream *u = call->upstream;

	if (!u)
		return;
	GW_ASSERT(u->call == call && u->state == UPSTREAM_CONNECTING);
	call->upstream = NULL;
	u->call = NULL;
	call_failed(u, REASON_NONE);
}

/* --- Tables. --------------------------------------------------------------------------------- */

static void drop_stale(struct proxy_endpoint *endpoint)
{
	list_each(node, &endpoint->idle.list)
	{
		struct upstream *u = list_entry(node, struct upstream, link);

		if (!is_current(u)) {
			endpoint->learned_idle_ns = 0;
			drop(u, METRIC_POOL_CLOSE_PURGED);
		}
	}
}

static void name_adopt(struct proxy_endpoint *endpoint, const struct policy_endpoint *from)
{
	struct slice name = slice_make(from->server_name, from->n_server_name);

	if (slice_eq(endpoint->server_name, name))
		return;
	memcpy(endpoint->server_name_text, name.ptr, name.len);
	endpoint->server_name = slice_make(endpoint->server_name_text, name.len);
	endpoint->turn++;
}

static void endpoint_adopt(struct proxy_endpoint *endpoint, const struct policy_endpoint *from)
{
	name_adopt(endpoint, from);
	endpoint->n_addrs = from->n_addrs;
	memcpy(endpoint->addrs, from->addrs, sizeof(endpoint->addrs));
	memcpy(endpoint->authority_text, from->authority, sizeof(endpoint->authority_text));
	endpoint->authority = slice_make(endpoint->authority_text, from->authority_len);
	drop_stale(endpoint);
}

static void protocol_adopt(struct proxy_service *service, const struct policy_service *from)
{
	if (service->protocol == from->protocol && service->trust == from->trust)
		return;
	service->protocol = from->protocol;
	service->trust = from->trust;
	for (uint32_t i = 0; i < POLICY_ENDPOINTS_MAX; i++)
		service->endpoints[i].turn++;
}

void upstream_trust(struct proxy *proxy, struct tls_client *const *trusts, uint32_t n_trusts)
{
	GW_ASSERT(n_trusts <= POLICY_TRUSTS_MAX);
	for (uint32_t i = 0; i < POLICY_TRUSTS_MAX; i++)
		proxy->trusts[i] = i < n_trusts ? trusts[i] : NULL;
	for (uint32_t i = 0; i < POLICY_SERVICES_MAX; i++) {
		struct proxy_service *service = &proxy->services[i];

		for (uint32_t j = 0; policy_is_tls(service->protocol) && j < POLICY_ENDPOINTS_MAX;
		     j++) {
			service->endpoints[j].turn++;
			drop_stale(&service->endpoints[j]);
		}
	}
}

void upstream_adopt(struct proxy *proxy, const struct policy_table *table)
{
	static const struct policy_endpoint none;

	for (uint32_t i = 0; i < POLICY_SERVICES_MAX; i++) {
		const struct policy_service *from = &table->services[i];
		struct proxy_service *service = &proxy->services[i];
		uint16_t n = i < table->n_services ? from->n_endpoints : 0;

		service->n_endpoints = n;
		service->max_idle = from->max_idle;
		service->max_idle_all = from->max_idle_all;
		service->max_requests = from->max_requests;
		service->pool_idle_ns = from->timeouts.pool_idle_ns;
		protocol_adopt(service, from);
		for (uint32_t j = 0; j < POLICY_ENDPOINTS_MAX; j++)
			endpoint_adopt(&service->endpoints[j], j < n ? &from->endpoints[j] : &none);
	}
}

void upstream_purge(struct proxy *proxy)
{
	for (uint32_t slot = 0;;) {
		struct upstream *u = slab_next(&proxy->upstreams, &slot);

		if (!u)
			return;
		if (u->state == UPSTREAM_IDLE)
			drop(u, METRIC_POOL_CLOSE_PURGED);
	}
}

void upstream_check(const struct upstream *u)
{
	GW_ASSERT(u->state < UPSTREAM_N_STATES);
	if (u->state == UPSTREAM_BUSY || u->state == UPSTREAM_IDLE)
		h1_check(&u->h1);
	GW_ASSERT((u->state == UPSTREAM_IDLE) == list_node_is_linked(&u->link));
	GW_ASSERT((u->state == UPSTREAM_IDLE) == list_node_is_linked(&u->all));
	GW_ASSERT(!u->call || u->state == UPSTREAM_CONNECTING);
	GW_ASSERT(u->transport.closing == (u->state == UPSTREAM_CLOSING));
	if (u->state == UPSTREAM_IDLE) /* It is watched: see above. */
		GW_ASSERT(transport_is_reading(&u->transport));
}
