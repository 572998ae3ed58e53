/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 clients of a whole proxy in virtual time (stage.c). A client is our own
 * session in the other role, or frames written by hand where they are to be wrong.
 */
#include "core/proxy/h2.c"

#include "tests/unit/core/proxy/stage.c"

#include "tests/unit/core/proxy/guest.c"

#include <stdio.h>

#include "core/proxy/client.h"
#include "tests/unit/core/http/h2_wire.h"

enum { BIG = 1 << 20 };

/* Nothing, too, may be said. */
static void say_bytes(struct peer_end *p, const void *bytes, size_t len)
{
	if (len > 0)
		assert_int_equal(stage_say_bytes(p, bytes, len), len);
}

/* --- An origin of HTTP/1. -------------------------------------------------------------------- */

static void forget(struct peer_end *o)
{
	o->n_heard = 0;
	memset(o->text, 0, sizeof(o->text));
}

/* What has come, without what is of no interest any more: the first half of what is too much. */
static bool hears(struct peer_end *o)
{
	static char bytes[STAGE_TEXT / 2];
	int32_t n = sim_end_read(o->end, bytes, sizeof(bytes));

	o->ended = o->ended || (n <= 0 && n != -EAGAIN);
	if (n <= 0)
		return false;
	if (o->n_heard + (uint32_t)n > STAGE_TEXT) {
		o->n_heard = STAGE_TEXT / 4;
		memmove(o->text, o->text + STAGE_TEXT - STAGE_TEXT / 4, STAGE_TEXT / 4);
	}
	memcpy(o->text + o->n_heard, bytes, (size_t)n);
	o->n_heard += (uint32_t)n;
	o->text[o->n_heard] = '\0';
	return true;
}

enum { POSTING = INT32_MAX };

