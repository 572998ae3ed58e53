/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gwtool - ask a running sluice, and check what will be given to it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/jsonw.h"
#include "core/crypto/tls.h"
#include "core/document/encode.h"
#include "core/document/page.h"
#include "core/document/path.h"
#include "core/server/config.h"
#include "policy/schema.h"
#include "tools/gwtool.h"
#include "tools/gwtool_input.h"
#include "tools/gwtool_piece.h"

enum { OUTPUT_MAX = 64 << 20 }; /* Reserved, not used, by anything but the longest reply. */

/* --- Output --------------------------------------------------------------------------------- */

int gwtool_print(gwtool_put_fn *put, const void *what)
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

void gwtool_put_json(struct writer *w, const void *what)
{
	encode_json(w, what);
	writer_char(w, '\n');
}

static void put_people(struct writer *w, const void *what)
{
	encode_yaml(w, what);
}

int gwtool_print_document(const struct call *call, const struct document_node *root)
{
	return gwtool_print(call->json ? gwtool_put_json : put_people, root);
}

/* --- Asking the daemon ---------------------------------------------------------------------- */

const char *gwtool_socket(const struct call *call, char usual[GWTOOL_PATH_MAX])
{
	if (call->socket)
		return call->socket;
	gwtool_ask_path(usual);
	return usual;
}

int gwtool_ask_result(const struct call *call, const struct gwtool_question *question,
		      struct document **ret_reply, const struct document_node **ret_result)
{
	char usual[GWTOOL_PATH_MAX];
	const char *path = gwtool_socket(call, usual);
	const struct document_node *result;
	struct document *reply;
	bool ok;
	int r;

	r = gwtool_ask(path, question, &reply, &result, &ok);
	if (r < 0)
		return gwtool_fail_to_ask(call, path, r);
	if (!ok) {
		r = gwtool_tell_refusal(call, question, result);
		document_free(reply);
		return r;
	}
	*ret_reply = reply;
	*ret_result = result;
	return EXIT_OK;
}

int gwtool_ask_and_print(const struct call *call, const struct gwtool_question *question,
			 const char *pick)
{
	const struct document_node *result = NULL, *part;
	struct document *reply = NULL;
	int r = gwtool_ask_result(call, question, &reply, &result);

	if (r != EXIT_OK)
		return r;
	part = pick && !call->json ? document_get(result, slice_of(pick)) : NULL;
	r = gwtool_print(call->json ? gwtool_put_json : put_people, part ? part : result);
	document_free(reply);
	return r;
}

static int ask(const struct call *call, const char *command)
{
	return gwtool_ask_and_print(call, &(struct gwtool_question){ .command = command }, NULL);
}

static int run_status(const struct call *call)
{
	if (call->argc)
		return gwtool_usage(call, "status takes no argument: ", call->argv[0]);
	return ask(call, "status");
}

static int run_reload(const struct call *call)
{
	if (call->argc)
		return gwtool_usage(call, "reload takes no argument: ", call->argv[0]);
	return ask(call, "reload");
}

/* --- Offline -------------------------------------------------------------------------------- */

static void put_schema(struct writer *w, const void *what)
{
	page_json_schema(w, what);
}

static void put_reference(struct writer *w, const void *what)
{
	page_reference(w, what, what == &config_schema ? "config" : "policy");
}

static void put_limits(struct writer *w, const void *what)
{
	page_limits(w, what);
}

static int run_schema(const struct call *call)
{
	static const struct {
		const char *name;
		const struct schema *schema;
	} schemas[] = { { "config", &config_schema }, { "policy", &policy_schema } };
	static const struct {
		const char *flag;
		gwtool_put_fn *put;
	} forms[] = { { "--reference", put_reference }, { "--limits", put_limits } };
	const struct schema *schema = NULL;

	for (size_t i = 0; call->argc && i < ARRAY_SIZE(schemas); i++)
		if (strcmp(call->argv[0], schemas[i].name) == 0)
			schema = schemas[i].schema;
	if (!schema)
		return gwtool_usage(call, "schema of what? There are: ", "config and policy");
	if (call->argc == 1)
		return gwtool_print(put_schema, schema);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (call->argc == 2 && strcmp(call->argv[1], forms[i].flag) == 0)
			return gwtool_print(forms[i].put, schema);
	return gwtool_usage(call, "unknown argument of schema: ", call->argv[call->argc - 1]);
}

