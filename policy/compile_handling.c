/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile_handling.h"

static struct policy_rules put_rules(struct blob *blob, const struct draft_rules *from)
{
	return (struct policy_rules){ .drops = blob_text(blob, from->drops),
				      .lines = blob_text(blob, from->lines) };
}

static struct policy_part put_texts(struct blob *blob, const struct draft_texts *from)
{
	return blob_texts(blob, from->list, from->n);
}

struct policy_part compile_handling(struct blob *blob, const struct draft_handling *from)
{
	struct policy_part part = blob_room(blob, from ? 1 : 0, sizeof(struct policy_handling));
	struct policy_handling handling;
	struct policy_handling *to;

	if (!from)
		return part;
	handling = (struct policy_handling){
		.request = put_rules(blob, &from->request),
		.response = put_rules(blob, &from->response),
		.host = blob_text(blob, from->host),
		.path = blob_text(blob, from->path),
		.cookies = { .names = put_texts(blob, &from->cookies.names),
			     .max = from->cookies.max,
			     .allow = from->cookies.allow },
		.cors = { .origins = put_texts(blob, &from->cors.origins),
			  .lines = blob_text(blob, from->cors.lines),
			  .preflight = blob_text(blob, from->cors.preflight) },
		.answer = { .status = from->answer.status,
			    .location = blob_text(blob, from->answer.location),
			    .type = blob_text(blob, from->answer.type),
			    .body = blob_text(blob, from->answer.body) },
	};
	to = blob_at(blob, part.at);
	if (to)
		*to = handling;
	return part;
}
