/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/exchange_wait.h"

#include "core/proxy/exchange.h"
#include "core/proxy/proxy.h"

/* The least rate of a client is 500 bytes per second: so long a byte lasts. */
#define BYTE_NS (GW_NS_PER_S / 500)

static const struct {
	uint16_t status; /* Told while it still can be; otherwise the exchange is cut. */
	uint16_t reason;
	uint8_t ender;
	bool on_source;
} waits[EXCHANGE_N_WAITS] = {
	[EXCHANGE_WAIT_BODY] = { 408, REASON_BODY_TIMEOUT, ACCOUNT_BY_CLIENT, true },
	[EXCHANGE_WAIT_TAKE] = { 504, REASON_UPSTREAM_WRITE_TIMEOUT, ACCOUNT_BY_UPSTREAM, false },
	[EXCHANGE_WAIT_HEAD] = { 504, REASON_UPSTREAM_RESPONSE_TIMEOUT, ACCOUNT_BY_UPSTREAM,
				 false },
	[EXCHANGE_WAIT_MORE] = { 0, REASON_UPSTREAM_IDLE, ACCOUNT_BY_UPSTREAM, true },
	[EXCHANGE_WAIT_READ] = { 0, REASON_SEND_TIMEOUT, ACCOUNT_BY_CLIENT, false },
	[EXCHANGE_WAIT_PASS] = { 0, REASON_TUNNEL_IDLE, ACCOUNT_BY_GATEWAY, true },
};

/* --- Who is waited for. ---------------------------------------------------------------------- */

/* Bytes are there, or could be, and it is the sink that does not take them. */
static bool waits_for_sink(const struct exchange_flow *flow)
{
	return flow->waiting > 0 || flow->ended || flow->stuck || !flow->open;
}

/* The response says all there is to say, whatever still comes of the request's body. */
static bool is_unwanted(const struct exchange *ex)
{
	return ex->down.ended || ex->account.status >= 400 || (ex->expects && ex->up.in == 0);
}

/* 'sink' is what waiting for its sink is called. */
static enum exchange_wait tunnel_waits_for(const struct exchange *ex,
					   const struct exchange_flow *flow,
					   enum exchange_wait sink)
{
	if (flow->sent)
		return EXCHANGE_WAIT_NONE;
	if (flow->waiting > 0 || flow->stuck || flow->ended)
		return sink;
	GW_ASSERT(ex->state == EXCHANGE_TUNNEL);
	return EXCHANGE_WAIT_PASS;
}

static bool is_tunnel(const struct exchange *ex)
{
	return ex->state == EXCHANGE_TUNNEL || ex->state == EXCHANGE_ENDING;
}

static enum exchange_wait up_waits_for(const struct exchange *ex)
{
	bool for_sink = waits_for_sink(&ex->up);

	if (is_tunnel(ex))
		return tunnel_waits_for(ex, &ex->up, EXCHANGE_WAIT_TAKE);
	if (ex->state == EXCHANGE_SENDING && ex->up.sent)
		return EXCHANGE_WAIT_HEAD;
	if (ex->state == EXCHANGE_SENDING)
		return for_sink ? EXCHANGE_WAIT_TAKE : EXCHANGE_WAIT_BODY;
	if (ex->state == EXCHANGE_RESPONDING && !for_sink && !is_unwanted(ex))
		return EXCHANGE_WAIT_BODY;
	return EXCHANGE_WAIT_NONE;
}

static enum exchange_wait down_waits_for(const struct exchange *ex)
{
	if (is_tunnel(ex))
		return tunnel_waits_for(ex, &ex->down, EXCHANGE_WAIT_READ);
	if (ex->state == EXCHANGE_REPLYING)
		return EXCHANGE_WAIT_READ;
	if (ex->state == EXCHANGE_RESPONDING)
		return waits_for_sink(&ex->down) ? EXCHANGE_WAIT_READ : EXCHANGE_WAIT_MORE;
	return EXCHANGE_WAIT_NONE;
}

