/* SPDX-License-Identifier: Apache-2.0 */
/* fields.h - for tests: a head of fields from text, as if parsed and named. */
#pragma once

#include "core/http/head.h"

/* 'lines' is "Name: value\n..."; the head's spans point into it. */
static inline void fields_fill(struct http_head *head, const char *lines)
{
	struct slice rest = slice_of(lines), line, name, value;

	head->base = lines;
	head->n_fields = 0;
	head->ids = 0;
	while (rest.len > 0) {
		struct http_field *field = &head->fields[head->n_fields++];

		GW_ASSERT(head->n_fields < HTTP_FIELDS_MAX);
		slice_split(rest, '\n', &line, &rest);
		slice_split(line, ':', &name, &value);
		value = slice_trim(value);
		field->name =
			(struct http_span){ (uint16_t)(name.ptr - lines), (uint16_t)name.len };
		field->value = (struct http_span){ value.len ? (uint16_t)(value.ptr - lines) : 0,
						   (uint16_t)value.len };
		field->id = (uint8_t)http_field_id(name);
		field->dropped = false;
		head->ids |= UINT64_C(1) << field->id;
	}
}
