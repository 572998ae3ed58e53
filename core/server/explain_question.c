/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/explain_question.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/base/writer.h"

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

/* --- Lines. ---------------------------------------------------------------------------------- */

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

/* --- A certificate. -------------------------------------------------------------------------- */

static bool take_digest(const struct document_node *node, struct explain_question *q)
{
	if (node->kind != DOCUMENT_TEXT || node->text.len != sizeof(q->identity.sha256))
		return false;
	for (size_t i = 0; i < node->text.len; i++) {
		char c = node->text.ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	memcpy(q->identity.sha256, node->text.ptr, node->text.len);
	return true;
}

static bool take_subject(const struct document_node *node, struct explain_question *q)
{
	if (!is_line(node) || node->text.len > sizeof(q->identity.subject))
		return false;
	memcpy(q->identity.subject, node->text.ptr, node->text.len);
	q->identity.subject_len = (uint8_t)node->text.len;
	return true;
}

static bool take_sans(const struct document_node *node, struct explain_question *q)
{
	struct writer w = writer_make(q->sans, sizeof(q->sans));

	if (node->kind != DOCUMENT_LIST || node->n > TLS_SANS_MAX)
		return false;
	for (const struct document_node *san = node->first; san; san = san->next) {
		if (!is_line(san) || slice_find(san->text, ' ') != SLICE_NONE)
			return false;
		writer_put(&w, writer_len(&w) ? SLICE(" ") : SLICE(""));
		writer_put(&w, san->text);
	}
	q->identity.sans = writer_slice(&w);
	return !w.overflow;
}

static const struct {
	struct slice key;
	bool (*take)(const struct document_node *node, struct explain_question *q);
	const char *path, *wanted;
} details[] = {
	{ SLICE_INIT("sha256"), take_digest, "certificate.sha256",
	  "must be 64 hexadecimal digits in lower case" },
	{ SLICE_INIT("subject"), take_subject, "certificate.subject",
	  "must be a text of one line, of at most 191 bytes" },
	{ SLICE_INIT("sans"), take_sans, "certificate.sans",
	  "must be a list of at most 16 texts without blanks, such as \"dns:a.test\", of at most "
	  "2560 bytes in all" },
};

static int read_detail(const struct document_node *node, struct explain_question *q,
		       struct control_error *error)
{
	for (size_t i = 0; i < ARRAY_SIZE(details); i++)
		if (slice_eq(node->key, details[i].key))
			return details[i].take(node, q)
				       ? 0
				       : explain_question_refuse(error, "value", details[i].path,
								 "%s", details[i].wanted);
	return explain_question_refuse(error, "unknown_key", "certificate",
				       "a certificate has sha256, subject and sans (a list)");
}

static int read_certificate(const struct document_node *map, struct explain_question *q,
			    struct control_error *error)
{
	int r = 0;

	if (map->kind != DOCUMENT_MAP)
		return explain_question_refuse(error, "value", "certificate", "must be a map");
	for (const struct document_node *node = map->first; r == 0 && node; node = node->next)
		r = read_detail(node, q, error);
	if (r == 0 && !document_get(map, SLICE("sha256")))
		r = explain_question_refuse(error, "missing_key", "certificate.sha256",
					    "a certificate has a digest");
	q->has_certificate = true;
	return r;
}

/* --- All of it. ------------------------------------------------------------------------------ */

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
	if (slice_eq(node->key, SLICE("certificate")))
		return read_certificate(node, q, error);
	if (!slice_eq(node->key, SLICE("fields")))
		return explain_question_refuse(
			error, "unknown_key", "",
			"explain takes method, url, fields (a list), client and certificate");
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
