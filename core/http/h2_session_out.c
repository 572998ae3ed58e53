/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/h2_session_private.h"

#include "core/http/h2_write.h"

enum {
	EARNED_FOR_DATA =
		3, /* A PING to measure the way, a grant for the stream and the connection. */
	EARNED_MAX = 300,
	FRAME_MAX = 16384,
};

static void excuse(struct h2_session *s, int32_t id)
{
	s->excused[s->n_excused++ % H2_EXCUSED] = id;
}

/*
 * Who takes in what we send may measure the way by a PING and grant small pieces, as gRPC's
 * libraries do. A client that grants a byte at a time earns nothing by what it gets for that.
 */
static void earn(struct h2_session *s, size_t len)
{
	if (len == 0 || (s->role == H2_SERVER && len < H2_SMALL_GRANT))
		return;
	s->earned += EARNED_FOR_DATA;
	s->earned = s->earned < EARNED_MAX ? s->earned : EARNED_MAX;
}

/* NOLINTNEXTLINE(readability-function-size): nghttp2 asks for seven. */
static nghttp2_ssize frame_len_max(nghttp2_session *ng, uint8_t type, int32_t id,
				   int32_t window_connection, int32_t window_stream,
				   uint32_t frame_max, void *user)
{
	const struct h2_session *s = user;
	size_t room = writer_room(&s->room);

	(void)ng;
	(void)type;
	(void)id;
	(void)window_connection;
	(void)window_stream;
	room = room > H2_FRAME_HEAD ? room - H2_FRAME_HEAD : 1; /* It will have to wait. */
	if (room > FRAME_MAX)
		room = FRAME_MAX;
	return room < frame_max ? (nghttp2_ssize)room : (nghttp2_ssize)frame_max;
}

/* NOLINTNEXTLINE(readability-function-size,readability-non-const-parameter): the type is nghttp2's. */
static nghttp2_ssize read_body(nghttp2_session *ng, int32_t id, uint8_t *to, size_t max,
			       uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct h2_session *s = user;
	void *stream = nghttp2_session_get_stream_user_data(ng, id);
	struct slice trailers = SLICE("");
	bool is_end = false;
	int32_t n;

	(void)to;
	(void)source;
	if (!stream)
		return NGHTTP2_ERR_DEFERRED; /* It is being reset. */
	n = s->events->pull(s->owner, stream, (uint32_t)max, &is_end, &trailers);
	if (n < 0)
		return NGHTTP2_ERR_DEFERRED;
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (is_end)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (trailers.len > 0) {
		nghttp2_nv nv[H2_FIELDS_MAX];
		size_t n_fields = h2_session_pairs(trailers, nv);

		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (nghttp2_submit_trailer(ng, id, nv, n_fields) < 0)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	return n;
}

static int write_body(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t len,
		      nghttp2_data_source *source, void *user)
{
	struct h2_session *s = user;
	void *stream = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
	char *at;

	(void)source;
	if (!stream) /* Given up while the frame waited for room: it is not sent. */
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (writer_room(&s->room) < H2_FRAME_HEAD + len)
		return NGHTTP2_ERR_WOULDBLOCK;
	writer_bytes(&s->room, head, H2_FRAME_HEAD);
	at = writer_reserve(&s->room, len);
	if (len > 0)
		s->events->copy(s->owner, stream, (uint8_t *)at, (uint32_t)len);
	s->payload += len;
	earn(s, len);
	return 0;
}

static enum reason reason_of(uint32_t code)
{
	switch (code) {
	case NGHTTP2_FRAME_SIZE_ERROR:
		return REASON_H2_FRAME_SIZE;
	case NGHTTP2_COMPRESSION_ERROR:
		return REASON_H2_HPACK;
	case NGHTTP2_INTERNAL_ERROR:
		return REASON_H2_RESET_FLOOD; /* nghttp2's own limit on resets. */
	default:
		return REASON_H2_PROTOCOL;
	}
}

static bool is_last_frame(const nghttp2_frame *frame)
{
	return (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
	       frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
}

/*
 * Resets that nghttp2 has decided on without a word: the fault is the peer's, and counts as
 * its own reset does (CVE-2025-8671). Of a running stream, by PROTOCOL_ERROR, it is more DATA
 * than was announced.
 */
static void on_reset_sent(struct h2_session *s, int32_t id, uint32_t code)
{
	void *stream = h2_session_stream(s, id);

	if (code != NGHTTP2_NO_ERROR)
		s->events->error(s->owner, false, code);
	switch (code) {
	case NGHTTP2_PROTOCOL_ERROR:
		if (!stream) /* Charged when it was refused. */
			return;
		h2_session_charge(s, H2_SCORE_MALFORMED, REASON_H2_RESET_FLOOD);
		s->events->malformed(s->owner, stream, REASON_H2_CL_MISMATCH);
		break;
	case NGHTTP2_FLOW_CONTROL_ERROR:
	case NGHTTP2_FRAME_SIZE_ERROR:
	case NGHTTP2_STREAM_CLOSED:
		h2_session_charge(s, H2_SCORE_RESET, REASON_H2_RESET_FLOOD);
		if (stream)
			s->events->malformed(s->owner, stream, REASON_H2_MALFORMED);
		break;
	default:
		break;
	}
}

static int on_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct h2_session *s = user;

	(void)ng;
	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
		h2_session_end(s, reason_of(frame->goaway.error_code));
		s->events->error(s->owner, true, frame->goaway.error_code);
	}
	if (frame->hd.type == NGHTTP2_GOAWAY && s->asks) {
		s->asks = false;
		h2_session_ping(s); /* Submitted together, it would overtake what it asks about. */
	}
	if (is_last_frame(frame) && h2_session_stream(s, frame->hd.stream_id))
		s->events->ended(s->owner, h2_session_stream(s, frame->hd.stream_id));
	if (frame->hd.type == NGHTTP2_RST_STREAM)
		excuse(s, frame->hd.stream_id);
	if (frame->hd.type == NGHTTP2_RST_STREAM)
		on_reset_sent(s, frame->hd.stream_id, frame->rst_stream.error_code);
	return 0;
}

