/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/client.h"

#include <errno.h>

#include "core/proxy/exchange.h"
#include "core/proxy/listener.h"
#include "core/proxy/proxy.h"
#include "core/proxy/sealed.h"

#define DRAIN_PATIENCE_NS (1 * GW_NS_PER_S) /* For the first request of a connection. */

enum { LINGERS_MAX = 15 }; /* Times linger_ns, while something comes each time. */

#define TO(state) (1u << CLIENT_##state)
static const uint8_t may_follow[CLIENT_N_STATES] = {
#define X(name, next) [CLIENT_##name] = (next),
	CLIENT_STATES(X)
#undef X
};

static void enter(struct client *client, enum client_state next)
{
	GW_ASSERT(may_follow[client->state] & (1u << next));
	client->state = (uint8_t)next;
	if (next == CLIENT_OVER)
		deadline_stop(&client->deadline, client->proxy->ring);
}

static struct client *client_of(struct transport *t)
{
	return GW_CONTAINER_OF(t, struct client, transport);
}

static void count_phase(struct client *client, int delta)
{
	metric_gauge_add(client->proxy->metrics,
			 client->phase == CODEC_PHASE_BUSY ? METRIC_CONNECTIONS_ACTIVE
							   : METRIC_CONNECTIONS_IDLE,
			 delta);
}

static void count_end(struct client *client, enum reason reason)
{
	if (reason != REASON_NONE)
		metric_inc_label(client->proxy->metrics, METRIC_CONNECTIONS_CLOSED, reason);
}

/* --- Over a codec. --------------------------------------------------------------------------- */

/* A new connection has to say something as soon as a head is due; in a drain, at once. */
static uint64_t idle_span(const struct client *client)
{
	const struct proxy_options *opt = client->proxy->options;

	if (client->state == CLIENT_SERVING &&
	    (client->is_h2 ? client->h2.n_begun : client->h1.n_messages) > 0)
		return opt->keepalive_ns;
	return client->proxy->draining && opt->head_ns > DRAIN_PATIENCE_NS ? DRAIN_PATIENCE_NS
									   : opt->head_ns;
}

static void phase(struct client *client, enum codec_phase phase)
{
	const struct proxy_options *opt = client->proxy->options;

	count_phase(client, -1);
	client->phase = (uint8_t)phase;
	count_phase(client, 1);
	switch (phase) {
	case CODEC_PHASE_IDLE:
		deadline_in(&client->deadline, client->proxy->ring, idle_span(client));
		break;
	case CODEC_PHASE_HEAD:
		deadline_in(&client->deadline, client->proxy->ring, opt->head_ns);
		break;
	case CODEC_PHASE_BUSY:
		deadline_in(&client->deadline, client->proxy->ring, 0);
		break;
	case CODEC_PHASE_DRAIN:
	case CODEC_PHASE_LINGER:
		deadline_in(&client->deadline, client->proxy->ring, opt->linger_ns);
		break;
	}
}

/* A client that is still sending may look for our reply only afterwards. */
static bool lingers_on(struct client *client)
{
	struct proxy *proxy = client->proxy;
	bool came = client->is_h2 ? h2_lingers_for_bytes(&client->h2)
				  : h1_lingers_for_bytes(&client->h1);

	if (!came || proxy->draining || ++client->n_lingers >= LINGERS_MAX)
		return false;
	deadline_in(&client->deadline, proxy->ring, proxy->options->linger_ns);
	return true;
}

static void h2_expired(struct client *client)
{
	struct h2 *c = &client->h2;

	switch ((enum codec_phase)client->phase) {
	case CODEC_PHASE_IDLE:
		h2_leave(c, H2_CODE_NO_ERROR, REASON_IDLE_TIMEOUT);
		break;
	case CODEC_PHASE_HEAD:
		h2_leave(c, H2_CODE_ENHANCE_YOUR_CALM, REASON_HEADER_TIMEOUT);
		break;
	case CODEC_PHASE_LINGER:
		if (!lingers_on(client))
			h2_end(c, REASON_NONE);
		break;
	case CODEC_PHASE_DRAIN:
	case CODEC_PHASE_BUSY:
		GW_UNREACHABLE();
	}
}

