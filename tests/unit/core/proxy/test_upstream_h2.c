/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 to upstreams, through a whole proxy in virtual time: origins by hand, guests as clients. */
#include "core/proxy/upstream_codec.c"

#include "tests/unit/core/proxy/stage.c"

#include "tests/unit/core/proxy/guest.c"
#include "tests/unit/core/proxy/hand.c"

#include "core/base/metric_render.h"

static const struct ring_options bufs = { .bufs_max = 1024, .bufs_kept = 256, .bufs_posted = 8 };

#define GRPC "content-type: application/grpc\r\nte: trailers\r\n"

static void begin_with(uint64_t seed, const struct ring_options *ring,
		       const struct sim_options *sim)
{
	guests_forget();
	memset(hands, 0, sizeof(hands));
	plan = (struct hand_plan){ .streams_max = UINT32_MAX, .window = UINT32_MAX };
	stage_h2_streams = stage_h2_streams ? stage_h2_streams : 800;
	stage_deaf = true;
	stage_open(seed, ring, sim, by_hand);
	one_service(st.table)->protocol = POLICY_H2C;
}

static void begin(uint64_t seed)
{
	begin_with(seed, &bufs, &(struct sim_options){ 0 });
}

static int64_t gauge(enum metric_gauge id)
{
	const struct metric_view view = { .sets = &st.metrics, .n_sets = 1 };

	return metric_sum_gauge(&view, id);
}

/* Nothing is left, whatever happened. */
static void end(void)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(guests); i++)
		if (guests[i].session)
			part(&guests[i], true);
	stage_run(10 * MS);
	assert_int_equal(st.proxy->exchanges.n_used, 0);
	assert_int_equal(st.proxy->endpoints[0].n_active, 0);
	assert_int_equal(atomic_load(&ring_stats(st.ring)->bufs_held), 0);
	proxy_abort(st.proxy);
	stage_run(2 * S + 100 * MS);
	assert_int_equal(st.proxy->endpoints[0].n_open, 0);
	assert_int_equal(st.proxy->h2_streams.n_used, 0);
	assert_int_equal(gauge(METRIC_UPSTREAM_ACTIVE), 0);
	assert_int_equal(gauge(METRIC_UPSTREAM_IDLE), 0);
	stage_close();
	stage_h2_streams = 0;
	stage_upstreams_max = STAGE_PEERS;
	assert_int_equal(h2_shared_stats(guests_shared).used, 0);
}

static bool steps(void)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(guests); i++)
		if (guests[i].session)
			step(&guests[i]);
	return true;
}

static void pass(uint64_t span_ns)
{
	uint64_t until_ns = ring_now_ns(st.ring) + span_ns;

	while (ring_now_ns(st.ring) < until_ns) {
		steps();
		stage_run(span_ns < 1 * S ? 1 * MS : 50 * MS);
	}
	steps();
}

#define until(cond) stage_until(steps() && (cond), 5 * S)

static struct ask *get(struct guest *g)
{
	return ask(g, "/", "", 0);
}

/* A POST with so much of a body, and more to come unless 'whole'. */
static struct ask *post(struct guest *g, const char *lines, uint64_t len, bool whole)
{
	struct ask *a = ask(g, "/", lines, 1);

	a->left = len;
	a->no_end = !whole;
	return a;
}

__attribute__((unused)) static void push(struct guest *g, struct ask *a, uint64_t len, bool whole)
{
	a->left += len;
	a->no_end = !whole;
	h2_session_resume(g->session, a->id);
}

static bool is_ok(const struct ask *a)
{
	return a->in_ended && a->status == 200 && strcmp(a->text, "ok") == 0;
}

static uint32_t n_ok(const struct guest *g)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->n_asks; i++)
		n += is_ok(&g->asks[i]);
	return n;
}

/* Refused with that reason; and a request that was refused lets its connection live. */
static bool is_refused(const struct ask *a, uint16_t status, const char *label)
{
	return a->in_ended && a->status == status && strstr(a->text, label);
}

static void assert_refused(const struct ask *a, uint16_t status, const char *label)
{
	if (!is_refused(a, status, label))
		fail_msg("%u %s, code %u, ended %d: not %u %s", a->status, a->text, a->code,
			 a->in_ended, status, label);
}

static uint32_t n_heard(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < st.n_origins; i++)
		n += hands[i].n;
	return n;
}

/* One connection, idle, on which a request was answered. */
static struct hand *warm(struct guest *g)
{
	struct ask *a = get(g);

	plan.answers = true;
	until(is_ok(a));
	plan.answers = false;
	pass(5 * MS);
	assert_int_equal(st.n_origins, 1);
	assert_int_equal(st.proxy->idle.n, 1);
	return &hands[0];
}

/* --- Sharing. -------------------------------------------------------------------------------- */

static void requests_share_one_connection(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct guest *a, *b;

		begin(seed);
		a = visit(0);
		b = visit(1);
		for (int i = 0; i < 50; i++) {
			get(a);
			get(b);
		}
		until(n_heard() == 100);
		pass(50 * MS);
		assert_int_equal(st.n_origins, 1);
		assert_int_equal(gauge(METRIC_UPSTREAM_ACTIVE), 1);
		hand_answer_all(&hands[0]);
		until(n_ok(a) == 50 && n_ok(b) == 50);
		pass(5 * MS);
		assert_int_equal(st.proxy->idle.n, 1);
		assert_int_equal(hands[0].n_gone + hands[0].n_pings, 0);
		end();
	}
}

/* And the one with the least to do gets the next. */
static void the_101st_request_has_another_connection(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct guest *g[3];

		begin(seed);
		for (uint32_t i = 0; i < 3; i++)
			g[i] = visit(i);
		warm(g[0]);
		for (int i = 0; i < 40; i++)
			for (uint32_t j = 0; j < 3; j++)
				get(g[j]);
		until(n_heard() == 121);
		assert_int_equal(st.n_origins, 2);
		assert_int_equal(hands[0].n_running, 100);
		assert_int_equal(hands[1].n_running, 20);
		for (uint32_t i = 0; i < 70; i++)
			hand_answer(&hands[0], hands[0].streams[1 + i].id);
		pass(50 * MS);
		for (uint32_t i = 0; i < 20; i++)
			get(g[0]);
		until(n_heard() == 141);
		pass(5 * MS);
		assert_int_equal(st.n_origins, 2);
		assert_in_range(hands[0].n_running, 34, 36);
		assert_in_range(hands[1].n_running, 34, 36);
		hand_answer_all(&hands[0]);
		hand_answer_all(&hands[1]);
		until(n_ok(g[0]) == 61 && n_ok(g[1]) == 40 && n_ok(g[2]) == 40);
		pass(5 * MS);
		assert_int_equal(st.proxy->idle.n, 2);
		end();
	}
}

/* However many begin at once, no connection has more than its peer has allowed. */
static void the_limit_of_the_peer_holds(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct guest *g;

		begin(seed);
		g = visit(0);
		plan.streams_max = 1 + seed % 4;
		for (int i = 0; i < 20; i++)
			get(g);
		until(n_heard() == 20);
		pass(5 * MS);
		assert_int_equal(st.n_origins, (20 + seed % 4) / (1 + seed % 4));
		for (uint32_t i = 0; i < st.n_origins; i++) {
			assert_true(hands[i].n_running_max <= plan.streams_max);
			hand_answer_all(&hands[i]);
		}
		until(n_ok(g) == 20);
		end();
	}
}

