/* SPDX-License-Identifier: Apache-2.0 */
/* h2, the writing side: calls to bytes. */
#include <errno.h>
#include <string.h>

#include "core/http/h2_write.h"
#include "core/proxy/h2.h"
#include "core/proxy/proxy.h"

enum {
	APPEND_MAX = 4096,  /* Larger pieces keep their buffer instead of being copied. */
	SHORT_BODY = 16384, /* Fits one frame. */
};

static struct h2_stream *stream_of(struct stream *stream)
{
	return GW_CONTAINER_OF(stream, struct h2_stream, stream);
}

/* --- What the session asks for. -------------------------------------------------------------- */

static void has_flown(struct h2_stream *s)
{
	if (!list_node_is_linked(&s->flown))
		list_push_back(&s->c->flown, &s->flown);
}

int32_t h2_out_pull(void *owner, void *stream, uint32_t max, bool *ret_end,
		    struct slice *ret_trailers)
{
	struct h2_stream *s = stream;
	uint32_t n = s->out_len < max ? s->out_len : max;
	bool end = s->out_ended && n == s->out_len;

	(void)owner;
	/* cppcheck-suppress knownConditionTrueFalse ; there may be nothing left but the end */
	if (s->failed || (n == 0 && !end)) { /* It has lost something: it ends by a reset. */
		s->waits = true;
		return -EAGAIN;
	}
	*ret_end = end;
	/* cppcheck-suppress knownConditionTrueFalse ; as above */
	if (end && s->trailers_out)
		*ret_trailers = slice_make(ring_buf_data(s->trailers_out), s->trailers_out->len);
	return (int32_t)n;
}

static void copy_bufs(struct h2_stream *s, uint8_t *to, uint32_t len)
{
	while (len > 0) {
		struct ring_buf *buf = list_entry(list_first(&s->out), struct ring_buf, link);
		uint32_t n = buf->len < len ? buf->len : len;

		memcpy(to, ring_buf_data(buf), n);
		to += n;
		len -= n;
		buf->start += n;
		buf->len -= n;
		if (buf->len > 0)
			continue;
		list_remove(&buf->link);
		ring_buf_give(s->c->proxy->ring, buf);
	}
}

void h2_out_copy(void *owner, void *stream, uint8_t *to, uint32_t len)
{
	struct h2_stream *s = stream;

	(void)owner;
	GW_ASSERT(len <= s->out_len);
	if (s->own)
		memcpy(to, s->text + s->n_text - s->out_len, len);
	else
		copy_bufs(s, to, len);
	s->out_left = true;
	s->out_len -= len;
	s->flying += len;
	has_flown(s);
}

void h2_out_ended(void *owner, void *stream)
{
	struct h2_stream *s = stream;

	(void)owner;
	s->out_sent = true;
	has_flown(s);
}

/* --- Writing. -------------------------------------------------------------------------------- */

static void tell_flown(struct h2 *c)
{
	for (struct list_node *node; (node = list_pop_front(&c->flown));) {
		struct h2_stream *s = list_entry(node, struct h2_stream, flown);
		uint32_t n = s->own ? 0 : s->flying;

		s->flying = 0;
		s->out_told = s->out_sent;
		s->stream.user->sent(&s->stream, n, s->out_sent);
	}
}

/* All is said. */
static void said(struct h2 *c)
{
	if (c->state == H2_SAYING && (c->eof || c->role == H2_CLIENT))
		h2_end(c, REASON_NONE);
	else if (c->state == H2_SAYING)
		h2_enter(c, H2_LINGER);
}

void h2_out_pump(struct h2 *c)
{
	struct ring_buf *buf;
	uint32_t n;

	if (c->out || c->state >= H2_LINGER)
		return;
	if (c->mute) {
		said(c);
		return;
	}
	if (!h2_session_wants_write(c->session)) {
		tell_flown(c);
		said(c);
		return;
	}
	buf = ring_buf_take(c->proxy->ring);
	if (GW_COUNT_IF(!buf, "h2_write_without_buffer")) {
		h2_end(c, REASON_OVERLOAD_BUFFERS);
		return;
	}
	n = h2_session_write(c->session, buf->mem, buf->size);
	if (n > 0) {
		buf->start = 0; /* All of it is room. */
		buf->len = n;
		c->out = buf;
		transport_write(&c->transport, ring_buf_data(buf), n);
		return;
	}
	ring_buf_give(c->proxy->ring, buf);
	tell_flown(c);
	said(c);
}

void h2_out_written(struct h2 *c, int res)
{
	uint32_t n = c->out->len;

	ring_buf_give(c->proxy->ring, c->out);
	c->out = NULL;
	if (res < 0 && c->role == H2_CLIENT && c->state < H2_SAYING) {
		c->mute = true; /* It may have answered before it closed. */
		h2_settle(c);
		return;
	}
	if (res < 0) {
		h2_end(c, c->state >= H2_SAYING ? REASON_NONE : REASON_CLIENT_ABORT);
		return;
	}
	metric_add(c->proxy->metrics,
		   c->role == H2_SERVER ? METRIC_CLIENT_BYTES_OUT : METRIC_UPSTREAM_BYTES_OUT, n);
	tell_flown(c);
	if (h2_session_wants_write(c->session) || c->state == H2_SAYING)
		h2_out_pump(c);
	h2_settle(c);
}

