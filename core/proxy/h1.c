/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/h1.h"

#include <string.h>

#include "core/proxy/proxy.h"

#define TO(state) (1u << H1_IN_##state)
static const uint16_t may_follow[H1_IN_N_STATES] = {
#define X(name, next) [H1_IN_##name] = (next),
	H1_IN_STATES(X)
#undef X
};

static void next_request(struct h1 *c)
{
	c->out_begun = false;
	c->out_ended = false;
	c->declined = false;
	c->owner->phase(c, CODEC_PHASE_IDLE);
}

void h1_enter(struct h1 *c, enum h1_in_state next)
{
	GW_ASSERT(may_follow[c->in_state] & (1u << next));
	c->in_state = (uint8_t)next;
	switch (next) {
	case H1_IN_HEAD:
		if (c->role == H1_SERVER)
			next_request(c);
		break;
	case H1_IN_DRAIN:
		c->drained = 0;
		h1_trailers_forget(c);
		c->owner->phase(c, CODEC_PHASE_DRAIN);
		break;
	case H1_IN_LINGER:
		c->drained = 0;
		c->owner->phase(c, CODEC_PHASE_LINGER);
		break;
	case H1_IN_IDLE:
	case H1_IN_BODY:
	case H1_IN_DONE:
	case H1_IN_DEAD:
		break;
	case H1_IN_N_STATES:
		GW_UNREACHABLE();
	}
}

static void written(struct transport *t, int res)
{
	h1_out_written(GW_CONTAINER_OF(t, struct h1, transport), res);
}

static void bytes(struct transport *t, struct ring_buf *buf, int32_t res, bool more)
{
	struct h1 *c = GW_CONTAINER_OF(t, struct h1, transport);

	c->more = more;
	h1_in_bytes(c, buf, res);
}

static void closed(struct transport *t)
{
	struct h1 *c = GW_CONTAINER_OF(t, struct h1, transport);

	c->writing = false;
	h1_out_forget(c);
	h1_check(c);
	c->owner->closed(c);
}

static const struct transport_user transport_user = {
	.bytes = bytes,
	.written = written,
	.closed = closed,
};

void h1_init(struct h1 *c, enum h1_role role, struct proxy *proxy, const struct h1_owner *owner)
{
	GW_ASSERT(!c->transport.closing && !transport_is_reading(&c->transport));
	memset((char *)c + sizeof(c->transport), 0, sizeof(*c) - sizeof(c->transport));
	c->transport.user = &transport_user;
	c->role = (uint8_t)role;
	c->proxy = proxy;
	c->owner = owner;
	c->in_state = role == H1_SERVER ? H1_IN_HEAD : H1_IN_IDLE;
	c->stream.codec = &h1_codec;
	list_init(&c->out_bufs);
}

void h1_start(struct h1 *c, struct ring_buf *first)
{
	GW_ASSERT(c->role == H1_SERVER && c->in_state == H1_IN_HEAD);
	c->owner->phase(c, CODEC_PHASE_IDLE);
	if (first)
		h1_in_bytes(c, first, (int32_t)first->len);
	else
		transport_read(&c->transport, true);
}

void h1_watch(struct h1 *c)
{
	GW_ASSERT(c->role == H1_CLIENT && c->in_state == H1_IN_IDLE);
	if (!transport_is_reading(&c->transport))
		h1_in_wait(c);
}

struct stream *h1_open_stream(struct h1 *c)
{
	GW_ASSERT(c->role == H1_CLIENT && c->in_state == H1_IN_IDLE);
	GW_ASSERT(!c->open && !c->closing && !c->last);
	c->open = true;
	return &c->stream;
}

/* What it has been asked for may have been granted by now, by an answer that nobody reads. */
static bool may_be_tunnel(const struct h1 *c)
{
	return c->role == H1_CLIENT && c->upgrade && c->in_state == H1_IN_HEAD;
}

/*
 * An end that only the connection's end tells must not look like a good one: of a response, or of
 * either side of a tunnel.
 */
static bool is_cut_short(const struct h1 *c)
{
	bool all = c->out_ended && c->out_head.len == 0 && list_is_empty(&c->out_bufs);

	return (c->out_begun && !all && c->out_body == HTTP_BODY_UNTIL_CLOSE) || may_be_tunnel(c);
}

void h1_close(struct h1 *c, bool abort)
{
	if (c->closing)
		return;
	abort = abort || is_cut_short(c);
	c->closing = true;
	c->open = false;
	h1_in_forget(c);
	h1_out_forget(c);
	transport_close(&c->transport, abort);
}

void h1_last(struct h1 *c)
{
	GW_ASSERT(c->role == H1_SERVER);
	c->last = true;
	/* One that has just come may be about to ask: its first request is not lost. */
	if (!c->open && c->in_state == H1_IN_HEAD && !c->head && !c->held && c->n_messages > 0)
		h1_ended(c, REASON_DRAINING);
}

void h1_ended(struct h1 *c, enum reason reason)
{
	if (c->closing)
		return;
	h1_close(c, false);
	c->owner->ended(c, reason);
}

void h1_fault(struct h1 *c, uint16_t status, enum reason reason, bool untouched)
{
	struct stream_fault fault = { .status = status,
				      .reason = (uint16_t)reason,
				      .untouched = untouched };
	bool open = c->open;

	if (c->closing)
		return;
	h1_close(c, false);
	if (open)
		c->stream.user->reset(&c->stream, &fault);
	c->owner->ended(c, open ? REASON_NONE : reason);
}

/* May another message follow on this connection? */
static bool can_go_on(const struct h1 *c)
{
	return !c->last && !c->eof;
}

