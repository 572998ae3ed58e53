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

static int build(struct slice bytes, struct document *doc)
{
	uint32_t left[DOCUMENT_DEPTH_MAX]; /* Entries that each open map or list still has. */
	uint32_t n_open = 0;
	struct wire wire = { .rest = bytes };
	int r = 0;

	while (r == 0 && !document_is_whole(doc)) {
		struct wire_token t;

		if (n_open && left[n_open - 1]-- == 0) {
			document_end(doc);
			n_open--;
			continue;
		}
		if (document_wants_key(doc)) {
			r = wire_next(&wire, &t);
			GW_ASSERT(r == 0 && t.kind == WIRE_TEXT);
			r = document_key(doc, t.text, nowhere);
			if (r < 0)
				return r;
		}
		r = wire_next(&wire, &t);
		GW_ASSERT(r == 0);
		if (t.kind != WIRE_LIST && t.kind != WIRE_MAP) {
			r = add_leaf(doc, &t);
			continue;
		}
		r = document_begin(doc, t.kind == WIRE_MAP ? DOCUMENT_MAP : DOCUMENT_LIST, nowhere);
		if (r == 0)
			left[n_open++] = t.n;
	}
	return r;
}

int decode_read(struct slice bytes, struct report *rep, struct document **ret_doc)
{
	struct document *doc;
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
