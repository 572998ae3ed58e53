/* SPDX-License-Identifier: Apache-2.0 */
/* What the answer to a push says of workers that are late, and of what nothing acts on. */
#include "core/server/server_push.c"

#include "core/document/encode.h"
#include "core/document/load.h"
#include "tests/unit/core/base/base_test.h"
#include "tests/unit/core/server/some_settings.h"

enum { WORKERS = 3 };

static struct {
	struct ring *ring;
	struct server server;
	struct worker workers[WORKERS];
	const struct ring *rings[WORKERS];
	struct push push;
	char text[256 * 1024];
} w;

static void table_changed(void *owner, const struct policy_table *table)
{
	(void)owner;
	for (int i = 0; i < WORKERS; i++)
		seat_renew(&w.workers[i].seat, table, gw_now_ns());
}

static int begin(void **state)
{
	const struct ring_options ring = { .files_max = 8, .bufs_max = 4, .bufs_posted = 2 };
	struct targets_options opt = { .changed = table_changed };
	struct server *s = &w.server;

	(void)state;
	memset(&w, 0, sizeof(w));
	assert_int_equal(ring_open(&ring, &w.ring), 0);
	assert_int_equal(ring_enable(w.ring), 0);
	opt.ring = w.ring;
	s->settings = s->first = some_settings();
	list_init(&s->old_settings);
	assert_int_equal(targets_open(&opt, &s->targets), 0);
	s->workers = w.workers;
	s->rings = w.rings;
	s->n_workers = s->n_running = WORKERS;
	for (int i = 0; i < WORKERS; i++)
		w.rings[i] = w.ring;
	assert_int_equal(server_apply_policy(s), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	targets_free(w.server.targets);
	settings_free(w.server.settings);
	ring_free(w.ring);
	return 0;
}

/* The answer as JSON. */
static const char *answered(void)
{
	static char packed[256 * 1024];
	struct pack p = pack_make(packed, sizeof(packed));
	struct writer text = writer_make(w.text, sizeof(w.text) - 1);
	struct document *doc;
	struct report rep;

	pack_push(&w.server, &w.push, &p);
	report_init(&rep, NULL);
	assert_false(p.w.overflow);
	assert_int_equal(decode_read(writer_slice(&p.w), &rep, &doc), 0);
	encode_json(&text, document_root(doc));
	assert_false(text.overflow);
	*text.ptr = '\0';
	document_free(doc);
	return w.text;
}

static bool says(const char *what)
{
	return strstr(w.text, what);
}

static void who_has_not_adopted_is_counted(void **state)
{
	static const char none[] = "\x90";

	(void)state;
	memcpy(w.push.inactive, none, 1);
	w.push.inactive_len = 1;
	seat_table(&w.workers[0].seat);
	answered();
	assert_true(says("\"pending\":2"));
	assert_true(says("\"sync_us_max\":null"));
	assert_true(says("{\"worker\":1,\"adopt_us\":null}"));
	seat_table(&w.workers[1].seat);
	w.rings[2] = NULL; /* It has ended: nobody waits for it. */
	answered();
	assert_true(says("\"pending\":0"));
	assert_false(says("null"));
}

static void read_policy(const char *text, struct document **ret_doc)
{
	struct report rep;

	report_init(&rep, NULL);
	assert_int_equal(document_parse("x.json", slice_of(text), &rep, ret_doc), 0);
}

/* A service has one thing in it that nothing acts on. */
static void what_there_is_no_room_for_is_counted(void **state)
{
	static char text[64 * 1024];
	struct writer out = writer_make(text, sizeof(text) - 1);
	const int n = INACTIVE_MAX + 44;
	struct document *doc;

	(void)state;
	writer_lit(&out, "{\"version\":1,\"services\":{");
	for (int i = 0; i < n; i++) {
		writer_lit(&out, "\"s");
		writer_u64(&out, (uint64_t)i);
		writer_put(&out,
			   i + 1 < n ? SLICE("\":{\"health\":{}},") : SLICE("\":{\"health\":{}}"));
	}
	writer_lit(&out, "}}");
	assert_false(out.overflow);
	read_policy(text, &doc);
	w.push.order.policy = document_root(doc);
	list_inactive(&w.push);
	answered();
	assert_true(says("\"inactive_total\":300"));
	assert_true(says("\"services.s255.health\"]"));
	assert_false(says("\"services.s256.health\""));
	document_free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_has_not_adopted_is_counted, begin, end),
		cmocka_unit_test_setup_teardown(what_there_is_no_room_for_is_counted, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
