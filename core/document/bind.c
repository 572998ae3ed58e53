/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions here follow the schema, not the document, into its depth: what recursion there is
 * ends with the tables of this program.
 */
#include <errno.h>

#include "core/document/bind.h"
#include "core/document/form.h"
#include "core/document/path.h"
#include "core/document/yaml.h"

enum {
	DEPTH_MAX = 8, /* Of schemas within each other. */
	WORDS_MAX = 32,
	KEYS_MAX = 64,
};

struct bind {
	struct report *rep;
	struct arena *arena;
	bool change; /* Leave alone what is not said. */
	bool no_memory;
	uint32_t depth;
	struct writer path;
	char path_buf[4 * REPORT_PATH_MAX];
};

static const char *allowed(const struct schema_field *field, char buf[REPORT_TEXT_MAX])
{
	struct writer w = writer_make(buf, REPORT_TEXT_MAX - 1);

	schema_put_allowed(&w, field);
	*w.ptr = '\0';
	return buf;
}

/* --- Errors --------------------------------------------------------------------------------- */

static struct slice path_of(const struct bind *b)
{
	return writer_slice(&b->path);
}

/* Goes a step down; the result takes it back. */
static struct writer enter_key(struct bind *b, struct slice key)
{
	struct writer before = b->path;

	path_put_key(&b->path, key);
	return before;
}

static void refuse_value(struct bind *b, const struct schema_field *field,
			 const struct document_node *node, enum report_code code, const char *what)
{
	char want[REPORT_TEXT_MAX], shown[PATH_SHOWN_MAX];
	struct writer w = writer_make(shown, sizeof(shown) - 1);
	const char *value = shown;

	if (node->kind == DOCUMENT_TEXT) {
		value = path_show(node->text, shown);
	} else if (node->kind == DOCUMENT_INT) {
		if (node->negative)
			writer_char(&w, '-');
		writer_u64(&w, node->number);
		*w.ptr = '\0';
	} else {
		value = document_kind_name(node->kind);
	}
	report_add(b->rep, code, node->place, path_of(b), "%s %s; allowed: %s", value, what,
		   allowed(field, want));
}

/* With the word that was probably meant. */
static void refuse_word(struct bind *b, const struct schema_field *field,
			const struct document_node *node)
{
	const char *words[WORDS_MAX + 1] = { NULL };
	char want[REPORT_TEXT_MAX], shown[PATH_SHOWN_MAX];
	int near;

	for (size_t i = 0; field->words && field->words[i].text; i++) {
		GW_ASSERT(i < WORDS_MAX);
		words[i] = field->words[i].text;
	}
	near = path_nearest(node->text, words);
	if (near < 0)
		refuse_value(b, field, node, REPORT_VALUE, "is not allowed");
	else
		report_add(b->rep, REPORT_VALUE, node->place, path_of(b),
			   "%s is not allowed; did you mean \"%s\"? allowed: %s",
			   path_show(node->text, shown), words[near], allowed(field, want));
}

static void refuse_type(struct bind *b, const struct schema_field *field,
			const struct document_node *node)
{
	refuse_value(b, field, node, REPORT_TYPE, "is of the wrong type");
}

/* --- Leaves --------------------------------------------------------------------------------- */

static bool check_range(struct bind *b, const struct schema_field *field,
			const struct document_node *node, uint64_t value)
{
	if (value < field->min)
		refuse_value(b, field, node, REPORT_RANGE, "is too small");
	else if (value > field->max)
		refuse_value(b, field, node, REPORT_RANGE, "is too large");
	else
		return true;
	return false;
}

/* A span or size from its text. */
static bool read_quantity(struct bind *b, const struct schema_field *field,
			  const struct document_node *node, uint64_t *ret_value)
{
	int r = field->type == SCHEMA_SIZE ? form_size(node->text, ret_value)
					   : form_duration(node->text, ret_value);

	if (r == 0)
		return true;
	if (r == -EDOM)
		refuse_value(b, field, node, REPORT_VALUE, "has no unit");
	else if (r == -ERANGE)
		refuse_value(b, field, node, REPORT_RANGE, "is too large");
	else
		refuse_word(b, field, node);
	return false;
}

