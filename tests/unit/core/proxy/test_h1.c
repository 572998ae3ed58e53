/* SPDX-License-Identifier: Apache-2.0 */
/* The codec between a client and an upstream, as both see it (stage.c). */
#include "core/proxy/h1.c"

#include "tests/unit/core/proxy/stage.c"

/* --- Slow readers. --------------------------------------------------------------------------- */

enum { BIG = 1 << 20, N_DEAF = 40 };

/* "/small" at once; "/big" as fast as it is taken. */
static void big_and_small(struct peer_end *o)
{
	static const char block[8192];
	uint32_t n;

	if (stage_heard(o, "/small")) {
		o->n_heard = 0;
		memset(o->text, 0, sizeof(o->text));
		stage_say(o, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall");
	}
	if (stage_heard(o, "/big")) {
		o->n_heard = 0;
		memset(o->text, 0, sizeof(o->text));
		stage_say(o, "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n");
		o->to_say = BIG;
	}
	while (o->to_say > 0 && (n = stage_say_bytes(o, block, sizeof(block))) > 0)
		o->to_say -= n;
}

/* Bodies that nobody takes hold many buffers, yet never the last: others are served as ever. */
static void slow_readers_leave_buffers_for_heads(void **state)
{
	static const struct ring_options ring = { .bufs_max = 128,
						  .bufs_kept = 64,
						  .bufs_posted = 8 };
	static const struct sim_options sim = { .send_size = 16384, .window_size = 16384 };

	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct peer_end *c;

		stage_open(seed, &ring, &sim, big_and_small);
		for (int i = 0; i < N_DEAF; i++) {
			struct peer_end *deaf = stage_dial();

			deaf->deaf = true;
			stage_say(deaf, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
		}
		stage_run(2 * S);
		assert_true(ring_stats(st.ring)->bufs_held > N_DEAF);
		c = stage_dial();
		for (uint64_t i = 1; i <= 5; i++) {
			stage_say(c, "GET /small HTTP/1.1\r\nHost: a\r\n\r\n");
			stage_until(c->n_heard > 4 && stage_heard(c, "small"), 20 * MS);
			c->n_heard = 0;
			memset(c->text, 0, sizeof(c->text));
		}
		/* And the slow ones get theirs when they want it. */
		for (int i = 0; i < N_DEAF; i++) {
			st.clients[i].deaf = false;
			hear(&st.clients[i]);
		}
		for (int i = 0; i < N_DEAF; i++)
			stage_until(st.clients[i].n_heard > BIG, 5 * S);
		stage_close();
	}
}

/* --- Refusals. ------------------------------------------------------------------------------- */

/* A HEAD has no body in its answer, also when the rest of its head is unsound or never comes. */
static void a_refused_head_request_gets_no_body(void **state)
{
	static const struct {
		const char *text, *status;
		bool body;
	} cases[] = {
		{ "HEAD / HTTP/1.1\r\n\r\n", " 400 ", false },
		{ "HEAD / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", " 400 ", false },
		{ "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n",
		  " 400 ", false },
		{ "HEAD / HTTP/1.1\r\nHost: a\r\nNever: ends", " 408 ", false },
		{ "HEAD", " 408 ", true },
		{ "GET / HTTP/1.1\r\n\r\n", " 400 ", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct peer_end *c;
		const char *end;

		stage_open(i, &(struct ring_options){ 0 }, &(struct sim_options){ 0 }, NULL);
		c = stage_dial();
		stage_say(c, cases[i].text);
		stage_until(c->ended, 20 * S);
		assert_true(stage_heard(c, cases[i].status));
		end = strstr(c->text, "\r\n\r\n");
		assert_non_null(end);
		assert_int_equal(end[4] == '{', cases[i].body);
		assert_false(!cases[i].body && end[4]);
		assert_int_equal(st.n_origins, 0);
		stage_close();
	}
}

/* --- Answers that come early. ---------------------------------------------------------------- */

/* The test answers the first request; an upload is answered as soon as its head is there. */
static void answers_heads(struct peer_end *o)
{
	if (!stage_heard(o, "\r\n\r\n") || !stage_heard(o, "POST "))
		return;
	stage_say(o, "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
	o->deaf = true;
	o->n_heard = 0;
	memset(o->text, 0, sizeof(o->text));
}

/*
 * On a reused connection, while much of the body that came along with the head
 * waits to be sent: this must not be taken for an answer to nobody.
 */
static void an_early_answer_is_one(void **state)
{
	static const struct sim_options sim = { .send_size = 512, .window_size = 8192 };
	static char body[512];

	(void)state;
	memset(body, 'x', sizeof(body));
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct peer_end *c, *o = &st.origins[0];

		stage_open(seed, &(struct ring_options){ 0 }, &sim, answers_heads);
		c = stage_dial();
		/* The head's end is received with what waits behind it. */
		stage_say(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\n");
		stage_until(stage_heard(o, "GET "), 50 * MS);
		stage_say(c, "Host: a\r\nContent-Length: 100000\r\n\r\n");
		for (int i = 0; i < 30; i++) {
			stage_run(1 * MS);
			(void)stage_say_bytes(c, body, sizeof(body));
		}
		memset(o->text, 0, sizeof(o->text));
		o->n_heard = 0;
		stage_say(o, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		stage_until(stage_heard(c, " 413 ") || stage_heard(c, " 502 "), 50 * MS);
		assert_true(stage_heard(c, " 413 "));
		assert_int_equal(st.n_origins, 1);
		stage_close();
	}
}

/* --- Ends. ----------------------------------------------------------------------------------- */

/* Who takes nothing for the write stall is reset: so the kernel keeps nothing for it either. */
static void who_does_not_read_is_reset(void **state)
{
	static const struct sim_options sim = { .send_size = 16384, .window_size = 16384 };

	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct peer_end *c;

		stage_open(seed, &(struct ring_options){ 0 }, &sim, big_and_small);
		c = stage_dial();
		c->deaf = true;
		stage_say(c, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
		stage_run(29 * S);
		assert_false(c->ended);
		stage_until(c->ended, 3 * S);
		assert_true(c->reset);
		stage_until(st.origins[0].reset, 1 * S);
		stage_close();
	}
}

/* The upstream is told of a client's end also where it does not read what was sent to it. */
static void a_stuck_upstream_is_reset(void **state)
{
	static const struct sim_options sim = { .send_size = 16384, .window_size = 16384 };
	static const char block[8192];

	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct peer_end *c;

		stage_open(seed, &(struct ring_options){ 0 }, &sim, NULL);
		st.options.splice_min = seed & 1 ? 1 : UINT64_MAX;
		c = stage_dial();
		stage_say(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
		stage_until(st.n_origins == 1, 50 * MS);
		st.origins[0].deaf = true;
		for (int i = 0; i < 200; i++) {
			(void)stage_say_bytes(c, block, sizeof(block));
			stage_run(5 * MS);
		}
		assert_false(c->ended || st.origins[0].ended);
		stage_leave(c, true);
		stage_until(st.origins[0].reset, 1 * S);
		stage_close();
	}
}

/* --- Lingering. ------------------------------------------------------------------------------ */

enum { POURED = 400 * 1024 };

/* At once, and keeps the connection. */
static void answers_at_once(struct peer_end *o)
{
	if (!stage_heard(o, "\r\n\r\n"))
		return;
	stage_say(o, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	o->deaf = true;
	memset(o->text, 0, sizeof(o->text));
}

/* All of it, before looking for an answer. */
static void pour(struct peer_end *c, const char *text, size_t len, uint64_t pause_ns)
{
	while (len > 0 && !sim_end_is_reset(c->end)) {
		uint32_t n = stage_say_bytes(c, text, len);

		text += n;
		len -= n;
		stage_run(n > 0 ? pause_ns : 1 * MS);
	}
}

/* However much of its request is not wanted: a client that sends all of it first gets the reply. */
static void what_is_not_wanted_costs_no_reply(void **state)
{
	static const struct {
		const char *head, *status;
		uint64_t pause_ns;
	} cases[] = {
		{ "POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n", " 400 ", 0 },
		{ "POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n", " 400 ", 500 * MS },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", " 200 ", 0 },
		{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", " 200 ", 0 },
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /a HTTP/1.1\r\n\r\n", " 400 ", 0 },
	};
	static const struct sim_options sim = { .send_size = 16384, .window_size = 32768 };
	static char text[POURED];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "ffffff\r\n", 8); /* Where it is chunked: one that goes on and on. */
	for (uint64_t k = 0; k < ARRAY_SIZE(cases) * 4; k++) {
		size_t i = k % ARRAY_SIZE(cases);
		struct peer_end *c;

		stage_open(k, &(struct ring_options){ 0 }, &sim, answers_at_once);
		c = stage_dial();
		c->deaf = true;
		stage_say(c, cases[i].head);
		stage_run(20 * MS);
		pour(c, text, sizeof(text), cases[i].pause_ns);
		sim_end_finish(c->end);
		stage_run(20 * MS);
		if (sim_end_is_reset(c->end))
			fail_msg("seed %llu: reset", (unsigned long long)k);
		c->deaf = false;
		hear(c);
		stage_until(c->ended, 1 * S);
		assert_true(stage_heard(c, cases[i].status));
		assert_false(c->reset);
		stage_close();
	}
}

static void until_the_end(struct peer_end *o)
{
	static const char body[8192];

	if (!stage_heard(o, "\r\n\r\n"))
		return;
	stage_say(o, "HTTP/1.0 200 OK\r\n\r\n");
	assert_int_equal(stage_say_bytes(o, body, sizeof(body)), sizeof(body));
	stage_leave(o, false);
}

/* It has been said with all of it, so there is nothing that a reset would have to tell. */
static void a_slow_reader_gets_an_end_without_length(void **state)
{
	static const struct sim_options sim = { .send_size = 16384, .window_size = 2048 };

	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct peer_end *c;

		stage_open(seed, &(struct ring_options){ 0 }, &sim, until_the_end);
		c = stage_dial();
		c->deaf = true;
		stage_say(c, "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
		stage_run(5 * S);
		c->deaf = false;
		hear(c);
		stage_until(c->ended, 1 * S);
		assert_false(c->reset);
		assert_true(c->n_heard > 8192);
		stage_close();
	}
}

/* Neither one that says nothing more nor one that never stops keeps its connection. */
static void lingering_has_an_end(void **state)
{
	static const char refused[] = "GET / HTTP/1.1\r\n\r\n";

	(void)state;
	for (int drains = 0; drains < 2; drains++) {
		struct peer_end *quiet, *drips;

		stage_open(1, &(struct ring_options){ 0 }, &(struct sim_options){ 0 }, NULL);
		quiet = stage_dial();
		drips = stage_dial();
		stage_say(quiet, refused);
		stage_say(drips, refused);
		stage_run(1 * S);
		stage_say(drips, "x");
		stage_run(3 * S / 2);
		assert_int_equal(st.proxy->clients.n_used, 1);
		if (drains) {
			listener_drain(&st.listener);
			proxy_drain(st.proxy);
		}
		for (int i = 0; i < (drains ? 3 : 26); i++) {
			assert_int_equal(st.proxy->clients.n_used, 1);
			stage_say(drips, "x");
			stage_run(i < 2 ? S / 2 : 1 * S);
		}
		for (int i = 0; i < 5 && !sim_end_is_reset(drips->end); i++) {
			stage_say(drips, "x");
			stage_run(1 * S);
		}
		assert_int_equal(st.proxy->clients.n_used, 0);
		if (!drains)
			listener_drain(&st.listener);
		stage_until(proxy_is_quiet(st.proxy), 2 * S);
		stage_close();
	}
}

/* --- Tunnels. -------------------------------------------------------------------------------- */

#define ASK    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
#define SWITCH "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
#define OK     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static const char *behind_head(const struct peer_end *p)
{
	const char *end = strstr(p->text, "\r\n\r\n");

	return end ? end + 4 : NULL;
}

/* The head, as far as it is there, does not count. */
static uint64_t n_behind_head(const struct peer_end *p)
{
	return behind_head(p) ? p->n_heard - (uint64_t)(behind_head(p) - p->text) : 0;
}

static bool has_echo(const struct peer_end *p, const char *what)
{
	return behind_head(p) && strstr(behind_head(p), what);
}

/* A visitor and its upstream, the 101 between them passed, in a world of that seed. */
static struct peer_end *open_tunnel(uint64_t seed, const struct sim_options *sim)
{
	struct peer_end *c;

	stage_open(seed, &(struct ring_options){ .pipes_max = 8 }, sim, NULL);
	st.options.splice_min = seed & 1 ? 1 : UINT64_MAX;
	c = stage_dial();
	stage_say(c, ASK);
	stage_until(st.n_origins == 1 && behind_head(&st.origins[0]), 50 * MS);
	assert_true(stage_heard(&st.origins[0], "connection: upgrade\r\nupgrade: websocket\r\n"));
	stage_say(&st.origins[0], SWITCH);
	stage_until(behind_head(c), 50 * MS);
	assert_true(
		stage_heard(c, "HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n"));
	return c;
}

static const struct sim_options cut_small = { .send_size = 3000, .window_size = 2000 };

/* Each byte of what follows is in its place, both ways, whatever is spliced of it. */
static void say_much(struct peer_end *from, struct peer_end *to, uint64_t len)
{
	static char bytes[40000];
	uint64_t until = n_behind_head(to) + len, n_said = 0;

	memset(bytes, 'x', sizeof(bytes));
	while (n_said < len) {
		uint64_t n = len - n_said < sizeof(bytes) ? len - n_said : sizeof(bytes);

		n_said += stage_say_bytes(from, bytes, n);
		stage_run(n_said & 1 ? 1 * MS : 0);
		if (n_said < len)
			assert_int_equal(ring_turn(st.ring, 1 * MS), 0);
	}
	stage_until(n_behind_head(to) >= until, 5 * S);
	assert_int_equal(n_behind_head(to), until);
}

static void a_tunnel_passes_ends_on(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct peer_end *c = open_tunnel(seed, seed & 2 ? &cut_small
								: &(struct sim_options){ 0 }),
				*o = &st.origins[0], *first = seed & 4 ? c : o,
				*other = seed & 4 ? o : c;

		say_much(c, o, 100000);
		say_much(o, c, 200000);
		sim_end_finish(first->end);
		stage_until(other->ended, 1 * S);
		assert_false(other->reset || first->ended);
		say_much(other, first, 300000);
		sim_end_finish(other->end);
		stage_until(first->ended, 1 * S);
		assert_false(first->reset);
		assert_int_equal(n_behind_head(o), other == c ? 400000 : 100000);
		stage_until(st.proxy->exchanges.n_used == 0 && st.proxy->upstreams.n_used == 0,
			    100 * MS);
		stage_close();
	}
}

/* Both at once, while much that was said before is on its way to who reads slowly. */
static void no_end_overtakes_bytes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 2 * STAGE_SEEDS; seed++) {
		struct peer_end *c = open_tunnel(seed, &cut_small), *o = &st.origins[0],
				*slow = seed & 2 ? c : o, *other = seed & 2 ? o : c;
		static char bytes[2000];
		uint64_t n_said = 0;

		slow->deaf = true;
		sim_end_finish(slow->end);
		stage_until(other->ended, 1 * S);
		for (int i = 0; i < 100; i++) {
			n_said += stage_say_bytes(other, bytes, sizeof(bytes));
			stage_run(1 * MS);
		}
		sim_end_finish(other->end);
		stage_run(seed * 7 * MS);
		slow->deaf = false;
		hear(slow);
		stage_until(slow->ended, 5 * S);
		assert_false(slow->reset);
		assert_int_equal(n_behind_head(slow), n_said);
		stage_close();
	}
}

static void a_reset_is_passed_on(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 2 * STAGE_SEEDS; seed++) {
		struct peer_end *c = open_tunnel(seed, &cut_small), *o = &st.origins[0],
				*first = seed & 2 ? c : o, *other = seed & 2 ? o : c;
		static char bytes[2000];

		if (seed & 4) /* Also of a side that nobody reads of for now. */
			other->deaf = true;
		for (int i = 0; i < 50; i++) {
			(void)stage_say_bytes(first, bytes, sizeof(bytes));
			stage_run(1 * MS);
		}
		stage_leave(first, true);
		stage_run(100 * MS);
		other->deaf = false;
		hear(other);
		stage_until(other->ended, 1 * S);
		assert_true(other->reset);
		stage_close();
	}
}

/* Before its 101 an upstream hears nothing of it; behind it, all. */
static void early_bytes_wait_for_the_switch(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct peer_end *c, *o = &st.origins[0];

		stage_open(seed, &(struct ring_options){ .pipes_max = 8 },
			   seed & 1 ? &cut_small : &(struct sim_options){ 0 }, NULL);
		st.options.splice_min = seed & 4 ? 1 : UINT64_MAX;
		c = stage_dial();
		stage_say(c, ASK "early");
		stage_run(seed & 2 ? 5 * MS : 0);
		stage_say(c, "later");
		if (seed & 8)
			sim_end_finish(c->end);
		stage_run(200 * MS);
		assert_int_equal(n_behind_head(o), 0);
		stage_say(o, SWITCH "first");
		stage_until(has_echo(o, "earlylater") && has_echo(c, "first"), 50 * MS);
		assert_int_equal(n_behind_head(o), 10);
		if (seed & 8)
			stage_until(o->ended, 50 * MS);
		assert_false(o->reset || c->ended);
		stage_close();
	}
}

