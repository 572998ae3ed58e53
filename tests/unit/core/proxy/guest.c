/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.c - for tests: clients that speak HTTP/2 to the proxy of stage.c, each by a
 * session of ours in the client's role, in the clear or in TLS.
 */
#include <stdio.h>

#include "core/http/h2_session.h"
#include "core/http/h2_write.h"
#include "tests/sim/cord.h"

static const struct http_rewrite as_it_is;

enum { ASKS = 300, SAY = 65536, BODY_TEXT = 200, LINES_TEXT = 600 };

/* One request of it, and what was answered. */
struct ask {
	int32_t id;
	uint16_t status, n_infos;
	uint64_t left; /* Of its body; */
	bool no_end;   /* which goes on for ever. */
	bool holds;    /* Grants nothing. */
	bool in_ended, out_ended, over;
	uint32_t code; /* Of a reset. */
	uint64_t n_in;
	char text[BODY_TEXT + 1]; /* The first of it. */
	char fields[LINES_TEXT];  /* Of the head: "name: value\r\n" each. */
	char trailers[LINES_TEXT];
};

static struct guest {
	struct peer_end *peer;
	struct cord *cord; /* In the place of the peer's end. */
	struct h2_session *session;
	struct ask asks[ASKS];
	uint32_t n_asks, n_gone, goaway;
	int32_t last_gone;
	bool silent; /* Says nothing that it was not told to. */
	struct h2_block scratch, held;
	uint8_t said[SAY];
	uint32_t said_len, said_at;
} guests[4];

static struct h2_shared *guests_shared;

static void keep_fields(struct ask *a, const struct http_head *head)
{
	struct writer out = writer_make(a->fields, sizeof(a->fields) - 1);

	for (uint32_t i = 0; i < head->n_fields; i++)
		writer_field(&out, http_text(head, head->fields[i].name),
			     http_text(head, head->fields[i].value));
	assert_false(out.overflow);
}

static void g_head(void *owner, int32_t id, void *stream, struct http_head *head, bool last,
		   const struct http_refusal *refusal)
{
	struct ask *a = stream;

	(void)owner;
	(void)id;
	if (refusal)
		fail_msg("%d: %u", a->id, refusal->reason);
	if (head->status < 200) {
		a->n_infos++;
		return;
	}
	assert_int_equal(a->status, 0);
	a->status = head->status;
	keep_fields(a, head);
	a->in_ended = last;
}

static uint8_t g_method(void *owner, void *stream)
{
	struct ask *a = stream;

	(void)owner;
	return a->left == UINT64_MAX ? HTTP_HEAD : HTTP_GET;
}

static void g_data(void *owner, void *stream, const uint8_t *bytes, uint32_t len)
{
	struct guest *g = owner;
	struct ask *a = stream;

	assert_true(a->status > 0 && !a->in_ended);
	for (uint32_t i = 0; i < len && a->n_in + i < BODY_TEXT; i++)
		a->text[a->n_in + i] = (char)bytes[i];
	a->n_in += len;
	if (!a->holds)
		h2_session_grant(g->session, a->id, len);
}

static void g_end(void *owner, void *stream, struct slice trailers)
{
	struct ask *a = stream;

	(void)owner;
	assert_false(a->in_ended);
	assert_true(trailers.len < sizeof(a->trailers));
	if (trailers.len > 0)
		memcpy(a->trailers, trailers.ptr, trailers.len);
	a->in_ended = true;
}

static void g_malformed(void *owner, void *stream, enum reason reason)
{
	struct ask *a = stream;

	(void)owner;
	fail_msg("answer to %d is malformed: %u", a->id, reason);
}

static void g_closed(void *owner, void *stream, uint32_t code)
{
	struct ask *a = stream;

	(void)owner;
	a->over = true;
	a->code = code;
}

static int32_t g_pull(void *owner, void *stream, uint32_t max, bool *ret_end,
		      struct slice *ret_trailers)
{
	struct ask *a = stream;

	(void)owner;
	(void)ret_trailers;
	*ret_end = !a->no_end && a->left <= max;
	if (a->left == 0 && a->no_end)
		return -EAGAIN;
	return (int32_t)(a->left < max ? a->left : max);
}

static void g_copy(void *owner, void *stream, uint8_t *to, uint32_t len)
{
	struct ask *a = stream;

	(void)owner;
	memset(to, 'u', len);
	a->left -= len;
}

static void g_ended(void *owner, void *stream)
{
	(void)owner;
	((struct ask *)stream)->out_ended = true;
}

static void g_gone(void *owner, int32_t last_id, uint32_t code)
{
	struct guest *g = owner;

	g->n_gone++;
	g->last_gone = last_id;
	g->goaway = code;
}

static void g_pong(void *owner)
{
	(void)owner;
}

static void g_error(void *owner, bool connection, uint32_t code)
{
	(void)owner;
	if (connection || code != H2_CODE_CANCEL) /* Which is the guest's own wish. */
		fail_msg("the gateway was wrong: %d %u", connection, code);
}

static const struct h2_events guest_events = {
	.head = g_head,
	.method = g_method,
	.data = g_data,
	.end = g_end,
	.malformed = g_malformed,
	.closed = g_closed,
	.pull = g_pull,
	.copy = g_copy,
	.ended = g_ended,
	.gone = g_gone,
	.pong = g_pong,
	.error = g_error,
};

