/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree lives in chunks that are freed together. While it is built, 'open' holds the maps and
 * lists that are not closed yet, outermost first, and 'last' the newest child of each.
 *
 * A map with more than INDEX_FROM keys gets a hash table of its children, remade at twice the size
 * when half full: a map of n keys costs O(n) to check for duplicates, whatever its keys are,
 * because the hash is keyed.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>

#include "core/base/hash.h"
#include "core/base/rng.h"
#include "core/document/document.h"
#include "core/document/form.h"
#include "core/document/path.h"

enum {
	CHUNK_SIZE = 64 * 1024,
	INDEX_FROM = 16,
	KEY_MAX = 255,
};

struct chunk {
	struct chunk *next;
	size_t size, len;
	_Alignas(16) char bytes[];
};

struct document_index {
	struct hash_key secret;
	uint32_t mask;
	const struct document_node *slots[];
};

struct open_node {
	struct document_node *node;
	struct document_node *last;
};

struct document {
	struct report *rep;
	struct chunk *chunks;
	struct hash_key secret;
	struct document_node *root;
	uint32_t n_nodes, n_open;
	bool has_key;
	struct slice key; /* Of the next value. */
	struct report_place key_place;
	struct open_node open[DOCUMENT_DEPTH_MAX];
};

int document_create(struct report *rep, struct document **ret_doc)
{
	struct document *doc = calloc(1, sizeof(*doc));

	if (!doc)
		return -ENOMEM;
	doc->rep = rep;

	int r = rng_system(&doc->secret, sizeof(doc->secret));

	if (r < 0) {
		free(doc);
		return r;
	}
	*ret_doc = doc;
	return 0;
}

void document_free(struct document *doc)
{
	if (!doc)
		return;
	while (doc->chunks) {
		struct chunk *chunk = doc->chunks;

		doc->chunks = chunk->next;
		free(chunk);
	}
	free(doc);
}

const struct document_node *document_root(const struct document *doc)
{
	return doc->root;
}

bool document_wants_key(const struct document *doc)
{
	return doc->n_open && doc->open[doc->n_open - 1].node->kind == DOCUMENT_MAP &&
	       !doc->has_key;
}

bool document_is_whole(const struct document *doc)
{
	return doc->root && doc->n_open == 0;
}

/* Zeroed memory that lives as long as the document, or NULL. */
static void *take(struct document *doc, size_t size)
{
	struct chunk *chunk = doc->chunks;

	size = (size + 15) & ~(size_t)15;
	if (!chunk || chunk->size - chunk->len < size) {
		size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;

		chunk = calloc(1, sizeof(*chunk) + room);
		if (!chunk)
			return NULL;
		chunk->size = room;
		chunk->next = doc->chunks;
		doc->chunks = chunk;
	}

	void *at = chunk->bytes + chunk->len;

	chunk->len += size;
	return at;
}

static int copy_text(struct document *doc, struct slice text, struct slice *ret_copy)
{
	char *copy = take(doc, text.len ? text.len : 1);

	if (!copy)
		return -ENOMEM;
	if (text.len)
		memcpy(copy, text.ptr, text.len);
	*ret_copy = slice_make(copy, text.len);
	return 0;
}

/* The path of the map or list at 'depth' open ones. */
static void put_path(const struct document *doc, uint32_t depth, struct writer *w)
{
	for (uint32_t i = 1; i < depth; i++) {
		const struct document_node *parent = doc->open[i - 1].node;

		if (parent->kind == DOCUMENT_MAP)
			path_put_key(w, doc->open[i].node->key);
		else
			path_put_index(w, parent->n - 1);
	}
}

int document_refuse(struct document *doc, enum report_code code, struct report_place place,
		    const char *format, ...)
{
	char path[2 * REPORT_PATH_MAX], text[REPORT_TEXT_MAX];
	struct writer w = writer_make(path, sizeof(path));
	va_list args;

	put_path(doc, doc->n_open, &w);
	if (doc->n_open) {
		const struct document_node *top = doc->open[doc->n_open - 1].node;

		if (top->kind == DOCUMENT_LIST)
			path_put_index(&w, top->n);
		else if (doc->has_key)
			path_put_key(&w, doc->key);
	}
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args); /* Cut when too long. */
	va_end(args);
	report_add(doc->rep, code, place, writer_slice(&w), "%s", text);
	return -EINVAL;
}

