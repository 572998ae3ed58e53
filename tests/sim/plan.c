/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and their answers, made from a nonce. */
#include "tests/sim/plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "tests/sim/token.h"

enum { TEXT_MAX = 512 * 1024 };

uint8_t plan_byte(uint64_t nonce, bool reply, uint64_t at)
{
	return (uint8_t)(hash_u64(nonce * 2 + reply + (at >> 3) * 0x9e3779b97f4a7c15u) >>
			 (8 * (at & 7)));
}

const char *plan_method_name(enum plan_method method)
{
	static const char *const names[] = { "GET", "HEAD", "POST", "PUT", "DELETE" };

	GW_ASSERT(method < PLAN_N_METHODS);
	return names[method];
}

bool plan_is_idempotent(const struct plan *plan)
{
	return plan->method != PLAN_POST;
}

bool plan_is_flawed_head(const struct plan *plan)
{
	return plan->flaw != PLAN_FLAW_NONE && plan->flaw != PLAN_FLAW_CHUNK_SIZE &&
	       plan->flaw != PLAN_FLAW_CHUNK_END;
}

bool plan_is_bodiless(const struct plan *plan)
{
	return plan->method == PLAN_HEAD || plan->status == 204 || plan->status == 304;
}

/* --- Choosing ------------------------------------------------------------------------------ */

static bool one_in(struct rng *rng, uint64_t n)
{
	return rng_below(rng, n) == 0;
}

static uint32_t some_length(struct rng *rng)
{
	static const uint32_t spans[] = { 1, 20, 200, 3000, 20000, 40000, 150000 };

	return (uint32_t)rng_below(rng, spans[rng_below(rng, ARRAY_SIZE(spans))]);
}

static void choose_request(struct plan *p, struct rng *rng)
{
	p->method = (enum plan_method)rng_below(rng, PLAN_N_METHODS);
	p->http10 = one_in(rng, 8);
	p->pad = (uint16_t)(one_in(rng, 6) ? rng_below(rng, 6000) : 0);
	if ((p->method != PLAN_POST && p->method != PLAN_PUT) || one_in(rng, 4))
		return; /* Nobody has to send a body. */
	p->ask_body = p->http10 || one_in(rng, 2) ? PLAN_LENGTH : PLAN_CHUNKED;
	p->ask_len = some_length(rng);
	p->expect = !p->http10 && one_in(rng, 4);
	p->ask_trailers = p->ask_body == PLAN_CHUNKED && one_in(rng, 3);
}

static void choose_reply(struct plan *p, struct rng *rng)
{
	static const uint16_t statuses[] = { 200, 200, 200, 200, 201, 204, 304, 404, 500 };

	p->status = statuses[rng_below(rng, ARRAY_SIZE(statuses))];
	p->reply_len = some_length(rng);
	p->reply_body = one_in(rng, 8)   ? PLAN_UNTIL_CLOSE
			: one_in(rng, 3) ? PLAN_CHUNKED
					 : PLAN_LENGTH;
	if (plan_is_bodiless(p))
		p->reply_body = one_in(rng, 2) ? PLAN_EMPTY : PLAN_LENGTH;
	if (p->status == 204)
		p->reply_body = PLAN_EMPTY;
	p->reply_trailers = p->reply_body == PLAN_CHUNKED && one_in(rng, 3);
	p->reply_close = p->reply_body == PLAN_UNTIL_CLOSE || one_in(rng, 6);
	p->n_interim = (uint8_t)(one_in(rng, 6) ? 1 + rng_below(rng, 2) : 0);
}

/* Only what means something for this request. */
static void choose_flaw(struct plan *p, struct rng *rng)
{
	p->flaw = (enum plan_flaw)(1 + rng_below(rng, PLAN_FLAW_TOKEN - 1));
	if (p->flaw == PLAN_FLAW_CHUNK_SIZE || p->flaw == PLAN_FLAW_CHUNK_END) {
		p->method = PLAN_POST;
		p->http10 = false;
		p->ask_body = PLAN_CHUNKED;
		p->ask_len += 2;
	}
	if (p->flaw == PLAN_FLAW_EXPECTATION)
		p->http10 = false;
	if (p->flaw == PLAN_FLAW_NO_HOST)
		p->http10 = false;
}

static void choose_cut(struct plan *p, struct rng *rng)
{
	p->cut = (enum plan_cut)(1 + rng_below(rng, PLAN_N_CUTS - 1));
	if (p->cut >= PLAN_CUT_RESET_BODY && p->cut <= PLAN_CUT_STALL_BODY) {
		p->method = PLAN_PUT;
		p->ask_body = p->http10 || one_in(rng, 2) ? PLAN_LENGTH : PLAN_CHUNKED;
		p->ask_len += 2;
	}
}

