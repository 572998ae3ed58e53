/* SPDX-License-Identifier: Apache-2.0 */
/* A client: comes, asks, leaves. */
#include "tests/sim/origin.h"
#include "tests/sim/visitor_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define MS UINT64_C(1000000)

enum { PATIENCE_S = 150, NEVER_READS_S = 100, GONE_MS = 1000 };

static void drop_bytes(struct visitor *v)
{
	free(v->bytes.text);
	v->bytes = (struct plan_bytes){ 0 };
}

void visitor_drop_request(struct visitor *v)
{
	drop_bytes(v);
	v->asking++;
}

void visitor_over(struct visitor *v, bool reset)
{
	struct ring *ring = v->w->ring;

	GW_ASSERT(!v->over);
	v->over = true;
	v->w->n_visitors_over++;
	cord_close(v->cord, reset);
	sim_event_drop(ring, &v->send);
	sim_event_drop(ring, &v->read);
	sim_event_drop(ring, &v->leave);
	drop_bytes(v);
	sim_say(ring, "visitor %u over, %u of %u answered", v->first, v->answering, v->n);
}

/* Rule 7: nobody works on for a client that is gone. */
static void watch_gone(struct ring *ring, struct sim_event *event)
{
	struct visitor *v = GW_CONTAINER_OF(event, struct visitor, gone);

	(void)ring;
	for (uint32_t i = v->answering; i < v->n; i++)
		for (uint32_t k = 0; k < WORLD_ORIGINS; k++)
			origin_watch_gone(v->w->origins[k], visitor_deal(v, i));
}

void visitor_leave(struct visitor *v, bool reset)
{
	if (v->answering < visitor_n_asked(v)) {
		world_saw(v->w, WORLD_VISITOR_LEFT);
		if (reset)
			sim_event_at(v->w->ring, &v->gone, ring_now_ns(v->w->ring) + GONE_MS * MS);
	}
	visitor_over(v, reset);
}

/* --- Asking -------------------------------------------------------------------------------- */

static void finish(struct visitor *v)
{
	v->silent = true;
	if (v->finished || cord_is_reset(v->cord))
		return;
	v->finished = true;
	cord_finish(v->cord);
}

/* Does the connection end with this request, as far as the visitor can know? */
static bool ends_connection(const struct plan *p)
{
	return p->close || p->flaw != PLAN_FLAW_NONE || p->cut != PLAN_CUT_NONE || p->tunnel;
}

static bool begin_request(struct visitor *v)
{
	struct deal *deal;

	if (v->asking == v->n) {
		if (v->manners.half_close) {
			finish(v);
			world_saw(v->w, WORLD_HALF_CLOSED);
		}
		return false;
	}
	if (v->asking > 0 && ends_connection(&visitor_deal(v, v->asking - 1)->plan))
		return false;
	if (v->asking >= v->answering + v->manners.pipeline_max)
		return false;
	if (v->asking > v->answering && visitor_deal(v, v->asking - 1)->plan.asks_tunnel)
		return false;
	/* Behind a reply that may end the connection everything is lost; a calm visitor waits. */
	if (v->w->calm && v->asking > v->answering && visitor_deal(v, v->asking - 1)->plan.http10)
		return false;
	if (v->asking > v->answering)
		world_saw(v->w, WORLD_PIPELINED);
	deal = visitor_deal(v, v->asking);
	deal->asked_ns = ring_now_ns(v->w->ring);
	v->bytes = plan_request(&deal->plan);
	v->pos = 0;
	v->may_continue = !deal->plan.expect && !deal->plan.asks_tunnel;
	sim_say(v->w->ring,
		"visitor %u asks %016" PRIx64 " %s 1.%d body %d of %u flaw %d cut %d; "
		"status %u body %d of %u trouble %d",
		v->first, deal->plan.nonce, plan_method_name(deal->plan.method), !deal->plan.http10,
		deal->plan.ask_body, deal->plan.ask_len, deal->plan.flaw, deal->plan.cut,
		deal->plan.status, deal->plan.reply_body, deal->plan.reply_len, deal->plan.trouble);
	return true;
}

