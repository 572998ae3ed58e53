/* SPDX-License-Identifier: Apache-2.0 */
/* A client reads what it is answered, and judges it. */
#include "tests/sim/visitor_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

void visitor_begin_reply(struct visitor *v)
{
	wire_begin(&v->wire, true);
	v->from_origin = false;
	v->reply_len = 0;
	if (v->answering < v->n) {
		const struct plan *p = &visitor_deal(v, v->answering)->plan;

		v->wire.bodiless = p->method == PLAN_HEAD;
	}
}

static void judge_interim(struct visitor *v, const struct plan *p)
{
	struct ring *ring = v->w->ring;

	if (p->http10)
		sim_fail(ring, "%016" PRIx64 ": interim reply to HTTP/1.0", p->nonce);
	if (v->wire.status == 100) {
		v->may_continue |= v->asking ==
				   v->answering; /* Else it is for one that was sent. */
		sim_event_later(ring, &v->send);
		world_saw(v->w, WORLD_CONTINUED);
	} else if (v->wire.status == 103) {
		world_saw(v->w, WORLD_INTERIM);
	} else {
		sim_fail(ring, "%016" PRIx64 ": interim %u", p->nonce, v->wire.status);
	}
}

/* It stops in the middle, or what it sends is so long that it takes its time. */
static bool is_slow(const struct plan *p)
{
	return p->cut == PLAN_CUT_STALL_HEAD || p->cut == PLAN_CUT_STALL_BODY ||
	       p->flaw == PLAN_FLAW_HEAD_SIZE;
}

static void judge_own(struct visitor *v, const struct plan *p)
{
	uint16_t status = v->wire.status;

	if (v->w->calm)
		sim_fail(v->w->ring, "%016" PRIx64 ": calm, but answered %u", p->nonce, status);
	if (status < 400)
		sim_fail(v->w->ring, "%016" PRIx64 ": %u without an origin", p->nonce, status);
	if (plan_is_flawed_head(p) && status >= 500 && status != 503)
		sim_fail(v->w->ring, "%016" PRIx64 ": flawed, but answered %u", p->nonce, status);
	if (status == 408 && v->wire.left > 0 &&
	    !is_slow(p)) /* Empty: an origin said so unasked. */
		sim_fail(v->w->ring, "%016" PRIx64 ": blamed for what it did not do", p->nonce);
	if (status == 413 && p->ask_len <= v->w->max_body)
		sim_fail(v->w->ring, "%016" PRIx64 ": not too large", p->nonce);
	if (world_own_ending(status) == WORLD_N_ENDINGS)
		sim_fail(v->w->ring, "%016" PRIx64 ": %u for no reason", p->nonce, status);
	world_saw(v->w, world_own_ending(status));
}

/* From here on both may say what they have to say. */
static void judge_switch(struct visitor *v, const struct plan *p)
{
	struct slice connection, upgrade;

	if (!wire_field(&v->wire, SLICE("connection"), &connection) ||
	    !wire_field(&v->wire, SLICE("upgrade"), &upgrade) ||
	    !slice_eq(connection, SLICE("upgrade")) || !slice_eq(upgrade, SLICE("websocket")))
		sim_fail(v->w->ring, "%016" PRIx64 ": switches without saying so", p->nonce);
	if (visitor_was_early(v))
		world_saw(v->w, WORLD_TUNNEL_EARLY);
	v->may_continue = true;
	sim_event_later(v->w->ring, &v->send);
}

/* An answer instead of a tunnel: what was meant for it is not to be said any more. */
static void judge_no_switch(struct visitor *v)
{
	world_saw(v->w, WORLD_TUNNEL_DECLINED);
	if (visitor_was_early(v)) {
		world_saw(v->w, WORLD_TUNNEL_VAIN);
		v->silent = true;
		v->shrugs = true; /* It may have come when the answer had left. */
	} else if (v->bytes.text && v->pos == v->bytes.head_len) {
		visitor_drop_request(v);
	}
}