static void choose_trouble(struct plan *p, struct rng *rng)
{
	p->trouble = (enum plan_trouble)(1 + rng_below(rng, PLAN_N_TROUBLES - 1));
	if (p->trouble == PLAN_TROUBLE_BAD_CHUNK)
		p->reply_body = PLAN_CHUNKED;
	if (p->trouble == PLAN_TROUBLE_CONFLICT || p->trouble == PLAN_TROUBLE_SURPLUS)
		p->reply_body = PLAN_LENGTH;
	if (p->trouble >= PLAN_TROUBLE_CONFLICT && p->trouble <= PLAN_TROUBLE_SURPLUS) {
		p->method = p->method == PLAN_HEAD ? PLAN_GET : p->method;
		p->status = 200;
		p->reply_len += 2;
		if (p->reply_body == PLAN_EMPTY)
			p->reply_body = PLAN_LENGTH;
	}
	/* An end by closing is the end, wherever it comes. */
	if (p->trouble == PLAN_TROUBLE_CLOSE_BODY && p->reply_body == PLAN_UNTIL_CLOSE)
		p->reply_body = PLAN_CHUNKED;
	if (p->trouble == PLAN_TROUBLE_UNSOLICITED || p->trouble == PLAN_TROUBLE_IDLE_CLOSE)
		p->reply_close = p->reply_body == PLAN_UNTIL_CLOSE;
}

struct plan plan_make(uint64_t nonce, bool calm)
{
	struct plan p = { .nonce = nonce };
	struct rng rng;

	rng_seed(&rng, nonce);
	choose_request(&p, &rng);
	choose_reply(&p, &rng);
	if (calm)
		return p;
	p.close = one_in(&rng, 8);
	switch (rng_below(&rng, 10)) {
	case 0:
		choose_flaw(&p, &rng);
		break;
	case 1:
	case 2:
		choose_cut(&p, &rng);
		break;
	case 3:
	case 4:
	case 5:
		choose_trouble(&p, &rng);
		break;
	default:
		break;
	}
	if (p.reply_body == PLAN_EMPTY && !plan_is_bodiless(&p)) /* Some trouble needs a body. */
		p.reply_body = PLAN_LENGTH;
	return p;
}

/* Nothing but what can go wrong with a tunnel, too. */
static bool may_be_tunnel(const struct plan *p)
{
	bool cut = p->cut == PLAN_CUT_FIN_BODY || p->cut == PLAN_CUT_STALL_BODY;
	bool trouble =
		p->trouble != PLAN_TROUBLE_NONE && p->trouble != PLAN_TROUBLE_RESET_SOON &&
		p->trouble != PLAN_TROUBLE_CLOSE_SOON && p->trouble != PLAN_TROUBLE_STALL_SOON &&
		p->trouble != PLAN_TROUBLE_RESET_HEAD && p->trouble != PLAN_TROUBLE_RESET_BODY;

	return p->flaw == PLAN_FLAW_NONE && !cut && !trouble;
}

void plan_add_tunnel(struct plan *p)
{
	struct rng rng;

	rng_seed(&rng, p->nonce ^ 0x74756e6e656c);
	if (!may_be_tunnel(p) || !one_in(&rng, 2))
		return;
	p->method = PLAN_GET;
	p->http10 = p->close = p->expect = p->ask_trailers = false;
	p->ask_body = PLAN_EMPTY;
	p->ask_len = 2 + some_length(&rng);
	p->asks_tunnel = true;
	p->tunnel = !one_in(&rng, 3);
	if (p->tunnel) {
		p->status = 101;
		p->reply_body = PLAN_UNTIL_CLOSE;
		p->reply_trailers = false;
		p->reply_close = true;
	} else if (p->reply_body == PLAN_EMPTY && !plan_is_bodiless(p)) {
		p->reply_body = PLAN_LENGTH;
	}
}

void plan_add_token(struct plan *p, bool calm)
{
	struct rng rng;

	rng_seed(&rng, p->nonce ^ 0x746f6b656e);
	p->token = true;
	if (!calm && !p->asks_tunnel && p->flaw == PLAN_FLAW_NONE && p->cut == PLAN_CUT_NONE &&
	    p->trouble == PLAN_TROUBLE_NONE && one_in(&rng, 6))
		p->flaw = PLAN_FLAW_TOKEN;
}

/* --- Writing ------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void add(struct plan_bytes *b, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(b->text + b->len, b->size - b->len, format, args);
	va_end(args);
	GW_ASSERT(n >= 0 && (uint32_t)n < b->size - b->len);
	b->len += (uint32_t)n;
}

static void add_fill(struct plan_bytes *b, uint32_t n)
{
	GW_ASSERT(n < b->size - b->len);
	memset(b->text + b->len, 'p', n);
	b->len += n;
}

static void add_payload(struct plan_bytes *b, uint64_t nonce, bool reply, uint32_t from, uint32_t n)
{
	GW_ASSERT(n < b->size - b->len);
	for (uint32_t i = 0; i < n; i++)
		b->text[b->len++] = (char)plan_byte(nonce, reply, from + i);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the builder writes through it. */