static int run_check_config(const struct call *call)
{
	static struct report rep;
	struct config *config;
	int r;

	if (call->argc != 1 || gwtool_input_is_flag(call->argv[0]))
		return gwtool_usage(call, "check-config takes one argument: ", "the file");
	report_init(&rep, NULL);
	r = config_load(call->argv[0], NULL, 0, &rep, &config);
	if (r == 0)
		config_free(config);
	return gwtool_tell_verdict(call, call->argv[0], r, &rep);
}

/* --- The program ---------------------------------------------------------------------------- */

const struct gwtool_command gwtool_commands[] = {
	{ "status", "", "what the daemon is doing", run_status },
	{ "reload", "",
	  "have it read its configuration, certificates and keys again; all or nothing",
	  run_reload },
	{ "check-config", "FILE", "is this a good sluice.yaml? The daemon need not run",
	  run_check_config },
	{ "push-policy", "FILE [--dry-run] [--expect-generation N]",
	  "have all workers judge by this policy from now on; all or nothing", gwtool_push_policy },
	{ "get-policy", "[GENERATION]",
	  "the policy in force, or one that the state folder keeps, as it was pushed",
	  gwtool_get_policy },
	{ "history", "", "the policies that the state folder keeps, the latest first",
	  gwtool_history },
	{ "rollback", "[GENERATION] [--expect-generation N]",
	  "push one of those once more, as a new generation; without a number the one before",
	  gwtool_rollback },
	{ "check-policy", "FILE", "is this a good policy? The daemon need not run",
	  gwtool_check_policy },
	{ "diff-policy", "FILE | OLD NEW",
	  "what FILE would change of the policy in force, or NEW of OLD; exits with 1 if anything",
	  gwtool_diff_policy },
	{ "watch", "FILE [--interval SPAN]",
	  "push FILE, and again whenever its content has changed; a line for each outcome",
	  gwtool_watch },
	{ "explain", "METHOD URL [-H 'Name: value']... [--client IP] [--cert F]",
	  "what would become of such a request, and why; nothing is sent or taken. F: the client's "
	  "certificate",
	  gwtool_explain },
	{ "jwks", "FILE [--issuer ISS] [--alg ALG] [--secrets]",
	  "a JSON Web Key Set as the keys of a policy's auth.NAME.jwt, public parts only",
	  gwtool_jwks },
	{ "serve", "[--port N|--address HOST:PORT] [--tls-cert F --tls-key F --client-ca F]",
	  "policies over HTTP: GET and POST /policy, on 127.0.0.1 and $CONFIG_PORT or 9090",
	  gwtool_serve },
	{ "schema", "config|policy [--reference|--limits]",
	  "sluice.yaml or a policy as a JSON Schema, or as a page of Markdown", run_schema },
	{ "completion", "bash|zsh", "a script by which that shell completes all this",
	  gwtool_completion },
	{ "help", "[COMMAND]", "this, or the page about COMMAND", gwtool_help },
};
const size_t gwtool_n_commands = ARRAY_SIZE(gwtool_commands);

const struct gwtool_option gwtool_options[GWTOOL_N_OPTIONS] = {
	{ "--socket", "PATH", "the daemon's control socket" },
	{ "--json", NULL, "print JSON, one value on one line" },
	{ "--help", NULL, "this, or the page about the command" },
	{ "--version", NULL, "its name and version" },
};

static void put_version(struct writer *w, const void *what)
{
	const struct call *call = what;

	if (call->json) {
		writer_char(w, '{');
		jsonw_field_string(w, SLICE("name"), SLICE("gwtool"), JSONW_CAP);
		jsonw_field_string(w, SLICE("version"), SLICE(GW_VERSION), JSONW_CAP);
		writer_lit(w, "}\n");
		return;
	}
	writer_lit(w, "gwtool " GW_VERSION " (OpenSSL ");
	writer_put(w, slice_of(tls_version()));
	writer_lit(w, ")\n");
}

