/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gwtool_page.h - what 'gwtool help COMMAND' says beyond the command's row in gwtool_commands.
 *
 * Each command has a page, and a page each flag of its command: tests/e2e/test_gwtool_help.py.
 */
#pragma once

enum { GWTOOL_PAGE_FLAGS_MAX = 5, GWTOOL_PAGE_EXAMPLES_MAX = 4 };

/* Texts of several lines end in a newline. */
struct gwtool_page {
	const char *command;
	const char *does;
	struct {
		const char *flag, *help; /* NULL ends them, as below. */
	} flags[GWTOOL_PAGE_FLAGS_MAX + 1];
	const char *exits;
	const char *examples[GWTOOL_PAGE_EXAMPLES_MAX + 1];
};

/* NULL: there is no such command. */
const struct gwtool_page *gwtool_page_find(const char *command);
