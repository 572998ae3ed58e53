/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recursion here follows the schema, which is a constant of this program.
 */
#include "core/base/jsonw.h"
#include "core/document/bind.h"
#include "core/document/form.h"
#include "core/document/page.h"
#include "core/document/path.h"

enum { PATH_MAX_LEN = 256 };

static struct slice path_below(struct slice prefix, const struct schema_field *field,
			       char buf[PATH_MAX_LEN])
{
	struct writer w = writer_make(buf, PATH_MAX_LEN);

	writer_put(&w, prefix);
	path_put_key(&w, slice_of(field->key));
	if (field->type == SCHEMA_LIST)
		writer_lit(&w, "[]");
	if (field->type == SCHEMA_NAMED)
		writer_lit(&w, ".NAME");
	GW_ASSERT(!w.overflow);
	return writer_slice(&w);
}

/* The schema of what lies below a field, or NULL. */
static const struct schema *below(const struct schema_field *field)
{
	if (schema_is_list(field))
		field = field->element;
	return field->type == SCHEMA_MAP ? field->map : NULL;
}

/* --- Markdown ------------------------------------------------------------------------------- */

/* In a table's cell: '|' would end it. */
static void put_cell(struct writer *w, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '|')
			writer_char(w, '\\');
		writer_char(w, text.ptr[i]);
	}
}

static void put_default(struct writer *w, const struct schema_field *field)
{
	if (field->flags & SCHEMA_REQUIRED) {
		writer_lit(w, "required");
	} else if (field->type == SCHEMA_LIST) {
		writer_lit(w, "`[]`");
	} else if (field->type == SCHEMA_NAMED) {
		writer_lit(w, "`{}`");
	} else if (field->preset) {
		writer_char(w, '`');
		put_cell(w, slice_of(field->preset));
		writer_char(w, '`');
	}
}

static void put_allowed_cell(struct writer *w, const struct schema_field *field)
{
	char buf[512];
	struct writer allowed = writer_make(buf, sizeof(buf));

	schema_put_allowed(&allowed, field);
	if (schema_is_list(field)) {
		writer_lit(&allowed, ": ");
		schema_put_allowed(&allowed, field->element);
	}
	put_cell(w, writer_slice(&allowed));
}

static void put_meaning(struct writer *w, const struct schema_field *field)
{
	if (field->help)
		put_cell(w, slice_of(field->help));
	for (const struct schema_word *word = field->words; word && word->text; word++) {
		if (!word->help)
			continue;
		writer_lit(w, " `");
		put_cell(w, slice_of(word->text));
		writer_lit(w, "`: ");
		put_cell(w, slice_of(word->help));
		writer_char(w, '.');
	}
	if (field->over) {
		writer_lit(w, " Beyond it: ");
		put_cell(w, slice_of(field->over));
		writer_char(w, '.');
	}
	if (field->example) {
		writer_lit(w, " Example: `");
		put_cell(w, slice_of(field->example));
		writer_lit(w, "`.");
	}
}

static void put_row(struct writer *w, const struct schema_field *field, bool with_from)
{
	writer_lit(w, "| `");
	writer_put(w, slice_of(field->key));
	writer_lit(w, "` | ");
	put_default(w, field);
	writer_lit(w, " | ");
	put_allowed_cell(w, field);
	if (with_from) {
		writer_lit(w, " | ");
		writer_put(w, field->flags & SCHEMA_LIVE ? SLICE("reload") : SLICE("start"));
	}
	writer_lit(w, " | ");
	put_meaning(w, field);
	writer_lit(w, " |\n");
}

