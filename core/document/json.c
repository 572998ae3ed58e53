/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jansson reads the text and keeps no places. Its objects keep the order of the text, so a second
 * walk over the text, in step with the walk over the values, finds where each key and value began.
 */
#include <errno.h>
#include <jansson.h>

#include "core/document/document.h"
#include "core/document/json.h"

/* Where the next token of a text that is known to be JSON begins. */
struct cursor {
	struct slice rest;
	struct report_place place;
};

static void advance(struct cursor *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char byte = (unsigned char)c->rest.ptr[i];

		if (byte == '\n')
			c->place = (struct report_place){ .line = c->place.line + 1, .column = 1 };
		else if ((byte & 0xc0) != 0x80) /* Characters count, not bytes. */
			c->place.column++;
	}
	c->rest = slice_drop(c->rest, n);
}

static size_t span(struct slice s, const char *set)
{
	size_t n = 0;

	while (n < s.len && s.ptr[n] && strchr(set, s.ptr[n]))
		n++;
	return n;
}

static size_t token_len(struct slice s)
{
	size_t n = 1;

	if (s.ptr[0] == '{' || s.ptr[0] == '[')
		return 1;
	if (s.ptr[0] == '"') {
		while (n < s.len && s.ptr[n] != '"')
			n += s.ptr[n] == '\\' ? 2 : 1;
		return n < s.len ? n + 1 : s.len;
	}
	while (n < s.len && !strchr(" \t\r\n,:]}", s.ptr[n]))
		n++;
	return n;
}

/* The place of the next key or value, which is then passed. */
static struct report_place next_place(struct cursor *c)
{
	advance(c, span(c->rest, " \t\r\n,:]}"));

	struct report_place place = c->place;

	GW_ASSERT(c->rest.len > 0);
	advance(c, token_len(c->rest));
	return place;
}

static int add_leaf(struct document *doc, const json_t *value, struct report_place place)
{
	struct document_node leaf = { .place = place };

	switch (json_typeof(value)) {
	case JSON_STRING:
		leaf.kind = DOCUMENT_TEXT;
		leaf.text = slice_make(json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER: {
		json_int_t number = json_integer_value(value);

		leaf.kind = DOCUMENT_INT;
		leaf.negative = number < 0;
		leaf.number = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
		break;
	}
	case JSON_REAL:
		leaf.kind = DOCUMENT_FLOAT;
		leaf.real = json_real_value(value);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		leaf.kind = DOCUMENT_BOOL;
		leaf.boolean = json_is_true(value);
		break;
	case JSON_NULL:
		leaf.kind = DOCUMENT_NULL;
		break;
	case JSON_OBJECT:
	case JSON_ARRAY:
		GW_UNREACHABLE();
	}
	return document_leaf(doc, &leaf);
}

/* An array or object that is being walked. */
struct level {
	json_t *value;
	void *iter;  /* Of an object. */
	size_t next; /* Of an array. */
};

struct walk {
	struct document *doc;
	struct cursor at;
	uint32_t n_open;
	struct level open[DOCUMENT_DEPTH_MAX];
};

/* Adds a value; what it contains comes in later steps. */
static int enter(struct walk *w, json_t *value)
{
	struct report_place place = next_place(&w->at);
	int r;

	if (!json_is_object(value) && !json_is_array(value))
		return add_leaf(w->doc, value, place);
	r = document_begin(w->doc, json_is_object(value) ? DOCUMENT_MAP : DOCUMENT_LIST, place);
	if (r < 0)
		return r;
	GW_ASSERT(w->n_open < DOCUMENT_DEPTH_MAX);
	w->open[w->n_open++] = (struct level){ .value = value, .iter = json_object_iter(value) };
	return 0;
}

/* The next child of the innermost open value, or its end. */
static int step(struct walk *w)
{
	struct level *top = &w->open[w->n_open - 1];

	if (json_is_array(top->value) && top->next < json_array_size(top->value))
		return enter(w, json_array_get(top->value, top->next++));
	if (json_is_object(top->value) && top->iter) {
		const char *key = json_object_iter_key(top->iter);
		json_t *value = json_object_iter_value(top->iter);
		struct slice name = slice_make(key, json_object_iter_key_len(top->iter));
		int r = document_key(w->doc, name, next_place(&w->at));

		top->iter = json_object_iter_next(top->value, top->iter);
		return r < 0 ? r : enter(w, value);
	}
	document_end(w->doc);
	w->n_open--;
	return 0;
}

static int build(json_t *root, struct slice text, struct document *doc)
{
	struct walk w = { .doc = doc, .at = { .rest = text, .place = { 1, 1 } } };
	int r = enter(&w, root);

	while (r == 0 && w.n_open)
		r = step(&w);
	return r;
}

static int refuse_syntax(const json_error_t *error, struct report *rep)
{
	enum json_error_code why = json_error_code(error);
	enum report_code code = REPORT_SYNTAX;

	if (why == json_error_out_of_memory)
		return -ENOMEM;
	if (why == json_error_duplicate_key)
		code = REPORT_DUPLICATE_KEY;
	else if (why == json_error_numeric_overflow)
		code = REPORT_RANGE;
	else if (why == json_error_stack_overflow)
		code = REPORT_DEPTH;
	report_add(
		rep, code,
		(struct report_place){ .line = (uint32_t)error->line,
				       .column = error->column > 0 ? (uint32_t)error->column : 1 },
		(struct slice){ 0 }, "%s", error->text);
	return -EINVAL;
}

int json_read(struct slice text, struct report *rep, struct document **ret_doc)
{
	struct document *doc;
	json_error_t error;
	int r;

	if (text.len > DOCUMENT_TEXT_MAX) {
		report_add(rep, REPORT_TOO_LARGE, (struct report_place){ 0 }, (struct slice){ 0 },
			   "%zu bytes; at most %d are allowed", text.len, DOCUMENT_TEXT_MAX);
		return -EINVAL;
	}

	json_t *root = json_loadb(text.len ? text.ptr : "", text.len,
				  JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

	if (!root)
		return refuse_syntax(&error, rep);
	r = document_create(rep, &doc);
	if (r == 0) {
		r = build(root, text, doc);
		if (r == 0)
			*ret_doc = doc;
		else
			document_free(doc);
	}
	json_decref(root);
	return r;
}
