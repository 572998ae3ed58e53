/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of upstream connections, between real clients and origins (stage.c). */
#include "core/proxy/upstream_pool.c"

#include "tests/unit/core/proxy/stage.c"

enum { PLACES = 16, ROUNDS = 20 };

static bool holding; /* The origin keeps its answers back. */

static void answer(struct peer_end *o)
{
	if (holding || !stage_heard(o, "\r\n\r\n"))
		return;
	o->n_heard = 0;
	memset(o->text, 0, sizeof(o->text));
	stage_say(o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static void ask(struct peer_end *c)
{
	c->n_heard = 0;
	memset(c->text, 0, sizeof(c->text));
	stage_say(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

/* By as many connections as there are clients. */
static void ask_all_at_once(uint32_t n)
{
	holding = true;
	for (uint32_t i = 0; i < n; i++)
		ask(&st.clients[i]);
	stage_run(100 * MS);
	assert_int_equal(st.n_origins, n);
	holding = false;
	for (uint32_t i = 0; i < n; i++)
		answer(&st.origins[i]);
	for (uint32_t i = 0; i < n; i++)
		stage_until(stage_heard(&st.clients[i], "ok"), 1 * S);
	stage_run(100 * MS);
}

static void ask_all(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		ask(&st.clients[i]);
	for (uint32_t i = 0; i < n; i++)
		stage_until(stage_heard(&st.clients[i], "ok"), 1 * S);
}

/* A second endpoint appears when all places are taken by idle connections to the first. */
static void idle_connections_make_room_for_other_endpoints(void **state)
{
	static const struct ring_options ring = { .bufs_max = 64, .bufs_posted = 8 };
	static const struct sim_options sim = { 0 };

	(void)state;
	stage_upstreams_max = PLACES;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		stage_open(seed, &ring, &sim, answer);
		one_service(st.table)->max_idle = PLACES;
		one_service(st.table)->max_idle_all = PLACES;
		for (uint32_t i = 0; i < PLACES; i++)
			stage_dial();
		ask_all_at_once(PLACES);
		assert_int_equal(st.proxy->idle.n, PLACES - reserve(st.proxy));
		assert_int_equal(st.proxy->upstreams.n_used, PLACES - reserve(st.proxy));

		st.second = next_table(st.table);
		one_service(st.second)->endpoints.n = 2;
		table_check(st.second);
		seat_offer(&st.seat, st.second);
		for (uint32_t i = 0; i < ROUNDS; i++)
			ask_all(2);
		assert_true(st.proxy->endpoints[1].idle.n > 0);
		stage_close();
	}
}

/* More than may idle are kept while they are used again soon, and go when they are not. */
static void a_surplus_goes_when_it_idles(void **state)
{
	static const struct ring_options ring = { .bufs_max = 64, .bufs_posted = 8 };
	static const struct sim_options sim = { 0 };

	(void)state;
	stage_upstreams_max = STAGE_PEERS;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		stage_open(seed, &ring, &sim, answer);
		one_service(st.table)->max_idle = seed % 2 ? 4 : PLACES;
		one_service(st.table)->max_idle_all = seed % 2 ? PLACES : 4;
		for (uint32_t i = 0; i < PLACES; i++)
			stage_dial();
		ask_all_at_once(PLACES);
		assert_int_equal(st.proxy->idle.n, PLACES);
		for (uint32_t i = 0; i < 10; i++) /* All are used again soon. */
			ask_all_at_once(PLACES);
		assert_int_equal(st.n_origins, PLACES);
		stage_run(4 * S);
		assert_int_equal(st.proxy->idle.n, PLACES);
		stage_run(2 * S);
		assert_int_equal(st.proxy->idle.n, 4);
		stage_run(2 * S);
		assert_int_equal(st.proxy->idle.n, 4);
		stage_run(40 * S);
		assert_int_equal(st.proxy->idle.n, 0);
		stage_close();
	}
}

static void with_no_idle_ones_allowed_none_is_kept(void **state)
{
	static const struct ring_options ring = { .bufs_max = 64, .bufs_posted = 8 };
	static const struct sim_options sim = { 0 };

	(void)state;
	stage_open(1, &ring, &sim, answer);
	one_service(st.table)->max_idle = 0;
	stage_dial();
	ask_all(1);
	stage_run(1 * MS);
	assert_int_equal(st.proxy->idle.n, 0);
	stage_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_connections_make_room_for_other_endpoints),
		cmocka_unit_test(a_surplus_goes_when_it_idles),
		cmocka_unit_test(with_no_idle_ones_allowed_none_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
