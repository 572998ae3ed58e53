/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to upstreams: which codec speaks on one, and what it tells. */
#include "core/proxy/proxy.h"
#include "core/proxy/sealed.h"
#include "core/proxy/upstream_private.h"

/* For a peer that has let a request time out and said nothing since to show that it lives. */
#define SUSPECT_NS (2 * GW_NS_PER_S)

uint8_t upstream_tls(const struct upstream *u)
{
	const struct sealed *sealed = u->transport.sealed;

	return sealed ? tls_minor(&sealed->tls) : 0;
}

static void pool(struct upstream *u, uint32_t n_requests)
{
	struct proxy *proxy = u->proxy;
	const struct proxy_service *service = &proxy->services[u->service];

	if (proxy->draining || !upstream_is_current(u))
		upstream_drop(u, METRIC_POOL_CLOSE_PURGED);
	else if (service->max_requests && n_requests >= service->max_requests)
		upstream_drop(u, METRIC_POOL_CLOSE_MAX_REQUESTS);
	else if (service->max_idle == 0 || service->max_idle_all == 0)
		upstream_drop(u, METRIC_POOL_CLOSE_MAX_IDLE);
	else
		upstream_enter(u, UPSTREAM_IDLE);
	upstream_trim(proxy, u);
	upstream_keep_room(proxy);
}

static void count_end(struct upstream *u, bool by_peer, enum reason reason)
{
	struct metric_set *metrics = u->proxy->metrics;

	if (reason == REASON_UPSTREAM_UNSOLICITED || reason == REASON_UPSTREAM_EXCESS)
		metric_inc_keyed(metrics, METRIC_UPSTREAM_ERRORS, 0, reason, u->service);
	if (reason == REASON_UPSTREAM_UNSOLICITED) {
		metric_inc_label(metrics, METRIC_POOL_CLOSED, METRIC_POOL_CLOSE_UNSOLICITED);
	} else if (by_peer) {
		if (u->state == UPSTREAM_IDLE)
			upstream_learn(u);
		metric_inc_label(metrics, METRIC_POOL_CLOSED, METRIC_POOL_CLOSE_PEER_CLOSED);
	} else if (u->state == UPSTREAM_BUSY) {
		metric_inc_label(metrics, METRIC_POOL_CLOSED, METRIC_POOL_CLOSE_NOT_REUSABLE);
	}
}

static void ended(struct upstream *u, bool by_peer, enum reason reason)
{
	if (u->state == UPSTREAM_CLOSING) /* We dropped it. */
		return;
	if (u->state == UPSTREAM_CONNECTING) { /* It has not said what it allows. */
		upstream_fail(u, h2_why(&u->h2), 0);
		return;
	}
	count_end(u, by_peer, reason);
	upstream_enter(u, UPSTREAM_CLOSING);
}

/* --- HTTP/1. --------------------------------------------------------------------------------- */

static struct upstream *of_h1(struct h1 *c)
{
	return GW_CONTAINER_OF(c, struct upstream, h1);
}

static void h1_idle(struct h1 *c)
{
	pool(of_h1(c), c->n_messages);
}

static void h1_has_ended(struct h1 *c, enum reason reason)
{
	struct upstream *u = of_h1(c);

	ended(u, c->eof && u->state == UPSTREAM_IDLE, reason);
}

static void h1_closed(struct h1 *c)
{
	upstream_free(of_h1(c));
}

static const struct h1_owner h1_owner = {
	.idle = h1_idle,
	.ended = h1_has_ended,
	.closed = h1_closed,
};

/* --- HTTP/2. --------------------------------------------------------------------------------- */

static struct upstream *of_h2(struct h2 *c)
{
	return GW_CONTAINER_OF(c, struct upstream, h2);
}

static bool would_share(const struct upstream *u)
{
	uint32_t max = u->proxy->services[u->service].max_requests;

	return h2_has_room(&u->h2) && (max == 0 || u->h2.n_begun < max) && !u->proxy->draining &&
	       upstream_is_current(u);
}

static void share(struct upstream *u)
{
	bool listed = list_node_is_linked(&u->link);

	if (listed && !would_share(u))
		upstream_unlist(u);
	else if (!listed && would_share(u))
		list_push_back(&upstream_endpoint(u)->sharing, &u->link);
}

static void greeted(struct upstream *u)
{
	upstream_endpoint(u)->streams_max = h2_session_streams_max(u->h2.session);
	upstream_serve(u);
}

/* It has so long to say something, whatever it was that it did not say. */
static void suspect(struct upstream *u)
{
	if (u->deadline.at_ns == DEADLINE_NEVER)
		deadline_in(&u->deadline, u->proxy->ring, SUSPECT_NS);
}

/* Nothing is asked on it now. */
static void at_rest(struct upstream *u)
{
	const struct proxy *proxy = u->proxy;

	if (h2_has_room(&u->h2))
		pool(u, u->h2.n_begun);
	else if (u->h2.suspect && !proxy->draining && !proxy->aborting)
		suspect(u);
	else
		upstream_drop(u, METRIC_POOL_CLOSE_NOT_REUSABLE);
}

