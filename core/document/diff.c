/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recursion here follows the schema, not the documents: it ends with the tables of this
 * program.
 */
#include "core/document/diff.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/jsonw.h"
#include "core/document/bind.h"
#include "core/document/encode.h"
#include "core/document/form.h"
#include "core/document/path.h"

enum { PATH_MAX_BYTES = 4096 }; /* Longer than the deepest schema's with the longest names. */

struct diff {
	diff_fn *tell;
	void *owner;
	bool no_memory;
	struct writer path;
	char path_buf[PATH_MAX_BYTES];
};

/* null stands for "not said". */
static const struct document_node *said(const struct document_node *node)
{
	return node && node->kind != DOCUMENT_NULL ? node : NULL;
}

static const struct document_node *get(const struct document_node *map, const char *key)
{
	return said(map) ? said(document_get(map, slice_of(key))) : NULL;
}

static void tell(struct diff *d, const struct document_node *before,
		 const struct document_node *after)
{
	d->tell(d->owner, &(struct diff_change){
				  .kind = !before ? DIFF_ADDED
					  : after ? DIFF_CHANGED
						  : DIFF_REMOVED,
				  .path = writer_slice(&d->path),
				  .before = before,
				  .after = after,
			  });
}

/* A name that has a path's own characters in it is told in brackets. */
static void enter_name(struct diff *d, struct slice name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-";
	bool is_plain = name.len > 0;

	for (size_t i = 0; is_plain && i < name.len; i++)
		is_plain = name.ptr[i] && strchr(plain, name.ptr[i]);
	if (is_plain) {
		path_put_key(&d->path, name);
		return;
	}
	writer_lit(&d->path, "[");
	jsonw_string(&d->path, name, SIZE_MAX);
	writer_lit(&d->path, "]");
}

/* --- Leaves. --------------------------------------------------------------------------------- */

/* What a leaf means: a number, or where there is none a text. */
struct value {
	uint64_t number;
	struct slice text;
};

static struct value words_of(const struct schema_field *field, const struct document_node *node)
{
	const struct document_node *item = node->kind == DOCUMENT_LIST ? node->first : node;
	struct value value = { 0 };

	for (; item; item = node->kind == DOCUMENT_LIST ? item->next : NULL) {
		const struct schema_word *word =
			item->kind == DOCUMENT_TEXT ? schema_find_word(field, item->text) : NULL;

		value.number |= word ? word->value : 0;
	}
	return value;
}

static struct value quantity_of(const struct schema_field *field, const struct document_node *node)
{
	struct value value = { .number = node->kind == DOCUMENT_INT ? node->number : 0 };
	int r = 0;

	if (node->kind == DOCUMENT_TEXT && field->type == SCHEMA_DURATION)
		r = form_duration(node->text, &value.number);
	else if (node->kind == DOCUMENT_TEXT && field->type == SCHEMA_SIZE)
		r = form_size(node->text, &value.number);
	if (r < 0)
		value.text = node->text;
	return value;
}

static struct value value_of(const struct schema_field *field, const struct document_node *node)
{
	const struct schema_word *word =
		node->kind == DOCUMENT_TEXT ? schema_find_word(field, node->text) : NULL;

	switch (field->type) {
	case SCHEMA_BOOL:
		return (struct value){ .number = node->kind == DOCUMENT_BOOL && node->boolean };
	case SCHEMA_NUMBER:
	case SCHEMA_DURATION:
	case SCHEMA_SIZE:
		return word ? (struct value){ .number = word->value } : quantity_of(field, node);
	case SCHEMA_ENUM:
	case SCHEMA_SET:
		return words_of(field, node);
	case SCHEMA_TEXT:
	case SCHEMA_NET:
		break;
	case SCHEMA_MAP:
	case SCHEMA_LIST:
	case SCHEMA_NAMED:
	case SCHEMA_N_TYPES:
		GW_UNREACHABLE();
	}
	return (struct value){ .text = node->kind == DOCUMENT_TEXT ? node->text : SLICE("") };
}