static void h1_expired(struct client *client)
{
	struct h1 *c = &client->h1;

	switch ((enum codec_phase)client->phase) {
	case CODEC_PHASE_IDLE:
		h1_ended(c, REASON_IDLE_TIMEOUT);
		break;
	case CODEC_PHASE_HEAD:
		h1_refuse(c, (struct http_refusal){ 408, REASON_HEADER_TIMEOUT, false });
		break;
	case CODEC_PHASE_DRAIN:
		h1_linger(c);
		break;
	case CODEC_PHASE_LINGER:
		if (lingers_on(client))
			break;
		if (h1_out_is_pending(c)) /* Not read: the kernel is not to wait for that, too. */
			h1_cut(c, true);
		else
			h1_ended(c, REASON_NONE);
		break;
	case CODEC_PHASE_BUSY:
		GW_UNREACHABLE();
	}
}

static struct exchange_client who_is(const struct client *client)
{
	const struct sealed *sealed = client->transport.sealed;

	return (struct exchange_client){
		.peer = &client->peer,
		.identity = sealed && sealed->identified ? &sealed->identity : NULL,
		.trusted = client->trusted,
		.tls = sealed ? tls_minor(&sealed->tls) : 0,
		.session = sealed ? &sealed->tls : NULL,
		.h2 = client->is_h2,
		.listener = client->listener,
	};
}

static void ended(struct client *client, enum reason reason)
{
	enter(client, CLIENT_OVER);
	count_end(client, reason);
}

static void free_client(struct client *client)
{
	struct proxy *proxy = client->proxy;
	struct listener *listener = client->listener;

	count_phase(client, -1);
	if (client->counted)
		peer_counts_del(&proxy->shared->peers, &client->peer);
	if (client->transport.sealed)
		slab_free(&proxy->sealed, client->transport.sealed);
	slab_free(&proxy->clients, client);
	listener_released(listener);
}

static void h1_request(struct h1 *c, struct http_head *head, bool end,
		       const struct http_refusal *refusal)
{
	static const struct http_refusal guessed = { 0, REASON_H2_NOT_NEGOTIATED, false };
	struct exchange_client who = who_is(client_of(&c->transport));

	if (refusal && refusal->reason == REASON_H2_NOT_ENABLED && who.tls) {
		refusal = &guessed; /* With TLS nothing but ALPN says so (RFC 9113 3.2). */
		count_end(client_of(&c->transport), REASON_H2_NOT_NEGOTIATED);
	}
	exchange_open(c->proxy, &c->stream, &who, head, end, refusal);
}

static void h1_phase(struct h1 *c, enum codec_phase next)
{
	phase(client_of(&c->transport), next);
}

static void h1_ended_(struct h1 *c, enum reason reason)
{
	ended(client_of(&c->transport), reason);
}

static void h1_closed(struct h1 *c)
{
	free_client(client_of(&c->transport));
}

static const struct h1_owner h1_owner = {
	.request = h1_request,
	.phase = h1_phase,
	.ended = h1_ended_,
	.closed = h1_closed,
};

static void h2_request(struct h2 *c, struct stream *stream, struct http_head *head, bool end,
		       const struct http_refusal *refusal)
{
	struct exchange_client who = who_is(client_of(&c->transport));

	exchange_open(c->proxy, stream, &who, head, end, refusal);
}

static void h2_phase(struct h2 *c, enum codec_phase next)
{
	phase(client_of(&c->transport), next);
}

static void h2_ended(struct h2 *c, enum reason reason)
{
	ended(client_of(&c->transport), reason);
}

static void h2_closed(struct h2 *c)
{
	free_client(client_of(&c->transport));
}

static const struct h2_owner h2_owner = {
	.request = h2_request,
	.phase = h2_phase,
	.ended = h2_ended,
	.closed = h2_closed,
};

static void serve_h1(struct client *client, struct ring_buf *first)
{
	enter(client, CLIENT_SERVING);
	h1_init(&client->h1, H1_SERVER, client->proxy, &h1_owner);
	h1_start(&client->h1, first);
}

static void serve_h2(struct client *client, struct ring_buf *first)
{
	enter(client, CLIENT_SERVING);
	client->is_h2 = true;
	h2_start(&client->h2, client->proxy, &h2_owner, first);
}

/* --- Before there is a codec. ---------------------------------------------------------------- */

/* Without a word: nothing was asked, or all that could be said has been. */
static void end(struct client *client, enum reason reason)
{
	if (client->first)
		ring_buf_give(client->proxy->ring, client->first);
	client->first = NULL;
	ended(client, reason);
	transport_close(&client->transport, false);
}

/* Both protocols are spoken in the clear: the first bytes are a request or HTTP/2's preface. */
static void sniff(struct client *client)
{
	enter(client, CLIENT_SNIFFING);
	deadline_in(&client->deadline, client->proxy->ring, idle_span(client));
	transport_read(&client->transport, true);
}