/* The place in the request where this visitor leaves. True when it is gone. */
static bool cut(struct visitor *v)
{
	switch (visitor_deal(v, v->asking)->plan.cut) {
	case PLAN_CUT_RESET_HEAD:
	case PLAN_CUT_RESET_BODY:
		visitor_leave(v, true);
		return true;
	case PLAN_CUT_FIN_HEAD:
	case PLAN_CUT_FIN_BODY:
		finish(v);
		return false;
	case PLAN_CUT_STALL_HEAD:
	case PLAN_CUT_STALL_BODY:
		v->silent = true;
		return false;
	case PLAN_CUT_NONE:
	case PLAN_CUT_RESET_REPLY:
	case PLAN_N_CUTS:
		break;
	}
	GW_UNREACHABLE();
}

static uint32_t piece_of(const struct visitor *v)
{
	uint32_t until = v->may_continue ? v->bytes.cut : v->bytes.head_len;
	uint32_t n;

	if (until > v->bytes.cut)
		until = v->bytes.cut;
	n = until - v->pos;
	return n < v->manners.send_piece ? n : v->manners.send_piece;
}

static void sent(struct visitor *v, uint32_t n)
{
	struct deal *deal = visitor_deal(v, v->asking);

	v->pos += n;
	deal->ask_head = v->pos >= v->bytes.head_len;
	if (v->pos < v->bytes.len)
		return;
	deal->ask_whole = v->bytes.whole == v->bytes.len;
	v->asking++;
	drop_bytes(v);
	if (deal->plan.asks_tunnel)
		finish(v);
	if (v->heard_end)
		visitor_over(v, false);
}

/* One piece. True when another may follow at once. */
static bool send_piece(struct visitor *v)
{
	int32_t r;
	uint32_t n;

	if (v->silent || (!v->bytes.text && !begin_request(v)))
		return false;
	n = piece_of(v);
	if (n == 0 && v->pos == v->bytes.cut) {
		cut(v);
		return false;
	}
	if (n == 0 && v->w->calm && visitor_deal(v, v->asking)->plan.asks_tunnel)
		return false;
	if (n == 0) { /* The body waits for 100, but not for ever; a tunnel's bytes for 101. */
		sim_event_at(v->w->ring, &v->send, ring_now_ns(v->w->ring) + 1000 * MS);
		v->may_continue = true;
		v->w->n_impatient += visitor_deal(v, v->asking)->plan.asks_tunnel;
		return false;
	}
	r = cord_write(v->cord, v->bytes.text + v->pos, n);
	if (r < 0) {
		v->silent = r != -EAGAIN;
		/* Behind an end in TLS no read tells of a reset; this write did. */
		if (v->silent && v->heard_end)
			visitor_over(v, false);
		return false;
	}
	visitor_progress(v);
	sent(v, (uint32_t)r);
	return !v->over;
}

static void send_some(struct ring *ring, struct sim_event *event)
{
	struct visitor *v = GW_CONTAINER_OF(event, struct visitor, send);
	bool more = true;

	for (int i = 0; i < 256 && more; i++) {
		more = send_piece(v);
		if (v->over)
			return;
		if (more && v->manners.send_pause_ns) {
			sim_event_at(ring, &v->send, ring_now_ns(ring) + v->manners.send_pause_ns);
			return;
		}
	}
	if (more)
		sim_event_later(ring, &v->send);
}

/* --- Coming and going ---------------------------------------------------------------------- */

static void something(struct cord *cord, void *owner)
{
	struct visitor *v = owner;
	struct ring *ring = v->w->ring;

	if (cord_is_reset(cord) && v->manners.never_reads) {
		visitor_ended(v, true);
		return;
	}
	if (!v->manners.never_reads && !sim_event_waits(&v->read))
		sim_event_later(ring, &v->read);
	if (!sim_event_waits(&v->send))
		sim_event_later(ring, &v->send);
}