/* Who allows none is asked nothing, and nobody waits for it. */
static void a_peer_that_allows_no_stream_is_no_upstream(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct guest *g;

		begin(seed);
		g = visit(0);
		plan.streams_max = 0;
		for (int i = 0; i < 3; i++)
			get(g);
		until(g->asks[0].in_ended && g->asks[1].in_ended && g->asks[2].in_ended);
		for (int i = 0; i < 3; i++)
			assert_refused(&g->asks[i], 503, "overload_upstream");
		assert_int_equal(n_heard(), 0);
		pass(50 * MS);
		assert_int_equal(st.proxy->upstreams.n_used, 0);
		end();
	}
}

static void a_limit_may_change(void **state)
{
	(void)state;
	for (uint32_t limit = 0; limit < 3; limit++) {
		struct guest *g;
		struct hand *h;

		begin(limit);
		g = visit(0);
		h = warm(g);
		for (int i = 0; i < 4; i++)
			get(g);
		until(h->n_running == 4);
		hand_setting(h, 3, limit);
		pass(5 * MS);
		for (int i = 0; i < 4; i++)
			get(g);
		until(n_heard() == 9);
		assert_int_equal(st.n_origins, 2);
		assert_int_equal(h->n_running, 4); /* Those that run go on. */
		hand_setting(h, 3, 50);
		pass(5 * MS);
		hand_answer(h, h->streams[1].id);
		pass(5 * MS);
		for (int i = 0; i < 4; i++)
			get(g);
		until(n_heard() == 13);
		assert_int_equal(st.n_origins, 2);
		assert_in_range(h->n_running, 5, 6);
		hand_answer_all(h);
		hand_answer_all(&hands[1]);
		until(n_ok(g) == 13);
		end();
	}
}

/* An idle connection that takes no more goes. */
static void a_limit_of_none_ends_an_idle_connection(void **state)
{
	struct guest *g;
	struct hand *h;

	(void)state;
	begin(1);
	g = visit(0);
	h = warm(g);
	hand_setting(h, 3, 0);
	pass(50 * MS);
	assert_int_equal(st.proxy->upstreams.n_used, 0);
	assert_true(h->peer->ended);
	end();
}

/* Heads and bodies of many come in any order, all at once: none is taken for another's. */
static void answers_are_not_mixed_up(void **state)
{
	enum { N = 20 };

	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct peer_end *c[N];
		struct hand *h;
		char text[128];

		begin(seed);
		h = warm(visit(0));
		for (int i = 0; i < N; i++) {
			c[i] = stage_dial();
			stage_say(c[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
			until(h->n_running == (uint32_t)i + 1);
		}
		for (int i = 0; i < N; i++) {
			if ((seed + (uint64_t)i) % 3 == 0)
				h2w_section(&hand_wire, H2W_HEADERS, H2W_END_HEADERS,
					    h->streams[1 + i].id, ":status: 103\nlink: l\n");
			snprintf(text, sizeof(text), ":status: 200\ncontent-length: 3\nx-id: %d\n",
				 100 + i);
			h2w_section(&hand_wire, H2W_HEADERS, H2W_END_HEADERS, h->streams[1 + i].id,
				    text);
		}
		for (int i = 0; i < N; i++) {
			snprintf(text, sizeof(text), "%d", 100 + i);
			h2w_frame(&hand_wire, H2W_DATA, H2W_END_STREAM, h->streams[1 + i].id, text,
				  3);
		}
		hand_say(h);
		for (int i = 0; i < N; i++)
			hand_has_said(h, h->streams[1 + i].id);
		for (int i = 0; i < N; i++) {
			snprintf(text, sizeof(text), "\r\n\r\n%d", 100 + i);
			until(stage_heard(c[i], text));
			snprintf(text, sizeof(text), "x-id: %d\r\n", 100 + i);
			assert_true(stage_heard(c[i], text));
			assert_true(stage_heard(c[i], "HTTP/1.1 200 "));
		}
		end();
	}
}

/* What had not begun when the limit went down is tried elsewhere. */
static void what_has_not_begun_is_tried_elsewhere(void **state)
{
	static const struct sim_options sim = { .send_size = 4096, .window_size = 4096 };

	(void)state;
	for (uint32_t limit = 0; limit < 4; limit++) {
		struct guest *g;
		struct hand *h;

		begin_with(limit, &bufs, &sim);
		plan.window = 1 << 20;
		g = visit(0);
		h = warm(g);
		hand_number(h, H2W_WINDOW_UPDATE, 0, 1 << 20);
		pass(5 * MS);
		h->deaf = true;
		plan.answers = true;
		post(g, "", 60000, true);
		pass(5 * MS); /* The write of its body does not end. */
		for (int i = 0; i < 6; i++)
			get(g);
		pass(5 * MS);
		hand_setting(h, 3, limit);
		pass(5 * MS);
		h->deaf = false;
		by_hand(h->peer);
		until(n_ok(g) == 8);
		assert_in_range(h->n, 2, 2 + limit);
		end();
	}
}

/* --- Connecting. ----------------------------------------------------------------------------- */

static enum sim_welcome no_welcome(void *owner)
{
	(void)owner;
	return SIM_REFUSE;
}

static enum sim_welcome silence(void *owner)
{
	(void)owner;
	return SIM_SILENCE;
}

static void those_that_wait_hear_that_it_fails(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3 * STAGE_SEEDS; seed++) {
		static const struct {
			uint16_t status;
			const char *label;
		} want[] = { { 502, "connect" },
			     { 504, "connect_timeout" },
			     { 504, "connect_timeout" } };
		struct guest *g;

		begin(seed);
		if (seed % 3 == 0)
			st.host.welcome = no_welcome;
		else if (seed % 3 == 1)
			st.host.welcome = silence;
		else
			plan.mute = true; /* Reached, but it does not say that it speaks HTTP/2. */
		g = visit(0);
		for (int i = 0; i < 10; i++)
			get(g);
		pass(2100 * MS);
		for (int i = 0; i < 10; i++)
			assert_refused(&g->asks[i], want[seed % 3].status, want[seed % 3].label);
		assert_int_equal(n_heard(), 0);
		assert_in_range(st.n_origins, 0, 1);
		assert_int_equal(st.proxy->upstreams.n_used, 0);
		end();
	}
}

static void cancel(struct guest *g, struct ask *a)
{
	h2_session_reset(g->session, a->id, H2_CODE_CANCEL);
	a->over = true;
}

/* Some of those that wait go; the others get their streams, or nobody is left. */
static void those_that_wait_may_go(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 2 * STAGE_SEEDS; seed++) {
		bool all = seed % 2;
		struct guest *g;

		begin(seed);
		plan.mute = true;
		g = visit(0);
		for (int i = 0; i < 10; i++)
			get(g);
		until(hands[0].greeted);
		pass(seed % 5 * 100000);
		for (int i = 0; i < 10; i++)
			if (all || i % 3 == 0)
				cancel(g, &g->asks[i]);
		pass(5 * MS);
		assert_int_equal(st.proxy->exchanges.n_used, all ? 0 : 6);
		if (all) {
			assert_int_equal(st.proxy->upstreams.n_used, 0);
			end();
			continue;
		}
		plan.mute = false;
		plan.answers = true;
		hand_greet(&hands[0]);
		until(n_ok(g) == 6);
		assert_int_equal(n_heard(), 6);
		end();
	}
}

/* --- Refusals by the peer. --------------------------------------------------------------------- */

static uint32_t n_retries(void)
{
	const struct metric_view view = { .sets = &st.metrics, .n_sets = 1 };

	return (uint32_t)metric_sum_counter(&view, METRIC_UPSTREAM_RETRIES);
}

