/* SPDX-License-Identifier: Apache-2.0 */
/* An upstream server: records, answers by plan, or makes trouble. */
#include "tests/sim/origin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/proxy/proxy.h"
#include "tests/sim/cord.h"
#include "tests/sim/trunk.h"
#include "tests/sim/wire.h"

#define MS UINT64_C(1000000)

enum { NOTICED_MS = 200 }; /* After that the gateway should have closed, too. */

struct origin {
	struct world *w;
	struct sim_host host;
	struct list lines, trunks;
};

/* One connection of the gateway's. */
struct line {
	struct origin *o;
	struct cord *cord;         /* Until it is closed. */
	const struct sim_end *end; /* Below it, to be looked at: it outlives the cord. */
	uint64_t made_ns;
	struct list_node link;
	struct sim_event act;  /* The reply goes on, or what comes after it. */
	struct sim_event look; /* After an idle close: has the gateway noticed? */
	struct wire wire;
	struct deal *deal; /* Being served, */
	bool heard;        /* its request completely. */
	struct plan_bytes bytes;
	uint32_t pos;
	uint32_t send_piece;
	uint64_t send_pause_ns;
	enum plan_trouble after; /* When idle: what it is going to do. */
	uint8_t n_looks;         /* In a row that found it kept for nothing. */
	bool continues;          /* 100 is to be said first. */
	bool early;              /* Has answered, but not heard all yet. */
	bool deaf;               /* Reads nothing any more. */
	bool mute;               /* Says nothing any more. */
	bool switched;           /* Has granted a tunnel, */
	bool said_all;           /* has said all in it, */
	bool heard_all;          /* and heard all. */
	uint64_t tunnel_len;     /* Bytes of it that came. */
	bool closed;
};

static void hang_up(struct line *l, bool reset)
{
	GW_ASSERT(!l->closed);
	l->closed = true;
	sim_event_drop(l->o->w->ring, &l->act);
	free(l->bytes.text);
	l->bytes = (struct plan_bytes){ 0 };
	cord_close(l->cord, reset);
	l->cord = NULL;
}

/* --- Answering ----------------------------------------------------------------------------- */

/* Half of what is going to be too large is answered before it is: the limit holds there, too. */
static bool answers_early(const struct line *l)
{
	const struct plan *p = &l->deal->plan;

	return p->trouble == PLAN_TROUBLE_EARLY || p->trouble == PLAN_TROUBLE_EARLY_READ ||
	       (p->trouble == PLAN_TROUBLE_NONE && p->flaw == PLAN_FLAW_NONE &&
		p->ask_body == PLAN_CHUNKED && p->ask_len > l->o->w->max_body &&
		plan_byte(p->nonce, true, 0) % 2 == 0);
}

static void reply_begins(struct line *l)
{
	struct ring *ring = l->o->w->ring;
	uint64_t think_ns = sim_pick(ring, 5) ? sim_pick(ring, MS) : sim_pick(ring, 3000 * MS);

	if (!l->bytes.text && !l->mute && !l->early && !sim_event_waits(&l->act))
		sim_event_at(ring, &l->act, ring_now_ns(ring) + think_ns);
}

/* With the request in hand: true when there will be no reply. */
static bool fails_soon(struct line *l)
{
	if (l->deal->plan.trouble == PLAN_TROUBLE_STALL_SOON)
		l->mute = true;
	else if (l->deal->plan.trouble == PLAN_TROUBLE_RESET_SOON)
		hang_up(l, true);
	else if (l->deal->plan.trouble == PLAN_TROUBLE_CLOSE_SOON)
		hang_up(l, false);
	else
		return false;
	return true;
}

static void next_request(struct line *l)
{
	l->deal = NULL;
	l->heard = false;
	l->early = false;
	wire_begin(&l->wire, false);
}

/* Some end their side of a tunnel only when they have heard the other one's end. */
static bool waits_for_end(const struct line *l)
{
	return !l->heard_all && plan_byte(l->deal->plan.nonce, true, 1) % 2 == 0;
}

