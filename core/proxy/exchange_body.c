/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange's body bytes: each direction by copy or by splice, never unbounded. */
#include <errno.h>

#include "core/proxy/exchange.h"
#include "core/proxy/proxy.h"

static struct stream *source_of(const struct exchange *ex, const struct exchange_flow *flow)
{
	return flow == &ex->up ? ex->client : ex->upstream;
}

static struct stream *sink_of(const struct exchange *ex, const struct exchange_flow *flow)
{
	return flow == &ex->up ? ex->upstream : ex->client;
}

/* --- Splice. --------------------------------------------------------------------------------- */

static struct exchange *exchange_of(struct relay *relay, struct exchange_flow **ret_flow)
{
	struct exchange *ex = relay->owner;

	*ret_flow = relay == &ex->up.relay ? &ex->up : &ex->down;
	return ex;
}

static void moved(struct relay *relay, uint64_t n)
{
	struct exchange_flow *flow;
	struct exchange *ex = exchange_of(relay, &flow);

	flow->stuck = relay->pipe->held > 0;
	flow->in += n;
	ex->account.bytes_spliced += n;
	*(flow == &ex->up ? &ex->account.bytes_in : &ex->account.bytes_out) += n;
	exchange_wait_look(ex);
}

/* Both codecs go on from where the relay stopped. */
static void give_back(struct exchange *ex, struct exchange_flow *flow, enum relay_end how)
{
	struct stream *source = source_of(ex, flow), *sink = sink_of(ex, flow);
	int source_res = how == RELAY_SOURCE_ENDED ? 0 : how == RELAY_SOURCE_FAILED ? -EIO : 1;

	GW_ASSERT(how != RELAY_SOURCE_ENDED || flow->length != UINT64_MAX);

	if (source)
		source->codec->raw_in_done(source, flow->relay.in, source_res);
	if (sink)
		sink->codec->raw_out_done(sink, flow->relay.out,
					  how == RELAY_SINK_FAILED ? -EPIPE : 1);
}

static void up_broken(struct exchange *ex, enum relay_end how)
{
	if (how != RELAY_SINK_FAILED)
		exchange_cut(ex, REASON_CLIENT_ABORT, ACCOUNT_BY_CLIENT);
	/* Else the upstream reads no more: it has answered, or its reading side will fail. */
}

static void down_broken(struct exchange *ex, enum relay_end how)
{
	if (how == RELAY_SINK_FAILED)
		exchange_cut(ex, REASON_CLIENT_ABORT, ACCOUNT_BY_CLIENT);
	else
		exchange_cut(ex,
			     how == RELAY_SOURCE_ENDED ? REASON_UPSTREAM_TRUNCATED
						       : REASON_UPSTREAM_RESET_MIDBODY,
			     ACCOUNT_BY_UPSTREAM);
}

/* Let as much come again as has left. */
static void grant_owed(struct exchange *ex, struct exchange_flow *flow)
{
	struct stream *source = source_of(ex, flow);
	uint64_t n = flow->owed;

	flow->owed = 0;
	source->codec->credit(source, n);
}

static void ended(struct relay *relay, enum relay_end how)
{
	struct exchange_flow *flow;
	struct exchange *ex = exchange_of(relay, &flow);

	/* How a tunnel's side has ended is for its codec to find: of a write that failed it knows. */
	if (ex->state == EXCHANGE_TUNNEL && how == RELAY_SOURCE_ENDED)
		how = RELAY_DRY;
	give_back(ex, flow, how);
	flow->stuck = how == RELAY_SINK_FAILED;
	if (how == RELAY_OK) {
		flow->ended = true;
		exchange_flow_sent(ex, flow, 0, true);
	} else if (how == RELAY_DRY) {
		grant_owed(ex, flow);
	} else if (flow == &ex->up) {
		up_broken(ex, how);
	} else {
		down_broken(ex, how);
	}
	exchange_settle(ex);
}

