/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges over a codec with many streams on a connection: what each event comes to. */
#include "core/proxy/exchange.c"

#include "tests/unit/core/proxy/gate.c"

#define LEN(n)  "content-length: " #n "\r\n"
#define CHUNKED "transfer-encoding: chunked\r\n"

static struct fake_stream *get(uint32_t seed)
{
	return gate_ask(&g.visitors[0], seed, "GET", "");
}

static const struct exchange *exchange_at(const struct fake_stream *f)
{
	return f->stream.owner;
}

static void assert_own(const struct fake_stream *f, unsigned status)
{
	assert_int_equal(f->out.status, status);
	assert_int_equal(f->out.seed, 0); /* None of any upstream's. */
	assert_true(f->out.ended);
}

static void assert_over(const struct fake_stream *f, enum fake_life how)
{
	assert_int_equal(f->life, how);
	gate_check();
}

static uint64_t n_rejected(enum reason reason)
{
	const struct metric_view view = { .sets = &g.metrics, .n_sets = 1 };

	return metric_sum_counter(&view, METRIC_REJECTED + (unsigned)reason);
}

/* --- Several at once. ------------------------------------------------------------------------ */

/* Asked in order, answered in reverse, sent in pieces of all: each gets its own. */
static void streams_share_two_connections(void **state)
{
	struct fake_stream *asks[12], *ups[12];

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(asks); i++) {
		asks[i] = gate_ask(&g.visitors[0], i + 1, "POST", LEN(5000));
		ups[i] = gate_other(asks[i]);
		assert_int_equal(ups[i]->out.seed, i + 1);
	}
	for (int piece = 0; piece < 5; piece++)
		for (uint32_t i = 0; i < ARRAY_SIZE(asks); i++) {
			fake_body(asks[i], 1000, piece == 4);
			fake_flush(asks[i]);
			fake_pump_all(&g.origins[i % GATE_CONNS], 300);
			gate_check();
		}
	for (uint32_t i = ARRAY_SIZE(asks); i-- > 0;) {
		gate_answer(ups[i], 200, LEN(2000));
		fake_body(ups[i], 2000, true);
		fake_flush(ups[i]);
		gate_check();
	}
	for (int turn = 0; turn < 20; turn++)
		for (uint32_t c = 0; c < GATE_CONNS; c++) {
			fake_pump_all(&g.origins[c], 700);
			fake_pump_all(&g.visitors[c], 150);
			gate_check();
		}
	for (uint32_t i = 0; i < ARRAY_SIZE(asks); i++) {
		assert_int_equal(asks[i]->out.seed, i + 1);
		assert_int_equal(asks[i]->out.told, 2000);
		assert_int_equal(ups[i]->out.told, 5000);
		assert_over(asks[i], FAKE_RELEASED);
		assert_int_equal(ups[i]->life, FAKE_RELEASED);
	}
}

/* One stream's end is nobody else's: the neighbours on both connections go on. */
static void an_end_stays_with_its_stream(void **state)
{
	struct fake_stream *a = get(1), *b = get(2), *c = get(3), *d = get(4);

	(void)state;
	gate_answer(gate_other(a), 200, LEN(100));
	gate_answer(gate_other(b), 200, LEN(100));
	fake_reset(a, 0, REASON_CLIENT_ABORT, false);
	fake_reset(gate_other(b), 0, REASON_UPSTREAM_RESET_MIDBODY, false);
	gate_check();
	assert_int_equal(b->life, FAKE_RESET);
	for (struct fake_stream *f = c;; f = d) {
		struct fake_stream *up = gate_other(f);

		gate_answer(up, 200, LEN(100));
		fake_body(up, 100, true);
		fake_pump(up, 0);
		fake_pump(f, 100);
		assert_over(f, FAKE_RELEASED);
		if (f == d)
			break;
	}
}

/* A connection may have more streams than a proxy has exchanges: the last are reset. */
static void without_an_exchange_a_stream_is_reset(void **state)
{
	uint32_t n = g.proxy->exchanges.n_slots - 1;
	void *used[256];
	struct fake_stream *f, *last;

	(void)state;
	assert_true(n <= ARRAY_SIZE(used));
	for (uint32_t i = 0; i < n; i++) /* Taken by others; checked only while they are not. */
		used[i] = slab_alloc(&g.proxy->exchanges);
	f = get(1);
	last = get(2);
	assert_int_equal(last->life, FAKE_RESET);
	assert_false(last->out.begun);
	assert_true(fake_is_open(f));
	for (uint32_t i = 0; i < n; i++)
		slab_free(&g.proxy->exchanges, used[i]);
	fake_reset(f, 0, REASON_CLIENT_ABORT, false);
	assert_over(f, FAKE_RESET);
}

/* --- Credit. --------------------------------------------------------------------------------- */

/* A source that sends all it may: no more than what is granted lies between. */
static void what_lies_between_is_bounded(void **state)
{
	struct fake_stream *f = gate_ask(&g.visitors[0], 1, "POST", LEN(1000000)), *up;
	uint64_t left = 1000000;

	(void)state;
	up = gate_other(f);
	for (int round = 0; left > 0; round++) {
		uint32_t n;

		while (left > 0 && (n = fake_body(f, (uint32_t)left, true)) > 0) {
			left -= n;
			gate_check();
		}
		assert_true(up->out.pending <= FAKE_WINDOW + EXCHANGE_WINDOW);
		assert_true(round < 1000);
		fake_pump(up, 7777);
		gate_check();
	}
	fake_pump(up, UINT64_MAX);
	assert_int_equal(up->out.told, 1000000);
	gate_answer(up, 204, "");
	fake_pump(f, 0);
	assert_over(f, FAKE_RELEASED);
}