static void put_section(struct writer *w, const struct schema *schema, struct slice prefix,
			bool with_from)
{
	char path[PATH_MAX_LEN];

	writer_lit(w, "\n## ");
	writer_put(w, prefix.len ? prefix : SLICE("Top level"));
	writer_lit(w, "\n\n");
	writer_put(w, slice_of(schema->help));
	writer_put(w,
		   with_from
			   ? SLICE("\n\n| key | default | takes | from | meaning |\n"
				   "|---|---|---|---|---|\n")
			   : SLICE("\n\n| key | default | takes | meaning |\n|---|---|---|---|\n"));
	for (uint32_t i = 0; i < schema->n_fields; i++)
		if (schema->fields[i].type != SCHEMA_MAP)
			put_row(w, &schema->fields[i], with_from);
	for (uint32_t i = 0; i < schema->n_fields; i++)
		if (below(&schema->fields[i]))
			put_section(w, below(&schema->fields[i]),
				    path_below(prefix, &schema->fields[i], path), with_from);
}

void page_reference(struct writer *w, const struct schema *schema, const char *name)
{
	bool with_from = strcmp(name, "config") == 0;

	writer_lit(w, "# Reference: ");
	writer_put(w, slice_of(schema->title));
	writer_lit(w, "\n\nMade from the schema by `gwtool schema ");
	writer_put(w, slice_of(name));
	writer_lit(
		w,
		" --reference`; do not edit.\n\n"
		"Spans are numbers with a unit: `250ms`, `15s`, `1m30s`, `1h`. Sizes are too: `10B`, "
		"`64KiB`, `1MiB`. The words `yes`, `no`, `on` and `off` are texts, not booleans. `null` "
		"means the default. Unknown keys, keys that stand twice, anchors, aliases and tags are "
		"errors. A document has at most ");
	writer_put(w, with_from ? SLICE("1 MiB") : SLICE("8 MiB (32 MiB as msgpack)"));
	writer_lit(w, " and 32 levels.\n");
	if (with_from)
		writer_lit(w,
			   "\n*From* says when a change is taken over: by a *reload* (HUP), or at "
			   "the next *start*.\n");
	put_section(w, schema, (struct slice){ 0 }, with_from);
}

static void put_limits(struct writer *w, const struct schema *schema, struct slice prefix)
{
	char path[PATH_MAX_LEN];

	for (uint32_t i = 0; i < schema->n_fields; i++) {
		const struct schema_field *field = &schema->fields[i];
		struct slice name = path_below(prefix, field, path);

		if (field->over) {
			writer_lit(w, "| `");
			writer_put(w, name);
			writer_lit(w, "` | `");
			writer_put(w, slice_of(field->preset));
			writer_lit(w, "` | ");
			put_allowed_cell(w, field);
			writer_lit(w, " | ");
			put_cell(w, slice_of(field->over));
			writer_lit(w, " |\n");
		}
		if (below(field))
			put_limits(w, below(field), name);
	}
}

void page_limits(struct writer *w, const struct schema *schema)
{
	writer_lit(w,
		   "# Limits\n\nMade from the schema by `gwtool schema config --limits`; do not "
		   "edit. Each limit and deadline that can be set, and what happens beyond it.\n\n"
		   "| key | default | takes | beyond it |\n|---|---|---|---|\n");
	put_limits(w, schema, (struct slice){ 0 });
}

/* --- JSON Schema ---------------------------------------------------------------------------- */

static void field_text(struct writer *w, struct slice key, const char *text)
{
	jsonw_field_string(w, key, slice_of(text), SIZE_MAX);
}

static void put_object(struct writer *w, const struct schema *schema, bool nullable);

/* A schema of texts takes what the check takes, and more where that cannot be said simply. */
static const struct {
	schema_check_fn *check;
	const char *pattern;
} patterns[] = {
	{ form_name, "^[A-Za-z0-9._-]{1,64}$" },
	{ form_token, "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$" },
	{ form_canonical_path, "^/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})*$" },
	{ form_host_pattern, "^((\\*\\.)?[A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])$" },
};

static void put_pattern(struct writer *w, const struct schema_field *field)
{
	if (field->pattern)
		field_text(w, SLICE("pattern"), field->pattern);
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
		if (field->check == patterns[i].check)
			field_text(w, SLICE("pattern"), patterns[i].pattern);
}

