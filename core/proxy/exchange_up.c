/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange's request: judged, encoded, sent, perhaps sent again. */
#include "core/crypto/tls.h"
#include "core/proxy/exchange.h"
#include "core/proxy/forward.h"
#include "core/proxy/proxy.h"

#define ALLOW "allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n"

/* --- Judging. -------------------------------------------------------------------------------- */

static bool is_health(const struct exchange *ex, const struct http_head *head)
{
	struct slice path = ex->proxy->options->health_path;

	return path.len && (head->method == HTTP_GET || head->method == HTTP_HEAD) &&
	       slice_eq(http_text(head, head->path), path);
}

static void answer_health(struct exchange *ex)
{
	if (atomic_load_explicit(&ex->proxy->shared->unready, memory_order_relaxed))
		exchange_reply(ex, 503, SLICE("draining\n"), SLICE(""));
	else
		exchange_reply(ex, 200, SLICE("ok\n"), SLICE(""));
}

/* OPTIONS that are meant for us: for no resource, or not to go any further (RFC 9110 7.6.2). */
static bool is_ours(const struct http_head *head)
{
	const struct http_field *field;
	uint64_t left;

	if (head->method != HTTP_OPTIONS)
		return false;
	if (head->asterisk)
		return true;
	field = http_head_find(head, HTTP_FIELD_MAX_FORWARDS);
	return field && slice_to_u64(http_text(head, field->value), &left) == 0 && left == 0;
}

static bool is_idempotent(uint8_t method)
{
	return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_PUT ||
	       method == HTTP_DELETE || method == HTTP_OPTIONS;
}

_Static_assert(POLICY_UPGRADE_WEBSOCKET == 1 << (HTTP_UPGRADE_WEBSOCKET - 1),
	       "a policy's bits are those of the tokens");

/* What the request asks for, where its route allows that. */
static uint8_t upgrade_of(const struct exchange *ex, const struct http_head *head)
{
	return head->upgrade && ex->verdict.upgrades & 1u << (head->upgrade - 1) ? head->upgrade
										 : 0;
}

/* The wire form is made now: the head's bytes do not outlive this call. */
static enum reason encode(struct exchange *ex, struct http_head *head,
			  const struct exchange_client *who)
{
	struct proxy *proxy = ex->proxy;
	const struct codec *codec = upstream_codec(proxy, ex->verdict.service);
	struct forward_client client = { who->peer, who->identity, who->trusted, who->tls > 0,
					 who->h2 };
	struct writer extra = writer_make(proxy->extra, sizeof(proxy->extra));
	struct writer out = writer_make(ex->text, sizeof(ex->text));

	ex->log.id_len = (uint16_t)forward_request(proxy, head, &client, &extra, ex->log.id);
	if (extra.overflow)
		return REASON_HEADERS_TOO_LARGE;
	ex->request = (struct stream_message){
		.head = head,
		.extra = writer_slice(&extra),
		.method = head->method,
		.body = head->body,
		.length = head->content_length,
		.announce = head->has_length,
		.upgrade = upgrade_of(ex, head),
	};
	codec->encode_request(&out, &ex->request);
	if (out.overflow) {
		ex->block = slab_alloc(&proxy->heads);
		if (!ex->block)
			return REASON_OVERLOAD_MEMORY;
		out = writer_make(ex->block->text, sizeof(ex->block->text));
		codec->encode_request(&out, &ex->request);
	}
	ex->form = codec;
	ex->request.head = NULL;
	ex->text_len = (uint32_t)writer_len(&out);
	return out.overflow ? REASON_HEADERS_TOO_LARGE : REASON_NONE;
}

