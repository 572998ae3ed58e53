/* SPDX-License-Identifier: Apache-2.0 */
/* h2, the reading side: bytes to events. */
#include <errno.h>
#include <string.h>

#include "core/proxy/exchange.h"
#include "core/proxy/h2.h"
#include "core/proxy/proxy.h"

#define YOUNG_NS (1 * GW_NS_PER_S)

/* What a user grants first covers all that may come before: see h2_credit(). */
_Static_assert((int)H2_WINDOW <= (int)EXCHANGE_WINDOW,
	       "a stream's first window is within the user's first grant");

/* --- Heads. ---------------------------------------------------------------------------------- */

static void refuse(struct h2 *c, int32_t id, enum reason reason)
{
	metric_inc_label(c->proxy->metrics, METRIC_REJECTED, reason);
	h2_session_reset(c->session, id, H2_CODE_REFUSED_STREAM);
}

static void open(struct h2 *c, struct h2_stream *s, struct http_head *head, bool end,
		 const struct http_refusal *refusal)
{
	s->method = head ? head->method : HTTP_GET;
	s->in_ended = s->in_told = end;
	if (refusal && refusal->status == 0)
		s->code = H2_CODE_PROTOCOL_ERROR;
	h2_session_attach(c->session, s->id, s);
	c->telling = s;
	c->owner->request(c, &s->stream, head, end, refusal);
	if (c->telling != s)
		return;
	c->telling = NULL;
	h2_touch(s);
}

void h2_in_head(void *owner, int32_t id, void *stream, struct http_head *head, bool end,
		const struct http_refusal *refusal)
{
	struct h2 *c = owner;
	uint32_t total = c->proxy->options->h2_total_max;
	struct h2_stream *s;

	GW_ASSERT(!stream);
	if (c->n_streams >= H2_STREAMS_MAX) {
		h2_session_charge(c->session, H2_SCORE_RESET, REASON_H2_RESET_FLOOD);
		refuse(c, id, REASON_H2_CONCURRENCY);
		return;
	}
	s = h2_stream_begin(c, id);
	if (GW_COUNT_IF(!s, "h2_streams_used_up")) {
		refuse(c, id, REASON_OVERLOAD_MEMORY);
		return;
	}
	open(c, s, head, end, refusal);
	if (total > 0 && c->n_begun >= total)
		h2_last(c);
}

/* --- Bodies. --------------------------------------------------------------------------------- */

/* A buffer with room for some of 'len' bytes: the last one, or another. */
static struct ring_buf *room_for(struct h2_stream *s)
{
	struct list_node *node = list_last(&s->in);
	struct ring_buf *buf = node ? list_entry(node, struct ring_buf, link) : NULL;

	if (buf && buf->len < RING_BUF_DATA)
		return buf;
	buf = ring_buf_take(s->c->proxy->ring);
	if (buf)
		list_push_back(&s->in, &buf->link);
	return buf;
}

/* The client can still be told; the rest of its message is not looked at. */
static void no_buffer(struct h2_stream *s)
{
	const struct stream_fault fault = { 503, REASON_OVERLOAD_BUFFERS, false };

	GW_COUNT_IF(true, "h2_body_without_buffer");
	s->in_dead = true;
	s->stream.user->malformed(&s->stream, &fault);
}

void h2_in_data(void *owner, void *stream, const uint8_t *bytes, uint32_t len)
{
	struct h2_stream *s = stream;

	(void)owner;
	s->owed += len;
	h2_touch(s);
	while (len > 0 && !s->in_dead) {
		struct ring_buf *buf = room_for(s);
		uint32_t n;

		if (!buf) {
			no_buffer(s);
			return;
		}
		n = len < RING_BUF_DATA - buf->len ? len : RING_BUF_DATA - buf->len;
		memcpy(ring_buf_data(buf) + buf->len, bytes, n);
		buf->len += n;
		bytes += n;
		len -= n;
	}
}

void h2_in_end(void *owner, void *stream, struct slice trailers)
{
	struct h2_stream *s = stream;
	struct h2 *c = owner;

	s->in_ended = true;
	h2_touch(s);
	if (trailers.len == 0)
		return;
	s->trailers_in = ring_buf_take(c->proxy->ring);
	if (GW_COUNT_IF(!s->trailers_in, "trailers_without_buffer"))
		return; /* They are optional by nature (RFC 9110 6.5.1). */
	memcpy(ring_buf_data(s->trailers_in), trailers.ptr, trailers.len);
	s->trailers_in->len = (uint32_t)trailers.len;
}

void h2_in_malformed(void *owner, void *stream, enum reason reason)
{
	(void)owner;
	h2_stream_fault(stream, 0, reason);
}

/* Both messages are complete, or the peer gave the stream up. */
void h2_in_closed(void *owner, void *stream, uint32_t code)
{
	struct h2_stream *s = stream;
	struct h2 *c = owner;

	(void)code;
	s->dead = true;
	if (s->in_ended && s->out_sent)
		return;
	if (ring_now_ns(c->proxy->ring) - s->born_ns < YOUNG_NS)
		h2_session_charge(c->session, H2_SCORE_RESET, REASON_H2_RESET_FLOOD);
	h2_stream_fault(s, 0, REASON_CLIENT_ABORT);
}

/* --- To the users. --------------------------------------------------------------------------- */

