/* SPDX-License-Identifier: Apache-2.0 */
/* h1, the reading side: bytes to events. */
#include "core/proxy/h1.h"

#include <errno.h>

#include "core/proxy/proxy.h"

enum {
	DRAIN_MAX = 65536, /* Of an unwanted body, for the sake of the connection. */
	/*
	 * So much of each body is received as heads are, from buffers that large
	 * bodies are kept from: a small message never waits behind a large one.
	 */
	SMALL_BODY = 16384,
	FIRST_MAX = 4096, /* Of what is expected to be long: a head and some bytes. */
};

void h1_held_skip(struct h1 *c, uint32_t n)
{
	GW_ASSERT(n <= c->held->len);
	c->held->start += n;
	c->held->len -= n;
}

void h1_held_give(struct h1 *c)
{
	ring_buf_give(c->transport.ring, c->held);
	c->held = NULL;
}

static void head_forget(struct h1 *c)
{
	if (c->head)
		slab_free(&c->proxy->heads, c->head);
	c->head = NULL;
}

void h1_trailers_forget(struct h1 *c)
{
	if (c->trailers)
		ring_buf_give(c->transport.ring, c->trailers);
	c->trailers = NULL;
}

void h1_in_forget(struct h1 *c)
{
	if (c->held)
		h1_held_give(c);
	h1_trailers_forget(c);
	head_forget(c);
}

/* --- Bodies. --------------------------------------------------------------------------------- */

/*
 * The first 'n' of the held bytes as a buffer of their own, which the caller
 * holds; what stands behind 'used' stays held. NULL when there is no buffer.
 */
static struct ring_buf *held_split(struct h1 *c, uint32_t n, uint32_t used)
{
	struct ring_buf *buf = c->held;
	uint32_t rest = buf->len - used;

	c->held = NULL;
	if (rest > 0) {
		c->held = ring_buf_take(c->transport.ring);
		if (!c->held) {
			c->held = buf;
			return NULL;
		}
		memcpy(ring_buf_data(c->held), ring_buf_data(buf) + used, rest);
		c->held->len = rest;
	}
	buf->len = n;
	return buf;
}

static void no_buffer(struct h1 *c)
{
	GW_COUNT_IF(true, "body_split_without_buffer");
	h1_fault(c, 503, REASON_OVERLOAD_BUFFERS, false);
}

static void passed(struct h1 *c, uint64_t n)
{
	uint64_t sum = c->in_early + n;

	c->in_early = (uint16_t)(sum < SMALL_BODY ? sum : SMALL_BODY);
}

static void deliver(struct h1 *c, struct ring_buf *buf, bool end)
{
	if (buf)
		passed(c, buf->len);
	if (end)
		h1_enter(c, H1_IN_DONE);
	c->stream.user->body(&c->stream, buf, end);
}

static void step_plain(struct h1 *c)
{
	uint64_t n = c->held->len;
	struct ring_buf *buf;

	if (c->in_body == HTTP_BODY_LENGTH && n > c->in_left)
		n = c->in_left;
	GW_ASSERT(n <= c->credit && n > 0);
	buf = held_split(c, (uint32_t)n, (uint32_t)n);
	if (!buf) {
		no_buffer(c);
		return;
	}
	c->credit -= n;
	if (c->in_body == HTTP_BODY_LENGTH)
		c->in_left -= n;
	deliver(c, buf, c->in_body == HTTP_BODY_LENGTH && c->in_left == 0);
}

/* Trailers that are not complete yet outlive the buffer they came in. */
static bool trailers_keep(struct h1 *c)
{
	uint32_t len =
		(uint32_t)c->trailers_len + c->chunks.line; /* The line that has begun, too. */

	if (len == 0 || c->trailers)
		return true;
	c->trailers = ring_buf_take(c->transport.ring);
	if (!c->trailers)
		return false;
	memcpy(c->trailers->mem, c->proxy->trailers,
	       len < CHUNK_TRAILERS_MAX ? len : CHUNK_TRAILERS_MAX);
	return true;
}

static struct slice trailers_text(const struct h1 *c)
{
	return slice_make(c->trailers ? (char *)c->trailers->mem : c->proxy->trailers,
			  c->trailers_len);
}

static void chunks_done(struct h1 *c, struct ring_buf *buf)
{
	struct slice lines = trailers_text(c);
	struct ring_buf *kept = c->trailers;

	c->trailers = NULL; /* Ours until they are told: the connection may end meanwhile. */
	c->trailers_len = 0;
	if (lines.len == 0) {
		deliver(c, buf, true);
	} else {
		h1_enter(c, H1_IN_DONE);
		if (buf)
			c->stream.user->body(&c->stream, buf, false);
		if (c->open)
			c->stream.user->trailers(&c->stream, lines);
	}
	if (kept)
		ring_buf_give(c->transport.ring, kept);
}

