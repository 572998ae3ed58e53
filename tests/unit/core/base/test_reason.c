/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/reason.c"

#include "base_test.h"

static void rows_are_whole(void **state)
{
	(void)state;
	for (unsigned i = 1; i < REASON_N; i++) {
		struct slice label = reason_label(i);
		unsigned status = reason_status(i);

		if (label.len == 0 || label.len > 31 || reason_help(i).len < 5 ||
		    reason_scope(i) == 0)
			fail_msg("row %u", i);
		for (size_t c = 0; c < label.len; c++) {
			if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_", label.ptr[c]))
				fail_msg("label '%.*s'", SLICE_ARG(label));
		}
		if (status != 0 && (status < 400 || status > 599))
			fail_msg("status of '%.*s'", SLICE_ARG(label));
		/* A reply is either sent, or the connection just ends. */
		if (status != 0 && reason_connection(i) == REASON_ABORT)
			fail_msg("'%.*s' replies and aborts", SLICE_ARG(label));
		/* Unique: the first row with this label is this one. */
		assert_int_equal(reason_find(label), i);
	}
}

static const struct {
	enum reason reason;
	const char *label;
	unsigned status;
	enum reason_connection connection;
} samples[] = {
	{ REASON_NONE, "none", 0, REASON_KEEP },
	{ REASON_BAD_REQUEST_LINE, "bad_request_line", 400, REASON_CLOSE },
	{ REASON_NO_ROUTE, "no_route", 404, REASON_KEEP },
	{ REASON_HEADER_TIMEOUT, "header_timeout", 408, REASON_CLOSE },
	{ REASON_POLICY_DISABLED, "policy_disabled", 429, REASON_KEEP },
	{ REASON_UPSTREAM_CONNECT, "connect", 502, REASON_KEEP },
	{ REASON_UPSTREAM_TRUNCATED, "upstream_truncated", 0, REASON_ABORT },
};

static void samples_are_as_documented(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		assert_slice(reason_label(samples[i].reason), samples[i].label);
		assert_int_equal(reason_status(samples[i].reason), samples[i].status);
		assert_int_equal(reason_connection(samples[i].reason), samples[i].connection);
	}
	assert_int_equal(reason_find(SLICE("no_such_reason")), REASON_N);
}

static void out_of_range(void)
{
	(void)reason_label(REASON_N);
}

static void misuse_traps(void **state)
{
	(void)state;
	assert_traps(out_of_range);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_whole),
		cmocka_unit_test(samples_are_as_documented),
		cmocka_unit_test(misuse_traps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
