/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/h2_head.h"

#include "core/base/writer.h"
#include "core/http/chars.h"
#include "core/http/chunk.h"
#include "core/http/hop.h"
#include "core/http/judge.h"

/* Every request gets a Host field, as in HTTP/1: where its name lies. */
static const char host_name[] = "host";

static struct http_refusal refuse(uint16_t status, enum reason reason)
{
	return (struct http_refusal){ .status = status, .reason = (uint16_t)reason };
}

static const struct http_refusal fine = { .reason = REASON_NONE };

void h2_block_begin(struct h2_block *block, enum h2_section section, const struct h1_limits *limits)
{
	memset(block, 0, offsetof(struct h2_block, head.fields));
	block->limits = *limits;
	block->section = (uint8_t)section;
	memcpy(block->text, host_name, sizeof(host_name) - 1);
	block->len = sizeof(host_name) - 1;
	block->head.base = block->text;
	block->head.minor = 1;
}

void h2_block_move(struct h2_block *to, const struct h2_block *from)
{
	memcpy(to, from, offsetof(struct h2_block, head));
	memcpy(&to->head, &from->head,
	       offsetof(struct http_head, fields) +
		       from->head.n_fields * sizeof(struct http_field));
	memcpy(to->text, from->text, from->len);
	to->head.base = to->text;
}

/* --- Collecting. ----------------------------------------------------------------------------- */

static struct http_span keep(struct h2_block *block, struct slice text)
{
	struct http_span span = { (uint16_t)block->len, (uint16_t)text.len };

	GW_ASSERT(text.len <= sizeof(block->text) - block->len);
	if (text.len > 0)
		memcpy(block->text + block->len, text.ptr, text.len);
	block->len += (uint32_t)text.len;
	return span;
}

/* The limits are those of HTTP/1, where a field is a line with ": " and an end. */
static struct http_refusal judge_size(struct h2_block *block, struct slice name, struct slice value)
{
	const struct h1_limits *limits = &block->limits;
	size_t line = name.len + value.len + 2;

	if (slice_eq(name, SLICE(":path")) && value.len > limits->request_line_max)
		return refuse(414, REASON_URI_TOO_LONG);
	if (line > limits->field_line_max)
		return refuse(431, REASON_HEADER_TOO_LARGE);
	if (block->size + line + 2 > limits->head_max)
		return refuse(431, REASON_HEADERS_TOO_LARGE);
	block->size += (uint32_t)line + 2;
	return fine;
}

/* ":status" has three digits: it was checked. */
static void add_pseudo(struct h2_block *block, struct slice name, struct slice value)
{
	struct http_head *head = &block->head;

	if (slice_eq(name, SLICE(":method"))) {
		head->method_text = keep(block, value);
	} else if (slice_eq(name, SLICE(":path"))) {
		head->path = keep(block, value);
	} else if (slice_eq(name, SLICE(":authority"))) {
		block->authority = keep(block, value);
	} else if (slice_eq(name, SLICE(":scheme"))) {
		if (!slice_eq_nocase(value, SLICE("http")) &&
		    !slice_eq_nocase(value, SLICE("https")))
			block->fault = refuse(400, REASON_BAD_TARGET);
	} else if (slice_eq(name, SLICE(":status"))) {
		for (size_t i = 0; i < value.len; i++)
			head->status = (uint16_t)(head->status * 10 + (value.ptr[i] - '0'));
	}
}

/* A Host beside ":authority" is compared, not passed on (RFC 9113 8.3.1). */
static void add_field(struct h2_block *block, struct slice name, struct slice value)
{
	struct http_head *head = &block->head;
	struct http_field *field = &head->fields[head->n_fields];

	if (block->section == H2_REQUEST && slice_eq(name, SLICE("host")) && !block->host.len) {
		block->host = keep(block, value);
		return;
	}
	if (head->n_fields == block->limits.fields_max) {
		block->fault = refuse(431, REASON_TOO_MANY_HEADERS);
		return;
	}
	head->n_fields++;
	*field = (struct http_field){ .name = keep(block, name) };
	field->value = keep(block, value);
	if (block->section == H2_REQUEST && slice_eq(name, SLICE("cookie")))
		block->n_cookies++;
}

void h2_block_add(struct h2_block *block, struct slice name, struct slice value)
{
	if (block->fault.reason == REASON_NONE)
		block->fault = judge_size(block, name, value);
	if (block->fault.reason != REASON_NONE)
		return;
	if (name.len > 0 && name.ptr[0] == ':')
		add_pseudo(block, name, value);
	else
		add_field(block, name, value);
}

/* --- Requests. ------------------------------------------------------------------------------- */

static struct http_refusal take_method(struct http_head *head)
{
	struct slice name = http_text(head, head->method_text);

	if (name.len == 0 || name.len > LINE_METHOD_MAX ||
	    !chars_all(name.ptr, name.len, CHARS_TOKEN))
		return refuse(400, REASON_BAD_METHOD);
	head->method = (uint8_t)line_method(name);
	if (head->method == HTTP_CONNECT)
		return refuse(405, REASON_CONNECT_DISABLED);
	return head->method == HTTP_OTHER && !h1_knows_method(name)
		       ? refuse(501, REASON_METHOD_UNKNOWN)
		       : fine;
}