/* Those beyond the last id are asked elsewhere, once; the others end here; then it is over. */
static void goaway_ends_in_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct guest *g;
		struct peer_end *p;
		struct hand *h;

		begin(seed);
		g = visit(0);
		h = warm(g);
		for (int i = 0; i < 5; i++)
			get(g);
		until(h->n_running == 5);
		p = stage_dial();
		stage_say(p, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
		until(h->n_running == 6);
		hand_goaway(h, h->streams[2].id, 0);
		until(st.n_origins == 2 && hands[1].n == 4);
		pass(50 * MS);
		assert_int_equal(n_retries(), 4);
		assert_false(h->peer->ended);
		get(g);
		until(hands[1].n == 5);
		hand_answer(h, h->streams[1].id);
		hand_answer(h, h->streams[2].id);
		hand_answer_all(&hands[1]);
		until(n_ok(g) == 7);
		until(stage_heard(p, "HTTP/1.1 200"));
		until(h->peer->ended);
		assert_int_equal(h->goaway, 0);
		assert_false(h->peer->reset);
		end();
	}
}

/* What is refused a second time is refused. */
static void goaway_is_retried_once(void **state)
{
	struct guest *g;
	struct hand *h;

	(void)state;
	begin(1);
	g = visit(0);
	h = warm(g);
	get(g);
	until(h->n_running == 1);
	hand_goaway(h, h->streams[0].id, 0);
	until(hands[1].n == 1);
	hand_goaway(&hands[1], 0, 0);
	until(g->asks[1].in_ended);
	assert_refused(&g->asks[1], 502, "reset");
	pass(50 * MS);
	assert_int_equal(st.n_origins, 2);
	assert_int_equal(st.proxy->upstreams.n_used, 0);
	end();
}

/* GOAWAY, then the end of the connection: who was not refused is lost, if it was not answered. */
static void goaway_and_close(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct guest *g;
		struct hand *h;
		struct ask *a;

		begin(seed);
		g = visit(0);
		h = warm(g);
		post(g, "", 10, true);
		until(h->n == 2);
		hand_section(h, h->streams[1].id, ":status: 200\n", false);
		a = post(g, "", 10, true);
		get(g);
		until(h->n == 4 && g->asks[1].status == 200);
		hand_goaway(h, h->streams[2].id, 0);
		stage_leave(h->peer, seed % 2);
		until(g->asks[1].over && a->in_ended && st.n_origins == 2 && hands[1].n == 1);
		assert_false(g->asks[1].in_ended);
		assert_refused(a, 502, "reset");
		hand_answer_all(&hands[1]);
		until(is_ok(&g->asks[3]));
		end();
	}
}

/* Idle, it goes. */
static void goaway_ends_an_idle_connection(void **state)
{
	struct guest *g;
	struct hand *h;

	(void)state;
	begin(1);
	g = visit(0);
	h = warm(g);
	hand_goaway(h, h->streams[0].id, 0);
	until(h->peer->ended);
	pass(5 * MS);
	assert_int_equal(st.proxy->upstreams.n_used, 0);
	get(g);
	until(st.n_origins == 2 && hands[1].n == 1);
	hand_answer_all(&hands[1]);
	until(n_ok(g) == 2);
	end();
}

enum { NO_BODY, WHOLE_BODY };

static void refused_streams_are_retried(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct guest *g;
		struct ask *a, *b;
		struct hand *h;

		begin(seed);
		g = visit(0);
		h = warm(g);
		a = get(g);
		until(h->n == 2);
		b = post(g, "", 10, true);
		until(h->n == 3);
		hand_reset(h, h->streams[1].id, H2_CODE_REFUSED_STREAM);
		hand_reset(h, h->streams[2].id, H2_CODE_REFUSED_STREAM);
		until(n_heard() == 4 && b->in_ended);
		assert_refused(b, 502, "reset"); /* Something of its body was given away. */
		assert_int_equal(n_retries(), 1);
		hand_answer_all(h);
		if (st.n_origins > 1)
			hand_answer_all(&hands[1]);
		until(is_ok(a));
		end();
	}
}

/* None of it has left: its peer has no window. It goes elsewhere, whole, and what still comes too. */
static void a_body_that_has_not_left_is_sent_elsewhere(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		bool whole = seed % 2;
		struct guest *g;
		struct hand *h;
		struct ask *a;

		begin(seed);
		plan.window = 0;
		g = visit(0);
		h = warm(g);
		plan.window = 100000;
		a = post(g, "", 10, whole);
		until(h->n == 2);
		pass(5 * MS); /* The body has come, and waits. */
		hand_reset(h, h->streams[1].id, H2_CODE_REFUSED_STREAM);
		until(hands[1].n == 1);
		if (!whole)
			push(g, a, 20000, true);
		until(hands[1].streams[0].ended);
		assert_int_equal(hands[1].streams[0].n_in, whole ? 10 : 20010);
		assert_int_equal(n_retries(), 1);
		hand_answer_all(&hands[1]);
		until(is_ok(a));
		end();
	}
}

static const struct {
	uint32_t code;
	bool head;
	uint16_t status; /* 0: cut. */
	const char *label;
} resets[] = {
	{ H2_CODE_NO_ERROR, false, 502, "reset" },
	{ H2_CODE_INTERNAL_ERROR, false, 502, "reset" },
	{ H2_CODE_CANCEL, false, 502, "reset" },
	{ H2_CODE_HTTP_1_1_REQUIRED, false, 502, "upstream_protocol_mismatch" },
	{ H2_CODE_NO_ERROR, true, 0, "" },
	{ H2_CODE_INTERNAL_ERROR, true, 0, "" },
	{ H2_CODE_REFUSED_STREAM, true, 0, "" },
};

/* A reset is of one request; others on the connection go on. */
static void resets_are_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(resets); i++) {
		struct guest *g;
		struct ask *a, *b;
		struct hand *h;

		begin(i);
		g = visit(0);
		h = warm(g);
		a = get(g);
		until(h->n == 2);
		b = get(g);
		until(h->n == 3);
		if (resets[i].head)
			hand_section(h, h->streams[1].id, ":status: 200\ncontent-length: 3\n",
				     false);
		hand_reset(h, h->streams[1].id, resets[i].code);
		until(a->over);
		if (resets[i].status)
			assert_refused(a, resets[i].status, resets[i].label);
		assert_int_equal(a->in_ended, resets[i].status > 0);
		pass(5 * MS);
		assert_int_equal(n_retries(), 0);
		hand_answer(h, h->streams[2].id);
		until(is_ok(b));
		get(g);
		until(h->n == 4);
		assert_int_equal(st.n_origins, 1);
		hand_answer_all(h);
		end();
	}
}

/* Who may be tried again is, on one other connection together. */
static void a_lost_connection_is_replaced(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 2 * STAGE_SEEDS; seed++) {
		struct guest *g;
		struct hand *h;
		struct ask *lost, *cut;

		begin(seed);
		g = visit(0);
		h = warm(g);
		cut = get(g);
		until(h->n == 2);
		hand_section(h, h->streams[1].id, ":status: 200\ncontent-length: 30\n", false);
		lost = post(g, "", 5, true);
		for (int i = 0; i < 7; i++)
			get(g);
		until(h->n == 10 && cut->status == 200);
		if (seed % 3 == 0)
			hand_say((hand_wire.len = 0,
				  h2w_frame(&hand_wire, H2W_SETTINGS, 0, 1, NULL, 0), h));
		else
			stage_leave(h->peer, seed % 3 == 1);
		until(st.n_origins == 2 && hands[1].n == 7 && cut->over && lost->in_ended);
		assert_int_equal(lost->status, 502);
		assert_false(cut->in_ended);
		assert_int_equal(n_retries(), 7);
		if (seed % 2) {
			hand_answer_all(&hands[1]);
			until(n_ok(g) == 8);
		} else { /* Not a third time. */
			stage_leave(hands[1].peer, true);
			pass(50 * MS);
			for (uint32_t i = 3; i < g->n_asks; i++)
				assert_refused(&g->asks[i], 502, "reset");
			assert_int_equal(st.n_origins, 2);
		}
		end();
	}
}

