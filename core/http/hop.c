/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/hop.h"

struct options {
	uint32_t n;
	bool close;
	bool keep_alive;
};

/*
 * May not be taken away by its sender: framing, what tells the upstream who
 * asks, and what we say ourselves.
 */
static bool is_protected(enum http_field_id id)
{
	enum http_field_class class = http_field_class(id);

	return class == HTTP_CLASS_FRAMING || class == HTTP_CLASS_FORWARDED ||
	       id == HTTP_FIELD_AUTHORIZATION || id == HTTP_FIELD_COOKIE;
}

static void drop_named(struct http_head *head, struct slice name, enum http_field_id id)
{
	for (uint32_t i = 0; i < head->n_fields; i++) {
		struct http_field *field = &head->fields[i];

		if (field->id == id && slice_eq_nocase(http_text(head, field->name), name))
			field->dropped = true;
	}
}

static enum reason apply_option(struct http_head *head, struct slice option,
				struct options *options, bool response)
{
	enum http_field_id id;

	if (option.len == 0)
		return REASON_NONE;
	if (slice_eq_nocase(option, SLICE("close"))) {
		options->close = true;
		return REASON_NONE;
	}
	if (slice_eq_nocase(option, SLICE("keep-alive"))) {
		options->keep_alive = true;
		return REASON_NONE;
	}
	if (++options->n > HOP_OPTIONS_MAX)
		return REASON_CONNECTION_ABUSE;
	id = http_field_id(option);
	if (!is_protected(id))
		drop_named(head, option, id);
	else if (!response)
		return REASON_CONNECTION_ABUSE;
	return REASON_NONE;
}

enum reason hop_apply(struct http_head *head, bool response)
{
	struct options options = { 0 };

	for (uint32_t i = 0; i < head->n_fields; i++) {
		struct slice list, option;

		if (head->fields[i].id != HTTP_FIELD_CONNECTION)
			continue;
		list = http_text(head, head->fields[i].value);
		while (slice_next_token(&list, ',', &option)) {
			enum reason reason = apply_option(head, option, &options, response);

			if (reason != REASON_NONE)
				return reason;
		}
	}
	head->close = options.close || (head->minor == 0 && !options.keep_alive);
	return REASON_NONE;
}

enum hop_trailer hop_judge_trailer(struct slice name)
{
	enum http_field_id id = http_field_id(name);

	if (id == HTTP_FIELD_CONTENT_LENGTH || id == HTTP_FIELD_TRANSFER_ENCODING)
		return HOP_TRAILER_FORBID;
	return id != HTTP_FIELD_OTHER || slice_starts_with_nocase(name, SLICE("content-"))
		       ? HOP_TRAILER_DROP
		       : HOP_TRAILER_PASS;
}