static void looks(struct peer_end *o)
{
	if (o->to_say == 0 && stage_heard(o, "\r\n\r\n")) {
		if (stage_heard(o, " /small")) {
			forget(o);
			stage_say(o, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall");
		} else if (stage_heard(o, " /big")) {
			forget(o);
			stage_say(o, "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n");
			o->to_say = BIG;
		} else if (stage_heard(o, " /post")) {
			o->to_say = POSTING;
		}
	}
	if (o->to_say == POSTING && o->n_heard > 5 &&
	    memcmp(o->text + o->n_heard - 5, "0\r\n\r\n", 5) == 0) {
		forget(o);
		o->to_say = 0;
		stage_say(o, "HTTP/1.1 201 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			     "6\r\nposted\r\n0\r\nx-t: v\r\n\r\n");
	}
}

/* "/small" at once, "/big" as fast as it is taken; "/post" when it has the body. */
static void serves(struct peer_end *o)
{
	static const char block[8192];
	uint32_t n;

	while (o->end && !o->ended && hears(o))
		looks(o);
	while (o->end && o->to_say > 0 && o->to_say != POSTING &&
	       (n = stage_say_bytes(o, block,
				    o->to_say < sizeof(block) ? o->to_say : sizeof(block))) > 0)
		o->to_say -= n;
}

static void open_stage(uint64_t seed, const struct ring_options *ring,
		       const struct sim_options *sim, stage_origin_fn *origin)
{
	guests_forget();
	stage_h2_streams = stage_h2_streams ? stage_h2_streams : 400;
	stage_deaf = origin == serves;
	stage_open(seed, ring, sim, origin);
}

/* Nothing is left, whatever happened. */
static void close_stage(void)
{
	stage_close();
	stage_h2_streams = 0;
	assert_int_equal(h2_shared_stats(guests_shared).used, 0);
}

/* --- What a client by hand has heard. ---------------------------------------------------------- */

static uint32_t count_frames(const struct peer_end *c, uint8_t type)
{
	const uint8_t *at = (const uint8_t *)c->text, *end = at + c->n_heard;
	struct h2_wire_frame f;
	uint32_t n = 0;

	while (h2w_next(&at, end, &f))
		n += f.type == type;
	return n;
}

static uint32_t count_ends(const struct peer_end *c)
{
	const uint8_t *at = (const uint8_t *)c->text, *end = at + c->n_heard;
	struct h2_wire_frame f;
	uint32_t n = 0;

	while (h2w_next(&at, end, &f))
		n += f.type <= H2W_HEADERS && f.flags & H2W_END_STREAM;
	return n;
}

static uint32_t count_resets(const struct peer_end *c, uint32_t code)
{
	const uint8_t *at = (const uint8_t *)c->text, *end = at + c->n_heard;
	struct h2_wire_frame f;
	uint32_t n = 0;

	while (h2w_next(&at, end, &f))
		n += f.type == H2W_RST_STREAM && h2w_number_of(&f, 0) == code;
	return n;
}

/* --- What works. ----------------------------------------------------------------------------- */

static bool all_ended(const struct guest *g)
{
	for (uint32_t i = 0; i < g->n_asks; i++)
		if (!g->asks[i].in_ended)
			return false;
	return true;
}

static void requests_pass(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		const struct sim_options sim = { .send_size = 512u << seed % 8,
						 .window_size = 512u << seed % 7 };
		struct guest *g;

		open_stage(seed, &(struct ring_options){ .bufs_max = 400, .bufs_posted = 8 }, &sim,
			   serves);
		g = visit(0);
		for (int round = 0; round < 3; round++) {
			for (int i = 0; i < 4; i++) {
				ask(g, "/small", "", 0);
				ask(g, "/post", "x: y\r\n", 70000);
			}
			ask(g, "/big", "", 0);
			stage_until(step(g) && all_ended(g), 60 * S);
		}
		for (uint32_t i = 0; i < g->n_asks; i++) {
			struct ask *a = &g->asks[i];

			assert_int_equal(a->code, 0);
			assert_int_equal(a->status, i % 9 % 2 && i % 9 < 8 ? 201 : 200);
			if (i % 9 < 8)
				assert_string_equal(a->text, i % 9 % 2 ? "posted" : "small");
			else
				assert_int_equal(a->n_in, BIG);
		}
		run(g, 10 * MS);
		assert_int_equal(atomic_load(&ring_stats(st.ring)->bufs_held), 0);
		assert_int_equal(st.proxy->h2_streams.n_used, 0);
		part(g, false);
		close_stage();
	}
}

/* --- Which protocol. ------------------------------------------------------------------------- */

/* The preface in two pieces, and a request in two pieces that begins as the preface does. */
static void the_first_bytes_may_come_in_any_pieces(void **state)
{
	static struct h2_wire wire;
	static char post[60000];
	int head = snprintf(post, sizeof(post),
			    "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n");

	(void)state;
	wire.len = 0;
	h2w_preface(&wire);
	h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, 1,
		    ":method: GET\n:scheme: http\n:path: /small\n:authority: a\n");
	for (uint32_t cut = 0; cut <= wire.len; cut++) {
		struct peer_end *c;

		open_stage(cut, &(struct ring_options){ .bufs_max = 64, .bufs_posted = 8 },
			   &(struct sim_options){ 0 }, serves);
		c = stage_dial();
		say_bytes(c, wire.bytes, cut);
		stage_run(5 * MS);
		say_bytes(c, wire.bytes + cut, wire.len - cut);
		stage_until(count_ends(c) == 1, 1 * S);
		close_stage();
	}
	memset(post + head, 'x', 40000);
	for (uint32_t cut = 0; cut <= 30; cut++) {
		struct peer_end *c;

		open_stage(cut, &(struct ring_options){ .bufs_max = 64, .bufs_posted = 8 },
			   &(struct sim_options){ 0 }, serves);
		c = stage_dial();
		say_bytes(c, post, cut);
		stage_run(5 * MS);
		say_bytes(c, post + cut, (size_t)head + 40000 - cut);
		stage_until(stage_heard(c, "small"), 1 * S);
		assert_true(stage_heard(c, "HTTP/1.1 200"));
		close_stage();
	}
}

/* --- Refusals. ------------------------------------------------------------------------------- */