/* The response's body flows while the request's does. */
static void both_ways_at_once(void **state)
{
	struct fake_stream *f = gate_ask(&g.visitors[0], 1, "POST", CHUNKED), *up = gate_other(f);

	(void)state;
	gate_answer(up, 200, CHUNKED);
	assert_int_equal(exchange_at(f)->state, EXCHANGE_RESPONDING);
	for (int i = 0; i < 50; i++) {
		fake_body(f, 3000, i == 49);
		fake_flush(f);
		fake_body(up, 5000, false);
		fake_flush(up);
		fake_pump(up, 2900);
		fake_pump(f, 5000);
		gate_check();
	}
	fake_pump(up, UINT64_MAX);
	assert_int_equal(up->out.told, 150000);
	assert_true(up->out.all && fake_is_open(f));
	fake_trailers(up, SLICE("x-end: 1\r\n"));
	fake_pump(f, UINT64_MAX);
	assert_int_equal(f->out.told, 250000);
	assert_int_equal(f->out.trailers_len, 10);
	assert_int_equal(up->life, FAKE_RELEASED);
	assert_over(f, FAKE_RELEASED);
}

/* --- Before there is an upstream. ------------------------------------------------------------ */

static void a_body_waits_for_its_upstream(void **state)
{
	struct fake_stream *f, *up;

	(void)state;
	g.how = GATE_COMES;
	f = gate_ask(&g.visitors[0], 1, "POST", CHUNKED);
	fake_body(f, 700, false);
	fake_body(f, 800, false);
	fake_trailers(f, SLICE("x-sum: 9\r\n"));
	assert_int_equal(f->in.credited, 0); /* No more than came along, until somebody takes it. */
	gate_check();
	gate_ready(0);
	up = gate_other(f);
	fake_pump(up, UINT64_MAX);
	assert_int_equal(up->out.told, 1500);
	assert_memory_equal(up->out.trailers, "x-sum: 9\r\n", 10);
	gate_answer(up, 204, "");
	fake_pump(f, 0);
	assert_over(f, FAKE_RELEASED);
	assert_int_equal(up->life, FAKE_RELEASED);
}

static void a_client_leaves_while_connecting(void **state)
{
	struct fake_stream *f;

	(void)state;
	g.how = GATE_COMES;
	f = gate_ask(&g.visitors[0], 1, "POST", LEN(1000));
	fake_body(f, 500, false);
	fake_reset(f, 0, REASON_CLIENT_ABORT, false);
	assert_int_equal(g.n_coming, 0); /* Cancelled. */
	assert_over(f, FAKE_RESET);
}

static void another_endpoint_is_tried_once(void **state)
{
	struct fake_stream *f;

	(void)state;
	g.how = GATE_COMES;
	f = gate_ask(&g.visitors[0], 1, "POST",
		     LEN(10)); /* Not idempotent, but nothing was sent. */
	fake_body(f, 10, true);
	gate_failed(0);
	assert_int_equal(g.n_coming, 1);
	assert_true(g.fresh && g.avoid == 0);
	gate_check();
	gate_failed(0);
	assert_int_equal(g.n_gets, 2);
	assert_own(f, 502);
	fake_pump(f, 0);
	assert_over(f, FAKE_RELEASED);
}

static void no_stream_at_once_is_an_answer(void **state)
{
	struct fake_stream *f;

	(void)state;
	g.how = GATE_FAILS;
	g.reason = REASON_OVERLOAD_UPSTREAM;
	f = get(1);
	assert_own(f, 503);
	fake_pump(f, 0);
	assert_over(f, FAKE_RELEASED);
}

/* Who answers by the head must not be taken for one who speaks unasked. */
static void a_reused_connection_gets_the_head_alone(void **state)
{
	struct fake_stream *f;

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		g.reused = i;
		f = gate_ask(&g.visitors[0], 2 * i + 1, "POST", LEN(10));
		assert_int_equal(gate_other(f)->out.n_flushes,
				 1 + i); /* And one for all there is. */
		fake_reset(f, 0, REASON_CLIENT_ABORT, false);
		f = gate_ask(&g.visitors[0], 2 * i + 2, "GET", "");
		assert_int_equal(gate_other(f)->out.n_flushes, 1);
		fake_reset(f, 0, REASON_CLIENT_ABORT, false);
		gate_check();
	}
}

/* --- Upstream ends. -------------------------------------------------------------------------- */

static const struct {
	const char *name, *method, *fields;
	bool reused, untouched, other; /* other: the route does not want it. */
	unsigned status;               /* 0: tried again. */
} resets[] = {
	{ "a reused connection that was closed", "GET", "", true, true, false, 0 },
	{ "idempotent, without a body", "DELETE", "", true, true, false, 0 },
	{ "a fresh connection", "GET", "", false, true, false, 502 },
	{ "some of an answer had come", "GET", "", true, false, false, 502 },
	{ "not idempotent", "POST", LEN(0), true, true, false, 502 },
	{ "with a body", "PUT", LEN(10), true, true, false, 502 },
	{ "the route does not want it", "GET", "", true, true, true, 502 },
};