/* --- Patience. ------------------------------------------------------------------------------- */

static uint64_t span_of(const struct exchange *ex, enum exchange_wait wait)
{
	const struct policy_timeouts *t = &ex->verdict.timeouts;
	uint64_t span_ns = 0;

	switch (wait) {
	case EXCHANGE_WAIT_BODY:
	case EXCHANGE_WAIT_MORE:
		span_ns = ex->grpc ? t->tunnel_idle_ns : t->body_idle_ns;
		break;
	case EXCHANGE_WAIT_TAKE:
		span_ns = t->write_stall_ns;
		break;
	case EXCHANGE_WAIT_READ: /* Our own answer perhaps without a verdict. */
		span_ns = ex->state == EXCHANGE_REPLYING ? ex->proxy->options->write_stall_ns
							 : t->write_stall_ns;
		break;
	case EXCHANGE_WAIT_HEAD:
		span_ns = ex->grpc ? t->tunnel_idle_ns : t->response_head_ns;
		break;
	case EXCHANGE_WAIT_PASS:
		span_ns = t->tunnel_idle_ns;
		break;
	case EXCHANGE_WAIT_NONE:
	case EXCHANGE_N_WAITS:
		break;
	}
	return span_ns ? span_ns : DEADLINE_NEVER;
}

/* What a source that is waited for has given: a tunnel lives by bytes of either. */
static uint64_t bytes_in(const struct exchange *ex, const struct exchange_flow *flow)
{
	return ex->state == EXCHANGE_TUNNEL ? ex->up.in + ex->down.in : flow->in;
}

static uint64_t source_span(const struct exchange *ex)
{
	return span_of(ex, ex->state == EXCHANGE_TUNNEL ? EXCHANGE_WAIT_PASS : EXCHANGE_WAIT_BODY);
}

static uint64_t bytes_out(const struct exchange_flow *flow)
{
	return flow->in - flow->waiting;
}

static void use_up(struct exchange_patience *p, uint64_t span_ns)
{
	if (p->left_ns != DEADLINE_NEVER)
		p->left_ns -= span_ns < p->left_ns ? span_ns : p->left_ns;
}

/* The side has moved 'bytes' in all: an upstream by any of them, a client by each. */
static void refill(struct exchange_patience *p, uint64_t bytes, uint64_t full_ns, bool rated)
{
	uint64_t n = bytes - p->bytes;

	GW_ASSERT(bytes >= p->bytes);
	p->bytes = bytes;
	if (n == 0 || p->left_ns >= full_ns)
		return;
	if (rated && n < (full_ns - p->left_ns) / BYTE_NS)
		p->left_ns += n * BYTE_NS;
	else
		p->left_ns = full_ns;
}

static void look(struct exchange *ex, struct exchange_flow *flow, enum exchange_wait next)
{
	uint64_t now_ns = ring_now_ns(ex->proxy->ring);
	enum exchange_wait wait = (enum exchange_wait)flow->wait;
	bool from_client = flow == &ex->up;

	if (wait != EXCHANGE_WAIT_NONE)
		use_up(waits[wait].on_source ? &flow->source : &flow->sink,
		       now_ns - flow->looked_ns);
	flow->looked_ns = now_ns;
	refill(&flow->source, bytes_in(ex, flow), source_span(ex),
	       from_client && ex->state != EXCHANGE_TUNNEL && !ex->grpc);
	refill(&flow->sink, bytes_out(flow), span_of(ex, wait), !from_client);
	if (wait != next && !waits[next].on_source)
		flow->sink.left_ns = span_of(ex, next);
	flow->wait = (uint8_t)next;
}

static uint64_t left_ns(const struct exchange_flow *flow)
{
	if (flow->wait == EXCHANGE_WAIT_NONE)
		return DEADLINE_NEVER;
	return waits[flow->wait].on_source ? flow->source.left_ns : flow->sink.left_ns;
}