static const struct {
	const char *method, *path, *lines;
	uint16_t status; /* 0: reset. */
	const char *label;
} refused[] = {
	{ "BREW", "/", "", 501, "method_unknown" },
	{ "TRACE", "/", "", 405, "method_not_allowed" },
	{ "GET", "/../x", "", 400, "path_traversal" },
	{ "GET", "/", "x_y: z\n", 400, "header_underscore" },
	{ "GET", "/", "expect: x\n", 417, "expectation_failed" },
	{ "GET", "/", "host: b\n", 0, NULL },
	{ "HEAD", "/../x", "", 400, "" },
	{ "HEAD", "/", "x_y: z\n", 400, "" },
};

/* As in HTTP/1, with the reason as body, but none to a HEAD; and nothing reaches the origin. */
static void refusals_are_answered(void **state)
{
	static struct h2_wire wire;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		for (int end = 0; end < 2; end++) {
			char lines[512];
			struct peer_end *c;
			struct h2_wire_frame f;
			const uint8_t *at;
			uint32_t n_data = 0, n_resets = 0, n_heads = 0;

			open_stage(i, &(struct ring_options){ .bufs_max = 64, .bufs_posted = 8 },
				   &(struct sim_options){ 0 }, NULL);
			c = stage_dial();
			wire.len = 0;
			h2w_preface(&wire);
			snprintf(lines, sizeof(lines),
				 ":method: %s\n:scheme: http\n:path: %s\n:authority: a\n%s",
				 refused[i].method, refused[i].path, refused[i].lines);
			h2w_section(&wire, H2W_HEADERS, end ? H2W_WHOLE : H2W_END_HEADERS, 1,
				    lines);
			say_bytes(c, wire.bytes, wire.len);
			stage_run(50 * MS);
			at = (const uint8_t *)c->text;
			while (h2w_next(&at, (const uint8_t *)c->text + c->n_heard, &f)) {
				n_heads += f.type == H2W_HEADERS;
				n_data += f.type == H2W_DATA;
				n_resets += f.type == H2W_RST_STREAM;
				if (f.type == H2W_DATA && refused[i].label) {
					char body[128] = { 0 };

					memcpy(body, f.payload, f.len);
					assert_non_null(strstr(body, refused[i].label));
				}
			}
			if (n_heads != (refused[i].status > 0) ||
			    n_data != (refused[i].label && refused[i].label[0]) ||
			    n_resets != (!end || !refused[i].status))
				fail_msg("%zu %d: %u heads, %u data, %u resets", i, end, n_heads,
					 n_data, n_resets);
			assert_int_equal(st.n_origins, 0);
			close_stage();
		}
}

/* --- Nothing whole that was not sent whole. ------------------------------------------------------ */

static struct h2_wire by_hand;

/* Has the origin a request, and is it complete? */
static bool origin_holds_all(const struct peer_end *o)
{
	const char *end = strstr(o->text, "\r\n\r\n"), *length;

	if (!end)
		return false;
	if (strstr(o->text, "transfer-encoding: chunked"))
		return strstr(end, "0\r\n\r\n");
	length = strstr(o->text, "content-length: ");
	if (!length)
		return true;
	return strlen(end + 4) >= strtoul(length + 16, NULL, 10);
}

static const struct {
	const char *length;
	const char *data;
	bool end;
} uploads[] = {
	{ "", "hello", false },
	{ "content-length: 5\n", "hello", false },
	{ "content-length: 5\n", "hell", false },
	{ "content-length: 0\n", "", false },
	{ "", "", false },
	{ "content-length: 5\n", "hello", true },
	{ "content-length: 0\n", "", true },
	{ "", "hello", true },
};