uint32_t plan_trailers(const struct plan *p, bool reply, char text[PLAN_TRAILERS_MAX])
{
	struct plan_bytes b = { .text = text, .size = PLAN_TRAILERS_MAX };
	struct rng rng;

	rng_seed(&rng, p->nonce + 7 + reply);
	for (uint64_t n = 1 + rng_below(&rng, 4); n > 0; n--) {
		add(&b, "x-trailer-%d: %016" PRIx64, (int)n, p->nonce);
		add_fill(&b, (uint32_t)rng_below(&rng, 400));
		add(&b, "\r\n");
	}
	return b.len;
}

/* 'spoil' 1: the last size is none; 2: the last data has no end. */
static void add_chunks(struct plan_bytes *b, const struct plan *p, bool reply, int spoil)
{
	uint32_t len = reply ? p->reply_len : p->ask_len;
	struct rng rng;

	rng_seed(&rng, p->nonce + reply);
	for (uint32_t at = 0; at < len;) {
		uint32_t n = 1 + (uint32_t)rng_below(&rng, len - at);

		n = one_in(&rng, 2) && n > 300 ? 300 : n;
		if (at + n == len && spoil == 1)
			add(b, "0x%x\r\n", n);
		else
			add(b, one_in(&rng, 2) ? "%x\r\n" : "%X\r\n", n);
		add_payload(b, p->nonce, reply, at, n);
		add(b, at + n == len && spoil == 2 ? "zz" : "\r\n");
		at += n;
	}
	add(b, "0\r\n");
	if (reply ? p->reply_trailers : p->ask_trailers)
		b->len += plan_trailers(p, reply, b->text + b->len);
	add(b, "\r\n");
}

static void end_head(struct plan_bytes *b)
{
	add(b, "\r\n");
	b->head_len = b->len;
}

