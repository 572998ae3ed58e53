/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>

#include "core/document/document.h"
#include "core/document/form.h"
#include "core/document/path.h"
#include "core/document/prescan.h"
#include "core/document/wire.h"

/* A map or list with entries still to come. */
struct level {
	bool is_map;
	bool has_key;
	uint32_t n_left; /* Entries that have not begun. */
	uint32_t n_seen;
	struct slice key; /* Of the entry that has begun. */
};

struct scan {
	struct wire wire;
	struct report *rep;
	uint32_t n_nodes, n_open;
	struct level open[DOCUMENT_DEPTH_MAX];
};

static int refuse(struct scan *s, enum report_code code, const char *text)
{
	char path[2 * REPORT_PATH_MAX];
	struct writer w = writer_make(path, sizeof(path));

	for (uint32_t i = 0; i < s->n_open; i++) {
		const struct level *level = &s->open[i];

		if (!level->is_map && level->n_seen)
			path_put_index(&w, level->n_seen - 1);
		else if (level->has_key)
			path_put_key(&w, level->key);
	}
	report_add(s->rep, code, (struct report_place){ 0 }, writer_slice(&w), "%s", text);
	return -EINVAL;
}

static int refuse_token(struct scan *s, int why)
{
	if (why == -ENODATA)
		return refuse(s, REPORT_TRUNCATED, "ends within a value");
	if (why == -EMSGSIZE)
		return refuse(s, REPORT_TOO_LARGE, "claims more entries than there are bytes left");
	GW_ASSERT(why == -EPROTO);
	return refuse(s, REPORT_TYPE, "the byte 0xc1 is not msgpack");
}

static int check_kind(struct scan *s, const struct wire_token *t)
{
	switch (t->kind) {
	case WIRE_BYTES:
		return refuse(s, REPORT_TYPE, "bytes (bin) are not allowed, texts (str) are");
	case WIRE_EXTENSION:
		return refuse(s, REPORT_TYPE, "extension types are not allowed");
	case WIRE_FLOAT:
		if (!isfinite(t->real))
			return refuse(s, REPORT_TYPE, "not a finite number");
		return 0;
	case WIRE_NULL:
	case WIRE_BOOL:
	case WIRE_INT:
	case WIRE_TEXT:
	case WIRE_LIST:
	case WIRE_MAP:
		return 0;
	}
	GW_UNREACHABLE();
}

static int open_level(struct scan *s, const struct wire_token *t)
{
	if (s->n_open == DOCUMENT_DEPTH_MAX)
		return refuse(s, REPORT_DEPTH, "nested more than 32 levels deep");
	s->open[s->n_open++] = (struct level){ .is_map = t->kind == WIRE_MAP, .n_left = t->n };
	return 0;
}

static int check_value(struct scan *s)
{
	struct wire_token t;
	int r = wire_next(&s->wire, &t);

	if (r < 0)
		return refuse_token(s, r);
	if (s->n_nodes++ == DOCUMENT_NODES_MAX)
		return refuse(s, REPORT_TOO_LARGE, "more values than a document may have");
	r = check_kind(s, &t);
	if (r == 0 && (t.kind == WIRE_LIST || t.kind == WIRE_MAP))
		r = open_level(s, &t);
	return r;
}

static int check_key(struct scan *s, struct level *level)
{
	struct wire_token t;
	int r;

	level->has_key = false; /* What is wrong here is the map's. */
	r = wire_next(&s->wire, &t);
	if (r < 0)
		return refuse_token(s, r);
	if (t.kind != WIRE_TEXT)
		return refuse(s, REPORT_TYPE, "a key must be a text");
	level->key = t.text;
	level->has_key = form_is_text(t.text); /* Else no path may name it: it goes into replies. */
	return 0;
}

/* The next entry of the innermost map or list, or its end. */
static int step(struct scan *s)
{
	struct level *level = &s->open[s->n_open - 1];
	int r;

	if (level->n_left == 0) {
		s->n_open--;
		return 0;
	}
	level->n_left--;
	level->n_seen++;
	if (level->is_map) {
		r = check_key(s, level);
		if (r < 0)
			return r;
	}
	return check_value(s);
}

int prescan_check(struct slice bytes, struct report *rep)
{
	struct scan s = { .wire.rest = bytes, .rep = rep };
	int r = check_value(&s);

	while (r == 0 && s.n_open)
		r = step(&s);
	if (r == 0 && s.wire.rest.len)
		r = refuse(&s, REPORT_TRAILING, "bytes behind the end of the value");
	return r;
}