static void a_request_may_be_sent_twice(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(resets); i++) {
		uint32_t before = g.n_gets;
		struct fake_stream *f, *up;

		g.reused = resets[i].reused;
		one_route(g.table)->retry = !resets[i].other;
		f = gate_ask(&g.visitors[0], i + 1, resets[i].method, resets[i].fields);
		fake_reset(gate_other(f), 502, REASON_UPSTREAM_RESET, resets[i].untouched);
		gate_check();
		if (resets[i].status) {
			if (f->out.status != resets[i].status || g.n_gets != before + 1)
				fail_msg("%s: not refused", resets[i].name);
			fake_pump(f, 0);
			continue;
		}
		up = gate_other(f);
		if (!up || g.n_gets != before + 2 || !g.fresh || up->out.seed != i + 1)
			fail_msg("%s: not tried again", resets[i].name);
		gate_answer(up, 204, "");
		fake_pump(up, 0);
		fake_pump(f, 0);
		assert_over(f, FAKE_RELEASED);
	}
}

/* The second connection fails as well: told, not tried for ever. */
static void no_request_is_sent_three_times(void **state)
{
	struct fake_stream *f;

	(void)state;
	g.reused = true;
	f = get(1);
	fake_reset(gate_other(f), 502, REASON_UPSTREAM_RESET, true);
	fake_reset(gate_other(f), 502, REASON_UPSTREAM_RESET, true);
	assert_own(f, 502);
	assert_int_equal(g.n_gets, 2);
	fake_pump(f, 0);
	assert_over(f, FAKE_RELEASED);
}

/* Its first attempt leaves nothing behind in the log: no moment before the one that counts. */
static void a_second_attempt_is_timed_anew(void **state)
{
	struct fake_stream *f;

	(void)state;
	g.reused = true;
	f = get(1);
	fake_pump(gate_other(f), 0);
	assert_true(exchange_at(f)->account.sent_ns >= exchange_at(f)->account.connected_ns);
	assert_true(exchange_at(f)->account.connected_ns > 0);
	g.how = GATE_COMES;
	fake_reset(gate_other(f), 502, REASON_UPSTREAM_RESET, true);
	assert_int_equal(exchange_at(f)->account.connected_ns, 0);
	assert_int_equal(exchange_at(f)->account.sent_ns, 0);
	gate_wait(500 * MS);
	gate_ready(0);
	assert_int_equal(exchange_at(f)->account.connected_ns, ring_now_ns(g.ring));
	assert_int_equal(exchange_at(f)->account.sent_ns, 0);
	fake_reset(f, 0, REASON_CLIENT_ABORT, false);
	assert_over(f, FAKE_RESET);
}

static void a_reset_behind_the_head_cuts_off(void **state)
{
	struct fake_stream *f = get(1), *up = gate_other(f);

	(void)state;
	gate_answer(up, 200, LEN(1000));
	fake_body(up, 400, false);
	fake_reset(up, 0, REASON_UPSTREAM_RESET_MIDBODY, false);
	assert_int_equal(f->out.status, 200);
	assert_false(f->out.ended); /* Never made to look whole. */
	assert_false(f->aborted);
	assert_over(f, FAKE_RESET);
}

/* It has said all: that it wants no more of the request harms nobody. */
static void a_reset_behind_the_whole_answer_is_none(void **state)
{
	struct fake_stream *f = gate_ask(&g.visitors[0], 1, "POST", LEN(9000)), *up = gate_other(f);

	(void)state;
	fake_body(f, 3000, false);
	fake_flush(f);
	gate_answer(up, 403, LEN(500));
	fake_body(up, 500, true);
	fake_flush(up);
	fake_reset(up, 0, REASON_UPSTREAM_RESET, false);
	gate_check();
	assert_true(fake_is_open(f));
	fake_body(f, 3000, false); /* Goes nowhere. */
	fake_pump(f, UINT64_MAX);
	assert_int_equal(f->out.told, 500);
	assert_over(f, FAKE_RELEASED);
}

/* --- A client that reads slowly. ------------------------------------------------------------- */

static const struct {
	const char *method, *fields;
	unsigned status;
	uint32_t len;
} slow_reads[] = {
	{ "GET", LEN(5000), 200, 5000 },   { "GET", CHUNKED, 200, 5000 }, { "GET", LEN(0), 200, 0 },
	{ "HEAD", LEN(5000), 200, 0 },     { "GET", "", 204, 0 },         { "GET", LEN(9), 304, 0 },
	{ "DELETE", CHUNKED, 200, 20000 },
};

static uint64_t upstream_seconds(void)
{
	const struct metric_view view = { .sets = &g.metrics, .n_sets = 1 };
	struct metric_hist_sum sum;

	metric_sum_hist(&view, METRIC_UPSTREAM_DURATION, &sum);
	return sum.sum / S;
}

/* The upstream is free, and no load any more, as soon as it has said all. */
static void a_slow_client_keeps_no_upstream(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(slow_reads); i++) {
		struct fake_stream *f, *up;

		f = gate_ask(&g.visitors[0], i + 1, slow_reads[i].method, "");
		up = gate_other(f);
		fake_pump(up, 0);
		gate_wait(1 * S);
		gate_answer(up, slow_reads[i].status, slow_reads[i].fields);
		if (slow_reads[i].len > 0)
			fake_body(up, slow_reads[i].len, true);
		gate_check();
		assert_int_equal(up->life, FAKE_RELEASED);
		assert_int_equal(g.n_active, 0);
		assert_true(fake_is_open(f) && !f->out.all);
		gate_wait(5 * S);
		fake_pump(f, UINT64_MAX);
		assert_int_equal(f->out.told, slow_reads[i].len);
		assert_over(f, FAKE_RELEASED);
	}
	assert_int_equal(upstream_seconds(),
			 ARRAY_SIZE(slow_reads)); /* The client's time is not in it. */
}

