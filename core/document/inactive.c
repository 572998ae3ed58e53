/* SPDX-License-Identifier: Apache-2.0 */
#include "core/document/inactive.h"

#include "core/document/path.h"
#include "core/document/report.h"

struct walk {
	struct writer path;
	char text[REPORT_PATH_MAX];
	inactive_fn *told;
	void *owner;
};

static void walk_map(struct walk *w, const struct schema *schema, const struct document_node *map);

/* Of a field, or of an element of its list. Null is "not said". */
static void walk_value(struct walk *w, const struct schema_field *field,
		       const struct document_node *node)
{
	struct writer before = w->path;
	uint32_t i = 0;

	if (field->type == SCHEMA_MAP) {
		walk_map(w, field->map, node);
		return;
	}
	if (!schema_is_list(field) || field->element->type != SCHEMA_MAP)
		return;
	for (const struct document_node *one = node->first; one; one = one->next) {
		if (field->type == SCHEMA_NAMED)
			path_put_key(&w->path, one->key);
		else
			path_put_index(&w->path, i++);
		walk_map(w, field->element->map, one);
		w->path = before;
	}
}

static void walk_map(struct walk *w, const struct schema *schema, const struct document_node *map)
{
	for (const struct document_node *one = map->first; one; one = one->next) {
		const struct schema_field *field = schema_find_field(schema, one->key);
		struct writer before = w->path;

		if (!field || one->kind == DOCUMENT_NULL)
			continue;
		path_put_key(&w->path, one->key);
		if (field->flags & SCHEMA_INACTIVE)
			w->told(w->owner, writer_slice(&w->path));
		else
			walk_value(w, field, one);
		w->path = before;
	}
}

void inactive_find(const struct schema *schema, const struct document_node *root, inactive_fn *told,
		   void *owner)
{
	struct walk w = { .told = told, .owner = owner };

	w.path = writer_make(w.text, sizeof(w.text));
	if (root)
		walk_map(&w, schema, root);
}
