/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/h2_session_private.h"

enum {
	UNWANTED_FREE = 32768,   /* Bytes of fields behind the fault of their section. */
	OVERHEAD_FREE = 1 << 20, /* Bytes that may be framing alone; see is_overhead(). */
};

static bool is_excused(const struct h2_session *s, int32_t id)
{
	for (uint32_t i = 0; i < H2_EXCUSED; i++)
		if (s->excused[i] == id)
			return true;
	return false;
}

/*
 * A request on a stream that has been, or was passed over, is an error of the connection
 * (RFC 9113 5.1, 5.1.1); nghttp2 ignores it, since it might be what was under way when we
 * gave the stream up. So does this for those that we did.
 */
static bool is_bygone(const struct h2_session *s, const nghttp2_frame_hd *hd)
{
	return s->role == H2_SERVER && hd->stream_id % 2 == 1 && hd->stream_id <= s->last_id &&
	       !nghttp2_session_find_stream(h2_session_ng(s), hd->stream_id) &&
	       !is_excused(s, hd->stream_id);
}

static void charge_control(struct h2_session *s, enum reason reason)
{
	if (s->earned > 0)
		s->earned--;
	else
		h2_session_charge(s, H2_SCORE_CONTROL, reason);
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user)
{
	struct h2_session *s = user;
	bool end_stream = hd->flags & NGHTTP2_FLAG_END_STREAM;

	switch (hd->type) {
	case NGHTTP2_DATA:
	case NGHTTP2_HEADERS:
		if (hd->type == NGHTTP2_HEADERS && is_bygone(s, hd))
			h2_session_expel(s, H2_CODE_PROTOCOL_ERROR, REASON_H2_PROTOCOL);
		if (hd->length == 0 && !end_stream)
			h2_session_charge(s, H2_SCORE_CONTROL, REASON_H2_EMPTY_FRAMES);
		break;
	case NGHTTP2_PING: /* We ask once at most: other answers are to nothing. */
		charge_control(s, REASON_H2_CTRL_FLOOD);
		break;
	case NGHTTP2_RST_STREAM: /* By the age of its stream, if there is one: 'closed' tells. */
		if (!nghttp2_session_find_stream(ng, hd->stream_id))
			h2_session_charge(s, H2_SCORE_CONTROL, REASON_H2_CTRL_FLOOD);
		break;
	case NGHTTP2_PRIORITY:
		if (hd->stream_id == 0)
			h2_session_expel(s, H2_CODE_PROTOCOL_ERROR, REASON_H2_PROTOCOL);
		h2_session_charge(s, H2_SCORE_CONTROL, REASON_H2_CTRL_FLOOD);
		break;
	case NGHTTP2_WINDOW_UPDATE: /* By its size: on_frame(). */
	case NGHTTP2_GOAWAY:
	case NGHTTP2_CONTINUATION:
		break;
	default:
		if (!(hd->flags & NGHTTP2_FLAG_ACK))
			h2_session_charge(s, H2_SCORE_CONTROL, REASON_H2_CTRL_FLOOD);
		break;
	}
	return 0;
}

/* Of a type that nobody knows: charged as others are, and passed over (RFC 9113 5.5). */
static int on_unknown_frame(nghttp2_session *ng, void **ret_payload, const nghttp2_frame_hd *hd,
			    void *user)
{
	(void)ng;
	(void)ret_payload;
	(void)hd;
	(void)user;
	return NGHTTP2_ERR_CANCEL;
}

static int on_begin_section(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct h2_session *s = user;
	enum h2_section section = H2_RESPONSE; /* Or trailers: it shows. */

	(void)ng;
	if (s->role == H2_SERVER)
		section = frame->headers.cat == NGHTTP2_HCAT_REQUEST ? H2_REQUEST : H2_TRAILERS;
	if (section == H2_REQUEST)
		s->last_id = frame->hd.stream_id;
	h2_block_begin(s->block, section, &s->shared->limits);
	s->in_section = true;
	return 0;
}

/* A byte on the wire may unpack to thousands that have to be looked at, though nobody keeps them. */
static void charge_unwanted(struct h2_session *s, size_t len)
{
	for (s->unwanted += (uint32_t)len; s->unwanted >= UNWANTED_FREE;
	     s->unwanted -= UNWANTED_FREE)
		h2_session_charge(s, H2_SCORE_MALFORMED, REASON_HEADERS_TOO_LARGE);
}