/* --- Messages. ------------------------------------------------------------------------------- */

static const struct {
	const char *first;  /* Sections, in front of DATA "ok" when there is no end. */
	const char *second; /* Trailers. */
	bool end;
	uint64_t len; /* Of the request: UINT64_MAX is a HEAD. */
	uint16_t status;
	const char *label, *fields; /* Of a refusal; of what is passed on. */
} answers[] = {
	{ ":status: 200\n", NULL, false, 0, 200, NULL, "" },
	{ ":status: 200\n", "x-t: v\n", false, 0, 200, NULL, "" },
	{ ":status: 204\n", NULL, true, 0, 204, NULL, "" },
	{ ":status: 304\ncontent-length: 77\n", NULL, true, 0, 304, NULL, "content-length: 77" },
	{ ":status: 200\ncontent-length: 77\n", NULL, true, UINT64_MAX, 200, NULL,
	  "content-length: 77" },
	{ ":status: 200\nx-a: b\n", NULL, true, UINT64_MAX, 200, NULL, "x-a: b" },
	{ ":status: 404\ncontent-length: 0\n", NULL, true, 0, 404, NULL, "content-length: 0" },
	{ ":status: 200\ncontent-length: 2\nconnection: close\n", NULL, false, 0, 502,
	  "upstream_header", "" },
	{ ":status: 200\ncontent-length: 77\n", NULL, true, 0, 502, "upstream_framing", "" },
	{ ":status: 200\ncontent-length: x\n", NULL, false, 0, 502, "upstream_header", "" },
	{ ":status: 101\n", NULL, false, 0, 502, "upstream_", "" },
	{ ":status: 99\n", NULL, false, 0, 502, "upstream_", "" },
	{ ":status: abc\n", NULL, false, 0, 502, "upstream_", "" },
	{ "x-a: b\n", NULL, false, 0, 502, "upstream_", "" },
	{ ":status: 200\n:status: 200\n", NULL, false, 0, 502, "upstream_", "" },
	{ ":path: /\n:status: 200\n", NULL, false, 0, 502, "upstream_", "" },
	{ ":status: 200\nX-Upper: b\n", NULL, false, 0, 502, "upstream_", "" },
	{ ":status: 200\nx-a: b\rc\n", NULL, false, 0, 502, "upstream_", "" },
	{ ":status: 200\ntransfer-encoding: chunked\n", NULL, false, 0, 502, "upstream_", "" },
};

static void answers_are_passed_on_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct guest *g;
		struct hand *h;
		struct ask *a;
		uint32_t id;

		begin(i);
		g = visit(0);
		h = warm(g);
		a = ask(g, "/", "", answers[i].len);
		until(h->n == 2);
		id = h->streams[1].id;
		hand_section(h, id, answers[i].first, answers[i].end);
		if (!answers[i].end)
			hand_data(h, id, "ok", !answers[i].second);
		if (answers[i].second)
			hand_section(h, id, answers[i].second, true);
		until(a->in_ended);
		if (a->status != answers[i].status ||
		    (answers[i].label && !strstr(a->text, answers[i].label)) ||
		    (!answers[i].label && !strstr(a->fields, answers[i].fields)))
			fail_msg("%zu: %u %s %s", i, a->status, a->text, a->fields);
		if (answers[i].second)
			assert_string_equal(a->trailers, "x-t: v\r\n");
		pass(5 * MS);
		assert_int_equal(h->n_gone, 0);
		get(g);
		until(h->n == 3); /* It was about one request only. */
		hand_answer(h, h->streams[2].id);
		until(is_ok(&g->asks[2]));
		assert_int_equal(st.n_origins, 1);
		end();
	}
}

static const struct {
	const char *data, *trailers; /* Behind a head with a length of 5. */
	bool end;
} breaches[] = {
	{ "ok", NULL, true },
	{ "okokokok", NULL, true },
	{ "okokokok", NULL, false },
	{ "okoko", "x-t: v\n:status: 200\n", true },
	{ "okoko", "content-length: 5\n", true },
	{ "okoko", "X-T: v\n", true },
	{ "okoko", ":status: 200\n", false },
};

/* What turns out wrong behind the head is cut, never ended. */
static void breaches_behind_the_head_are_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(breaches); i++) {
		struct guest *g;
		struct hand *h;
		struct ask *a;
		uint32_t id;

		begin(i);
		g = visit(0);
		h = warm(g);
		a = get(g);
		until(h->n == 2);
		id = h->streams[1].id;
		hand_section(h, id, ":status: 200\ncontent-length: 5\n", false);
		until(a->status == 200);
		hand_data(h, id, breaches[i].data, breaches[i].end && !breaches[i].trailers);
		if (breaches[i].trailers)
			hand_section(h, id, breaches[i].trailers, breaches[i].end);
		until(a->over);
		if (a->in_ended)
			fail_msg("%zu: %s %s", i, a->text, a->trailers);
		end();
	}
}

/* As many as a head may have, and one more. */
static void too_many_fields_are_refused(void **state)
{
	static char lines[HTTP_FIELDS_MAX * 16];

	(void)state;
	for (int more = 0; more < 2; more++) {
		int n = snprintf(lines, sizeof(lines), ":status: 200\n");
		struct peer_end *c;
		struct hand *h;

		begin(1);
		h = warm(visit(0));
		c = stage_dial();
		stage_say(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		until(h->n == 2);
		for (uint32_t i = 0; i < h1_limits_default.fields_max + (uint32_t)more; i++)
			n += snprintf(lines + n, sizeof(lines) - (size_t)n, "x-%u: y\n", i);
		hand_section(h, h->streams[1].id, lines, true);
		until(stage_heard(c, more ? "}\n" : "\r\n\r\n"));
		if (more)
			assert_true(stage_heard(c, "HTTP/1.1 502") &&
				    stage_heard(c, "upstream_header"));
		else
			assert_true(stage_heard(c, "HTTP/1.1 200") && stage_heard(c, "x-0: y"));
		end();
	}
}

static void interim_answers_pass(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 11; n += 5) {
		struct guest *g;
		struct hand *h;
		struct ask *a;

		begin(n);
		g = visit(0);
		h = warm(g);
		a = get(g);
		until(h->n == 2);
		for (uint32_t i = 0; i < n; i++)
			hand_section(h, h->streams[1].id, ":status: 103\nlink: l\n", false);
		pass(5 * MS);
		if (n > 10) {
			until(a->in_ended);
			assert_refused(a, 502, "upstream_1xx");
		} else {
			assert_int_equal(a->n_infos, n);
			hand_answer_all(h);
			until(is_ok(a));
		}
		end();
	}
}

/* It is all there; the rest of the request is not wanted (RFC 9113 8.1). */
static void an_early_answer_ends_the_request(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct guest *g;
		struct hand *h;
		struct ask *a;

		begin(seed);
		g = visit(0);
		h = warm(g);
		a = post(g, "", 1000, false);
		until(h->n == 2 && h->streams[1].n_in == 1000);
		hand_section(h, h->streams[1].id, ":status: 413\ncontent-length: 2\n", false);
		hand_data(h, h->streams[1].id, "ok", true);
		if (seed % 2)
			hand_reset(h, h->streams[1].id, H2_CODE_NO_ERROR);
		until(a->in_ended);
		assert_int_equal(a->status, 413);
		assert_string_equal(a->text, "ok");
		pass(50 * MS);
		assert_int_equal(st.proxy->exchanges.n_used, 0);
		assert_int_equal(st.proxy->idle.n, 1);
		end();
	}
}

/* --- Flow. ----------------------------------------------------------------------------------- */