/* The end of the connection is the body's: only if it is said, or it may have been cut. */
static void ends_by_closing(struct line *l)
{
	struct world *w = l->o->w;

	if (w->calm)
		cord_behave(l->cord);
	if (cord_is_rude(l->cord))
		world_saw(w, WORLD_UP_UNSAID);
	else
		l->deal->reply_whole |= l->deal->plan.trouble != PLAN_TROUBLE_RESET_BODY;
}

static void replied(struct line *l)
{
	const struct plan *p = &l->deal->plan;
	struct ring *ring = l->o->w->ring;

	free(l->bytes.text);
	l->bytes = (struct plan_bytes){ 0 };
	if (p->reply_body == PLAN_UNTIL_CLOSE)
		ends_by_closing(l);
	if (p->tunnel) {
		l->said_all = true;
		if (l->heard_all)
			hang_up(l, false);
		else if (!waits_for_end(l))
			cord_finish(l->cord);
		return;
	}
	if (p->reply_close || p->trouble == PLAN_TROUBLE_GARBAGE ||
	    p->trouble == PLAN_TROUBLE_CONFLICT || p->trouble == PLAN_TROUBLE_BAD_CHUNK) {
		hang_up(l, false);
		return;
	}
	if (p->trouble == PLAN_TROUBLE_UNSOLICITED || p->trouble == PLAN_TROUBLE_IDLE_CLOSE) {
		l->after = p->trouble;
		sim_event_at(ring, &l->act, ring_now_ns(ring) + sim_pick(ring, 100 * MS));
	}
	if (l->heard)
		next_request(l);
	else
		l->early = true;
}

/* The place in the reply where trouble begins. */
static void cut(struct line *l)
{
	l->mute = true;
	if (l->deal->plan.trouble == PLAN_TROUBLE_RESET_HEAD ||
	    l->deal->plan.trouble == PLAN_TROUBLE_RESET_BODY)
		hang_up(l, true);
	else if (l->deal->plan.trouble == PLAN_TROUBLE_CLOSE_BODY)
		hang_up(l, false);
}

/* All that will be said has been. */
static void reply_over(struct line *l)
{
	if (l->bytes.cut < l->bytes.len)
		cut(l);
	else
		replied(l);
}

/* One piece of the reply. True when another may follow at once. */
static bool reply_piece(struct line *l)
{
	uint32_t n = l->bytes.cut - l->pos;
	int32_t r;

	n = n < l->send_piece ? n : l->send_piece;
	r = cord_write(l->cord, l->bytes.text + l->pos, n);
	if (r < 0) {
		l->mute = r != -EAGAIN;
		return false;
	}
	l->pos += (uint32_t)r;
	l->switched = l->deal->plan.tunnel && l->pos >= l->bytes.head_len;
	sim_say(l->o->w->ring, "origin says %016" PRIx64 " up to %u of %u", l->deal->plan.nonce,
		l->pos, l->bytes.cut);
	if (l->pos >= l->bytes.whole && l->deal->plan.reply_body != PLAN_UNTIL_CLOSE)
		l->deal->reply_whole = true;
	if (l->pos == l->bytes.cut) {
		reply_over(l);
		return false;
	}
	return true;
}

static void reply_goes_on(struct line *l)
{
	struct ring *ring = l->o->w->ring;

	while (!l->mute && reply_piece(l)) {
		if (l->send_pause_ns > 0) {
			sim_event_at(ring, &l->act, ring_now_ns(ring) + l->send_pause_ns);
			return;
		}
	}
}

static bool say_continue(struct line *l)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (!l->continues)
		return true;
	if (cord_write(l->cord, text, sizeof(text) - 1) != sizeof(text) - 1) {
		l->mute = true; /* No room for so little: not worth serving. */
		return false;
	}
	l->continues = false;
	return true;
}

/*
 * A slow client keeps a connection only while the gateway has not read all of
 * its reply, or the pipe of a splice holds some of it, or a buffer holds it sealed,
 * or not all was asked.
 */
static bool may_be_kept(const struct line *l)
{
	const struct world *w = l->o->w;

	return world_is_busy(w) && (l->early || w->tls_up || sim_end_unread(l->end) > 0 ||
				    w->proxy->options->splice_min != UINT64_MAX);
}

