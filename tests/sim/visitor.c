/* SPDX-License-Identifier: Apache-2.0 */
/* A client: asks, reads, judges what it gets. */
#include "tests/sim/visitor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "tests/sim/wire.h"

#define MS UINT64_C(1000000)

enum { PATIENCE_S = 150, NEVER_READS_S = 100 };

struct manners {
	uint32_t send_piece, read_piece; /* Bytes at a time. */
	uint64_t send_pause_ns, read_pause_ns;
	uint32_t pipeline_max;
	bool never_reads, half_close, stays, resets;
};

struct visitor {
	struct world *w;
	struct manners manners;
	struct sim_end *end;
	struct sim_event arrive, send, read, leave;
	struct wire wire;
	uint32_t first, n;
	uint32_t asking;    /* Deal whose request is being sent, or comes next. */
	uint32_t answering; /* Deal whose reply is being read, or comes next. */
	struct plan_bytes bytes;
	uint32_t pos;
	uint64_t progress_ns;
	uint64_t reply_len; /* Bytes of the current reply on the wire. */
	bool from_origin;   /* The reply being read is. */
	bool may_continue;  /* 100, or waited long enough. */
	bool silent;        /* Sends nothing any more. */
	bool finished;      /* Has ended its side. */
	bool told_close;
	bool shrugs; /* Does not look at what still comes. */
	bool over;
};

static struct deal *deal_at(const struct visitor *v, uint32_t i)
{
	GW_ASSERT(i < v->n);
	return &v->w->deals[v->first + i];
}

/* How many of the deals have been begun. */
static uint32_t n_asked(const struct visitor *v)
{
	return v->asking + (v->bytes.text != NULL);
}

static void progress(struct visitor *v)
{
	v->progress_ns = ring_now_ns(v->w->ring);
}

static void drop_bytes(struct visitor *v)
{
	free(v->bytes.text);
	v->bytes = (struct plan_bytes){ 0 };
}

static void over(struct visitor *v, bool reset)
{
	struct ring *ring = v->w->ring;

	GW_ASSERT(!v->over);
	v->over = true;
	v->w->n_visitors_over++;
	sim_end_close(v->end, reset);
	sim_event_drop(ring, &v->send);
	sim_event_drop(ring, &v->read);
	sim_event_drop(ring, &v->leave);
	drop_bytes(v);
	sim_say(ring, "visitor %u over, %u of %u answered", v->first, v->answering, v->n);
}

/* The visitor itself has had enough. */
static void leave(struct visitor *v, bool reset)
{
	if (v->answering < n_asked(v))
		world_saw(v->w, WORLD_VISITOR_LEFT);
	over(v, reset);
}

/* --- Asking -------------------------------------------------------------------------------- */

static void finish(struct visitor *v)
{
	v->silent = true;
	if (v->finished || sim_end_is_reset(v->end))
		return;
	v->finished = true;
	sim_end_finish(v->end);
}