/* How it goes on: not at all, a reset, more than was announced, an end of the connection. */
static void no_origin_holds_what_was_not_sent(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(uploads) * 4; i++) {
		size_t k = i / 4;
		struct peer_end *c;
		char lines[256];

		open_stage(i, &(struct ring_options){ .bufs_max = 64, .bufs_posted = 8 },
			   &(struct sim_options){ 0 }, NULL);
		c = stage_dial();
		snprintf(lines, sizeof(lines), "%s%s", H2W_POST, uploads[k].length);
		by_hand.len = 0;
		h2w_preface(&by_hand);
		h2w_section(&by_hand, H2W_HEADERS, H2W_END_HEADERS, 1, lines);
		say_bytes(c, by_hand.bytes, by_hand.len);
		stage_until(st.n_origins == 1, 1 * S);
		by_hand.len = 0;
		h2w_frame(&by_hand, H2W_DATA, uploads[k].end ? H2W_END_STREAM : 0, 1,
			  uploads[k].data, (uint32_t)strlen(uploads[k].data));
		say_bytes(c, by_hand.bytes, by_hand.len);
		stage_run(100 * MS);
		by_hand.len = 0;
		if (i % 4 == 1)
			h2w_number(&by_hand, H2W_RST_STREAM, 1, H2_CODE_CANCEL);
		else if (i % 4 == 2)
			h2w_frame(&by_hand, H2W_DATA, 0, 1, "more", 4);
		say_bytes(c, by_hand.bytes, by_hand.len);
		if (i % 4 == 3)
			sim_end_finish(c->end);
		stage_run(100 * MS);
		if (origin_holds_all(&st.origins[0]) != uploads[k].end)
			fail_msg("%zu: %s", i, st.origins[0].text);
		close_stage();
	}
}

/* --- Flow. ----------------------------------------------------------------------------------- */

static const struct ring_options some_bufs = { .bufs_max = 512,
					       .bufs_kept = 256,
					       .bufs_posted = 8 };

/* Clients that take nothing hold a bounded number of buffers, and others are served. */
static void slow_readers_are_bounded(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct guest *slow, *quick;
		uint64_t held;

		open_stage(seed, &some_bufs, &(struct sim_options){ 0 }, serves);
		slow = visit(0);
		for (int i = 0; i < 40; i++)
			ask(slow, "/big", "", 0)->holds = true;
		run(slow, 2 * S);
		for (int i = 0; i < 40; i++)
			assert_true(slow->asks[i].n_in <= 65536);
		held = atomic_load(&ring_stats(st.ring)->bufs_held);
		assert_in_range(held, 40, 40 * 4);
		quick = visit(1);
		ask(quick, "/small", "", 0);
		stage_until(step(quick) && all_ended(quick), 1 * S);
		assert_int_equal(quick->asks[0].status, 200);
		part(quick, false);
		/* When it takes them they come, to the end. */
		for (int i = 0; i < 40; i++) {
			slow->asks[i].holds = false;
			h2_session_grant(slow->session, slow->asks[i].id,
					 (uint32_t)slow->asks[i].n_in);
		}
		stage_until(step(slow) && all_ended(slow), 60 * S);
		part(slow, false);
		close_stage();
	}
}

/* An origin that does not read: its client gets rid of no more than its windows. */
static void slow_origins_are_bounded(void **state)
{
	static const struct sim_options sim = { .send_size = 4096, .window_size = 4096 };

	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct guest *g;
		uint64_t sent = 0;

		open_stage(seed, &some_bufs, &sim, NULL);
		stage_deaf = true;
		g = visit(0);
		for (int i = 0; i < 40; i++)
			ask(g, "/post", "", 1 << 20);
		run(g, 3 * S);
		for (int i = 0; i < 40; i++)
			sent += (1 << 20) - g->asks[i].left;
		assert_true(sent <= H2_WINDOW_CONNECTION + 40 * 3 * 8192 + 65536);
		assert_in_range(atomic_load(&ring_stats(st.ring)->bufs_held), 40, 40 * 4);
		stage_deaf = false;
		part(g, true);
		stage_run(1 * S);
		assert_int_equal(atomic_load(&ring_stats(st.ring)->bufs_held), 0);
		close_stage();
	}
}

static uint32_t score_of_first(void)
{
	uint32_t slot = 0;
	const struct client *client = slab_next(&st.proxy->clients, &slot);

	return client->h2.session->score.points;
}

/* Row 223: reset by CANCEL after the write stall, and remembered. */
static void a_closed_window_is_not_waited_for_longer(void **state)
{
	struct guest *g;

	(void)state;
	open_stage(1, &some_bufs, &(struct sim_options){ 0 }, serves);
	g = visit(0);
	ask(g, "/big", "", 0)->holds = true;
	run(g, 29 * S);
	assert_false(g->asks[0].over);
	run(g, 3 * S);
	assert_true(g->asks[0].over && g->asks[0].code == H2_CODE_CANCEL);
	assert_true(score_of_first() >= H2_SCORE_STALLED);
	assert_false(g->peer->ended);
	ask(g, "/small", "", 0);
	stage_until(step(g) && g->asks[1].in_ended, 1 * S);
	part(g, false);
	close_stage();
}

