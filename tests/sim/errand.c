/* SPDX-License-Identifier: Apache-2.0 */
/* A request on a trunk: judged, and answered by its plan, or not. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/http/h2_write.h"
#include "tests/sim/trunk_private.h"

#define MS UINT64_C(1000000)

enum { TEXT_MAX = 4096 };

void errand_drop(struct errand *e)
{
	sim_event_drop(e->k->w->ring, &e->act);
	if (e->open)
		e->k->n_open--;
	e->open = false;
}

static void reset(struct errand *e, uint32_t code)
{
	h2_session_reset(e->k->session, e->id, code);
	errand_drop(e);
	sim_event_later(e->k->w->ring, &e->k->move);
}

static void stir(struct trunk *k)
{
	if (!sim_event_waits(&k->move))
		sim_event_later(k->w->ring, &k->move);
}

/* --- Answering. ------------------------------------------------------------------------------ */

/* Any pair, in the form of h2_write.h. */
static void put(struct writer *out, const char *name, const char *value)
{
	const uint16_t lens[2] = { (uint16_t)strlen(name), (uint16_t)strlen(value) };

	writer_bytes(out, lens, sizeof(lens));
	writer_put(out, slice_of(name));
	writer_put(out, slice_of(value));
}

static void put_number(struct writer *out, const char *name, uint32_t n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	put(out, name, text);
}

static void put_nonce(struct writer *out, const char *name, uint64_t nonce)
{
	char text[20];

	snprintf(text, sizeof(text), "%016" PRIx64, nonce);
	put(out, name, text);
}

static void inform(struct errand *e, uint32_t status)
{
	char text[TEXT_MAX];
	struct writer out = writer_make(text, sizeof(text));

	put_number(&out, ":status", status);
	if (status == 103)
		put_nonce(&out, "x-hint", e->deal->plan.nonce);
	h2_session_inform(e->k->session, e->id, writer_slice(&out));
}

static bool has_body(const struct plan *p)
{
	return !plan_is_bodiless(p) && p->reply_body != PLAN_EMPTY && p->reply_len > 0;
}

static bool is_cut(enum plan_trouble trouble)
{
	return trouble == PLAN_TROUBLE_RESET_BODY || trouble == PLAN_TROUBLE_CLOSE_BODY ||
	       trouble == PLAN_TROUBLE_STALL_BODY || trouble == PLAN_TROUBLE_BAD_CHUNK;
}

static void answer(struct errand *e)
{
	const struct plan *p = &e->deal->plan;
	char text[TEXT_MAX];
	struct writer out = writer_make(text, sizeof(text));
	bool end = !has_body(p) && !is_cut(p->trouble) && p->trouble != PLAN_TROUBLE_SURPLUS;

	e->begun = true;
	e->length = has_body(p) ? p->reply_len : 0;
	e->cut = is_cut(p->trouble) ? (uint32_t)(p->nonce * 7919 % (e->length + 1)) : UINT32_MAX;
	for (int i = 0; i < p->n_interim; i++)
		inform(e, 103);
	if (p->trouble != PLAN_TROUBLE_GARBAGE)
		put_number(&out, ":status", p->status);
	put_nonce(&out, "x-nonce", p->nonce);
	if (p->reply_body == PLAN_LENGTH)
		put_number(&out, "content-length", p->reply_len);
	if (p->trouble == PLAN_TROUBLE_CONFLICT)
		put_number(&out, "content-length", p->reply_len + 1);
	if (p->trouble == PLAN_TROUBLE_SURPLUS)
		e->length += 7;
	if (end && !(p->reply_trailers && p->reply_body == PLAN_CHUNKED))
		e->deal->reply_whole |= p->trouble != PLAN_TROUBLE_GARBAGE &&
					p->trouble != PLAN_TROUBLE_CONFLICT;
	else
		end = false;
	h2_session_respond(e->k->session, e->id, writer_slice(&out), end);
	stir(e->k);
}