static void quiet(struct relay *relay)
{
	struct exchange_flow *flow;

	exchange_settle(exchange_of(relay, &flow));
}

static const struct relay_user relay_user = { moved, ended, quiet };

/* As begin_splice(), which gives 'pipe' back unless it has begun. */
static int begin_raw(struct exchange *ex, struct exchange_flow *flow, struct ring_pipe *pipe)
{
	struct stream *source = source_of(ex, flow), *sink = sink_of(ex, flow);
	uint64_t len, sent;
	int32_t from, to;

	from = source->codec->raw_in(source, &len);
	if (from < 0)
		return -1;
	GW_ASSERT(len == (flow->length == UINT64_MAX ? RELAY_NO_LENGTH : flow->length - flow->in));
	to = sink->codec->raw_out(sink, flow->more ? pipe : NULL, &sent);
	if (to < 0) {
		source->codec->raw_in_done(source, 0, 1);
		return to == -EAGAIN ? 0 : -1;
	}
	flow->waiting -= sent;
	relay_start(&flow->relay, pipe, from, to, len);
	return 1;
}

/* Of a tunnel's bytes it is not known how many follow: long is what fills more than a buffer. */
static bool is_long(const struct exchange *ex, const struct exchange_flow *flow)
{
	uint64_t min = ex->proxy->options->splice_min;

	if (ex->state == EXCHANGE_TUNNEL)
		return flow->more && min != UINT64_MAX;
	return flow->length != UINT64_MAX && flow->length - flow->in >= min;
}

/* 1: begun. 0: not yet, ask again when something was sent. -1: has to be copied. */
static int begin_splice(struct exchange *ex, struct exchange_flow *flow)
{
	struct ring_pipe *pipe;
	int begun;

	if (!is_long(ex, flow))
		return -1;
	pipe = ring_pipe_take(ex->proxy->ring);
	if (!pipe)
		return -1;
	begun = begin_raw(ex, flow, pipe);
	if (begun <= 0)
		ring_pipe_give(ex->proxy->ring, pipe);
	return begun;
}

/* --- Both ways. ------------------------------------------------------------------------------ */

void exchange_flow_init(struct exchange *ex)
{
	relay_init(&ex->up.relay, &relay_user, ex, ex->proxy->ring);
	relay_init(&ex->down.relay, &relay_user, ex, ex->proxy->ring);
	ex->up.length = UINT64_MAX;
	ex->down.length = UINT64_MAX;
}

static void held_drop(struct exchange *ex)
{
	for (struct list_node *node; (node = list_pop_front(&ex->held));)
		ring_buf_give(ex->proxy->ring, list_entry(node, struct ring_buf, link));
	if (ex->trailers)
		ring_buf_give(ex->proxy->ring, ex->trailers);
	ex->trailers = NULL;
}

/* The client may go on without its upstream: what was read of it is accounted for. */
void exchange_flow_stop(struct exchange *ex)
{
	bool up = relay_is_running(&ex->up.relay);

	relay_stop(&ex->up.relay);
	relay_stop(&ex->down.relay);
	if (up && ex->client)
		ex->client->codec->raw_in_done(ex->client, ex->up.relay.in, 1);
	held_drop(ex);
}

/*
 * A client that opens a hundred streams and takes nothing of their responses holds what each
 * of them was granted. From an HTTP/2 upstream it has come by then: it begins with a window.
 */
static bool is_narrow(const struct exchange *ex, const struct exchange_flow *flow)
{
	return flow == &ex->down && ex->client->codec->many && !ex->upstream->codec->many;
}