static void the_windows_of_the_peer_hold(void **state)
{
	static const uint32_t windows[] = { 0, 1, 100, 5000, 65535, 1 << 20 };

	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		uint32_t window = windows[seed % ARRAY_SIZE(windows)];
		struct guest *g;
		struct hand *h;
		struct ask *a;
		uint64_t n;

		begin(seed);
		plan.window = window;
		plan.holds = true;
		g = visit(0);
		h = warm(g);
		a = post(g, "", 300000, true);
		until(h->n == 2);
		pass(100 * MS);
		n = window < 65535 ? window : 65535;
		assert_int_equal(h->streams[1].n_in, n);
		assert_in_range(atomic_load(&ring_stats(st.ring)->bufs_held), 0, 6);
		while (n < 300000) { /* In grants that are not even. */
			uint32_t more = 1 + (uint32_t)(n * 7 + seed * 1000) % 60000;

			if (n == 65535 || n < window)
				more = 30000;
			hand_number(h, H2W_WINDOW_UPDATE, 0, more);
			hand_number(h, H2W_WINDOW_UPDATE, h->streams[1].id, more);
			pass(10 * MS);
			if (h->streams[1].n_in > n + more)
				fail_msg("%llu > %llu", (unsigned long long)h->streams[1].n_in,
					 (unsigned long long)n + more);
			n += more;
		}
		until(h->streams[1].ended);
		assert_int_equal(h->streams[1].n_in, 300000);
		hand_answer_all(h);
		until(is_ok(a));
		end();
	}
}

/* Others on the connection are served, however many clients take nothing. */
static void slow_clients_hold_nobody_up(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct guest *slow, *quick;
		struct hand *h;
		struct ask *a;

		begin(seed);
		slow = visit(0);
		h = warm(slow);
		for (int i = 0; i < 60; i++)
			get(slow)->holds = true;
		until(h->n == 61);
		for (uint32_t i = 1; i < h->n; i++) {
			hand_section(h, h->streams[i].id, ":status: 200\n", false);
			h->streams[i].to_say = 1 << 20;
		}
		hand_pump(h);
		pass(1 * S);
		for (int i = 1; i <= 60; i++)
			assert_true(slow->asks[i].n_in <= H2_WINDOW);
		assert_in_range(atomic_load(&ring_stats(st.ring)->bufs_held), 60, 60 * 5);
		quick = visit(1);
		a = get(quick);
		until(h->n == 62);
		hand_section(h, h->streams[61].id, ":status: 200\n", false);
		h->streams[61].to_say = 1 << 20;
		hand_pump(h);
		until(a->in_ended);
		assert_int_equal(a->n_in, 1 << 20);
		assert_int_equal(st.n_origins, 1);
		end();
	}
}

/* --- Silence. -------------------------------------------------------------------------------- */

/* A timeout: asked whether it lives, and given nothing new until it has said something. */
static void a_silent_peer_is_asked(void **state)
{
	(void)state;
	for (int lives = 0; lives < 2; lives++) {
		struct guest *g;
		struct hand *h;

		begin((uint64_t)lives);
		one_service(st.table)->timeouts.response_head_ns = 1 * S;
		g = visit(0);
		h = warm(g);
		for (int i = 0; i < 3; i++)
			get(g);
		until(h->n == 4);
		pass(500 * MS);
		get(g);
		until(h->n == 5);
		h->mute = true;
		pass(520 * MS);
		for (int i = 1; i <= 3; i++)
			assert_refused(&g->asks[i], 504, "response_timeout");
		assert_false(g->asks[4].in_ended);
		assert_int_equal(h->n_pings, 1);
		get(g);
		until(hands[1].n == 1);
		hand_answer_all(&hands[1]);
		until(is_ok(&g->asks[5]));
		if (lives) {
			h2w_frame(&hand_wire, H2W_PING, H2W_ACK, 0, "\0\0\0\0\0\0\0\0", 8);
			hand_say(h);
			pass(5 * MS);
			hand_answer(h, h->streams[4].id);
			until(is_ok(&g->asks[4]));
			pass(3 * S);
			assert_false(h->peer->ended);
		} else {
			pass(3 * S);
			assert_true(h->peer->ended);
			assert_refused(&g->asks[4], 504, "response_timeout");
		}
		end();
	}
}

/* With nothing else on it, too: one of its requests was slow, and it lives. */
static void a_slow_peer_is_kept(void **state)
{
	struct guest *g;
	struct hand *h;

	(void)state;
	begin(1);
	one_service(st.table)->timeouts.response_head_ns = 1 * S;
	g = visit(0);
	h = warm(g);
	get(g);
	pass(1100 * MS);
	assert_refused(&g->asks[1], 504, "response_timeout");
	assert_int_equal(h->n_pings, 1);
	assert_int_equal(st.proxy->idle.n, 1);
	for (int i = 0; i < 3; i++) { /* Two seconds later it is another time. */
		get(g);
		pass(1900 * MS);
		assert_false(h->peer->ended);
	}
	get(g);
	until(h->n == 6);
	assert_int_equal(st.n_origins, 1);
	hand_answer(h, h->streams[5].id);
	until(is_ok(&g->asks[5]));
	end();
}

/* A client that cancels says nothing about the upstream. */
static void a_cancelled_request_is_no_silence(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct guest *g;
		struct hand *h;

		begin(seed);
		g = visit(0);
		h = warm(g);
		for (int i = 0; i < 20; i++) {
			struct ask *a = get(g);

			until(h->n_running == 1);
			cancel(g, a);
			until(h->n_running == 0);
			assert_int_equal(h->streams[h->n - 1].code, H2_CODE_CANCEL);
		}
		pass(5 * MS);
		assert_int_equal(h->n_pings, 0);
		assert_int_equal(st.n_origins, 1);
		assert_int_equal(st.proxy->idle.n, 1);
		end();
	}
}

/* It says good-bye and reads nothing: what should leave does not, and the connection goes. */
static void a_deaf_peer_is_left(void **state)
{
	static const struct sim_options sim = { .send_size = 4096, .window_size = 4096 };

	(void)state;
	for (int idle = 0; idle < 2; idle++) {
		struct guest *g;
		struct hand *h;

		begin_with(1, &bufs, &sim);
		one_service(st.table)->timeouts.pool_idle_ns = 0;
		plan.window = 1 << 20;
		g = visit(0);
		h = warm(g);
		hand_number(h, H2W_WINDOW_UPDATE, 0, 1 << 20);
		pass(5 * MS);
		h->deaf = true;
		if (idle) /* All that it has not read are answers to these. */
			for (int i = 0; i < 600; i++) {
				h2w_ping(&hand_wire, 0);
				hand_say(h);
				if (i % 50 == 0)
					pass(5 * MS);
			}
		else
			post(g, "", 300000, true);
		pass(1 * S);
		hand_goaway(h, h->n ? h->streams[h->n - 1].id + 2 : 0, 0);
		pass(35 * S);
		if (!idle)
			assert_true(g->asks[1].in_ended && g->asks[1].status == 504);
		assert_int_equal(st.proxy->upstreams.n_used, 0);
		end();
	}
}

/* --- The pool. ------------------------------------------------------------------------------- */

static uint64_t n_closed(enum metric_pool_close why)
{
	const struct metric_view view = { .sets = &st.metrics, .n_sets = 1 };

	return metric_sum_counter(&view, METRIC_POOL_CLOSED + why);
}

static void idle_connections_go_in_time(void **state)
{
	struct guest *g;
	struct hand *h;

	(void)state;
	begin(1);
	g = visit(0);
	h = warm(g);
	pass(29 * S);
	assert_false(h->peer->ended);
	pass(2 * S);
	assert_true(h->peer->ended);
	assert_int_equal(st.proxy->upstreams.n_used, 0);
	assert_int_equal(n_closed(METRIC_POOL_CLOSE_IDLE_TIMEOUT), 1);
	end();
}