static void serve_clear(struct client *client)
{
	const struct listener_spec *spec = &client->listener->spec;

	if (spec->h1 && spec->h2)
		sniff(client);
	else if (spec->h2)
		serve_h2(client, NULL);
	else
		serve_h1(client, NULL);
}

static void serve_sealed(struct client *client)
{
	if (tls_protocol(&client->transport.sealed->tls) == TLS_PROTOCOL_HTTP2)
		serve_h2(client, NULL);
	else if (client->listener->spec.h1)
		serve_h1(client, NULL);
	else
		end(client, REASON_H2_NOT_NEGOTIATED);
}

static enum reason handshake_reason(const struct sealed *sealed, int res)
{
	if (res != -EPROTO)
		return res == -ENOMEM || res == -ENOBUFS ? REASON_OVERLOAD_CONNECTIONS
							 : REASON_TLS_HANDSHAKE;
	switch (tls_failure(&sealed->tls)) {
	case TLS_FAILURE_VERSION:
		return REASON_TLS_VERSION;
	case TLS_FAILURE_PLAIN_HTTP:
		return REASON_PLAIN_ON_TLS;
	case TLS_FAILURE_NAME:
		return REASON_TLS_SNI_UNKNOWN;
	case TLS_FAILURE_CERTIFICATE:
	case TLS_FAILURE_EXPIRED:
		return REASON_TLS_CLIENT_CERT;
	case TLS_FAILURE_PROTOCOL:
	case TLS_FAILURE_ALERT:
	case TLS_FAILURE_OTHER:
		break;
	}
	return REASON_TLS_HANDSHAKE;
}

static void count_handshake(struct client *client, bool resumed)
{
	struct proxy *proxy = client->proxy;

	metric_inc_label(proxy->metrics, METRIC_TLS_HANDSHAKES,
			 resumed ? METRIC_HANDSHAKE_RESUMED : METRIC_HANDSHAKE_FULL);
	if (resumed && client->charged) /* That was cheap. */
		peer_rates_give(&proxy->shared->handshakes, &client->peer, client->charged);
}

static void shaken(struct transport *t, int res)
{
	struct client *client = client_of(t);

	if (res < 0) {
		end(client, handshake_reason(t->sealed, res));
		return;
	}
	count_handshake(client, tls_is_resumed(&t->sealed->tls));
	serve_sealed(client);
}

/* What came so far, with 'buf' behind it: fewer bytes than a preface has, and a buffer's worth. */
static struct ring_buf *join(struct client *client, struct ring_buf *buf)
{
	struct ring_buf *first = client->first;

	client->first = buf;
	if (!first)
		return buf;
	GW_ASSERT(first->len <= buf->start);
	buf->start -= first->len;
	buf->len += first->len;
	memcpy(ring_buf_data(buf), ring_buf_data(first), first->len);
	ring_buf_give(client->proxy->ring, first);
	return buf;
}

static void early_bytes(struct transport *t, struct ring_buf *buf, int32_t res, bool more)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	struct client *client = client_of(t);
	struct ring_buf *first;
	size_t n = sizeof(preface) - 1;

	(void)more;
	GW_ASSERT(client->state == CLIENT_SNIFFING);
	if (res <= 0) {
		end(client, client->first ? REASON_CLIENT_ABORT : REASON_NONE);
		return;
	}
	first = join(client, buf);
	n = first->len < n ? first->len : n;
	if (memcmp(ring_buf_data(first), preface, n) != 0) {
		client->first = NULL;
		serve_h1(client, first);
	} else if (n == sizeof(preface) - 1) {
		client->first = NULL;
		serve_h2(client, first);
	} else {
		transport_read(t, true);
	}
}

static void early_closed(struct transport *t)
{
	free_client(client_of(t));
}

static const struct transport_user early_user = {
	.bytes = early_bytes,
	.connected = shaken,
	.closed = early_closed,
};

static void expired(struct ring_timer *timer)
{
	struct client *client = GW_CONTAINER_OF(timer, struct client, deadline.timer);

	if (!deadline_is_due(&client->deadline, client->proxy->ring))
		return;
	if (client->state == CLIENT_SHAKING)
		end(client, REASON_TLS_TIMEOUT);
	else if (client->state == CLIENT_SNIFFING)
		end(client, REASON_IDLE_TIMEOUT);
	else if (client->is_h2)
		h2_expired(client);
	else
		h1_expired(client);
}

/* --- Life. ----------------------------------------------------------------------------------- */

static bool may_have_another(struct proxy *proxy, struct client *client)
{
	if (proxy->options->per_client == 0 || client->peer.family == AF_UNIX)
		return true;
	client->counted =
		peer_counts_add(&proxy->shared->peers, &client->peer, proxy->options->per_client);
	return client->counted;
}

