/* SPDX-License-Identifier: Apache-2.0 */
#include "core/document/form.h"
#include "core/document/schema.h"

enum { TEXT_MAX = 255 }; /* Bytes, unless the field says otherwise. */

size_t schema_text_max(const struct schema_field *field)
{
	return field->max ? field->max : TEXT_MAX;
}

const struct schema_word *schema_find_word(const struct schema_field *field, struct slice text)
{
	for (const struct schema_word *word = field->words; word && word->text; word++)
		if (slice_eq(slice_of(word->text), text))
			return word;
	return NULL;
}

const struct schema_field *schema_find_field(const struct schema *schema, struct slice key)
{
	for (uint32_t i = 0; i < schema->n_fields; i++)
		if (slice_eq(slice_of(schema->fields[i].key), key))
			return &schema->fields[i];
	return NULL;
}

size_t schema_size_of(const struct schema_field *field)
{
	switch (field->type) {
	case SCHEMA_BOOL:
		return sizeof(bool);
	case SCHEMA_NUMBER:
	case SCHEMA_DURATION:
	case SCHEMA_SIZE:
		return sizeof(uint64_t);
	case SCHEMA_TEXT:
		return sizeof(struct slice);
	case SCHEMA_ENUM:
	case SCHEMA_SET:
		return sizeof(uint32_t);
	case SCHEMA_NET:
		return sizeof(struct form_net);
	case SCHEMA_MAP:
		return field->map->size;
	case SCHEMA_LIST:
	case SCHEMA_NAMED:
		return sizeof(void *);
	case SCHEMA_N_TYPES:
		break;
	}
	GW_UNREACHABLE();
}

size_t schema_item_size(const struct schema_field *field)
{
	bool is_pair = field->type == SCHEMA_NAMED && field->element->type == SCHEMA_TEXT;

	return is_pair ? sizeof(struct schema_pair) : schema_size_of(field->element);
}

void schema_put_number(struct writer *w, enum schema_type type, uint64_t value)
{
	if (type == SCHEMA_DURATION)
		form_put_duration(w, value);
	else if (type == SCHEMA_SIZE)
		form_put_size(w, value);
	else
		writer_u64(w, value);
}

static void put_words(struct writer *w, const struct schema_word *words, const char *last)
{
	for (size_t i = 0; words && words[i].text; i++) {
		if (i)
			writer_put(w, slice_of(words[i + 1].text ? ", " : last));
		bool is_fraction = words[i].text[0] >= '0' && words[i].text[0] <= '9' &&
				   strchr(words[i].text, '.');

		/* In YAML it would be a number, without its quotes. Whole ones are taken (bind.c). */
		if (is_fraction)
			writer_char(w, '"');
		writer_put(w, slice_of(words[i].text));
		if (is_fraction)
			writer_char(w, '"');
	}
}

static void put_text_allowed(struct writer *w, const struct schema_field *field)
{
	if (field->check) {
		writer_put(w, slice_of(field->expected));
		return;
	}
	writer_lit(w, "a text of 1 to ");
	writer_u64(w, schema_text_max(field));
	writer_lit(w, " bytes");
}

void schema_put_allowed(struct writer *w, const struct schema_field *field)
{
	bool with_words = field->words && field->type != SCHEMA_ENUM && field->type != SCHEMA_SET;

	if (with_words) {
		put_words(w, field->words, ", ");
		writer_lit(w, ", or ");
	}
	switch (field->type) {
	case SCHEMA_BOOL:
		writer_lit(w, "true or false");
		break;
	case SCHEMA_NUMBER:
	case SCHEMA_DURATION:
	case SCHEMA_SIZE:
		schema_put_number(w, field->type, field->min);
		writer_lit(w, " to ");
		schema_put_number(w, field->type, field->max);
		break;
	case SCHEMA_TEXT:
		put_text_allowed(w, field);
		break;
	case SCHEMA_ENUM:
		put_words(w, field->words, " or ");
		break;
	case SCHEMA_SET:
		writer_lit(w, "a list of ");
		put_words(w, field->words, " and ");
		break;
	case SCHEMA_NET:
		writer_lit(w, "a network such as \"10.0.0.0/8\" or \"fd00::/8\", or one address");
		break;
	case SCHEMA_MAP:
		writer_lit(w, "a map");
		break;
	case SCHEMA_LIST:
		if (schema_is_list_of_texts(field))
			writer_lit(w, "one, or ");
		writer_lit(w, "a list of up to ");
		writer_u64(w, field->max);
		break;
	case SCHEMA_NAMED:
		writer_lit(w, "a map of up to ");
		writer_u64(w, field->max);
		if (field->expected) {
			writer_lit(w, ", each key ");
			writer_put(w, slice_of(field->expected));
		}
		break;
	case SCHEMA_N_TYPES:
		GW_UNREACHABLE();
	}
}
