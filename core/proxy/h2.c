/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/h2.h"

#include <errno.h>
#include <string.h>

#include "core/proxy/proxy.h"

/* Who gives a request up sooner has cancelled it, and that says nothing about the peer. */
#define SILENCE_NS (1 * GW_NS_PER_S)

#define TO(state) (1u << H2_##state)
static const uint8_t may_follow[H2_N_STATES] = {
#define X(name, next) [H2_##name] = (next),
	H2_STATES(X)
#undef X
};

static void tell_phase(struct h2 *c)
{
	enum codec_phase next = CODEC_PHASE_IDLE;

	if (c->state >= H2_SAYING)
		next = CODEC_PHASE_LINGER;
	else if (h2_session_in_section(c->session)) /* Whatever runs: it may hold a block. */
		next = CODEC_PHASE_HEAD;
	else if (c->n_streams > 0)
		next = CODEC_PHASE_BUSY;
	if (c->role == H2_CLIENT || (next == c->phase && c->phase_told))
		return;
	c->phase = (uint8_t)next;
	c->phase_told = true;
	c->owner->phase(c, next);
}

void h2_enter(struct h2 *c, enum h2_state next)
{
	GW_ASSERT(may_follow[c->state] & (1u << next));
	c->state = (uint8_t)next;
	switch (next) {
	case H2_LEAVING:
		h2_session_shut(c->session);
		break;
	case H2_SAYING:
		tell_phase(c);
		break;
	case H2_LINGER:
		transport_finish(&c->transport);
		break;
	case H2_CLOSED:
		h2_session_close(c->session);
		c->session = NULL;
		break;
	case H2_OPEN:
	case H2_N_STATES:
		GW_UNREACHABLE();
	}
}

/* --- Streams. -------------------------------------------------------------------------------- */

struct h2_stream *h2_stream_begin(struct h2 *c, int32_t id)
{
	struct h2_stream *s = slab_zalloc(&c->proxy->h2_streams);

	if (!s)
		return NULL;
	s->stream.codec = &h2_codec;
	s->c = c;
	s->id = id;
	s->code = c->role == H2_SERVER ? H2_CODE_INTERNAL_ERROR : H2_CODE_CANCEL;
	s->credit = RING_BUF_DATA; /* May come along with the head. */
	s->lacks = UINT64_MAX;
	s->born_ns = ring_now_ns(c->proxy->ring);
	list_init(&s->in);
	list_init(&s->out);
	list_push_back(&c->streams, &s->all);
	c->n_streams++;
	c->n_begun++;
	return s;
}

static void give_all(struct ring *ring, struct list *bufs)
{
	for (struct list_node *node; (node = list_pop_front(bufs));)
		ring_buf_give(ring, list_entry(node, struct ring_buf, link));
}

void h2_stream_free(struct h2_stream *s)
{
	struct h2 *c = s->c;

	give_all(c->proxy->ring, &s->in);
	give_all(c->proxy->ring, &s->out);
	if (s->trailers_in)
		ring_buf_give(c->proxy->ring, s->trailers_in);
	if (s->trailers_out)
		ring_buf_give(c->proxy->ring, s->trailers_out);
	if (h2_stream_is_known(s))
		h2_session_attach(c->session, s->id, NULL);
	if (s->owed > 0)
		h2_session_grant_connection(c->session, s->owed);
	list_remove(&s->all);
	if (list_node_is_linked(&s->touched))
		list_remove(&s->touched);
	if (list_node_is_linked(&s->flown))
		list_remove(&s->flown);
	if (c->telling == s)
		c->telling = NULL;
	if (c->headed == s)
		c->headed = NULL;
	c->n_streams--;
	slab_free(&c->proxy->h2_streams, s);
	h2_soon(c);
}

bool h2_stream_is_known(const struct h2_stream *s)
{
	return s->id >= 0 && !s->dead;
}