/* The slot that holds the key, or the free one where it belongs. */
static const struct document_node **find_slot(struct document_index *index, struct slice key)
{
	uint32_t mask = index->mask;
	uint64_t at = hash_sip(index->secret, key);

	while (index->slots[at & mask] && !slice_eq(index->slots[at & mask]->key, key))
		at++;
	return &index->slots[at & mask];
}

const struct document_node *document_get(const struct document_node *map, struct slice key)
{
	GW_ASSERT(map->kind == DOCUMENT_MAP);
	if (map->index)
		return *find_slot(map->index, key);
	for (const struct document_node *node = map->first; node; node = node->next)
		if (slice_eq(node->key, key))
			return node;
	return NULL;
}

/* A table for at least twice as many keys as the map has, with those keys in it. */
static int make_index(struct document *doc, struct document_node *map)
{
	uint32_t n_slots = 4 * INDEX_FROM;

	while (n_slots < 4 * map->n)
		n_slots *= 2;

	struct document_index *index =
		take(doc, sizeof(*index) + n_slots * sizeof(index->slots[0]));

	if (!index)
		return -ENOMEM;
	index->secret = doc->secret;
	index->mask = n_slots - 1;
	for (const struct document_node *node = map->first; node; node = node->next)
		*find_slot(index, node->key) = node;
	map->index = index;
	return 0;
}

/* After 'node' became the newest child of the map. */
static int index_child(struct document *doc, struct document_node *map,
		       const struct document_node *node)
{
	if (map->n <= INDEX_FROM)
		return 0;
	if (!map->index || map->n > (map->index->mask + 1) / 2)
		return make_index(doc, map);
	*find_slot(map->index, node->key) = node;
	return 0;
}

/* Put a new node where the next value belongs. */
static int attach(struct document *doc, struct document_node *node)
{
	if (doc->n_open == 0) {
		GW_ASSERT(!doc->root);
		doc->root = node;
		return 0;
	}

	struct open_node *top = &doc->open[doc->n_open - 1];

	if (top->last)
		top->last->next = node;
	else
		top->node->first = node;
	top->last = node;
	top->node->n++;
	if (top->node->kind == DOCUMENT_LIST)
		return 0;

	GW_ASSERT(doc->has_key);
	node->key = doc->key;
	node->key_place = doc->key_place;
	doc->has_key = false;
	return index_child(doc, top->node, node);
}

static int add(struct document *doc, const struct document_node *value,
	       struct document_node **ret_node)
{
	if (doc->n_nodes == DOCUMENT_NODES_MAX)
		return document_refuse(doc, REPORT_TOO_LARGE, value->place,
				       "more than %d values in one document", DOCUMENT_NODES_MAX);

	struct document_node *node = take(doc, sizeof(*node));

	if (!node)
		return -ENOMEM;
	*node = *value;
	node->next = NULL;
	doc->n_nodes++;
	*ret_node = node;
	return attach(doc, node);
}

int document_begin(struct document *doc, enum document_kind kind, struct report_place place)
{
	struct document_node value = { .kind = kind, .place = place };
	struct document_node *node = NULL;
	int r;

	GW_ASSERT(kind == DOCUMENT_LIST || kind == DOCUMENT_MAP);
	if (doc->n_open == DOCUMENT_DEPTH_MAX)
		return document_refuse(doc, REPORT_DEPTH, place, "nested more than %d levels deep",
				       DOCUMENT_DEPTH_MAX);
	r = add(doc, &value, &node);
	if (r < 0)
		return r;
	doc->open[doc->n_open++] = (struct open_node){ .node = node };
	return 0;
}

void document_end(struct document *doc)
{
	GW_ASSERT(doc->n_open > 0);
	GW_ASSERT(!doc->has_key);
	doc->n_open--;
}