static void stops_in_the_middle(struct peer_end *o)
{
	static const char block[8192];
	int n_left = 40;

	if (!stage_heard(o, "\r\n\r\n"))
		return;
	forget(o);
	stage_say(o, "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n");
	while (n_left-- > 0 && stage_say_bytes(o, block, sizeof(block)) > 0)
		;
}

/* That an upstream breaks is no fault of the clients that read slowly. */
static void a_broken_upstream_is_not_the_clients_fault(void **state)
{
	struct guest *g;

	(void)state;
	open_stage(1, &some_bufs, &(struct sim_options){ 0 }, stops_in_the_middle);
	g = visit(0);
	for (int i = 0; i < 30; i++)
		ask(g, "/big", "", 0)->holds = true;
	run(g, 1 * S);
	for (uint32_t i = 0; i < st.n_origins; i++)
		if (st.origins[i].end)
			stage_leave(&st.origins[i], true);
	run(g, 1 * S);
	for (int i = 0; i < 30; i++)
		assert_true(g->asks[i].over && g->asks[i].code == H2_CODE_INTERNAL_ERROR);
	assert_true(score_of_first() < H2_SCORE_STALLED);
	part(g, false);
	close_stage();
}

/* Who takes in long answers may measure the way with a PING for each piece, as gRPC's clients do. */
static void who_takes_much_may_ping(void **state)
{
	struct guest *g;
	uint64_t before = 0;
	uint32_t n = 0;

	(void)state;
	open_stage(1, &some_bufs, &(struct sim_options){ .window_size = 16384 }, serves);
	g = visit(0);
	for (int i = 0; i < 30; i++)
		ask(g, "/big", "", 0);
	while (!all_ended(g)) {
		uint64_t sum = 0;

		run(g, 1 * MS);
		assert_int_equal(g->n_gone, 0);
		for (uint32_t i = 0; i < g->n_asks; i++)
			sum += g->asks[i].n_in;
		if (sum == before)
			continue;
		before = sum;
		h2_session_ping(g->session);
		g->session->score.points = 0; /* The guest counts answers to that. */
		n++;
	}
	assert_true(n > H2_SCORE_LIMIT);
	assert_true(score_of_first() < H2_SCORE_WARN);
	part(g, false);
	close_stage();
}

/* --- Ends. ----------------------------------------------------------------------------------- */

static void drain(void)
{
	listener_drain(&st.listener);
	proxy_drain(st.proxy);
}

static void idle_connections_end_in_a_drain(void **state)
{
	(void)state;
	for (int asked = 0; asked < 2; asked++) {
		struct guest *g;

		open_stage(1, &some_bufs, &(struct sim_options){ 0 }, serves);
		g = visit(0);
		run(g, 50 * MS);
		if (asked) {
			ask(g, "/small", "", 0);
			stage_until(step(g) && all_ended(g), 1 * S);
		}
		drain();
		run(g, 2 * S);
		assert_true(g->n_gone > 0 && g->goaway == 0);
		assert_true(g->peer->ended);
		part(g, false);
		close_stage();
	}
}

static void running_requests_end_in_a_drain(void **state)
{
	struct guest *g;

	(void)state;
	open_stage(1, &some_bufs, &(struct sim_options){ .window_size = 4096 }, serves);
	g = visit(0);
	ask(g, "/big", "", 0);
	run(g, 50 * MS);
	assert_false(all_ended(g));
	drain();
	run(g, 50 * MS);
	ask(g, "/small", "", 0); /* It had not heard. */
	stage_until(step(g) && g->asks[0].in_ended, 60 * S);
	assert_int_equal(g->asks[0].n_in, BIG);
	stage_until(step(g) && g->peer->ended, 3 * S);
	part(g, false);
	stage_until(proxy_is_quiet(st.proxy), 3 * S);
	close_stage();
}