void h2_stream_fault(struct h2_stream *s, const struct stream_fault *fault)
{
	struct stream_fault told = *fault;

	if (told.refused && !s->out_left && !s->trailers_out && !s->failed)
		told.unsent = &s->out;
	if (s->stream.user)
		s->stream.user->reset(&s->stream, &told);
	h2_stream_free(s);
}

struct stream_fault h2_stream_lost(const struct h2_stream *s, enum reason reason)
{
	if (s->c->role == H2_SERVER)
		return (struct stream_fault){ .reason = (uint16_t)reason };
	if (s->in_begun)
		return (struct stream_fault){ .reason = REASON_UPSTREAM_RESET_MIDBODY };
	return (struct stream_fault){ .status = (uint16_t)reason_status(reason),
				      .reason = (uint16_t)reason,
				      .untouched = true };
}

void h2_fault_all(struct h2 *c, enum reason reason)
{
	for (struct list_node *node; (node = list_first(&c->streams));) {
		struct h2_stream *s = list_entry(node, struct h2_stream, all);
		struct stream_fault fault = h2_stream_lost(s, reason);

		h2_stream_fault(s, &fault);
	}
}

void h2_touch(struct h2_stream *s)
{
	if (!list_node_is_linked(&s->touched))
		list_push_back(&s->c->touched, &s->touched);
}

static void stream_release(struct stream *stream)
{
	struct h2_stream *s = GW_CONTAINER_OF(stream, struct h2_stream, stream);
	struct h2 *c = s->c;

	GW_ASSERT(s->out_told);
	/* RFC 9113 8.1: the rest of the request is not needed. */
	if (h2_stream_is_known(s) && !s->in_ended)
		h2_session_reset(c->session, s->id, H2_CODE_NO_ERROR);
	h2_session_forgive(c->session);
	h2_stream_free(s);
}

/* A peer that has not taken what is there for a long time is told so, and remembered for it. */
static bool is_held_back(struct stream *stream)
{
	const struct h2_stream *s = GW_CONTAINER_OF(stream, struct h2_stream, stream);

	return s->out_len > 0 && h2_stream_is_known(s) &&
	       h2_session_is_stalled(s->c->session, s->id);
}

static uint32_t code_of(struct h2_stream *s, bool abort)
{
	if (s->c->role == H2_CLIENT)
		return s->code;
	if (!s->stream.user)
		return H2_CODE_REFUSED_STREAM; /* Nobody has looked at it. */
	if (!abort || !is_held_back(&s->stream))
		return s->code; /* What the upstream has broken off is not its client's fault. */
	h2_session_charge(s->c->session, H2_SCORE_STALLED, REASON_H2_STALLED);
	return H2_CODE_CANCEL;
}

/* A peer that has said nothing at all since the request was made, long ago, may be gone: ask. */
static void suspect(struct h2_stream *s)
{
	struct h2 *c = s->c;

	if (c->role == H2_SERVER || c->suspect || !s->out_begun || c->heard_ns >= s->born_ns ||
	    ring_now_ns(c->proxy->ring) - s->born_ns < SILENCE_NS)
		return;
	c->suspect = true;
	h2_session_ping(c->session);
}

