/* SPDX-License-Identifier: Apache-2.0 */
/* h1, the writing side: calls to bytes. */
#include "core/proxy/h1.h"

#include <errno.h>

#include "core/http/h1_write.h"
#include "core/proxy/proxy.h"
#include "ring/ring_pipe.h"

enum {
	DRAIN_WORTH = 65536, /* A body rest up to here is read away to keep the connection. */
	APPEND_MAX = 4096,   /* Larger pieces keep their buffer instead of being copied. */
	PUT_MAX = 4,         /* Buffers that go in front of spliced bytes. */
};

static const char chunks_end[] = "0\r\n\r\n";

/* --- Heads. ---------------------------------------------------------------------------------- */

void h1_encode_request(struct writer *out, const struct stream_message *message)
{
	struct h1_framing framing = { .body = message->body,
				      .length = message->length,
				      .announce = message->announce,
				      .upgrade = message->upgrade };

	h1_write_request(out, message->head, &message->rewrite, message->extra, &framing);
}

/* Whether this connection ends with the reply: then it says so. */
static bool reply_is_last(const struct h1 *c, const struct stream_message *message)
{
	if (c->last || c->eof || message->last || c->in_state == H1_IN_DEAD)
		return true;
	if (c->in_state != H1_IN_BODY)
		return false;
	return c->in_body == HTTP_BODY_LENGTH && c->in_left > DRAIN_WORTH;
}

void h1_encode_response(struct stream *s, struct writer *out, const struct stream_message *message)
{
	struct h1 *c = GW_CONTAINER_OF(s, struct h1, stream);
	struct h1_framing framing = { .body = message->body,
				      .length = message->length,
				      .announce = message->announce };

	if (c->method == HTTP_HEAD) /* Also when its user never had the head. */
		framing.body = HTTP_BODY_NONE;
	if (framing.body == HTTP_BODY_CHUNKED && c->http10)
		framing.body = HTTP_BODY_UNTIL_CLOSE;
	c->last = reply_is_last(c, message) || framing.body == HTTP_BODY_UNTIL_CLOSE;
	framing.upgrade = message->upgrade;
	c->out_body = (uint8_t)framing.body;
	c->out_left = message->length - message->text.len; /* Our own text is part of the head. */
	framing.close = c->last && !framing.upgrade;
	framing.keep_alive = !c->last && c->http10;
	if (message->head)
		h1_write_response(out, message->head, message->extra, &framing);
	else
		h1_write_reply(out, message->status, message->content_type, message->extra,
			       message->text, &framing);
}

/* --- The queue of buffers. ------------------------------------------------------------------- */

static struct ring_buf *first_buf(const struct h1 *c)
{
	struct list_node *node = list_first(&c->out_bufs);

	return node ? list_entry(node, struct ring_buf, link) : NULL;
}

void h1_out_forget(struct h1 *c)
{
	struct ring_buf *writing = c->writing ? first_buf(c) : NULL;

	/* The kernel may still read the one that is being written; it goes with 'closed'. */
	if (writing)
		list_remove(&writing->link);
	for (struct list_node *node; (node = list_pop_front(&c->out_bufs));)
		ring_buf_give(c->transport.ring, list_entry(node, struct ring_buf, link));
	if (writing)
		list_push_back(&c->out_bufs, &writing->link);
	c->out_head.len = 0;
}

/*
 * What waits behind others is put together, or a peer that sends a few bytes at
 * a time to one that does not read would hold a whole buffer for each few.
 */
static bool append(struct h1 *c, struct ring_buf *buf, uint32_t payload)
{
	struct list_node *node = list_last(&c->out_bufs);
	struct ring_buf *last = node ? list_entry(node, struct ring_buf, link) : NULL;

	if (!last || buf->len > APPEND_MAX || buf->len > ring_buf_tailroom(last) ||
	    (c->writing && last == first_buf(c)))
		return false;
	memcpy(ring_buf_data(last) + last->len, ring_buf_data(buf), buf->len);
	last->len += buf->len;
	last->note += payload;
	ring_buf_give(c->transport.ring, buf);
	return true;
}