const struct gwtool_command *gwtool_find(const char *name)
{
	for (size_t i = 0; i < gwtool_n_commands; i++)
		if (strcmp(name, gwtool_commands[i].name) == 0)
			return &gwtool_commands[i];
	return NULL;
}

int gwtool_refuse_command(const struct call *call, const char *name)
{
	const char *names[ARRAY_SIZE(gwtool_commands) + 1] = { NULL };
	const struct call no_command = { .json = call->json };
	char what[GWTOOL_MESSAGE_MAX];
	int near;

	for (size_t i = 0; i < gwtool_n_commands; i++)
		names[i] = gwtool_commands[i].name;
	near = path_nearest(slice_of(name), names);
	if (near < 0)
		return gwtool_usage(&no_command, "unknown command: ", name);
	(void)snprintf(what, sizeof(what), "%s; did you mean '%s'?", name, names[near]);
	return gwtool_usage(&no_command, "unknown command: ", what);
}

/* --- The command line. ----------------------------------------------------------------------- */

enum wish { WISH_RUN, WISH_HELP, WISH_VERSION };

struct line {
	struct call call;
	enum wish wish;
	char *command;       /* NULL: none is named. */
	const char *unclear; /* An option that lacks its value, or NULL. */
};

/* Is argv[*at] one of gwtool_options? Then it is taken, with its value. */
static bool take_option(struct line *line, char *const *argv, int *at)
{
	const char *arg = argv[*at];

	if (strcmp(arg, "--json") == 0)
		line->call.json = true;
	else if (strncmp(arg, "--socket=", 9) == 0)
		line->call.socket = arg + 9;
	else if (strcmp(arg, "--socket") == 0 && argv[*at + 1])
		line->call.socket = argv[++*at];
	else if (strcmp(arg, "--socket") == 0)
		line->unclear = arg;
	else if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0)
		line->wish = WISH_HELP;
	else if (strcmp(arg, "-V") == 0 || strcmp(arg, "--version") == 0)
		line->wish = WISH_VERSION;
	else
		return false;
	return true;
}

/*
 * Takes ours out of argv, wherever they stand; but what follows a command's own flag that takes a
 * value is that value, whatever it looks like.
 */
static void read_line(struct line *line, char **argv)
{
	const struct gwtool_command *command = NULL;
	int n = 0;

	for (int i = 1; argv[i]; i++) {
		if (take_option(line, argv, &i))
			continue;
		if (!line->command) {
			line->command = argv[i];
			command = gwtool_find(argv[i]);
			continue;
		}
		argv[n++] = argv[i];
		if (command && argv[i + 1] && gwtool_piece_has_value(command->arguments, argv[i]))
			argv[n++] = argv[++i];
	}
	line->call.command = command ? command->name : NULL;
	line->call.argc = n;
	line->call.argv = argv;
}

static int run(const struct call *call, const char *name)
{
	const struct gwtool_command *command = gwtool_find(name);

	if (name[0] == '-')
		return gwtool_usage(call, "unknown option: ", name);
	return command ? command->run(call) : gwtool_refuse_command(call, name);
}

/* Whatever else stands there, it is asked what the command does. */
static int help(const struct line *line)
{
	struct call call = line->call;

	call.argc = line->command != NULL;
	call.argv = &line->command;
	return gwtool_help(&call);
}

int main(int argc, char **argv)
{
	struct line line = { 0 };

	(void)argc; /* NULL ends argv. */
	read_line(&line, argv);
	if (line.unclear)
		return gwtool_usage(&line.call, "an option without its value: ", line.unclear);
	switch (line.wish) {
	case WISH_HELP:
		return help(&line);
	case WISH_VERSION:
		return gwtool_print(put_version, &line.call);
	case WISH_RUN:
		break;
	}
	if (!line.command)
		return gwtool_usage(&line.call, "what shall I do? ", "A command is missing");
	return run(&line.call, line.command);
}
