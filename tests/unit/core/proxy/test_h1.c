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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
