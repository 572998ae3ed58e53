/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/trace.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/core/http/fields.h"

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN   "00f067aa0ba902b7"
#define ZERO16 "0000000000000000"
#define GOOD   "00-" TRACE "-" SPAN "-01"

static const struct {
	const char *value;
	bool want;
} parents[] = {
	{ GOOD, true },
	{ "00-" TRACE "-" SPAN "-ff", true },
	{ "cc-" TRACE "-" SPAN "-01", true },
	{ "cc-" TRACE "-" SPAN "-01-what-comes-later", true },
	{ "cc-" TRACE "-" SPAN "-01.x", false },
	{ "00-" TRACE "-" SPAN "-01-x", false },
	{ "ff-" TRACE "-" SPAN "-01", false },
	{ "00-" ZERO16 ZERO16 "-" SPAN "-01", false },
	{ "00-" TRACE "-" ZERO16 "-01", false },
	{ "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", false },
	{ "00-" TRACE "-" SPAN "-0", false },
	{ "00-" TRACE "-" SPAN "-0g", false },
	{ "00_" TRACE "-" SPAN "-01", false },
	{ "00-" TRACE "_" SPAN "-01", false },
	{ "00-" TRACE "-" SPAN "_01", false },
	{ "hello", false },
	{ "", false },
};

static void parents_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parents); i++)
		if (trace_is_parent(slice_of(parents[i].value)) != parents[i].want)
			fail_msg("%s", parents[i].value);
}

static void check(const char *lines, bool kept)
{
	struct http_head head = { 0 };

	fields_fill(&head, lines);
	trace_check(&head);
	assert_int_equal(head.anomalies, kept ? 0 : HTTP_ANOMALY_TRACEPARENT_INVALID);
	for (uint32_t i = 0; i < head.n_fields; i++)
		assert_int_equal(head.fields[i].dropped,
				 !kept && head.fields[i].id != HTTP_FIELD_OTHER);
}

static void context_stands_or_falls_as_one(void **state)
{
	char lines[1024] = "Traceparent: " GOOD "\nTraceState: k0=v";

	(void)state;
	check("traceparent: " GOOD "\nX: y\n", true);
	check("traceparent: " GOOD "\ntracestate: a=b,, c=d\n", true);
	check("traceparent: x\nX: y\ntracestate: a=b\n", false);
	check("traceparent: " GOOD "\ntraceparent: " GOOD "\n", false);
	check("tracestate: a=b\nX: y\n", false);
	for (int i = 1; i < TRACE_STATE_MEMBERS_MAX; i++)
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), ",k%d=v", i);
	check(lines, true);
	snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "\ntracestate: x=y");
	check(lines, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parents_are_judged),
		cmocka_unit_test(context_stands_or_falls_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