/* However many wait for it, and whoever comes while others run. */
static void max_requests_holds(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct guest *g;

		begin(seed);
		one_service(st.table)->max_requests = 5;
		plan.answers = seed % 2;
		g = visit(0);
		for (int i = 0; i < 13; i++)
			get(g);
		until(n_heard() == 13);
		for (uint32_t i = 0; i < st.n_origins; i++)
			hand_answer_all(&hands[i]);
		until(n_ok(g) == 13);
		plan.answers = true;
		for (int i = 0; i < 12; i++) {
			struct ask *a = get(g);

			until(is_ok(a));
		}
		pass(5 * MS);
		assert_int_equal(n_heard(), 25);
		for (uint32_t i = 0; i < st.n_origins; i++)
			assert_in_range(hands[i].n, 1, 5);
		assert_int_equal(st.n_origins, 5);
		end();
	}
}

static void none_may_idle(void **state)
{
	struct guest *g;
	struct ask *a;

	(void)state;
	begin(1);
	one_service(st.table)->max_idle = 0;
	plan.answers = true;
	g = visit(0);
	a = get(g);
	until(is_ok(a));
	pass(5 * MS);
	assert_int_equal(st.proxy->upstreams.n_used, 0);
	end();
}

/* What runs is finished, and nothing is kept behind it. */
static void a_drain_ends_connections(void **state)
{
	(void)state;
	for (int busy = 0; busy < 2; busy++) {
		struct guest *g;
		struct hand *h;

		begin((uint64_t)busy);
		g = visit(0);
		h = warm(g);
		if (busy) {
			get(g);
			until(h->n == 2);
		}
		listener_drain(&st.listener);
		proxy_drain(st.proxy);
		pass(5 * MS);
		assert_int_equal(h->peer->ended, !busy);
		if (busy) {
			hand_answer_all(h);
			until(is_ok(&g->asks[1]) && h->peer->ended);
		}
		pass(1 * S);
		assert_int_equal(st.proxy->upstreams.n_used, 0);
		end();
	}
}

static void adopt(void)
{
	table_check(st.second);
	seat_offer(&st.seat, st.second);
}

/* The address goes while a request runs, and one is idle: neither is used again. */
static void connections_to_other_addresses_are_not_used(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct guest *g;
		struct hand *h;
		uint32_t last;

		begin((uint64_t)kind);
		g = visit(0);
		h = warm(g);
		if (kind > 0) {
			get(g);
			until(h->n == 2);
		}
		st.second = next_table(st.table);
		if (kind == 2)
			upstream_trust(st.proxy, &stage_trust, 0); /* Of no concern to it. */
		else
			policy_endpoint_of(st.second, 0, 0)->addrs[0].ip[3] = 99;
		adopt();
		get(g);
		pass(50 * MS);
		last = g->n_asks - 1;
		if (kind < 2) {
			assert_refused(&g->asks[last], 502, "connect");
			assert_int_equal(h->n, 1 + (uint32_t)kind);
		} else {
			assert_int_equal(h->n, 3);
		}
		hand_answer_all(h);
		pass(5 * MS);
		if (kind > 0)
			assert_true(is_ok(&g->asks[1]));
		assert_int_equal(h->peer->ended, kind < 2);
		end();
	}
}

/* While a connection is made its endpoint moves: those that get no place on it are asked there. */
static void those_that_wait_move_along(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct sim_host moved;
		struct guest *g;

		begin(seed);
		moved = st.host;
		moved.addr.ip[3] = 99;
		sim_host_add(st.ring, &moved);
		g = visit(0);
		plan.streams_max = 1;
		get(g);
		get(g);
		until(st.proxy->upstreams.n_used == 1);
		assert_int_equal(n_heard(), 0);
		st.second = next_table(st.table);
		policy_endpoint_of(st.second, 0, 0)->addrs[0].ip[3] = 99;
		adopt();
		get(g);
		until(n_heard() == 3);
		assert_int_equal(st.n_origins, 3);
		for (uint32_t i = 0; i < st.n_origins; i++)
			hand_answer_all(&hands[i]);
		until(n_ok(g) == 3);
		end();
	}
}