static void push(struct h1 *c, struct ring_buf *buf, uint32_t payload)
{
	if (append(c, buf, payload))
		return;
	buf->note = payload;
	list_push_back(&c->out_bufs, &buf->link);
}

/* The submitted head as buffers of ours. */
static bool head_to_bufs(struct h1 *c)
{
	while (c->out_head.len > 0) {
		struct ring_buf *buf = ring_buf_take(c->transport.ring);
		size_t n = c->out_head.len < RING_BUF_DATA ? c->out_head.len : RING_BUF_DATA;

		if (!buf)
			return false;
		memcpy(ring_buf_data(buf), c->out_head.ptr, n);
		buf->len = (uint32_t)n;
		push(c, buf, 0);
		c->out_head = slice_drop(c->out_head, n);
	}
	return true;
}

/* In front of the first body bytes, when they leave room there: both go as one. */
static bool head_before(struct h1 *c, struct ring_buf *buf)
{
	size_t n = c->out_head.len;

	if (n == 0 || n > buf->start || c->writing || !list_is_empty(&c->out_bufs))
		return false;
	buf->start -= (uint32_t)n;
	buf->len += (uint32_t)n;
	memcpy(ring_buf_data(buf), c->out_head.ptr, n);
	c->out_head.len = 0;
	return true;
}

static void head_goes_first(struct h1 *c, struct ring_buf *buf)
{
	if (!head_before(c, buf) && !head_to_bufs(c))
		c->out_failed = true;
}

static void pump(struct h1 *c)
{
	struct ring_buf *buf;

	if (!head_to_bufs(c))
		c->out_failed = true;
	if (c->writing || c->out_dead)
		return;
	buf = first_buf(c);
	if (c->out_failed) {
		c->out_dead = true;
		transport_fail(&c->transport, -ENOBUFS);
	} else if (buf) {
		c->writing = true;
		transport_write(&c->transport, ring_buf_data(buf), buf->len);
	}
}

static void tell(struct h1 *c)
{
	bool all = c->out_ended && list_is_empty(&c->out_bufs);
	uint64_t sent = c->out_sent;

	c->out_sent = 0;
	if (c->tunnel && all) /* Its end is that of our side: nothing else says it. */
		transport_finish(&c->transport);
	if (c->open)
		c->stream.user->sent(&c->stream, sent, all);
}

/*
 * A client that takes no more bytes is gone. An upstream that takes none may
 * have answered already: what the reading side finds decides.
 */
static void write_failed(struct h1 *c, int res)
{
	c->out_dead = true;
	h1_out_forget(c);
	if (res == -ENOBUFS)
		h1_fault(c, 503, REASON_OVERLOAD_BUFFERS, false);
	else if (c->role == H1_SERVER)
		h1_fault(c, 0, REASON_CLIENT_ABORT, false);
}

static void has_left(struct h1 *c, struct ring_buf *buf)
{
	c->out_moved = true;
	c->out_sent += buf->note;
	metric_add(c->proxy->metrics,
		   c->role == H1_SERVER ? METRIC_CLIENT_BYTES_OUT : METRIC_UPSTREAM_BYTES_OUT,
		   buf->len);
	list_remove(&buf->link);
	ring_buf_give(c->transport.ring, buf);
}

void h1_out_written(struct h1 *c, int res)
{
	struct ring_buf *buf = first_buf(c);

	if (res < 0) {
		c->writing = false;
		write_failed(c, res);
		return;
	}
	if (!c->writing) { /* The end was all there was to say. */
		tell(c);
		return;
	}
	GW_ASSERT(buf);
	c->writing = false;
	has_left(c, buf);
	if (c->open) { /* Before the next write begins: the rest may leave with raw bytes. */
		tell(c);
		if (!c->closing)
			pump(c);
		if (c->tunnel && !c->closing)
			h1_in_switched(c);
		return;
	}
	pump(c);
	if (c->in_state == H1_IN_DEAD && !h1_out_is_pending(c))
		h1_cut(c, false); /* All that had come has been passed on. */
}