/* Does the connection end with this request, as far as the visitor can know? */
static bool ends_connection(const struct plan *p)
{
	return p->close || p->flaw != PLAN_FLAW_NONE || p->cut != PLAN_CUT_NONE;
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
	if (v->asking > 0 && ends_connection(&deal_at(v, v->asking - 1)->plan))
		return false;
	if (v->asking >= v->answering + v->manners.pipeline_max)
		return false;
	/* Behind a reply that may end the connection everything is lost; a calm visitor waits. */
	if (v->w->calm && v->asking > v->answering && deal_at(v, v->asking - 1)->plan.http10)
		return false;
	if (v->asking > v->answering)
		world_saw(v->w, WORLD_PIPELINED);
	deal = deal_at(v, v->asking);
	deal->asked = true;
	v->bytes = plan_request(&deal->plan);
	v->pos = 0;
	v->may_continue = !deal->plan.expect;
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
	switch (deal_at(v, v->asking)->plan.cut) {
	case PLAN_CUT_RESET_HEAD:
	case PLAN_CUT_RESET_BODY:
		leave(v, true);
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
	v->pos += n;
	if (v->pos < v->bytes.len)
		return;
	deal_at(v, v->asking)->ask_whole = v->bytes.whole == v->bytes.len;
	v->asking++;
	drop_bytes(v);
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
	if (n == 0) { /* The body waits for 100, but not for ever. */
		sim_event_at(v->w->ring, &v->send, ring_now_ns(v->w->ring) + 1000 * MS);
		v->may_continue = true;
		return false;
	}
	r = sim_end_write(v->end, v->bytes.text + v->pos, n);
	if (r < 0) {
		v->silent = r != -EAGAIN;
		return false;
	}
	progress(v);
	sent(v, (uint32_t)r);
	return true;
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

/* --- Being answered ------------------------------------------------------------------------ */

static void begin_reply(struct visitor *v)
{
	wire_begin(&v->wire, true);
	v->from_origin = false;
	v->reply_len = 0;
	if (v->answering < v->n) {
		const struct plan *p = &deal_at(v, v->answering)->plan;

		v->wire.bodiless = p->method == PLAN_HEAD;
	}
}

static enum world_ending own_ending(uint16_t status)
{
	switch (status) {
	case 400:
		return WORLD_OWN_400;
	case 408:
		return WORLD_OWN_408;
	case 417:
		return WORLD_OWN_417;
	case 431:
		return WORLD_OWN_431;
	case 502:
		return WORLD_OWN_502;
	case 503:
		return WORLD_OWN_503;
	case 504:
		return WORLD_OWN_504;
	default:
		return WORLD_N_ENDINGS;
	}
}

static void judge_interim(struct visitor *v, const struct plan *p)
{
	struct ring *ring = v->w->ring;

	if (p->http10)
		sim_fail(ring, "%016" PRIx64 ": interim reply to HTTP/1.0", p->nonce);
	if (v->wire.status == 100) {
		v->may_continue = true;
		sim_event_later(ring, &v->send);
		world_saw(v->w, WORLD_CONTINUED);
	} else if (v->wire.status == 103) {
		world_saw(v->w, WORLD_INTERIM);
	} else {
		sim_fail(ring, "%016" PRIx64 ": interim %u", p->nonce, v->wire.status);
	}
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
	if (own_ending(status) == WORLD_N_ENDINGS)
		sim_fail(v->w->ring, "%016" PRIx64 ": %u for no reason", p->nonce, status);
	world_saw(v->w, own_ending(status));
}

static void judge_head(struct visitor *v)
{
	struct ring *ring = v->w->ring;
	const struct deal *deal;
	uint64_t nonce;

	if (v->answering >= n_asked(v))
		sim_fail(ring, "visitor %u: %u without a question", v->first, v->wire.status);
	deal = deal_at(v, v->answering);
	if (v->wire.status < 200) {
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
	if (v->asking == v->answering && v->bytes.text)
		world_saw(v->w, WORLD_EARLY_REPLY);
}

static void judge_body(struct visitor *v, struct slice piece)
{
	const struct plan *p = &deal_at(v, v->answering)->plan;
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
	struct slice lines = slice_make(v->wire.line, v->wire.line_len);
	char digits[17] = { 0 };
	size_t at = slice_find_slice(lines, SLICE("x-trailer: "));

	if (v->wire.framing != WIRE_CHUNKED || lines.len <= 2)
		return;
	if (!p->reply_trailers || at != 0 || lines.len != 11 + 16 + 4)
		sim_fail(v->w->ring, "%016" PRIx64 ": trailers that nobody sent: %.*s", p->nonce,
			 SLICE_ARG(lines));
	for (int i = 0; i < 16; i++)
		digits[i] = lines.ptr[11 + i];
	if (strtoull(digits, NULL, 16) != p->nonce)
		sim_fail(v->w->ring, "%016" PRIx64 ": trailers of another", p->nonce);
	world_saw(v->w, WORLD_TRAILERS);
}

static void judge_end(struct visitor *v)
{
	struct deal *deal = deal_at(v, v->answering);
	const struct plan *p = &deal->plan;
	uint64_t want = plan_is_bodiless(p) || p->reply_body == PLAN_EMPTY ? 0 : p->reply_len;

	if (v->wire.status < 200) {
		begin_reply(v);
		return;
	}
	if (v->from_origin) {
		if (v->wire.body_len != want || !deal->reply_whole)
			sim_fail(v->w->ring, "%016" PRIx64 ": a cut reply looks whole", p->nonce);
		judge_trailers(v, p);
		world_saw(v->w, WORLD_REPLY_WHOLE);
	}
	v->told_close |= v->wire.close || v->wire.framing == WIRE_UNTIL_CLOSE;
	/* A gateway that could not read the head cannot know that it was HEAD. */
	v->shrugs = v->told_close && !v->from_origin && p->method == PLAN_HEAD;
	v->answering++;
	if (v->told_close && v->asking != v->answering - 1)
		v->silent = true; /* What was pipelined behind it is lost. */
	begin_reply(v);
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
static void ended(struct visitor *v, bool reset)
{
	enum wire_event event = reset && !v->wire.begun ? WIRE_MORE
				: reset                 ? WIRE_BAD
							: wire_eof(&v->wire);

	if (event == WIRE_END)
		judge_end(v);
	else if (event == WIRE_BAD)
		world_saw(v->w, WORLD_REPLY_CUT);
	if (v->w->calm && (event == WIRE_BAD || (!v->told_close && v->answering < v->n)))
		sim_fail(v->w->ring, "visitor %u: calm, but only %u of %u answered (%s)", v->first,
			 v->answering, v->n, reset ? "reset" : "closed");
	if (v->answering < n_asked(v))
		world_saw(v->w, reset ? WORLD_RESET_UNANSWERED : WORLD_CLOSED_UNANSWERED);
	over(v, false);
}

static bool leaves_in_reply(struct visitor *v, uint32_t n)
{
	if (v->answering >= v->n || deal_at(v, v->answering)->plan.cut != PLAN_CUT_RESET_REPLY)
		return false;
	v->reply_len += n;
	if (v->reply_len < deal_at(v, v->answering)->plan.nonce % 3000)
		return false;
	leave(v, true);
	return true;
}

/* One piece. True when another may follow at once. */
static bool read_piece(struct visitor *v)
{
	char bytes[16384];
	int32_t n = sim_end_read(v->end, bytes, v->manners.read_piece);

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		ended(v,
		      n < 0 || sim_end_is_reset(v->end)); /* A write may have been told already. */
		return false;
	}
	progress(v);
	if (leaves_in_reply(v, (uint32_t)n))
		return false;
	judge(v, slice_make(bytes, (size_t)n));
	if (v->answering == v->n && !v->told_close && !v->manners.stays && v->asking == v->n) {
		leave(v, v->manners.resets);
		return false;
	}
	if (!sim_event_waits(&v->send)) /* Room for another request. */
		sim_event_later(v->w->ring, &v->send);
	return true;
}

static void read_some(struct ring *ring, struct sim_event *event)
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

/* --- Coming and going ---------------------------------------------------------------------- */

static void something(struct sim_end *end, void *owner)
{
	struct visitor *v = owner;
	struct ring *ring = v->w->ring;

	if (sim_end_is_reset(end) && v->manners.never_reads) {
		ended(v, true);
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

	progress(v);
	v->end = sim_end_dial(ring, &v->w->front, &from);
	if (!v->end) {
		v->over = true;
		v->w->n_visitors_over++;
		world_saw(v->w, WORLD_NOT_ACCEPTED);
		return;
	}
	begin_reply(v);
	sim_end_watch(v->end, something, v);
	if (v->manners.never_reads)
		sim_event_at(ring, &v->leave, ring_now_ns(ring) + NEVER_READS_S * 1000 * MS);
}

static void leave_now(struct ring *ring, struct sim_event *event)
{
	(void)ring;
	leave(GW_CONTAINER_OF(event, struct visitor, leave), true);
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
	v->read.run = read_some;
	v->leave.run = leave_now;
	progress(v);
	sim_event_at(w->ring, &v->arrive, v->progress_ns + 1 + rng_below(&w->rng, 300 * MS));
	return v;
}

void visitor_watch(const struct visitor *v)
{
	uint64_t now_ns = ring_now_ns(v->w->ring);

	if (!v->over && now_ns - v->progress_ns > PATIENCE_S * 1000 * MS)
		sim_fail(v->w->ring, "visitor %u waits for ever: %u of %u answered", v->first,
			 v->answering, n_asked(v));
}

void visitor_watch_drain(const struct visitor *v, uint64_t drain_ns)
{
	bool idle = v->end && v->answering == v->n && v->asking == v->n && !v->manners.never_reads;

	if (idle && !v->over && v->progress_ns < drain_ns)
		sim_fail(v->w->ring, "visitor %u is idle, but kept in a drain", v->first);
}

void visitor_free(struct visitor *v)
{
	GW_ASSERT(v->over && !v->bytes.text);
	sim_event_drop(v->w->ring, &v->arrive);
	free(v);
}