/* NULL stands for the default. */
static bool is_same(const struct schema_field *field, const struct document_node *a,
		    const struct document_node *b)
{
	struct document_node preset;
	struct value x, y;

	if (!a && !b)
		return true;
	if (!a || !b) {
		if (!field->preset)
			return false;
		bind_preset(field, &preset);
	}
	x = value_of(field, a ? a : &preset);
	y = value_of(field, b ? b : &preset);
	return x.number == y.number && slice_eq(x.text, y.text);
}

static void diff_leaf(struct diff *d, const struct schema_field *field,
		      const struct document_node *before, const struct document_node *after)
{
	if (!is_same(field, before, after))
		tell(d, before, after);
}

/* A text stands for a list of it. */
static const struct document_node *first_of(const struct document_node *list)
{
	if (!list || list->kind == DOCUMENT_TEXT)
		return list;
	return list->first;
}

static const struct document_node *next_of(const struct document_node *list,
					   const struct document_node *item)
{
	return item == list ? NULL : item->next;
}

/* Of leaves, as a whole. An empty one is as good as none. */
static void diff_list(struct diff *d, const struct schema_field *element,
		      const struct document_node *before, const struct document_node *after)
{
	const struct document_node *a = first_of(before), *b = first_of(after);

	while (a && b && is_same(element, a, b)) {
		a = next_of(before, a);
		b = next_of(after, b);
	}
	if (a || b)
		tell(d, first_of(before) ? before : NULL, first_of(after) ? after : NULL);
}

/* --- What has a name. ------------------------------------------------------------------------ */

struct named {
	struct slice name;
	uint32_t place; /* In its list: which of several with one name, and all there is without. */
	const struct document_node *node;
};

struct roll {
	struct named *at;
	uint32_t n;
};

static int compare_named(const void *left, const void *right)
{
	const struct named *a = left, *b = right;
	int order = slice_cmp(a->name, b->name);

	return order ? order : (a->place > b->place) - (a->place < b->place);
}

/* The key by which elements are told apart; NULL: by their place. */
static const char *identity_of(const struct schema_field *field)
{
	const struct schema *schema = field->element->map;

	for (uint32_t i = 0; field->type == SCHEMA_LIST && i < schema->n_fields; i++)
		if (schema->fields[i].flags & SCHEMA_REQUIRED &&
		    schema->fields[i].type == SCHEMA_TEXT)
			return schema->fields[i].key;
	return NULL;
}

static struct slice name_of(const struct schema_field *field, const struct document_node *node,
			    const char *identity)
{
	const struct document_node *name = identity ? get(node, identity) : NULL;

	if (field->type == SCHEMA_NAMED)
		return node->key;
	return name && name->kind == DOCUMENT_TEXT ? name->text : SLICE("");
}

/* By name. False: no memory. */
static bool call_roll(struct roll *roll, const struct schema_field *field,
		      const struct document_node *list, const char *identity)
{
	uint32_t n = list ? list->n : 0;

	roll->n = 0;
	roll->at = malloc((n + 1) * sizeof(*roll->at));
	if (!roll->at)
		return false;
	for (const struct document_node *node = n ? list->first : NULL; node; node = node->next) {
		roll->at[roll->n] = (struct named){ name_of(field, node, identity), roll->n, node };
		roll->n++;
	}
	qsort(roll->at, roll->n, sizeof(*roll->at), compare_named);
	return true;
}

static void diff_map(struct diff *d, const struct schema *schema,
		     const struct document_node *before, const struct document_node *after);

static void diff_pair(struct diff *d, const struct schema_field *element,
		      const struct named *before, const struct named *after)
{
	if (!before || !after)
		tell(d, before ? before->node : NULL, after ? after->node : NULL);
	else if (element->type == SCHEMA_MAP)
		diff_map(d, element->map, before->node, after->node);
	else
		diff_leaf(d, element, said(before->node), said(after->node));
}

static int order_of(const struct roll *before, uint32_t i, const struct roll *after, uint32_t j,
		    bool by_place)
{
	if (i == before->n || j == after->n)
		return i == before->n ? 1 : -1;
	return by_place ? 0 : slice_cmp(before->at[i].name, after->at[j].name);
}