/* --- Calls. ---------------------------------------------------------------------------------- */

static struct h1_framing framing_of(const struct stream_message *message)
{
	return (struct h1_framing){ .body = message->body,
				    .length = message->length,
				    .announce = message->announce };
}

void h2_encode_request(struct writer *out, const struct stream_message *message)
{
	struct h1_framing framing = framing_of(message);

	h2_write_request(out, message->head, SLICE("https"), &message->rewrite, message->extra,
			 &framing);
}

void h2c_encode_request(struct writer *out, const struct stream_message *message)
{
	struct h1_framing framing = framing_of(message);

	h2_write_request(out, message->head, SLICE("http"), &message->rewrite, message->extra,
			 &framing);
}

void h2_encode_response(struct stream *s, struct writer *out, const struct stream_message *message)
{
	struct h1_framing framing = framing_of(message);

	(void)s;
	if (message->head)
		h2_write_response(out, message->head, message->extra, &framing);
	else
		h2_write_reply(out, message->status, message->content_type, message->extra,
			       &framing);
}

/* What waits behind others is put together: a buffer for each few bytes would use up all. */
static bool append(struct h2_stream *s, struct ring_buf *buf)
{
	struct list_node *node = list_last(&s->out);
	struct ring_buf *last = node ? list_entry(node, struct ring_buf, link) : NULL;

	if (!last || buf->len > APPEND_MAX || buf->len > ring_buf_tailroom(last))
		return false;
	memcpy(ring_buf_data(last) + last->len, ring_buf_data(buf), buf->len);
	last->len += buf->len;
	ring_buf_give(s->c->proxy->ring, buf);
	return true;
}

static void push(struct h2_stream *s, struct ring_buf *buf)
{
	s->out_len += buf->len;
	if (!append(s, buf))
		list_push_back(&s->out, &buf->link);
}

/* There is more to pull. */
static void resume(struct h2_stream *s)
{
	if (s->waits && h2_stream_is_known(s))
		h2_session_resume(s->c->session, s->id);
	s->waits = false;
	h2_soon(s->c);
}

/* The connection has no buffer for what was to be said: in the next turn, its user will hear. */
static void fail(struct h2_stream *s)
{
	GW_COUNT_IF(true, "h2_send_without_buffer");
	s->failed = true;
	h2_touch(s);
	h2_soon(s->c);
}

static void put_text(struct h2_stream *s, struct slice text)
{
	GW_ASSERT(text.len <= sizeof(s->text));
	memcpy(s->text, text.ptr, text.len);
	s->n_text = (uint32_t)text.len;
	s->out_len = s->n_text;
}

static void send_request(struct h2_stream *s, struct slice bytes,
			 const struct stream_message *message, bool end)
{
	s->method = message->method;
	s->id = h2_session_request(s->c->session, bytes, end, s);
	if (s->id < 0)
		fail(s);
}

void h2_send_head(struct stream *stream, struct slice bytes, const struct stream_message *message,
		  bool end)
{
	struct h2_stream *s = stream_of(stream);
	bool has_text = message->text.len > 0 && s->method != HTTP_HEAD;

	GW_ASSERT(!s->out_begun);
	s->out_begun = true;
	s->out_ended = end;
	s->own = has_text;
	if (has_text)
		put_text(s, message->text);
	if (s->c->role == H2_CLIENT)
		send_request(s, bytes, message, end);
	else if (!s->dead)
		h2_session_respond(s->c->session, s->id, bytes, end && !has_text);
	if (s->c->role == H2_SERVER && !s->dead && !end &&
	    (message->body != HTTP_BODY_LENGTH || message->length > SHORT_BODY))
		h2_session_share(s->c->session, s->id);
	h2_soon(s->c);
}

void h2_send_info(struct stream *stream, const struct http_head *head)
{
	struct h2_stream *s = stream_of(stream);
	struct proxy *proxy = s->c->proxy;
	struct writer out = writer_make(proxy->head_text, sizeof(proxy->head_text));
	struct h1_framing framing = { .body = HTTP_BODY_NONE };

	GW_ASSERT(!s->out_begun);
	h2_write_response(&out, head, SLICE(""), &framing);
	if (!out.overflow && !s->dead) /* Of no consequence to anybody but its reader. */
		h2_session_inform(s->c->session, s->id, writer_slice(&out));
}

void h2_send_body(struct stream *stream, struct ring_buf *buf, bool end)
{
	struct h2_stream *s = stream_of(stream);

	GW_ASSERT(s->out_begun && !s->out_ended);
	s->out_ended = end;
	if (buf)
		push(s, buf);
	resume(s);
}

void h2_send_trailers(struct stream *stream, struct slice lines)
{
	struct h2_stream *s = stream_of(stream);
	struct writer out;

	GW_ASSERT(s->out_begun && !s->out_ended);
	s->out_ended = true;
	s->trailers_out = ring_buf_take(s->c->proxy->ring);
	if (s->trailers_out) {
		out = writer_make(ring_buf_data(s->trailers_out), RING_BUF_DATA);
		h2_write_lines(&out, lines);
		GW_ASSERT(!out.overflow);
		s->trailers_out->len = (uint32_t)writer_len(&out);
	} else {
		fail(s); /* They may say how the message is to be understood (gRPC). */
	}
	resume(s);
}

void h2_flush(struct stream *stream)
{
	h2_soon(stream_of(stream)->c);
}
