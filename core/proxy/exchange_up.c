/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange's request: sent, perhaps sent again. */
#include "core/proxy/exchange.h"
#include "core/proxy/proxy.h"

/* The service may speak another protocol by now, for which it would have to be encoded again. */
bool exchange_is_spoken(const struct exchange *ex)
{
	return upstream_codec(ex->proxy, ex->verdict.service) == ex->form;
}

/* --- Getting a stream. ----------------------------------------------------------------------- */

static void log_upstream(struct exchange *ex)
{
	struct slice authority = ex->proxy->endpoints[ex->call.endpoint].authority;
	size_t len = authority.len < ACCOUNT_UPSTREAM ? authority.len : ACCOUNT_UPSTREAM;

	ex->account.asked_upstream = true;
	if (!ex->account.sampled)
		return;
	memcpy(ex->log.upstream, authority.ptr, len);
	ex->log.upstream_len = (uint16_t)len;
}

static const char *request_text(const struct exchange *ex)
{
	return ex->block ? ex->block->text : ex->text + ex->handling.drops + ex->handling.lines;
}

static void send_request(struct exchange *ex, struct stream *stream)
{
	struct slice text = slice_make(request_text(ex), ex->text_len);
	bool end = ex->up.ended && list_is_empty(&ex->held) && !ex->trailers;

	stream->user = &exchange_upstream_user;
	stream->owner = ex;
	ex->upstream = stream;
	ex->account.connected_ns = ring_now_ns(ex->proxy->ring);
	ex->account.reused = ex->call.reused;
	ex->account.upstream_tls = ex->call.tls;
	exchange_enter(ex, EXCHANGE_SENDING);
	ex->up.begun = true;
	stream->codec->send_head(stream, text, &ex->request, end);
	/* An answer to the head alone must not come in front of the write that has it (h1_in.c). */
	if (ex->call.reused && !end)
		stream->codec->flush(stream);
	exchange_held_send(ex);
}

static void connect_failed(struct exchange *ex, enum reason reason)
{
	int32_t tried = ex->call.endpoint;
	bool others = ex->proxy->services[ex->verdict.service].n_endpoints > 1;

	ex->account.upstream_tls_failure = ex->call.tls_failure;
	upstream_done(ex->proxy, &ex->call);
	if (tried >= 0 && others && !ex->again &&
	    exchange_is_spoken(ex)) { /* Nothing was sent: always safe. */
		ex->again = true;
		ex->account.retries++;
		metric_inc(ex->proxy->metrics, METRIC_UPSTREAM_RETRIES);
		metric_inc_keyed(ex->proxy->metrics, METRIC_UPSTREAM_ERRORS, 0, reason,
				 ex->verdict.service);
		exchange_connect(ex, true, tried);
		return;
	}
	exchange_refuse(ex, (uint16_t)reason_status(reason), reason, ACCOUNT_BY_UPSTREAM);
}

/* Nothing more of the request comes now. */
static void flush_request(struct exchange *ex)
{
	exchange_flow_open(ex, &ex->up);
	ex->upstream->codec->flush(ex->upstream);
}

void exchange_connect(struct exchange *ex, bool fresh, int32_t avoid)
{
	bool in_burst = ex->state == EXCHANGE_JUDGING; /* Whose flush follows. */
	struct upstream_wish wish = {
		.connect_ns = ex->verdict.timeouts.connect_ns,
		.avoid = avoid,
		.service = ex->verdict.service,
		.fresh = fresh,
	};
	enum reason reason;
	struct stream *stream;

	if (ex->state != EXCHANGE_CONNECTING)
		exchange_enter(ex, EXCHANGE_CONNECTING);
	switch (upstream_get(ex->proxy, &ex->call, &wish, &stream, &reason)) {
	case UPSTREAM_READY:
		log_upstream(ex);
		send_request(ex, stream);
		if (!in_burst)
			flush_request(ex);
		break;
	case UPSTREAM_COMING:
		log_upstream(ex);
		break;
	case UPSTREAM_FAILED:
		if (ex->call.endpoint >= 0)
			log_upstream(ex);
		connect_failed(ex, reason);
		break;
	}
}

static struct exchange *exchange_of(struct upstream_call *call)
{
	return GW_CONTAINER_OF(call, struct exchange, call);
}

static void ready(struct upstream_call *call, struct stream *stream)
{
	struct exchange *ex = exchange_of(call);

	send_request(ex, stream);
	flush_request(ex);
	exchange_settle(ex);
}

static void failed(struct upstream_call *call, enum reason reason)
{
	struct exchange *ex = exchange_of(call);

	connect_failed(ex, reason);
	exchange_settle(ex);
}

const struct upstream_call_user exchange_call_user = { ready, failed };

/* --- What the client does. ------------------------------------------------------------------- */

static void client_head(struct stream *s, struct http_head *head, bool end)
{
	(void)s;
	(void)head;
	(void)end;
	GW_UNREACHABLE(); /* exchange_open() had it. */
}

static void client_body(struct stream *s, struct ring_buf *buf, bool end)
{
	struct exchange *ex = s->owner;

	exchange_take_body(ex, buf, end);
	exchange_settle(ex);
}

static void client_trailers(struct stream *s, struct slice lines)
{
	struct exchange *ex = s->owner;

	exchange_take_trailers(ex, lines);
	exchange_settle(ex);
}

static void client_flush(struct stream *s, bool more)
{
	struct exchange *ex = s->owner;

	ex->up.more = more;
	if (ex->upstream)
		flush_request(ex);
	exchange_settle(ex);
}

static void client_sent(struct stream *s, uint64_t n, bool all)
{
	struct exchange *ex = s->owner;

	exchange_flow_sent(ex, &ex->down, n, all);
	exchange_settle(ex);
}

static void client_malformed(struct stream *s, const struct stream_fault *fault)
{
	struct exchange *ex = s->owner;

	exchange_refuse(ex, fault->status, fault->reason, ACCOUNT_BY_CLIENT);
	exchange_settle(ex);
}

static void client_reset(struct stream *s, const struct stream_fault *fault)
{
	struct exchange *ex = s->owner;

	ex->client = NULL; /* Its connection is closed already. */
	exchange_cut(ex, fault->reason,
		     fault->reason == REASON_DRAINING ? ACCOUNT_BY_GATEWAY : ACCOUNT_BY_CLIENT);
	exchange_settle(ex);
}

const struct stream_user exchange_client_user = {
	.head = client_head,
	.body = client_body,
	.trailers = client_trailers,
	.flush = client_flush,
	.sent = client_sent,
	.malformed = client_malformed,
	.reset = client_reset,
};