static void look(struct ring *ring, struct sim_event *event)
{
	struct line *l = GW_CONTAINER_OF(event, struct line, look);

	if (sim_end_is_alone(l->end))
		return;
	l->n_looks = may_be_kept(l) ? 0 : l->n_looks + 1;
	if (l->n_looks > 2)
		sim_fail(ring, "a connection that was closed long ago is kept");
	sim_event_at(ring, &l->look, ring_now_ns(ring) + 100 * MS);
}

static void act_when_idle(struct line *l)
{
	static const char text[] = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n"
				   "Connection: close\r\n\r\n";
	struct ring *ring = l->o->w->ring;
	enum plan_trouble what = l->after;

	l->after = PLAN_TROUBLE_NONE;
	if (what == PLAN_TROUBLE_UNSOLICITED)
		(void)cord_write(l->cord, text, sizeof(text) - 1);
	hang_up(l, false);
	sim_event_at(ring, &l->look, ring_now_ns(ring) + NOTICED_MS * MS);
}

static void act(struct ring *ring, struct sim_event *event)
{
	struct line *l = GW_CONTAINER_OF(event, struct line, act);
	const struct plan *p = l->deal ? &l->deal->plan : NULL;

	(void)ring;
	if (cord_is_reset(l->cord))
		return;
	if (l->after != PLAN_TROUBLE_NONE) {
		act_when_idle(l);
		return;
	}
	if (!p || l->mute || l->early || !say_continue(l))
		return;
	if (!l->bytes.text) {
		if ((!l->heard && !answers_early(l)) || fails_soon(l))
			return;
		l->bytes = plan_reply(p);
		l->pos = 0;
		if (l->bytes.cut == 0) {
			cut(l);
			return;
		}
	}
	reply_goes_on(l);
}

/* --- Listening ----------------------------------------------------------------------------- */

static void check_target(struct line *l, const struct plan *p)
{
	char want[96];
	int n = snprintf(want, sizeof(want), "%s /p/%016" PRIx64 "?q=%x HTTP/1.1\r\n",
			 plan_method_name(p->method), p->nonce, p->ask_len);

	if (!slice_starts_with(wire_head(&l->wire), slice_make(want, (size_t)n)))
		sim_fail(l->o->w->ring, "%016" PRIx64 ": arrived as another request", p->nonce);
}

static void check_fields(struct line *l, const struct plan *p)
{
	struct slice value;

	if (p->pad > 0 && (!wire_field(&l->wire, SLICE("x-pad"), &value) || value.len != p->pad))
		sim_fail(l->o->w->ring, "%016" PRIx64 ": a field was lost", p->nonce);
	if (l->wire.framing == WIRE_LENGTH && l->wire.left != p->ask_len)
		sim_fail(l->o->w->ring, "%016" PRIx64 ": another length", p->nonce);
	if (wire_count(&l->wire, SLICE("upgrade")) != p->asks_tunnel ||
	    wire_count(&l->wire, SLICE("connection")) != p->asks_tunnel)
		sim_fail(l->o->w->ring, "%016" PRIx64 ": what was asked for is not", p->nonce);
	if (p->ask_body == PLAN_EMPTY && l->wire.framing == WIRE_CHUNKED)
		sim_fail(l->o->w->ring, "%016" PRIx64 ": a body from nowhere", p->nonce);
}

static void heard_head(struct line *l)
{
	struct ring *ring = l->o->w->ring;
	uint64_t nonce;

	if (l->deal)
		sim_fail(ring, "a request before the answer to the last");
	if (!plan_find_nonce(wire_head(&l->wire), &nonce))
		sim_fail(ring, "a request without its nonce");
	l->deal = world_deal(l->o->w, nonce);
	l->deal->n_seen++;
	sim_say(ring, "origin hears %016" PRIx64, nonce);
	world_judge_line(l->o->w, l->deal, l->made_ns);
	if (l->deal->n_seen > (plan_is_idempotent(&l->deal->plan) ? 2 : 1))
		sim_fail(ring, "%016" PRIx64 ": sent %u times", nonce, l->deal->n_seen);
	if (l->deal->n_seen == 2)
		world_saw(l->o->w, WORLD_RETRIED);
	check_target(l, &l->deal->plan);
	check_fields(l, &l->deal->plan);
	l->after = PLAN_TROUBLE_NONE;
	l->continues = wire_count(&l->wire, SLICE("expect")) > 0;
	l->send_piece = sim_pick(ring, 4) ? 65536 : 1 + (uint32_t)sim_pick(ring, 700);
	l->send_pause_ns = sim_pick(ring, 4) ? 0 : 1 + sim_pick(ring, 2 * MS);
	if (l->deal->plan.trouble == PLAN_TROUBLE_EARLY)
		l->deaf = true;
	if (answers_early(l) || l->continues)
		reply_begins(l);
}

