/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <yaml.h>

#include "core/document/document.h"
#include "core/document/path.h"
#include "core/document/yaml.h"

enum { NUMBER_MAX = 64 }; /* Bytes; longer digits are no number that anyone means. */

/* --- Scalars (YAML 1.2.2, 10.3.2) ----------------------------------------------------------- */

static bool is_one_of(struct slice text, const char *const *words)
{
	for (; *words; words++)
		if (slice_eq(text, slice_of(*words)))
			return true;
	return false;
}

static bool all_of(struct slice text, const char *set)
{
	for (size_t i = 0; i < text.len; i++)
		if (!text.ptr[i] || !strchr(set, text.ptr[i]))
			return false;
	return text.len > 0;
}

static int octal(struct slice digits, uint64_t *ret_number)
{
	uint64_t number = 0;

	for (size_t i = 0; i < digits.len; i++)
		if (__builtin_mul_overflow(number, 8, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(digits.ptr[i] - '0'), &number))
			return -ERANGE;
	*ret_number = number;
	return 0;
}

/* 0, -ERANGE, or -EINVAL when it has not the form of an integer. */
static int integer(struct slice text, struct document_node *ret_value)
{
	struct document_node value = { .kind = DOCUMENT_INT };
	struct slice digits = text;
	int r;

	if (slice_starts_with(text, SLICE("0x"))) {
		digits = slice_drop(text, 2);
		r = all_of(digits, "0123456789abcdefABCDEF")
			    ? slice_hex_to_u64(digits, &value.number)
			    : -EINVAL;
	} else if (slice_starts_with(text, SLICE("0o"))) {
		digits = slice_drop(text, 2);
		r = all_of(digits, "01234567") ? octal(digits, &value.number) : -EINVAL;
	} else {
		value.negative = text.len && text.ptr[0] == '-';
		if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+'))
			digits = slice_drop(text, 1);
		r = slice_to_u64(digits, &value.number);
		if (r == 0 && value.negative && value.number > (uint64_t)INT64_MAX + 1)
			r = -ERANGE;
		value.negative = value.negative && value.number;
	}
	if (r == 0)
		*ret_value = value;
	return r;
}

/* [-+]? ( \. digits | digits ( \. digits? )? ) ( [eE] [-+]? digits )? */
static bool has_form_of_float(struct slice s)
{
	size_t i = 0, n_digits = 0;

	if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+'))
		i++;
	for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
		n_digits++;
	if (i < s.len && s.ptr[i] == '.')
		for (i++; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
			n_digits++;
	if (n_digits == 0 || i == s.len)
		return n_digits > 0;
	if (s.ptr[i] != 'e' && s.ptr[i] != 'E')
		return false;
	i++;
	if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+'))
		i++;
	return all_of(slice_drop(s, i), "0123456789") && i < s.len;
}

static bool real(struct slice text, double *ret_real)
{
	static const char *const infinite[] = { ".inf",  ".Inf",  ".INF", "+.inf",
						"+.Inf", "+.INF", NULL };
	static const char *const negative[] = { "-.inf", "-.Inf", "-.INF", NULL };
	static const char *const not_a_number[] = { ".nan", ".NaN", ".NAN", NULL };
	char buf[NUMBER_MAX];

	if (is_one_of(text, infinite)) {
		*ret_real = (double)INFINITY;
	} else if (is_one_of(text, negative)) {
		*ret_real = -(double)INFINITY;
	} else if (is_one_of(text, not_a_number)) {
		*ret_real = (double)NAN;
	} else if (text.len < sizeof(buf) && has_form_of_float(text)) {
		memcpy(buf, text.ptr, text.len);
		buf[text.len] = '\0';
		*ret_real = strtod(buf, NULL);
	} else {
		return false;
	}
	return true;
}

int yaml_scalar(struct slice text, struct document_node *ret_value)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const trues[] = { "true", "True", "TRUE", NULL };
	static const char *const falses[] = { "false", "False", "FALSE", NULL };
	struct document_node value = { .kind = DOCUMENT_TEXT, .text = text };
	int r = integer(text, &value);

	if (r == -ERANGE)
		return r;
	if (r < 0 && is_one_of(text, nulls)) {
		value = (struct document_node){ .kind = DOCUMENT_NULL };
	} else if (r < 0 && (is_one_of(text, trues) || is_one_of(text, falses))) {
		value = (struct document_node){ .kind = DOCUMENT_BOOL };
		value.boolean = is_one_of(text, trues);
	} else if (r < 0) {
		double number;

		if (real(text, &number)) {
			value = (struct document_node){ .kind = DOCUMENT_FLOAT };
			value.real = number;
		}
	}
	*ret_value = value;
	return 0;
}

/* --- Events --------------------------------------------------------------------------------- */

static struct report_place place_of(const yaml_mark_t *mark)
{
	return (struct report_place){ .line = (uint32_t)mark->line + 1,
				      .column = (uint32_t)mark->column + 1 };
}

static struct slice bytes_of(const yaml_char_t *bytes, size_t len)
{
	return slice_make(bytes, len);
}