static void open_session(struct guest *g)
{
	assert_int_equal(
		h2_session_open(guests_shared, H2_CLIENT, false, &guest_events, g, &g->session), 0);
}

__attribute__((unused)) static struct guest *visit(uint32_t i)
{
	struct guest *g = &guests[i];

	memset(g, 0, sizeof(*g));
	g->peer = stage_dial();
	g->peer->deaf = true;
	open_session(g);
	return g;
}

static void cord_tells(struct cord *cord, void *owner)
{
	(void)cord;
	(void)owner; /* It looks by itself. */
}

/* By TLS, as the plan has it. */
__attribute__((unused)) static struct guest *visit_sealed(uint32_t i, const struct cord_plan *plan)
{
	static const struct ring_addr from = { .family = AF_INET, .ip = { 192, 0, 2, 2 } };
	static struct peer_end nowhere[ARRAY_SIZE(guests)];
	struct guest *g = &guests[i];

	memset(g, 0, sizeof(*g));
	nowhere[i] = (struct peer_end){ 0 };
	g->peer = &nowhere[i];
	g->cord = cord_dial(st.ring, &stage_front, &from, plan);
	assert_non_null(g->cord);
	cord_watch(g->cord, cord_tells, g);
	open_session(g);
	return g;
}

static void part(struct guest *g, bool reset)
{
	h2_session_close(g->session);
	g->session = NULL;
	if (g->peer->end)
		stage_leave(g->peer, reset);
	if (g->cord)
		cord_close(g->cord, reset);
	g->cord = NULL;
}

static int32_t g_read(struct guest *g, void *bytes, uint32_t size)
{
	return g->cord ? cord_read(g->cord, bytes, size) : sim_end_read(g->peer->end, bytes, size);
}

static uint32_t g_write(struct guest *g, const void *bytes, uint32_t len)
{
	int32_t n;

	if (!g->cord)
		return stage_say_bytes(g->peer, bytes, len);
	n = cord_write(g->cord, bytes, len);
	return n > 0 ? (uint32_t)n : 0;
}

static void g_hear(struct guest *g)
{
	uint8_t bytes[8192];
	int32_t n;

	while ((n = g_read(g, bytes, sizeof(bytes))) > 0) {
		bool held = h2_session_in_section(g->session);

		h2_session_feed(g->session, held ? &g->held : &g->scratch, bytes, (uint32_t)n,
				ring_now_ns(st.ring));
		if (!held && h2_session_in_section(g->session))
			h2_block_move(&g->held, &g->scratch);
	}
	g->peer->ended = g->peer->ended || n != -EAGAIN;
}

static void g_say(struct guest *g)
{
	while (!g->silent) {
		if (g->said_at == g->said_len) {
			g->said_len = h2_session_write(g->session, g->said, SAY / 2);
			g->said_at = 0;
		}
		if (g->said_len == 0)
			return;
		g->said_at += g_write(g, g->said + g->said_at, g->said_len - g->said_at);
		if (g->said_at < g->said_len)
			return;
	}
}

/* What can be heard and said now; true, for use in conditions. */
static bool step(struct guest *g)
{
	if (g->peer->end || g->cord) {
		g_hear(g);
		g_say(g);
	}
	return true;
}

__attribute__((unused)) static void run(struct guest *g, uint64_t span_ns)
{
	uint64_t until_ns = ring_now_ns(st.ring) + span_ns;

	while (ring_now_ns(st.ring) < until_ns) {
		step(g);
		stage_run(1 * MS);
	}
	step(g);
}

/* 'len' UINT64_MAX: a HEAD, which has none. */
static struct ask *ask(struct guest *g, const char *path, const char *lines, uint64_t len)
{
	const struct h1_framing framing = { .body = HTTP_BODY_NONE };
	bool post = len != 0 && len != UINT64_MAX;
	struct http_head head = { .method = post ? HTTP_POST : HTTP_GET };
	struct ask *a = &g->asks[g->n_asks++];
	char text[512], room[4096];
	struct writer out = writer_make(room, sizeof(room));
	int n = snprintf(text, sizeof(text), "POSTHEADGETa%s", path);

	assert_true(g->n_asks <= ASKS && n < (int)sizeof(text));
	head.base = text;
	head.method_text = post                ? (struct http_span){ 0, 4 }
			   : len == UINT64_MAX ? (struct http_span){ 4, 4 }
					       : (struct http_span){ 8, 3 };
	head.host = (struct http_span){ 11, 1 };
	head.path = (struct http_span){ 12, (uint16_t)(n - 12) };
	h2_write_request(&out, &head, SLICE("http"), &as_it_is, slice_of(lines), &framing);
	*a = (struct ask){ .left = len };
	a->id = h2_session_request(g->session, writer_slice(&out), !post, a);
	assert_true(a->id > 0);
	return a;
}

static void guests_forget(void)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(guests); i++) { /* Of a test that has failed. */
		if (guests[i].session)
			h2_session_close(guests[i].session);
		guests[i].session = NULL;
	}
}

static int guests_begin(void **state)
{
	(void)state;
	return h2_shared_create(16 << 20, &guests_shared);
}

static int guests_end(void **state)
{
	(void)state;
	h2_shared_destroy(guests_shared);
	return 0;
}