/* One or several types, with commas between, and null where it stands for the default. */
static void put_kinds(struct writer *w, struct slice kinds, bool nullable)
{
	struct slice one;
	bool more = true;

	jsonw_key(w, SLICE("type"));
	writer_char(w, '[');
	while (more) {
		more = slice_split(kinds, ',', &one, &kinds);
		jsonw_string(w, one, SIZE_MAX);
		if (more || nullable)
			writer_char(w, ',');
	}
	writer_put(w, nullable ? SLICE("\"null\"]") : SLICE("]"));
}

static bool is_whole_number(const char *word)
{
	return word[strspn(word, "0123456789")] == '\0';
}

/* Words that look like numbers are taken as such, too (bind.c). */
static void put_words(struct writer *w, const struct schema_word *words, bool nullable)
{
	GW_ASSERT(words);
	jsonw_key(w, SLICE("enum"));
	writer_char(w, '[');
	for (const struct schema_word *word = words; word->text; word++) {
		if (word != words)
			writer_char(w, ',');
		jsonw_string(w, slice_of(word->text), SIZE_MAX);
		if (!is_whole_number(word->text))
			continue;
		writer_char(w, ',');
		writer_put(w, slice_of(word->text));
	}
	writer_put(w, nullable ? SLICE(",null]") : SLICE("]"));
}

/* A list of words, or one. */
static void put_set(struct writer *w, const struct schema_field *field, bool nullable)
{
	jsonw_key(w, SLICE("anyOf"));
	writer_lit(w, "[{");
	put_words(w, field->words, nullable);
	writer_lit(w, "},{");
	put_kinds(w, SLICE("array"), false);
	jsonw_field_u64(w, SLICE("minItems"), 1);
	jsonw_key(w, SLICE("items"));
	writer_char(w, '{');
	put_words(w, field->words, false);
	writer_lit(w, "}}]");
}

/* A number and its unit; 0 needs none. */
static void put_quantity(struct writer *w, const struct schema_field *field, bool nullable,
			 const char *pattern)
{
	put_kinds(w, field->min == 0 ? SLICE("string,integer") : SLICE("string"), nullable);
	field_text(w, SLICE("pattern"), pattern);
	if (field->min == 0)
		jsonw_field_u64(w, SLICE("maximum"), 0);
}

static void put_type(struct writer *w, const struct schema_field *field, bool nullable);

/* A structure that may say nothing: then all in it has its default. */
static bool may_be_null(const struct schema_field *element)
{
	for (uint32_t i = 0; element->type == SCHEMA_MAP && i < element->map->n_fields; i++)
		if (element->map->fields[i].flags & SCHEMA_REQUIRED)
			return false;
	return element->type == SCHEMA_MAP;
}

static void put_elements(struct writer *w, const struct schema_field *field)
{
	bool named = field->type == SCHEMA_NAMED;

	jsonw_field_u64(w, named ? SLICE("maxProperties") : SLICE("maxItems"), field->max);
	if (named) {
		jsonw_key(w, SLICE("propertyNames"));
		writer_char(w, '{');
		put_kinds(w, SLICE("string"), false);
		put_pattern(w, field);
		writer_char(w, '}');
	}
	jsonw_key(w, named ? SLICE("additionalProperties") : SLICE("items"));
	writer_char(w, '{');
	put_type(w, field->element, named && may_be_null(field->element));
	writer_char(w, '}');
}

static void put_text(struct writer *w, const struct schema_field *field, bool nullable)
{
	put_kinds(w, SLICE("string"), nullable);
	jsonw_field_u64(w, SLICE("minLength"), 1);
	jsonw_field_u64(w, SLICE("maxLength"), schema_text_max(field));
	put_pattern(w, field);
}

/* One text may stand for a list of it. */
static struct slice kinds_of(const struct schema_field *field)
{
	if (field->type == SCHEMA_NAMED)
		return SLICE("object");
	return schema_is_list_of_texts(field) ? SLICE("array,string") : SLICE("array");
}