bool h1_out_is_pending(const struct h1 *c)
{
	return !c->out_dead && (c->out_head.len > 0 || !list_is_empty(&c->out_bufs));
}

/* --- Calls. ---------------------------------------------------------------------------------- */

/* The last chunk with its trailers, in a buffer of its own. */
static void push_chunks_end(struct h1 *c, struct slice lines)
{
	struct ring_buf *buf = ring_buf_take(c->transport.ring);
	struct writer out;

	if (!buf) {
		c->out_failed = true;
		return;
	}
	out = writer_make(ring_buf_data(buf), RING_BUF_DATA);
	writer_lit(&out, "0\r\n");
	writer_put(&out, lines);
	writer_lit(&out, "\r\n");
	GW_ASSERT(!out.overflow);
	buf->len = (uint32_t)writer_len(&out);
	head_goes_first(c, buf);
	push(c, buf, 0);
}

void h1_send_head(struct stream *s, struct slice bytes, const struct stream_message *message,
		  bool end)
{
	struct h1 *c = GW_CONTAINER_OF(s, struct h1, stream);

	GW_ASSERT(c->open && !c->out_begun && c->out_head.len == 0 && bytes.len > 0);
	c->out_begun = true;
	c->out_moved = false;
	c->out_head = bytes;
	if (c->role == H1_CLIENT) {
		c->method = message->method;
		c->out_body = (uint8_t)message->body;
		c->out_left = message->length;
		c->upgrade = message->upgrade;
		h1_enter(c, H1_IN_HEAD);
	} else if (message->upgrade) {
		h1_switch(c);
	}
	if (end) {
		GW_ASSERT(c->out_body != HTTP_BODY_LENGTH || c->out_left == 0 || message->announce);
		if (c->out_body == HTTP_BODY_CHUNKED) /* An empty body has an end as well. */
			push_chunks_end(c, SLICE(""));
		c->out_ended = true;
		pump(c);
	}
}

void h1_send_info(struct stream *s, const struct http_head *head)
{
	struct h1 *c = GW_CONTAINER_OF(s, struct h1, stream);
	struct ring_buf *buf = ring_buf_take(c->transport.ring);
	struct writer out;

	GW_ASSERT(c->open && !c->out_begun);
	if (!buf) {
		c->out_failed = true;
		return;
	}
	out = writer_make(ring_buf_data(buf), RING_BUF_DATA);
	h1_write_informational(&out, head);
	if (out.overflow) { /* Of no consequence to anybody but its reader. */
		ring_buf_give(c->transport.ring, buf);
		return;
	}
	buf->len = (uint32_t)writer_len(&out);
	push(c, buf, 0);
}

/* The chunk around a piece of payload, in the room before and behind it. */
static void wrap_chunk(struct ring_buf *buf, bool end)
{
	uint32_t n = chunk_write_size_before((char *)ring_buf_data(buf), buf->len);
	char *tail = (char *)ring_buf_data(buf) + buf->len;

	GW_ASSERT(buf->start >= n && ring_buf_tailroom(buf) >= 2 + sizeof(chunks_end));
	memcpy(tail, "\r\n", 2);
	buf->start -= n;
	buf->len += n + 2;
	if (end) {
		memcpy(tail + 2, chunks_end, sizeof(chunks_end) - 1);
		buf->len += sizeof(chunks_end) - 1;
	}
}

static void push_body(struct h1 *c, struct ring_buf *buf, bool end)
{
	uint32_t payload = buf->len;

	GW_ASSERT(payload > 0);
	if (c->out_body == HTTP_BODY_LENGTH) {
		GW_ASSERT(payload <= c->out_left);
		c->out_left -= payload;
	} else if (c->out_body == HTTP_BODY_CHUNKED) {
		wrap_chunk(buf, end);
	}
	head_goes_first(c, buf);
	push(c, buf, payload);
}