static void bind_number(struct bind *b, const struct schema_field *field,
			const struct document_node *node, void *member)
{
	const struct schema_word *word =
		node->kind == DOCUMENT_TEXT ? schema_find_word(field, node->text) : NULL;
	bool has_unit = field->type != SCHEMA_NUMBER;
	uint64_t value = node->kind == DOCUMENT_INT ? node->number : 0;
	bool good = true;

	if (word) {
		memcpy(member, &word->value, sizeof(value));
		return;
	}
	if (node->kind == DOCUMENT_TEXT && has_unit) {
		good = read_quantity(b, field, node, &value);
	} else if (node->kind == DOCUMENT_TEXT && field->words) {
		refuse_word(b, field, node);
		good = false;
	} else if (node->kind != DOCUMENT_INT) {
		refuse_type(b, field, node);
		good = false;
	} else if (node->negative) {
		refuse_value(b, field, node, REPORT_RANGE, "is too small");
		good = false;
	} else if (has_unit && value) {
		refuse_value(b, field, node, REPORT_VALUE, "has no unit");
		good = false;
	}
	if (good && check_range(b, field, node, value))
		memcpy(member, &value, sizeof(value));
}

static void bind_bool(struct bind *b, const struct schema_field *field,
		      const struct document_node *node, void *member)
{
	/* cppcheck-suppress ctunullpointer ; only a map may be without a node */
	if (node->kind == DOCUMENT_BOOL)
		memcpy(member, &node->boolean, sizeof(node->boolean));
	else
		refuse_type(b, field, node);
}

static void keep_text(struct bind *b, struct slice text, void *member)
{
	struct slice copy = { 0 };

	if (text.len) {
		copy = arena_dup(b->arena, text);
		b->no_memory = b->no_memory || !copy.ptr;
	}
	memcpy(member, &copy, sizeof(copy));
}

static void bind_text(struct bind *b, const struct schema_field *field,
		      const struct document_node *node, void *member)
{
	size_t len_max = schema_text_max(field);
	const struct schema_word *word;

	if (node->kind != DOCUMENT_TEXT) {
		refuse_type(b, field, node);
		return;
	}
	word = schema_find_word(field, node->text);
	if (word)
		keep_text(b, slice_take(node->text, word->value == SCHEMA_EMPTY ? 0 : SIZE_MAX),
			  member);
	else if (!(field->flags & SCHEMA_LINES ? form_is_lines : form_is_text)(node->text))
		refuse_value(b, field, node, REPORT_STRING, "has control characters");
	else if (node->text.len == 0)
		refuse_value(b, field, node, REPORT_VALUE, "is empty");
	else if (node->text.len > len_max)
		report_add(b->rep, REPORT_STRING, node->place, path_of(b),
			   "has %zu bytes; at most %zu are allowed", node->text.len, len_max);
	else if (field->check && field->check(node->text) < 0)
		refuse_word(b, field, node);
	else
		keep_text(b, node->text, member);
}

/* YAML takes 301 without quotes for a number, and it is a word all the same. */
static const struct schema_word *word_of(const struct schema_field *field,
					 const struct document_node *node)
{
	char digits[24];
	struct writer w = writer_make(digits, sizeof(digits));

	if (node->kind == DOCUMENT_TEXT)
		return schema_find_word(field, node->text);
	if (node->kind != DOCUMENT_INT || node->negative)
		return NULL;
	writer_u64(&w, node->number);
	return schema_find_word(field, writer_slice(&w));
}

static bool add_word(struct bind *b, const struct schema_field *field,
		     const struct document_node *node, uint32_t *bits)
{
	const struct schema_field one = { .type = SCHEMA_ENUM, .words = field->words };
	const struct schema_word *word = word_of(&one, node);

	if (word)
		*bits |= (uint32_t)word->value;
	else if (node->kind == DOCUMENT_TEXT)
		refuse_word(b, &one, node);
	else
		refuse_type(b, &one, node);
	return word;
}

static void bind_enum(struct bind *b, const struct schema_field *field,
		      const struct document_node *node, void *member)
{
	uint32_t value = 0;

	if (add_word(b, field, node, &value))
		memcpy(member, &value, sizeof(value));
}

/* A list of words; the default is a single one. */
static void bind_set(struct bind *b, const struct schema_field *field,
		     const struct document_node *node, void *member)
{
	uint32_t bits = 0;

	if (node->kind == DOCUMENT_LIST && node->n == 0) {
		report_add(b->rep, REPORT_VALUE, node->place, path_of(b), "names nothing");
	} else if (node->kind == DOCUMENT_LIST) {
		uint32_t i = 0;

		for (const struct document_node *item = node->first; item; item = item->next) {
			struct writer before = b->path;

			path_put_index(&b->path, i++);
			(void)add_word(b, field, item, &bits); /* Reported. */
			b->path = before;
		}
	} else {
		(void)add_word(b, field, node, &bits);
	}
	memcpy(member, &bits, sizeof(bits));
}

