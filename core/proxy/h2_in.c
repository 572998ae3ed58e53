/* SPDX-License-Identifier: Apache-2.0 */
/* h2, the reading side: bytes to events. */
#include <errno.h>
#include <string.h>

#include "core/http/speech.h"
#include "core/proxy/exchange.h"
#include "core/proxy/h2.h"
#include "core/proxy/proxy.h"

#define YOUNG_NS (1 * GW_NS_PER_S)

/* What a user grants first covers all that may come before: see h2_credit(). */
_Static_assert((int)H2_WINDOW <= (int)EXCHANGE_WINDOW,
	       "a stream's first window is within the user's first grant");

static void deliver_headed(struct h2 *c);

/* --- Heads. ---------------------------------------------------------------------------------- */

static void refuse(struct h2 *c, int32_t id, enum reason reason)
{
	metric_inc_label(c->proxy->metrics, METRIC_REJECTED, reason);
	h2_session_charge(c->session, H2_SCORE_CONTROL, REASON_H2_RESET_FLOOD); /* A frame each. */
	h2_session_reset(c->session, id, H2_CODE_REFUSED_STREAM);
}

static void announce(struct h2_stream *s, const struct http_head *head)
{
	if (head && head->body == HTTP_BODY_LENGTH)
		s->lacks = head->content_length;
}

