/* SPDX-License-Identifier: Apache-2.0 */
/* What workers have left behind is given back, whichever of them still run. */
#include "core/server/server_state.c"

#include "tests/unit/core/base/base_test.h"
#include "tests/unit/core/server/some_settings.h"

enum { WORKERS = 2 };

static struct {
	struct ring *ring;
	struct server server;
	struct worker workers[WORKERS];
	const struct ring *rings[WORKERS];
} w;

static void table_changed(void *owner, const struct policy_table *table)
{
	(void)owner;
	for (int i = 0; i < WORKERS; i++)
		seat_offer(&w.workers[i].seat, table);
}

/* As a worker does when it is told. */
static void adopt(int i)
{
	seat_table(&w.workers[i].seat);
	atomic_store_explicit(&w.workers[i].options, &w.server.settings->options,
			      memory_order_release);
}

/* Two workers that use the first settings and table, and newer ones for them to adopt. */
static int begin(void **state)
{
	const struct ring_options ring = { .files_max = 8, .bufs_max = 4, .bufs_posted = 2 };
	struct targets_options opt = { .changed = table_changed };
	struct server *s = &w.server;

	(void)state;
	memset(&w, 0, sizeof(w));
	assert_int_equal(ring_open(&ring, &w.ring), 0);
	assert_int_equal(ring_enable(w.ring), 0);
	s->settings = some_settings();
	list_init(&s->old_settings);
	opt.ring = w.ring;
	s->first = s->settings;
	assert_int_equal(targets_open(&opt, &s->targets), 0);
	s->workers = w.workers;
	s->rings = w.rings;
	s->n_workers = WORKERS;
	s->n_running = WORKERS;
	assert_int_equal(server_apply_policy(s), 0);
	for (int i = 0; i < WORKERS; i++) {
		w.rings[i] = w.ring; /* It runs. */
		adopt(i);
	}
	list_push_back(&s->old_settings, &s->settings->link);
	s->settings = some_settings();
	assert_int_equal(server_apply_policy(s), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	targets_free(w.server.targets);
	while (!list_is_empty(&w.server.old_settings))
		settings_free(
			list_entry(list_pop_front(&w.server.old_settings), struct settings, link));
	settings_free(w.server.settings);
	ring_free(w.ring);
	return 0;
}

static bool is_released(void)
{
	release_old(&w.server);
	return list_is_empty(&w.server.old_settings);
}

static void what_a_worker_uses_is_kept(void **state)
{
	(void)state;
	assert_false(is_released());
	adopt(0);
	assert_false(is_released());
	seat_table(&w.workers[1].seat);
	assert_false(is_released()); /* The older settings are in use there. */
	adopt(1);
	assert_true(is_released());
}

/* In a drain workers end one by one, with whatever they had adopted. */
static void who_has_ended_holds_up_nobody(void **state)
{
	(void)state;
	w.rings[0] = NULL;
	assert_false(is_released());
	adopt(1);
	assert_true(is_released());
}

static void when_all_have_ended_nothing_is_kept(void **state)
{
	(void)state;
	w.rings[0] = w.rings[1] = NULL;
	assert_true(is_released());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_a_worker_uses_is_kept, begin, end),
		cmocka_unit_test_setup_teardown(who_has_ended_holds_up_nobody, begin, end),
		cmocka_unit_test_setup_teardown(when_all_have_ended_nothing_is_kept, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
