/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many exchanges on four connections, in any order of events that peers can make.
 *
 * A seed decides everything. After each event all invariants are checked, and
 * that credit is the window and each sent byte once (gate.c). In the end every
 * request was answered once or its stream was reset, and nothing is left.
 */
#include "core/base/rng.h"
#include "tests/unit/core/proxy/gate.c"

enum { SEEDS = 150, STEPS = 1200, ASKS = 22, ROUNDS = 5000 };

struct message {
	uint32_t len;
	bool chunked, trailers;
};

struct plan {
	struct message up, down;
};

/* What all storms together must have seen. */
enum seen { SEEN_WHOLE, SEEN_OWN, SEEN_CUT, SEEN_RETRIED, SEEN_EARLY, SEEN_CANCELLED, SEEN_N };

static struct rng rng;
static struct plan plans[ASKS + 1]; /* By seed. */
static struct fake_stream *asks[ASKS];
static uint32_t n_asks;
static bool calm;
static uint64_t n_seen[SEEN_N];
static uint64_t seed_now; /* 0: no storm is on. */

static uint32_t below(uint32_t n)
{
	return (uint32_t)rng_below(&rng, n);
}

static struct message some_message(void)
{
	static const uint32_t lens[] = { 1, 3000, 20000, 120000 };
	struct message m = { .len = below(lens[below(ARRAY_SIZE(lens))]), .chunked = below(2) };

	m.trailers = m.chunked && below(2);
	return m;
}

static void fields_of(const struct message *m, char *text, size_t size)
{
	if (m->chunked)
		snprintf(text, size, "transfer-encoding: chunked\r\n");
	else
		snprintf(text, size, "content-length: %u\r\n", m->len);
}

static const struct exchange *exchange_at(const struct fake_stream *f)
{
	return f->stream.owner;
}

/* --- Acts. ----------------------------------------------------------------------------------- */

static void ask(void)
{
	static const char *const methods[] = { "GET", "HEAD", "POST", "PUT" };
	uint32_t seed = n_asks + 1, method = below(ARRAY_SIZE(methods));
	char fields[FAKE_TEXT];

	if (n_asks == ASKS)
		return;
	plans[seed] = (struct plan){ some_message(), some_message() };
	if (method < 2 && below(4))
		plans[seed].up = (struct message){ 0 };
	if (method == 1)
		plans[seed].down = (struct message){ 0 };
	fields_of(&plans[seed].up, fields, sizeof(fields));
	g.how = below(2) ? GATE_READY : GATE_COMES;
	g.reused = below(2);
	if (!calm && below(20) == 0)
		g.how = GATE_FAILS;
	asks[n_asks++] = gate_ask(&g.visitors[below(GATE_CONNS)], seed, methods[method], fields);
}

/* Some more of a message: never more than was announced, then its end. */
static void feed(struct fake_stream *source, const struct message *m)
{
	uint32_t left = m->len - (uint32_t)source->in.delivered;
	uint32_t n = 1 + below(below(2) ? 20000 : 600);

	if (source->in.ended)
		return;
	if (left == 0 && m->trailers)
		fake_trailers(source, SLICE("x-sum: 1\r\n"));
	else if (left == 0)
		fake_body(source, 0, true);
	else
		fake_body(source, n < left ? n : left, n >= left && !m->trailers);
	if (below(3))
		fake_flush(source);
}

static void answer(struct fake_stream *f)
{
	struct fake_stream *up = gate_other(f);
	char fields[FAKE_TEXT];

	if (!up || exchange_at(f)->state != EXCHANGE_SENDING)
		return;
	n_seen[SEEN_EARLY] += !f->in.ended;
	if (below(4) == 0) {
		gate_answer(up, 103, "");
		return;
	}
	fields_of(&plans[f->seed].down, fields, sizeof(fields));
	gate_answer(up, 200, fields);
}

static void feed_answer(struct fake_stream *f)
{
	struct fake_stream *up = gate_other(f);

	if (up && exchange_at(f)->state == EXCHANGE_RESPONDING)
		feed(up, &plans[f->seed].down);
}

static void connected(void)
{
	g.how = below(2) ? GATE_READY : GATE_COMES;
	if (g.n_coming == 0)
		return;
	if (!calm && below(5) == 0)
		gate_failed(below(g.n_coming));
	else
		gate_ready(below(g.n_coming));
}