static void tell(struct h2 *c, struct h2_stream *s, struct http_head *head, bool end,
		 const struct http_refusal *refusal)
{
	s->method = h2_session_method(c->session);
	announce(s, head);
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

static void request(struct h2 *c, int32_t id, struct http_head *head, bool end,
		    const struct http_refusal *refusal)
{
	uint32_t total = c->proxy->options->h2_total_max;
	struct h2_stream *s;

	if (c->state == H2_LEAVING && ++c->n_late > H2_STREAMS_MAX) {
		h2_session_refuse_more(c->session); /* It has not answered, but it has heard. */
		refuse(c, id, REASON_H2_CONCURRENCY);
		return;
	}
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
	tell(c, s, head, end, refusal);
	if (total > 0 && c->n_begun >= total)
		h2_last(c);
}

static void response(struct h2 *c, struct h2_stream *s, struct http_head *head, bool end,
		     const struct http_refusal *refusal)
{
	if (refusal) {
		const struct stream_fault fault = { .status = refusal->status,
						    .reason = refusal->reason };

		h2_session_reset(c->session, s->id, H2_CODE_PROTOCOL_ERROR);
		h2_stream_fault(s, &fault);
		return;
	}
	GW_ASSERT(c->headed != s);
	deliver_headed(c);
	if (head->status >= 200) {
		s->in_begun = true;
		announce(s, head);
		s->in_ended = s->in_told = end;
	}
	c->telling = s;
	s->stream.user->head(&s->stream, head, end && head->status >= 200);
	if (c->telling != s)
		return;
	c->telling = NULL;
	if (head->status >= 200) /* Others were copied. */
		c->headed = s;
	h2_touch(s);
}

uint8_t h2_in_method(void *owner, void *stream)
{
	(void)owner;
	return ((struct h2_stream *)stream)->method;
}

void h2_in_head(void *owner, int32_t id, void *stream, struct http_head *head, bool end,
		const struct http_refusal *refusal)
{
	struct h2 *c = owner;

	if (c->role == H2_SERVER)
		request(c, id, head, end, refusal);
	else
		response(c, stream, head, end, refusal);
}

/* --- Bodies. --------------------------------------------------------------------------------- */

/* The last one while it has room, or another. Long bodies leave some to all else, as HTTP/1's do. */
static struct ring_buf *room_for(struct h2_stream *s)
{
	struct list_node *node = list_last(&s->in);
	struct ring_buf *buf = node ? list_entry(node, struct ring_buf, link) : NULL;

	if (buf && buf->len < RING_BUF_DATA)
		return buf;
	if (s->owed > RING_BUF_DATA && !ring_bufs_for_bodies(s->c->proxy->ring))
		return NULL;
	buf = ring_buf_take(s->c->proxy->ring);
	if (buf)
		list_push_back(&s->in, &buf->link);
	return buf;
}

/* A client can still be told; the rest of its message is not looked at. The stream may be gone. */
static void no_buffer(struct h2_stream *s)
{
	const struct stream_fault fault = { .status = 503, .reason = REASON_OVERLOAD_BUFFERS };

	GW_COUNT_IF(true, "h2_body_without_buffer");
	s->in_dead = true;
	if (s->c->role == H2_SERVER) {
		s->stream.user->malformed(&s->stream, &fault);
		return;
	}
	h2_session_reset(s->c->session, s->id, H2_CODE_CANCEL);
	h2_stream_fault(s, &fault);
}

void h2_in_data(void *owner, void *stream, const uint8_t *bytes, uint32_t len)
{
	struct h2_stream *s = stream;

	(void)owner;
	s->owed += len;
	if (s->lacks != UINT64_MAX)
		s->lacks -= len < s->lacks ? len : s->lacks;
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

	if (trailers.len > 0)
		s->trailers_in = ring_buf_take(c->proxy->ring);
	if (GW_COUNT_IF(trailers.len > 0 && !s->trailers_in, "trailers_without_buffer") &&
	    c->role == H2_CLIENT) {
		no_buffer(s); /* They may say how the call has ended (gRPC). */
		return;
	}
	s->in_ended = true;
	h2_touch(s);
	if (!s->trailers_in)
		return; /* A request's are optional by nature (RFC 9110 6.5.1). */
	memcpy(ring_buf_data(s->trailers_in), trailers.ptr, trailers.len);
	s->trailers_in->len = (uint32_t)trailers.len;
}

void h2_in_malformed(void *owner, void *stream, enum reason reason)
{
	struct h2 *c = owner;
	struct h2_stream *s = stream;
	struct stream_fault fault = { .reason = (uint16_t)reason };

	if (c->role == H2_CLIENT)
		fault = (struct stream_fault){ .status = s->in_begun ? 0 : 502,
					       .reason = reason == REASON_H2_CL_MISMATCH
								 ? REASON_UPSTREAM_FRAMING
								 : REASON_UPSTREAM_HEADER };
	h2_stream_fault(s, &fault);
}

/* Both messages are complete, or the peer gave the stream up. */
static void server_closed(struct h2 *c, struct h2_stream *s)
{
	const struct stream_fault fault = { .reason = REASON_CLIENT_ABORT };

	if (s->in_ended && s->out_sent)
		return;
	if (ring_now_ns(c->proxy->ring) - s->born_ns < YOUNG_NS)
		h2_session_charge(c->session, H2_SCORE_RESET, REASON_H2_RESET_FLOOD);
	h2_stream_fault(s, &fault);
}

/* A complete response is passed on, even if its peer did not want all of the request. */
static void client_closed(struct h2_stream *s, uint32_t code)
{
	struct stream_fault fault = h2_stream_lost(s, REASON_UPSTREAM_RESET);

	if (s->in_ended) {
		h2_touch(s);
		return;
	}
	fault.untouched = false;
	if (!s->in_begun && code == H2_CODE_REFUSED_STREAM)
		fault.untouched = fault.refused = true;
	else if (!s->in_begun && code == H2_CODE_HTTP_1_1_REQUIRED)
		fault.reason = REASON_UPSTREAM_PROTOCOL_MISMATCH;
	h2_stream_fault(s, &fault);
}

void h2_in_closed(void *owner, void *stream, uint32_t code)
{
	struct h2_stream *s = stream;
	struct h2 *c = owner;

	s->dead = true;
	if (c->role == H2_SERVER)
		server_closed(c, s);
	else
		client_closed(s, code);
}

/* --- To the users. --------------------------------------------------------------------------- */

/*
 * All that was announced has come, but not the end: the message is not complete, and must
 * not look so to those who count its bytes. The last of them wait for it.
 */
static bool waits_for_end(const struct h2_stream *s)
{
	return s->lacks == 0 && !s->in_ended && list_first(&s->in) == list_last(&s->in);
}

/* True when 's' is still there. */
static bool tell_body(struct h2 *c, struct h2_stream *s)
{
	while (!list_is_empty(&s->in) && !s->in_dead) {
		struct ring_buf *buf = list_entry(list_first(&s->in), struct ring_buf, link);
		bool last;

		if (buf->len > s->credit || waits_for_end(s))
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
	struct ring *ring = s->c->proxy->ring; /* The user may end the stream. */
	struct ring_buf *trailers = s->trailers_in;

	s->in_told = true;
	s->trailers_in = NULL;
	if (!trailers) {
		s->stream.user->body(&s->stream, NULL, true);
		return;
	}
	s->stream.user->trailers(&s->stream, slice_make(ring_buf_data(trailers), trailers->len));
	ring_buf_give(ring, trailers);
}

/* What has gone wrong on our side, or with the rest of a request that was answered already. */
static void look_after(struct h2_stream *s)
{
	struct stream_fault fault = { .status = 503, .reason = REASON_OVERLOAD_BUFFERS };

	if (s->failed && h2_stream_is_known(s))
		h2_session_reset(s->c->session, s->id, H2_CODE_INTERNAL_ERROR);
	if (!s->failed && s->c->role == H2_CLIENT && s->dead && s->in_told && !s->out_sent)
		fault = h2_stream_lost(s, REASON_UPSTREAM_RESET);
	else if (!s->failed)
		return;
	h2_stream_fault(s, &fault);
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
	if (c->telling == s)
		look_after(s);
	c->telling = NULL;
}

/*
 * What a user made of a head is used until the flush that follows (stream.h): no other head may
 * be told in between, although many come at once. What has come behind the head goes along.
 */
static void deliver_headed(struct h2 *c)
{
	struct h2_stream *s = c->headed;

	c->headed = NULL;
	if (!s)
		return;
	list_remove(&s->touched);
	deliver(c, s);
}

void h2_in_deliver(struct h2 *c)
{
	deliver_headed(c);
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
		if (!s->in_ended && h2_stream_is_known(s))
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

static void give_up(struct h2 *c, struct h2_stream *s)
{
	struct stream_fault fault = h2_stream_lost(s, c->role == H2_SERVER ? REASON_CLIENT_ABORT
									   : REASON_UPSTREAM_RESET);

	if (h2_stream_is_known(s))
		h2_session_reset(c->session, s->id, H2_CODE_CANCEL);
	h2_stream_fault(s, &fault);
}

static void input_ended(struct h2 *c, int32_t res)
{
	c->eof = true;
	c->mute |= c->role == H2_CLIENT && res < 0;
	if ((res < 0 && !c->mute) || c->state >= H2_SAYING) {
		h2_end(c, c->state >= H2_SAYING ? REASON_NONE : REASON_CLIENT_ABORT);
		return;
	}
	/* Half-closed: messages that it has sent in full still count. */
	for (struct list_node *node = c->streams.head.next, *next; node != &c->streams.head;
	     node = next) {
		struct h2_stream *s = list_entry(node, struct h2_stream, all);

		next = node->next;
		if (!s->in_ended)
			give_up(c, s);
	}
	h2_settle(c);
	if (c->state != H2_CLOSED && res >= 0)
		transport_watch(&c->transport);
}

/* A server begins with SETTINGS (RFC 9113 3.4); who does not speaks something else. */
static bool is_foreign(struct h2 *c, const struct ring_buf *buf)
{
	enum http_speech speech;

	if (c->role == H2_SERVER || c->heard_ns > 0)
		return false;
	speech = http_speech_of(slice_make(ring_buf_data(buf), buf->len));
	return speech == HTTP_SPEECH_HTTP1 || speech == HTTP_SPEECH_TLS;
}

static void feed(struct h2 *c, struct ring_buf *buf)
{
	if (is_foreign(c, buf)) {
		h2_end(c, REASON_UPSTREAM_PROTOCOL_MISMATCH);
		return;
	}
	c->heard_ns = ring_now_ns(c->proxy->ring);
	c->suspect = false;
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
	metric_add(c->proxy->metrics,
		   c->role == H2_SERVER ? METRIC_CLIENT_BYTES_IN : METRIC_UPSTREAM_BYTES_IN,
		   (uint64_t)res);
	if (c->state < H2_SAYING)
		feed(c, buf);
	else
		c->lingered += (uint32_t)res;
	ring_buf_give(c->proxy->ring, buf);
	h2_settle(c);
	if (c->state != H2_CLOSED)
		transport_read(&c->transport, true);
}
