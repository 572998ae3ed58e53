/* SPDX-License-Identifier: Apache-2.0 */
/* A client of HTTP/2: what it is answered, judged. */
#include <inttypes.h>
#include <stdlib.h>

#include "core/proxy/proxy.h"
#include "tests/sim/guest_private.h"

#define MS UINT64_C(1000000)

void guest_talk_over(struct talk *t)
{
	GW_ASSERT(!t->over);
	t->over = true;
	t->g->n_over++;
	t->g->last_ns = ring_now_ns(t->g->w->ring);
	sim_event_later(t->g->w->ring, &t->g->send); /* Perhaps for the next one. */
}

void guest_give_up(struct talk *t)
{
	h2_session_reset(t->g->session, t->id, H2_CODE_CANCEL);
	t->given_up = true;
	world_saw(t->g->w, WORLD_H2_GIVEN_UP);
	guest_talk_over(t);
}

/* --- Heads. ---------------------------------------------------------------------------------- */

/* In the middle of another request, and nothing more of any comes. */
static bool stops(const struct guest *g)
{
	return g->stop_at != UINT64_MAX || g->finishes || g->finished;
}

static void judge_own(const struct talk *t)
{
	const struct plan *p = &t->deal->plan;
	struct world *w = t->g->w;

	if (w->calm)
		sim_fail(w->ring, "%016" PRIx64 ": calm, but answered %u", p->nonce, t->status);
	if (world_own_ending(t->status) == WORLD_N_ENDINGS)
		sim_fail(w->ring, "%016" PRIx64 ": %u for no reason", p->nonce, t->status);
	if (plan_is_flawed_head(p) && t->status >= 500 && t->status != 503)
		sim_fail(w->ring, "%016" PRIx64 ": flawed, but answered %u", p->nonce, t->status);
	if (t->status == 413 && p->ask_len <= w->max_body)
		sim_fail(w->ring, "%016" PRIx64 ": not too large", p->nonce);
	world_saw(w, world_own_ending(t->status));
}

static void judge_interim(struct talk *t, uint16_t status)
{
	struct guest *g = t->g;

	if (status == 103) {
		world_saw(g->w, WORLD_INTERIM);
		return;
	}
	if (status != 100)
		sim_fail(g->w->ring, "%016" PRIx64 ": interim %u", t->deal->plan.nonce, status);
	world_saw(g->w, WORLD_CONTINUED);
	t->may_continue = true;
	if (t->waits)
		h2_session_resume(g->session, t->id);
	t->waits = false;
	sim_event_later(g->w->ring, &g->send);
}

static bool nonce_of(const struct http_head *head, uint64_t *ret_nonce)
{
	const struct http_field *field = http_head_find_name(head, SLICE("x-nonce"));
	char digits[17] = { 0 };

	if (!field || field->value.len != 16)
		return false;
	memcpy(digits, head->base + field->value.off, 16);
	*ret_nonce = strtoull(digits, NULL, 16);
	return true;
}

static void judge_head(struct talk *t, const struct http_head *head)
{
	const struct plan *p = &t->deal->plan;
	struct ring *ring = t->g->w->ring;
	uint64_t nonce;

	t->from_origin = nonce_of(head, &nonce);
	if (!t->from_origin) {
		judge_own(t);
		return;
	}
	if (nonce != p->nonce)
		sim_fail(ring, "%016" PRIx64 ": got the reply of another", p->nonce);
	if (t->status != p->status || t->deal->n_seen == 0)
		sim_fail(ring, "%016" PRIx64 ": status %u", nonce, t->status);
	if (p->flaw != PLAN_FLAW_NONE)
		sim_fail(ring, "%016" PRIx64 ": flawed, but answered by an origin", nonce);
	if (!t->deal->ask_whole)
		world_saw(t->g->w, WORLD_EARLY_REPLY);
}

/* --- Ends. ----------------------------------------------------------------------------------- */

static void judge_trailers(const struct talk *t, struct slice lines)
{
	const struct plan *p = &t->deal->plan;
	char want[PLAN_TRAILERS_MAX];

	if (lines.len == 0)
		return;
	if (!p->reply_trailers || !t->from_origin ||
	    !slice_eq(lines, slice_make(want, plan_trailers(p, true, want))))
		sim_fail(t->g->w->ring, "%016" PRIx64 ": trailers that nobody sent: %.*s", p->nonce,
			 SLICE_ARG(lines));
	world_saw(t->g->w, WORLD_TRAILERS);
}

/* The answer is complete; the stream may still be open, for a request that goes on. */
static void judge_end(struct talk *t, struct slice trailers)
{
	const struct plan *p = &t->deal->plan;
	uint64_t want = plan_is_bodiless(p) || p->reply_body == PLAN_EMPTY ? 0 : p->reply_len;

	if (t->from_origin) {
		if (t->body_len != want || !t->deal->reply_whole)
			sim_fail(t->g->w->ring, "%016" PRIx64 ": a cut reply looks whole",
				 p->nonce);
		judge_trailers(t, trailers);
		world_saw(t->g->w, WORLD_H2_WHOLE);
	}
	/* Empty: an origin said so unasked. */
	if (!t->from_origin && t->status == 408 && t->body_len > 0 && t->cut == UINT32_MAX &&
	    !stops(t->g))
		sim_fail(t->g->w->ring, "%016" PRIx64 ": blamed for what it did not do", p->nonce);
	t->deal->answered = t->status;
	t->deal->answered_len = t->body_len;
	t->g->n_answered++;
	sim_say(t->g->w->ring, "guest has its answer %016" PRIx64, p->nonce);
	guest_talk_over(t);
}