/* A connection that never was: no reply, since none was asked for. */
static void refuse(struct proxy *proxy, int32_t file, enum reason reason)
{
	metric_inc_label(proxy->metrics, METRIC_CONNECTIONS_CLOSED, reason);
	ring_abort_on_close(proxy->ring, file);
	ring_close(proxy->ring, file);
}

/* A full handshake costs us a signature, and whoever asks for one next to nothing. */
static bool may_shake(struct client *client)
{
	struct proxy *proxy = client->proxy;
	uint32_t max = proxy->options->handshakes;

	client->charged = max && !client->trusted && client->peer.family != AF_UNIX ? max : 0;
	return !client->charged || peer_rates_take(&proxy->shared->handshakes, &client->peer, max,
						   ring_now_ns(proxy->ring));
}

/* 0; or -ENOMEM, and the transport is as it was. */
static int shake(struct client *client)
{
	struct proxy *proxy = client->proxy;
	struct sealed *sealed = slab_alloc(&proxy->sealed);

	if (!sealed)
		return -ENOMEM;
	if (sealed_accept(&client->transport, sealed, &early_user, &proxy->handshakes,
			  client->transport.file, client->listener->spec.tls) < 0) {
		slab_free(&proxy->sealed, sealed);
		return -ENOMEM;
	}
	deadline_in(&client->deadline, proxy->ring, proxy->options->handshake_ns);
	return 0;
}

static void begin(struct client *client)
{
	count_phase(client, 1);
	listener_took(client->listener);
	if (!client->listener->spec.tls)
		serve_clear(client);
	else if (!may_shake(client))
		end(client, REASON_TLS_HANDSHAKE_LIMIT);
	else if (shake(client) < 0)
		end(client, REASON_OVERLOAD_CONNECTIONS);
}

void client_accept(struct listener *listener, int32_t file)
{
	struct proxy *proxy = listener->proxy;
	struct client *client;
	struct ring_addr addr;

	metric_inc(proxy->metrics, METRIC_CONNECTIONS);
	if (proxy->aborting) {
		refuse(proxy, file, REASON_DRAINING);
		return;
	}
	client = slab_alloc(&proxy->clients);
	if (!client) {
		refuse(proxy, file, REASON_OVERLOAD_CONNECTIONS);
		return;
	}
	if (ring_peer_addr(proxy->ring, file, &addr) < 0)
		addr = (struct ring_addr){
			.family = AF_UNIX
		}; /* Gone already; the first read tells. */
	client->proxy = proxy;
	client->listener = listener;
	client->state = CLIENT_SHAKING;
	client->is_h2 = false;
	client->first = NULL;
	client->peer = peer_of(&addr);
	client->counted = false;
	client->trusted = listener_trusts(listener, &client->peer);
	client->phase = CODEC_PHASE_IDLE;
	client->n_lingers = 0;
	if (!may_have_another(proxy, client)) {
		slab_free(&proxy->clients, client);
		refuse(proxy, file, REASON_PER_CLIENT_CONNECTIONS);
		return;
	}
	deadline_init(&client->deadline, expired);
	clear_init(&client->transport, &early_user, proxy->ring, file);
	recorder_add(&proxy->recorder, ring_now_ns(proxy->ring), RECORDER_ACCEPT,
		     slab_index(&proxy->clients, client), (uint64_t)file, client->peer.port);
	begin(client);
}

void client_last(struct client *client)
{
	if (client->state == CLIENT_SERVING && client->is_h2)
		h2_last(&client->h2);
	else if (client->state == CLIENT_SERVING)
		h1_last(&client->h1);
	if (client->state != CLIENT_OVER && client->phase == CODEC_PHASE_IDLE)
		deadline_in(&client->deadline, client->proxy->ring, idle_span(client));
}

void client_close(struct client *client)
{
	if (client->state == CLIENT_OVER)
		return;
	if (client->state != CLIENT_SERVING)
		end(client, REASON_DRAINING);
	else if (client->is_h2)
		h2_end(&client->h2, REASON_DRAINING);
	else
		h1_fault(&client->h1, 0, REASON_DRAINING, false);
}

void client_check(const struct client *client)
{
	GW_ASSERT(client->state < CLIENT_N_STATES && client->phase <= CODEC_PHASE_LINGER);
	if (client->state != CLIENT_SERVING)
		return;
	if (client->is_h2) {
		h2_check(&client->h2);
		return;
	}
	h1_check(&client->h1);
	if (client->h1.open)
		GW_ASSERT(client->phase == CODEC_PHASE_BUSY);
}