/* They may look like a request: they are none, and the connection ends behind the answer. */
static void early_bytes_are_no_request(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 2 * STAGE_SEEDS; seed++) {
		struct peer_end *c, *o = &st.origins[0];

		stage_open(seed, &(struct ring_options){ 0 }, &(struct sim_options){ 0 }, NULL);
		c = stage_dial();
		stage_say(c, ASK);
		stage_until(st.n_origins == 1 && behind_head(o), 50 * MS);
		/* At any time, also when the answer is on its way to us, or from us. */
		if (seed & 1)
			stage_say(o, OK);
		for (uint64_t i = 0; i < seed / 2; i++)
			assert_int_equal(ring_turn(st.ring, 10 * GW_NS_PER_US), 0);
		if (c->n_heard > 0) { /* It knows: this is a request. */
			stage_close();
			continue;
		}
		stage_say(c, "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
		stage_run(seed & 1 ? 0 : 20 * MS);
		if (!(seed & 1))
			stage_say(o, OK);
		stage_until(has_echo(c, "ok"), 50 * MS);
		stage_run(100 * MS);
		assert_false(c->reset);
		/* Those that came when the answer had left may be a request. */
		assert_true(c->ended != stage_heard(o, "smuggled"));
		assert_true((seed & 1) || c->ended);
		stage_close();
	}
}

