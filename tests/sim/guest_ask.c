/* SPDX-License-Identifier: Apache-2.0 */
/* A client of HTTP/2: what it asks. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/http/h2_write.h"
#include "tests/sim/guest_private.h"
#include "tests/sim/token.h"

#define MS UINT64_C(1000000)

enum { TEXT_MAX = 96 * 1024 };

/* Any pair, whatever a real writer would say to it: in the form of h2_write.h. */
static void put(struct writer *out, const char *name, const char *value)
{
	const uint16_t lens[2] = { (uint16_t)strlen(name), (uint16_t)strlen(value) };

	writer_bytes(out, lens, sizeof(lens));
	writer_put(out, slice_of(name));
	writer_put(out, slice_of(value));
}

static void put_length(struct writer *out, uint32_t n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	put(out, "content-length", text);
}

/* Of flaws in a body: more bytes, or fewer, than were announced. */
static bool is_flawed_body(const struct plan *p)
{
	return p->flaw == PLAN_FLAW_CHUNK_SIZE || p->flaw == PLAN_FLAW_CHUNK_END;
}

static void put_flaw(struct writer *out, const struct plan *p)
{
	static char large[7001];

	memset(large, 'p', sizeof(large) - 1);
	if (!guest_floods(p)) /* So much that it is in the table after the first. */
		large[3700] = '\0';
	if (p->flaw == PLAN_FLAW_LENGTH_TE)
		put(out, "transfer-encoding", "chunked");
	if (p->flaw == PLAN_FLAW_LENGTH_TWICE)
		put_length(out, p->ask_len + 1);
	if (p->flaw == PLAN_FLAW_FOLDED)
		put(out, "x-folded", "a\r\n b");
	if (p->flaw == PLAN_FLAW_BLANK_NAME)
		put(out, "x-blank ", "a");
	for (int i = 0; p->flaw == PLAN_FLAW_HEAD_SIZE && i < 10; i++)
		put(out, "x-large", large);
	if (p->flaw == PLAN_FLAW_EXPECTATION)
		put(out, "expect", "more");
}

static void put_request(struct writer *out, const struct plan *p)
{
	char text[128], pad[6001], token[TOKEN_MAX + 8];

	put(out, ":method", plan_method_name(p->method));
	put(out, ":scheme", "http");
	snprintf(text, sizeof(text), "/p/%s%016" PRIx64 "?q=%x",
		 p->flaw == PLAN_FLAW_TRAVERSAL ? "../../" : "", p->nonce, p->ask_len);
	put(out, ":path", text);
	if (p->flaw != PLAN_FLAW_NO_HOST)
		put(out, ":authority", "example.org");
	snprintf(text, sizeof(text), "%016" PRIx64, p->nonce);
	put(out, "x-nonce", text);
	if (p->pad > 0) {
		memset(pad, 'p', p->pad);
		pad[p->pad] = '\0';
		put(out, "x-pad", pad);
	}
	if (p->token) {
		memcpy(token, "Bearer ", 7);
		token[7 + token_make(p->nonce, p->flaw != PLAN_FLAW_TOKEN, token + 7).len] = '\0';
		put(out, "authorization", token);
	}
	if (p->expect)
		put(out, "expect", "100-continue");
	if (p->ask_body == PLAN_LENGTH || is_flawed_body(p) || p->flaw == PLAN_FLAW_LENGTH_TWICE)
		put_length(out, p->ask_len);
	put_flaw(out, p);
	GW_ASSERT(!out->overflow);
}

/* Where the body stops: now and then with all its bytes said, and only its end not. */
static uint32_t cut_of(const struct talk *t)
{
	const struct plan *p = &t->deal->plan;
	struct rng rng;

	if (p->cut < PLAN_CUT_RESET_BODY || p->cut > PLAN_CUT_STALL_BODY)
		return UINT32_MAX;
	rng_seed(&rng, p->nonce + 5);
	return rng_below(&rng, 2) ? t->end : (uint32_t)rng_below(&rng, t->end);
}