static void judge_head(struct visitor *v)
{
	struct ring *ring = v->w->ring;
	const struct deal *deal;
	uint64_t nonce;

	if (v->answering >= visitor_n_asked(v))
		sim_fail(ring, "visitor %u: %u without a question", v->first, v->wire.status);
	deal = visitor_deal(v, v->answering);
	if (v->wire.status < 200 && v->wire.status != 101) {
		judge_interim(v, &deal->plan);
		return;
	}
	v->from_origin = wire_count(&v->wire, SLICE("x-nonce")) > 0;
	if (!v->from_origin) {
		judge_own(v, &deal->plan);
		return;
	}
	if (!plan_find_nonce(wire_head(&v->wire), &nonce) || nonce != deal->plan.nonce)
		sim_fail(ring, "%016" PRIx64 ": got the reply of another", deal->plan.nonce);
	if (v->wire.status != deal->plan.status || deal->n_seen == 0)
		sim_fail(ring, "%016" PRIx64 ": status %u", nonce, v->wire.status);
	if (deal->plan.flaw != PLAN_FLAW_NONE)
		sim_fail(ring, "%016" PRIx64 ": flawed, but answered by an origin", nonce);
	if (v->wire.status == 101)
		judge_switch(v, &deal->plan);
	else if (v->asking == v->answering && v->bytes.text)
		world_saw(v->w, WORLD_EARLY_REPLY);
}

static void judge_body(struct visitor *v, struct slice piece)
{
	const struct plan *p = &visitor_deal(v, v->answering)->plan;
	uint64_t at = v->wire.body_len - piece.len;

	if (!v->from_origin)
		return;
	if (v->wire.body_len > p->reply_len)
		sim_fail(v->w->ring, "%016" PRIx64 ": more body than there is: %.*s, behind %.*s",
			 p->nonce, SLICE_ARG(piece), SLICE_ARG(wire_head(&v->wire)));
	for (size_t i = 0; i < piece.len; i++)
		if ((uint8_t)piece.ptr[i] != plan_byte(p->nonce, true, at + i))
			sim_fail(v->w->ring, "%016" PRIx64 ": wrong body byte at %" PRIu64,
				 p->nonce, at + i);
}

static void judge_trailers(struct visitor *v, const struct plan *p)
{
	char want[PLAN_TRAILERS_MAX];
	struct slice lines = slice_make(v->wire.line, v->wire.line_len);
	uint32_t len;

	if (v->wire.framing != WIRE_CHUNKED || lines.len <= 2)
		return;
	len = plan_trailers(p, true, want);
	if (!p->reply_trailers ||
	    !slice_eq(slice_take(lines, lines.len - 2), slice_make(want, len)))
		sim_fail(v->w->ring, "%016" PRIx64 ": trailers that nobody sent: %.*s", p->nonce,
			 SLICE_ARG(lines));
	world_saw(v->w, WORLD_TRAILERS);
}

static void judge_end(struct visitor *v)
{
	struct deal *deal = visitor_deal(v, v->answering);
	const struct plan *p = &deal->plan;
	uint64_t want = plan_is_bodiless(p) || p->reply_body == PLAN_EMPTY ? 0 : p->reply_len;

	if (v->wire.status < 200 && v->wire.status != 101) {
		visitor_begin_reply(v);
		return;
	}
	if (v->from_origin) {
		/* A tunnel may be ended by a drain. */
		if ((v->wire.body_len != want || !deal->reply_whole) &&
		    !(p->tunnel && v->w->draining))
			sim_fail(v->w->ring, "%016" PRIx64 ": a cut reply looks whole", p->nonce);
		judge_trailers(v, p);
		world_saw(v->w, WORLD_REPLY_WHOLE);
	}
	deal->answered = v->wire.status;
	deal->answered_len = v->wire.body_len;
	v->told_close |= v->wire.close || v->wire.framing == WIRE_UNTIL_CLOSE;
	/* A gateway that has perhaps not read the first line cannot know that it was HEAD. */
	v->shrugs = v->told_close && !v->from_origin && p->method == PLAN_HEAD &&
		    (world_own_ending(v->wire.status) == WORLD_OWN_408 ||
		     world_own_ending(v->wire.status) == WORLD_OWN_503);
	if (v->wire.status == 101)
		world_saw(v->w, WORLD_TUNNEL);
	else if (p->asks_tunnel)
		judge_no_switch(v);
	v->answering++;
	if (v->told_close && v->asking != v->answering - 1)
		v->silent = true; /* What was pipelined behind it is lost. */
	visitor_begin_reply(v);
}

