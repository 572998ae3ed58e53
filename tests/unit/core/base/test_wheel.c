/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/wheel.c"

#include "base_test.h"
#include "core/base/rng.h"

#define MS       UINT64_C(1000000)
#define N_TIMERS 200u

struct timer {
	struct wheel_timer wt;
	uint64_t deadline_ns;
	unsigned n_fired;
	uint64_t again_ns;    /* Re-adds itself with this deadline, if not 0. */
	struct timer *victim; /* Removed by the callback. */
};

static struct wheel wheel;
static uint64_t now_ns;
static uint64_t last_tick;

static void fired(struct wheel_timer *wt)
{
	struct timer *t = GW_CONTAINER_OF(wt, struct timer, wt);

	assert_false(wheel_timer_is_armed(wt));
	assert_true(now_ns >= t->deadline_ns); /* Never early. */
	assert_true(wt->tick >= last_tick);    /* In order. */
	last_tick = wt->tick;
	t->n_fired++;
	if (t->victim)
		wheel_del(&wheel, &t->victim->wt);
	if (t->again_ns) {
		t->deadline_ns = t->again_ns;
		wheel_add(&wheel, &t->wt, t->again_ns);
		t->again_ns = 0;
		last_tick = 0; /* A passed deadline may be added during the walk. */
	}
}

static void start(uint64_t at_ns)
{
	now_ns = at_ns;
	last_tick = 0;
	wheel_init(&wheel, at_ns);
}

static void add(struct timer *t, uint64_t deadline_ns)
{
	if (!t->wt.fn)
		wheel_timer_init(&t->wt, fired);
	t->deadline_ns = deadline_ns;
	wheel_add(&wheel, &t->wt, deadline_ns);
}

static uint32_t advance(uint64_t to_ns)
{
	uint32_t n;

	now_ns = to_ns;
	last_tick = 0;
	n = wheel_advance(&wheel, now_ns, UINT32_MAX);
	wheel_check(&wheel);
	return n;
}

/* Distances at which levels, slots and the reach of the wheel begin and end. */
static const uint64_t spans_ms[] = {
	0,        1,          2,           62,          63,          64,           65,     127,
	128,      4095,       4096,        4097,        262143,      262144,       262145, 16777215,
	16777216, 1073741824, 68719476735, 68719476736, 68719476737, 200000000000,
};

/* Each span alone, from starts at odd and at round places: fires at its own tick, not before. */
static void each_span_is_exact(void **state)
{
	static const uint64_t starts_ms[] = { 0, 1, 63, 64, 4095, 4096, 262143, 68719476735 };

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(starts_ms); s++) {
		for (size_t i = 0; i < ARRAY_SIZE(spans_ms); i++) {
			struct timer t = { 0 };
			uint64_t due = (starts_ms[s] + spans_ms[i]) * MS;

			start(starts_ms[s] * MS);
			add(&t, due);
			if (due > now_ns) {
				assert_int_equal(advance(due - 1), 0);
				assert_int_equal(advance(due - 1), 0);
			}
			assert_int_equal(advance(due), 1);
			assert_int_equal(wheel.n_armed, 0);
		}
	}
}

/* A loop that sleeps as wheel_next_ns() says is never late and wakes seldom. */
static void sleeping_as_told_is_exact(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spans_ms); i++) {
		struct timer t = { 0 };
		uint64_t due = 77 * MS + spans_ms[i] * MS;
		unsigned n_wakes = 0;
		unsigned n_wakes_max =
			WHEEL_N_LEVELS * (2 + (unsigned)(spans_ms[i] / (REACH_MASK + 1)));

		start(77 * MS);
		add(&t, due);
		while (t.n_fired == 0) {
			assert_true(wheel_next_ns(&wheel) <= due);
			(void)advance(wheel_next_ns(&wheel));
			assert_true(++n_wakes <= n_wakes_max);
		}
		assert_true(now_ns == due || spans_ms[i] == 0);
		assert_true(wheel_next_ns(&wheel) == WHEEL_NEVER);
	}
}

static void fractions_round_up(void **state)
{
	struct timer t = { 0 };

	(void)state;
	start(10 * MS + 400);
	add(&t, 12 * MS + 1);
	assert_int_equal(advance(12 * MS + 500), 0); /* Tick 13 has not been reached. */
	assert_int_equal(advance(13 * MS), 1);
}

static void far_deadlines_are_never_early(void **state)
{
	struct timer never = { 0 };
	struct timer t = { 0 };

	(void)state;
	start(5 * MS);
	add(&never, UINT64_MAX);
	add(&t, 6 * MS);
	assert_int_equal(advance(UINT64_C(1000000000) * 1000000000), 1);
	assert_true(wheel_timer_is_armed(&never.wt));
	wheel_del(&wheel, &never.wt);
	wheel_del(&wheel, &never.wt); /* Idle: left alone. */
	assert_int_equal(wheel.n_armed, 0);
	assert_true(wheel_next_ns(&wheel) == WHEEL_NEVER);
}