/* It does not hear that it is to go, and asks without a pause. Its connection ends all the same. */
static void who_does_not_listen_ends_in_a_drain(void **state)
{
	static struct h2_wire wire;
	struct peer_end *c;
	uint32_t id = 1, n_answers = 0;

	(void)state;
	open_stage(1, &some_bufs, &(struct sim_options){ 0 }, NULL);
	c = stage_dial();
	wire.len = 0;
	h2w_preface(&wire);
	h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, id,
		    ":method: GET\n:scheme: http\n:path: /never\n:authority: a\n");
	say_bytes(c, wire.bytes, wire.len);
	stage_run(50 * MS);
	forget(c);
	drain();
	for (int i = 0; i < 400 && !sim_end_is_reset(c->end) && !c->ended; i++) {
		wire.len = 0;
		h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, id += 2,
			    ":method: OPTIONS\n:scheme: http\n:path: *\n:authority: a\n");
		say_bytes(c, wire.bytes, wire.len);
		stage_run(10 * MS);
		n_answers += count_frames(c, H2W_HEADERS);
		forget(c);
	}
	/* Some were served, but not for ever. */
	assert_in_range(n_answers, 1, H2_STREAMS_MAX);
	close_stage();
}

static void a_half_closed_client_is_answered(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct guest *g;

		open_stage(seed, &some_bufs, &(struct sim_options){ 0 }, serves);
		g = visit(0);
		ask(g, "/small", "", 0);
		ask(g, "/post", "", 5000);
		ask(g, "/post", "", 5000)->no_end = true;
		step(g);
		sim_end_finish(g->peer->end);
		g->silent = true;
		stage_until(step(g) && g->asks[0].in_ended && g->asks[1].in_ended, 1 * S);
		stage_until(step(g) && g->peer->ended, 1 * S);
		assert_false(g->asks[2].in_ended);
		part(g, false);
		close_stage();
	}
}

/* A head that does not come to its end, also while others are served; and a client that is idle. */
static void deadlines_hold(void **state)
{
	static struct h2_wire wire;

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct peer_end *c;

		open_stage(1, &some_bufs, &(struct sim_options){ 0 }, serves);
		c = stage_dial();
		wire.len = 0;
		h2w_preface(&wire);
		if (kind == 2)
			h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, 1,
				    ":method: POST\n:scheme: http\n:path: /\n:authority: a\n");
		if (kind > 0)
			h2w_section(&wire, H2W_HEADERS, 0, 3, H2W_GET);
		say_bytes(c, wire.bytes, wire.len);
		stage_run(9 * S);
		assert_false(c->ended);
		stage_run(2 * S);
		if (!c->ended || c->reset)
			fail_msg("kind %d: %d %d", kind, c->ended, c->reset);
		stage_run(3 * S);
		assert_int_equal(st.proxy->clients.n_used, 0);
		close_stage();
	}
}

/* --- Bounds. --------------------------------------------------------------------------------- */

static void the_101st_stream_is_refused(void **state)
{
	static struct h2_wire wire;
	struct peer_end *c;

	(void)state;
	open_stage(1, &some_bufs, &(struct sim_options){ 0 }, NULL);
	c = stage_dial();
	wire.len = 0;
	h2w_preface(&wire);
	for (uint32_t i = 0; i < 103; i++)
		h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, 1 + 2 * i, H2W_POST);
	say_bytes(c, wire.bytes, wire.len);
	stage_run(1 * MS);
	assert_int_equal(count_resets(c, H2_CODE_REFUSED_STREAM), 3);
	stage_leave(c, true);
	stage_run(10 * MS);
	assert_int_equal(st.proxy->exchanges.n_used, 0);
	close_stage();
}

static void the_total_of_streams_is_limited(void **state)
{
	struct guest *g;

	(void)state;
	open_stage(1, &some_bufs, &(struct sim_options){ 0 }, serves);
	st.options.h2_total_max = 5;
	g = visit(0);
	for (int i = 0; i < 5; i++) {
		ask(g, "/small", "", 0);
		stage_until(step(g) && all_ended(g), 1 * S);
	}
	stage_until(step(g) && g->peer->ended, 3 * S);
	assert_true(g->n_gone > 0 && g->goaway == 0);
	part(g, false);
	close_stage();
}