static void begin(struct guest *g, struct talk *t, struct deal *deal)
{
	static char text[TEXT_MAX];
	struct writer out = writer_make(text, sizeof(text));
	const struct plan *p = &deal->plan;
	bool end = p->ask_body == PLAN_EMPTY && !is_flawed_body(p);

	*t = (struct talk){ .g = g, .deal = deal, .end = p->ask_len, .may_continue = !p->expect };
	if (p->flaw == PLAN_FLAW_CHUNK_SIZE)
		t->end++;
	else if (p->flaw == PLAN_FLAW_CHUNK_END)
		t->end--;
	t->cut = cut_of(t);
	deal->asked_ns = ring_now_ns(g->w->ring);
	deal->ask_head = true;
	deal->ask_whole = end && p->flaw == PLAN_FLAW_NONE;
	put_request(&out, p);
	sim_say(g->w->ring,
		"guest %u asks %016" PRIx64 " %s body %d of %u flaw %d cut %d; status %u body %d "
		"of %u trouble %d",
		g->first, p->nonce, plan_method_name(p->method), p->ask_body, p->ask_len, p->flaw,
		p->cut, p->status, p->reply_body, p->reply_len, p->trouble);
	t->id = h2_session_request(g->session, writer_slice(&out), end, t);
	if (p->cut == PLAN_CUT_RESET_HEAD)
		guest_give_up(t);
	else if (p->cut == PLAN_CUT_FIN_HEAD || p->cut == PLAN_CUT_STALL_HEAD)
		g->stop_at = g->out_total + g->out_len - g->out_at + p->nonce % 40;
	if (p->expect)
		sim_event_at(g->w->ring, &g->grant, ring_now_ns(g->w->ring) + 1000 * MS);
}

void guest_ask(struct guest *g)
{
	while (!g->dismissed && !g->finishes && g->n_asked < g->n &&
	       g->n_asked - g->n_over < g->manners.at_a_time) {
		struct talk *t = &g->talks[g->n_asked];

		begin(g, t, &g->w->deals[g->first + g->n_asked++]);
		if (t->id < 0)
			guest_talk_over(t);
		if (g->n_asked - g->n_over > 1)
			world_saw(g->w, WORLD_H2_BESIDE);
	}
	if (g->n_asked == g->n && g->manners.says_goodbye)
		h2_session_refuse_more(g->session);
}

void guest_go_on(struct guest *g)
{
	for (uint32_t i = 0; i < g->n_asked; i++) {
		struct talk *t = &g->talks[i];

		if (t->over || t->may_continue)
			continue;
		t->may_continue = true;
		if (t->waits)
			h2_session_resume(g->session, t->id);
		t->waits = false;
	}
}

/* --- Bodies. --------------------------------------------------------------------------------- */

/* The body is not to go on: what this guest does instead. */
static void stop(struct talk *t)
{
	if (t->over) /* It has been answered already. */
		return;
	if (t->deal->plan.cut == PLAN_CUT_RESET_BODY)
		guest_give_up(t);
	else if (t->deal->plan.cut == PLAN_CUT_FIN_BODY)
		t->g->finishes = true;
}

static struct slice trailers_of(const struct plan *p)
{
	static char lines[PLAN_TRAILERS_MAX], text[PLAN_TRAILERS_MAX];
	struct writer out = writer_make(text, sizeof(text));

	h2_write_lines(&out, slice_make(lines, plan_trailers(p, false, lines)));
	GW_ASSERT(!out.overflow);
	return writer_slice(&out);
}

int32_t guest_pull(void *owner, void *stream, uint32_t max, bool *ret_end,
		   struct slice *ret_trailers)
{
	struct talk *t = stream;
	const struct plan *p = &t->deal->plan;
	uint32_t until = t->cut < t->end ? t->cut : t->end;
	uint32_t n = until - t->sent < max ? until - t->sent : max;
	bool end = t->cut == UINT32_MAX && t->sent + n == t->end;

	(void)owner;
	if (!t->may_continue || (n == 0 && !end)) {
		t->waits = true;
		if (t->may_continue)
			stop(t);
		return -EAGAIN;
	}
	*ret_end = end;
	if (end)
		t->deal->ask_whole = p->flaw == PLAN_FLAW_NONE; /* Before a byte of it leaves. */
	if (end && p->ask_trailers)
		*ret_trailers = trailers_of(p);
	return (int32_t)n;
}

void guest_copy(void *owner, void *stream, uint8_t *to, uint32_t len)
{
	struct talk *t = stream;

	(void)owner;
	for (uint32_t i = 0; i < len; i++)
		to[i] = plan_byte(t->deal->plan.nonce, false, t->sent + i);
	t->sent += len;
}
