/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gwtool - ask a running sluice, and check what will be given to it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/jsonw.h"
#include "core/document/encode.h"
#include "core/document/page.h"
#include "core/document/path.h"
#include "core/server/config.h"
#include "tools/gwtool_ask.h"

/* As sluice's own (sysexits.h). */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_PERMISSION = 77,
	EXIT_CONFIG = 78,
};

enum { OUTPUT_MAX = 64 << 20 }; /* Reserved, not used, by anything but the longest reply. */

struct call {
	const char *socket; /* NULL: the usual place. */
	bool json;
	int argc; /* Behind the command. */
	char *const *argv;
};

typedef int command_fn(const struct call *call);

struct command {
	const char *name, *arguments, *help;
	command_fn *run;
};

static int usage(const char *why, const char *what)
{
	(void)fprintf(stderr, "gwtool: %s%s\n", why, what);
	(void)fputs("try 'gwtool help'\n", stderr);
	return EXIT_USAGE;
}

/* --- Output --------------------------------------------------------------------------------- */

typedef void put_fn(struct writer *w, const void *what);

static int print(put_fn *put, const void *what)
{
	char *buf = malloc(OUTPUT_MAX);
	struct writer w;
	int r = EXIT_OK;

	if (!buf) {
		(void)fputs("gwtool: out of memory\n", stderr);
		return EXIT_FAILED;
	}
	w = writer_make(buf, OUTPUT_MAX);
	put(&w, what);
	if (w.overflow || fwrite(buf, 1, writer_len(&w), stdout) != writer_len(&w) ||
	    fflush(stdout) != 0) {
		(void)fputs("gwtool: cannot write the output\n", stderr);
		r = EXIT_FAILED;
	}
	free(buf);
	return r;
}

static void put_json(struct writer *w, const void *what)
{
	encode_json(w, what);
	writer_char(w, '\n');
}

static void put_people(struct writer *w, const void *what)
{
	encode_yaml(w, what);
}

/* --- Asking the daemon ---------------------------------------------------------------------- */

static struct slice text_of(const struct document_node *map, struct slice key)
{
	const struct document_node *node = document_get(map, key);

	return node && node->kind == DOCUMENT_TEXT ? node->text : SLICE("");
}

static int explain_failure(const char *path, int why)
{
	if (why == -EPROTO)
		(void)fprintf(stderr, "gwtool: %s: what answers there is no sluice\n", path);
	else if (why == -EPIPE)
		(void)fprintf(stderr,
			      "gwtool: %s: hung up without an answer: only root, the "
			      "daemon's own user and its control group may ask\n",
			      path);
	else if (why == -ENOENT || why == -ECONNREFUSED)
		(void)fprintf(stderr,
			      "gwtool: %s: %s: is sluice running? --socket names another "
			      "place\n",
			      path, strerror(-why));
	else
		(void)fprintf(stderr, "gwtool: %s: %s\n", path, strerror(-why));
	return why == -EACCES || why == -EPERM || why == -EPIPE ? EXIT_PERMISSION : EXIT_FAILED;
}

static int ask(const struct call *call, const char *command)
{
	char usual[GWTOOL_PATH_MAX];
	const char *path = call->socket;
	const struct document_node *result;
	struct document *reply;
	bool ok;
	int r;

	if (!path) {
		gwtool_ask_path(usual);
		path = usual;
	}
	r = gwtool_ask(path, command, &reply, &result, &ok);
	if (r < 0)
		return explain_failure(path, r);
	if (ok) {
		r = print(call->json ? put_json : put_people, result);
	} else {
		struct slice where = text_of(result, SLICE("path"));

		(void)fprintf(stderr, "gwtool: %.*s%s%.*s (%.*s)\n", SLICE_ARG(where),
			      where.len ? ": " : "", SLICE_ARG(text_of(result, SLICE("message"))),
			      SLICE_ARG(text_of(result, SLICE("code"))));
		r = slice_eq(text_of(result, SLICE("code")), SLICE("config_rejected"))
			    ? EXIT_CONFIG
			    : EXIT_FAILED;
	}
	document_free(reply);
	return r;
}

static int run_status(const struct call *call)
{
	if (call->argc)
		return usage("status takes no argument: ", call->argv[0]);
	return ask(call, "status");
}

static int run_reload(const struct call *call)
{
	if (call->argc)
		return usage("reload takes no argument: ", call->argv[0]);
	return ask(call, "reload");
}

/* --- Offline -------------------------------------------------------------------------------- */

static void put_schema(struct writer *w, const void *what)
{
	page_json_schema(w, what);
}

static void put_reference(struct writer *w, const void *what)
{
	page_reference(w, what, "config");
}

static void put_limits(struct writer *w, const void *what)
{
	page_limits(w, what);
}

