/* SPDX-License-Identifier: Apache-2.0 */
/* The gate in front of a listener: it stops before a table is full, and goes on again. */
#include "core/proxy/listener.c"

#include "core/base/metric_render.h"
#include "core/base/rng.h"
#include "tests/sim/sim_net.h"
#include "tests/unit/policy/one_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS GW_NS_PER_MS

enum { ENDS_MAX = 64 };

static struct ring_addr front = { .family = AF_INET, .port = 80, .ip = { 127, 0, 0, 1 } };
static const struct ring_addr from = { .family = AF_INET, .port = 9, .ip = { 192, 0, 2, 1 } };

static struct {
	struct ring *ring;
	struct proxy *proxy;
	struct proxy_options options;
	struct proxy_shared shared;
	struct metric_set *metrics;
	struct policy_seat seat;
	struct policy_table *table;
	struct listener listener;
	struct sim_end *ends[ENDS_MAX];
	uint32_t n_ends;
} w;

static uint64_t counter(enum metric_counter which)
{
	const struct metric_view view = { .sets = &w.metrics, .n_sets = 1 };

	return metric_sum_counter(&view, which);
}

static int64_t gauge(enum metric_gauge which)
{
	const struct metric_view view = { .sets = &w.metrics, .n_sets = 1 };

	return metric_sum_gauge(&view, which);
}

static void configure(uint16_t emfile)
{
	const struct sim_options sim = {
		.seed = 1,
		.faults = { .accept_emfile = emfile },
		.send_size = 4096,
		.window_size = 4096,
		.pipe_size = 4096,
		.steps_max = 1000000,
	};

	sim_configure(w.ring, &sim);
}

static void check(void *owner)
{
	(void)owner;
	proxy_check(w.proxy);
	assert_int_equal(gauge(METRIC_ACCEPT_PAUSED), w.listener.state == LISTENER_PAUSED);
}

static void begin(uint32_t clients_max, uint32_t files_max)
{
	const struct ring_options ring = { .files_max = files_max,
					   .bufs_max = 64,
					   .bufs_posted = 1 };
	struct proxy_parts parts = {
		.options = &w.options, .shared = &w.shared, .seat = &w.seat, .seed = 1
	};
	int32_t file;

	memset(&w, 0, sizeof(w));
	w.options = (struct proxy_options){ .limits = h1_limits_default,
					    .clients_max = clients_max,
					    .upstreams_max = 1,
					    .heads_max = 1,
					    .via = SLICE_INIT("gw") };
	w.table = no_table();
	seat_offer(&w.seat, w.table);
	assert_int_equal(metric_create(0, &w.metrics), 0);
	assert_int_equal(ring_open(&ring, &w.ring), 0);
	configure(0);
	assert_int_equal(ring_enable(w.ring), 0);
	parts.ring = w.ring;
	parts.metrics = w.metrics;
	assert_int_equal(proxy_create(&parts, &w.proxy), 0);
	assert_int_equal(ring_listen(w.ring, &front, &(struct ring_listen){ 0 }, &file), 0);
	listener_open(&w.listener, w.proxy, file, &(struct listener_spec){ .h1 = true });
	sim_on_step(w.ring, check, NULL);
}

static void watch_nothing(struct sim_end *end, void *owner)
{
	(void)end;
	(void)owner;
}

static void dial(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		assert_true(w.n_ends < ENDS_MAX);
		w.ends[w.n_ends] = sim_end_dial(w.ring, &front, &from);
		assert_non_null(w.ends[w.n_ends]);
		sim_end_watch(w.ends[w.n_ends++], watch_nothing, NULL);
	}
}

static void hang_up(uint32_t i)
{
	if (w.ends[i])
		sim_end_close(w.ends[i], false);
	w.ends[i] = NULL;
}

static void pass(uint64_t span_ns)
{
	uint64_t until_ns = ring_now_ns(w.ring) + span_ns;

	while (ring_now_ns(w.ring) < until_ns)
		assert_int_equal(ring_turn(w.ring, until_ns - ring_now_ns(w.ring)), 0);
}

static void end(void)
{
	proxy_abort(w.proxy);
	for (uint32_t i = 0; i < w.n_ends; i++)
		hang_up(i);
	pass(100 * MS);
	assert_int_equal(w.listener.state, LISTENER_CLOSED);
	assert_true(proxy_is_quiet(w.proxy));
	assert_int_equal(counter(METRIC_CONNECTIONS_CLOSED + REASON_OVERLOAD_CONNECTIONS), 0);
	assert_int_equal(gauge(METRIC_CONNECTIONS_IDLE), 0);
	proxy_destroy(w.proxy);
	ring_free(w.ring);
	metric_destroy(w.metrics);
	free(w.table);
}