static void a_declined_switch_leaves_http(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct peer_end *c, *o = &st.origins[0];

		stage_open(seed, &(struct ring_options){ 0 }, &(struct sim_options){ 0 }, NULL);
		c = stage_dial();
		for (int i = 0; i < 3; i++) {
			stage_say(c, ASK);
			stage_until(st.n_origins == 1 && behind_head(o), 50 * MS);
			stage_say(o, OK);
			stage_until(has_echo(c, "ok"), 50 * MS);
			memset(c->text, 0, sizeof(c->text));
			memset(o->text, 0, sizeof(o->text));
			c->n_heard = o->n_heard = 0;
		}
		assert_int_equal(st.n_origins, 1);
		stage_close();
	}
}

/* It holds neither a pipe nor a buffer, however much has passed. */
static void an_idle_tunnel_holds_nothing(void **state)
{
	struct peer_end *c = open_tunnel(1, &(struct sim_options){ 0 }), *o = &st.origins[0];

	(void)state;
	say_much(c, o, 500000);
	say_much(o, c, 500000);
	assert_true(ring_stats(st.ring)->splices > 0);
	stage_run(1 * S);
	assert_int_equal(ring_stats(st.ring)->pipes_held, 0);
	assert_int_equal(ring_stats(st.ring)->bufs_held, 0);
	stage_run(601 * S);
	assert_true(c->ended && o->ended && !c->reset && !o->reset);
	stage_close();
}

