/* SPDX-License-Identifier: Apache-2.0 */
/* How what went wrong is told. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/jsonw.h"
#include "tools/gwtool.h"

int gwtool_usage(const struct call *call, const char *why, const char *what)
{
	(void)call;
	(void)fprintf(stderr, "gwtool: %s%s\n", why, what);
	(void)fputs("try 'gwtool help'\n", stderr);
	return EXIT_USAGE;
}

int gwtool_fail(const struct call *call, int exits, const char *format, ...)
{
	char message[GWTOOL_MESSAGE_MAX];
	va_list args;

	(void)call;
	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	(void)fprintf(stderr, "gwtool: %s\n", message);
	return exits;
}

/* --- Of the daemon. -------------------------------------------------------------------------- */

int gwtool_fail_to_ask(const struct call *call, const char *socket, int why)
{
	int exits = why == -EACCES || why == -EPERM || why == -EPIPE ? EXIT_PERMISSION
								     : EXIT_FAILED;

	if (why == -EPROTO)
		return gwtool_fail(call, exits, "%s: what answers there is no sluice", socket);
	if (why == -EPIPE)
		return gwtool_fail(call, exits,
				   "%s: hung up without an answer: only root, the daemon's own "
				   "user and its control group may ask",
				   socket);
	if (why == -ENOENT || why == -ECONNREFUSED)
		return gwtool_fail(call, exits,
				   "%s: %s: is sluice running? --socket names another place",
				   socket, strerror(-why));
	return gwtool_fail(call, exits, "%s: %s", socket, strerror(-why));
}

static struct slice text_of(const struct document_node *map, struct slice key)
{
	const struct document_node *node = document_get(map, key);

	return node && node->kind == DOCUMENT_TEXT ? node->text : SLICE("");
}

/* Is it for what was said, not for how the daemon is? */
static bool is_of_the_text(struct slice code)
{
	static const char *const of_the_text[] = {
		"config_rejected", "unknown_key", "missing_key", "type",  "value",
		"range",           "limit",       "semantic",    "string"
	};

	for (size_t i = 0; i < ARRAY_SIZE(of_the_text); i++)
		if (slice_eq(code, slice_of(of_the_text[i])))
			return true;
	return false;
}

/*
 * Then a document was wrong, or our line: the configuration, which is read without arguments; the
 * policy that was pushed, or the one of a rollback, which has a path.
 */
static bool is_of_a_document(const struct gwtool_question *question, struct slice path)
{
	return !question->args || strcmp(question->command, "push_policy") == 0 ||
	       slice_eq(path, SLICE("policy")) || slice_starts_with(path, SLICE("policy."));
}

int gwtool_tell_refusal(const struct call *call, const struct gwtool_question *question,
			const struct document_node *error)
{
	struct slice path = text_of(error, SLICE("path")), code = text_of(error, SLICE("code"));
	int exits = EXIT_FAILED;

	if (is_of_the_text(code))
		exits = is_of_a_document(question, path) ? EXIT_CONFIG : EXIT_USAGE;
	return gwtool_fail(call, exits, "%.*s%s%.*s (%.*s)", SLICE_ARG(path), path.len ? ": " : "",
			   SLICE_ARG(text_of(error, SLICE("message"))), SLICE_ARG(code));
}

/* --- Of a file. ------------------------------------------------------------------------------ */

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

int gwtool_tell_verdict(const struct call *call, const char *file, int r, const struct report *rep)
{
	if (r == -ENOMEM)
		return gwtool_fail(call, EXIT_FAILED, "out of memory");
	if (call->json && gwtool_print(put_verdict, rep) != EXIT_OK)
		return EXIT_FAILED;
	if (!call->json && r < 0)
		report_print(rep, stderr);
	else if (!call->json)
		(void)printf("%s: good\n", file);
	return r < 0 ? EXIT_CONFIG : EXIT_OK;
}