static void heard_body(struct line *l, struct slice piece)
{
	const struct plan *p = &l->deal->plan;
	uint64_t at = l->wire.body_len - piece.len;

	if (l->wire.body_len > l->o->w->max_body)
		sim_fail(l->o->w->ring, "%016" PRIx64 ": more than the limit", p->nonce);
	for (size_t i = 0; i < piece.len; i++)
		if ((uint8_t)piece.ptr[i] != plan_byte(p->nonce, false, at + i))
			sim_fail(l->o->w->ring, "%016" PRIx64 ": wrong request byte at %" PRIu64,
				 p->nonce, at + i);
}

static void check_trailers(struct line *l, const struct plan *p)
{
	char want[PLAN_TRAILERS_MAX];
	struct slice lines = slice_make(l->wire.line, l->wire.line_len);
	uint32_t len;

	if (l->wire.framing != WIRE_CHUNKED || lines.len <= 2)
		return;
	len = plan_trailers(p, false, want);
	if (!p->ask_trailers || !slice_eq(slice_take(lines, lines.len - 2), slice_make(want, len)))
		sim_fail(l->o->w->ring, "%016" PRIx64 ": trailers that nobody sent: %.*s", p->nonce,
			 SLICE_ARG(lines));
}

static void heard_end(struct line *l)
{
	struct deal *deal = l->deal;
	bool asks_tunnel = deal->plan.asks_tunnel;

	deal->n_held++;
	l->heard = true;
	if (!(asks_tunnel ? deal->ask_head : deal->ask_whole))
		sim_fail(l->o->w->ring, "%016" PRIx64 ": complete here, but not sent so",
			 deal->plan.nonce);
	if (l->wire.body_len != (asks_tunnel ? 0 : deal->plan.ask_len))
		sim_fail(l->o->w->ring, "%016" PRIx64 ": %" PRIu64 " body bytes", deal->plan.nonce,
			 l->wire.body_len);
	check_trailers(l, &deal->plan);
	if (deal->plan.ask_len > l->o->w->max_body && !asks_tunnel)
		sim_fail(l->o->w->ring, "%016" PRIx64 ": too large, but whole", deal->plan.nonce);
	if (l->early)
		next_request(l);
	else if (!l->mute)
		reply_begins(l);
}

/* Rule 11. */
static void heard_tunnel(struct line *l, struct slice in)
{
	const struct plan *p = &l->deal->plan;

	if (!l->switched)
		sim_fail(l->o->w->ring, "%016" PRIx64 ": bytes before the tunnel", p->nonce);
	for (size_t i = 0; i < in.len; i++)
		if ((uint8_t)in.ptr[i] != plan_byte(p->nonce, false, l->tunnel_len + i))
			sim_fail(l->o->w->ring,
				 "%016" PRIx64 ": wrong byte in a tunnel at %" PRIu64, p->nonce,
				 l->tunnel_len + i);
	l->tunnel_len += in.len;
}

/* True when there is something to be said still. */
static bool heard_tunnel_end(struct line *l)
{
	const struct deal *deal = l->deal;

	if ((l->tunnel_len != deal->plan.ask_len || !deal->ask_whole) && !l->o->w->draining)
		sim_fail(l->o->w->ring, "%016" PRIx64 ": a tunnel ended after %" PRIu64 " of %u",
			 deal->plan.nonce, l->tunnel_len, deal->plan.ask_len);
	l->heard_all = true;
	return !l->said_all && !l->mute;
}