void exchange_flow_open(struct exchange *ex, struct exchange_flow *flow)
{
	struct stream *source = source_of(ex, flow);

	if (flow->open || flow->ended || !flow->begun || !source)
		return;
	if (ex->state == EXCHANGE_TUNNEL) { /* It begins with small things, and with the head. */
		source->codec->credit(source, EXCHANGE_TUNNEL_WINDOW);
		flow->open = true;
		return;
	}
	switch (begin_splice(ex, flow)) {
	case 0:
		return;
	case -1:
		flow->narrow = is_narrow(ex, flow);
		source->codec->credit(source, flow->narrow ? EXCHANGE_NARROW : EXCHANGE_WINDOW);
		break;
	default:
		break;
	}
	flow->open = true;
}

/*
 * What came has left again. A tunnel's flow reads by copy, which costs nothing
 * while nothing comes, and goes over to a pipe for as long as bytes wait behind
 * those that filled a buffer. At this point no read is under way.
 */
static void go_on(struct exchange *ex, struct exchange_flow *flow, uint64_t n)
{
	flow->owed += n;
	if (flow->narrow)
		flow->owed += EXCHANGE_WINDOW - EXCHANGE_NARROW;
	flow->narrow = false;
	if (ex->state == EXCHANGE_TUNNEL && flow->waiting == 0 && begin_splice(ex, flow) == 1)
		return;
	grant_owed(ex, flow);
}

void exchange_flow_sent(struct exchange *ex, struct exchange_flow *flow, uint64_t n, bool all)
{
	struct stream *source = source_of(ex, flow);

	GW_ASSERT(n <= flow->waiting);
	flow->waiting -= n;
	if (all && !flow->sent) {
		flow->sent = true;
		if (flow == &ex->up && ex->account.sent_ns == 0)
			ex->account.sent_ns = ring_now_ns(ex->proxy->ring);
		return;
	}
	if (!flow->open)
		exchange_flow_open(ex, flow);
	else if (n > 0 && !flow->ended && source)
		go_on(ex, flow, n);
}

/* --- Tunnels. -------------------------------------------------------------------------------- */

void exchange_begin_tunnel(struct exchange *ex)
{
	struct exchange_flow *up = &ex->up;

	GW_ASSERT(up->in == 0 && up->ended && ex->down.length == UINT64_MAX);
	up->ended = false;
	up->sent = false;
	up->open = false;
	metric_inc(ex->proxy->metrics, METRIC_TUNNELS);
	metric_gauge_add(ex->proxy->metrics, METRIC_TUNNELS_ACTIVE, 1);
	ex->account.tunnel_ns = ring_now_ns(ex->proxy->ring);
	if (ex->account.sent_ns == 0) /* It was answered before all of it was seen to leave. */
		ex->account.sent_ns = ex->account.tunnel_ns;
}

static bool holds_bytes(const struct exchange_flow *flow)
{
	return relay_is_running(&flow->relay) && flow->relay.pipe->held > 0;
}

static void end_flow(struct exchange *ex, struct exchange_flow *flow)
{
	struct stream *sink = sink_of(ex, flow);

	if (flow->ended)
		return;
	if (relay_is_running(&flow->relay)) {
		relay_stop(&flow->relay);
		give_back(ex, flow, RELAY_DRY);
	}
	flow->ended = true;
	sink->codec->send_body(sink, NULL, true);
}

void exchange_end_tunnel(struct exchange *ex, enum reason reason)
{
	GW_ASSERT(ex->state == EXCHANGE_TUNNEL);
	if (holds_bytes(&ex->up) || holds_bytes(&ex->down)) { /* No end may look like a good one. */
		exchange_cut(ex, reason, ACCOUNT_BY_GATEWAY);
		return;
	}
	exchange_blame(ex, reason, ACCOUNT_BY_GATEWAY);
	end_flow(ex, &ex->up);
	end_flow(ex, &ex->down);
	exchange_enter(ex, EXCHANGE_ENDING);
}

/* What comes behind the end that we have told: nobody takes it any more. */
static bool drop_late(struct exchange *ex, struct ring_buf *buf)
{
	if (ex->state != EXCHANGE_ENDING)
		return false;
	if (buf)
		ring_buf_give(ex->proxy->ring, buf);
	return true;
}

