/* SPDX-License-Identifier: Apache-2.0 */
/* h1, the reading side: heads, whole or in pieces, and what follows from them. */
#include "core/proxy/h1.h"

#include "core/proxy/proxy.h"

static void parser_begin(struct h1 *c, struct h1_parser *parser)
{
	if (c->role == H1_SERVER) {
		h1_parse_request(parser, &c->proxy->options->limits);
		parser->secure = c->transport.sealed;
	} else {
		h1_parse_response(parser, &h1_limits_default, c->method);
		parser->head.upgrade = c->upgrade;
	}
}

void h1_refuse(struct h1 *c, struct http_refusal refusal)
{
	const struct h1_parser *parser = c->head ? &c->head->parser : &c->proxy->parser;

	GW_ASSERT(c->role == H1_SERVER && !c->open);
	c->method =
		parser->head.method; /* GET until it is read: HEAD is answered without a body. */
	h1_in_forget(c);
	h1_enter(c, H1_IN_DEAD);
	c->last = true;
	c->lingering = true;
	c->open = true;
	c->owner->phase(c, CODEC_PHASE_BUSY);
	c->owner->request(c, NULL, true, &refusal);
}

static void refused(struct h1 *c, struct http_refusal refusal)
{
	if (c->role == H1_CLIENT)
		h1_fault(c, refusal.status, refusal.reason, false);
	else
		h1_refuse(c, refusal);
}

static void body_begin(struct h1 *c, const struct http_head *head, bool end)
{
	c->in_body = head->body;
	c->in_left = head->content_length;
	c->large = head->body == HTTP_BODY_LENGTH &&
		   head->content_length >= c->proxy->options->splice_min;
	c->http10 = head->minor == 0;
	c->last = c->last || head->close;
	c->in_early = 0;
	c->trailers_len = 0;
	c->credit = c->held ? c->held->len : 0; /* What came along may be told at once. */
	if (head->body == HTTP_BODY_CHUNKED)
		chunk_begin(&c->chunks);
	h1_enter(c, end ? H1_IN_DONE : H1_IN_BODY);
}

/* 'refusal': a sound head that is not served; the connection may go on behind its body. */
static void head_done(struct h1 *c, struct http_head *head, const struct http_refusal *refusal)
{
	bool end = head->body == HTTP_BODY_NONE ||
		   (head->body == HTTP_BODY_LENGTH && head->content_length == 0);

	if (c->role == H1_SERVER) {
		c->open = true;
		c->method = head->method;
		c->lingering = !head->close;
		body_begin(c, head, end);
		c->owner->phase(c, CODEC_PHASE_BUSY);
		c->owner->request(c, head, end, refusal);
		return;
	}
	if (head->status >= 200)
		body_begin(c, head, end);
	else if (head->upgrade)
		h1_switch(c);
	c->stream.user->head(&c->stream, head, end && head->status >= 200);
}

/* The head did not come in one piece: keep it where more can follow. */
static bool head_keep(struct h1 *c, const struct h1_parser *parser)
{
	struct head_block *block = slab_alloc(&c->proxy->heads);

	if (!block)
		return false;
	block->parser = *parser;
	block->len = c->held->len;
	memcpy(block->text, ring_buf_data(c->held), c->held->len);
	c->head = block;
	if (c->role == H1_SERVER)
		c->owner->phase(c, CODEC_PHASE_HEAD);
	return true;
}

static uint32_t head_append(struct head_block *block, const struct ring_buf *buf)
{
	uint32_t room = sizeof(block->text) - block->len;
	uint32_t n = buf->len < room ? buf->len : room;

	memcpy(block->text + block->len, ring_buf_data(buf), n);
	block->len += n;
	return n;
}

/* All of it is here; 'before' bytes of it came earlier. What stands behind it stays held. */
static void head_complete(struct h1 *c, struct h1_parser *parser, uint32_t before,
			  const struct http_refusal *refusal)
{
	struct head_block *block = c->head;
	struct ring_buf *lent = NULL; /* The head lies in it, and nothing behind the head. */

	GW_ASSERT(parser->head.wire_len > before);
	h1_held_skip(c, parser->head.wire_len - before);
	if (c->held->len == 0) {
		lent = c->held;
		c->held = NULL;
	}
	c->head = NULL;
	head_done(c, &parser->head, refusal);
	if (block)
		slab_free(&c->proxy->heads, block);
	if (lent)
		ring_buf_give(c->transport.ring, lent);
}

void h1_head_step(struct h1 *c)
{
	struct h1_parser *parser = c->head ? &c->head->parser : &c->proxy->parser;
	uint32_t before = c->head ? c->head->len : 0;
	enum h1_progress progress;

	if (c->head) {
		head_append(c->head, c->held);
		progress = h1_parse_feed(parser, c->head->text, c->head->len);
	} else {
		parser_begin(c, parser);
		progress = h1_parse_feed(parser, (char *)ring_buf_data(c->held), c->held->len);
	}
	switch (progress) {
	case H1_PARTIAL:
		if (!c->head && !head_keep(c, parser))
			refused(c, (struct http_refusal){ 503, REASON_OVERLOAD_MEMORY, false });
		else
			h1_held_give(c);
		return;
	case H1_REFUSED:
		if (parser->refusal.keep && c->role == H1_SERVER)
			head_complete(c, parser, before, &parser->refusal);
		else
			refused(c, parser->refusal);
		return;
	case H1_DONE:
		head_complete(c, parser, before, NULL);
		return;
	}
}