static void diff_rolls(struct diff *d, const struct schema_field *field, const struct roll *before,
		       const struct roll *after, bool by_place)
{
	for (uint32_t i = 0, j = 0; i < before->n || j < after->n;) {
		int order = order_of(before, i, after, j, by_place);
		const struct named *a = order <= 0 ? &before->at[i++] : NULL;
		const struct named *b = order >= 0 ? &after->at[j++] : NULL;
		const struct named *one = a ? a : b;
		struct writer path = d->path;

		GW_ASSERT(one);
		if (by_place)
			path_put_index(&d->path, one->place);
		else
			enter_name(d, one->name);
		diff_pair(d, field->element, a, b);
		d->path = path;
	}
}

static void diff_named(struct diff *d, const struct schema_field *field,
		       const struct document_node *before, const struct document_node *after)
{
	const char *identity = identity_of(field);
	struct roll a = { 0 }, b = { 0 };

	if (call_roll(&a, field, before, identity) && call_roll(&b, field, after, identity))
		diff_rolls(d, field, &a, &b, field->type == SCHEMA_LIST && !identity);
	else
		d->no_memory = true;
	free(a.at);
	free(b.at);
}

/* --- The whole. ------------------------------------------------------------------------------ */

static void diff_field(struct diff *d, const struct schema_field *field,
		       const struct document_node *before, const struct document_node *after)
{
	struct writer path = d->path;

	path_put_key(&d->path, slice_of(field->key));
	if (field->type == SCHEMA_MAP)
		diff_map(d, field->map, before, after);
	else if (field->type == SCHEMA_LIST && field->element->type != SCHEMA_MAP)
		diff_list(d, field->element, before, after);
	else if (schema_is_list(field))
		diff_named(d, field, before, after);
	else
		diff_leaf(d, field, before, after);
	d->path = path;
}

static void diff_map(struct diff *d, const struct schema *schema,
		     const struct document_node *before, const struct document_node *after)
{
	for (uint32_t i = 0; i < schema->n_fields; i++)
		diff_field(d, &schema->fields[i], get(before, schema->fields[i].key),
			   get(after, schema->fields[i].key));
}

int diff_documents(const struct schema *schema, const struct document_node *before,
		   const struct document_node *after, diff_fn *tell_change, void *owner)
{
	struct diff d = { .tell = tell_change, .owner = owner };

	d.path = writer_make(d.path_buf, sizeof(d.path_buf));
	diff_map(&d, schema, before, after);
	return d.no_memory ? -ENOMEM : 0;
}

/* --- Told. ----------------------------------------------------------------------------------- */

static void put_value(struct writer *w, const struct document_node *node)
{
	if (node->kind == DOCUMENT_TEXT)
		encode_yaml_text(w, node->text);
	else
		encode_json(w, node);
}

void diff_put(struct writer *w, const struct diff_change *change)
{
	static const char marks[] = {
		[DIFF_ADDED] = '+', [DIFF_REMOVED] = '-', [DIFF_CHANGED] = '~'
	};
	const struct document_node *one = change->before ? change->before : change->after;

	writer_char(w, marks[change->kind]);
	writer_char(w, ' ');
	writer_put(w, change->path);
	if (one->kind != DOCUMENT_MAP && one->kind != DOCUMENT_NULL) {
		writer_lit(w, ": ");
		put_value(w, one);
	}
	if (change->kind == DIFF_CHANGED) {
		writer_lit(w, " -> ");
		put_value(w, change->after);
	}
	writer_char(w, '\n');
}

static void put_side(struct writer *w, struct slice key, const struct document_node *node)
{
	if (!node)
		return;
	jsonw_key(w, key);
	encode_json(w, node);
}

void diff_put_json(struct writer *w, const struct diff_change *change)
{
	static const char *const names[] = {
		[DIFF_ADDED] = "added", [DIFF_REMOVED] = "removed", [DIFF_CHANGED] = "changed"
	};

	writer_char(w, '{');
	jsonw_field_string(w, SLICE("change"), slice_of(names[change->kind]), SIZE_MAX);
	jsonw_field_string(w, SLICE("path"), change->path, SIZE_MAX);
	put_side(w, SLICE("before"), change->before);
	put_side(w, SLICE("after"), change->after);
	writer_char(w, '}');
}
