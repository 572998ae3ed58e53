/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both are one walk that builds the new document from the outside in. A level of it is a map or
 * list that is not finished: first come the children of 'base', each with what 'patch' says of it,
 * then those that only 'patch' has. Without a patch a level is a copy.
 */
#include <errno.h>

#include "tools/gwtool_merge.h"

struct level {
	const struct document_node *base;  /* A map or list to begin with; or NULL. */
	const struct document_node *patch; /* A map that changes it; or NULL. */
	const struct document_node *next;
	bool in_patch; /* 'next' is a child of it. */
};

struct merge {
	struct document *doc;
	const struct gwtool_alias *aliases;
	uint32_t n_aliases;
	uint32_t n_open;
	struct level open[DOCUMENT_DEPTH_MAX];
};

static bool is_collection(const struct document_node *node)
{
	return node->kind == DOCUMENT_LIST || node->kind == DOCUMENT_MAP;
}

static void push(struct merge *m, const struct document_node *base,
		 const struct document_node *patch)
{
	GW_ASSERT(m->n_open < DOCUMENT_DEPTH_MAX); /* The document refuses what is deeper. */
	m->open[m->n_open++] = (struct level){
		.base = base,
		.patch = patch,
		.next = base ? base->first : patch->first,
		.in_patch = !base,
	};
}

/* A value out of the two, one of which may be NULL; what is in it comes in later steps. */
static int enter(struct merge *m, const struct document_node *base,
		 const struct document_node *patch)
{
	const struct document_node *says = patch ? patch : base;
	bool merges = patch && patch->kind == DOCUMENT_MAP;
	int r;

	if (!is_collection(says))
		return document_leaf(m->doc, says);
	r = document_begin(m->doc, says->kind, says->place);
	if (r < 0)
		return r;
	if (merges)
		push(m, base && base->kind == DOCUMENT_MAP ? base : NULL, patch);
	else
		push(m, says, NULL);
	return 0;
}

static struct slice name_of(const struct merge *m, const struct document_node *node)
{
	for (uint32_t i = 0; m->n_open == 1 && i < m->n_aliases; i++)
		if (slice_eq(node->key, m->aliases[i].from))
			return m->aliases[i].to;
	return node->key;
}

/* A child of a level: 'node' names it. */
static int add(struct merge *m, const struct document_node *node, const struct document_node *base,
	       const struct document_node *patch)
{
	int r = 0;

	if (document_wants_key(m->doc))
		r = document_key(m->doc, name_of(m, node), (patch ? patch : base)->key_place);
	return r < 0 ? r : enter(m, base, patch);
}

static int step_base(struct merge *m, const struct level *at, const struct document_node *node)
{
	const struct document_node *patch = at->patch ? document_get(at->patch, node->key) : NULL;

	if (patch && patch->kind == DOCUMENT_NULL)
		return 0;
	return add(m, node, node, patch);
}

static int step_patch(struct merge *m, const struct level *at, const struct document_node *node)
{
	if (node->kind == DOCUMENT_NULL || (at->base && document_get(at->base, node->key)))
		return 0;
	return add(m, node, NULL, node);
}

/* The next child of the innermost level, or its end. */
static int step(struct merge *m)
{
	struct level *top = &m->open[m->n_open - 1];
	const struct document_node *node = top->next;

	if (node) {
		top->next = node->next;
		return top->in_patch ? step_patch(m, top, node) : step_base(m, top, node);
	}
	if (!top->in_patch && top->patch) {
		top->in_patch = true;
		top->next = top->patch->first;
		return 0;
	}
	document_end(m->doc);
	m->n_open--;
	return 0;
}

static int finish(struct merge *m, int r, struct document **ret_doc)
{
	while (r == 0 && m->n_open)
		r = step(m);
	if (r < 0)
		document_free(m->doc);
	else
		*ret_doc = m->doc;
	return r;
}

int gwtool_merge(const struct document_node *base, const struct document_node *patch,
		 struct report *rep, struct document **ret_doc)
{
	struct merge m = { 0 };
	int r = document_create(rep, &m.doc);

	return r < 0 ? r : finish(&m, enter(&m, base, patch), ret_doc);
}

static int put_version(struct document *doc)
{
	const struct document_node one = { .kind = DOCUMENT_INT, .number = 1 };
	int r = document_key(doc, SLICE("version"), (struct report_place){ 0 });

	return r < 0 ? r : document_leaf(doc, &one);
}

int gwtool_rename(const struct document_node *root, const struct gwtool_alias *aliases,
		  uint32_t n_aliases, bool version, struct report *rep, struct document **ret_doc)
{
	struct merge m = { .aliases = aliases, .n_aliases = n_aliases };
	int r = document_create(rep, &m.doc);

	if (r < 0)
		return r;
	r = enter(&m, root, NULL);
	if (r == 0 && version && root->kind == DOCUMENT_MAP &&
	    !document_get(root, SLICE("version")))
		r = put_version(m.doc);
	return finish(&m, r, ret_doc);
}