/* --- The gate. ------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint32_t clients_max, files_max, room;
} bounds[] = {
	{ "slots", 4, 64, 4 },
	{ "files: each has one for an upstream", 100, 13, 6 },
	{ "one slot", 1, 64, 1 },
	{ "many slots", 40, 256, 40 },
};

/* Nobody is accepted only to be sent away: who finds no room waits in the queue. */
static void who_finds_no_room_waits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
		begin(bounds[i].clients_max, bounds[i].files_max);
		dial(bounds[i].room + 10);
		pass(50 * MS);
		if (w.listener.state != LISTENER_PAUSED)
			fail_msg("%s: state %u", bounds[i].name, w.listener.state);
		assert_in_range(w.proxy->clients.n_used, 1, bounds[i].room);
		assert_true(counter(METRIC_CONNECTIONS) == w.proxy->clients.n_used);
		for (uint32_t k = 0; k < w.n_ends; k++) { /* Each in its turn. */
			hang_up(k);
			pass(200 * MS);
		}
		if (counter(METRIC_CONNECTIONS) != bounds[i].room + 10)
			fail_msg("%s: %llu came in", bounds[i].name,
				 (unsigned long long)counter(METRIC_CONNECTIONS));
		assert_int_equal(w.listener.state, LISTENER_OPEN);
		assert_int_equal(w.proxy->clients.n_used, 0);
		end();
	}
}

static void a_failed_accept_is_tried_again(void **state)
{
	(void)state;
	begin(8, 64);
	configure(1000);
	dial(2);
	pass(50 * MS);
	assert_int_equal(w.listener.state, LISTENER_PAUSED);
	pass(1000 * MS); /* Not in a tight loop. */
	assert_in_range(counter(METRIC_ACCEPT_ERRORS), 5, 12);
	configure(0);
	pass(300 * MS);
	assert_int_equal(w.listener.state, LISTENER_OPEN);
	assert_int_equal(w.proxy->clients.n_used, 2);
	end();
}

/* --- Ends. ----------------------------------------------------------------------------------- */

static void a_drain_takes_what_has_begun(void **state)
{
	(void)state;
	begin(16, 64);
	pass(10 * MS);
	dial(5);
	listener_drain(&w.listener);
	dial(3); /* Too late: they are to find somebody else. */
	pass(30 * MS);
	assert_int_equal(w.proxy->clients.n_used, 5);
	pass(450 * MS); /* The end of a handshake may still come. */
	assert_int_equal(w.listener.state, LISTENER_OPEN);
	pass(150 * MS);
	assert_int_equal(w.listener.state, LISTENER_CLOSED);
	assert_null(sim_end_dial(w.ring, &front, &from));
	pass(2000 * MS);
	assert_int_equal(counter(METRIC_CONNECTIONS), 5);
	assert_int_equal(sim_counts(w.ring)->turned_away, 0);
	end();
}

static void a_drain_ends_however_many_knock(void **state)
{
	(void)state;
	begin(16, 64);
	for (uint32_t i = 0; i < 60; i++) {
		if (i == 10)
			listener_drain(&w.listener);
		if (w.listener.state < LISTENER_CLOSING)
			dial(1);
		pass(20 * MS);
	}
	assert_in_range(w.n_ends, 30, 40); /* 500 ms and a look later. */
	assert_int_equal(w.listener.state, LISTENER_CLOSED);
	assert_int_equal(counter(METRIC_CONNECTIONS), 10);
	assert_int_equal(sim_counts(w.ring)->turned_away, 0);
	end();
}

/* Who is queued and finds no room waits in a drain as at any time. */
static void a_drain_waits_for_room(void **state)
{
	(void)state;
	begin(4, 64);
	dial(10);
	pass(10 * MS);
	listener_drain(&w.listener);
	pass(3000 * MS);
	assert_int_equal(w.listener.state, LISTENER_PAUSED);
	assert_int_equal(w.proxy->clients.n_used, 4);
	for (uint32_t i = 0; i < 10; i++) {
		hang_up(i);
		pass(200 * MS);
	}
	pass(100 * MS);
	assert_int_equal(counter(METRIC_CONNECTIONS), 10);
	assert_int_equal(w.listener.state, LISTENER_CLOSED);
	assert_int_equal(sim_counts(w.ring)->turned_away, 0);
	end();
}