/* In the place of an answer, or in the middle of one: this stream only, or all of them. */
static void fail_now(struct errand *e)
{
	struct trunk *k = e->k;
	enum plan_trouble trouble = e->deal->plan.trouble;
	bool other = e->deal->plan.nonce % 2;

	if (trouble == PLAN_TROUBLE_STALL_SOON || trouble == PLAN_TROUBLE_STALL_BODY)
		return;
	if (trouble == PLAN_TROUBLE_BAD_CHUNK)
		reset(e, H2_CODE_NO_ERROR);
	else if (trouble != PLAN_TROUBLE_RESET_SOON && trouble != PLAN_TROUBLE_RESET_BODY)
		reset(e, other ? H2_CODE_CANCEL : H2_CODE_HTTP_1_1_REQUIRED);
	else if (other)
		reset(e, H2_CODE_INTERNAL_ERROR);
	else
		k->breaks = true;
	world_saw(k->w, k->breaks ? WORLD_TRUNK_BROKEN : WORLD_TRUNK_RESET);
	stir(k);
}

static bool fails_soon(const struct errand *e)
{
	enum plan_trouble trouble = e->deal->plan.trouble;

	return trouble == PLAN_TROUBLE_RESET_SOON || trouble == PLAN_TROUBLE_CLOSE_SOON ||
	       trouble == PLAN_TROUBLE_STALL_SOON || trouble == PLAN_TROUBLE_RESET_HEAD;
}

static bool answers_early(const struct errand *e)
{
	return e->deal->plan.trouble == PLAN_TROUBLE_EARLY ||
	       e->deal->plan.trouble == PLAN_TROUBLE_EARLY_READ;
}

static void act(struct ring *ring, struct sim_event *event)
{
	struct errand *e = GW_CONTAINER_OF(event, struct errand, act);

	(void)ring;
	if (e->k->closed || !e->open)
		return;
	if (e->begun) { /* It has come to the place where it stops. */
		fail_now(e);
		return;
	}
	if (e->continues) {
		e->continues = false;
		inform(e, 100);
		stir(e->k);
	}
	if (!e->heard && !answers_early(e))
		return;
	if (fails_soon(e))
		fail_now(e);
	else
		answer(e);
}

static void think(struct errand *e)
{
	struct ring *ring = e->k->w->ring;

	if (e->open && !e->begun && !sim_event_waits(&e->act))
		sim_event_at(ring, &e->act,
			     ring_now_ns(ring) + (sim_pick(ring, 5) ? sim_pick(ring, MS)
								    : sim_pick(ring, 3000 * MS)));
}

static struct slice trailers_of(const struct plan *p)
{
	static char lines[PLAN_TRAILERS_MAX], text[PLAN_TRAILERS_MAX];
	struct writer out = writer_make(text, sizeof(text));

	h2_write_lines(&out, slice_make(lines, plan_trailers(p, true, lines)));
	GW_ASSERT(!out.overflow);
	return writer_slice(&out);
}

static int32_t pull(void *owner, void *stream, uint32_t max, bool *ret_end,
		    struct slice *ret_trailers)
{
	struct errand *e = stream;
	const struct plan *p = &e->deal->plan;
	uint32_t until = e->cut < e->length ? e->cut : e->length;
	uint32_t n = until - e->said < max ? until - e->said : max;

	(void)owner;
	*ret_end = e->cut == UINT32_MAX && e->said + n == e->length;
	if (n == 0 && !*ret_end) {
		if (!e->waits) /* It is not to be reset from inside of its pull. */
			sim_event_later(e->k->w->ring, &e->act);
		e->waits = true;
		return -EAGAIN;
	}
	if (*ret_end && p->trouble != PLAN_TROUBLE_SURPLUS && p->trouble != PLAN_TROUBLE_GARBAGE &&
	    p->trouble != PLAN_TROUBLE_CONFLICT)
		e->deal->reply_whole = true; /* Before a byte of it leaves. */
	if (*ret_end && p->reply_trailers)
		*ret_trailers = trailers_of(p);
	return (int32_t)n;
}

static void copy(void *owner, void *stream, uint8_t *to, uint32_t len)
{
	struct errand *e = stream;

	(void)owner;
	for (uint32_t i = 0; i < len; i++)
		to[i] = plan_byte(e->deal->plan.nonce, true, e->said + i);
	e->said += len;
}