static void listen_to(struct line *l, struct slice in)
{
	struct slice piece;

	while (!l->closed && !l->deaf) {
		if (l->heard && l->deal->plan.tunnel) {
			if (in.len > 0)
				heard_tunnel(l, in);
			return;
		}
		if (l->heard && in.len > 0 && l->bytes.text && l->pos >= l->bytes.whole) {
			hang_up(l, true); /* In the middle of its surplus. */
			return;
		}
		if (l->heard && in.len > 0)
			sim_fail(l->o->w->ring, "bytes behind a request: %.*s", SLICE_ARG(in));
		if (l->heard)
			return;
		switch (wire_next(&l->wire, &in, &piece)) {
		case WIRE_MORE:
			return;
		case WIRE_HEAD:
			heard_head(l);
			break;
		case WIRE_BODY:
			heard_body(l, piece);
			break;
		case WIRE_END:
			heard_end(l);
			break;
		case WIRE_BAD:
			sim_fail(l->o->w->ring, "%s in a request", l->wire.why);
		}
	}
}

static void something(struct cord *cord, void *owner)
{
	struct line *l = owner;
	char bytes[16384];
	int32_t n = -EAGAIN;

	while (!l->closed && !l->deaf && !l->heard_all &&
	       (n = cord_read(cord, bytes, sizeof(bytes))) > 0)
		listen_to(l, slice_make(bytes, (size_t)n));
	if (l->closed)
		return;
	if (n == 0 && l->switched && !cord_is_reset(cord) && heard_tunnel_end(l))
		n = -EAGAIN;
	if ((n <= 0 && n != -EAGAIN) || cord_is_reset(cord)) {
		hang_up(l, false);
		return;
	}
	if (l->bytes.text && !sim_event_waits(&l->act))
		reply_goes_on(l);
}

/* --- Being connected to -------------------------------------------------------------------- */

static enum sim_welcome welcome(void *owner)
{
	struct origin *o = owner;
	uint64_t dice = sim_pick(o->w->ring, 1000);

	if (o->w->calm || dice >= 60)
		return SIM_WELCOME;
	return dice < 30 ? SIM_REFUSE : dice < 45 ? SIM_UNREACHABLE : SIM_SILENCE;
}

static void connected(void *owner, struct sim_end *end)
{
	struct origin *o = owner;
	struct line *l;

	if (o->w->trunks) {
		trunk_new(o->w, end, &o->trunks);
		return;
	}
	l = malloc(sizeof(*l));

	GW_ASSERT(l);
	*l = (struct line){ .o = o,
			    .cord = world_accept(o->w, end),
			    .end = end,
			    .made_ns = ring_now_ns(o->w->ring) };
	l->act.run = act;
	l->look.run = look;
	wire_begin(&l->wire, false);
	list_push_back(&o->lines, &l->link);
	cord_watch(l->cord, something, l);
}

struct origin *origin_new(struct world *w, const struct ring_addr *addr)
{
	struct origin *o = calloc(1, sizeof(*o));

	GW_ASSERT(o);
	o->w = w;
	list_init(&o->lines);
	list_init(&o->trunks);
	o->host = (struct sim_host){
		.addr = *addr, .welcome = welcome, .connected = connected, .owner = o
	};
	sim_host_add(w->ring, &o->host);
	return o;
}

void origin_watch_gone(const struct origin *o, const struct deal *deal)
{
	trunks_watch_gone(&o->trunks, deal);
	list_each(node, &o->lines)
	{
		const struct line *l = list_entry(node, struct line, link);

		/* Who has answered early may keep a connection on which all was sent. */
		if (!l->closed && !l->early && l->deal == deal && !sim_end_is_alone(l->end))
			sim_fail(o->w->ring, "%016" PRIx64 ": its client is gone, but it is served",
				 deal->plan.nonce);
	}
}

void origin_free(struct origin *o)
{
	struct list_node *node;

	trunks_free(&o->trunks);
	while ((node = list_pop_front(&o->lines))) {
		struct line *l = list_entry(node, struct line, link);

		sim_event_drop(o->w->ring, &l->act);
		sim_event_drop(o->w->ring, &l->look);
		if (l->cord)
			cord_close(l->cord, true);
		free(l->bytes.text);
		free(l);
	}
	free(o);
}
