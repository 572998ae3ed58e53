/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document.h - a document in memory: a bounded tree that knows where each value stood.
 *
 * The readers (yaml.h, json.h, decode.h) build it with document_begin(), document_key(), ...;
 * bind.h and encode.h walk it. Whatever is too deep, too big, or twice in a map is refused while
 * the tree is built, in one place for all forms.
 *
 * Ownership: a document owns its nodes and copies of all texts; document_free() ends them all.
 *
 * Threads: a document belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/document/report.h"

enum {
	DOCUMENT_DEPTH_MAX = 32,     /* Lists and maps within each other. */
	DOCUMENT_TEXT_MAX = 8 << 20, /* Bytes of YAML or JSON. */
	DOCUMENT_NODES_MAX = 1 << 20,
};

struct document;
struct document_index;

enum document_kind {
	DOCUMENT_NULL,
	DOCUMENT_BOOL,
	DOCUMENT_INT,
	DOCUMENT_FLOAT,
	DOCUMENT_TEXT,
	DOCUMENT_LIST,
	DOCUMENT_MAP,
	DOCUMENT_N_KINDS
};

struct document_node {
	enum document_kind kind;
	bool negative;             /* DOCUMENT_INT. */
	struct report_place place; /* Of the value. */
	struct report_place key_place;
	struct slice key; /* In a map. */
	const struct document_node *next;
	union {
		bool boolean;
		uint64_t number; /* Magnitude; -2^63 at the least when negative. */
		double real;
		struct slice text;
		struct {
			const struct document_node *first;
			uint32_t n;
			struct document_index *index; /* Private: keys of a large map. */
		};
	};
};

/*
 * An empty document; -ENOMEM. 'rep' gets what the building functions refuse and must outlive
 * the building.
 */
GW_MUST_USE int document_create(struct report *rep, struct document **ret_doc);
void document_free(struct document *doc);

/* NULL before the first value. */
const struct document_node *document_root(const struct document *doc);

/*
 * Building, in the order of the text. Each answers 0, -EINVAL after reporting what is wrong, or
 * -ENOMEM. In a map, document_key() comes before each value. After an error only document_free().
 */
GW_MUST_USE int document_begin(struct document *doc, enum document_kind kind,
			       struct report_place place);
void document_end(struct document *doc);
GW_MUST_USE int document_key(struct document *doc, struct slice key, struct report_place place);
/* A leaf: 'value' gives kind, place and value; the text is copied. */
GW_MUST_USE int document_leaf(struct document *doc, const struct document_node *value);
/* Must the next thing be a key? */
bool document_wants_key(const struct document *doc);
/* Is everything closed, and is there a value? */
bool document_is_whole(const struct document *doc);

/* Report something about the value that would come next, with its path. Always -EINVAL. */
__attribute__((format(printf, 4, 5))) int document_refuse(struct document *doc,
							  enum report_code code,
							  struct report_place place,
							  const char *format, ...);

/* The value of a key, or NULL. Constant time also in large maps. */
const struct document_node *document_get(const struct document_node *map, struct slice key);

/* The value at "routes[3].match.hosts[0]", or the nearest around it that is there; "" is the root. */
const struct document_node *document_nearest(const struct document_node *root, struct slice path);

/* "a map", "a whole number", ...: for messages. */
const char *document_kind_name(enum document_kind kind);
