/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "core/http/chunk.h"
#include "tools/gwtool_request.h"

static const struct h1_limits limits = {
	.request_line_max = 8192,
	.field_line_max = 8192,
	.head_max = GWTOOL_HEAD_MAX - 1, /* So that one byte more has room, and is refused. */
	.fields_max = 100,
};

static int refuse(struct gwtool_request *req, struct http_refusal refusal)
{
	req->refusal = refusal;
	return -EPROTO;
}

int gwtool_request_read(struct gwtool_request *req, struct gwtool_link *link)
{
	enum h1_progress progress = H1_PARTIAL;

	h1_parse_request(&req->parser, &limits);
	req->parser.secure = link->server != NULL;
	req->len = 0;
	while (progress == H1_PARTIAL) {
		int32_t n;

		GW_ASSERT(req->len < sizeof(req->bytes)); /* The parser refuses before. */
		n = gwtool_link_read(link, req->bytes + req->len,
				     (uint32_t)sizeof(req->bytes) - req->len);
		if (n <= 0)
			return n < 0 ? n : -ECONNRESET;
		req->len += (uint32_t)n;
		progress = h1_parse_feed(&req->parser, req->bytes, req->len);
	}
	return progress == H1_DONE ? 0 : refuse(req, req->parser.refusal);
}

/* The next bytes behind the head, in 'piece': n > 0, or -errno. */
static int32_t next_piece(struct gwtool_request *req, struct gwtool_link *link, uint32_t *at)
{
	uint32_t n = req->len - *at;
	int32_t got;

	if (n > 0) {
		n = n < sizeof(req->piece) ? n : (uint32_t)sizeof(req->piece);
		memcpy(req->piece, req->bytes + *at, n);
		*at += n;
		return (int32_t)n;
	}
	got = gwtool_link_read(link, req->piece, sizeof(req->piece));
	return got == 0 ? -ECONNRESET : got;
}

static int append(struct growbuf *body, const char *bytes, uint32_t len)
{
	growbuf_put(body, slice_make(bytes, len));
	if (!body->failed)
		return 0;
	return body->len + len > body->size_max ? -EFBIG : -ENOMEM;
}

static int read_length(struct gwtool_request *req, struct gwtool_link *link, struct growbuf *body)
{
	uint64_t left = req->parser.head.content_length;
	uint32_t at = req->parser.head.wire_len;

	if (left > body->size_max)
		return -EFBIG;
	while (left > 0) {
		int32_t n = next_piece(req, link, &at);
		int r;

		if (n < 0)
			return n;
		if ((uint32_t)n > left) /* What follows is nobody's: one request is answered. */
			n = (int32_t)left;
		r = append(body, req->piece, (uint32_t)n);
		if (r < 0)
			return r;
		left -= (uint32_t)n;
	}
	return 0;
}

static int read_chunked(struct gwtool_request *req, struct gwtool_link *link, struct growbuf *body)
{
	uint32_t at = req->parser.head.wire_len;
	struct chunk_reader chunks;
	struct chunk_piece piece;

	chunk_begin(&chunks);
	do {
		int32_t n = next_piece(req, link, &at);
		int r;

		if (n < 0)
			return n;
		piece = chunk_feed(&chunks, req->piece, (uint32_t)n, NULL, NULL);
		if (piece.progress == CHUNK_REFUSED)
			return refuse(req, piece.refusal);
		r = append(body, req->piece, piece.payload_len);
		if (r < 0)
			return r;
	} while (piece.progress == CHUNK_MORE);
	return 0;
}

int gwtool_request_read_body(struct gwtool_request *req, struct gwtool_link *link,
			     struct growbuf *body)
{
	const struct http_head *head = &req->parser.head;
	bool too_long = head->body == HTTP_BODY_LENGTH && head->content_length > body->size_max;

	if (head->expect_continue && !too_long && head->body != HTTP_BODY_NONE) {
		int r = gwtool_link_write(link, SLICE("HTTP/1.1 100 Continue\r\n\r\n"));

		if (r < 0)
			return r;
	}
	if (head->body == HTTP_BODY_CHUNKED)
		return read_chunked(req, link, body);
	return head->body == HTTP_BODY_LENGTH ? read_length(req, link, body) : 0;
}

const struct http_field *gwtool_request_field(const struct gwtool_request *req, struct slice name)
{
	const struct http_head *head = &req->parser.head;

	/* Also one that Connection names: that says who passes it on, not whether it is there. */
	for (uint32_t i = 0; i < head->n_fields; i++)
		if (slice_eq_nocase(http_text(head, head->fields[i].name), name))
			return &head->fields[i];
	return NULL;
}