void h1_linger(struct h1 *c)
{
	GW_ASSERT(c->role == H1_SERVER && !c->open && !c->writing);
	transport_finish(&c->transport);
	h1_enter(c, H1_IN_LINGER);
}

bool h1_lingers_for_bytes(struct h1 *c)
{
	bool came = c->in_state == H1_IN_LINGER && c->drained > 0;

	c->drained = 0;
	return came;
}

void h1_switch(struct h1 *c)
{
	GW_ASSERT(c->open && !c->raw && !c->tunnel);
	c->tunnel = true;
	c->last = true;
	c->large = false;
	c->in_early = 0;
	c->in_body = HTTP_BODY_UNTIL_CLOSE;
	c->out_body = HTTP_BODY_UNTIL_CLOSE;
	c->out_ended = false;
	c->credit = c->held ? c->held->len : 0; /* What came along may be told at once. */
	h1_enter(c, H1_IN_BODY);
}

/* What has come, or waits to be read, was sent by one who did not wait for the answer. */
bool h1_decline(struct stream *s)
{
	struct h1 *c = GW_CONTAINER_OF(s, struct h1, stream);

	GW_ASSERT(c->role == H1_SERVER && c->open && !c->out_begun);
	c->declined = true;
	if (c->in_state != H1_IN_DONE || (!c->held && !transport_has_input(&c->transport)))
		return false;
	h1_in_drop(c);
	return true;
}

/* The server's reply is out. What is left of the request decides how this goes on. */
static void server_released(struct h1 *c)
{
	if (c->in_state == H1_IN_DONE && can_go_on(c)) {
		h1_enter(c, H1_IN_HEAD);
	} else if (c->in_state == H1_IN_BODY && can_go_on(c)) {
		h1_enter(c, H1_IN_DRAIN);
	} else if (c->eof || (c->in_state == H1_IN_DONE && !c->lingering && !c->held)) {
		h1_ended(c, REASON_NONE);
		return;
	} else {
		if (c->in_state == H1_IN_BODY)
			h1_enter(c, H1_IN_DRAIN);
		h1_linger(c);
	}
	if (!c->looping)
		h1_in_advance(c);
}

static void client_released(struct h1 *c)
{
	bool waiting = (c->held || c->more) &&
		       !c->tunnel; /* It would be taken for the next answer. */
	/* What waits sealed may be a ticket, or the word of an end. */
	bool excess = !c->tunnel && (c->held || (c->more && !c->transport.sealed));

	if (c->in_state != H1_IN_DONE || !can_go_on(c) || waiting) {
		h1_ended(c, excess ? REASON_UPSTREAM_EXCESS : REASON_NONE);
		return;
	}
	h1_enter(c, H1_IN_IDLE);
	c->out_begun = false;
	c->out_ended = false;
	c->owner->idle(c);
	if (!c->closing)
		h1_watch(c);
}

static void stream_release(struct stream *s)
{
	struct h1 *c = GW_CONTAINER_OF(s, struct h1, stream);

	GW_ASSERT(c->open && !c->closing && !c->raw);
	GW_ASSERT(!c->writing && c->out_head.len == 0 && list_is_empty(&c->out_bufs));
	c->open = false;
	c->n_messages++;
	c->credit = 0;
	if (c->role == H1_SERVER)
		server_released(c);
	else
		client_released(c);
}

/* An end that only the connection's end tells must not look like a good one. */
void h1_cut(struct h1 *c, bool abort)
{
	h1_close(c, abort || c->out_body == HTTP_BODY_UNTIL_CLOSE);
	c->owner->ended(c, REASON_NONE);
}

static void stream_reset(struct stream *s, bool abort)
{
	struct h1 *c = GW_CONTAINER_OF(s, struct h1, stream);

	if (c->closing)
		return;
	if (c->role == H1_SERVER && !abort && h1_out_is_pending(c)) {
		c->open = false;
		c->last = true;
		h1_in_forget(c);
		if (c->in_state != H1_IN_DEAD)
			h1_enter(c, H1_IN_DEAD);
		/* h1_out_written() ends it, or that deadline. */
		c->owner->phase(c, CODEC_PHASE_LINGER);
		h1_flush(&c->stream);
		return;
	}
	h1_cut(c, abort);
}

void h1_check(const struct h1 *c)
{
	GW_ASSERT(c->in_state < H1_IN_N_STATES);
	GW_ASSERT(!c->writing || !list_is_empty(&c->out_bufs));
	GW_ASSERT(!c->head || c->in_state == H1_IN_HEAD);
	GW_ASSERT(!c->raw || (c->in_state == H1_IN_BODY && !c->held));
	GW_ASSERT(!c->out_ended || c->out_begun);
	if (c->closing)
		GW_ASSERT(!c->held && !c->head && !c->trailers && !c->open);
	if (c->role == H1_CLIENT && c->in_state == H1_IN_IDLE)
		GW_ASSERT(!c->held && list_is_empty(&c->out_bufs));
}

const struct codec h1_codec = {
	.name = "h1",
	.encode_request = h1_encode_request,
	.encode_response = h1_encode_response,
	.send_head = h1_send_head,
	.decline = h1_decline,
	.is_held_back = h1_is_held_back,
	.send_info = h1_send_info,
	.send_body = h1_send_body,
	.send_trailers = h1_send_trailers,
	.flush = h1_flush,
	.credit = h1_credit,
	.raw_in = h1_raw_in,
	.raw_in_done = h1_raw_in_done,
	.raw_out = h1_raw_out,
	.raw_out_done = h1_raw_out_done,
	.release = stream_release,
	.reset = stream_reset,
};