/*
 * One stream too many is to be refused, not to end the connection, as nghttp2 would have it.
 * So nghttp2 is told of no limit, and what it tells the peer gets the true one here.
 */
static void tell_limit(char *frame)
{
	uint32_t len = (uint32_t)(uint8_t)frame[0] << 16 | (uint32_t)(uint8_t)frame[1] << 8 |
		       (uint8_t)frame[2];

	if (frame[3] != NGHTTP2_SETTINGS || frame[4] & NGHTTP2_FLAG_ACK)
		return;
	for (char *entry = frame + H2_FRAME_HEAD; entry < frame + H2_FRAME_HEAD + len; entry += 6) {
		if (entry[1] != NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
			continue;
		memset(entry + 2, 0, 3);
		entry[5] = H2_STREAMS_MAX;
	}
}

static void write_left(struct h2_session *s)
{
	size_t n = s->left_len < writer_room(&s->room) ? s->left_len : writer_room(&s->room);

	if (n == 0) /* There may be no frame at all. */
		return;
	writer_bytes(&s->room, s->left, n);
	s->left += n;
	s->left_len -= n;
}

uint32_t h2_session_write(struct h2_session *s, uint8_t *room, uint32_t size)
{
	nghttp2_ssize n = 0;

	GW_ASSERT(size >= H2_WRITE_MIN);
	s->room = writer_make(room, size);
	write_left(s);
	while (s->left_len == 0 && writer_room(&s->room) >= H2_WRITE_MIN) {
		char *at;

		n = nghttp2_session_mem_send2(h2_session_ng(s), &s->left);
		if (n <= 0)
			break;
		s->left_len = (size_t)n;
		at = s->room.ptr;
		write_left(s);
		if (s->role == H2_SERVER && s->left_len == 0)
			tell_limit(at);
	}
	if (n < 0)
		h2_session_broken(s, (int)n);
	return (uint32_t)writer_len(&s->room);
}

const nghttp2_data_provider2 h2_session_body = { .read_callback = read_body };

void h2_session_speak(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_data_source_read_length_callback2(callbacks, frame_len_max);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, write_body);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
}
