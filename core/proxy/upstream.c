/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/upstream.h"

#include <errno.h>
#include <string.h>

#include "core/crypto/tls_client.h"
#include "core/proxy/proxy.h"
#include "core/proxy/sealed.h"
#include "core/proxy/upstream_fault.h"
#include "core/proxy/upstream_private.h"

static const struct transport_user connecting_user; /* Before there is a codec. */

static struct upstream_call *next_call(struct upstream *u)
{
	struct list_node *node = list_counted_pop_front(&u->calls);
	struct upstream_call *call = node ? list_entry(node, struct upstream_call, link) : NULL;

	if (call)
		call->upstream = NULL;
	return call;
}

void upstream_fail(struct upstream *u, enum reason reason, uint8_t tls_failure)
{
	struct upstream_call *call;

	upstream_enter(u, UPSTREAM_CLOSING);
	if (u->transport.user == &connecting_user)
		transport_close(&u->transport, false);
	else
		upstream_hang_up(u);
	while ((call = next_call(u))) {
		call->tls_failure = tls_failure;
		call->user->failed(call, reason);
	}
}

static void connect_failed(struct upstream *u, int res)
{
	enum metric_tls_failure failure;
	enum reason reason = upstream_fault(&u->transport, res, &failure);

	if (failure == METRIC_TLS_FAILURE_N) {
		upstream_fail(u, reason, 0);
		return;
	}
	metric_inc_label(u->proxy->metrics, METRIC_UPSTREAM_TLS_FAILURES, failure);
	upstream_fail(u, reason, (uint8_t)(1 + failure));
}

static void expired(struct ring_timer *timer)
{
	struct upstream *u = GW_CONTAINER_OF(timer, struct upstream, deadline.timer);

	if (!deadline_is_due(&u->deadline, u->proxy->ring))
		return;
	if (u->state == UPSTREAM_CONNECTING)
		upstream_fail(u, REASON_UPSTREAM_CONNECT_TIMEOUT, 0);
	else if (u->state == UPSTREAM_IDLE)
		upstream_idle_expired(u);
	else if (u->state == UPSTREAM_BUSY)
		upstream_busy_expired(u);
}

/* --- Connecting. ----------------------------------------------------------------------------- */

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
	enum reason reason;

	if (res < 0) {
		connect_failed(u, res);
		return;
	}
	count_handshake(u);
	metric_observe(u->proxy->metrics, METRIC_UPSTREAM_CONNECT,
		       ring_now_ns(u->proxy->ring) - u->since_ns);
	reason = upstream_speak(u);
	if (reason != REASON_NONE)
		upstream_fail(u, reason, 0);
}

static void early_closed(struct transport *t)
{
	upstream_free(GW_CONTAINER_OF(t, struct upstream, transport));
}

static const struct transport_user connecting_user = {
	.connected = connected,
	.closed = early_closed,
};

/* --- Getting one. ---------------------------------------------------------------------------- */

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
		.client = proxy->trusts[service->trust],
		.name = upstream_endpoint(u)->server_name,
		.slot = u->endpoint,
		.protocol = service->protocol == POLICY_H2 ? TLS_PROTOCOL_HTTP2
							   : TLS_PROTOCOL_HTTP1,
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
	if (sealed_dial(&u->transport, sealed, &connecting_user, proxy->ring, file, &peer) < 0) {
		slab_free(&proxy->sealed, sealed);
		return -ENOMEM;
	}
	return 0;
}

static void wait_for(struct upstream *u, struct upstream_call *call)
{
	call->upstream = u;
	list_counted_push_back(&u->calls, &call->link);
}

/* So many requests a connection that is being made will take, as far as is known. */
static uint32_t places(const struct upstream *u)
{
	uint32_t max = u->proxy->services[u->service].max_requests;
	uint32_t n = upstream_endpoint(u)->streams_max;

	n = n > 0 && n < H2_STREAMS_MAX ? n : H2_STREAMS_MAX;
	return max > 0 && max < n ? max : n;
}

