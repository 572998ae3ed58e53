/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/h2_write.h"

#include "core/base/gw_assert.h"
#include "core/http/target.h"

/* In front of each pair: the length of its name, then that of its value. */
struct pair {
	uint16_t name_len, value_len;
};

static void put_pair(struct writer *out, struct slice name, struct slice value)
{
	struct pair pair = { (uint16_t)name.len, (uint16_t)value.len };
	char *at = writer_reserve(out, sizeof(pair) + name.len + value.len);

	GW_ASSERT(name.len <= UINT16_MAX && value.len <= UINT16_MAX);
	if (!at)
		return;
	memcpy(at, &pair, sizeof(pair));
	at += sizeof(pair);
	for (size_t i = 0; i < name.len; i++)
		*at++ = slice_lower(name.ptr[i]);
	if (value.len > 0)
		memcpy(at, value.ptr, value.len);
}

bool h2_next_pair(struct slice *text, struct slice *ret_name, struct slice *ret_value)
{
	struct pair pair;

	if (text->len == 0)
		return false;
	GW_ASSERT(text->len >= sizeof(pair));
	memcpy(&pair, text->ptr, sizeof(pair));
	*text = slice_drop(*text, sizeof(pair));
	GW_ASSERT(text->len >= (size_t)pair.name_len + pair.value_len);
	*ret_name = slice_take(*text, pair.name_len);
	*ret_value = slice_take(slice_drop(*text, pair.name_len), pair.value_len);
	*text = slice_drop(*text, (size_t)pair.name_len + pair.value_len);
	return true;
}

static void put_number(struct writer *out, struct slice name, uint64_t number)
{
	char digits[WRITER_U64_MAX];
	struct writer value = writer_make(digits, sizeof(digits));

	writer_u64(&value, number);
	put_pair(out, name, writer_slice(&value));
}

static void put_fields(struct writer *out, const struct http_head *head)
{
	for (uint32_t i = 0; i < head->n_fields; i++) {
		const struct http_field *field = &head->fields[i];

		if (!field->dropped)
			put_pair(out, http_text(head, field->name), http_text(head, field->value));
	}
}

void h2_write_lines(struct writer *out, struct slice lines)
{
	struct slice line, name, value;

	while (lines.len > 0) {
		const char *end = memchr(lines.ptr, '\r', lines.len);
		bool split;

		GW_ASSERT(end); /* Lines of ours are complete. */
		line = slice_take(lines, (size_t)(end - lines.ptr));
		lines = slice_drop(lines, line.len + 2);
		split = slice_split(line, ':', &name, &value);
		GW_ASSERT(split);
		put_pair(out, name, slice_trim(value));
	}
}

static void put_framing(struct writer *out, const struct h1_framing *framing)
{
	if (framing->body == HTTP_BODY_LENGTH || framing->announce)
		put_number(out, SLICE("content-length"), framing->length);
}

static void put_authority(struct writer *out, const struct http_head *head, struct slice host)
{
	char text[TARGET_HOST_MAX + sizeof(":65535")];
	struct writer authority = writer_make(text, sizeof(text));

	if (host.len > 0) {
		put_pair(out, SLICE(":authority"), host);
		return;
	}
	writer_put(&authority, http_text(head, head->host));
	if (head->port > 0) {
		writer_char(&authority, ':');
		writer_u64(&authority, head->port);
	}
	GW_ASSERT(!authority.overflow);
	put_pair(out, SLICE(":authority"), writer_slice(&authority));
}

static void put_path(struct writer *out, const struct http_head *head, struct slice rewritten)
{
	struct slice path = rewritten.len ? rewritten : http_text(head, head->path);
	struct slice query = http_text(head, head->query);
	char *at;

	put_pair(out, SLICE(":path"), path);
	if (query.len == 0)
		return;
	at = writer_reserve(out, query.len);
	if (!at)
		return;
	memcpy(at, query.ptr, query.len);
	at -= path.len + sizeof(":path") - 1 + sizeof(struct pair);
	memcpy(at, &(struct pair){ sizeof(":path") - 1, (uint16_t)(path.len + query.len) },
	       sizeof(struct pair));
}

/* Trailers are the one thing that TE may ask for in HTTP/2 (RFC 9113 8.2.2). */
static bool wants_trailers(const struct http_head *head)
{
	for (uint32_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].id == HTTP_FIELD_TE &&
		    slice_has_token(http_text(head, head->fields[i].value), SLICE("trailers")))
			return true;
	return false;
}

void h2_write_request(struct writer *out, const struct http_head *head, struct slice scheme,
		      const struct http_rewrite *rewrite, struct slice extra,
		      const struct h1_framing *framing)
{
	GW_ASSERT(head->path.len > 0 && framing->body != HTTP_BODY_UNTIL_CLOSE);
	put_pair(out, SLICE(":method"), http_text(head, head->method_text));
	put_pair(out, SLICE(":scheme"), scheme);
	put_authority(out, head, rewrite->host);
	put_path(out, head, rewrite->path);
	put_fields(out, head);
	if (wants_trailers(head))
		put_pair(out, SLICE("te"), SLICE("trailers"));
	h2_write_lines(out, extra);
	put_framing(out, framing);
}

void h2_write_response(struct writer *out, const struct http_head *head, struct slice extra,
		       const struct h1_framing *framing)
{
	GW_ASSERT(head->status >= 100 && head->status <= 599);
	put_number(out, SLICE(":status"), head->status);
	put_fields(out, head);
	h2_write_lines(out, extra);
	put_framing(out, framing);
}

void h2_write_reply(struct writer *out, uint16_t status, struct slice content_type,
		    struct slice extra, const struct h1_framing *framing)
{
	put_number(out, SLICE(":status"), status);
	if (content_type.len > 0)
		put_pair(out, SLICE("content-type"), content_type);
	h2_write_lines(out, extra);
	if (status != 204 && status != 304)
		put_framing(out, framing);
}