static int on_scalar(struct document *doc, const yaml_event_t *event)
{
	struct slice text = bytes_of(event->data.scalar.value, event->data.scalar.length);
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	struct report_place place = place_of(&event->start_mark);
	struct document_node value = { .kind = DOCUMENT_TEXT, .text = text };
	char shown[PATH_SHOWN_MAX];

	if (document_wants_key(doc)) {
		if (plain && slice_eq(text, SLICE("<<")))
			return document_refuse(doc, REPORT_SYNTAX, place,
					       "merge keys (<<) are not allowed");
		return document_key(doc, text, place);
	}
	if (plain && yaml_scalar(text, &value) < 0)
		return document_refuse(doc, REPORT_RANGE, place, "%s does not fit in 64 bits",
				       path_show(text, shown));
	value.place = place;
	return document_leaf(doc, &value);
}

static int on_open(struct document *doc, enum document_kind kind, const yaml_event_t *event)
{
	struct report_place place = place_of(&event->start_mark);

	if (document_wants_key(doc))
		return document_refuse(doc, REPORT_SYNTAX, place, "a key must be a text");
	return document_begin(doc, kind, place);
}

/* What may stand in front of a value, and none of which we take. */
static int check_decoration(struct document *doc, const yaml_event_t *event,
			    const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct report_place place = place_of(&event->start_mark);

	if (anchor)
		return document_refuse(doc, REPORT_SYNTAX, place, "anchors (&) are not allowed");
	if (tag)
		return document_refuse(doc, REPORT_SYNTAX, place, "tags (!) are not allowed");
	return 0;
}

static int on_document(struct document *doc, const yaml_event_t *event)
{
	if (document_root(doc))
		return document_refuse(doc, REPORT_TRAILING, place_of(&event->start_mark),
				       "only one document is allowed in a file");
	return 0;
}

static int on_event(struct document *doc, const yaml_event_t *event)
{
	int r;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return document_refuse(doc, REPORT_SYNTAX, place_of(&event->start_mark),
				       "aliases (*) are not allowed");
	case YAML_SCALAR_EVENT:
		r = check_decoration(doc, event, event->data.scalar.anchor, event->data.scalar.tag);
		return r < 0 ? r : on_scalar(doc, event);
	case YAML_SEQUENCE_START_EVENT:
		r = check_decoration(doc, event, event->data.sequence_start.anchor,
				     event->data.sequence_start.tag);
		return r < 0 ? r : on_open(doc, DOCUMENT_LIST, event);
	case YAML_MAPPING_START_EVENT:
		r = check_decoration(doc, event, event->data.mapping_start.anchor,
				     event->data.mapping_start.tag);
		return r < 0 ? r : on_open(doc, DOCUMENT_MAP, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		document_end(doc);
		return 0;
	case YAML_DOCUMENT_START_EVENT:
		return on_document(doc, event);
	case YAML_DOCUMENT_END_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_NO_EVENT:
		return 0;
	}
	GW_UNREACHABLE();
}

/* Line and column of a byte, for errors below the scanner. */
static struct report_place place_at(struct slice text, size_t offset)
{
	struct report_place place = { .line = 1, .column = 1 };

	for (size_t i = 0; i < offset && i < text.len; i++) {
		place.column++;
		if (text.ptr[i] == '\n')
			place = (struct report_place){ .line = place.line + 1, .column = 1 };
	}
	return place;
}

static int refuse_syntax(const yaml_parser_t *parser, struct slice text, struct report *rep)
{
	const char *problem = parser->problem ? parser->problem : "not YAML";
	struct report_place place = place_of(&parser->problem_mark);

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR)
		report_add(rep, REPORT_STRING, place_at(text, parser->problem_offset),
			   (struct slice){ 0 }, "%s", problem);
	else if (parser->context && parser->context_mark.line != parser->problem_mark.line)
		report_add(rep, REPORT_SYNTAX, place, (struct slice){ 0 },
			   "%s, %s that began in line %zu", problem, parser->context,
			   parser->context_mark.line + 1);
	else
		report_add(rep, REPORT_SYNTAX, place, (struct slice){ 0 }, "%s%s%s", problem,
			   parser->context ? ", " : "", parser->context ? parser->context : "");
	return -EINVAL;
}

/* All events of the text. Each takes at least a byte of it, but for the brackets of the whole. */
static int read_events(yaml_parser_t *parser, struct slice text, struct report *rep,
		       struct document *doc)
{
	bool at_end = false;
	int r = 0;

	while (!at_end && r == 0) {
		yaml_event_t event;

		if (!yaml_parser_parse(parser, &event))
			return refuse_syntax(parser, text, rep);
		r = on_event(doc, &event);
		at_end = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	if (r == 0 && !document_root(doc))
		r = document_leaf(
			doc, &(struct document_node){ .kind = DOCUMENT_NULL, .place = { 1, 1 } });
	GW_ASSERT(r < 0 || document_is_whole(doc));
	return r;
}

int yaml_read(struct slice text, struct report *rep, struct document **ret_doc)
{
	struct document *doc;
	yaml_parser_t parser;
	int r;

	if (text.len > DOCUMENT_TEXT_MAX) {
		report_add(rep, REPORT_TOO_LARGE, (struct report_place){ 0 }, (struct slice){ 0 },
			   "%zu bytes; at most %d are allowed", text.len, DOCUMENT_TEXT_MAX);
		return -EINVAL;
	}
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)(text.len ? text.ptr : ""),
				     text.len);
	r = document_create(rep, &doc);
	if (r == 0) {
		r = read_events(&parser, text, rep, doc);
		if (r == 0)
			*ret_doc = doc;
		else
			document_free(doc);
	}
	yaml_parser_delete(&parser);
	return r;
}