/* It was free to answer early, and still is not before it has the whole request. */
static void an_upstream_is_released_when_it_has_the_request(void **state)
{
	struct fake_stream *f = gate_ask(&g.visitors[0], 1, "POST", LEN(3000)), *up = gate_other(f);

	(void)state;
	fake_body(f, 3000, true);
	gate_answer(up, 200, CHUNKED);
	fake_body(up, 700, false);
	fake_trailers(up, SLICE("x-end: 1\r\n"));
	gate_check();
	assert_true(fake_is_open(up) && fake_is_open(f));
	fake_pump(up, UINT64_MAX);
	gate_check();
	assert_int_equal(up->life, FAKE_RELEASED);
	fake_pump(f, UINT64_MAX);
	assert_over(f, FAKE_RELEASED);
}

/* --- Early answers, refusals. ---------------------------------------------------------------- */

static void an_early_answer_ends_the_request(void **state)
{
	struct fake_stream *f = gate_ask(&g.visitors[0], 1, "POST", LEN(90000)),
			   *up = gate_other(f);

	(void)state;
	fake_body(f, 10000, false);
	fake_flush(f);
	gate_answer(up, 413, LEN(20));
	fake_body(up, 20, true);
	fake_flush(up);
	fake_pump(f, UINT64_MAX);
	assert_int_equal(up->life, FAKE_RESET); /* Not for reuse: its request is not complete. */
	assert_int_equal(f->out.status, 413);
	assert_over(f, FAKE_RELEASED);
}

static void a_refused_body_goes_nowhere(void **state)
{
	struct fake_stream *f, *up;

	(void)state;
	one_route(g.table)->max_body = 5000;
	f = gate_ask(&g.visitors[0], 1, "POST", CHUNKED);
	up = gate_other(f);
	fake_body(f, 4000, false);
	fake_body(f, 4000, false);
	assert_own(f, 413);
	assert_int_equal(up->life, FAKE_RESET);
	for (int i = 0; i < 3; i++)
		fake_body(f, 1000, i == 2);
	assert_true(f->out.last);
	gate_check();
	fake_pump(f, 0);
	assert_over(f, FAKE_RELEASED);
}

/* The piece that is too much is also the last: passed on, it would make a whole message. */
static void a_refused_end_is_not_passed_on(void **state)
{
	struct fake_stream *f, *up;

	(void)state;
	one_route(g.table)->max_body = 5000;
	f = gate_ask(&g.visitors[0], 1, "POST", CHUNKED);
	up = gate_other(f);
	fake_body(f, 4000, false);
	fake_body(f, 4000, true);
	assert_own(f, 413);
	assert_int_equal(up->life, FAKE_RESET);
	assert_false(up->out.ended);
	fake_pump(f, 0);
	assert_over(f, FAKE_RELEASED);
}

/* The limit holds while the response is on its way: it is cut where it has got to. */
static void a_body_grows_too_large_beside_its_answer(void **state)
{
	struct fake_stream *f, *up;

	(void)state;
	one_route(g.table)->max_body = 5000;
	f = gate_ask(&g.visitors[0], 1, "POST", CHUNKED);
	up = gate_other(f);
	fake_body(f, 4000, false);
	gate_answer(up, 200, LEN(1000));
	fake_body(up, 300, false);
	fake_body(f, 1000, false); /* Just not. */
	assert_true(fake_is_open(f) && fake_is_open(up));
	fake_body(f, 1, true);
	assert_int_equal(up->life, FAKE_RESET);
	assert_false(up->out.ended || f->out.ended);
	assert_false(f->aborted); /* What had come is passed on. */
	assert_int_equal(n_rejected(REASON_BODY_TOO_LARGE), 1);
	assert_over(f, FAKE_RESET);
}

/* And when all of the response had come, the client gets all of it. */
static void a_body_grows_too_large_behind_its_answer(void **state)
{
	struct fake_stream *f, *up;

	(void)state;
	one_route(g.table)->max_body = 5000;
	f = gate_ask(&g.visitors[0], 1, "POST", CHUNKED);
	up = gate_other(f);
	gate_answer(up, 200, LEN(1000));
	fake_body(up, 1000, true);
	fake_body(f, 4000, false);
	fake_body(f, 4000, true);
	gate_check();
	assert_int_equal(up->life, FAKE_RESET);
	assert_false(up->out.ended);
	fake_pump(f, UINT64_MAX);
	assert_int_equal(f->out.told, 1000);
	assert_int_equal(n_rejected(REASON_BODY_TOO_LARGE), 1);
	assert_over(f, FAKE_RELEASED);
}

static void a_malformed_body_is_answered(void **state)
{
	struct fake_stream *f = gate_ask(&g.visitors[0], 1, "POST", CHUNKED), *up = gate_other(f);

	(void)state;
	fake_body(f, 100, false);
	fake_malformed(f, 400, REASON_CHUNK_INVALID);
	assert_own(f, 400);
	assert_int_equal(up->life, FAKE_RESET); /* Its upstream must not take the rest for whole. */
	assert_false(up->out.ended);
	fake_pump(f, 0);
	assert_over(f, FAKE_RELEASED);
}