static void stream_reset(struct stream *stream, bool abort)
{
	struct h2_stream *s = GW_CONTAINER_OF(stream, struct h2_stream, stream);

	/* Even if not 'abort': what waits for the peer's window would wait too long. */
	suspect(s);
	if (h2_stream_is_known(s))
		h2_session_reset(s->c->session, s->id, code_of(s, abort));
	h2_stream_free(s);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is every codec's. */
static int32_t no_raw(struct stream *s, uint64_t *ret_len)
{
	(void)s;
	(void)ret_len;
	return -ENOTSUP; /* Frames are in between. */
}

static int32_t no_raw_out(struct stream *s, struct ring_pipe *before, uint64_t *ret_sent)
{
	(void)before;
	return no_raw(s, ret_sent);
}

/* Nothing of HTTP/2 is upgraded (RFC 9113 8.6), so nothing came early. */
static bool no_decline(struct stream *s)
{
	(void)s;
	return false;
}

static void no_raw_done(struct stream *s, uint64_t n, int res)
{
	(void)s;
	(void)n;
	(void)res;
	GW_UNREACHABLE();
}

/* --- The connection. ------------------------------------------------------------------------- */

static void closed_and_quiet(struct h2 *c)
{
	if (c->gone && !c->soon.armed)
		c->owner->closed(c);
}

static void woken(struct ring_op *op, const struct ring_answer *answer)
{
	struct h2 *c = GW_CONTAINER_OF(op, struct h2, soon);

	(void)answer;
	if (c->state == H2_CLOSED) {
		closed_and_quiet(c);
		return;
	}
	h2_in_deliver(c);
	h2_out_pump(c);
	h2_settle(c);
}

void h2_soon(struct h2 *c)
{
	if (!c->soon.armed && c->state != H2_CLOSED)
		ring_soon(c->proxy->ring, &c->soon);
}

enum reason h2_why(const struct h2 *c)
{
	enum reason reason = (enum reason)c->reason;

	if (c->role == H2_SERVER)
		return reason != REASON_NONE ? reason : REASON_CLIENT_ABORT;
	if (reason == REASON_HEADERS_TOO_LARGE || reason == REASON_H2_CONTINUATION)
		return REASON_UPSTREAM_HEADER;
	return reason == REASON_UPSTREAM_PROTOCOL_MISMATCH ? reason : REASON_UPSTREAM_RESET;
}

void h2_end(struct h2 *c, enum reason reason)
{
	if (c->state == H2_CLOSED)
		return;
	if (c->reason == REASON_NONE)
		c->reason = (uint16_t)reason;
	c->ending = true;
	h2_fault_all(c, h2_why(c));
	if (c->block)
		slab_free(&c->proxy->heads, c->block);
	c->block = NULL;
	h2_enter(c, H2_CLOSED);
	transport_close(&c->transport, false);
	c->owner->ended(c, c->reason);
}

void h2_leave(struct h2 *c, uint32_t code, enum reason reason)
{
	if (c->state >= H2_SAYING)
		return;
	h2_session_expel(c->session, code, reason);
	h2_settle(c);
}

void h2_last(struct h2 *c)
{
	if (c->state != H2_OPEN)
		return;
	h2_enter(c, H2_LEAVING);
	h2_soon(c);
}

static void session_is_over(struct h2 *c)
{
	if (c->reason == REASON_NONE)
		c->reason = h2_session_reason(c->session);
	c->ending = true;
	h2_fault_all(c, h2_why(c));
	h2_enter(c, H2_SAYING);
	h2_soon(c);
}

/* In a drain, one that has just come may be about to ask: its first request is not lost. */
static bool has_left(const struct h2 *c)
{
	return c->state == H2_LEAVING && c->n_streams == 0 &&
	       (c->n_begun > 0 || c->dismissed || !c->proxy->draining);
}

static void say_good_bye(struct h2 *c)
{
	enum reason trouble = h2_session_trouble(c->session);

	if (trouble != REASON_NONE)
		h2_session_expel(c->session, H2_CODE_ENHANCE_YOUR_CALM, trouble);
	else
		h2_session_expel(c->session, H2_CODE_NO_ERROR,
				 c->proxy->draining ? REASON_DRAINING : REASON_NONE);
}

/* The peer allows fewer streams now: those that were still to begin are tried elsewhere. */
static void refuse_surplus(struct h2 *c)
{
	struct stream_fault fault = {
		.status = 502, .reason = REASON_UPSTREAM_RESET, .untouched = true, .refused = true
	};

	while (c->n_streams > h2_session_streams_max(c->session)) {
		struct h2_stream *s = list_entry(list_last(&c->streams), struct h2_stream, all);

		if (!h2_stream_is_known(s) || h2_session_is_begun(c->session, s->id))
			return;
		h2_session_reset(c->session, s->id, H2_CODE_CANCEL);
		h2_stream_fault(s, &fault);
	}
}

void h2_settle(struct h2 *c)
{
	if (c->state == H2_CLOSED)
		return;
	if (c->role == H2_CLIENT && c->state < H2_SAYING)
		refuse_surplus(c);
	if (c->state == H2_OPEN && h2_session_trouble(c->session) != REASON_NONE)
		h2_enter(c, H2_LEAVING);
	if (has_left(c))
		say_good_bye(c);
	if (c->state < H2_SAYING && h2_session_is_over(c->session))
		session_is_over(c);
	if (c->eof && c->n_streams == 0) {
		h2_end(c, REASON_NONE);
		return;
	}
	tell_phase(c);
	if (c->role == H2_CLIENT)
		c->owner->changed(c);
}

bool h2_is_greeted(const struct h2 *c)
{
	return c->session && h2_session_is_greeted(c->session);
}

bool h2_has_room(const struct h2 *c)
{
	uint32_t max = c->session ? h2_session_streams_max(c->session) : 0;

	return c->state == H2_OPEN && !c->eof && !c->mute && !c->ending && !c->suspect &&
	       c->n_begun < H2_BEGUN_MAX &&
	       /* cppcheck-suppress knownConditionTrueFalse ; the peer's limit need not be 0 */
	       c->n_streams < (max < H2_STREAMS_MAX ? max : H2_STREAMS_MAX);
}

struct stream *h2_open_stream(struct h2 *c)
{
	struct h2_stream *s = h2_has_room(c) ? h2_stream_begin(c, -1) : NULL;

	return s ? &s->stream : NULL;
}

bool h2_lingers_for_bytes(struct h2 *c)
{
	bool came = c->lingered > 0;

	c->lingered = 0;
	return came;
}

static void pong(void *owner)
{
	struct h2 *c = owner;

	if (c->role == H2_SERVER && c->state == H2_LEAVING)
		h2_session_refuse_more(c->session);
}

static void gone(void *owner, int32_t last_id, uint32_t code)
{
	struct h2 *c = owner;

	(void)last_id; /* Streams beyond it are closed one by one. */
	c->dismissed = true;
	if (c->role == H2_CLIENT && code != H2_CODE_NO_ERROR) /* It will close (RFC 9113 5.4.1). */
		h2_session_expel(c->session, H2_CODE_NO_ERROR, REASON_UPSTREAM_RESET);
	else if (c->state == H2_OPEN) /* What runs goes on. */
		h2_enter(c, H2_LEAVING);
}

static void error(void *owner, bool connection, uint32_t code)
{
	struct h2 *c = owner;
	uint32_t label = code < METRIC_H2_CODE_N ? code : METRIC_H2_CODE_INTERNAL_ERROR;

	if (c->role == H2_CLIENT)
		return;
	if (connection)
		metric_inc_label(c->proxy->metrics, METRIC_H2_CONNECTION_ERRORS, label);
	else
		metric_inc_label(c->proxy->metrics, METRIC_H2_STREAM_ERRORS, label);
}

static const struct h2_events events = {
	.head = h2_in_head,
	.method = h2_in_method,
	.data = h2_in_data,
	.end = h2_in_end,
	.malformed = h2_in_malformed,
	.closed = h2_in_closed,
	.pull = h2_out_pull,
	.copy = h2_out_copy,
	.ended = h2_out_ended,
	.gone = gone,
	.pong = pong,
	.error = error,
};

static void bytes(struct transport *t, struct ring_buf *buf, int32_t res, bool more)
{
	(void)more;
	h2_in_bytes(GW_CONTAINER_OF(t, struct h2, transport), buf, res);
}

static void written(struct transport *t, int res)
{
	h2_out_written(GW_CONTAINER_OF(t, struct h2, transport), res);
}

static void closed(struct transport *t)
{
	struct h2 *c = GW_CONTAINER_OF(t, struct h2, transport);

	if (c->out)
		ring_buf_give(c->proxy->ring, c->out);
	c->out = NULL;
	c->gone = true;
	closed_and_quiet(c);
}

static const struct transport_user transport_user = {
	.bytes = bytes,
	.written = written,
	.closed = closed,
};

/* 0 or -ENOMEM. */
static int init(struct h2 *c, enum h2_role role, struct proxy *proxy, const struct h2_owner *owner)
{
	GW_ASSERT(!c->transport.closing && !transport_is_reading(&c->transport));
	memset((char *)c + sizeof(c->transport), 0, sizeof(*c) - sizeof(c->transport));
	c->transport.user = &transport_user;
	c->role = (uint8_t)role;
	c->proxy = proxy;
	c->owner = owner;
	list_init(&c->streams);
	list_init(&c->touched);
	list_init(&c->flown);
	ring_op_init(&c->soon, woken);
	return h2_session_open(proxy->h2, role, c->transport.sealed, &events, c, &c->session);
}

int h2_dial(struct h2 *c, struct proxy *proxy, const struct h2_owner *owner)
{
	const struct transport_user *user = c->transport.user;

	if (init(c, H2_CLIENT, proxy, owner) < 0) {
		c->transport.user = user;
		return -ENOMEM;
	}
	h2_soon(c);
	transport_read(&c->transport, true);
	return 0;
}

void h2_start(struct h2 *c, struct proxy *proxy, const struct h2_owner *owner,
	      struct ring_buf *first)
{
	if (init(c, H2_SERVER, proxy, owner) < 0) {
		if (first)
			ring_buf_give(proxy->ring, first);
		c->state = H2_CLOSED;
		transport_close(&c->transport, false);
		owner->ended(c, REASON_OVERLOAD_MEMORY);
		return;
	}
	tell_phase(c);
	h2_soon(c);
	if (first)
		h2_in_bytes(c, first, (int32_t)first->len);
	else
		transport_read(&c->transport, true);
}

void h2_check(const struct h2 *c)
{
	uint32_t n = 0;

	GW_ASSERT(c->state < H2_N_STATES && !c->telling);
	GW_ASSERT((c->state == H2_CLOSED) == !c->session);
	list_each(node, &c->streams)
	{
		const struct h2_stream *s = list_entry(node, struct h2_stream, all);

		n++;
		GW_ASSERT(s->c == c && s->stream.user);
		GW_ASSERT(s->id >= 0 || c->role == H2_CLIENT);
		GW_ASSERT(s->owed <= H2_WINDOW || s->in_dead);
		GW_ASSERT(!s->out_sent || s->out_ended);
	}
	GW_ASSERT(n == c->n_streams && (n == 0 || c->state < H2_SAYING));
}

#define CODEC(name_, encode_request_)                                                              \
	{                                                                                          \
		.name = (name_), .many = true, .encode_request = (encode_request_),                \
		.encode_response = h2_encode_response, .send_head = h2_send_head,                  \
		.send_info = h2_send_info, .send_body = h2_send_body,                              \
		.send_trailers = h2_send_trailers, .flush = h2_flush, .credit = h2_credit,         \
		.raw_in = no_raw, .raw_in_done = no_raw_done, .raw_out = no_raw_out,               \
		.raw_out_done = no_raw_done, .decline = no_decline, .is_held_back = is_held_back,  \
		.release = stream_release, .reset = stream_reset,                                  \
	}

const struct codec h2_codec = CODEC("h2", h2_encode_request);
const struct codec h2c_codec = CODEC("h2c", h2c_encode_request);