/* --- Up. ------------------------------------------------------------------------------------- */

static bool is_too_large(const struct exchange *ex)
{
	return ex->up.in > ex->verdict.max_body && ex->state != EXCHANGE_TUNNEL &&
	       ex->state != EXCHANGE_QUEUED; /* Judged with the rest. */
}

/*
 * The upstream gets neither the piece nor an end: with them it would have a
 * whole message. A client that is being answered already gets what there is.
 */
static void too_large(struct exchange *ex)
{
	if (ex->state != EXCHANGE_RESPONDING) {
		exchange_refuse(ex, 413, REASON_BODY_TOO_LARGE, ACCOUNT_BY_CLIENT);
	} else if (ex->down.ended) {
		exchange_blame(ex, REASON_BODY_TOO_LARGE, ACCOUNT_BY_GATEWAY);
		exchange_drop_upstream(ex);
	} else {
		exchange_cut(ex, REASON_BODY_TOO_LARGE, ACCOUNT_BY_GATEWAY);
	}
}

/* What comes of it is held. */
static bool waits_for_upstream(const struct exchange *ex)
{
	return ex->state == EXCHANGE_QUEUED || ex->state == EXCHANGE_CONNECTING;
}

void exchange_take_body(struct exchange *ex, struct ring_buf *buf, bool end)
{
	uint32_t len = buf ? buf->len : 0;

	if (drop_late(ex, buf))
		return;
	ex->up.in += len;
	ex->up.ended = end;
	ex->account.bytes_in += len;
	ex->account.bytes_copied += len;
	if (is_too_large(ex) && ex->state != EXCHANGE_REPLYING) {
		if (buf)
			ring_buf_give(ex->proxy->ring, buf);
		too_large(ex);
		return;
	}
	if (waits_for_upstream(ex) || ex->upstream)
		ex->up.waiting += len;
	if (waits_for_upstream(ex) && buf)
		list_push_back(&ex->held, &buf->link);
	else if (ex->upstream)
		ex->upstream->codec->send_body(ex->upstream, buf, end);
	else if (buf)
		ring_buf_give(ex->proxy->ring, buf);
}

void exchange_take_trailers(struct exchange *ex, struct slice lines)
{
	ex->up.ended = true;
	if (ex->upstream) {
		ex->upstream->codec->send_trailers(ex->upstream, lines);
		return;
	}
	if (!waits_for_upstream(ex))
		return;
	ex->trailers = ring_buf_take(ex->proxy->ring);
	if (GW_COUNT_IF(!ex->trailers, "trailers_without_buffer"))
		return; /* They are optional by nature (RFC 9110 6.5.1). */
	memcpy(ring_buf_data(ex->trailers), lines.ptr, lines.len);
	ex->trailers->len = (uint32_t)lines.len;
}

void exchange_held_send(struct exchange *ex)
{
	struct stream *upstream = ex->upstream;
	struct ring_buf *trailers = ex->trailers;

	for (struct list_node *node; (node = list_pop_front(&ex->held));) {
		bool last = list_is_empty(&ex->held) && !trailers;

		upstream->codec->send_body(upstream, list_entry(node, struct ring_buf, link),
					   last && ex->up.ended);
	}
	if (!trailers)
		return;
	ex->trailers = NULL;
	upstream->codec->send_trailers(upstream,
				       slice_make(ring_buf_data(trailers), trailers->len));
	ring_buf_give(ex->proxy->ring, trailers);
}

/* --- Down. ----------------------------------------------------------------------------------- */

void exchange_pass_body(struct exchange *ex, struct ring_buf *buf, bool end)
{
	uint32_t len = buf ? buf->len : 0;

	if (drop_late(ex, buf))
		return;
	ex->down.in += len;
	ex->down.waiting += len;
	ex->down.ended = end;
	ex->account.bytes_out += len;
	ex->account.bytes_copied += len;
	ex->client->codec->send_body(ex->client, buf, end);
}
