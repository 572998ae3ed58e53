/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/hop.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/core/http/fields.h"

#define C "Connection: "

/* 'kept' has one letter per field: + kept, - dropped. */
static const struct {
	const char *lines;
	uint8_t minor;
	bool response;
	enum reason reason;
	bool close;
	const char *kept;
} cases[] = {
	{ "A: 1\n", 1, false, REASON_NONE, false, "+" },
	{ "A: 1\n", 0, false, REASON_NONE, true, "+" },
	{ C "close\n", 1, false, REASON_NONE, true, "+" },
	{ C "cLOSE\n", 1, false, REASON_NONE, true, "+" },
	{ C "keep-alive\n", 1, false, REASON_NONE, false, "+" },
	{ C "keep-alive\n", 0, false, REASON_NONE, false, "+" },
	{ C "keep-alive, close\n", 0, false, REASON_NONE, true, "+" },
	{ C "closed, xclose\n", 1, false, REASON_NONE, false, "+" },
	{ C "x\n" C " , close\n", 1, false, REASON_NONE, true, "++" },
	{ "A: 1\n" C "a,b\nB: 2\nC: 3\nA: 4\n", 1, false, REASON_NONE, false, "-+-+-" },
	{ C "accept\nAccept: 1\nX: 2\n", 1, false, REASON_NONE, false, "+-+" },
	{ C "\"x\", @\nX: 2\n", 1, false, REASON_NONE, false, "++" },
	{ C "host\nHost: a\n", 1, false, REASON_CONNECTION_ABUSE, false, NULL },
	{ C "x, CONTENT-LENGTH\n", 1, false, REASON_CONNECTION_ABUSE, false, NULL },
	{ C "transfer-encoding\n", 1, false, REASON_CONNECTION_ABUSE, false, NULL },
	{ C "authorization\n", 1, false, REASON_CONNECTION_ABUSE, false, NULL },
	{ C "Cookie\n", 1, false, REASON_CONNECTION_ABUSE, false, NULL },
	{ C "x-real-ip\n", 1, false, REASON_CONNECTION_ABUSE, false, NULL },
	{ C "x-forwarded-for\n", 1, false, REASON_CONNECTION_ABUSE, false, NULL },
	{ C "forwarded\n", 1, false, REASON_CONNECTION_ABUSE, false, NULL },
	{ C "x-client-cert-dn\n", 1, false, REASON_CONNECTION_ABUSE, false, NULL },
	{ C "content-length, x\nContent-Length: 1\nX: 2\n", 1, true, REASON_NONE, false, "++-" },
};

static void options_are_applied(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_head head = { .minor = cases[i].minor };
		enum reason reason;

		fields_fill(&head, cases[i].lines);
		reason = hop_apply(&head, cases[i].response);
		if (reason != cases[i].reason)
			fail_msg("%s: %u", cases[i].lines, reason);
		if (reason != REASON_NONE)
			continue;
		if (head.close != cases[i].close)
			fail_msg("%s: close", cases[i].lines);
		assert_int_equal(head.n_fields, strlen(cases[i].kept));
		for (uint32_t j = 0; j < head.n_fields; j++)
			if (head.fields[j].dropped != (cases[i].kept[j] == '-'))
				fail_msg("%s: field %u", cases[i].lines, j);
	}
}

static void options_are_bounded(void **state)
{
	char lines[4096] = C;
	struct http_head head = { .minor = 1 };

	(void)state;
	for (int i = 0; i < HOP_OPTIONS_MAX; i++)
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "x%d,close,", i);
	fields_fill(&head, lines);
	assert_int_equal(hop_apply(&head, false), REASON_NONE);
	snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "y");
	fields_fill(&head, lines);
	assert_int_equal(hop_apply(&head, false), REASON_CONNECTION_ABUSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_applied),
		cmocka_unit_test(options_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