/* With all places taken by others: refused, to be asked again; and charged, since each costs a frame. */
static void used_up_streams_are_refused(void **state)
{
	struct guest *a, *b;

	(void)state;
	stage_h2_streams = 10;
	open_stage(1, &some_bufs, &(struct sim_options){ 0 }, serves);
	a = visit(0);
	for (int i = 0; i < 10; i++)
		ask(a, "/never", "", 0);
	run(a, 50 * MS);
	b = visit(1);
	for (int i = 0; i < 3; i++)
		ask(b, "/small", "", 0);
	run(b, 50 * MS);
	for (int i = 0; i < 3; i++)
		assert_true(b->asks[i].over && b->asks[i].code == H2_CODE_REFUSED_STREAM);
	part(a, true);
	run(b, 50 * MS);
	ask(b, "/small", "", 0);
	stage_until(step(b) && b->asks[3].in_ended, 1 * S);
	part(b, false);
	close_stage();
}

/* However many it asks for, who takes no answers gets the session to its end, not the memory. */
static void refusals_do_not_pile_up(void **state)
{
	static const struct sim_options sim = { .send_size = 2048, .window_size = 65536 };
	static struct h2_wire wire;
	struct peer_end *c;
	uint32_t id = 1;

	(void)state;
	stage_h2_streams = 1;
	open_stage(1, &some_bufs, &sim, NULL);
	c = stage_dial();
	c->deaf = true;
	wire.len = 0;
	h2w_preface(&wire);
	say_bytes(c, wire.bytes, wire.len);
	stage_run(5 * MS);
	while (id < 40000 && !sim_end_is_reset(c->end) && st.proxy->clients.n_used > 0) {
		wire.len = 0;
		for (int i = 0; i < 20; i++, id += 2)
			h2w_get(&wire, id);
		if (stage_say_bytes(c, (char *)wire.bytes, wire.len) < wire.len)
			break;
		stage_run(5 * MS);
	}
	assert_true(h2_shared_stats(st.proxy->h2).used < 512 * 1024);
	close_stage();
}

/* Rows 225: a hundred refusals that no window lets through hold no buffer, and leave when one opens. */
static void refusals_wait_without_buffers(void **state)
{
	static const uint8_t no_window[] = { 0, 4, 0, 0, 0, 0 },
			     window[] = { 0, 4, 0, 0, 255, 255 };
	static struct h2_wire wire;
	struct peer_end *c;

	(void)state;
	open_stage(1, &some_bufs, &(struct sim_options){ 0 }, NULL);
	st.table->enabled = false;
	c = stage_dial();
	wire.len = 0;
	h2w_preface(&wire);
	h2w_frame(&wire, H2W_SETTINGS, 0, 0, no_window, sizeof(no_window));
	for (uint32_t i = 0; i < H2_STREAMS_MAX; i++)
		h2w_get(&wire, 1 + 2 * i);
	say_bytes(c, wire.bytes, wire.len);
	stage_run(20 * MS);
	assert_int_equal(st.proxy->h2_streams.n_used, H2_STREAMS_MAX);
	assert_in_range(ring_stats(st.ring)->bufs_held, 0, 2);
	wire.len = 0;
	h2w_frame(&wire, H2W_SETTINGS, 0, 0, window, sizeof(window));
	say_bytes(c, wire.bytes, wire.len);
	stage_until(st.proxy->h2_streams.n_used == 0, 1 * S);
	close_stage();
}

static void used_up_heads_end_connections(void **state)
{
	static struct h2_wire wire;
	int n_ended = 0;

	(void)state;
	open_stage(1, &some_bufs, &(struct sim_options){ 0 }, serves);
	wire.len = 0;
	h2w_preface(&wire);
	h2w_section(&wire, H2W_HEADERS, 0, 1, H2W_GET);
	for (int i = 0; i < 20; i++)
		say_bytes(stage_dial(), wire.bytes, wire.len);
	stage_run(100 * MS);
	assert_int_equal(st.proxy->heads.n_used, 16);
	for (int i = 0; i < 20; i++)
		n_ended += st.clients[i].ended;
	assert_int_equal(n_ended, 4);
	stage_run(14 * S);
	assert_int_equal(st.proxy->heads.n_used, 0);
	close_stage();
}

