/* SPDX-License-Identifier: Apache-2.0 */
/* Each code that a refused push may have is counted by its own name. */
#include "core/server/server_outcome.c"

#include "tests/unit/core/base/base_test.h"

static struct {
	struct server server;
	struct metric_set *set;
} w;

static int begin(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	assert_int_equal(metric_create(METRIC_NO_WORKER, &w.set), 0);
	w.server.own = w.set;
	return 0;
}

static int end(void **state)
{
	(void)state;
	metric_destroy(w.set);
	return 0;
}

static uint64_t n(enum metric_push result)
{
	return atomic_load(&w.set->counters[METRIC_POLICY_PUSH + result]);
}

static void refuse(const char *code)
{
	const struct control_error error = { .code = code, .path = "", .message = "so" };

	server_push_refused(&w.server, 7, &error);
}

static void each_code_has_its_label(void **state)
{
	static const struct {
		const char *code;
		enum metric_push result;
	} cases[] = {
		{ "value", METRIC_PUSH_VALUE },       { "stale", METRIC_PUSH_STALE },
		{ "busy", METRIC_PUSH_BUSY },         { "not_kept", METRIC_PUSH_NOT_KEPT },
		{ "internal", METRIC_PUSH_INTERNAL }, { "nobody knows", METRIC_PUSH_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		refuse(cases[i].code);
		if (n(cases[i].result) != 1)
			fail_msg("%s", cases[i].code);
	}
}

/* A document is never read from a file here, so that one is left to "other". */
static void what_a_report_says_has_a_label(void **state)
{
	(void)state;
	for (unsigned code = 0; code < REPORT_N_CODES; code++)
		if (code != REPORT_FILE &&
		    result_of(report_code_name((enum report_code)code)) == METRIC_PUSH_OTHER)
			fail_msg("%s", report_code_name((enum report_code)code));
}

static void what_was_good_is_counted_apart(void **state)
{
	(void)state;
	server_push_accepted(&w.server, false);
	server_push_accepted(&w.server, false);
	server_push_accepted(&w.server, true);
	server_denied(&w.server, 65534, 65534);
	assert_int_equal(n(METRIC_PUSH_COMMITTED), 2);
	assert_int_equal(n(METRIC_PUSH_DRY_RUN), 1);
	assert_int_equal(n(METRIC_PUSH_DENIED), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_code_has_its_label, begin, end),
		cmocka_unit_test_setup_teardown(what_a_report_says_has_a_label, begin, end),
		cmocka_unit_test_setup_teardown(what_was_good_is_counted_apart, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