/* Its end says so on both sides, behind what had come; who goes on writing reads it all the same. */
static void a_drained_tunnel_ends_in_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct peer_end *c = open_tunnel(seed, &cut_small), *o = &st.origins[0];

		proxy_drain(st.proxy);
		stage_run(9 * S);
		stage_say(c, "still");
		stage_say(o, "here");
		stage_until(has_echo(o, "still") && has_echo(c, "here"), 50 * MS);
		assert_false(c->ended || o->ended);
		c->deaf = true;
		stage_run(1 * S - 60 * MS);
		for (int i = 0; i < 10; i++) {
			(void)stage_say_bytes(c, "too late", 8);
			if (!o->ended)
				stage_say(o, "last");
			stage_run(10 * MS);
		}
		stage_until(o->ended, 1 * S);
		stage_run(100 * MS);
		c->deaf = false;
		hear(c);
		stage_until(c->ended, 1 * S);
		assert_false(c->reset);
		assert_true(has_echo(c, "last"));
		stage_until(proxy_is_quiet(st.proxy) || st.proxy->clients.n_used == 0, 5 * S);
		stage_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slow_readers_leave_buffers_for_heads),
		cmocka_unit_test(a_refused_head_request_gets_no_body),
		cmocka_unit_test(an_early_answer_is_one),
		cmocka_unit_test(who_does_not_read_is_reset),
		cmocka_unit_test(a_stuck_upstream_is_reset),
		cmocka_unit_test(what_is_not_wanted_costs_no_reply),
		cmocka_unit_test(a_slow_reader_gets_an_end_without_length),
		cmocka_unit_test(lingering_has_an_end),
		cmocka_unit_test(a_tunnel_passes_ends_on),
		cmocka_unit_test(no_end_overtakes_bytes),
		cmocka_unit_test(a_reset_is_passed_on),
		cmocka_unit_test(early_bytes_wait_for_the_switch),
		cmocka_unit_test(early_bytes_are_no_request),
		cmocka_unit_test(a_declined_switch_leaves_http),
		cmocka_unit_test(an_idle_tunnel_holds_nothing),
		cmocka_unit_test(a_drained_tunnel_ends_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
