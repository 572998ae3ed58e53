/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to upstreams: which codec speaks on one, and what it tells. */
#include "core/proxy/proxy.h"
#include "core/proxy/sealed.h"
#include "core/proxy/upstream_private.h"

static struct upstream *upstream_of(struct h1 *c)
{
	return GW_CONTAINER_OF(c, struct upstream, h1);
}

uint8_t upstream_tls(const struct upstream *u)
{
	const struct sealed *sealed = u->transport.sealed;

	return sealed ? tls_minor(&sealed->tls) : 0;
}

static void idle(struct h1 *c)
{
	struct upstream *u = upstream_of(c);
	const struct proxy_service *service = &c->proxy->services[u->service];

	if (c->proxy->draining || !upstream_is_current(u))
		upstream_drop(u, METRIC_POOL_CLOSE_PURGED);
	else if (service->max_requests && c->n_messages >= service->max_requests)
		upstream_drop(u, METRIC_POOL_CLOSE_MAX_REQUESTS);
	else if (service->max_idle == 0 || service->max_idle_all == 0)
		upstream_drop(u, METRIC_POOL_CLOSE_MAX_IDLE);
	else
		upstream_enter(u, UPSTREAM_IDLE);
	upstream_trim(c->proxy, u);
	upstream_keep_room(c->proxy);
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
		upstream_learn(u);
		metric_inc_label(c->proxy->metrics, METRIC_POOL_CLOSED,
				 METRIC_POOL_CLOSE_PEER_CLOSED);
	} else if (u->state == UPSTREAM_BUSY) {
		metric_inc_label(c->proxy->metrics, METRIC_POOL_CLOSED,
				 METRIC_POOL_CLOSE_NOT_REUSABLE);
	}
	upstream_enter(u, UPSTREAM_CLOSING);
}

static void closed(struct h1 *c)
{
	upstream_free(upstream_of(c));
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

/*
 * Here a connection that has been made gets its codec: by the service's protocol, and by what TLS
 * has agreed on (tls_protocol()), where that is more than one.
 */
struct stream *upstream_speak(struct upstream *u)
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

struct stream *upstream_take(struct proxy_endpoint *endpoint, struct upstream_call *call)
{
	struct list_node *node = list_first(&endpoint->idle.list);
	struct upstream *u;

	if (!node)
		return NULL;
	u = list_entry(node, struct upstream, link);
	GW_ASSERT(u->state == UPSTREAM_IDLE);
	upstream_enter(u, UPSTREAM_BUSY);
	call->reused = true;
	call->tls = upstream_tls(u);
	return h1_open_stream(&u->h1);
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
