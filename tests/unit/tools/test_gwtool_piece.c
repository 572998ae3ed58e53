/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/gwtool_piece.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { PIECES_MAX = 8 };

#define FLAG(name)                                                                                 \
	{                                                                                          \
		GWTOOL_PIECE_FLAG, false, SLICE_INIT(name)                                         \
	}
#define VALUED_FLAG(name)                                                                          \
	{                                                                                          \
		GWTOOL_PIECE_FLAG, true, SLICE_INIT(name)                                          \
	}
#define WORD(name)                                                                                 \
	{                                                                                          \
		GWTOOL_PIECE_WORD, false, SLICE_INIT(name)                                         \
	}
#define FILE_OF(name)                                                                              \
	{                                                                                          \
		GWTOOL_PIECE_FILE, false, SLICE_INIT(name)                                         \
	}
#define OTHER(name)                                                                                \
	{                                                                                          \
		GWTOOL_PIECE_OTHER, false, SLICE_INIT(name)                                        \
	}

static const struct {
	const char *arguments;
	struct gwtool_piece want[PIECES_MAX];
} cases[] = {
	{ .arguments = "" },
	{ "FILE", { FILE_OF("FILE") } },
	{ "[COMMAND]", { { GWTOOL_PIECE_COMMAND, false, SLICE_INIT("COMMAND") } } },
	{ "FILE | OLD NEW", { FILE_OF("FILE"), FILE_OF("OLD"), FILE_OF("NEW") } },
	{ "FILE [--dry-run] [--expect-generation N]",
	  { FILE_OF("FILE"), FLAG("--dry-run"), VALUED_FLAG("--expect-generation"), OTHER("N") } },
	{ "METHOD [-H 'Name: value']... [--client IP]",
	  { OTHER("METHOD"), VALUED_FLAG("-H"), OTHER("'Name:"), OTHER("value'"),
	    VALUED_FLAG("--client"), OTHER("IP") } },
	{ "[--port N|--address HOST:PORT]",
	  { VALUED_FLAG("--port"), OTHER("N"), VALUED_FLAG("--address"), OTHER("HOST:PORT") } },
	{ "config|policy [--reference|--limits]",
	  { WORD("config"), WORD("policy"), FLAG("--reference"), FLAG("--limits") } },
};

static void arguments_are_taken_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct slice rest = slice_of(cases[i].arguments);
		const struct gwtool_piece *want = cases[i].want;
		struct gwtool_piece got;

		for (; gwtool_piece_take(&rest, &got); want++)
			if (got.kind != want->kind || !slice_eq(got.text, want->text) ||
			    (got.kind == GWTOOL_PIECE_FLAG && got.has_value != want->has_value))
				fail_msg("%s: '%.*s'", cases[i].arguments, SLICE_ARG(got.text));
		if (want->text.len)
			fail_msg("%s: no '%.*s'", cases[i].arguments, SLICE_ARG(want->text));
	}
}

static void flags_with_values_are_known(void **state)
{
	static const char arguments[] =
		"FILE [--dry-run] [-H 'Name: value']... [--port N|--to PORT]";

	(void)state;
	assert_true(gwtool_piece_has_value(arguments, "-H"));
	assert_true(gwtool_piece_has_value(arguments, "--port"));
	assert_true(gwtool_piece_has_value(arguments, "--to"));
	assert_false(gwtool_piece_has_value(arguments, "--dry-run"));
	assert_false(gwtool_piece_has_value(arguments, "FILE"));
	assert_false(gwtool_piece_has_value(arguments, "--p"));
	assert_false(gwtool_piece_has_value(arguments, ""));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_are_taken_apart),
		cmocka_unit_test(flags_with_values_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