/* With all buffers held nothing can be said; later all is as before, or the connection has ended. */
static void used_up_buffers_are_survived(void **state)
{
	static const struct ring_options ring = { .bufs_max = 24, .bufs_posted = 4 };

	(void)state;
	for (uint64_t seed = 1; seed <= 4 * STAGE_SEEDS; seed++) {
		struct ring_buf *held[24];
		uint32_t n = 0, left = (uint32_t)(seed % 4);
		struct guest *g;

		open_stage(seed, &ring, &(struct sim_options){ 0 }, serves);
		g = visit(0);
		run(g, 20 * MS);
		for (int i = 0; i < 3; i++) {
			ask(g, "/post", "", 30000 * (uint64_t)i);
			ask(g, "/big", "", 0);
		}
		step(g);
		stage_run(seed % 5 * 100000);
		while (n < 24 && (held[n] = ring_buf_take(st.ring)))
			n++;
		for (uint32_t i = 0; i < left && n > 0; i++)
			ring_buf_give(st.ring, held[--n]);
		run(g, 50 * MS);
		while (n > 0)
			ring_buf_give(st.ring, held[--n]);
		run(g, 300 * MS);
		for (uint32_t i = 0; i < g->n_asks; i++) /* A whole answer is whole. */
			if (g->asks[i].in_ended && g->asks[i].status == 200)
				assert_true(g->asks[i].n_in == BIG || g->asks[i].n_in == 5);
		part(g, true);
		g = visit(1);
		ask(g, "/small", "", 0);
		stage_until(step(g) && all_ended(g), 2 * S);
		part(g, false);
		close_stage();
	}
}

/* CVE-2023-44487: of streams that are opened and reset, few ask anything of an upstream. */
static void rapid_resets_are_ended(void **state)
{
	static struct h2_wire wire;
	struct peer_end *c;
	uint32_t id = 1;

	(void)state;
	open_stage(1, &some_bufs, &(struct sim_options){ 0 }, NULL);
	c = stage_dial();
	wire.len = 0;
	h2w_preface(&wire);
	while (id < 2000 && !c->ended && !sim_end_is_reset(c->end)) {
		for (int i = 0; i < 5; i++, id += 2) {
			h2w_get(&wire, id);
			h2w_number(&wire, H2W_RST_STREAM, id, H2_CODE_CANCEL);
		}
		say_bytes(c, wire.bytes, wire.len);
		wire.len = 0;
		stage_run(1 * MS);
	}
	stage_run(3 * S);
	assert_true(id < 2 * 110);
	assert_int_equal(st.proxy->clients.n_used, 0);
	close_stage();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_pass),
		cmocka_unit_test(the_first_bytes_may_come_in_any_pieces),
		cmocka_unit_test(refusals_are_answered),
		cmocka_unit_test(no_origin_holds_what_was_not_sent),
		cmocka_unit_test(slow_readers_are_bounded),
		cmocka_unit_test(slow_origins_are_bounded),
		cmocka_unit_test(a_closed_window_is_not_waited_for_longer),
		cmocka_unit_test(a_broken_upstream_is_not_the_clients_fault),
		cmocka_unit_test(who_takes_much_may_ping),
		cmocka_unit_test(idle_connections_end_in_a_drain),
		cmocka_unit_test(running_requests_end_in_a_drain),
		cmocka_unit_test(who_does_not_listen_ends_in_a_drain),
		cmocka_unit_test(a_half_closed_client_is_answered),
		cmocka_unit_test(deadlines_hold),
		cmocka_unit_test(the_101st_stream_is_refused),
		cmocka_unit_test(the_total_of_streams_is_limited),
		cmocka_unit_test(used_up_streams_are_refused),
		cmocka_unit_test(refusals_do_not_pile_up),
		cmocka_unit_test(refusals_wait_without_buffers),
		cmocka_unit_test(used_up_heads_end_connections),
		cmocka_unit_test(used_up_buffers_are_survived),
		cmocka_unit_test(rapid_resets_are_ended),
	};

	return cmocka_run_group_tests(tests, guests_begin, guests_end);
}
