/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How what went wrong is told: to people by lines on standard error, else as the one document on
 * standard output that there would otherwise be, in the form that errors in a file have.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/jsonw.h"
#include "tools/gwtool.h"

struct failure {
	struct slice code, path, message;
	struct report_place place;
	const char *file; /* NULL: of none. */
};

static void put_error(struct writer *w, const struct failure *failure)
{
	writer_char(w, '{');
	jsonw_field_string(w, SLICE("code"), failure->code, JSONW_CAP);
	jsonw_field_string(w, SLICE("path"), failure->path, JSONW_CAP);
	jsonw_field_u64(w, SLICE("line"), failure->place.line);
	jsonw_field_u64(w, SLICE("column"), failure->place.column);
	jsonw_field_string(w, SLICE("message"), failure->message, JSONW_CAP);
	if (failure->file)
		jsonw_field_string(w, SLICE("file"), slice_of(failure->file), JSONW_CAP);
	writer_char(w, '}');
}

static void put_failure(struct writer *w, const void *what)
{
	writer_lit(w, "{\"ok\":false,\"errors\":[");
	put_error(w, what);
	writer_lit(w, "]}\n");
}

static void put_as_json(const struct failure *failure)
{
	(void)gwtool_print(put_failure, failure); /* It has said why it cannot. */
}

int gwtool_usage(const struct call *call, const char *why, const char *what)
{
	char message[GWTOOL_MESSAGE_MAX];

	(void)snprintf(message, sizeof(message), "%s%s", why, what);
	if (call->json)
		put_as_json(
			&(struct failure){ .code = SLICE("usage"), .message = slice_of(message) });
	else
		(void)fprintf(stderr, "gwtool: %s\ntry 'gwtool help%s%s'\n", message,
			      call->command ? " " : "", call->command ? call->command : "");
	return EXIT_USAGE;
}

int gwtool_fail(const struct call *call, int exits, const char *code, const char *format, ...)
{
	char message[GWTOOL_MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (call->json)
		put_as_json(
			&(struct failure){ .code = slice_of(code), .message = slice_of(message) });
	else
		(void)fprintf(stderr, "gwtool: %s\n", message);
	return exits;
}

/* --- Of the daemon. -------------------------------------------------------------------------- */

int gwtool_fail_to_ask(const struct call *call, const char *socket, int why)
{
	bool forbidden = why == -EACCES || why == -EPERM || why == -EPIPE;
	int exits = forbidden ? EXIT_PERMISSION : EXIT_FAILED;
	const char *code = forbidden          ? "permission"
			   : why == -EMSGSIZE ? "too_large"
			   : why == -ENOMEM   ? "internal"
					      : "unreachable";

	if (why == -EPROTO)
		return gwtool_fail(call, exits, code, "%s: what answers there is no sluice",
				   socket);
	if (why == -EPIPE)
		return gwtool_fail(call, exits, code,
				   "%s: hung up without an answer: only root, the daemon's own "
				   "user and its control group may ask",
				   socket);
	if (why == -ENOENT || why == -ECONNREFUSED)
		return gwtool_fail(call, exits, code,
				   "%s: %s: is sluice running? --socket names another place",
				   socket, strerror(-why));
	return gwtool_fail(call, exits, code, "%s: %s", socket, strerror(-why));
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
	struct slice message = text_of(error, SLICE("message"));

	if (call->json) /* Paths as in what a file is refused for. */
		put_as_json(&(struct failure){
			.code = code, .path = gwtool_ask_policy_path(path), .message = message });
	else
		(void)fprintf(stderr, "gwtool: %.*s%s%.*s (%.*s)\n", SLICE_ARG(path),
			      path.len ? ": " : "", SLICE_ARG(message), SLICE_ARG(code));
	if (!is_of_the_text(code))
		return EXIT_FAILED;
	return is_of_a_document(question, path) ? EXIT_CONFIG : EXIT_USAGE;
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

		writer_put(w, i ? SLICE(",") : SLICE(""));
		put_error(w, &(struct failure){ slice_of(report_code_name(error->code)),
						slice_of(error->path), slice_of(error->text),
						error->place, error->source });
	}
	writer_lit(w, "]}\n");
}

int gwtool_tell_verdict(const struct call *call, const char *file, int r, const struct report *rep)
{
	if (r == -ENOMEM)
		return gwtool_fail(call, EXIT_FAILED, "internal", "out of memory");
	if (call->json && gwtool_print(put_verdict, rep) != EXIT_OK)
		return EXIT_FAILED;
	if (!call->json && r < 0)
		report_print(rep, stderr);
	else if (!call->json)
		(void)printf("%s: good\n", file);
	return r < 0 ? EXIT_CONFIG : EXIT_OK;
}