/* HTTP/2: a connection is being made already, and has places for more. */
static bool join(struct proxy_endpoint *endpoint, struct upstream_call *call)
{
	list_each(node, &endpoint->connecting)
	{
		struct upstream *u = list_entry(node, struct upstream, link);

		if (u->calls.n >= places(u) || !upstream_is_current(u))
			continue;
		wait_for(u, call);
		return true;
	}
	return false;
}

static enum upstream_got begin_connect(struct proxy *proxy, struct upstream_call *call,
				       uint64_t connect_ns, enum reason *ret_reason)
{
	struct proxy_endpoint *endpoint = &proxy->endpoints[call->endpoint];
	struct upstream *u = slab_alloc(&proxy->upstreams);
	struct ring_addr addr;
	int32_t file;

	upstream_keep_room(proxy);
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
	list_counted_init(&u->calls);
	u->turn = endpoint->turn;
	u->protocol = proxy->services[call->service].protocol;
	u->state = UPSTREAM_CONNECTING;
	u->since_ns = ring_now_ns(proxy->ring);
	u->link = (struct list_node){ 0 };
	u->all = (struct list_node){ 0 };
	deadline_init(&u->deadline, expired);
	u->until_ns = connect_ns ? u->since_ns + connect_ns : DEADLINE_NEVER;
	deadline_set(&u->deadline, proxy->ring, u->until_ns);
	wait_for(u, call);
	if (upstream_shares(u))
		list_push_back(&endpoint->connecting, &u->link);
	endpoint->n_open++;
	metric_inc(proxy->metrics, METRIC_UPSTREAM_CONNECTS);
	addr = ring_addr_of(&u->addr);
	transport_connect(&u->transport, &addr);
	return UPSTREAM_COMING;
}

/* A connection that is made now is for the same service, which speaks what the call is written in. */
static bool may_connect_again(const struct upstream *u, const struct upstream_call *call)
{
	const struct proxy_endpoint *endpoint = upstream_endpoint(u);

	return endpoint->service == call->service && endpoint->protocol == u->protocol &&
	       endpoint->n_addrs > 0;
}

/*
 * HTTP/2: a call that got no place on 'u', which serves 'n' others, waits for another connection.
 * So each of them serves somebody. Where that one goes, and who judges it, is what holds now.
 */
static enum reason seek(struct upstream *u, struct upstream_call *call, uint32_t n)
{
	uint64_t now_ns = ring_now_ns(u->proxy->ring);
	enum reason reason;

	if (n == 0 || upstream_has_room(u) || !may_connect_again(u, call))
		return REASON_OVERLOAD_UPSTREAM;
	if (now_ns >= u->until_ns)
		return REASON_UPSTREAM_CONNECT_TIMEOUT;
	if (join(upstream_endpoint(u), call))
		return REASON_NONE;
	return begin_connect(u->proxy, call, u->until_ns - now_ns, &reason) == UPSTREAM_COMING
		       ? REASON_NONE
		       : reason;
}

void upstream_serve(struct upstream *u)
{
	struct upstream_call *call;
	uint32_t n = 0;

	upstream_enter(u, UPSTREAM_BUSY);
	while ((call = next_call(u))) {
		struct stream *stream = upstream_open_stream(u);
		enum reason reason;

		if (stream) {
			n++;
			call->tls = upstream_tls(u);
			call->user->ready(call, stream);
			continue;
		}
		reason = seek(u, call, n);
		if (reason != REASON_NONE)
			call->user->failed(call, reason);
	}
}