static void end_message(struct h1 *c)
{
	c->out_ended = true;
	pump(c);
	if (!c->writing && !c->out_dead) /* Nothing is left to write, which 'sent' has to tell. */
		transport_fail(&c->transport, 0);
}

void h1_send_body(struct stream *s, struct ring_buf *buf, bool end)
{
	struct h1 *c = GW_CONTAINER_OF(s, struct h1, stream);

	GW_ASSERT(c->open && c->out_begun && !c->out_ended);
	if (c->out_dead && buf)
		ring_buf_give(c->transport.ring, buf);
	else if (buf)
		push_body(c, buf, end);
	else if (end && c->out_body == HTTP_BODY_CHUNKED)
		push_chunks_end(c, SLICE(""));
	if (!end)
		return;
	GW_ASSERT(c->out_body != HTTP_BODY_LENGTH || c->out_left == 0 || c->out_dead);
	end_message(c);
}

void h1_send_trailers(struct stream *s, struct slice lines)
{
	struct h1 *c = GW_CONTAINER_OF(s, struct h1, stream);

	GW_ASSERT(c->open && c->out_begun && !c->out_ended);
	if (c->out_body == HTTP_BODY_CHUNKED && !c->out_dead)
		push_chunks_end(c, lines);
	end_message(c);
}

void h1_flush(struct stream *s)
{
	struct h1 *c = GW_CONTAINER_OF(s, struct h1, stream);

	if (!c->closing)
		pump(c);
}

/* What waits to be written, in front of the raw bytes that follow. All of it, or false. */
static bool put_all(struct h1 *c, struct ring_pipe *pipe)
{
	struct iovec parts[PUT_MAX];
	uint32_t n = 0;

	if (!head_to_bufs(c)) {
		c->out_failed = true;
		return false;
	}
	for (struct list_node *node = list_first(&c->out_bufs); node != &c->out_bufs.head;
	     node = node->next) {
		struct ring_buf *buf = list_entry(node, struct ring_buf, link);

		if (n == PUT_MAX)
			return false;
		parts[n].iov_base = ring_buf_data(buf);
		parts[n++].iov_len = buf->len;
	}
	if (!ring_pipe_put(c->transport.ring, pipe, parts, n))
		return false;
	while (!list_is_empty(&c->out_bufs))
		has_left(c, first_buf(c));
	return true;
}

bool h1_is_held_back(struct stream *s)
{
	(void)s;
	return false; /* There is none but TCP's. */
}

int32_t h1_raw_out(struct stream *s, struct ring_pipe *before, uint64_t *ret_sent)
{
	struct h1 *c = GW_CONTAINER_OF(s, struct h1, stream);

	int32_t file = transport_raw_file(&c->transport);

	if (!c->out_begun || c->out_ended || c->out_dead || file < 0 ||
	    (c->out_body != HTTP_BODY_LENGTH && !c->tunnel))
		return -ENOTSUP;
	if (c->writing ||
	    (h1_out_is_pending(c) && (!before || c->out_failed || !put_all(c, before))))
		return -EAGAIN;
	*ret_sent = c->out_sent;
	c->out_sent = 0;
	return file;
}

void h1_raw_out_done(struct stream *s, uint64_t n, int res)
{
	struct h1 *c = GW_CONTAINER_OF(s, struct h1, stream);

	GW_ASSERT(c->tunnel || n <= c->out_left);
	metric_add(c->proxy->metrics,
		   c->role == H1_SERVER ? METRIC_CLIENT_BYTES_OUT : METRIC_UPSTREAM_BYTES_OUT, n);
	c->out_dead = c->out_dead || res < 0;
	if (c->tunnel)
		return;
	c->out_left -= n;
	c->out_ended = c->out_left == 0;
}