int document_key(struct document *doc, struct slice key, struct report_place place)
{
	GW_ASSERT(doc->n_open > 0);
	GW_ASSERT(!doc->has_key);

	const struct document_node *map = doc->open[doc->n_open - 1].node;
	char shown[PATH_SHOWN_MAX];

	if (key.len == 0 || key.len > KEY_MAX || !form_is_text(key))
		return document_refuse(doc, REPORT_STRING, place,
				       "a key needs 1 to %d bytes of UTF-8 text", KEY_MAX);

	const struct document_node *before = document_get(map, key);

	if (before && before->key_place.line)
		return document_refuse(doc, REPORT_DUPLICATE_KEY, place,
				       "the key %s is there twice, first in line %u",
				       path_show(key, shown), before->key_place.line);
	if (before)
		return document_refuse(doc, REPORT_DUPLICATE_KEY, place,
				       "the key %s is there twice", path_show(key, shown));

	int r = copy_text(doc, key, &doc->key);

	if (r < 0)
		return r;
	doc->key_place = place;
	doc->has_key = true;
	return 0;
}

int document_leaf(struct document *doc, const struct document_node *value)
{
	struct document_node leaf = *value;
	struct document_node *node;
	int r;

	GW_ASSERT(value->kind < DOCUMENT_LIST);
	if (value->kind == DOCUMENT_FLOAT && !isfinite(value->real))
		return document_refuse(doc, REPORT_RANGE, value->place, "not a finite number");
	if (value->kind == DOCUMENT_TEXT) {
		if (!form_is_lines(value->text))
			return document_refuse(doc, REPORT_STRING, value->place,
					       "control characters or bytes that are not UTF-8");
		r = copy_text(doc, value->text, &leaf.text);
		if (r < 0)
			return r;
	}
	return add(doc, &leaf, &node);
}

static const struct document_node *element(const struct document_node *list, struct slice *path)
{
	size_t end = slice_find(*path, ']');
	const struct document_node *node = list->first;
	uint64_t i;

	if (end == SLICE_NONE || slice_to_u64(slice_make(path->ptr + 1, end - 1), &i) < 0)
		return NULL;
	*path = slice_drop(*path, end + 1);
	for (; node && i > 0; i--)
		node = node->next;
	return node;
}

static bool begins_with_key(struct slice path, struct slice key)
{
	return slice_starts_with(path, key) &&
	       (path.len == key.len || path.ptr[key.len] == '.' || path.ptr[key.len] == '[');
}

/* The longest key that fits: keys may have dots in them. */
static const struct document_node *value(const struct document_node *map, struct slice *path)
{
	const struct document_node *found = NULL;

	for (const struct document_node *node = map->first; node; node = node->next)
		if (begins_with_key(*path, node->key) && (!found || node->key.len > found->key.len))
			found = node;
	if (found)
		*path = slice_drop(*path, found->key.len);
	return found;
}

/* The child that the next step of the path names; takes the step off. */
static const struct document_node *step(const struct document_node *node, struct slice *path)
{
	if (node->kind == DOCUMENT_LIST && path->ptr[0] == '[')
		return element(node, path);
	return node->kind == DOCUMENT_MAP ? value(node, path) : NULL;
}

const struct document_node *document_nearest(const struct document_node *root, struct slice path)
{
	const struct document_node *node = root, *next;

	while (path.len && (next = step(node, &path))) {
		node = next;
		if (path.len && path.ptr[0] == '.')
			path = slice_drop(path, 1);
	}
	return node;
}

const char *document_kind_name(enum document_kind kind)
{
	static const char *const names[] = {
		[DOCUMENT_NULL] = "null",          [DOCUMENT_BOOL] = "true or false",
		[DOCUMENT_INT] = "a whole number", [DOCUMENT_FLOAT] = "a number with a fraction",
		[DOCUMENT_TEXT] = "a text",        [DOCUMENT_LIST] = "a list",
		[DOCUMENT_MAP] = "a map",
	};

	GW_ASSERT(kind < DOCUMENT_N_KINDS);
	return names[kind];
}
