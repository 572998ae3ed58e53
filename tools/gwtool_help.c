/* SPDX-License-Identifier: Apache-2.0 */
/* All commands on one page, and a page about each. */
#include <stdio.h>
#include <string.h>

#include "tools/gwtool.h"
#include "tools/gwtool_page.h"

static void put(struct writer *w, const char *text)
{
	writer_put(w, slice_of(text));
}

static void put_usage(struct writer *w, const struct gwtool_command *command)
{
	put(w, command->name);
	put(w, command->arguments[0] ? " " : "");
	put(w, command->arguments);
	writer_char(w, '\n');
}

static void put_entry(struct writer *w, const char *text)
{
	writer_lit(w, "      ");
	put(w, text);
	writer_char(w, '\n');
}

static void put_options(struct writer *w)
{
	for (size_t i = 0; i < GWTOOL_N_OPTIONS; i++) {
		const struct gwtool_option *option = &gwtool_options[i];
		char line[128];

		(void)snprintf(line, sizeof(line), "  %s %-*s  %s\n", option->flag,
			       12 - (int)strlen(option->flag), option->value ? option->value : "",
			       option->help);
		put(w, line);
	}
}

static void put_all(struct writer *w, const void *what)
{
	(void)what;
	writer_lit(
		w,
		"usage: gwtool [--socket PATH] [--json] COMMAND [ARGUMENT...]\n\n"
		"Ask a running sluice, and check what will be given to it. 'gwtool help COMMAND'\n"
		"has a page about each of these, with its flags, exit codes and examples:\n\n");
	for (size_t i = 0; i < gwtool_n_commands; i++) {
		writer_lit(w, "  ");
		put_usage(w, &gwtool_commands[i]);
		put_entry(w, gwtool_commands[i].help);
	}
	writer_lit(w, "\nBefore or behind the command:\n");
	put_options(w);
	writer_lit(
		w,
		"\nWithout --socket: /run/sluice/control.sock, or\n"
		"$XDG_RUNTIME_DIR/sluice/control.sock. With --json also what fails is told on\n"
		"standard output: {\"ok\": false, \"errors\": [{code, path, line, column, message}]}.\n"
		"A policy's FILE may be -: standard input.\n\n"
		"Exit codes: 0 done, 1 failed (diff-policy: something differs), 2 wrong usage\n"
		"(diff-policy: or it failed), 77 no permission, 78 a file is wrong or not there.\n\n"
		"Examples:\n"
		"  gwtool status --json | jq .connections\n"
		"  gwtool push-policy policy.yaml\n"
		"  gwtool explain GET https://api.example.com/v1/users --client 192.0.2.7\n");
}

struct subject {
	const struct gwtool_command *command;
	const struct gwtool_page *page;
};

static void put_page(struct writer *w, const void *what)
{
	const struct subject *subject = what;
	const struct gwtool_page *page = subject->page;

	writer_lit(w, "usage: gwtool ");
	put_usage(w, subject->command);
	writer_char(w, '\n');
	put(w, page->does);
	put(w, page->flags[0].flag ? "\nFlags:\n" : "");
	for (size_t i = 0; page->flags[i].flag; i++) {
		writer_lit(w, "  ");
		put(w, page->flags[i].flag);
		writer_char(w, '\n');
		put_entry(w, page->flags[i].help);
	}
	writer_lit(w, "\nExit codes:\n");
	put(w, page->exits);
	writer_lit(w, "\nExamples:\n");
	for (size_t i = 0; page->examples[i]; i++) {
		writer_lit(w, "  ");
		put(w, page->examples[i]);
		writer_char(w, '\n');
	}
	writer_lit(w, "\n--socket, --json and --help are for all commands: see 'gwtool help'.\n");
}

int gwtool_help(const struct call *call)
{
	struct subject subject;

	if (call->argc == 0)
		return gwtool_print(put_all, NULL);
	if (call->argc > 1)
		return gwtool_usage(call, "help takes one command, not also ", call->argv[1]);
	subject.command = gwtool_find(call->argv[0]);
	if (!subject.command)
		return gwtool_refuse_command(call, call->argv[0]);
	subject.page = gwtool_page_find(call->argv[0]);
	GW_ASSERT(subject.page);
	return gwtool_print(put_page, &subject);
}
