/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/h1_write.h"

#include "core/base/gw_assert.h"
#include "core/http/upgrade.h"

static void put_fields(struct writer *out, const struct http_head *head)
{
	for (uint32_t i = 0; i < head->n_fields; i++) {
		const struct http_field *field = &head->fields[i];

		if (!field->dropped)
			writer_field(out, http_text(head, field->name),
				     http_text(head, field->value));
	}
}

static void put_length(struct writer *out, uint64_t length)
{
	writer_lit(out, "content-length: ");
	writer_u64(out, length);
	writer_lit(out, "\r\n");
}

static void put_connection(struct writer *out, const struct h1_framing *framing)
{
	GW_ASSERT(framing->close + framing->keep_alive + (framing->upgrade > 0) <= 1);
	if (framing->upgrade) {
		writer_lit(out, "connection: upgrade\r\n");
		writer_field(out, SLICE("upgrade"), upgrade_token(framing->upgrade));
	} else if (framing->close) {
		writer_lit(out, "connection: close\r\n");
	} else if (framing->keep_alive) {
		writer_lit(out, "connection: keep-alive\r\n");
	}
}

static void put_framing(struct writer *out, const struct h1_framing *framing)
{
	switch (framing->body) {
	case HTTP_BODY_NONE:
		if (framing->announce)
			put_length(out, framing->length);
		break;
	case HTTP_BODY_LENGTH:
		put_length(out, framing->length);
		break;
	case HTTP_BODY_CHUNKED:
		writer_lit(out, "transfer-encoding: chunked\r\n");
		break;
	case HTTP_BODY_UNTIL_CLOSE:
		GW_ASSERT(framing->close);
		break;
	}
	put_connection(out, framing);
	writer_lit(out, "\r\n");
}

static void put_host(struct writer *out, const struct http_head *head, struct slice host)
{
	writer_lit(out, "host: ");
	if (host.len > 0) {
		writer_put(out, host);
	} else {
		writer_put(out, http_text(head, head->host));
		if (head->port > 0) {
			writer_char(out, ':');
			writer_u64(out, head->port);
		}
	}
	writer_lit(out, "\r\n");
}

void h1_write_request(struct writer *out, const struct http_head *head,
		      const struct http_rewrite *rewrite, struct slice extra,
		      const struct h1_framing *framing)
{
	GW_ASSERT(head->path.len > 0 && framing->body != HTTP_BODY_UNTIL_CLOSE);
	writer_put(out, http_text(head, head->method_text));
	writer_char(out, ' ');
	writer_put(out, rewrite->path.len ? rewrite->path : http_text(head, head->path));
	writer_put(out, http_text(head, head->query));
	writer_lit(out, " HTTP/1.1\r\n");
	put_host(out, head, rewrite->host);
	put_fields(out, head);
	writer_put(out, extra);
	put_framing(out, framing);
}

static void put_status_line(struct writer *out, uint16_t status, struct slice phrase)
{
	GW_ASSERT(status >= 100 && status <= 599);
	writer_lit(out, "HTTP/1.1 ");
	writer_padded(out, status, 3);
	writer_char(out, ' ');
	writer_put(out, phrase);
	writer_lit(out, "\r\n");
}

void h1_write_response(struct writer *out, const struct http_head *head, struct slice extra,
		       const struct h1_framing *framing)
{
	put_status_line(out, head->status, http_text(head, head->reason_phrase));
	put_fields(out, head);
	writer_put(out, extra);
	put_framing(out, framing);
}

void h1_write_informational(struct writer *out, const struct http_head *head)
{
	GW_ASSERT(head->status >= 100 && head->status < 200);
	put_status_line(out, head->status, http_text(head, head->reason_phrase));
	put_fields(out, head);
	writer_lit(out, "\r\n");
}

void h1_write_reply(struct writer *out, uint16_t status, struct slice content_type,
		    struct slice extra, struct slice body, const struct h1_framing *framing)
{
	put_status_line(out, status, http_status_phrase(status));
	if (content_type.len > 0)
		writer_field(out, SLICE("content-type"), content_type);
	if (status != 204 && status != 304)
		put_length(out, framing->length);
	writer_put(out, extra);
	put_connection(out, framing);
	writer_lit(out, "\r\n");
	if (framing->body != HTTP_BODY_NONE)
		writer_put(out, body);
}
