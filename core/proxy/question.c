/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/question.h"

#include "core/proxy/proxy.h"
#include "policy/find.h"

bool question_is_health(const struct proxy_options *options, const struct http_head *head)
{
	struct slice path = options->health_path;

	return path.len && (head->method == HTTP_GET || head->method == HTTP_HEAD) &&
	       slice_eq(http_text(head, head->path), path);
}

bool question_is_ours(const struct http_head *head)
{
	const struct http_field *field;
	uint64_t left;

	if (head->method != HTTP_OPTIONS)
		return false;
	if (head->asterisk)
		return true;
	field = http_head_find(head, HTTP_FIELD_MAX_FORWARDS);
	return field && slice_to_u64(http_text(head, field->value), &left) == 0 && left == 0;
}

static bool field_of(const void *owner, struct slice name, struct slice *ret_value)
{
	return http_only_field(owner, name, ret_value);
}

struct policy_request question_of(const struct http_head *head)
{
	return (struct policy_request){
		.method = http_text(head, head->method_text),
		.host = http_text(head, head->host),
		.path = http_text(head, head->path),
		.content_length = head->body == HTTP_BODY_LENGTH ? head->content_length : 0,
		.field = field_of,
		.head = head,
	};
}

_Static_assert(sizeof("allow: \r\n") + POLICY_ALLOW_MAX <= QUESTION_ALLOW_MAX, "a line has room");

struct slice question_allow(const struct policy_table *table, const struct policy_request *request,
			    char text[QUESTION_ALLOW_MAX])
{
	char methods[POLICY_ALLOW_MAX];
	struct writer list = writer_make(methods, sizeof(methods));
	struct writer line = writer_make(text, QUESTION_ALLOW_MAX);

	if (policy_allow(table, request, &list))
		writer_field(&line, SLICE("allow"), writer_slice(&list));
	return writer_slice(&line);
}
