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

static void put_parts(struct blob *blob, const struct draft_handling *from, uint32_t at)
{
	struct policy_rules request = put_rules(blob, &from->request);
	struct policy_rules response = put_rules(blob, &from->response);
	struct policy_part host = blob_text(blob, from->host), path = blob_text(blob, from->path);
	struct policy_part cookies = put_texts(blob, &from->cookies.names);
	struct policy_handling *to = blob_at(blob, at);

	if (!to)
		return;
	to->request = request;
	to->response = response;
	to->host = host;
	to->path = path;
	to->cookies.names = cookies;
	to->cookies.max = from->cookies.max;
	to->cookies.allow = from->cookies.allow;
}

static void put_more(struct blob *blob, const struct draft_handling *from, uint32_t at)
{
	struct policy_part origins = put_texts(blob, &from->cors.origins);
	struct policy_part lines = blob_text(blob, from->cors.lines);
	struct policy_part preflight = blob_text(blob, from->cors.preflight);
	struct policy_part location = blob_text(blob, from->answer.location);
	struct policy_part type = blob_text(blob, from->answer.type);
	struct policy_part body = blob_text(blob, from->answer.body);
	struct policy_handling *to = blob_at(blob, at);

	if (!to)
		return;
	to->cors.origins = origins;
	to->cors.lines = lines;
	to->cors.preflight = preflight;
	to->answer.status = from->answer.status;
	to->answer.location = location;
	to->answer.type = type;
	to->answer.body = body;
}

/* In place: what lies between fields stays zero. */
struct policy_part compile_handling(struct blob *blob, const struct draft_handling *from)
{
	struct policy_part part = blob_room(blob, from ? 1 : 0, sizeof(struct policy_handling));

	if (from) {
		put_parts(blob, from, part.at);
		put_more(blob, from, part.at);
	}
	return part;
}