/* A request has the form of the protocol that was spoken when it came. */
static void a_request_is_not_sent_in_another_protocol(void **state)
{
	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		bool lost = kind / 2;
		enum policy_protocol from = kind % 2 ? POLICY_HTTP : POLICY_H2C;
		struct peer_end *c, *d;

		begin((uint64_t)kind);
		one_service(st.table)->protocol = (uint8_t)from;
		if (from == POLICY_HTTP)
			st.origin = NULL;
		if (!lost) { /* Its connection fails: another endpoint is tried. */
			one_service(st.table)->endpoints.n = 2;
			st.host.welcome = silence;
		}
		c = stage_dial();
		if (lost) {
			stage_say(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
			until(st.n_origins == 1);
			pass(5 * MS);
			if (from == POLICY_H2C)
				hand_answer_all(&hands[0]);
			else
				stage_say(&st.origins[0],
					  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
			until(stage_heard(c, "\r\n\r\nok"));
		}
		c->n_heard = 0;
		memset(c->text, 0, sizeof(c->text));
		stage_say(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		pass(5 * MS);
		st.second = next_table(st.table);
		one_service(st.second)->protocol = from == POLICY_HTTP ? POLICY_H2C : POLICY_HTTP;
		adopt();
		st.origin = from == POLICY_HTTP ? by_hand : NULL;
		d = stage_dial();
		stage_say(d, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		pass(5 * MS);
		if (lost)
			stage_leave(&st.origins[0], true);
		pass(3 * S);
		assert_true(stage_heard(c, lost ? "HTTP/1.1 502" : "HTTP/1.1 504"));
		stage_leave(c, true);
		stage_leave(d, true);
		end();
	}
}

/* --- Bounds. --------------------------------------------------------------------------------- */

/* No stream for another request: refused, and no connection is made for it. */
static void used_up_streams_refuse(void **state)
{
	struct peer_end *c[12];
	struct hand *h;

	(void)state;
	stage_h2_streams = 10;
	begin(1);
	for (int i = 0; i < 12; i++) {
		c[i] = stage_dial();
		stage_say(c[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		pass(5 * MS);
	}
	for (int i = 10; i < 12; i++)
		assert_true(stage_heard(c[i], "503") && stage_heard(c[i], "overload_upstream"));
	assert_int_equal(st.n_origins, 1);
	h = &hands[0];
	hand_answer_all(h);
	for (int i = 0; i < 10; i++)
		until(stage_heard(c[i], "\r\n\r\nok"));
	end();
}

/* The one that has idled longest makes room; when all are in use there is none. */
static void a_full_table_is_survived(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct guest *g;

		stage_upstreams_max = 4;
		begin(seed);
		plan.streams_max = 1;
		g = visit(0);
		for (int i = 0; i < 3; i++)
			get(g);
		until(n_heard() == 3);
		get(g);
		get(g);
		pass(50 * MS);
		assert_int_equal(n_heard(), 4);
		assert_refused(&g->asks[4], 503, "overload_upstream");
		for (uint32_t i = 0; i < st.n_origins; i++)
			hand_answer_all(&hands[i]);
		until(n_ok(g) == 4);
		pass(5 * MS);
		assert_int_equal(st.proxy->idle.n, 3);
		plan.answers = true;
		for (int i = 0; i < 4; i++)
			get(g);
		until(n_ok(g) == 8);
		end();
	}
}

/* After so many requests a connection has no numbers left for streams. */
static void a_connection_without_numbers_is_replaced(void **state)
{
	uint32_t slot = 0;
	struct upstream *u;
	struct guest *g;
	struct ask *a;

	(void)state;
	begin(1);
	g = visit(0);
	warm(g);
	u = slab_next(&st.proxy->upstreams, &slot);
	u->h2.n_begun = H2_BEGUN_MAX - 1;
	plan.answers = true;
	for (int i = 0; i < 3; i++) {
		a = get(g);
		until(is_ok(a));
	}
	pass(5 * MS);
	assert_int_equal(hands[0].n, 2);
	assert_int_equal(hands[1].n, 2);
	assert_true(hands[0].peer->ended);
	end();
}

/* Without buffers nothing can be said or kept; later all is as before. */
static void used_up_buffers_are_survived(void **state)
{
	static const struct ring_options few = { .bufs_max = 24, .bufs_posted = 4 };

	uint32_t n_whole = 0, n_cut = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 3 * STAGE_SEEDS; seed++) {
		struct ring_buf *held[24];
		uint32_t n = 0, left = (uint32_t)(seed % 12);
		struct guest *g;
		struct hand *h;
		struct ask *a;

		begin_with(seed, &few, &(struct sim_options){ 0 });
		g = visit(0);
		h = warm(g);
		for (int i = 0; i < 3; i++) {
			post(g, "", 10000 * (uint64_t)(i + 1), true);
			get(g);
		}
		pass(seed % 5 * 200000);
		while (n < 24 && (held[n] = ring_buf_take(st.ring)))
			n++;
		for (uint32_t i = 0; i < left && n > 0; i++)
			ring_buf_give(st.ring, held[--n]);
		for (uint32_t i = 0; i < h->n; i++)
			if (!h->streams[i].said && h->peer->end && !h->peer->ended) {
				hand_section(h, h->streams[i].id, ":status: 200\n", false);
				hand_data(h, h->streams[i].id, "ok", i % 2);
				if (i % 2 == 0)
					hand_section(h, h->streams[i].id, "x-t: v\n", true);
			}
		pass(20 * MS);
		while (n > 0)
			ring_buf_give(st.ring, held[--n]);
		pass(20 * MS);
		for (uint32_t i = 2; i < g->n_asks; i += 2) { /* A whole answer is whole. */
			bool whole = is_ok(&g->asks[i]);

			n_whole += whole;
			n_cut += !whole;
			if (whole)
				assert_string_equal(g->asks[i].trailers, "x-t: v\r\n");
		}
		part(g, true);
		pass(20 * MS);
		assert_int_equal(st.proxy->exchanges.n_used, 0);
		assert_int_equal(atomic_load(&ring_stats(st.ring)->bufs_held), 0);
		g = visit(1);
		plan.answers = true;
		a = get(g);
		until(is_ok(a));
		end();
	}
	assert_true(n_whole > 0 && n_cut > 0); /* Both were met. */
}

/* Complete answers that wait for their clients outlive the connection that they came on. */
static void a_complete_answer_survives_its_connection(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct guest *g;
		struct hand *h;
		struct ask *a;

		begin(seed);
		g = visit(0);
		h = warm(g);
		a = get(g);
		a->holds = true;
		until(h->n == 2);
		hand_section(h, h->streams[1].id, ":status: 200\ncontent-length: 100000\n", false);
		h->streams[1].to_say = 100000;
		hand_pump(h);
		until(h->streams[1].said);
		pass(50 * MS);
		assert_true(a->n_in < 100000);
		if (seed % 3 == 0)
			hand_goaway(h, h->streams[1].id, 0);
		stage_leave(h->peer, seed % 2);
		pass(50 * MS);
		a->holds = false;
		h2_session_grant(g->session, a->id, (uint32_t)a->n_in);
		until(a->in_ended);
		assert_int_equal(a->n_in, 100000);
		end();
	}
}

/* All of the answer had arrived when its connection broke in the middle of a write of ours. */
static void what_had_arrived_counts(void **state)
{
	static const struct sim_options sim = { .send_size = 8192,
						.window_size = 1024,
						.batch_ns = 60000 };

	(void)state;
	for (uint64_t seed = 1; seed <= 4 * STAGE_SEEDS; seed++) {
		struct guest *g;
		struct hand *h;
		struct ask *a;

		begin_with(seed, &bufs, &sim);
		plan.window = 1 << 20;
		g = visit(0);
		h = warm(g);
		hand_number(h, H2W_WINDOW_UPDATE, 0, 1 << 20);
		a = post(g, "", 100000, true);
		until(h->n == 2);
		h->deaf = true;
		pass(5 * MS);
		hand_section(h, h->streams[1].id, ":status: 200\ncontent-length: 6000\n", false);
		h->streams[1].to_say = 6000;
		hand_pump(h);
		while (h->out_len > 0 || sim_end_unsent(h->peer->end) > 0)
			stage_run(1000);
		stage_leave(h->peer, true);
		until(a->over);
		if (!a->in_ended || a->n_in != 6000)
			fail_msg("seed %lu: %d %lu", (unsigned long)seed, a->in_ended,
				 (unsigned long)a->n_in);
		end();
	}
}

/* --- gRPC. ----------------------------------------------------------------------------------- */

/* One head with HTTP's 200, and gRPC's status. */
static void assert_grpc(const struct ask *a, const char *status, const char *message)
{
	if (!a->in_ended || a->status != 200 || a->n_in > 0 ||
	    !strstr(a->fields, "content-type: application/grpc\r\n") ||
	    !strstr(a->fields, status) || !strstr(a->fields, message) || a->code)
		fail_msg("%u %s, %d, %lu: not %s %s", a->status, a->fields, a->in_ended,
			 (unsigned long)a->n_in, status, message);
}

enum call_end {
	CALL_NO_ENDPOINT,
	CALL_DISABLED,
	CALL_CONNECT,
	CALL_RESET,
	CALL_LOST,
	CALL_LATE_CONNECTING,
	CALL_LATE_WAITING,
	CALL_LATE_SENDING,
	CALL_LARGE,
	CALL_MALFORMED,
	CALL_N_ENDS,
};

static void calls_are_refused_in_their_form(void **state)
{
	(void)state;
	for (int kind = 0; kind < CALL_N_ENDS; kind++) {
		bool late = kind >= CALL_LATE_CONNECTING && kind <= CALL_LATE_SENDING;
		const char *lines = late ? GRPC "grpc-timeout: 700m\r\n" : GRPC;
		struct guest *g;
		struct hand *h;
		struct ask *a;

		begin((uint64_t)kind);
		if (kind == CALL_NO_ENDPOINT)
			one_service(st.table)->endpoints.n = 0;
		if (kind == CALL_DISABLED)
			st.table->enabled = false;
		if (kind == CALL_CONNECT)
			st.host.welcome = no_welcome;
		if (kind == CALL_LATE_CONNECTING)
			st.host.welcome = silence;
		if (kind == CALL_LARGE)
			one_route(st.table)->max_body = 50;
		g = visit(0);
		a = post(g, lines, 100, kind != CALL_LATE_SENDING);
		if (kind < CALL_CONNECT) {
			until(a->in_ended);
			assert_grpc(a, kind == CALL_DISABLED ? "grpc-status: 8" : "grpc-status: 14",
				    kind == CALL_DISABLED ? "policy_disabled" : "no_endpoint");
			end();
			continue;
		}
		pass(50 * MS);
		h = &hands[0];
		if (kind == CALL_RESET)
			hand_reset(h, h->streams[0].id, H2_CODE_INTERNAL_ERROR);
		if (kind == CALL_LOST)
			stage_leave(h->peer, true);
		if (kind == CALL_MALFORMED)
			hand_section(h, h->streams[0].id, ":status: 200\nconnection: x\n", false);
		pass(600 * MS);
		assert_int_equal(a->in_ended, !late);
		pass(200 * MS);
		assert_grpc(a,
			    late                 ? "grpc-status: 4\r\n"
			    : kind == CALL_LARGE ? "grpc-status: 8\r\n"
						 : "grpc-status: 14\r\n",
			    late                     ? "deadline"
			    : kind == CALL_CONNECT   ? "connect"
			    : kind == CALL_LARGE     ? "body_too_large"
			    : kind == CALL_MALFORMED ? "upstream_"
						     : "reset");
		end();
	}
}

/* Its head has gone: it can only be cut. */
static void a_call_ends_with_its_deadline(void **state)
{
	struct guest *g;
	struct hand *h;
	struct ask *a;

	(void)state;
	begin(1);
	g = visit(0);
	h = warm(g);
	a = post(g, GRPC "grpc-timeout: 2S\r\n", 10, false);
	until(h->n == 2);
	hand_section(h, h->streams[1].id, ":status: 200\ncontent-type: application/grpc\n", false);
	hand_data(h, h->streams[1].id, "one", false);
	pass(1900 * MS);
	assert_false(a->over);
	assert_string_equal(a->text, "one");
	pass(200 * MS);
	assert_true(a->over && !a->in_ended);
	assert_true(h->streams[1].reset);
	pass(5 * MS);
	assert_int_equal(st.proxy->exchanges.n_used, 0);
	get(g);
	until(h->n == 3);
	assert_int_equal(st.n_origins, 1);
	hand_answer_all(h);
	end();
}

/* Both sides speak when they like, and are silent for as long, up to what a tunnel may. */
static void calls_stream_in_both_directions(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct guest *g;
		struct hand *h;
		struct ask *a;
		uint32_t id;

		begin(seed);
		st.options.write_stall_ns = 30 * S;
		g = visit(0);
		h = warm(g);
		a = post(g, GRPC, 10, false);
		until(h->n == 2 && h->streams[1].n_in == 10);
		id = h->streams[1].id;
		pass(300 * S); /* Before the head, too. */
		assert_false(a->over);
		hand_section(h, id, ":status: 200\ncontent-type: application/grpc\n", false);
		for (uint64_t i = 1; i <= 4; i++) {
			pass(seed % 2 ? 250 * S : 1 * S);
			hand_data(h, id, "one", false);
			until(a->n_in == 3 * i);
			push(g, a, 10, i == 4);
			until(h->streams[1].n_in == 10 + 10 * i);
		}
		until(h->streams[1].ended);
		pass(400 * S);
		assert_false(a->over);
		hand_section(h, id, "grpc-status: 0\ngrpc-message: fine\n", true);
		until(a->in_ended);
		assert_string_equal(a->trailers, "grpc-status: 0\r\ngrpc-message: fine\r\n");
		end();
	}
}

/* "Trailers-Only": the head is all there is. */
static void a_call_may_be_answered_by_a_head(void **state)
{
	struct guest *g;
	struct hand *h;
	struct ask *a;

	(void)state;
	begin(1);
	g = visit(0);
	h = warm(g);
	a = post(g, GRPC, 10, true);
	until(h->n == 2);
	hand_section(h, h->streams[1].id,
		     ":status: 200\ncontent-type: application/grpc\ngrpc-status: 5\n", true);
	until(a->in_ended);
	assert_int_equal(a->status, 200);
	assert_non_null(strstr(a->fields, "grpc-status: 5\r\n"));
	pass(5 * MS);
	assert_int_equal(st.proxy->idle.n, 1);
	end();
}

/* Servers of gRPC measure the way with a PING for what comes, and grant each small message again. */
static void a_peer_may_ping_along_with_its_bytes(void **state)
{
	struct guest *g;
	struct hand *h;
	struct ask *a;

	(void)state;
	begin(1);
	g = visit(0);
	h = warm(g);
	a = post(g, GRPC, 900, false);
	for (uint64_t n = 1; n <= 2000; n++) {
		until(h->n == 2 && h->streams[1].n_in == 900 * n);
		h2w_ping(&hand_wire, 0);
		hand_say(h);
		push(g, a, n < 2000 ? 900 : 0, n == 2000);
	}
	until(h->streams[1].ended);
	assert_int_equal(h->n_gone, 0);
	hand_answer_all(h);
	until(is_ok(a));
	end();
}

/* Who only pings is sent away. */
static void a_peer_may_not_ping_for_nothing(void **state)
{
	struct guest *g;
	struct hand *h;

	(void)state;
	begin(1);
	g = visit(0);
	h = warm(g);
	for (int i = 0; i < 2000 && !h->peer->ended; i++) {
		h2w_ping(&hand_wire, 0);
		hand_say(h);
		pass(1 * MS);
	}
	assert_true(h->peer->ended && h->n_gone == 1);
	assert_int_equal(h->goaway, H2_CODE_ENHANCE_YOUR_CALM);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_share_one_connection),
		cmocka_unit_test(the_101st_request_has_another_connection),
		cmocka_unit_test(the_limit_of_the_peer_holds),
		cmocka_unit_test(a_peer_that_allows_no_stream_is_no_upstream),
		cmocka_unit_test(a_limit_may_change),
		cmocka_unit_test(a_limit_of_none_ends_an_idle_connection),
		cmocka_unit_test(answers_are_not_mixed_up),
		cmocka_unit_test(what_has_not_begun_is_tried_elsewhere),
		cmocka_unit_test(those_that_wait_hear_that_it_fails),
		cmocka_unit_test(those_that_wait_may_go),
		cmocka_unit_test(goaway_ends_in_order),
		cmocka_unit_test(goaway_is_retried_once),
		cmocka_unit_test(goaway_and_close),
		cmocka_unit_test(goaway_ends_an_idle_connection),
		cmocka_unit_test(refused_streams_are_retried),
		cmocka_unit_test(a_body_that_has_not_left_is_sent_elsewhere),
		cmocka_unit_test(resets_are_told),
		cmocka_unit_test(a_lost_connection_is_replaced),
		cmocka_unit_test(answers_are_passed_on_or_refused),
		cmocka_unit_test(breaches_behind_the_head_are_cut),
		cmocka_unit_test(too_many_fields_are_refused),
		cmocka_unit_test(interim_answers_pass),
		cmocka_unit_test(an_early_answer_ends_the_request),
		cmocka_unit_test(the_windows_of_the_peer_hold),
		cmocka_unit_test(slow_clients_hold_nobody_up),
		cmocka_unit_test(a_silent_peer_is_asked),
		cmocka_unit_test(a_slow_peer_is_kept),
		cmocka_unit_test(a_cancelled_request_is_no_silence),
		cmocka_unit_test(a_deaf_peer_is_left),
		cmocka_unit_test(idle_connections_go_in_time),
		cmocka_unit_test(max_requests_holds),
		cmocka_unit_test(none_may_idle),
		cmocka_unit_test(a_drain_ends_connections),
		cmocka_unit_test(connections_to_other_addresses_are_not_used),
		cmocka_unit_test(those_that_wait_move_along),
		cmocka_unit_test(a_request_is_not_sent_in_another_protocol),
		cmocka_unit_test(used_up_streams_refuse),
		cmocka_unit_test(a_full_table_is_survived),
		cmocka_unit_test(a_connection_without_numbers_is_replaced),
		cmocka_unit_test(used_up_buffers_are_survived),
		cmocka_unit_test(a_complete_answer_survives_its_connection),
		cmocka_unit_test(what_had_arrived_counts),
		cmocka_unit_test(calls_are_refused_in_their_form),
		cmocka_unit_test(a_call_ends_with_its_deadline),
		cmocka_unit_test(calls_stream_in_both_directions),
		cmocka_unit_test(a_call_may_be_answered_by_a_head),
		cmocka_unit_test(a_peer_may_ping_along_with_its_bytes),
		cmocka_unit_test(a_peer_may_not_ping_for_nothing),
	};

	return cmocka_run_group_tests(tests, guests_begin, guests_end);
}