static void chunks_refused(struct h1 *c, struct http_refusal refusal)
{
	if (c->role == H1_CLIENT) {
		h1_fault(c, 502, REASON_UPSTREAM_CHUNK, false);
		return;
	}
	struct stream_fault fault = { .status = refusal.status,
				      .reason = refusal.reason,
				      .untouched = false };

	/* The client can still be told; nothing more of what it says is believed. */
	h1_held_give(c);
	h1_enter(c, H1_IN_DEAD);
	c->last = true;
	c->lingering = true;
	c->stream.user->malformed(&c->stream, &fault);
}

static void step_chunks(struct h1 *c)
{
	char *trailers = c->trailers ? (char *)c->trailers->mem : c->proxy->trailers;
	struct chunk_piece piece;
	struct ring_buf *buf = NULL;

	piece = chunk_feed(&c->chunks, (char *)ring_buf_data(c->held), c->held->len, trailers,
			   &c->trailers_len);
	if (piece.progress == CHUNK_REFUSED) {
		chunks_refused(c, piece.refusal);
		return;
	}
	if (piece.payload_len > 0) {
		buf = held_split(c, piece.payload_len, piece.used);
	} else {
		h1_held_skip(c, piece.used);
		if (c->held->len == 0)
			h1_held_give(c);
	}
	if ((piece.payload_len > 0 && !buf) ||
	    (piece.progress == CHUNK_MORE && !trailers_keep(c))) {
		if (buf)
			ring_buf_give(c->transport.ring, buf);
		no_buffer(c);
		return;
	}
	c->credit -= piece.payload_len < c->credit ? piece.payload_len : c->credit;
	if (piece.progress == CHUNK_END)
		chunks_done(c, buf);
	else if (buf)
		deliver(c, buf, false);
}

/* --- Bytes that nobody wants. ---------------------------------------------------------------- */

/* Wire bytes of what is held that belong to the unwanted body; *ret_end when it ends there. */
static uint32_t unwanted(struct h1 *c, bool *ret_end)
{
	uint32_t n = c->held->len;
	struct chunk_piece piece;
	uint16_t trailers_len = 0;

	if (c->in_body == HTTP_BODY_LENGTH) {
		n = n < c->in_left ? n : (uint32_t)c->in_left;
		c->in_left -= n;
		*ret_end = c->in_left == 0;
		return n;
	}
	piece = chunk_feed(&c->chunks, (char *)ring_buf_data(c->held), n, c->proxy->trailers,
			   &trailers_len);
	*ret_end = piece.progress == CHUNK_END;
	return piece.progress == CHUNK_REFUSED ? UINT32_MAX : piece.used;
}

/* The rest of a refused request's body, so that the connection can go on behind it. */
static void step_drain(struct h1 *c)
{
	bool end = false;
	uint32_t n = unwanted(c, &end);

	if (n == UINT32_MAX || c->drained + n > DRAIN_MAX) {
		h1_linger(c);
		return;
	}
	c->drained += n;
	if (end) /* Packed chunks may have left what follows where it was. */
		h1_held_skip(c, n);
	if (!end || c->held->len == 0)
		h1_held_give(c);
	if (end)
		h1_enter(c, H1_IN_HEAD);
}

static void step_linger(struct h1 *c)
{
	c->drained = c->held->len;
	h1_held_give(c);
}

/* --- The loop. ------------------------------------------------------------------------------- */

/* One step over what is held; false when it has to stay held. */
static bool step(struct h1 *c)
{
	switch ((enum h1_in_state)c->in_state) {
	case H1_IN_HEAD:
		h1_head_step(c);
		return true;
	case H1_IN_BODY:
		if (c->in_body == HTTP_BODY_CHUNKED)
			step_chunks(c);
		else
			step_plain(c);
		return true;
	case H1_IN_DRAIN:
		step_drain(c);
		return true;
	case H1_IN_LINGER:
		step_linger(c);
		return true;
	case H1_IN_IDLE:
		h1_ended(c, REASON_UPSTREAM_UNSOLICITED);
		return true;
	case H1_IN_DEAD:
		h1_held_give(c);
		return true;
	case H1_IN_DONE: /* Belongs to the next message. */
		return false;
	case H1_IN_N_STATES:
		break;
	}
	GW_UNREACHABLE();
}