static void bind_net(struct bind *b, const struct schema_field *field,
		     const struct document_node *node, void *member)
{
	struct form_net net;
	int r = node->kind == DOCUMENT_TEXT ? form_net(node->text, &net) : -ENOMSG;

	if (r == 0)
		memcpy(member, &net, sizeof(net));
	else if (r == -ENOMSG)
		refuse_type(b, field, node);
	else if (r == -EDOM)
		refuse_value(b, field, node, REPORT_VALUE, "has bits set behind its prefix");
	else
		refuse_value(b, field, node, REPORT_VALUE, "is not a network");
}

/* --- Lists and maps ------------------------------------------------------------------------- */

static void bind_field(struct bind *b, const struct schema_field *field,
		       const struct document_node *node, void *member);

/* The name goes in front; null stands for an element that says nothing. */
static void bind_named(struct bind *b, const struct schema_field *field,
		       const struct document_node *item, char *to)
{
	bool is_pair = field->element->type == SCHEMA_TEXT;
	char shown[PATH_SHOWN_MAX];

	if (field->check && field->check(item->key) < 0)
		report_add(b->rep, REPORT_VALUE, item->key_place, path_of(b),
			   "%s is not allowed as a key; allowed: %s", path_show(item->key, shown),
			   field->expected);
	if (item->kind != DOCUMENT_NULL)
		bind_field(b, field->element, item,
			   to + (is_pair ? offsetof(struct schema_pair, text) : 0));
	else if (is_pair)
		refuse_type(b, field->element, item);
	else
		bind_field(b, field->element, NULL, to);
	keep_text(b, item->key, to);
}

static void bind_item(struct bind *b, const struct schema_field *field,
		      const struct document_node *item, char *to, uint32_t i)
{
	struct writer before = b->path;

	if (field->type == SCHEMA_NAMED) {
		path_put_key(&b->path, item->key);
		bind_named(b, field, item, to);
	} else {
		path_put_index(&b->path, i);
		if (item->kind == DOCUMENT_NULL)
			refuse_type(b, field->element, item);
		else
			bind_field(b, field->element, item, to);
	}
	b->path = before;
}

static void bind_items(struct bind *b, const struct schema_field *field,
		       const struct document_node *node, char *items)
{
	bool change = b->change;
	uint32_t i = 0;

	b->change = false; /* Elements are new: they need their defaults. */
	for (const struct document_node *item = node->first; item; item = item->next, i++)
		bind_item(b, field, item, items + i * schema_item_size(field), i);
	b->change = change;
}

static void bind_list(struct bind *b, const struct schema_field *field,
		      const struct document_node *node, char *target)
{
	bool named = field->type == SCHEMA_NAMED;
	struct document_node list, item;
	char *items = NULL;
	uint32_t n = 0;

	if (node && node->kind == DOCUMENT_TEXT && schema_is_list_of_texts(field)) {
		item = *node;
		item.next = NULL;
		list = (struct document_node){
			.kind = DOCUMENT_LIST, .place = node->place, .first = &item, .n = 1
		};
		node = &list;
	}
	if (node && node->kind != (named ? DOCUMENT_MAP : DOCUMENT_LIST)) {
		refuse_type(b, field, node);
		return;
	}
	if (node && node->n > field->max) {
		report_add(b->rep, REPORT_LIMIT, node->place, path_of(b),
			   "has %u elements; at most %" PRIu64 " are allowed", node->n, field->max);
		return;
	}
	if (node && node->n) {
		n = node->n;
		items = arena_zalloc(b->arena, n * schema_item_size(field), 16);
		if (!items) {
			b->no_memory = true;
			return;
		}
		bind_items(b, field, node, items);
	}
	memcpy(target + field->offset, &items, sizeof(items));
	memcpy(target + field->n_offset, &n, sizeof(n));
}

static void refuse_key(struct bind *b, const struct schema *schema,
		       const struct document_node *node)
{
	const char *keys[KEYS_MAX + 1] = { NULL };
	char known[REPORT_TEXT_MAX], shown[PATH_SHOWN_MAX];
	struct writer w = writer_make(known, sizeof(known) - 1);
	int near;

	GW_ASSERT(schema->n_fields <= KEYS_MAX);
	for (uint32_t i = 0; i < schema->n_fields; i++) {
		keys[i] = schema->fields[i].key;
		if (i)
			writer_lit(&w, ", ");
		writer_put(&w, slice_of(keys[i]));
	}
	*w.ptr = '\0';
	near = path_nearest(node->key, keys);
	if (near >= 0)
		report_add(b->rep, REPORT_UNKNOWN_KEY, node->key_place, path_of(b),
			   "unknown key %s; did you mean \"%s\"?", path_show(node->key, shown),
			   keys[near]);
	else
		report_add(b->rep, REPORT_UNKNOWN_KEY, node->key_place, path_of(b),
			   "unknown key %s; known here: %s", path_show(node->key, shown), known);
}