static void calls_are_bounded(void **state)
{
	struct timer t[10] = { 0 };

	(void)state;
	start(0);
	for (unsigned i = 0; i < 10; i++)
		add(&t[i], (i / 4 + 1) * MS);
	now_ns = 100 * MS;
	last_tick = 0;
	assert_int_equal(wheel_advance(&wheel, now_ns, 0), 0);
	assert_int_equal(wheel_advance(&wheel, now_ns, 3), 3);
	wheel_check(&wheel);
	assert_true(wheel_next_ns(&wheel) <= now_ns); /* Some are waiting. */
	wheel_del(&wheel, &t[3].wt);                  /* Due already, and taken back. */
	assert_int_equal(wheel_advance(&wheel, now_ns, 3), 3);
	assert_int_equal(wheel_advance(&wheel, now_ns, 100), 3);
	assert_int_equal(t[3].n_fired, 0);
	assert_true(wheel_next_ns(&wheel) == WHEEL_NEVER);
}

static void callbacks_may_add_and_remove(void **state)
{
	struct timer a = { 0 };
	struct timer b = { 0 };
	struct timer c = { 0 };

	(void)state;
	start(0);
	add(&a, 5 * MS);
	add(&b, 5 * MS);
	add(&c, 9 * MS);
	a.victim = &b; /* Same tick, due already. */
	a.again_ns = 7 * MS;
	c.again_ns = 1; /* Long past. */
	assert_int_equal(advance(20 * MS), 4);
	assert_int_equal(a.n_fired, 2);
	assert_int_equal(b.n_fired, 0);
	assert_int_equal(c.n_fired, 2);
	assert_int_equal(wheel.n_armed, 0);
}

/* What the wheel should do, done the slow way. */
struct model {
	struct timer timers[N_TIMERS];
	bool armed[N_TIMERS];
	uint64_t due_tick[N_TIMERS];
	unsigned want_fired[N_TIMERS];
};

static void model_add(struct model *m, uint32_t i, uint64_t deadline_ns)
{
	uint64_t tick = deadline_ns / MS + (deadline_ns % MS > 0);

	m->armed[i] = true;
	m->due_tick[i] = tick > wheel.tick ? tick : wheel.tick; /* Passed: the next tick. */
}

static uint64_t random_span(struct rng *rng)
{
	return rng_below(rng, UINT64_C(1) << (1 + rng_below(rng, 46)));
}

static void model_advance(struct model *m, uint64_t to_ns)
{
	for (uint32_t i = 0; i < N_TIMERS; i++) {
		if (m->armed[i] && m->due_tick[i] <= to_ns / MS) {
			m->armed[i] = false;
			m->want_fired[i]++;
		}
	}
}

static void compare(const struct model *m, uint64_t seed)
{
	uint64_t n_armed = 0;
	uint64_t first_ns = WHEEL_NEVER;

	for (uint32_t i = 0; i < N_TIMERS; i++) {
		const struct timer *t = &m->timers[i];

		if (wheel_timer_is_armed(&t->wt) != m->armed[i] || t->n_fired != m->want_fired[i])
			fail_msg("seed %lu: timer %u due %lu at %lu: fired %u, not %u", seed, i,
				 t->deadline_ns, now_ns, t->n_fired, m->want_fired[i]);
		n_armed += m->armed[i];
		if (m->armed[i] && m->due_tick[i] * MS < first_ns)
			first_ns = m->due_tick[i] * MS;
	}
	assert_int_equal(wheel.n_armed, n_armed);
	assert_true(wheel_next_ns(&wheel) <= first_ns);
	assert_int_equal(wheel_next_ns(&wheel) == WHEEL_NEVER, n_armed == 0);
}

static void random_step(struct model *m, struct rng *rng)
{
	uint32_t i = (uint32_t)rng_below(rng, N_TIMERS);

	switch (rng_below(rng, 8)) {
	case 0:
		wheel_del(&wheel, &m->timers[i].wt);
		m->armed[i] = false;
		break;
	case 1: {
		uint64_t to_ns = rng_below(rng, 3) ? now_ns + random_span(rng)
						   : wheel_next_ns(&wheel);

		if (to_ns == WHEEL_NEVER || to_ns < now_ns)
			to_ns = now_ns;
		model_advance(m, to_ns);
		(void)advance(to_ns);
		break;
	}
	default: {
		uint64_t span = random_span(rng);
		bool past = rng_below(rng, 16) == 0 && span < now_ns;

		uint64_t deadline_ns = past ? now_ns - span : now_ns + span;

		model_add(m, i, deadline_ns);
		add(&m->timers[i], deadline_ns);
		break;
	}
	}
}

static void random_use_agrees_with_a_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct model m = { 0 };
		struct rng rng;

		rng_seed(&rng, seed);
		start(rng_next(&rng) >> (1 + rng_below(&rng, 40)));
		for (unsigned step = 0; step < 1000; step++) {
			random_step(&m, &rng);
			compare(&m, seed);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_span_is_exact),
		cmocka_unit_test(sleeping_as_told_is_exact),
		cmocka_unit_test(fractions_round_up),
		cmocka_unit_test(far_deadlines_are_never_early),
		cmocka_unit_test(calls_are_bounded),
		cmocka_unit_test(callbacks_may_add_and_remove),
		cmocka_unit_test(random_use_agrees_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