/* True when 's' is still there. */
static bool tell_body(struct h2 *c, struct h2_stream *s)
{
	while (!list_is_empty(&s->in) && !s->in_dead) {
		struct ring_buf *buf = list_entry(list_first(&s->in), struct ring_buf, link);
		bool last;

		if (buf->len > s->credit)
			return true;
		list_remove(&buf->link);
		s->credit -= buf->len;
		s->delivered += s->granted ? 0 : buf->len;
		last = s->in_ended && list_is_empty(&s->in) && !s->trailers_in;
		s->in_told = last;
		s->stream.user->body(&s->stream, buf, last);
		if (c->telling != s)
			return false;
	}
	return true;
}

static void tell_end(struct h2_stream *s)
{
	struct ring_buf *trailers = s->trailers_in;

	s->in_told = true;
	s->trailers_in = NULL;
	if (!trailers) {
		s->stream.user->body(&s->stream, NULL, true);
		return;
	}
	s->stream.user->trailers(&s->stream, slice_make(ring_buf_data(trailers), trailers->len));
	ring_buf_give(s->c->proxy->ring, trailers);
}

static void deliver(struct h2 *c, struct h2_stream *s)
{
	struct ring *ring = c->proxy->ring;

	c->telling = s;
	if (!tell_body(c, s))
		return;
	if (s->in_ended && !s->in_told && !s->in_dead && list_is_empty(&s->in)) {
		tell_end(s);
		if (c->telling != s)
			return;
	}
	for (struct list_node *node; s->in_dead && (node = list_pop_front(&s->in));)
		ring_buf_give(ring, list_entry(node, struct ring_buf, link));
	s->stream.user->flush(&s->stream, false);
	if (c->telling == s && s->failed)
		h2_stream_fault(s, 503, REASON_OVERLOAD_BUFFERS);
	c->telling = NULL;
}

void h2_in_deliver(struct h2 *c)
{
	for (struct list_node *node; (node = list_pop_front(&c->touched));)
		deliver(c, list_entry(node, struct h2_stream, touched));
}

/*
 * The first grant covers what the peer may send anyway, and what has been told of it. From
 * then on each byte that is granted is one that has left: the peer may send another.
 */
void h2_credit(struct stream *stream, uint64_t n)
{
	struct h2_stream *s = GW_CONTAINER_OF(stream, struct h2_stream, stream);

	if (s->granted) {
		uint32_t again = n < s->owed ? (uint32_t)n : s->owed;

		s->credit += n;
		s->owed -= again;
		if (!s->in_ended)
			h2_session_grant(s->c->session, s->id, again);
		else
			h2_session_grant_connection(s->c->session, again);
	} else {
		GW_ASSERT(n >= s->delivered);
		s->credit = n - s->delivered;
		s->granted = true;
	}
	if (!list_is_empty(&s->in))
		h2_touch(s);
	h2_soon(s->c);
}

/* --- Bytes. ---------------------------------------------------------------------------------- */

/* A section that is not complete stays where more of it can follow. */
static void keep_section(struct h2 *c)
{
	struct h2_block *scratch = &c->proxy->h2_block;

	if (!h2_session_in_section(c->session)) {
		if (c->block)
			slab_free(&c->proxy->heads, c->block);
		c->block = NULL;
		return;
	}
	if (c->block)
		return;
	c->block = slab_alloc(&c->proxy->heads);
	if (!c->block) {
		h2_session_expel(c->session, H2_CODE_ENHANCE_YOUR_CALM, REASON_OVERLOAD_MEMORY);
		return;
	}
	h2_block_move(c->block, scratch);
}

static void input_ended(struct h2 *c, int32_t res)
{
	c->eof = true;
	if (res < 0 || c->state >= H2_SAYING) {
		h2_end(c, c->state >= H2_SAYING ? REASON_NONE : REASON_CLIENT_ABORT);
		return;
	}
	/* Half-closed: what it has asked in full is still answered. */
	for (struct list_node *node = c->streams.head.next, *next; node != &c->streams.head;
	     node = next) {
		struct h2_stream *s = list_entry(node, struct h2_stream, all);

		next = node->next;
		if (!s->in_ended) {
			h2_session_reset(c->session, s->id, H2_CODE_CANCEL);
			h2_stream_fault(s, 0, REASON_CLIENT_ABORT);
		}
	}
	h2_settle(c);
	if (c->state != H2_CLOSED)
		transport_watch(&c->transport);
}

static void feed(struct h2 *c, struct ring_buf *buf)
{
	h2_shared_limit(c->proxy->h2, &c->proxy->options->limits);
	h2_session_feed(c->session, c->block ? c->block : &c->proxy->h2_block, ring_buf_data(buf),
			buf->len, ring_now_ns(c->proxy->ring));
	keep_section(c);
	h2_in_deliver(c);
	if (h2_session_wants_write(c->session))
		h2_soon(c);
}

void h2_in_bytes(struct h2 *c, struct ring_buf *buf, int32_t res)
{
	if (res <= 0) {
		input_ended(c, res);
		return;
	}
	metric_add(c->proxy->metrics, METRIC_CLIENT_BYTES_IN, (uint64_t)res);
	if (c->state < H2_SAYING)
		feed(c, buf);
	else
		c->lingered += (uint32_t)res;
	ring_buf_give(c->proxy->ring, buf);
	h2_settle(c);
	if (c->state != H2_CLOSED)
		transport_read(&c->transport, true);
}