static uint64_t due_ns(const struct exchange_flow *flow)
{
	uint64_t left = left_ns(flow);

	return left == DEADLINE_NEVER ? DEADLINE_NEVER : flow->looked_ns + left;
}

/* An answer of ours is not held up by it. */
static bool has_deadline(const struct exchange *ex)
{
	return ex->grpc && ex->state <= EXCHANGE_RESPONDING;
}

static uint64_t soonest_ns(const struct exchange *ex)
{
	uint64_t up_ns = due_ns(&ex->up), down_ns = due_ns(&ex->down);
	uint64_t soonest = up_ns < down_ns ? up_ns : down_ns;
	uint64_t until_ns = DEADLINE_NEVER;

	if (ex->state == EXCHANGE_TUNNEL)
		until_ns = ex->proxy->tunnels_until_ns;
	else if (has_deadline(ex))
		until_ns = ex->until_ns;
	return until_ns < soonest ? until_ns : soonest;
}

/* --- The exchange's waits. ------------------------------------------------------------------- */

static void look_at_both(struct exchange *ex)
{
	look(ex, &ex->up, up_waits_for(ex));
	look(ex, &ex->down, down_waits_for(ex));
}

void exchange_wait_look(struct exchange *ex)
{
	GW_ASSERT(ex->state != EXCHANGE_OVER);
	look_at_both(ex);
	deadline_set(&ex->deadline, ex->proxy->ring, soonest_ns(ex));
}

static void begin(struct exchange *ex, struct exchange_flow *flow)
{
	flow->wait = EXCHANGE_WAIT_NONE;
	flow->looked_ns = ring_now_ns(ex->proxy->ring);
	flow->source = (struct exchange_patience){ source_span(ex), bytes_in(ex, flow) };
	flow->sink = (struct exchange_patience){ 0, bytes_out(flow) };
}

void exchange_wait_begin(struct exchange *ex)
{
	begin(ex, &ex->up);
	begin(ex, &ex->down);
	exchange_wait_look(ex);
}

static bool is_drained(const struct exchange *ex)
{
	return ex->state == EXCHANGE_TUNNEL &&
	       ring_now_ns(ex->proxy->ring) >= ex->proxy->tunnels_until_ns;
}

static bool is_late(const struct exchange *ex)
{
	return has_deadline(ex) && ring_now_ns(ex->proxy->ring) >= ex->until_ns;
}

static enum reason reason_of(const struct exchange *ex, const struct exchange_flow *flow)
{
	if (flow->wait == EXCHANGE_WAIT_READ && ex->client->codec->is_held_back(ex->client))
		return REASON_H2_STALLED;
	return (enum reason)waits[flow->wait].reason;
}

void exchange_wait_expired(struct ring_timer *timer)
{
	struct exchange *ex = GW_CONTAINER_OF(timer, struct exchange, deadline.timer);
	const struct exchange_flow *flow;

	if (!deadline_is_due(&ex->deadline, ex->proxy->ring))
		return;
	look_at_both(ex);
	flow = left_ns(&ex->up) == 0 ? &ex->up : &ex->down;
	if (is_late(ex))
		exchange_refuse(ex, 504, REASON_DEADLINE, ACCOUNT_BY_GATEWAY);
	else if (is_drained(ex))
		exchange_end_tunnel(ex, REASON_DRAINING);
	else if (left_ns(flow) == 0 && flow->wait == EXCHANGE_WAIT_PASS)
		exchange_end_tunnel(ex, (enum reason)waits[flow->wait].reason);
	else if (left_ns(flow) == 0)
		exchange_refuse(ex, waits[flow->wait].status, reason_of(ex, flow),
				(enum account_ender)waits[flow->wait].ender);
	exchange_settle(ex);
}

void exchange_wait_check(const struct exchange *ex)
{
	if (ex->state == EXCHANGE_OVER)
		return;
	GW_ASSERT(ex->up.wait == up_waits_for(ex));
	GW_ASSERT(ex->down.wait == down_waits_for(ex));
	GW_ASSERT(ex->deadline.at_ns == soonest_ns(ex));
}