/*
 * Our side of a tunnel's connection has ended. When the peer's does as well, a
 * watch takes that for a breach, be it before all that came was read: so where
 * no read is under way, nothing is to be learnt.
 */
static bool is_blind(const struct h1 *c)
{
	bool reads = !c->eof && !c->raw && !c->held && c->credit >= RING_BUF_DATA;

	return c->tunnel && c->out_ended && !h1_out_is_pending(c) && !reads;
}

/*
 * A client that is gone ends its request, also while nothing more of it is to be
 * read; so does either end of a tunnel.
 */
static void watch(struct h1 *c)
{
	if ((c->role == H1_SERVER || c->tunnel) && c->open && c->in_state != H1_IN_DEAD &&
	    !is_blind(c))
		transport_watch(&c->transport);
}

/*
 * For a message of which nothing is here. Where the last body was long this one
 * may be, too: then only its beginning is copied, and the rest can be spliced.
 */
void h1_in_wait(struct h1 *c)
{
	if (c->large)
		transport_read_first(&c->transport, FIRST_MAX);
	else
		transport_read(&c->transport, true);
}

static void want(struct h1 *c)
{
	if (c->closing || transport_is_reading(&c->transport))
		return;
	if (c->eof || c->raw || c->held) {
		watch(c);
		return;
	}
	switch ((enum h1_in_state)c->in_state) {
	case H1_IN_IDLE:
	case H1_IN_DONE:
		h1_in_wait(c);
		break;
	case H1_IN_HEAD:
		if (c->head)
			transport_read(&c->transport, true);
		else
			h1_in_wait(c);
		break;
	case H1_IN_DRAIN:
	case H1_IN_LINGER:
		transport_read(&c->transport, true);
		break;
	case H1_IN_BODY: /* A receive may bring a whole buffer: only when that is granted. */
		if (c->credit >= RING_BUF_DATA)
			transport_read(&c->transport, c->in_early < SMALL_BODY);
		else
			watch(c);
		break;
	case H1_IN_DEAD:
		break;
	case H1_IN_N_STATES:
		GW_UNREACHABLE();
	}
}

void h1_in_advance(struct h1 *c)
{
	bool had = c->held;

	GW_ASSERT(!c->looping);
	c->looping = true;
	while (!c->closing && c->held && step(c))
		;
	c->looping = false;
	if (had && c->open && !c->closing)
		c->stream.user->flush(&c->stream, c->more);
	if (!c->closing)
		want(c);
}

/* --- The peer's end. ------------------------------------------------------------------------- */

/* Of what had no other end: all of it has come. */
static void body_ended(struct h1 *c)
{
	deliver(c, NULL, true);
	if (c->open)
		c->stream.user->flush(&c->stream, c->more);
	if (c->tunnel && !c->closing)
		want(c);
}

static void server_input_ended(struct h1 *c, int32_t res)
{
	if (res < 0 && is_blind(c))
		return;
	c->eof = true;
	switch ((enum h1_in_state)c->in_state) {
	case H1_IN_HEAD:
		h1_ended(c, c->head ? REASON_CLIENT_ABORT : REASON_NONE);
		break;
	case H1_IN_BODY:
		if (res == 0 && c->tunnel && !c->out_dead)
			body_ended(c);
		else
			h1_fault(c, 0, REASON_CLIENT_ABORT, false);
		break;
	case H1_IN_DONE:
	case H1_IN_DEAD: /* Half-closed: it still gets its reply. */
		if (res < 0)
			h1_fault(c, 0, REASON_CLIENT_ABORT, false);
		else
			watch(c);
		break;
	case H1_IN_DRAIN:
	case H1_IN_LINGER:
		h1_ended(c, REASON_NONE);
		break;
	case H1_IN_IDLE:
	case H1_IN_N_STATES:
		GW_UNREACHABLE();
	}
}

/* Whoever writes first is told of a reset; a receive then only finds an end. */
static enum reason cut_reason(const struct h1 *c, int32_t res)
{
	bool until_close = c->in_body == HTTP_BODY_UNTIL_CLOSE;

	if (res == -ECONNABORTED || (res == 0 && !(c->out_dead && until_close)))
		return REASON_UPSTREAM_TRUNCATED;
	return REASON_UPSTREAM_RESET_MIDBODY;
}