/* The slot of an endpoint that may take it, or -1. */
static int32_t choose(struct proxy *proxy, uint16_t service_slot, int32_t avoid)
{
	const struct proxy_service *service = &proxy->services[service_slot];
	uint32_t loads[POLICY_SERVICE_ENDPOINTS_MAX];
	int32_t chosen = -1, avoided = -1;

	if (service->n_endpoints == 1) { /* Nothing to choose. */
		uint16_t only = service->endpoints[0];

		return proxy->endpoints[only].n_addrs ? only : -1;
	}
	for (uint16_t i = 0; i < service->n_endpoints; i++) {
		const struct proxy_endpoint *endpoint = &proxy->endpoints[service->endpoints[i]];

		loads[i] = endpoint->n_addrs ? endpoint->n_active : POLICY_LOAD_NONE;
		avoided = service->endpoints[i] == avoid ? i : avoided;
	}
	chosen = policy_choose(loads, service->n_endpoints, rng_next(&proxy->rng), avoided);
	return chosen >= 0 ? service->endpoints[chosen] : -1;
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
	endpoint = &proxy->endpoints[chosen];
	call->service = wish->service;
	call->endpoint = chosen;
	call->reused = false;
	call->tls = 0;
	call->tls_failure = 0;
	endpoint->n_active++;
	stream = wish->fresh ? NULL : upstream_take(endpoint, call);
	metric_inc(proxy->metrics, stream ? METRIC_POOL_HITS : METRIC_POOL_MISSES);
	if (!stream && upstream_is_crowded(proxy, wish->service)) {
		*ret_reason = REASON_OVERLOAD_UPSTREAM;
		return UPSTREAM_FAILED;
	}
	if (!stream && join(endpoint, call))
		return UPSTREAM_COMING;
	if (!stream)
		return begin_connect(proxy, call, wish->connect_ns, ret_reason);
	*ret_stream = stream;
	return UPSTREAM_READY;
}

void upstream_done(struct proxy *proxy, struct upstream_call *call)
{
	struct proxy_endpoint *endpoint;

	if (call->endpoint < 0)
		return;
	endpoint = &proxy->endpoints[call->endpoint];
	GW_ASSERT(endpoint->n_active > 0);
	endpoint->n_active--;
	call->endpoint = -1;
}

void upstream_cancel(struct upstream_call *call)
{
	struct upstream *u = call->upstream;

	if (!u)
		return;
	GW_ASSERT(u->state == UPSTREAM_CONNECTING);
	list_counted_remove(&u->calls, &call->link);
	call->upstream = NULL;
	if (u->calls.n == 0)
		upstream_fail(u, REASON_NONE, 0);
}

/* --- Tables. --------------------------------------------------------------------------------- */

static void drop_stale(struct proxy_endpoint *endpoint)
{
	list_each(node, &endpoint->idle.list)
	{
		struct upstream *u = list_entry(node, struct upstream, link);

		if (!upstream_is_current(u)) {
			endpoint->learned_idle_ns = 0;
			upstream_drop(u, METRIC_POOL_CLOSE_PURGED);
		}
	}
}

static void name_adopt(struct proxy_endpoint *endpoint, struct slice name)
{
	if (slice_eq(endpoint->server_name, name))
		return;
	memcpy(endpoint->server_name_text, name.ptr, name.len);
	endpoint->server_name = slice_make(endpoint->server_name_text, name.len);
	endpoint->turn++;
}

static void authority_adopt(struct proxy_endpoint *endpoint, struct slice authority)
{
	memcpy(endpoint->authority_text, authority.ptr, authority.len);
	endpoint->authority = slice_make(endpoint->authority_text, authority.len);
}

static struct proxy_endpoint *endpoint_of(struct proxy *proxy, uint16_t slot)
{
	struct proxy_endpoint *endpoint = &proxy->endpoints[slot];

	if (endpoint->edition)
		return endpoint;
	list_counted_init(&endpoint->idle);
	list_init(&endpoint->sharing);
	list_init(&endpoint->connecting);
	if (slot >= proxy->n_endpoints)
		proxy->n_endpoints = slot + 1u;
	return endpoint;
}

/* What was made in another protocol, or for those whom others judged, is not used again. */
static void role_adopt(struct proxy_endpoint *endpoint, uint16_t slot,
		       const struct policy_service *service)
{
	if (endpoint->service == slot && endpoint->protocol == service->protocol &&
	    endpoint->trust == service->trust)
		return;
	endpoint->service = slot;
	endpoint->protocol = service->protocol;
	endpoint->trust = service->trust;
	endpoint->turn++;
}

