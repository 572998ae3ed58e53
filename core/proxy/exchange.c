/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/exchange.h"

#include "core/proxy/proxy.h"

enum { RATE_MIN = 500 }; /* Bytes per second that a client has to keep up. */

#define TO(state) (1u << EXCHANGE_##state)
static const uint8_t may_follow[EXCHANGE_N_STATES] = {
#define X(name, next) [EXCHANGE_##name] = (next),
	EXCHANGE_STATES(X)
#undef X
};

static const uint8_t phase_of[EXCHANGE_N_STATES] = {
	[EXCHANGE_JUDGING] = ACCOUNT_IN_HEAD,      [EXCHANGE_CONNECTING] = ACCOUNT_IN_CONNECT,
	[EXCHANGE_SENDING] = ACCOUNT_IN_REQUEST,   [EXCHANGE_RESPONDING] = ACCOUNT_IN_RESPONSE,
	[EXCHANGE_REPLYING] = ACCOUNT_IN_RESPONSE, [EXCHANGE_OVER] = ACCOUNT_IN_RESPONSE,
};

void exchange_enter(struct exchange *ex, enum exchange_state next)
{
	GW_ASSERT(may_follow[ex->state] & (1u << next));
	ex->state = (uint8_t)next;
	if (next != EXCHANGE_OVER) {
		exchange_watch(ex);
		return;
	}
	deadline_stop(&ex->deadline, ex->proxy->ring);
	exchange_flow_stop(ex);
	if (ex->block)
		slab_free(&ex->proxy->heads, ex->block);
	ex->block = NULL;
}

/* --- Deadlines. ------------------------------------------------------------------------------ */

/* Bytes are there, and it is the sink that does not take them. */
static bool waits_for_sink(const struct exchange_flow *flow)
{
	return flow->waiting > 0 || flow->ended || flow->stuck;
}

/* Which side is being waited for, and how long that may take. */
static uint64_t patience(const struct exchange *ex)
{
	const struct policy_timeouts *t = &ex->verdict.timeouts;

	switch ((enum exchange_state)ex->state) {
	case EXCHANGE_SENDING:
		if (ex->up.sent)
			return t->response_head_ns;
		return waits_for_sink(&ex->up) ? t->write_stall_ns : t->body_idle_ns;
	case EXCHANGE_RESPONDING:
		return waits_for_sink(&ex->down) ? t->write_stall_ns : t->body_idle_ns;
	case EXCHANGE_REPLYING: /* Perhaps without a verdict. */
		return ex->proxy->options->write_stall_ns;
	case EXCHANGE_JUDGING:
	case EXCHANGE_CONNECTING: /* upstream_get() has the deadline. */
	case EXCHANGE_OVER:
	case EXCHANGE_N_STATES:
		break;
	}
	return 0;
}

static uint64_t bytes_out(const struct exchange_flow *flow)
{
	return flow->in - flow->waiting;
}

void exchange_watch(struct exchange *ex)
{
	ex->up.mark = ex->up.in;
	ex->down.mark = bytes_out(&ex->down);
	deadline_in(&ex->deadline, ex->proxy->ring, patience(ex));
}

/* A byte now and then does not count as progress (security_ops A4: 500 B/s). */
static bool is_enough(const struct exchange *ex, uint64_t bytes)
{
	return bytes >= RATE_MIN * (patience(ex) / GW_NS_PER_S);
}

/*
 * Bytes moved. A client has to keep up a least rate, both ways; an upstream may
 * take its time (event streams do), as long as the client has all there is.
 */
void exchange_progress(struct exchange *ex)
{
	bool alive;

	if (ex->state == EXCHANGE_SENDING)
		alive = is_enough(ex, ex->up.in - ex->up.mark);
	else
		alive = (ex->down.waiting == 0 && !ex->down.stuck) ||
			is_enough(ex, bytes_out(&ex->down) - ex->down.mark);
	if (alive)
		exchange_watch(ex);
}

static void sending_expired(struct exchange *ex)
{
	if (ex->up.sent)
		exchange_refuse(ex, 504, REASON_UPSTREAM_RESPONSE_TIMEOUT, ACCOUNT_BY_UPSTREAM);
	else if (waits_for_sink(&ex->up))
		exchange_refuse(ex, 504, REASON_UPSTREAM_WRITE_TIMEOUT, ACCOUNT_BY_UPSTREAM);
	else
		exchange_refuse(ex, 408, REASON_BODY_TIMEOUT, ACCOUNT_BY_CLIENT);
}

static void expired(struct ring_timer *timer)
{
	struct exchange *ex = GW_CONTAINER_OF(timer, struct exchange, deadline.timer);

	if (!deadline_is_due(&ex->deadline, ex->proxy->ring))
		return;
	switch ((enum exchange_state)ex->state) {
	case EXCHANGE_SENDING:
		sending_expired(ex);
		break;
	case EXCHANGE_RESPONDING:
		if (waits_for_sink(&ex->down))
			exchange_cut(ex, REASON_SEND_TIMEOUT, ACCOUNT_BY_CLIENT);
		else
			exchange_cut(ex, REASON_UPSTREAM_IDLE, ACCOUNT_BY_UPSTREAM);
		break;
	case EXCHANGE_REPLYING:
		exchange_cut(ex, REASON_SEND_TIMEOUT, ACCOUNT_BY_CLIENT);
		break;
	case EXCHANGE_JUDGING:
	case EXCHANGE_CONNECTING:
	case EXCHANGE_OVER:
	case EXCHANGE_N_STATES:
		GW_UNREACHABLE();
	}
	exchange_settle(ex);
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
		ex->account.phase = ACCOUNT_IN_RESPONSE;
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
	if (ex->state != EXCHANGE_OVER)
		return;
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
	ex->proxy = proxy;
	ex->client = s;
	ex->call.user = &exchange_call_user;
	ex->call.endpoint = -1;
	ex->state = EXCHANGE_JUDGING;
	ex->up.ended = end;
	list_init(&ex->held);
	deadline_init(&ex->deadline, expired);
	exchange_flow_init(ex);
	s->user = &exchange_client_user;
	s->owner = ex;
	metric_gauge_add(proxy->metrics, METRIC_REQUESTS_ACTIVE, 1);
	account_begin(proxy, &ex->account, who->peer);
	if (head) {
		account_head(&ex->account, &ex->log, head);
		ex->head_request = head->method == HTTP_HEAD;
		ex->expects = head->expect_continue;
	}
	if (refusal)
		open_refused(ex, refusal);
	else
		exchange_judge(ex, head, who);
	exchange_settle(ex);
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
	GW_ASSERT(!ex->upstream || ex->call.endpoint >= 0);
	GW_ASSERT(!ex->upstream || ex->state == EXCHANGE_SENDING ||
		  ex->state == EXCHANGE_RESPONDING);
	GW_ASSERT(!upstream_is_done(ex)); /* It was released. */
	GW_ASSERT(ex->client || ex->state == EXCHANGE_OVER);
	if (ex->state == EXCHANGE_OVER)
		GW_ASSERT(!ex->upstream && !ex->block && list_is_empty(&ex->held));
}