static void arrive(struct ring *ring, struct sim_event *event)
{
	struct visitor *v = GW_CONTAINER_OF(event, struct visitor, arrive);
	struct ring_addr from = { .family = AF_INET,
				  .port = (uint16_t)(1024 + v->first),
				  .ip = { 192, 0, 2, (uint8_t)v->first } };

	visitor_progress(v);
	v->cord = world_dial(v->w, v->first, false, &from);
	if (!v->cord) {
		v->over = true;
		v->w->n_visitors_over++;
		world_saw(v->w, WORLD_NOT_ACCEPTED);
		return;
	}
	visitor_begin_reply(v);
	cord_watch(v->cord, something, v);
	if (v->manners.never_reads)
		sim_event_at(ring, &v->leave, ring_now_ns(ring) + NEVER_READS_S * 1000 * MS);
}

static void leave_now(struct ring *ring, struct sim_event *event)
{
	(void)ring;
	visitor_leave(GW_CONTAINER_OF(event, struct visitor, leave), true);
}

static uint64_t one_of(struct rng *rng, uint64_t n)
{
	return rng_below(rng, n);
}

static struct manners manners_of(struct rng *rng, bool calm)
{
	struct manners m = { .send_piece = 16384, .read_piece = 16384, .pipeline_max = 1 };

	if (one_of(rng, 4) == 0) {
		m.send_piece = one_of(rng, 2) ? 1 + (uint32_t)one_of(rng, 50) : 500;
		/* Faster than the 500 bytes a second that a client has to keep up. */
		m.send_pause_ns =
			20000 + one_of(rng, (m.send_piece < 6 ? m.send_piece : 6) * MS / 2);
	}
	if (one_of(rng, 4) == 0) {
		m.read_piece = 1 + (uint32_t)one_of(rng, 2000);
		m.read_pause_ns = 1 + one_of(rng, (m.read_piece < 10 ? m.read_piece : 10) * MS / 2);
	}
	if (one_of(rng, 3) == 0)
		m.pipeline_max = 2 + (uint32_t)one_of(rng, 4);
	m.half_close = one_of(rng, 4) == 0;
	m.stays = one_of(rng, 5) == 0;
	m.resets = one_of(rng, 2) == 0;
	if (!calm)
		m.never_reads = one_of(rng, 15) == 0;
	return m;
}

struct visitor *visitor_new(struct world *w, uint32_t first, uint32_t n)
{
	struct visitor *v = malloc(sizeof(*v));

	GW_ASSERT(v && n > 0);
	*v = (struct visitor){ .w = w, .first = first, .n = n };
	v->manners = manners_of(&w->rng, w->calm);
	v->arrive.run = arrive;
	v->send.run = send_some;
	v->read.run = visitor_read;
	v->leave.run = leave_now;
	v->gone.run = watch_gone;
	visitor_progress(v);
	sim_event_at(w->ring, &v->arrive, v->progress_ns + 1 + rng_below(&w->rng, 300 * MS));
	return v;
}

void visitor_watch(const struct visitor *v)
{
	uint64_t now_ns = ring_now_ns(v->w->ring);

	if (!v->over && now_ns - v->progress_ns > PATIENCE_S * 1000 * MS)
		sim_fail(v->w->ring, "visitor %u waits for ever: %u of %u answered", v->first,
			 v->answering, visitor_n_asked(v));
}

void visitor_watch_drain(const struct visitor *v, uint64_t drain_ns)
{
	bool idle = v->cord && v->answering == v->n && v->asking == v->n && !v->manners.never_reads;

	if (idle && !v->over && v->progress_ns < drain_ns)
		sim_fail(v->w->ring, "visitor %u is idle, but kept in a drain", v->first);
}

void visitor_free(struct visitor *v)
{
	GW_ASSERT(v->over && !v->bytes.text);
	sim_event_drop(v->w->ring, &v->arrive);
	sim_event_drop(v->w->ring, &v->gone);
	free(v);
}