static void endpoint_adopt(struct proxy *proxy, const struct policy_table *table, uint16_t service,
			   const struct policy_endpoint *from)
{
	struct proxy_endpoint *endpoint = endpoint_of(proxy, from->slot);

	endpoint->edition = table->edition;
	role_adopt(endpoint, service, table_service(table, service));
	name_adopt(endpoint, table_text(table, from->server_name));
	authority_adopt(endpoint, table_text(table, from->authority));
	endpoint->n_addrs = from->n_addrs;
	memcpy(endpoint->addrs, from->addrs, from->n_addrs * sizeof(from->addrs[0]));
	drop_stale(endpoint);
}

/* No service has it any more. */
static void endpoint_forget(struct proxy_endpoint *endpoint)
{
	if (endpoint->n_addrs == 0)
		return;
	endpoint->n_addrs = 0;
	drop_stale(endpoint);
}

static void service_adopt(struct proxy *proxy, const struct policy_table *table, uint16_t slot)
{
	const struct policy_service *from = table_service(table, slot);
	struct proxy_service *service = &proxy->services[slot];

	service->max_idle = from->max_idle;
	service->max_idle_all = from->max_idle_all;
	service->max_requests = from->max_requests;
	service->pool_idle_ns = from->timeouts.pool_idle_ns;
	service->protocol = from->protocol;
	service->trust = from->trust;
	service->n_endpoints = (uint16_t)from->endpoints.n;
	for (uint16_t i = 0; i < service->n_endpoints; i++) {
		const struct policy_endpoint *endpoint = table_endpoint(table, from, i);

		service->endpoints[i] = endpoint->slot;
		endpoint_adopt(proxy, table, slot, endpoint);
	}
}

void upstream_trust(struct proxy *proxy, struct tls_client *const *trusts, uint32_t n_trusts)
{
	GW_ASSERT(n_trusts <= POLICY_TRUSTS_MAX);
	for (uint32_t i = 0; i < POLICY_TRUSTS_MAX; i++)
		proxy->trusts[i] = i < n_trusts ? trusts[i] : NULL;
	for (uint32_t i = 0; i < proxy->n_services; i++) {
		const struct proxy_service *service = &proxy->services[i];

		for (uint16_t k = 0; policy_is_tls(service->protocol) && k < service->n_endpoints;
		     k++) {
			proxy->endpoints[service->endpoints[k]].turn++;
			drop_stale(&proxy->endpoints[service->endpoints[k]]);
		}
	}
}

void upstream_adopt(struct proxy *proxy, const struct policy_table *table)
{
	GW_ASSERT(table->edition > 0);
	for (uint32_t i = 0; i < table->services.n; i++)
		service_adopt(proxy, table, (uint16_t)i);
	for (uint32_t i = table->services.n; i < proxy->n_services; i++)
		proxy->services[i].n_endpoints = 0;
	if (table->services.n > proxy->n_services)
		proxy->n_services = table->services.n;
	for (uint32_t i = 0; i < proxy->n_endpoints; i++)
		if (proxy->endpoints[i].edition != table->edition)
			endpoint_forget(&proxy->endpoints[i]);
}

void upstream_purge(struct proxy *proxy)
{
	for (uint32_t slot = 0;;) {
		struct upstream *u = slab_next(&proxy->upstreams, &slot);

		if (!u)
			return;
		if (u->state == UPSTREAM_IDLE)
			upstream_drop(u, METRIC_POOL_CLOSE_PURGED);
	}
}

void upstream_check(const struct upstream *u)
{
	bool speaks = u->state == UPSTREAM_BUSY || u->state == UPSTREAM_IDLE;
	bool listed = list_node_is_linked(&u->link);

	GW_ASSERT(u->state < UPSTREAM_N_STATES);
	if (speaks && upstream_shares(u))
		h2_check(&u->h2);
	else if (speaks)
		h1_check(&u->h1);
	GW_ASSERT(u->state == UPSTREAM_IDLE ? listed : !listed || upstream_shares(u));
	GW_ASSERT((u->state == UPSTREAM_IDLE) == list_node_is_linked(&u->all));
	GW_ASSERT((u->calls.n > 0) == (u->state == UPSTREAM_CONNECTING));
	GW_ASSERT(u->transport.closing == (u->state == UPSTREAM_CLOSING));
	if (u->state == UPSTREAM_IDLE) /* It is watched: see above. */
		GW_ASSERT(transport_is_reading(&u->transport));
}