static const struct {
	uint8_t bit, label;
} anomalies[] = {
	{ HTTP_ANOMALY_LEADING_CRLF, METRIC_ANOMALY_LEADING_CRLF },
	{ HTTP_ANOMALY_HOST_MISMATCH, METRIC_ANOMALY_HOST_MISMATCH },
	{ HTTP_ANOMALY_CL_UNNORMALISED, METRIC_ANOMALY_CL_UNNORMALISED },
	{ HTTP_ANOMALY_TE_UNNORMALISED, METRIC_ANOMALY_TE_UNNORMALISED },
	{ HTTP_ANOMALY_PATH_NORMALISED, METRIC_ANOMALY_PATH_NORMALISED },
	{ HTTP_ANOMALY_TRACEPARENT_INVALID, METRIC_ANOMALY_TRACEPARENT_INVALID },
};

static void count_anomalies(struct proxy *proxy, const struct http_head *head)
{
	for (size_t i = 0; head->anomalies && i < ARRAY_SIZE(anomalies); i++)
		if (head->anomalies & anomalies[i].bit)
			metric_inc_label(proxy->metrics, METRIC_ANOMALIES, anomalies[i].label);
}

/* A field that is there twice says nothing that a rule could go by. */
static bool field_of(const void *owner, struct slice name, struct slice *ret_value)
{
	const struct http_head *head = owner;
	uint32_t n = 0;

	for (uint32_t i = 0; i < head->n_fields && n < 2; i++) {
		const struct http_field *field = &head->fields[i];

		if (field->dropped || !slice_eq_nocase(http_text(head, field->name), name))
			continue;
		*ret_value = http_text(head, field->value);
		n++;
	}
	return n == 1;
}

static void judge_by_policy(struct exchange *ex, struct http_head *head,
			    const struct exchange_client *who)
{
	struct policy_request request = {
		.method = http_text(head, head->method_text),
		.host = http_text(head, head->host),
		.path = http_text(head, head->path),
		.content_length = head->body == HTTP_BODY_LENGTH ? head->content_length : 0,
		.field = field_of,
		.head = head,
	};
	enum reason reason;

	ex->verdict = policy_decide(proxy_table(ex->proxy), &request);
	ex->account.generation = ex->verdict.generation;
	if (ex->verdict.kind == VERDICT_REFUSE) {
		exchange_refuse(ex, ex->verdict.status, ex->verdict.reason, ACCOUNT_BY_GATEWAY);
		return;
	}
	ex->account.route = ex->verdict.route;
	ex->account.service = ex->verdict.service;
	reason = encode(ex, head, who);
	if (reason != REASON_NONE) {
		exchange_refuse(ex, (uint16_t)reason_status(reason), reason, ACCOUNT_BY_GATEWAY);
		return;
	}
	if (head->body == HTTP_BODY_LENGTH)
		ex->up.length = head->content_length;
	ex->replayable = ex->verdict.retry && ex->up.ended;
	ex->retriable = ex->replayable && is_idempotent(head->method);
	exchange_connect(ex, false, -1);
}

/* For somebody else than whom the client has shaken hands with (RFC 9110 7.4). */
static bool is_misdirected(const struct http_head *head, const struct exchange_client *who)
{
	return who->session && !tls_serves(who->session, http_text(head, head->host));
}

void exchange_judge(struct exchange *ex, struct http_head *head, const struct exchange_client *who)
{
	count_anomalies(ex->proxy, head);
	if (is_health(ex, head))
		answer_health(ex);
	else if (is_misdirected(head, who))
		exchange_refuse(ex, 421, REASON_MISDIRECTED, ACCOUNT_BY_CLIENT);
	else if (is_ours(head))
		exchange_reply(ex, 204, SLICE(""), SLICE(ALLOW));
	else if (forward_is_loop(ex->proxy, head))
		exchange_refuse(ex, 508, REASON_LOOP_DETECTED, ACCOUNT_BY_CLIENT);
	else
		judge_by_policy(ex, head, who);
}

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

static void send_request(struct exchange *ex, struct stream *stream)
{
	struct slice text = slice_make(ex->block ? ex->block->text : ex->text, ex->text_len);
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