/* What one key of a map says, or does not say. */
static void bind_key(struct bind *b, const struct schema_field *field,
		     const struct document_node *map, char *target)
{
	const struct document_node *node = map ? document_get(map, slice_of(field->key)) : NULL;
	struct document_node preset;
	bool is_said = node && node->kind != DOCUMENT_NULL;

	if (!is_said && (field->flags & SCHEMA_REQUIRED)) {
		char want[REPORT_TEXT_MAX];

		report_add(b->rep, REPORT_MISSING_KEY,
			   map ? map->place : (struct report_place){ 0 }, path_of(b),
			   "the key \"%s\" is missing; it needs %s", field->key,
			   allowed(field, want));
		return;
	}
	if (!is_said && b->change)
		return;
	if (!is_said && field->type != SCHEMA_MAP && !schema_is_list(field)) {
		bind_preset(field, &preset);
		node = &preset;
		is_said = true;
	}

	struct writer before = enter_key(b, slice_of(field->key));

	if (schema_is_list(field))
		bind_list(b, field, is_said ? node : NULL, target);
	else
		bind_field(b, field, is_said ? node : NULL, target + field->offset);
	b->path = before;
}

static void bind_map(struct bind *b, const struct schema *schema, const struct document_node *node,
		     void *target)
{
	GW_ASSERT(b->depth < DEPTH_MAX);
	b->depth++;
	if (node)
		for (const struct document_node *item = node->first; item; item = item->next)
			if (!schema_find_field(schema, item->key))
				refuse_key(b, schema, item);
	for (uint32_t i = 0; i < schema->n_fields; i++)
		bind_key(b, &schema->fields[i], node, target);
	b->depth--;
}

static void bind_field(struct bind *b, const struct schema_field *field,
		       const struct document_node *node, void *member)
{
	switch (field->type) {
	case SCHEMA_BOOL:
		bind_bool(b, field, node, member);
		break;
	case SCHEMA_NUMBER:
	case SCHEMA_DURATION:
	case SCHEMA_SIZE:
		bind_number(b, field, node, member);
		break;
	case SCHEMA_TEXT:
		bind_text(b, field, node, member);
		break;
	case SCHEMA_ENUM:
		bind_enum(b, field, node, member);
		break;
	case SCHEMA_SET:
		bind_set(b, field, node, member);
		break;
	case SCHEMA_NET:
		bind_net(b, field, node, member);
		break;
	case SCHEMA_MAP:
		if (node && node->kind != DOCUMENT_MAP)
			refuse_type(b, field, node);
		else
			bind_map(b, field->map, node, member);
		break;
	case SCHEMA_LIST:
	case SCHEMA_NAMED: /* bind_key() has the count's place; lists of lists do not exist. */
	case SCHEMA_N_TYPES:
		GW_UNREACHABLE();
	}
}

static int bind_root(const struct schema *schema, const struct document_node *root, bool change,
		     struct arena *arena, struct report *rep, void *target)
{
	const struct schema_field top = { .type = SCHEMA_MAP, .map = schema };
	struct bind b = { .rep = rep, .arena = arena, .change = change };
	uint32_t n_before = rep->n_all;

	b.path = writer_make(b.path_buf, sizeof(b.path_buf));
	if (root && root->kind == DOCUMENT_NULL)
		root = NULL;
	bind_field(&b, &top, root, target);
	/* cppcheck-suppress knownConditionTrueFalse ; mistakes are added by way of 'b' */
	if (rep->n_all != n_before)
		return -EINVAL;
	return b.no_memory ? -ENOMEM : 0;
}

void bind_preset(const struct schema_field *field, struct document_node *ret_value)
{
	int r = 0;

	if (schema_find_word(field, slice_of(field->preset)))
		*ret_value = (struct document_node){ .kind = DOCUMENT_TEXT,
						     .text = slice_of(field->preset) };
	else
		r = yaml_scalar(slice_of(field->preset), ret_value);
	GW_ASSERT(r == 0);
}

int bind_fill(const struct schema *schema, const struct document_node *root, struct arena *arena,
	      struct report *rep, void *target)
{
	memset(target, 0, schema->size);
	return bind_root(schema, root, false, arena, rep, target);
}

int bind_change(const struct schema *schema, const struct document_node *root, struct arena *arena,
		struct report *rep, void *target)
{
	return bind_root(schema, root, true, arena, rep, target);
}