static void informational_answers_are_passed_up_to_a_bound(void **state)
{
	struct fake_stream *f = get(1), *up = gate_other(f);

	(void)state;
	for (int i = 0; i < 10; i++)
		gate_answer(up, 103, "");
	assert_int_equal(f->out.n_infos, 10);
	assert_false(f->out.begun);
	gate_answer(up, 103, "");
	assert_own(f, 502);
	assert_int_equal(up->life, FAKE_RESET);
	fake_pump(f, 0);
	assert_over(f, FAKE_RELEASED);
}

static void a_sound_head_may_be_refused_by_its_codec(void **state)
{
	static const struct peer peer = { .family = AF_UNIX };
	const struct http_refusal refusal = { 417, REASON_EXPECTATION_FAILED, false };
	struct fake_stream *f = fake_open(&g.visitors[0], 1);

	(void)state;
	f->in.ended = true;
	exchange_open(g.proxy, &f->stream, &(struct exchange_client){ .peer = &peer }, NULL, true,
		      &refusal);
	assert_own(f, 417);
	assert_int_equal(g.n_gets, 0);
	fake_pump(f, 0);
	assert_over(f, FAKE_RELEASED);
}

/* --- Time, drain. ---------------------------------------------------------------------------- */

enum step { ASK, ASK_HALF, ANSWER_HALF };

static const struct {
	const char *name;
	enum step step;
	bool stuck; /* What there is does not leave. */
	uint64_t span_ns;
	unsigned status; /* 0: cut off. */
	enum reason reason;
} waits[] = {
	{ "no response", ASK, false, 20 * S, 504, REASON_UPSTREAM_RESPONSE_TIMEOUT },
	{ "no body comes", ASK_HALF, false, 10 * S, 408, REASON_BODY_TIMEOUT },
	{ "the upstream takes no body", ASK_HALF, true, 15 * S, 504,
	  REASON_UPSTREAM_WRITE_TIMEOUT },
	{ "the response stops", ANSWER_HALF, false, 10 * S, 0, REASON_UPSTREAM_IDLE },
	{ "the client takes none", ANSWER_HALF, true, 15 * S, 0, REASON_SEND_TIMEOUT },
};

static struct fake_stream *ask_for_wait(uint32_t i)
{
	struct fake_stream *f, *up;

	f = gate_ask(&g.visitors[0], i + 1, waits[i].step == ASK_HALF ? "POST" : "GET",
		     waits[i].step == ASK_HALF ? LEN(20000) : "");
	up = gate_other(f);
	if (waits[i].step == ASK_HALF) /* Of the second, enough to count as progress. */
		fake_body(f, waits[i].stuck ? 9000 : 500, false);
	if (waits[i].step != ASK_HALF || !waits[i].stuck)
		fake_pump(up, UINT64_MAX);
	if (waits[i].step == ANSWER_HALF) {
		gate_answer(up, 200, LEN(1000));
		fake_body(up, 500, false);
		fake_flush(up);
		fake_pump(f, waits[i].stuck ? 0 : UINT64_MAX);
	}
	return f;
}

static void every_wait_ends(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(waits); i++) {
		struct fake_stream *f = ask_for_wait(i);
		struct exchange *ex = f->stream.owner;

		gate_wait(waits[i].span_ns - 10 * MS);
		if (!fake_is_open(f) || ex->account.reason)
			fail_msg("%s: ended early", waits[i].name);
		gate_wait(20 * MS);
		if (waits[i].status) {
			if (f->out.status != waits[i].status ||
			    ex->account.reason != waits[i].reason)
				fail_msg("%s: %u", waits[i].name, f->out.status);
			fake_pump(f, 0);
		} else if (f->life != FAKE_RESET) {
			fail_msg("%s: not cut off", waits[i].name);
		}
		gate_check();
	}
}

/* What an upstream took its time for is not laid to the client, nor the reverse. */
static void each_side_pays_for_itself(void **state)
{
	struct fake_stream *f = gate_ask(&g.visitors[0], 1, "POST", LEN(20000));

	(void)state;
	fake_body(f, 9000, false);
	gate_wait(14900 * MS);
	fake_pump(gate_other(f), UINT64_MAX);
	gate_wait(9 * S);
	assert_false(f->out.begun);
	fake_body(f, 400, false); /* Not much, but now the upstream is to act. */
	gate_check();
	gate_wait(14900 * MS);
	assert_false(f->out.begun);
	fake_pump(gate_other(f), UINT64_MAX);
	gate_wait(1700 * MS); /* What the client had left, and what 400 bytes have brought it. */
	assert_false(f->out.begun);
	gate_wait(200 * MS);
	assert_own(f, 408);
	fake_pump(f, 0);
	assert_over(f, FAKE_RELEASED);
}

/* Each second so many bytes of the request come and leave, of the response are read. */
static int seconds_survived(struct fake_stream *f, uint32_t up, uint32_t down)
{
	struct fake_stream *other = gate_other(f);
	int i;

	for (i = 0; i < 60 && fake_is_open(f) && !f->out.ended; i++) {
		fake_body(f, up, false);
		fake_pump(other, UINT64_MAX);
		if (f->out.begun)
			fake_body(other, 600, false);
		fake_pump(f, down);
		gate_check();
		gate_wait(1 * S);
	}
	return i;
}