/* Members that describe the type, into an object that is open. */
static void put_type(struct writer *w, const struct schema_field *field, bool nullable)
{
	switch (field->type) {
	case SCHEMA_BOOL:
		put_kinds(w, SLICE("boolean"), nullable);
		break;
	case SCHEMA_NUMBER:
		put_kinds(w, SLICE("integer"), nullable);
		jsonw_field_u64(w, SLICE("minimum"), field->min);
		jsonw_field_u64(w, SLICE("maximum"), field->max);
		break;
	case SCHEMA_DURATION:
		put_quantity(w, field, nullable, "^(0|([0-9]+(h|m|s|ms|us|ns))+)$");
		break;
	case SCHEMA_SIZE:
		put_quantity(w, field, nullable, "^(0|[0-9]+(B|KiB|MiB|GiB|TiB))$");
		break;
	case SCHEMA_TEXT:
		put_text(w, field, nullable);
		break;
	case SCHEMA_ENUM:
		put_words(w, field->words, nullable);
		break;
	case SCHEMA_SET:
		put_set(w, field, nullable);
		break;
	case SCHEMA_NET:
		put_kinds(w, SLICE("string"), nullable);
		break;
	case SCHEMA_MAP:
		put_object(w, field->map, nullable);
		break;
	case SCHEMA_LIST:
	case SCHEMA_NAMED:
		put_kinds(w, kinds_of(field), nullable);
		put_elements(w, field);
		break;
	case SCHEMA_N_TYPES:
		GW_UNREACHABLE();
	}
}

static void put_preset(struct writer *w, const struct schema_field *field)
{
	struct document_node value;
	bind_preset(field, &value);
	jsonw_key(w, SLICE("default"));
	if (field->type == SCHEMA_SET)
		writer_char(w, '[');
	if (value.kind == DOCUMENT_TEXT)
		jsonw_string(w, slice_of(field->preset), SIZE_MAX);
	else
		writer_put(w, slice_of(field->preset)); /* Numbers and booleans look the same. */
	if (field->type == SCHEMA_SET)
		writer_char(w, ']');
}

static void put_field(struct writer *w, const struct schema_field *field)
{
	bool is_choice = field->words && field->type != SCHEMA_ENUM && field->type != SCHEMA_SET;
	const char *help = field->type == SCHEMA_MAP ? NULL : field->help;
	bool nullable = !(field->flags & SCHEMA_REQUIRED);

	writer_char(w, '{');
	if (is_choice) {
		jsonw_key(w, SLICE("anyOf"));
		writer_lit(w, "[{");
		put_words(w, field->words, nullable);
		writer_lit(w, "},{");
		put_type(w, field, false);
		writer_lit(w, "}]");
	} else {
		put_type(w, field, nullable);
	}
	if (help)
		field_text(w, SLICE("description"), help);
	if (field->preset)
		put_preset(w, field);
	writer_char(w, '}');
}

static void put_required(struct writer *w, const struct schema *schema)
{
	bool is_first = true;

	for (uint32_t i = 0; i < schema->n_fields; i++) {
		if (!(schema->fields[i].flags & SCHEMA_REQUIRED))
			continue;
		if (is_first)
			jsonw_key(w, SLICE("required"));
		writer_char(w, is_first ? '[' : ',');
		jsonw_string(w, slice_of(schema->fields[i].key), SIZE_MAX);
		is_first = false;
	}
	if (!is_first)
		writer_char(w, ']');
}

static void put_object(struct writer *w, const struct schema *schema, bool nullable)
{
	put_kinds(w, SLICE("object"), nullable);
	field_text(w, SLICE("description"), schema->help);
	jsonw_field_bool(w, SLICE("additionalProperties"), false);
	put_required(w, schema);
	jsonw_key(w, SLICE("properties"));
	writer_char(w, '{');
	for (uint32_t i = 0; i < schema->n_fields; i++) {
		jsonw_key(w, slice_of(schema->fields[i].key));
		put_field(w, &schema->fields[i]);
	}
	writer_char(w, '}');
}

void page_json_schema(struct writer *w, const struct schema *schema)
{
	writer_char(w, '{');
	field_text(w, SLICE("$schema"), "https://json-schema.org/draft/2020-12/schema");
	field_text(w, SLICE("title"), schema->title);
	put_object(w, schema, false);
	writer_lit(w, "}\n");
}