static void judge(struct visitor *v, struct slice in)
{
	struct slice piece;

	for (;;) {
		enum wire_event event;

		if (v->shrugs)
			return;
		if (v->told_close && in.len > 0)
			sim_fail(v->w->ring, "visitor %u: bytes behind the last reply: %.*s",
				 v->first, SLICE_ARG(in));
		event = wire_next(&v->wire, &in, &piece);
		switch (event) {
		case WIRE_MORE:
			return;
		case WIRE_HEAD:
			judge_head(v);
			break;
		case WIRE_BODY:
			judge_body(v, piece);
			break;
		case WIRE_END:
			judge_end(v);
			break;
		case WIRE_BAD:
			sim_fail(v->w->ring, "visitor %u: %s in a reply", v->first, v->wire.why);
		}
	}
}

/* The gateway has ended the connection. */
void visitor_ended(struct visitor *v, bool reset)
{
	bool more_to_say = !reset && v->wire.status == 101 && !v->silent && v->bytes.text;
	enum wire_event event = reset && !v->wire.begun ? WIRE_MORE
				: reset                 ? WIRE_BAD
							: wire_eof(&v->wire);

	if (cord_is_cut(v->cord)) {
		visitor_leave(v, true);
		return;
	}
	if (v->heard_end && !reset)
		return; /* Known. */
	if (event == WIRE_END)
		judge_end(v);
	else if (event == WIRE_BAD)
		world_saw(v->w, WORLD_REPLY_CUT);
	if (more_to_say && event == WIRE_END) {
		v->heard_end = true;
		return;
	}
	if (v->w->calm && (event == WIRE_BAD || (!v->told_close && v->answering < v->n)))
		sim_fail(v->w->ring, "visitor %u: calm, but only %u of %u answered (%s)", v->first,
			 v->answering, v->n, reset ? "reset" : "closed");
	if (v->answering < visitor_n_asked(v))
		world_saw(v->w, reset ? WORLD_RESET_UNANSWERED : WORLD_CLOSED_UNANSWERED);
	visitor_over(v, false);
}

static bool leaves_in_reply(struct visitor *v, uint32_t n)
{
	if (v->answering >= v->n || visitor_deal(v, v->answering)->plan.cut != PLAN_CUT_RESET_REPLY)
		return false;
	v->reply_len += n;
	if (v->reply_len < visitor_deal(v, v->answering)->plan.nonce % 3000)
		return false;
	visitor_leave(v, true);
	return true;
}

/* One piece. True when another may follow at once. */
static bool read_piece(struct visitor *v)
{
	char bytes[16384];
	int32_t n = cord_read(v->cord, bytes, v->manners.read_piece);

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		visitor_ended(
			v,
			n < 0 || cord_is_reset(v->cord)); /* A write may have been told already. */
		return false;
	}
	visitor_progress(v);
	if (leaves_in_reply(v, (uint32_t)n))
		return false;
	judge(v, slice_make(bytes, (size_t)n));
	if (v->answering == v->n && !v->told_close && !v->manners.stays && v->asking == v->n) {
		visitor_leave(v, v->manners.resets);
		return false;
	}
	if (!sim_event_waits(&v->send)) /* Room for another request. */
		sim_event_later(v->w->ring, &v->send);
	return true;
}

void visitor_read(struct ring *ring, struct sim_event *event)
{
	struct visitor *v = GW_CONTAINER_OF(event, struct visitor, read);

	for (int i = 0; i < 64; i++) {
		if (!read_piece(v))
			return;
		if (v->manners.read_pause_ns > 0)
			break;
	}
	sim_event_at(ring, &v->read, ring_now_ns(ring) + v->manners.read_pause_ns + 1000);
}