static void client_input_ended(struct h1 *c, int32_t res)
{
	if (res < 0 && is_blind(c))
		return;
	c->eof = true;
	switch ((enum h1_in_state)c->in_state) {
	case H1_IN_IDLE:
		h1_ended(c, REASON_NONE);
		break;
	case H1_IN_HEAD:
		/* Of what was an answer to a hello at first: TLS 1.3 is refused only behind it. */
		h1_fault(c, 502, res == -EPROTO ? REASON_UPSTREAM_TLS : REASON_UPSTREAM_RESET,
			 !c->head);
		break;
	case H1_IN_BODY:
		if (res == 0 && !c->out_dead && c->in_body == HTTP_BODY_UNTIL_CLOSE) {
			body_ended(c);
		} else {
			h1_fault(c, 0, cut_reason(c, res), false);
		}
		break;
	case H1_IN_DONE: /* Noted; release() will not keep the connection. */
		if (c->tunnel && res < 0)
			h1_fault(c, 0, REASON_UPSTREAM_RESET_MIDBODY, false);
		break;
	case H1_IN_DEAD:
	case H1_IN_DRAIN:
	case H1_IN_LINGER:
	case H1_IN_N_STATES:
		GW_UNREACHABLE();
	}
}

/*
 * A pooled connection's peer spoke before it was asked, and we were told of it
 * only after we had chosen the connection: it must not become somebody's answer.
 * The first write is the head alone or all of the request, and what is an answer
 * to it comes behind the answer of that write (ring.h, order).
 */
static bool answers_nothing(const struct h1 *c)
{
	return c->role == H1_CLIENT && c->in_state == H1_IN_HEAD && c->n_messages > 0 &&
	       !c->out_moved;
}

/* So too are bytes whose sender has seen nothing of the answer that does not switch. */
static bool came_early(const struct h1 *c)
{
	return c->declined && c->in_state == H1_IN_DONE && !c->out_moved;
}

void h1_in_drop(struct h1 *c)
{
	if (c->held)
		h1_held_give(c);
	h1_enter(c, H1_IN_DEAD);
	c->last = true;
	c->lingering = true;
}

void h1_in_switched(struct h1 *c)
{
	if (c->held)
		h1_in_advance(c);
	if (!c->closing && c->eof && c->in_state == H1_IN_BODY)
		body_ended(c);
}

void h1_in_bytes(struct h1 *c, struct ring_buf *buf, int32_t res)
{
	if (res <= 0) {
		if (c->role == H1_SERVER)
			server_input_ended(c, res);
		else
			client_input_ended(c, res);
		return;
	}
	GW_ASSERT(!c->held && !c->raw);
	metric_add(c->proxy->metrics,
		   c->role == H1_SERVER ? METRIC_CLIENT_BYTES_IN : METRIC_UPSTREAM_BYTES_IN,
		   (uint64_t)res);
	c->held = buf;
	if (answers_nothing(c)) {
		h1_fault(c, 502, REASON_UPSTREAM_UNSOLICITED, true);
		return;
	}
	if (GW_COUNT_IF(came_early(c), "upgrade_bytes_before_answer"))
		h1_in_drop(c);
	else
		h1_in_advance(c);
}

/* --- Credit and raw bytes. ------------------------------------------------------------------- */

void h1_credit(struct stream *s, uint64_t n)
{
	struct h1 *c = GW_CONTAINER_OF(s, struct h1, stream);

	GW_ASSERT(c->open);
	c->credit += n;
	if (!c->looping)
		want(c);
}

int32_t h1_raw_in(struct stream *s, uint64_t *ret_len)
{
	struct h1 *c = GW_CONTAINER_OF(s, struct h1, stream);
	int32_t file;

	if (c->in_state != H1_IN_BODY || c->held || c->eof ||
	    (c->in_body != HTTP_BODY_LENGTH && !c->tunnel))
		return -ENOTSUP;
	if (transport_is_reading(&c->transport))
		return -ENOTSUP;
	file = transport_raw_file(&c->transport);
	if (file < 0)
		return -ENOTSUP;
	c->raw = true;
	watch(c);
	*ret_len = c->tunnel ? UINT64_MAX : c->in_left;
	return file;
}

void h1_raw_in_done(struct stream *s, uint64_t n, int res)
{
	struct h1 *c = GW_CONTAINER_OF(s, struct h1, stream);

	GW_ASSERT(c->raw && (c->tunnel || n <= c->in_left));
	metric_add(c->proxy->metrics,
		   c->role == H1_SERVER ? METRIC_CLIENT_BYTES_IN : METRIC_UPSTREAM_BYTES_IN, n);
	c->raw = false;
	passed(c, n);
	if (!c->tunnel)
		c->in_left -= n;
	if (n > 0)
		c->more = transport_has_input(&c->transport);
	c->eof = c->eof || res <= 0;
	if (!c->tunnel && c->in_left == 0)
		h1_enter(c, H1_IN_DONE);
	if (!c->looping)
		want(c);
}
