/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "core/document/decode.h"
#include "core/document/prescan.h"
#include "core/document/wire.h"

static const struct report_place nowhere;

static int add_leaf(struct document *doc, const struct wire_token *t)
{
	struct document_node leaf = { 0 };

	switch (t->kind) {
	case WIRE_NULL:
		leaf.kind = DOCUMENT_NULL;
		break;
	case WIRE_BOOL:
		leaf.kind = DOCUMENT_BOOL;
		leaf.boolean = t->boolean;
		break;
	case WIRE_INT:
		leaf.kind = DOCUMENT_INT;
		leaf.negative = t->negative;
		leaf.number = t->number;
		break;
	case WIRE_FLOAT:
		leaf.kind = DOCUMENT_FLOAT;
		leaf.real = t->real;
		break;
	case WIRE_TEXT:
		leaf.kind = DOCUMENT_TEXT;
		leaf.text = t->text;
		break;
	case WIRE_LIST:
	case WIRE_MAP:
	case WIRE_BYTES:
	case WIRE_EXTENSION: /* The scan has refused those two. */
		GW_UNREACHABLE();
	}
	return document_leaf(doc, &leaf);
}

struct walk {
	struct document *doc;
	struct wire wire;
	uint32_t n_open;
	uint32_t left[DOCUMENT_DEPTH_MAX]; /* Entries that each open map or list still has. */
};

/* The scan has seen that it is there. */
static struct wire_token next_token(struct walk *w)
{
	struct wire_token t = { 0 };
	int r = wire_next(&w->wire, &t);

	GW_ASSERT(r == 0);
	return t;
}

static int add_value(struct walk *w)
{
	struct wire_token t = next_token(w);
	int r;

	if (t.kind != WIRE_LIST && t.kind != WIRE_MAP)
		return add_leaf(w->doc, &t);
	r = document_begin(w->doc, t.kind == WIRE_MAP ? DOCUMENT_MAP : DOCUMENT_LIST, nowhere);
	if (r == 0)
		w->left[w->n_open++] = t.n;
	return r;
}

/* The next entry of the innermost map or list, or its end. */
static int step(struct walk *w)
{
	int r = 0;

	if (w->left[w->n_open - 1]-- == 0) {
		document_end(w->doc);
		w->n_open--;
		return 0;
	}
	if (document_wants_key(w->doc)) {
		struct wire_token key = next_token(w);

		GW_ASSERT(key.kind == WIRE_TEXT);
		r = document_key(w->doc, key.text, nowhere);
	}
	return r < 0 ? r : add_value(w);
}

static int build(struct slice bytes, struct document *doc)
{
	struct walk w = { .doc = doc, .wire.rest = bytes };
	int r = add_value(&w);

	while (r == 0 && w.n_open)
		r = step(&w);
	GW_ASSERT(r < 0 || document_is_whole(doc));
	return r;
}

int decode_read(struct slice bytes, struct report *rep, struct document **ret_doc)
{
	struct document *doc = NULL;
	int r = prescan_check(bytes, rep);

	if (r == 0)
		r = document_create(rep, &doc);
	if (r < 0)
		return r;
	r = build(bytes, doc);
	if (r < 0) {
		document_free(doc);
		return r;
	}
	*ret_doc = doc;
	return 0;
}