static const struct {
	const char *name, *fields;
	uint32_t up, down;
	unsigned status; /* Of the response, that comes early; 0: none. */
	enum reason reason;
	int seconds;
} rates[] = {
	{ "a slow upload", CHUNKED, 1, 0, 0, REASON_BODY_TIMEOUT, 11 },
	{ "an upload", CHUNKED, 510, 0, 0, REASON_NONE, 60 },
	{ "a slow upload that is being answered", CHUNKED, 1, 9999, 200, REASON_BODY_TIMEOUT, 11 },
	{ "an upload that is being answered", CHUNKED, 510, 9999, 200, REASON_NONE, 60 },
	{ "a slow reader", LEN(0), 0, 1, 200, REASON_SEND_TIMEOUT, 16 },
	{ "a reader", LEN(0), 0, 550, 200, REASON_NONE, 60 },
	{ "who is told of an error need not go on", CHUNKED, 0, 9999, 403, REASON_NONE, 60 },
	{ "nor who was not told to begin", CHUNKED "expect: 100-continue\r\n", 0, 9999, 200,
	  REASON_NONE, 60 },
};

static void a_client_keeps_up_a_rate(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(rates); i++) {
		struct fake_stream *f;
		uint64_t before = n_rejected(rates[i].reason);
		int seconds;

		f = gate_ask(&g.visitors[0], i + 1, "POST", rates[i].fields);
		fake_pump(gate_other(f), UINT64_MAX);
		if (rates[i].status)
			gate_answer(gate_other(f), rates[i].status, CHUNKED);
		seconds = seconds_survived(f, rates[i].up, rates[i].down);
		if (seconds != rates[i].seconds)
			fail_msg("%s: %d seconds", rates[i].name, seconds);
		if (rates[i].reason == REASON_NONE)
			fake_reset(f, 0, REASON_CLIENT_ABORT, false);
		else
			fake_pump(f, 0); /* Our answer, if it came to one. */
		assert_false(fake_is_open(f));
		if (rates[i].reason != REASON_NONE)
			assert_int_equal(n_rejected(rates[i].reason), before + 1);
		gate_check();
	}
}

/* It answers, so it may leave the rest of the request where it is. */
static void an_upstream_that_answers_need_not_read(void **state)
{
	struct fake_stream *f = gate_ask(&g.visitors[0], 1, "POST", LEN(90000)),
			   *up = gate_other(f);

	(void)state;
	fake_body(f, 9000, false);
	gate_answer(up, 200, CHUNKED);
	for (int i = 0; i < 10; i++) {
		gate_wait(9 * S);
		fake_body(up, 100, false);
		fake_pump(f, UINT64_MAX);
		gate_check();
		assert_true(fake_is_open(f) && fake_is_open(up));
	}
	gate_wait(10 * S + 20 * MS); /* But answer it must. */
	assert_over(f, FAKE_RESET);
}

static void a_drain_lets_finish_and_an_abort_does_not(void **state)
{
	struct fake_stream *a = get(1), *b = get(2), *up = gate_other(a);

	(void)state;
	proxy_drain(g.proxy);
	gate_answer(up, 200, LEN(10));
	assert_true(a->out.last);
	fake_body(up, 10, true);
	fake_pump(up, 0);
	fake_pump(a, 10);
	assert_over(a, FAKE_RELEASED);
	assert_true(fake_is_open(b));
	proxy_abort(g.proxy);
	assert_over(b, FAKE_RESET);
	assert_true(proxy_is_quiet(g.proxy));
}

/* --- Tunnels. -------------------------------------------------------------------------------- */

#define UPGRADE "connection: upgrade\r\nupgrade: websocket\r\n"

static struct fake_stream *ask_to_switch(uint32_t seed)
{
	one_route(g.table)->upgrades = POLICY_UPGRADE_WEBSOCKET;
	return gate_ask(&g.visitors[0], seed, "GET", UPGRADE);
}

/* Behind a 101; the visitor's stream. */
static struct fake_stream *tunnel(uint32_t seed)
{
	struct fake_stream *f = ask_to_switch(seed), *up = gate_other(f);

	assert_int_equal(up->out.upgrade, HTTP_UPGRADE_WEBSOCKET);
	assert_true(up->out.ended);
	fake_pump(up, 0);
	gate_answer(up, 101, UPGRADE);
	assert_int_equal(f->out.status, 101);
	assert_int_equal(f->out.upgrade, HTTP_UPGRADE_WEBSOCKET);
	assert_int_equal(exchange_at(f)->state, EXCHANGE_TUNNEL);
	assert_int_equal(gate_gauge(METRIC_TUNNELS_ACTIVE), 1);
	gate_check();
	return f;
}

static void assert_tunnel_over(const struct fake_stream *f, enum fake_life how)
{
	assert_int_equal(gate_gauge(METRIC_TUNNELS_ACTIVE), 0);
	assert_over(f, how);
}