static void on_head(void *owner, int32_t id, void *stream, struct http_head *head, bool end,
		    const struct http_refusal *refusal)
{
	struct guest *g = owner;
	struct talk *t = stream;

	(void)id;
	if (refusal)
		sim_fail(g->w->ring, "%016" PRIx64 ": a bad head: %u", t->deal->plan.nonce,
			 refusal->reason);
	if (t->over)
		return;
	if (head->status < 200) {
		judge_interim(t, head->status);
		return;
	}
	if (t->status > 0)
		sim_fail(g->w->ring, "%016" PRIx64 ": answered twice", t->deal->plan.nonce);
	t->status = head->status;
	judge_head(t, head);
	if (end)
		judge_end(t, SLICE(""));
}

static uint8_t on_method(void *owner, void *stream)
{
	const struct talk *t = stream;

	(void)owner;
	return t->deal->plan.method == PLAN_HEAD ? HTTP_HEAD : HTTP_GET;
}

static void grant(struct talk *t, uint32_t len)
{
	struct guest *g = t->g;

	if (!g->manners.never_grants && !g->manners.grant_pause_ns) {
		h2_session_grant(g->session, t->id, len);
		return;
	}
	t->owed += len;
	if (!g->manners.never_grants && !sim_event_waits(&g->grant))
		sim_event_at(g->w->ring, &g->grant,
			     ring_now_ns(g->w->ring) + g->manners.grant_pause_ns);
}

static void on_data(void *owner, void *stream, const uint8_t *bytes, uint32_t len)
{
	struct guest *g = owner;
	struct talk *t = stream;
	const struct plan *p = &t->deal->plan;

	if (t->status == 0 || t->over)
		sim_fail(g->w->ring, "%016" PRIx64 ": a body out of place", p->nonce);
	for (uint32_t i = 0; t->from_origin && i < len; i++)
		if (bytes[i] != plan_byte(p->nonce, true, t->body_len + i))
			sim_fail(g->w->ring, "%016" PRIx64 ": wrong body byte at %" PRIu64,
				 p->nonce, t->body_len + i);
	t->body_len += len;
	if (t->from_origin && t->body_len > p->reply_len)
		sim_fail(g->w->ring, "%016" PRIx64 ": more body than there is", p->nonce);
	if (p->cut == PLAN_CUT_RESET_REPLY && t->body_len > p->nonce % 3000) {
		h2_session_grant_connection(g->session, len);
		guest_give_up(t);
		return;
	}
	grant(t, len);
}

static void on_end(void *owner, void *stream, struct slice trailers)
{
	struct talk *t = stream;

	(void)owner;
	if (t->status == 0 || t->over)
		sim_fail(t->g->w->ring, "%016" PRIx64 ": an end out of place", t->deal->plan.nonce);
	judge_end(t, trailers);
}

static void on_malformed(void *owner, void *stream, enum reason reason)
{
	struct guest *g = owner;
	const struct talk *t = stream;

	sim_fail(g->w->ring, "%016" PRIx64 ": a malformed answer: %s", t->deal->plan.nonce,
		 reason_label(reason).ptr);
}

static void on_closed(void *owner, void *stream, uint32_t code)
{
	struct guest *g = owner;
	struct talk *t = stream;

	if (t->over)
		return;
	sim_say(g->w->ring, "guest loses %016" PRIx64 " by %u", t->deal->plan.nonce, code);
	if (g->w->calm)
		sim_fail(g->w->ring, "%016" PRIx64 ": calm, but reset by %u", t->deal->plan.nonce,
			 code);
	world_saw(g->w, code == H2_CODE_REFUSED_STREAM ? WORLD_H2_REFUSED
			: t->status > 0                ? WORLD_H2_CUT
						       : WORLD_H2_RESET);
	guest_talk_over(t);
}

static void on_ended(void *owner, void *stream)
{
	(void)owner;
	(void)stream;
}

/* It stopped in the middle of a head, or there was no place to keep the rest of one. */
static bool may_be_a_nuisance(const struct guest *g)
{
	for (uint32_t i = 0; i < g->n_asked; i++)
		if (guest_floods(&g->talks[i].deal->plan))
			return true;
	return g->stop_at != UINT64_MAX || g->w->proxy->options->heads_max < WORLD_VISITORS_MAX;
}

static void on_gone(void *owner, int32_t last_id, uint32_t code)
{
	struct guest *g = owner;

	(void)last_id;
	g->dismissed = true;
	if (code != H2_CODE_NO_ERROR &&
	    !(code == H2_CODE_ENHANCE_YOUR_CALM && may_be_a_nuisance(g)))
		sim_fail(g->w->ring, "guest %u is sent away by %u", g->first, code);
	world_saw(g->w, WORLD_H2_DISMISSED);
}

static void on_pong(void *owner)
{
	guest_progress(owner);
}

static void on_error(void *owner, bool connection, uint32_t code)
{
	struct guest *g = owner;

	if (connection || code != H2_CODE_CANCEL)
		sim_fail(g->w->ring, "guest %u finds fault: %d, %u", g->first, connection, code);
}

const struct h2_events guest_events = {
	.head = on_head,
	.method = on_method,
	.data = on_data,
	.end = on_end,
	.malformed = on_malformed,
	.closed = on_closed,
	.pull = guest_pull,
	.copy = guest_copy,
	.ended = on_ended,
	.gone = on_gone,
	.pong = on_pong,
	.error = on_error,
};