static void disturb(struct fake_stream *f)
{
	struct fake_stream *up = gate_other(f);
	bool untouched = up && exchange_at(f)->state == EXCHANGE_SENDING;
	uint32_t coming = g.n_coming, n_gets = g.n_gets;

	g.how = below(2) ? GATE_READY : GATE_COMES;
	switch (below(8)) {
	case 0:
		fake_reset(f, 0, REASON_CLIENT_ABORT, false);
		n_seen[SEEN_CANCELLED] += g.n_coming < coming;
		break;
	case 1:
		if (!f->in.ended)
			fake_malformed(f, 400, REASON_CHUNK_INVALID);
		break;
	case 2:
	case 3:
		if (up)
			fake_reset(up, untouched ? 502 : 0, REASON_UPSTREAM_RESET, untouched);
		n_seen[SEEN_RETRIED] += g.n_gets > n_gets;
		break;
	case 4:
		gate_wait(below(12) * S);
		break;
	default:
		break;
	}
}

static void act(void)
{
	struct fake_stream *f;

	if (n_asks == 0 || below(40) == 0)
		ask();
	f = asks[below(n_asks)];
	switch (below(calm ? 7 : 8)) {
	case 0:
		if (fake_is_open(f))
			feed(f, &plans[f->seed].up);
		break;
	case 1:
		answer(f);
		break;
	case 2:
		feed_answer(f);
		break;
	case 3:
		fake_pump(f, below(30000));
		break;
	case 4:
		fake_pump_all(&g.visitors[below(GATE_CONNS)], below(4000));
		break;
	case 5:
		fake_pump_all(&g.origins[below(GATE_CONNS)], below(8000));
		break;
	case 6:
		connected();
		break;
	default:
		if (below(12) == 0)
			disturb(f);
		break;
	}
}

/* --- Ends. ----------------------------------------------------------------------------------- */

/* Everybody does what is left to do. */
static void settle(void)
{
	for (uint32_t round = 0; g.proxy->exchanges.n_used > 0; round++) {
		assert_true(round < ROUNDS);
		connected();
		for (uint32_t i = 0; i < n_asks; i++) {
			if (fake_is_open(asks[i]))
				feed(asks[i], &plans[asks[i]->seed].up);
			answer(asks[i]);
			feed_answer(asks[i]);
			fake_flush(asks[i]);
		}
		for (uint32_t i = 0; i < GATE_CONNS; i++) {
			fake_pump_all(&g.visitors[i], 50000);
			fake_pump_all(&g.origins[i], 50000);
		}
		gate_check();
	}
}

static void judge_visitor(const struct fake_stream *f)
{
	bool own = f->out.begun && f->out.seed == 0;

	assert_false(fake_is_open(f));
	n_seen[SEEN_CUT] += f->life == FAKE_RESET;
	n_seen[SEEN_OWN] += own;
	if (calm)
		assert_true(f->life == FAKE_RELEASED && !own);
	if (f->life == FAKE_RESET || own)
		return;
	n_seen[SEEN_WHOLE]++;
	assert_int_equal(f->out.seed, f->seed);
	assert_int_equal(f->out.told, plans[f->seed].down.len);
	assert_int_equal(f->out.trailers_len > 0, plans[f->seed].down.trailers);
}

/* Whatever looks whole to an upstream is whole. */
static void judge_upstream(const struct fake_stream *up)
{
	assert_false(fake_is_open(up));
	if (up->out.ended)
		assert_int_equal(up->out.told + up->out.pending, plans[up->out.seed].up.len);
}

static void storm(uint64_t seed)
{
	rng_seed(&rng, seed);
	calm = seed % 4 == 0;
	n_asks = 0;
	gate_open(NULL);
	for (int step = 0; step < STEPS; step++) {
		act();
		gate_check();
	}
	settle();
	for (uint32_t i = 0; i < n_asks; i++)
		judge_visitor(asks[i]);
	for (uint32_t c = 0; c < GATE_CONNS; c++)
		for (uint32_t i = 0; i < g.origins[c].n_streams; i++)
			judge_upstream(&g.origins[c].streams[i]);
	gate_close(NULL);
}

static void whatever_happens_it_ends_well(void **state)
{
	(void)state;
	for (seed_now = 1; seed_now <= SEEDS; seed_now++)
		storm(seed_now);
	seed_now = 0;
	for (uint32_t i = 0; i < SEEN_N; i++)
		if (n_seen[i] == 0)
			fail_msg("the storms never came to %u", i);
}

static int tell_seed(void **state)
{
	(void)state;
	if (seed_now)
		print_error("it was storm %llu\n", (unsigned long long)seed_now);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(whatever_happens_it_ends_well, tell_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