/* More than any body may be, both ways at once, and each end by itself. */
static void a_tunnel_has_two_ways(void **state)
{
	struct fake_stream *f, *up;

	(void)state;
	one_route(g.table)->max_body = 5000;
	f = tunnel(1);
	up = gate_other(f);
	for (int i = 0; i < 50; i++) {
		fake_body(f, 3000, i == 49);
		fake_flush(f);
		fake_body(up, 5000, false);
		fake_flush(up);
		fake_pump(up, 3000);
		fake_pump(f, 5000);
		gate_check();
	}
	assert_int_equal(up->out.told, 150000);
	assert_true(up->out.all && fake_is_open(f) && fake_is_open(up));
	fake_body(up, 700, true);
	gate_check();
	assert_int_equal(up->life, FAKE_RELEASED); /* It has all, and has said all. */
	assert_true(fake_is_open(f));
	fake_pump(f, UINT64_MAX);
	assert_int_equal(f->out.told, 250700);
	assert_tunnel_over(f, FAKE_RELEASED);
}

/* The upstream ends first: the client may still say what it has to say. */
static void a_tunnel_is_half_closed(void **state)
{
	struct fake_stream *f = tunnel(1), *up = gate_other(f);

	(void)state;
	fake_body(up, 0, true);
	fake_pump(f, 0);
	assert_true(f->out.all && fake_is_open(f) && fake_is_open(up));
	gate_check();
	fake_body(f, 9000, false);
	fake_pump(up, 9000);
	gate_check();
	fake_body(f, 10, true);
	fake_pump(up, UINT64_MAX);
	assert_int_equal(up->out.told, 9010);
	assert_int_equal(up->life, FAKE_RELEASED);
	assert_tunnel_over(f, FAKE_RELEASED);
}

static void what_lies_in_a_tunnel_is_bounded(void **state)
{
	struct fake_stream *f = tunnel(1), *up = gate_other(f);

	(void)state;
	for (int i = 0; i < 20; i++) {
		while (fake_body(up, 100000, false) > 0)
			gate_check();
		assert_int_equal(f->out.pending, EXCHANGE_TUNNEL_WINDOW);
		fake_pump(f, 7777);
	}
	fake_reset(f, 0, REASON_CLIENT_ABORT, false);
	assert_int_equal(up->life, FAKE_RESET);
	assert_true(up->aborted);
	assert_int_equal(n_rejected(REASON_CLIENT_ABORT), 1);
	assert_tunnel_over(f, FAKE_RESET);
}

static void a_tunnel_is_cut_by_its_upstream(void **state)
{
	struct fake_stream *f = tunnel(1), *up = gate_other(f);

	(void)state;
	fake_body(up, 100, false);
	fake_reset(up, 0, REASON_UPSTREAM_RESET_MIDBODY, false);
	assert_false(f->out.ended || f->aborted);
	assert_int_equal(n_rejected(REASON_UPSTREAM_RESET_MIDBODY), 1);
	assert_tunnel_over(f, FAKE_RESET);
}

/* What a route does not allow, or a request asks for in vain, is a request like any other. */
static void a_tunnel_needs_leave_and_consent(void **state)
{
	struct fake_stream *f = gate_ask(&g.visitors[0], 1, "GET", UPGRADE), *up = gate_other(f);

	(void)state;
	assert_int_equal(up->out.upgrade, HTTP_UPGRADE_NONE);
	gate_answer(up, 200, LEN(0));
	assert_int_equal(f->in.n_declined, 0);
	fake_pump(up, 0);
	fake_pump(f, 0);
	assert_over(f, FAKE_RELEASED);
	for (uint32_t early = 0; early < 2; early++) {
		f = ask_to_switch(2 + early);
		f->in.early = early;
		up = gate_other(f);
		fake_pump(up, 0);
		gate_answer(up, 200, LEN(10));
		assert_int_equal(exchange_at(f)->state, EXCHANGE_RESPONDING);
		assert_int_equal(f->in.n_declined, 1);
		fake_body(up, 10, true);
		fake_pump(f, UINT64_MAX);
		assert_int_equal(up->life, FAKE_RELEASED);
		assert_int_equal(n_rejected(REASON_UPGRADE_EARLY_DATA), early);
		assert_over(f, FAKE_RELEASED);
	}
	f = ask_to_switch(4); /* An answer of ours is one, too. */
	fake_reset(gate_other(f), 502, REASON_UPSTREAM_UPGRADE, false);
	assert_own(f, 502);
	assert_int_equal(f->in.n_declined, 1);
	fake_pump(f, 0);
	assert_over(f, FAKE_RELEASED);
}

static void a_request_for_a_tunnel_may_be_sent_twice(void **state)
{
	struct fake_stream *f, *up;

	(void)state;
	g.reused = true;
	f = ask_to_switch(1);
	fake_reset(gate_other(f), 502, REASON_UPSTREAM_RESET, true);
	up = gate_other(f);
	assert_true(g.fresh);
	assert_int_equal(up->out.upgrade, HTTP_UPGRADE_WEBSOCKET);
	assert_int_equal(f->in.n_declined, 0);
	gate_answer(up, 101, UPGRADE);
	assert_int_equal(exchange_at(f)->state, EXCHANGE_TUNNEL);
	fake_reset(up, 502, REASON_UPSTREAM_RESET, true); /* Now something has begun. */
	assert_int_equal(g.n_gets, 2);
	assert_tunnel_over(f, FAKE_RESET);
}

