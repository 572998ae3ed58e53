/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/exchange.h"

#include "core/http/grpc.h"

#include "core/proxy/proxy.h"

#define TO(state) (1u << EXCHANGE_##state)
static const uint16_t may_follow[EXCHANGE_N_STATES] = {
#define X(name, next) [EXCHANGE_##name] = (next),
	EXCHANGE_STATES(X)
#undef X
};

static const uint8_t phase_of[EXCHANGE_N_STATES] = {
	[EXCHANGE_JUDGING] = ACCOUNT_IN_HEAD,        [EXCHANGE_QUEUED] = ACCOUNT_IN_HEAD,
	[EXCHANGE_CONNECTING] = ACCOUNT_IN_CONNECT,  [EXCHANGE_SENDING] = ACCOUNT_IN_REQUEST,
	[EXCHANGE_RESPONDING] = ACCOUNT_IN_RESPONSE, [EXCHANGE_TUNNEL] = ACCOUNT_IN_TUNNEL,
	[EXCHANGE_ENDING] = ACCOUNT_IN_TUNNEL,       [EXCHANGE_REPLYING] = ACCOUNT_IN_RESPONSE,
	[EXCHANGE_OVER] = ACCOUNT_IN_RESPONSE,
};

void exchange_enter(struct exchange *ex, enum exchange_state next)
{
	GW_ASSERT(may_follow[ex->state] & (1u << next));
	ex->state = (uint8_t)next;
	if (ex->queued && next != EXCHANGE_QUEUED)
		exchange_leave_queue(ex);
	if (next != EXCHANGE_OVER) {
		exchange_wait_begin(ex);
		return;
	}
	deadline_stop(&ex->deadline, ex->proxy->ring);
	exchange_flow_stop(ex);
	if (ex->block)
		slab_free(&ex->proxy->heads, ex->block);
	ex->block = NULL;
}

/* --- Ends. ----------------------------------------------------------------------------------- */

/* The first cause counts. */
void exchange_blame(struct exchange *ex, enum reason reason, enum account_ender ender)
{
	if (ex->account.reason != REASON_NONE)
		return;
	ex->account.reason = (uint16_t)reason;
	ex->account.ender = (uint8_t)ender;
	ex->account.phase = phase_of[ex->state];
	if (ex->state == EXCHANGE_SENDING && ex->up.sent)
		ex->account.phase = ACCOUNT_IN_WAIT;
}

void exchange_drop_upstream(struct exchange *ex)
{
	struct stream *upstream = ex->upstream;

	upstream_cancel(&ex->call);
	ex->upstream = NULL;
	exchange_flow_stop(ex);
	if (upstream)
		upstream->codec->reset(upstream, true);
	upstream_done(ex->proxy, &ex->call);
}

void exchange_cut(struct exchange *ex, enum reason reason, enum account_ender ender)
{
	struct stream *client = ex->client;

	exchange_blame(ex, reason, ender);
	exchange_drop_upstream(ex);
	ex->client = NULL;
	if (client) /* A client that does nothing wrong gets what there was. */
		client->codec->reset(client, ender == ACCOUNT_BY_CLIENT);
	exchange_enter(ex, EXCHANGE_OVER);
}

/* The upstream has had its say: however slowly the client reads, others may use the connection. */
static void release_upstream(struct exchange *ex)
{
	struct stream *upstream = ex->upstream;

	GW_ASSERT(!relay_is_running(&ex->up.relay) && !relay_is_running(&ex->down.relay));
	ex->upstream = NULL;
	ex->account.received_ns = ring_now_ns(ex->proxy->ring);
	upstream->codec->release(upstream);
	upstream_done(ex->proxy, &ex->call);
}

/* The client has what it should have; of the request, nothing more is wanted. */
static void complete(struct exchange *ex)
{
	struct stream *client = ex->client;

	if (!ex->account.reason)
		ex->account.phase = phase_of[ex->state];
	exchange_drop_upstream(ex);
	exchange_enter(ex, EXCHANGE_OVER);
	ex->client = NULL;
	ex->released = client;
}

static bool upstream_is_done(const struct exchange *ex)
{
	return ex->upstream && ex->up.sent && ex->down.ended;
}

static bool is_complete(const struct exchange *ex)
{
	if (ex->state == EXCHANGE_RESPONDING)
		return ex->down.ended && ex->down.sent;
	if (ex->state == EXCHANGE_TUNNEL || ex->state == EXCHANGE_ENDING)
		return ex->down.sent && ex->up.sent;
	return ex->state == EXCHANGE_REPLYING && ex->down.sent;
}

