/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recursion here follows the schema, which is a constant of this program.
 */
#include "core/document/emit.h"
#include "core/document/encode.h"
#include "core/document/form.h"

static const void *member_at(const void *base, uint32_t offset)
{
	return (const char *)base + offset;
}

static void put_number(struct writer *w, const struct schema_field *field, const void *member)
{
	uint64_t value;

	memcpy(&value, member, sizeof(value));
	for (const struct schema_word *word = field->words; word && word->text; word++) {
		if (word->value == value) {
			writer_put(w, slice_of(word->text));
			return;
		}
	}
	schema_put_number(w, field->type, value);
}

static void put_text(struct writer *w, const struct schema_field *field, const void *member)
{
	struct slice text;

	memcpy(&text, member, sizeof(text));
	for (const struct schema_word *word = field->words; word && word->text && !text.len; word++)
		if (word->value == SCHEMA_EMPTY)
			text = slice_of(word->text);
	encode_yaml_text(w, text);
}

/* A set's word of value 0 stands for a set with nothing in it. */
static bool is_said(const struct schema_word *word, uint32_t value, bool is_set)
{
	return is_set && word->value ? (value & word->value) != 0 : value == word->value;
}

static void put_words(struct writer *w, const struct schema_field *field, const void *member)
{
	bool is_set = field->type == SCHEMA_SET, is_first = true;
	uint32_t value;

	memcpy(&value, member, sizeof(value));
	if (is_set)
		writer_char(w, '[');
	for (const struct schema_word *word = field->words; word->text; word++) {
		if (!is_said(word, value, is_set))
			continue;
		if (!is_first)
			writer_lit(w, ", ");
		encode_yaml_text(w, slice_of(word->text));
		is_first = false;
	}
	if (is_set)
		writer_char(w, ']');
}

static void put_net(struct writer *w, const void *member)
{
	struct form_net net;

	memcpy(&net, member, sizeof(net));
	writer_char(w, '"');
	form_put_net(w, &net);
	writer_char(w, '"');
}

static void put_scalar(struct writer *w, const struct schema_field *field, const void *member)
{
	bool boolean;

	switch (field->type) {
	case SCHEMA_BOOL:
		memcpy(&boolean, member, sizeof(boolean));
		writer_put(w, boolean ? SLICE("true") : SLICE("false"));
		break;
	case SCHEMA_NUMBER:
	case SCHEMA_DURATION:
	case SCHEMA_SIZE:
		put_number(w, field, member);
		break;
	case SCHEMA_TEXT:
		put_text(w, field, member);
		break;
	case SCHEMA_ENUM:
	case SCHEMA_SET:
		put_words(w, field, member);
		break;
	case SCHEMA_NET:
		put_net(w, member);
		break;
	case SCHEMA_MAP:
	case SCHEMA_LIST:
	case SCHEMA_NAMED:
	case SCHEMA_N_TYPES:
		GW_UNREACHABLE();
	}
}

struct items {
	const char *at;
	uint32_t n;
	size_t size;
};

static struct items items_of(const struct schema_field *field, const void *base)
{
	struct items items = { .size = schema_item_size(field) };

	memcpy(&items.at, member_at(base, field->offset), sizeof(items.at));
	memcpy(&items.n, member_at(base, field->n_offset), sizeof(items.n));
	return items;
}

static void put_flow_map(struct writer *w, const struct schema *schema, const void *base)
{
	writer_char(w, '{');
	for (uint32_t i = 0; i < schema->n_fields; i++) {
		if (i)
			writer_lit(w, ", ");
		writer_put(w, slice_of(schema->fields[i].key));
		writer_lit(w, ": ");
		emit_value(w, &schema->fields[i], base);
	}
	writer_char(w, '}');
}

static void put_name(struct writer *w, const void *item)
{
	struct slice name;

	memcpy(&name, item, sizeof(name));
	encode_yaml_text(w, name);
	writer_lit(w, ": ");
}

static void put_named(struct writer *w, const struct schema_field *field, const void *base)
{
	struct items items = items_of(field, base);

	writer_char(w, '{');
	for (uint32_t i = 0; i < items.n; i++) {
		const void *item = items.at + i * items.size;

		if (i)
			writer_lit(w, ", ");
		put_name(w, item);
		if (field->element->type == SCHEMA_MAP)
			put_flow_map(w, field->element->map, item);
		else
			put_scalar(w, field->element,
				   member_at(item, offsetof(struct schema_pair, text)));
	}
	writer_char(w, '}');
}

void emit_value(struct writer *w, const struct schema_field *field, const void *base)
{
	if (field->type == SCHEMA_NAMED) {
		put_named(w, field, base);
		return;
	}
	if (field->type == SCHEMA_MAP) {
		put_flow_map(w, field->map, member_at(base, field->offset));
		return;
	}
	if (field->type != SCHEMA_LIST) {
		put_scalar(w, field, member_at(base, field->offset));
		return;
	}

	struct items items = items_of(field, base);

	writer_char(w, '[');
	for (uint32_t i = 0; i < items.n; i++) {
		const void *item = items.at + i * items.size;

		if (i)
			writer_lit(w, ", ");
		if (field->element->type == SCHEMA_MAP)
			put_flow_map(w, field->element->map, item);
		else
			put_scalar(w, field->element, item);
	}
	writer_char(w, ']');
}

static void indent(struct writer *w, uint32_t depth)
{
	for (uint32_t i = 0; i < depth; i++)
		writer_lit(w, "  ");
}

static void put_block(struct writer *w, const struct schema *schema, const void *base,
		      uint32_t depth, bool in_line);

static void put_elements(struct writer *w, const struct schema_field *field, const void *base,
			 uint32_t depth)
{
	struct items items = items_of(field, base);

	writer_char(w, '\n');
	for (uint32_t i = 0; i < items.n; i++) {
		indent(w, depth);
		writer_lit(w, "- ");
		put_block(w, field->element->map, items.at + i * items.size, depth + 1, true);
	}
}

/* The keys of a map, each on its line; the first one maybe behind a dash. */
static void put_block(struct writer *w, const struct schema *schema, const void *base,
		      uint32_t depth, bool in_line)
{
	for (uint32_t i = 0; i < schema->n_fields; i++) {
		const struct schema_field *field = &schema->fields[i];

		if (i || !in_line)
			indent(w, depth);
		writer_put(w, slice_of(field->key));
		writer_char(w, ':');
		if (field->type == SCHEMA_MAP) {
			writer_char(w, '\n');
			put_block(w, field->map, member_at(base, field->offset), depth + 1, false);
		} else if (field->type == SCHEMA_LIST && field->element->type == SCHEMA_MAP &&
			   items_of(field, base).n) {
			put_elements(w, field, base, depth + 1);
		} else {
			writer_char(w, ' ');
			emit_value(w, field, base);
			writer_char(w, '\n');
		}
	}
}

void emit_yaml(struct writer *w, const struct schema *schema, const void *base)
{
	put_block(w, schema, base, 0, false);
}