/* The authority becomes the Host that the judge knows. There is room for one more field. */
static struct http_refusal take_authority(struct h2_block *block)
{
	struct http_head *head = &block->head;
	struct slice authority = http_text(head, block->authority);
	struct slice host = http_text(head, block->host);

	_Static_assert(HTTP_FIELDS_MAX > 100, "room for Host besides the most that is allowed");
	if (authority.len > 0 && host.len > 0 && !slice_eq_nocase(authority, host))
		return refuse(0, REASON_HOST_MISMATCH);
	if (authority.len == 0 && host.len == 0)
		return fine; /* Refused as in HTTP/1. */
	if (head->n_fields == HTTP_FIELDS_MAX)
		return refuse(431, REASON_TOO_MANY_HEADERS);
	head->fields[head->n_fields++] = (struct http_field){
		.name = { 0, sizeof(host_name) - 1 },
		.value = authority.len > 0 ? block->authority : block->host,
	};
	return fine;
}

static bool is_cookie(const struct http_head *head, const struct http_field *field)
{
	return slice_eq(http_text(head, field->name), SLICE("cookie"));
}

/* "a=1" and "b=2" become "a=1; b=2" (RFC 9113 8.2.3): the first field gets it, the others go. */
static struct http_refusal join_cookies(struct h2_block *block)
{
	struct http_head *head = &block->head;
	struct http_span joined = { (uint16_t)block->len, 0 };
	struct http_field *first = NULL;
	uint16_t n = 0;

	if (block->n_cookies < 2)
		return fine;
	for (uint16_t i = 0; i < head->n_fields; i++) {
		struct http_field *field = &head->fields[i];
		struct slice value = http_text(head, field->value);

		if (!is_cookie(head, field)) {
			head->fields[n++] = *field;
			continue;
		}
		if (value.len + 2 > sizeof(block->text) - block->len)
			return refuse(431, REASON_HEADERS_TOO_LARGE);
		if (first)
			keep(block, SLICE("; "));
		keep(block, value);
		if (first)
			continue;
		head->fields[n] = *field;
		first = &head->fields[n++];
	}
	GW_ASSERT(first);
	joined.len = (uint16_t)(block->len - joined.off);
	first->value = joined;
	head->n_fields = n;
	return fine;
}

/* Without an end there is a body, even if nothing is said of its length, or that it is 0. */
static void frame(struct http_head *head, bool end)
{
	if (end)
		head->body = HTTP_BODY_NONE;
	else if (head->body != HTTP_BODY_LENGTH)
		head->body = HTTP_BODY_CHUNKED;
}

struct http_refusal h2_block_request(struct h2_block *block, bool secure, bool end)
{
	struct http_head *head = &block->head;
	struct http_refusal refusal = take_method(head); /* Of a refused one it matters, too. */

	if (block->fault.reason != REASON_NONE)
		refusal = block->fault;
	if (refusal.reason == REASON_NONE && head->path.len == 0)
		refusal = refuse(400, REASON_BAD_TARGET);
	if (refusal.reason == REASON_NONE)
		refusal = take_authority(block);
	if (refusal.reason == REASON_NONE)
		refusal = join_cookies(block);
	if (refusal.reason == REASON_NONE)
		refusal = judge_request(head, block->text, secure);
	head->wire_len = block->len;
	frame(head, end);
	return refusal;
}

/* --- Responses and trailers. ----------------------------------------------------------------- */

struct http_refusal h2_block_response(struct h2_block *block, enum http_method method, bool end)
{
	struct http_head *head = &block->head;
	struct http_refusal refusal;

	head->method = (uint8_t)method;
	head->reason_phrase = keep(block, http_status_phrase(head->status));
	head->wire_len = block->len;
	if (block->fault.reason != REASON_NONE || head->status < 100 || head->status > 599)
		return refuse(502, REASON_UPSTREAM_HEADER);
	refusal = judge_response(head);
	if (refusal.reason != REASON_NONE)
		return refusal;
	head->close = false;
	if (head->status < 200)
		return fine;
	frame(head, end);
	if (end && !head->has_length && method != HTTP_HEAD && head->status != 304)
		head->has_length = true; /* Of 0: the end says so here, HTTP/1 has to be told. */
	return fine;
}

struct http_refusal h2_block_trailers(struct h2_block *block, struct slice *ret_lines)
{
	struct writer out = writer_make(block->text + block->len, CHUNK_TRAILERS_MAX);
	const struct http_head *head = &block->head;

	if (block->fault.reason != REASON_NONE || head->n_fields > CHUNK_TRAILER_FIELDS_MAX ||
	    sizeof(block->text) - block->len < CHUNK_TRAILERS_MAX)
		return refuse(400, REASON_TRAILER_INVALID);
	for (uint16_t i = 0; i < head->n_fields; i++) {
		struct slice name = http_text(head, head->fields[i].name);
		enum hop_trailer may = hop_judge_trailer(name);

		if (may == HOP_TRAILER_FORBID)
			return refuse(400, REASON_TRAILER_FORBIDDEN);
		if (may == HOP_TRAILER_PASS)
			writer_field(&out, name, http_text(head, head->fields[i].value));
	}
	*ret_lines = writer_slice(&out);
	return out.overflow ? refuse(400, REASON_TRAILER_INVALID) : fine;
}