/* The last frames leave: a peer that takes nothing does not keep it. */
static void says_last(struct upstream *u)
{
	if (u->state == UPSTREAM_IDLE) {
		upstream_learn(u);
		upstream_enter(u, UPSTREAM_BUSY);
	}
	upstream_unlist(u);
	suspect(u);
}

static void in_use(struct upstream *u)
{
	share(u);
	if (u->h2.suspect)
		suspect(u);
	else
		deadline_in(&u->deadline, u->proxy->ring, 0);
}

static void h2_changed(struct h2 *c)
{
	struct upstream *u = of_h2(c);

	if (u->state == UPSTREAM_CONNECTING && h2_is_greeted(c))
		greeted(u);
	if (u->state == UPSTREAM_CONNECTING) /* It has its deadline. */
		return;
	if (c->state == H2_SAYING)
		says_last(u);
	else if (u->state == UPSTREAM_BUSY && c->n_streams > 0)
		in_use(u);
	else if (u->state == UPSTREAM_BUSY)
		at_rest(u);
	else if (u->state == UPSTREAM_IDLE && !h2_has_room(c))
		upstream_drop(u, METRIC_POOL_CLOSE_PEER_CLOSED);
}

void upstream_busy_expired(struct upstream *u)
{
	if (upstream_shares(u) && (u->h2.suspect || u->h2.state == H2_SAYING))
		h2_end(&u->h2, REASON_UPSTREAM_RESET);
	else
		deadline_in(&u->deadline, u->proxy->ring, 0);
}

static void h2_has_ended(struct h2 *c, enum reason reason)
{
	struct upstream *u = of_h2(c);

	ended(u, c->dismissed || (c->eof && u->state == UPSTREAM_IDLE), reason);
}

static void h2_closed(struct h2 *c)
{
	upstream_free(of_h2(c));
}

static const struct h2_owner h2_owner = {
	.changed = h2_changed,
	.ended = h2_has_ended,
	.closed = h2_closed,
};

/* Of those that have room the one with the least to do. */
static struct upstream *least_shared(struct proxy_endpoint *endpoint)
{
	struct upstream *best = NULL;

	list_each(node, &endpoint->sharing)
	{
		struct upstream *u = list_entry(node, struct upstream, link);

		if (would_share(u) && (!best || u->h2.n_streams < best->h2.n_streams))
			best = u;
	}
	return best;
}

/* --- Both. ----------------------------------------------------------------------------------- */

enum reason upstream_speak(struct upstream *u)
{
	const struct sealed *sealed = u->transport.sealed;

	if (!upstream_shares(u)) {
		h1_init(&u->h1, H1_CLIENT, u->proxy, &h1_owner);
		h1_watch(&u->h1);
		upstream_serve(u);
		return REASON_NONE;
	}
	if (sealed && tls_protocol(&sealed->tls) != TLS_PROTOCOL_HTTP2)
		return REASON_UPSTREAM_PROTOCOL_MISMATCH;
	return h2_dial(&u->h2, u->proxy, &h2_owner) < 0 ? REASON_UPSTREAM_RESOURCE : REASON_NONE;
}

bool upstream_has_room(const struct upstream *u)
{
	return upstream_shares(u) && h2_has_room(&u->h2);
}

bool upstream_is_crowded(const struct proxy *proxy, uint16_t service)
{
	return upstream_codec(proxy, service)->many &&
	       proxy->h2_streams.n_used == proxy->h2_streams.n_slots;
}

struct stream *upstream_open_stream(struct upstream *u)
{
	struct stream *stream;

	if (!upstream_shares(u))
		return h1_open_stream(&u->h1);
	stream = h2_open_stream(&u->h2);
	if (!stream) /* It may be idle again. */
		h2_soon(&u->h2);
	share(u);
	return stream;
}

void upstream_hang_up(struct upstream *u)
{
	if (upstream_shares(u))
		h2_end(&u->h2, REASON_NONE);
	else
		h1_ended(&u->h1, REASON_NONE);
}

static struct upstream *choose(struct proxy_endpoint *endpoint)
{
	struct upstream *u = least_shared(endpoint);
	struct list_node *node = list_first(&endpoint->idle.list);

	if (u || !node)
		return u;
	u = list_entry(node, struct upstream, link);
	GW_ASSERT(u->state == UPSTREAM_IDLE);
	upstream_enter(u, UPSTREAM_BUSY);
	return u;
}

struct stream *upstream_take(struct proxy_endpoint *endpoint, struct upstream_call *call)
{
	struct upstream *u = choose(endpoint);
	struct stream *stream = u ? upstream_open_stream(u) : NULL;

	if (!stream)
		return NULL;
	call->reused = true;
	call->tls = upstream_tls(u);
	return stream;
}

const struct codec *upstream_codec(const struct proxy *proxy, uint16_t service)
{
	GW_ASSERT(service < POLICY_SERVICES_MAX);
	switch ((enum policy_protocol)proxy->services[service].protocol) {
	case POLICY_HTTP:
	case POLICY_HTTPS:
		return &h1_codec;
	case POLICY_H2C:
		return &h2c_codec;
	case POLICY_H2:
		return &h2_codec;
	case POLICY_N_PROTOCOLS:
		break;
	}
	GW_UNREACHABLE();
}