static void a_drain_outlasts_failing_accepts(void **state)
{
	(void)state;
	begin(8, 64);
	configure(1000);
	dial(3);
	listener_drain(&w.listener);
	pass(2000 * MS);
	assert_int_equal(counter(METRIC_CONNECTIONS), 0);
	configure(0);
	pass(150 * MS);
	assert_int_equal(w.proxy->clients.n_used, 3);
	pass(150 * MS);
	assert_int_equal(w.listener.state, LISTENER_CLOSED);
	assert_int_equal(sim_counts(w.ring)->turned_away, 0);
	end();
}

static void a_unix_listener_refuses_in_a_drain(void **state)
{
	(void)state;
	front.family = AF_UNIX;
	begin(4, 64);
	dial(6);
	listener_drain(&w.listener);
	assert_null(sim_end_dial(w.ring, &front, &from));
	pass(1000 * MS);
	assert_int_equal(w.listener.state, LISTENER_PAUSED);
	for (uint32_t i = 0; i < 6; i++)
		hang_up(i);
	pass(500 * MS);
	assert_int_equal(w.listener.state, LISTENER_CLOSED);
	assert_int_equal(counter(METRIC_CONNECTIONS), 6);
	end();
	front.family = AF_INET;
}

/* However the gate stands when the drain begins. */
static void a_drain_ends_from_any_state(void **state)
{
	(void)state;
	for (uint64_t wait_us = 0; wait_us < 600; wait_us += 3) {
		begin(4, 64);
		dial(8);
		pass(wait_us * GW_NS_PER_US);
		listener_drain(&w.listener);
		listener_drain(&w.listener);
		for (uint32_t i = 0; i < 8; i++)
			hang_up(i);
		pass(2000 * MS);
		assert_int_equal(w.listener.state, LISTENER_CLOSED);
		end();
	}
}

static void a_close_is_a_close_at_any_time(void **state)
{
	(void)state;
	for (uint64_t wait_us = 0; wait_us < 600; wait_us += 3) {
		begin(4, 64);
		dial(8);
		if (wait_us % 2)
			listener_drain(&w.listener);
		pass(wait_us * GW_NS_PER_US);
		listener_close(&w.listener);
		listener_close(&w.listener);
		pass(20 * MS);
		assert_int_equal(w.listener.state, LISTENER_CLOSED);
		end();
	}
}

static void whoever_comes_and_goes_none_is_refused(void **state)
{
	struct rng rng;

	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		rng_seed(&rng, seed);
		begin(1 + (uint32_t)rng_below(&rng, 8), 8 + (uint32_t)rng_below(&rng, 20));
		for (int step = 0; step < 200; step++) {
			uint64_t dice = rng_below(&rng, 4);

			if (dice == 0 && w.n_ends < ENDS_MAX)
				dial(1);
			else if (dice == 1 && w.n_ends > 0)
				hang_up((uint32_t)rng_below(&rng, w.n_ends));
			else
				pass(rng_below(&rng, 2 * MS));
		}
		for (uint32_t i = 0; i < w.n_ends; i++)
			hang_up(i);
		pass(5000 * MS);
		assert_int_equal(counter(METRIC_CONNECTIONS), w.n_ends);
		end();
	}
}

/* --- Trust. ---------------------------------------------------------------------------------- */

static void only_named_networks_are_trusted(void **state)
{
	const struct peer_net nets[] = { { AF_INET, 8, { 10 } }, { AF_INET6, 128, { [15] = 1 } } };
	const struct peer inside = { .family = AF_INET, .ip = { 10, 1 } };
	const struct peer outside = { .family = AF_INET, .ip = { 11, 1 } };
	const struct peer six = { .family = AF_INET6, .ip = { [15] = 1 } };
	struct listener l = { .spec = { .trusted = nets, .n_trusted = 2 } };

	(void)state;
	assert_true(listener_trusts(&l, &inside) && listener_trusts(&l, &six));
	assert_false(listener_trusts(&l, &outside));
	l.spec.n_trusted = 0;
	assert_false(listener_trusts(&l, &inside));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_finds_no_room_waits),
		cmocka_unit_test(a_failed_accept_is_tried_again),
		cmocka_unit_test(a_drain_takes_what_has_begun),
		cmocka_unit_test(a_drain_ends_however_many_knock),
		cmocka_unit_test(a_drain_waits_for_room),
		cmocka_unit_test(a_drain_outlasts_failing_accepts),
		cmocka_unit_test(a_unix_listener_refuses_in_a_drain),
		cmocka_unit_test(a_drain_ends_from_any_state),
		cmocka_unit_test(a_close_is_a_close_at_any_time),
		cmocka_unit_test(whoever_comes_and_goes_none_is_refused),
		cmocka_unit_test(only_named_networks_are_trusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