static void add_request_fields(struct plan_bytes *b, const struct plan *p)
{
	char token[TOKEN_MAX];

	if (p->flaw != PLAN_FLAW_NO_HOST)
		add(b, "Host: example.org\r\n");
	add(b, "X-Nonce: %016" PRIx64 "\r\n", p->nonce);
	if (p->pad > 0) {
		add(b, "X-Pad: ");
		add_fill(b, p->pad);
		add(b, "\r\n");
	}
	if (p->token)
		add(b, "Authorization: Bearer %.*s\r\n",
		    SLICE_ARG(token_make(p->nonce, p->flaw != PLAN_FLAW_TOKEN, token)));
	if (p->flaw == PLAN_FLAW_FOLDED)
		add(b, "X-Folded: a\r\n b\r\n");
	if (p->flaw == PLAN_FLAW_BLANK_NAME)
		add(b, "X-Blank : a\r\n");
	for (int i = 0; p->flaw == PLAN_FLAW_HEAD_SIZE && i < 10; i++) {
		add(b, "X-Large-%d: ", i);
		add_fill(b, 7000);
		add(b, "\r\n");
	}
	if (p->expect || p->flaw == PLAN_FLAW_EXPECTATION)
		add(b, "Expect: %s\r\n",
		    p->flaw == PLAN_FLAW_EXPECTATION ? "more" : "100-continue");
	if (p->asks_tunnel)
		add(b, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	else if (p->close)
		add(b, "Connection: close\r\n");
	else if (p->http10)
		add(b, "Connection: keep-alive\r\n");
}

static void add_request_framing(struct plan_bytes *b, const struct plan *p)
{
	bool both = p->flaw == PLAN_FLAW_LENGTH_TE;

	if (p->ask_body == PLAN_LENGTH || both)
		add(b, "Content-Length: %u\r\n", p->ask_len);
	if (p->ask_body == PLAN_CHUNKED || both)
		add(b, "Transfer-Encoding: chunked\r\n");
	if (p->flaw == PLAN_FLAW_LENGTH_TWICE)
		add(b, "Content-Length: %u\r\nContent-Length: %u\r\n", p->ask_len, p->ask_len + 1);
}

static uint32_t cut_of(const struct plan *p, const struct plan_bytes *b, bool in_head)
{
	struct rng rng;

	rng_seed(&rng, p->nonce + 5);
	if (in_head)
		return (uint32_t)rng_below(&rng, b->head_len);
	GW_ASSERT(b->len > b->head_len + 1); /* Or it would be whole. */
	return b->head_len + (uint32_t)rng_below(&rng, b->len - b->head_len - 1);
}

struct plan_bytes plan_request(const struct plan *p)
{
	struct plan_bytes b = { .text = malloc(TEXT_MAX), .size = TEXT_MAX };

	GW_ASSERT(b.text);
	add(&b, "%s /p/%s%016" PRIx64 "?q=%x HTTP/1.%d\r\n", plan_method_name(p->method),
	    p->flaw == PLAN_FLAW_TRAVERSAL ? "../../" : "", p->nonce, p->ask_len, !p->http10);
	add_request_fields(&b, p);
	add_request_framing(&b, p);
	end_head(&b);
	if (p->ask_body == PLAN_LENGTH || p->asks_tunnel)
		add_payload(&b, p->nonce, false, 0, p->ask_len);
	else if (p->ask_body == PLAN_CHUNKED)
		add_chunks(&b, p, false,
			   p->flaw == PLAN_FLAW_CHUNK_SIZE  ? 1
			   : p->flaw == PLAN_FLAW_CHUNK_END ? 2
							    : 0);
	b.cut = b.len;
	b.whole = p->flaw == PLAN_FLAW_NONE ? b.len : UINT32_MAX;
	if (p->cut >= PLAN_CUT_RESET_HEAD && p->cut <= PLAN_CUT_STALL_HEAD)
		b.cut = cut_of(p, &b, true);
	if (p->cut >= PLAN_CUT_RESET_BODY && p->cut <= PLAN_CUT_STALL_BODY)
		b.cut = cut_of(p, &b, false);
	return b;
}

static void add_reply_head(struct plan_bytes *b, const struct plan *p)
{
	bool both = p->trouble == PLAN_TROUBLE_CONFLICT;

	if (p->trouble == PLAN_TROUBLE_GARBAGE)
		add(b, "SMTP 220 at your service\r\n");
	add(b, "HTTP/1.1 %u Some Phrase\r\n", p->status);
	add(b, "X-Nonce: %016" PRIx64 "\r\nServer: origin\r\n", p->nonce);
	if (p->reply_body == PLAN_LENGTH)
		add(b, "Content-Length: %u\r\n", p->reply_len);
	if (p->reply_body == PLAN_CHUNKED || both)
		add(b, "Transfer-Encoding: chunked\r\n");
	if (p->tunnel)
		add(b, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	else if (p->reply_close)
		add(b, "Connection: close\r\n");
	end_head(b);
}

static bool cuts_body(const struct plan *p)
{
	return p->trouble == PLAN_TROUBLE_RESET_BODY || p->trouble == PLAN_TROUBLE_CLOSE_BODY ||
	       p->trouble == PLAN_TROUBLE_STALL_BODY;
}

struct plan_bytes plan_reply(const struct plan *p)
{
	struct plan_bytes b = { .text = malloc(TEXT_MAX), .size = TEXT_MAX };

	GW_ASSERT(b.text);
	for (int i = 0; i < p->n_interim; i++)
		add(&b, "HTTP/1.1 103 Early Hints\r\nX-Hint: %016" PRIx64 "\r\n\r\n", p->nonce);
	add_reply_head(&b, p);
	if (!plan_is_bodiless(p) && p->reply_body == PLAN_CHUNKED)
		add_chunks(&b, p, true, p->trouble == PLAN_TROUBLE_BAD_CHUNK);
	else if (!plan_is_bodiless(p) && p->reply_body != PLAN_EMPTY)
		add_payload(&b, p->nonce, true, 0, p->reply_len);
	b.whole = p->trouble == PLAN_TROUBLE_GARBAGE || p->trouble == PLAN_TROUBLE_CONFLICT ||
				  p->trouble == PLAN_TROUBLE_BAD_CHUNK
			  ? UINT32_MAX
			  : b.len;
	if (p->trouble == PLAN_TROUBLE_SURPLUS)
		add(&b, "surplus\r\n\r\n"); /* No head: it may pass for the next answer. */
	b.cut = b.len;
	if (p->trouble == PLAN_TROUBLE_RESET_HEAD)
		b.cut = cut_of(p, &b, true);
	else if (cuts_body(p))
		b.cut = cut_of(p, &b, false);
	return b;
}

bool plan_find_nonce(struct slice head, uint64_t *ret_nonce)
{
	static const char name[] = "\r\nx-nonce: ";
	size_t len = sizeof(name) - 1;
	uint32_t n = 0;

	for (size_t i = 0; i + len + 16 <= head.len; i++) {
		char digits[17] = { 0 };

		if (strncasecmp(head.ptr + i, name, len) != 0)
			continue;
		memcpy(digits, head.ptr + i + len, 16);
		*ret_nonce = strtoull(digits, NULL, 16);
		n++;
	}
	return n == 1;
}