static int run_schema(const struct call *call)
{
	static const struct {
		const char *flag;
		put_fn *put;
	} forms[] = { { "--reference", put_reference }, { "--limits", put_limits } };

	if (call->argc == 0 || strcmp(call->argv[0], "config") != 0)
		return usage("schema of what? There is: ", "config");
	if (call->argc == 1)
		return print(put_schema, &config_schema);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (call->argc == 2 && strcmp(call->argv[1], forms[i].flag) == 0)
			return print(forms[i].put, &config_schema);
	return usage("unknown argument of schema: ", call->argv[call->argc - 1]);
}

static void put_verdict(struct writer *w, const void *what)
{
	const struct report *rep = what;

	writer_char(w, '{');
	jsonw_field_bool(w, SLICE("ok"), report_is_clean(rep));
	jsonw_key(w, SLICE("errors"));
	writer_char(w, '[');
	for (uint32_t i = 0; i < rep->n; i++) {
		const struct report_error *error = &rep->errors[i];

		if (i)
			writer_char(w, ',');
		writer_char(w, '{');
		jsonw_field_string(w, SLICE("code"), slice_of(report_code_name(error->code)),
				   JSONW_CAP);
		jsonw_field_string(w, SLICE("path"), slice_of(error->path), JSONW_CAP);
		jsonw_field_u64(w, SLICE("line"), error->place.line);
		jsonw_field_u64(w, SLICE("column"), error->place.column);
		jsonw_field_string(w, SLICE("message"), slice_of(error->text), JSONW_CAP);
		writer_char(w, '}');
	}
	writer_lit(w, "]}\n");
}

static int run_check_config(const struct call *call)
{
	static struct report rep;
	struct config *config;
	int r;

	if (call->argc != 1)
		return usage("check-config takes one argument: ", "the file");
	report_init(&rep, NULL);
	r = config_load(call->argv[0], NULL, 0, &rep, &config);
	if (r == -ENOMEM) {
		(void)fputs("gwtool: out of memory\n", stderr);
		return EXIT_FAILED;
	}
	if (r == 0)
		config_free(config);
	if (call->json && print(put_verdict, &rep) != EXIT_OK)
		return EXIT_FAILED;
	if (!call->json && r < 0)
		report_print(&rep, stderr);
	else if (!call->json)
		(void)printf("%s: good\n", call->argv[0]);
	return r < 0 ? EXIT_CONFIG : EXIT_OK;
}

/* --- The program ---------------------------------------------------------------------------- */

static int run_help(const struct call *call);

static const struct command commands[] = {
	{ "status", "", "what the daemon is doing", run_status },
	{ "reload", "",
	  "have it read its configuration, certificates and keys again; all or nothing",
	  run_reload },
	{ "check-config", "FILE", "is this a good sluice.yaml? The daemon need not run",
	  run_check_config },
	{ "schema", "config [--reference|--limits]",
	  "sluice.yaml as a JSON Schema, or as a page of Markdown", run_schema },
	{ "help", "", "this", run_help },
};

static int run_help(const struct call *call)
{
	(void)call;
	(void)puts("usage: gwtool [--socket PATH] [--json] COMMAND\n\n"
		   "Ask a running sluice, and check what will be given to it.\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		(void)printf("  %s%s%s\n      %s\n", commands[i].name,
			     commands[i].arguments[0] ? " " : "", commands[i].arguments,
			     commands[i].help);
	(void)puts("\n  --socket PATH  the daemon's control socket; otherwise\n"
		   "                 /run/sluice/control.sock or\n"
		   "                 $XDG_RUNTIME_DIR/sluice/control.sock\n"
		   "  --json         print JSON, one value on one line\n\n"
		   "Exit codes: 0 done, 1 failed, 2 wrong usage, 77 no permission, 78 wrong\n"
		   "configuration.\n\n"
		   "Examples:\n"
		   "  gwtool status\n"
		   "  gwtool --json status | jq .connections\n"
		   "  gwtool check-config /etc/sluice/sluice.yaml");
	return EXIT_OK;
}

static int run(const char *name, const struct call *call)
{
	const char *names[ARRAY_SIZE(commands) + 1] = { NULL };
	int near;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		names[i] = commands[i].name;
		if (strcmp(name, names[i]) == 0)
			return commands[i].run(call);
	}
	near = path_nearest(slice_of(name), names);
	if (near >= 0)
		(void)fprintf(stderr, "gwtool: did you mean '%s'?\n", names[near]);
	return usage("unknown command: ", name);
}

int main(int argc, char **argv)
{
	struct call call = { 0 };
	int at = 1;

	for (; at < argc && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "--json") == 0)
			call.json = true;
		else if (strcmp(argv[at], "--socket") == 0 && at + 1 < argc)
			call.socket = argv[++at];
		else if (strncmp(argv[at], "--socket=", 9) == 0)
			call.socket = argv[at] + 9;
		else if (strcmp(argv[at], "-h") == 0 || strcmp(argv[at], "--help") == 0)
			return run_help(&call);
		else
			return usage("unknown option, or one without its value: ", argv[at]);
	}
	if (at == argc)
		return usage("what shall I do? ", "A command is missing");
	call.argc = argc - at - 1;
	call.argv = argv + at + 1;
	return run(argv[at], &call);
}