/* All is said. */
static void ended(void *owner, void *stream)
{
	struct trunk *k = owner;
	struct errand *e = stream;
	const struct plan *p = &e->deal->plan;

	if (p->trouble == PLAN_TROUBLE_EARLY && !e->heard)
		reset(e, H2_CODE_NO_ERROR);
	if (p->reply_close) {
		h2_session_shut(k->session);
	} else if (p->trouble == PLAN_TROUBLE_UNSOLICITED) {
		h2_session_refuse_more(k->session);
		k->leaves = true;
		world_saw(k->w, WORLD_TRUNK_LEFT);
	} else if (p->trouble == PLAN_TROUBLE_IDLE_CLOSE) {
		k->fades = true;
	}
	stir(k);
}

/* --- Listening. ------------------------------------------------------------------------------ */

static struct deal *deal_of(struct trunk *k, const struct http_head *head)
{
	const struct http_field *field = http_head_find_name(head, SLICE("x-nonce"));
	char digits[17] = { 0 };

	if (!field || field->value.len != 16)
		sim_fail(k->w->ring, "a request without its nonce");
	memcpy(digits, head->base + field->value.off, 16);
	return world_deal(k->w, strtoull(digits, NULL, 16));
}

static void check_head(struct trunk *k, const struct deal *deal, const struct http_head *head,
		       bool end)
{
	const struct plan *p = &deal->plan;
	const struct http_field *pad = http_head_find_name(head, SLICE("x-pad"));
	struct ring *ring = k->w->ring;
	char path[64], query[32];

	snprintf(path, sizeof(path), "/p/%016" PRIx64, p->nonce);
	snprintf(query, sizeof(query), "?q=%x", p->ask_len);
	if (!slice_eq(http_text(head, head->path), slice_of(path)) ||
	    !slice_eq(http_text(head, head->query), slice_of(query)) ||
	    !slice_eq(http_text(head, head->method_text), slice_of(plan_method_name(p->method))))
		sim_fail(ring, "%016" PRIx64 ": arrived as another request", p->nonce);
	if (p->pad > 0 && (!pad || pad->value.len != p->pad))
		sim_fail(ring, "%016" PRIx64 ": a field was lost", p->nonce);
	if (head->has_length && head->content_length != p->ask_len)
		sim_fail(ring, "%016" PRIx64 ": another length", p->nonce);
	if (p->ask_body == PLAN_EMPTY && !end && p->flaw == PLAN_FLAW_NONE)
		sim_fail(ring, "%016" PRIx64 ": a body from nowhere", p->nonce);
}

/* Refused ones were not looked at; of others as many as HTTP/1 allows. */
static void count(struct trunk *k, struct deal *deal, bool refused)
{
	if (refused)
		deal->n_refused++;
	else
		deal->n_seen++;
	if (deal->n_seen > (plan_is_idempotent(&deal->plan) ? 2 : 1) ||
	    deal->n_seen + deal->n_refused > 2)
		sim_fail(k->w->ring, "%016" PRIx64 ": sent %u and %u times", deal->plan.nonce,
			 deal->n_seen, deal->n_refused);
	if (deal->n_seen == 2)
		world_saw(k->w, WORLD_RETRIED);
	if (refused)
		world_saw(k->w, WORLD_TRUNK_REFUSED);
}

static void heard_all(struct errand *e)
{
	struct deal *deal = e->deal;
	struct ring *ring = e->k->w->ring;

	e->heard = true;
	deal->n_held++;
	if (!deal->ask_whole)
		sim_fail(ring, "%016" PRIx64 ": complete here, but not sent so", deal->plan.nonce);
	if (e->heard_len != deal->plan.ask_len)
		sim_fail(ring, "%016" PRIx64 ": %" PRIu64 " body bytes", deal->plan.nonce,
			 e->heard_len);
	if (deal->plan.ask_len > e->k->w->max_body)
		sim_fail(ring, "%016" PRIx64 ": too large, but whole", deal->plan.nonce);
	think(e);
}