/* NOLINTNEXTLINE(readability-function-size): nghttp2 asks for eight. */
static int on_field(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
		    size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		    void *user)
{
	struct h2_session *s = user;

	(void)ng;
	(void)frame;
	(void)flags;
	s->payload += name_len + value_len;
	h2_block_add(s->block, slice_make(name, name_len), slice_make(value, value_len));
	if (s->block->fault.reason != REASON_NONE)
		charge_unwanted(s, name_len + value_len);
	return s->over ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

/* nghttp2 would pass it over (RFC 9113 8.2.1 wants the message refused). */
/* NOLINTNEXTLINE(readability-function-size): nghttp2 asks for eight. */
static int on_invalid_field(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
			    size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
			    void *user)
{
	(void)ng;
	(void)frame;
	(void)name;
	(void)name_len;
	(void)value;
	(void)value_len;
	(void)flags;
	(void)user;
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void on_trailers(struct h2_session *s, const nghttp2_frame *frame, void *stream)
{
	struct slice lines;
	struct http_refusal refusal = h2_block_trailers(s->block, &lines);

	if (refusal.reason == REASON_NONE) {
		s->events->end(s->owner, stream, lines);
		return;
	}
	h2_session_charge(s, H2_SCORE_MALFORMED, REASON_H2_RESET_FLOOD);
	(void)nghttp2_submit_rst_stream(h2_session_ng(s), NGHTTP2_FLAG_NONE, frame->hd.stream_id,
					NGHTTP2_PROTOCOL_ERROR);
	s->events->malformed(s->owner, stream, refusal.reason);
}

static void on_request(struct h2_session *s, const nghttp2_frame *frame)
{
	bool end_stream = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	struct http_refusal refusal = h2_block_request(s->block, s->secure, end_stream);
	bool good = refusal.reason == REASON_NONE || refusal.keep;

	if (refusal.reason != REASON_NONE && refusal.status == 0) /* Its reset is all it gets. */
		h2_session_charge(s, H2_SCORE_MALFORMED, REASON_H2_RESET_FLOOD);
	s->events->head(s->owner, frame->hd.stream_id, NULL, good ? &s->block->head : NULL,
			end_stream, refusal.reason == REASON_NONE ? NULL : &refusal);
}

static void on_response(struct h2_session *s, const nghttp2_frame *frame, void *stream)
{
	bool end_stream = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	struct http_refusal refusal = h2_block_response(
		s->block, (enum http_method)s->events->method(s->owner, stream), end_stream);

	s->events->head(s->owner, frame->hd.stream_id, stream, &s->block->head, end_stream,
			refusal.reason == REASON_NONE ? NULL : &refusal);
}

static void on_section(struct h2_session *s, const nghttp2_frame *frame)
{
	void *stream = h2_session_stream(s, frame->hd.stream_id);

	s->in_section = false;
	if (s->over)
		return;
	if (s->block->section == H2_REQUEST)
		on_request(s, frame);
	else if (!stream)
		return;
	else if (s->block->head.status > 0)
		on_response(s, frame, stream);
	else
		on_trailers(s, frame, stream);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct h2_session *s = user;
	void *stream;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		on_section(s, frame);
		break;
	case NGHTTP2_DATA:
		stream = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
		if (stream && !s->over && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
			s->events->end(s->owner, stream, SLICE(""));
		break;
	case NGHTTP2_SETTINGS:
		s->greeted = true; /* Before an ACK there is nothing else. */
		break;
	case NGHTTP2_WINDOW_UPDATE:
		if (frame->window_update.window_size_increment < H2_SMALL_GRANT)
			charge_control(s, REASON_H2_GLITCH);
		break;
	case NGHTTP2_PING:
		if (frame->hd.flags & NGHTTP2_FLAG_ACK && !s->over)
			s->events->pong(s->owner);
		break;
	case NGHTTP2_GOAWAY:
		if (!s->over)
			s->events->gone(s->owner, frame->goaway.last_stream_id,
					frame->goaway.error_code);
		break;
	default:
		break;
	}
	return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len,
		   void *user)
{
	struct h2_session *s = user;
	void *stream = nghttp2_session_get_stream_user_data(ng, id);

	(void)flags;
	s->payload += len;
	if (stream && !s->over)
		s->events->data(s->owner, stream, bytes, (uint32_t)len);
	else
		h2_session_grant_connection(s, (uint32_t)len);
	return 0;
}

static bool says_length(const struct http_head *head)
{
	for (uint32_t i = 0; i < head->n_fields; i++)
		if (slice_eq(http_text(head, head->fields[i].name), SLICE("content-length")))
			return true;
	return false;
}

/*
 * The fields that say how long a body is are at odds with its bytes (RFC 9113 8.1.1). A head
 * that ends the message may instead lack something.
 */
static bool is_about_length(const struct h2_session *s, const nghttp2_frame *frame, int error)
{
	if (error != NGHTTP2_ERR_HTTP_MESSAGING)
		return false;
	if (frame->hd.type != NGHTTP2_HEADERS)
		return true;
	return frame->hd.flags & NGHTTP2_FLAG_END_STREAM &&
	       (frame->headers.cat == NGHTTP2_HCAT_HEADERS || says_length(&s->block->head));
}

/*
 * nghttp2 has refused a frame and knows what to send. Of a stream's it is told here, a
 * request that was none included; of the connection's when the GOAWAY is sent.
 */
static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *user)
{
	struct h2_session *s = user;
	bool length = is_about_length(s, frame, error);
	struct http_refusal refusal = { .reason = length ? REASON_H2_CL_MISMATCH
							 : REASON_H2_MALFORMED };
	void *stream = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);

	if (error != NGHTTP2_ERR_HTTP_HEADER && error != NGHTTP2_ERR_HTTP_MESSAGING)
		return 0;
	s->in_section = false;
	if (s->over)
		return 0;
	h2_session_charge(s, H2_SCORE_MALFORMED, REASON_H2_RESET_FLOOD);
	if (stream)
		s->events->malformed(s->owner, stream, refusal.reason);
	else if (s->role == H2_SERVER && frame->hd.type == NGHTTP2_HEADERS &&
		 frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		s->events->head(s->owner, frame->hd.stream_id, NULL, NULL, true, &refusal);
	return 0;
}

static int on_stream_closed(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
	struct h2_session *s = user;
	void *stream = nghttp2_session_get_stream_user_data(ng, id);

	if (!stream)
		return 0;
	(void)nghttp2_session_set_stream_user_data(ng, id, NULL);
	s->events->closed(s->owner, stream, code);
	return 0;
}

/* Where a sender needs eight times as many bytes as it has to say, most of it is framing. */
static bool is_overhead(const struct h2_session *s)
{
	return s->wire / 8 > s->payload + OVERHEAD_FREE;
}

static uint32_t section_max(const struct h2_session *s)
{
	return s->shared->limits.head_max > H2_SECTION_IN_MAX ? s->shared->limits.head_max
							      : H2_SECTION_IN_MAX;
}

static void receive(struct h2_session *s, struct slice bytes)
{
	nghttp2_ssize n =
		nghttp2_session_mem_recv2(h2_session_ng(s), (const uint8_t *)bytes.ptr, bytes.len);

	if (n < 0)
		h2_session_broken(s, (int)n);
}

void h2_session_feed(struct h2_session *s, struct h2_block *block, const uint8_t *bytes,
		     uint32_t len, uint64_t now_ns)
{
	struct slice rest = slice_make(bytes, len), piece;

	s->block = block;
	s->now_ns = now_ns;
	s->wire += len;
	s->frames.section_max = section_max(s);
	while (!s->over && (piece = h2_frames_next(&s->frames, &rest)).len > 0)
		receive(s, piece);
	if (s->frames.flood)
		h2_session_expel(s, H2_CODE_ENHANCE_YOUR_CALM, REASON_H2_CONTINUATION);
	if (!s->over && is_overhead(s))
		h2_session_expel(s, H2_CODE_ENHANCE_YOUR_CALM, REASON_H2_OVERHEAD);
	if (s->over)
		s->in_section = false;
}

void h2_session_hear(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, on_unknown_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_section);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_field);
	nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_field);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);
}