/* A released client may begin its next request at once: only when this one is gone. */
void exchange_settle(struct exchange *ex)
{
	struct proxy *proxy = ex->proxy;
	struct stream *client;

	if (upstream_is_done(ex))
		release_upstream(ex);
	if (is_complete(ex))
		complete(ex);
	if (ex->state != EXCHANGE_OVER) {
		exchange_wait_look(ex);
		return;
	}
	client = ex->released;
	ex->released = NULL;
	if (!ex->accounted) {
		account_close(proxy, &ex->account, &ex->log);
		recorder_add(&proxy->recorder, ring_now_ns(proxy->ring), RECORDER_VERDICT,
			     ex->account.reason, ex->account.status, (uintptr_t)ex);
	}
	ex->accounted = true;
	if (relay_is_quiet(&ex->up.relay) && relay_is_quiet(&ex->down.relay))
		slab_free(&proxy->exchanges, ex);
	if (client)
		client->codec->release(client);
}

/* --- Life. ----------------------------------------------------------------------------------- */

/* gRPC's deadline is the request's. */
static void open_call(struct exchange *ex, const struct http_head *head)
{
	uint64_t span_ns;

	ex->grpc = true;
	if (grpc_timeout(head, &span_ns))
		ex->until_ns = ring_now_ns(ex->proxy->ring) + span_ns;
}

static void open_refused(struct exchange *ex, const struct http_refusal *refusal)
{
	exchange_refuse(ex, refusal->status, refusal->reason, ACCOUNT_BY_CLIENT);
}

void exchange_open(struct proxy *proxy, struct stream *s, const struct exchange_client *who,
		   struct http_head *head, bool end, const struct http_refusal *refusal)
{
	struct exchange *ex = slab_alloc(&proxy->exchanges);

	if (GW_COUNT_IF(!ex, "exchanges_used_up")) { /* By a codec of many streams. */
		metric_inc_label(proxy->metrics, METRIC_REJECTED, REASON_OVERLOAD_MEMORY);
		s->codec->reset(s, true);
		return;
	}
	memset(ex, 0, offsetof(struct exchange, log));
	ex->log.host_len = ex->log.path_len = ex->log.id_len = ex->log.upstream_len = 0;
	ex->log.sni_len = ex->log.route_len = ex->log.service_len = 0;
	ex->log.limit_len = 0;
	ex->proxy = proxy;
	ex->client = s;
	ex->call.user = &exchange_call_user;
	ex->call.endpoint = -1;
	ex->state = EXCHANGE_JUDGING;
	ex->up.ended = end;
	list_init(&ex->held);
	deadline_init(&ex->deadline, exchange_wait_expired);
	exchange_flow_init(ex);
	s->user = &exchange_client_user;
	s->owner = ex;
	metric_gauge_add(proxy->metrics, METRIC_REQUESTS_ACTIVE, 1);
	account_begin(proxy, &ex->account, who->peer);
	ex->account.tls = who->tls;
	account_session(&ex->account, &ex->log, who->session);
	ex->account.h2 = who->h2;
	ex->until_ns = DEADLINE_NEVER;
	if (head) {
		account_head(&ex->account, &ex->log, head);
		if (who->h2 && grpc_is_call(head))
			open_call(ex, head);
		ex->head_request = head->method == HTTP_HEAD;
		ex->expects = head->expect_continue;
	}
	if (refusal)
		open_refused(ex, refusal);
	else
		exchange_judge(ex, head, who);
	exchange_settle(ex);
}

void exchange_drain(struct exchange *ex)
{
	if (ex->state == EXCHANGE_TUNNEL)
		exchange_wait_look(ex);
}

void exchange_abort(struct exchange *ex)
{
	if (ex->state == EXCHANGE_OVER)
		return;
	exchange_cut(ex, REASON_DRAINING, ACCOUNT_BY_GATEWAY);
	exchange_settle(ex);
}

static void flow_check(const struct exchange_flow *flow)
{
	relay_check(&flow->relay);
	GW_ASSERT(flow->waiting <= flow->in);
	/* What was granted, and what had come along with the head. */
	GW_ASSERT(flow->waiting <= EXCHANGE_WINDOW + RING_BUF_DATA);
	GW_ASSERT(!flow->sent || flow->waiting == 0);
}

void exchange_check(const struct exchange *ex)
{
	GW_ASSERT(ex->state < EXCHANGE_N_STATES);
	flow_check(&ex->up);
	flow_check(&ex->down);
	exchange_wait_check(ex);
	GW_ASSERT((ex->state == EXCHANGE_QUEUED) == (ex->queued != NULL));
	GW_ASSERT((ex->state == EXCHANGE_QUEUED) == list_node_is_linked(&ex->turn.link));
	GW_ASSERT(!ex->upstream || ex->call.endpoint >= 0);
	GW_ASSERT(!ex->upstream || (ex->state >= EXCHANGE_SENDING && ex->state <= EXCHANGE_ENDING));
	GW_ASSERT(!upstream_is_done(ex)); /* It was released. */
	GW_ASSERT(ex->client || ex->state == EXCHANGE_OVER);
	if (ex->state == EXCHANGE_OVER)
		GW_ASSERT(!ex->upstream && !ex->block && list_is_empty(&ex->held));
}
