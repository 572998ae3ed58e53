/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/explain_question.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { FIELDS_MAX = 256 };

int explain_question_refuse(struct control_error *error, const char *code, const char *path,
			    const char *format, ...)
{
	va_list args;

	error->code = code;
	error->path = path;
	va_start(args, format);
	(void)vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return -EINVAL;
}

/* What has several lines is no part of a head, but several. */
static bool is_line(const struct document_node *node)
{
	return node->kind == DOCUMENT_TEXT && node->text.len > 0 &&
	       slice_find(node->text, '\n') == SLICE_NONE &&
	       slice_find(node->text, '\r') == SLICE_NONE;
}

static bool are_lines(const struct document_node *list)
{
	if (list->kind != DOCUMENT_LIST || list->n > FIELDS_MAX)
		return false;
	for (const struct document_node *node = list->first; node; node = node->next)
		if (!is_line(node))
			return false;
	return true;
}

static int read_arg(const struct document_node *node, struct explain_question *q,
		    struct control_error *error)
{
	struct {
		const char *name;
		struct slice *text;
	} texts[] = { { "method", &q->method }, { "url", &q->url }, { "client", &q->client } };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (!slice_eq(node->key, slice_of(texts[i].name)))
			continue;
		if (!is_line(node))
			return explain_question_refuse(error, "value", texts[i].name,
						       "must be a text of one line");
		*texts[i].text = node->text;
		return 0;
	}
	if (!slice_eq(node->key, SLICE("fields")))
		return explain_question_refuse(
			error, "unknown_key", "",
			"explain takes method, url, fields (a list) and client");
	if (!are_lines(node))
		return explain_question_refuse(
			error, "value", "fields",
			"must be a list of at most %d texts, each one line: \"name: value\"",
			FIELDS_MAX);
	q->fields = node;
	return 0;
}

int explain_question_read(const struct document_node *args, struct explain_question *q,
			  struct control_error *error)
{
	int r = 0;

	for (const struct document_node *node = args ? args->first : NULL; r == 0 && node;
	     node = node->next)
		r = read_arg(node, q, error);
	if (r == 0 && !q->method.len)
		r = explain_question_refuse(error, "missing_key", "method",
					    "the argument \"method\" is missing");
	if (r == 0 && !q->url.len)
		r = explain_question_refuse(error, "missing_key", "url",
					    "the argument \"url\" is missing");
	return r;
}