static void head(void *owner, int32_t id, void *stream, struct http_head *head, bool end,
		 const struct http_refusal *refusal)
{
	struct trunk *k = owner;
	struct ring *ring = k->w->ring;
	struct deal *deal;
	struct errand *e;
	bool refused;

	(void)stream;
	if (refusal)
		sim_fail(ring, "a bad request on a trunk: %s",
			 reason_label((enum reason)refusal->reason).ptr);
	deal = deal_of(k, head);
	if (k->n_open == k->limit)
		sim_fail(ring, "%016" PRIx64 ": more than %u streams", deal->plan.nonce, k->limit);
	world_judge_line(k->w, deal, k->made_ns);
	refused = k->refuses && sim_pick(ring, k->refuses) == 0;
	count(k, deal, refused);
	if (refused) {
		h2_session_reset(k->session, id, H2_CODE_REFUSED_STREAM);
		return;
	}
	check_head(k, deal, head, end);
	e = calloc(1, sizeof(*e));
	GW_ASSERT(e);
	*e = (struct errand){ .k = k, .deal = deal, .id = id, .cut = UINT32_MAX, .open = true };
	e->act.run = act;
	e->continues = head->expect_continue;
	list_push_back(&k->errands, &e->link);
	k->fades = false;
	if (++k->n_open > 1)
		world_saw(k->w, WORLD_TRUNK_SHARED);
	if (k->n_open == k->limit)
		world_saw(k->w, WORLD_TRUNK_FULL);
	h2_session_attach(k->session, id, e);
	sim_say(ring, "trunk hears %016" PRIx64, deal->plan.nonce);
	if (end)
		heard_all(e);
	else if (e->continues || answers_early(e))
		think(e);
}

static uint8_t method(void *owner, void *stream)
{
	(void)owner;
	(void)stream;
	GW_UNREACHABLE(); /* Clients only. */
}

static void data(void *owner, void *stream, const uint8_t *bytes, uint32_t len)
{
	struct trunk *k = owner;
	struct errand *e = stream;
	uint64_t nonce = e->deal->plan.nonce;

	for (uint32_t i = 0; i < len; i++)
		if (bytes[i] != plan_byte(nonce, false, e->heard_len + i))
			sim_fail(k->w->ring, "%016" PRIx64 ": wrong request byte at %" PRIu64,
				 nonce, e->heard_len + i);
	e->heard_len += len;
	if (e->heard_len > k->w->max_body)
		sim_fail(k->w->ring, "%016" PRIx64 ": more than the limit", nonce);
	h2_session_grant(k->session, e->id, len);
}

static void end(void *owner, void *stream, struct slice trailers)
{
	struct errand *e = stream;
	const struct plan *p = &e->deal->plan;
	char want[PLAN_TRAILERS_MAX];

	(void)owner;
	if (trailers.len > 0 &&
	    (!p->ask_trailers ||
	     !slice_eq(trailers, slice_make(want, plan_trailers(p, false, want)))))
		sim_fail(e->k->w->ring, "%016" PRIx64 ": trailers that nobody sent: %.*s", p->nonce,
			 SLICE_ARG(trailers));
	heard_all(e);
}

static void malformed(void *owner, void *stream, enum reason reason)
{
	struct trunk *k = owner;
	const struct errand *e = stream;

	sim_fail(k->w->ring, "%016" PRIx64 ": malformed: %s", e->deal->plan.nonce,
		 reason_label(reason).ptr);
}

static void closed(void *owner, void *stream, uint32_t code)
{
	(void)owner;
	(void)code;
	errand_drop(stream);
}

/* With an error only when there was no place to keep a head that came in pieces. */
static void gone(void *owner, int32_t last_id, uint32_t code)
{
	struct trunk *k = owner;

	(void)last_id;
	if (code != H2_CODE_NO_ERROR && (k->w->calm || code != H2_CODE_ENHANCE_YOUR_CALM))
		sim_fail(k->w->ring, "a trunk is left with %u", code);
}

/* Who asked to go is understood: now it may. */
static void pong(void *owner)
{
	struct trunk *k = owner;

	h2_session_refuse_more(k->session);
	k->leaves = true;
	world_saw(k->w, WORLD_TRUNK_LEFT);
	stir(k);
}

static void error(void *owner, bool connection, uint32_t code)
{
	struct trunk *k = owner;

	if (connection)
		sim_fail(k->w->ring, "the gateway breaks a trunk: %u", code);
}

const struct h2_events trunk_events = {
	.head = head,
	.method = method,
	.data = data,
	.end = end,
	.malformed = malformed,
	.closed = closed,
	.pull = pull,
	.copy = copy,
	.ended = ended,
	.gone = gone,
	.pong = pong,
	.error = error,
};