/* A byte of either side keeps it for all of the span; then both are told its end. */
static void an_idle_tunnel_ends_in_order(void **state)
{
	struct fake_stream *f = tunnel(1), *up = gate_other(f);

	(void)state;
	for (int i = 0; i < 6; i++) {
		gate_wait(60 * S);
		fake_body(i & 1 ? f : up, 1, false);
		fake_pump(i & 1 ? up : f, 1);
		gate_check();
	}
	gate_wait(100 * S - 10 * MS);
	assert_false(f->out.ended || up->out.ended);
	gate_wait(20 * MS);
	assert_true(f->out.ended && up->out.ended);
	assert_int_equal(exchange_at(f)->state, EXCHANGE_ENDING);
	gate_check();
	fake_body(f, 500, false); /* Too late: it goes nowhere. */
	fake_body(up, 500, true);
	gate_check();
	fake_pump(up, 0);
	assert_int_equal(up->out.told, 3);
	fake_pump(f, 0);
	assert_int_equal(f->out.told, 3);
	assert_int_equal(up->life, FAKE_RELEASED);
	assert_int_equal(n_rejected(REASON_TUNNEL_IDLE), 1);
	assert_tunnel_over(f, FAKE_RELEASED);
}

/* Bytes that wait for their reader are not idle time: that is what write_stall is for. */
static void a_tunnel_that_is_not_read_is_cut(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		struct fake_stream *f = tunnel(i + 1), *up = gate_other(f);

		fake_body(i ? f : up, 5000, false);
		gate_wait(15 * S - 10 * MS);
		assert_true(fake_is_open(f));
		gate_wait(20 * MS);
		assert_int_equal(
			n_rejected(i ? REASON_UPSTREAM_WRITE_TIMEOUT : REASON_SEND_TIMEOUT), 1);
		assert_tunnel_over(f, FAKE_RESET);
	}
}

static void a_tunnel_has_a_grace_in_a_drain(void **state)
{
	struct fake_stream *f = tunnel(1), *up = gate_other(f), *late;

	(void)state;
	proxy_drain(g.proxy);
	gate_wait(29 * S);
	late = ask_to_switch(2);
	fake_pump(gate_other(late), 0);
	fake_body(f, 100, false);
	fake_pump(up, 100);
	gate_check();
	assert_true(fake_is_open(f) && !f->out.ended);
	gate_wait(1 * S + 20 * MS);
	assert_true(f->out.ended && up->out.ended);
	fake_pump(up, 0);
	fake_pump(f, 0);
	assert_int_equal(n_rejected(REASON_DRAINING), 1);
	assert_int_equal(f->life, FAKE_RELEASED);
	/* One that began too late has none of it. */
	up = gate_other(late);
	gate_answer(up, 101, UPGRADE);
	gate_wait(2 * MS);
	assert_int_equal(late->out.status, 101);
	assert_true(late->out.ended && up->out.ended);
	fake_pump(late, 0);
	fake_pump(up, 0);
	assert_tunnel_over(late, FAKE_RELEASED);
}

static void a_tunnel_does_not_outlive_the_drain(void **state)
{
	struct fake_stream *f = tunnel(1);

	(void)state;
	proxy_drain(g.proxy);
	proxy_abort(g.proxy);
	assert_false(f->out.ended);
	assert_tunnel_over(f, FAKE_RESET);
	assert_true(proxy_is_quiet(g.proxy));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, gate_open, gate_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(streams_share_two_connections),
		TEST(an_end_stays_with_its_stream),
		TEST(without_an_exchange_a_stream_is_reset),
		TEST(what_lies_between_is_bounded),
		TEST(both_ways_at_once),
		TEST(a_body_waits_for_its_upstream),
		TEST(a_client_leaves_while_connecting),
		TEST(another_endpoint_is_tried_once),
		TEST(no_stream_at_once_is_an_answer),
		TEST(a_reused_connection_gets_the_head_alone),
		TEST(a_request_may_be_sent_twice),
		TEST(no_request_is_sent_three_times),
		TEST(a_second_attempt_is_timed_anew),
		TEST(a_reset_behind_the_head_cuts_off),
		TEST(a_reset_behind_the_whole_answer_is_none),
		TEST(a_slow_client_keeps_no_upstream),
		TEST(an_upstream_is_released_when_it_has_the_request),
		TEST(an_early_answer_ends_the_request),
		TEST(a_refused_body_goes_nowhere),
		TEST(a_refused_end_is_not_passed_on),
		TEST(a_body_grows_too_large_beside_its_answer),
		TEST(a_body_grows_too_large_behind_its_answer),
		TEST(a_malformed_body_is_answered),
		TEST(informational_answers_are_passed_up_to_a_bound),
		TEST(a_sound_head_may_be_refused_by_its_codec),
		TEST(every_wait_ends),
		TEST(each_side_pays_for_itself),
		TEST(a_client_keeps_up_a_rate),
		TEST(an_upstream_that_answers_need_not_read),
		TEST(a_drain_lets_finish_and_an_abort_does_not),
		TEST(a_tunnel_has_two_ways),
		TEST(a_tunnel_is_half_closed),
		TEST(what_lies_in_a_tunnel_is_bounded),
		TEST(a_tunnel_is_cut_by_its_upstream),
		TEST(a_tunnel_needs_leave_and_consent),
		TEST(a_request_for_a_tunnel_may_be_sent_twice),
		TEST(an_idle_tunnel_ends_in_order),
		TEST(a_tunnel_that_is_not_read_is_cut),
		TEST(a_tunnel_has_a_grace_in_a_drain),
		TEST(a_tunnel_does_not_outlive_the_drain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
