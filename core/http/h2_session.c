/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/h2_session.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "core/http/h2_write.h"

#if NGHTTP2_VERSION_NUM < 0x014000
#error "nghttp2 before 1.64 can be flooded"
#endif

enum {
	FIELDS_MAX = HTTP_FIELDS_MAX + 32, /* Of a section of ours: a head's, and what we add. */
	SECTION_MAX = 131072, /* Compressed, of ours; larger heads than ours do not exist. */
	SMALL_GRANT = 1024,
	SECTION_IN_MAX = 32768, /* Compressed, of a peer's; or as long as heads may be. */
	UNWANTED_FREE = 32768,  /* Bytes of fields behind the fault of their section. */
	EARNED_FOR_DATA =
		3, /* A PING to measure the way, a grant for the stream and the connection. */
	EARNED_MAX = 300,
	OVERHEAD_FREE = 1 << 20, /* Bytes that may be framing alone; see is_overhead(). */
	FRAME_MAX = 16384,
};

struct h2_shared {
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	nghttp2_mem mem;
	struct h1_limits limits;
	struct block_pool *pool;
};

static nghttp2_session *ng_of(const struct h2_session *s)
{
	return s->ng;
}

static void *stream_of(const struct h2_session *s, int32_t id)
{
	return nghttp2_session_get_stream_user_data(ng_of(s), id);
}

/* --- Its end. -------------------------------------------------------------------------------- */

static void end(struct h2_session *s, enum reason reason)
{
	if (!s->over)
		s->reason = (uint16_t)reason;
	s->over = true;
}

static void must(struct h2_session *s, int r)
{
	if (r == NGHTTP2_ERR_NOMEM)
		end(s, REASON_OVERLOAD_MEMORY);
}

void h2_session_expel(struct h2_session *s, uint32_t code, enum reason reason)
{
	if (s->over)
		return;
	end(s, reason);
	(void)nghttp2_session_terminate_session2(
		ng_of(s), nghttp2_session_get_last_proc_stream_id(ng_of(s)), code);
}

void h2_session_shut(struct h2_session *s)
{
	if (s->over || s->warned)
		return;
	s->warned = true;
	if (s->role == H2_CLIENT) /* Nothing new begins but by us. */
		return;
	s->asks = true;
	must(s, nghttp2_submit_shutdown_notice(ng_of(s)));
}

void h2_session_ping(struct h2_session *s)
{
	if (!s->over)
		must(s, nghttp2_submit_ping(ng_of(s), NGHTTP2_FLAG_NONE, NULL));
}

void h2_session_refuse_more(struct h2_session *s)
{
	if (s->refusing)
		return;
	s->refusing = true;
	if (!s->over && nghttp2_submit_goaway(ng_of(s), NGHTTP2_FLAG_NONE,
					      nghttp2_session_get_last_proc_stream_id(ng_of(s)),
					      NGHTTP2_NO_ERROR, NULL, 0) < 0)
		end(s, REASON_OVERLOAD_MEMORY);
}

static void warn(struct h2_session *s, enum reason reason)
{
	s->trouble = (uint16_t)reason;
	h2_session_shut(s);
}

void h2_session_charge(struct h2_session *s, uint32_t points, enum reason reason)
{
	enum h2_standing standing = h2_score_add(&s->score, points, s->now_ns);

	if (standing == H2_EXPELLED)
		h2_session_expel(s, H2_CODE_ENHANCE_YOUR_CALM, reason);
	else if (standing == H2_WARNED && s->role == H2_SERVER)
		warn(s, reason);
}

void h2_session_forgive(struct h2_session *s)
{
	h2_score_forgive(&s->score);
}

/* --- What comes. ----------------------------------------------------------------------------- */

static void excuse(struct h2_session *s, int32_t id)
{
	s->excused[s->n_excused++ % H2_EXCUSED] = id;
}

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
	       !nghttp2_session_find_stream(ng_of(s), hd->stream_id) &&
	       !is_excused(s, hd->stream_id);
}

/*
 * Who takes in what we send may measure the way by a PING and grant small pieces, as gRPC's
 * libraries do. A client that grants a byte at a time earns nothing by what it gets for that.
 */
static void earn(struct h2_session *s, size_t len)
{
	if (len == 0 || (s->role == H2_SERVER && len < SMALL_GRANT))
		return;
	s->earned += EARNED_FOR_DATA;
	s->earned = s->earned < EARNED_MAX ? s->earned : EARNED_MAX;
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
	(void)nghttp2_submit_rst_stream(ng_of(s), NGHTTP2_FLAG_NONE, frame->hd.stream_id,
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
	void *stream = stream_of(s, frame->hd.stream_id);

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
		if (frame->window_update.window_size_increment < SMALL_GRANT)
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

static void broken(struct h2_session *s, int error)
{
	switch (error) {
	case NGHTTP2_ERR_BAD_CLIENT_MAGIC: /* It does not speak HTTP/2: no word of it. */
		end(s, REASON_H2_PROTOCOL);
		break;
	case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
		h2_session_expel(s, H2_CODE_ENHANCE_YOUR_CALM, REASON_H2_CONTINUATION);
		break;
	case NGHTTP2_ERR_FLOODED:
		h2_session_expel(s, H2_CODE_ENHANCE_YOUR_CALM, REASON_H2_CTRL_FLOOD);
		break;
	case NGHTTP2_ERR_NOMEM:
		end(s, REASON_OVERLOAD_MEMORY);
		break;
	default:
		end(s, REASON_INTERNAL);
		break;
	}
}

static uint32_t section_max(const struct h2_session *s)
{
	return s->shared->limits.head_max > SECTION_IN_MAX ? s->shared->limits.head_max
							   : SECTION_IN_MAX;
}

static void receive(struct h2_session *s, struct slice bytes)
{
	nghttp2_ssize n =
		nghttp2_session_mem_recv2(ng_of(s), (const uint8_t *)bytes.ptr, bytes.len);

	if (n < 0)
		broken(s, (int)n);
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

/* --- What goes. ------------------------------------------------------------------------------ */

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

static size_t pairs_to_nv(struct slice text, nghttp2_nv nv[FIELDS_MAX])
{
	struct slice name, value;
	size_t n = 0;

	while (h2_next_pair(&text, &name, &value)) {
		GW_ASSERT(n < FIELDS_MAX);
		nv[n++] = (nghttp2_nv){ (uint8_t *)(uintptr_t)name.ptr,
					(uint8_t *)(uintptr_t)value.ptr, name.len, value.len,
					NGHTTP2_NV_FLAG_NONE };
	}
	return n;
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
		nghttp2_nv nv[FIELDS_MAX];
		size_t n_fields = pairs_to_nv(trailers, nv);

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
	void *stream = stream_of(s, id);

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
		end(s, reason_of(frame->goaway.error_code));
		s->events->error(s->owner, true, frame->goaway.error_code);
	}
	if (frame->hd.type == NGHTTP2_GOAWAY && s->asks) {
		s->asks = false;
		h2_session_ping(s); /* Submitted together, it would overtake what it asks about. */
	}
	if (is_last_frame(frame) && stream_of(s, frame->hd.stream_id))
		s->events->ended(s->owner, stream_of(s, frame->hd.stream_id));
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

		n = nghttp2_session_mem_send2(ng_of(s), &s->left);
		if (n <= 0)
			break;
		s->left_len = (size_t)n;
		at = s->room.ptr;
		write_left(s);
		if (s->role == H2_SERVER && s->left_len == 0)
			tell_limit(at);
	}
	if (n < 0)
		broken(s, (int)n);
	return (uint32_t)writer_len(&s->room);
}

/* --- Submissions. ---------------------------------------------------------------------------- */

static const nghttp2_data_provider2 body = { .read_callback = read_body };

void h2_session_attach(struct h2_session *s, int32_t id, void *stream)
{
	(void)nghttp2_session_set_stream_user_data(ng_of(s), id, stream);
}

int32_t h2_session_request(struct h2_session *s, struct slice text, bool is_end, void *stream)
{
	nghttp2_nv nv[FIELDS_MAX];
	size_t n = pairs_to_nv(text, nv);
	int32_t id = nghttp2_submit_request2(ng_of(s), NULL, nv, n, is_end ? NULL : &body, stream);

	if (id < 0)
		must(s, id);
	return id < 0 ? -1 : id;
}

void h2_session_respond(struct h2_session *s, int32_t id, struct slice text, bool is_end)
{
	nghttp2_nv nv[FIELDS_MAX];
	size_t n = pairs_to_nv(text, nv);

	must(s, nghttp2_submit_response2(ng_of(s), id, nv, n, is_end ? NULL : &body));
}

void h2_session_inform(struct h2_session *s, int32_t id, struct slice text)
{
	nghttp2_nv nv[FIELDS_MAX];
	size_t n = pairs_to_nv(text, nv);

	must(s, nghttp2_submit_headers(ng_of(s), NGHTTP2_FLAG_NONE, id, NULL, nv, n, NULL));
}

void h2_session_resume(struct h2_session *s, int32_t id)
{
	must(s, nghttp2_session_resume_data(ng_of(s), id));
}

void h2_session_share(struct h2_session *s, int32_t id)
{
	nghttp2_extpri priority;

	if (nghttp2_session_get_extpri_stream_priority(ng_of(s), &priority, id) < 0)
		return;
	priority.inc = 1;
	must(s, nghttp2_session_change_extpri_stream_priority(ng_of(s), id, &priority, 0));
}

void h2_session_reset(struct h2_session *s, int32_t id, uint32_t code)
{
	(void)nghttp2_session_set_stream_user_data(ng_of(s), id, NULL);
	must(s, nghttp2_submit_rst_stream(ng_of(s), NGHTTP2_FLAG_NONE, id, code));
}

void h2_session_grant(struct h2_session *s, int32_t id, uint32_t n)
{
	must(s, nghttp2_session_consume(ng_of(s), id, n));
}

void h2_session_grant_connection(struct h2_session *s, uint32_t n)
{
	must(s, nghttp2_session_consume_connection(ng_of(s), n));
}

bool h2_session_wants_write(const struct h2_session *s)
{
	return s->left_len > 0 || nghttp2_session_want_write(ng_of(s));
}

uint32_t h2_session_streams_max(const struct h2_session *s)
{
	return nghttp2_session_get_remote_settings(ng_of(s),
						   NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool h2_session_is_begun(const struct h2_session *s, int32_t id)
{
	return nghttp2_session_find_stream(ng_of(s), id) != NULL;
}

bool h2_session_is_stalled(const struct h2_session *s, int32_t id)
{
	return nghttp2_session_get_stream_remote_window_size(ng_of(s), id) <= 0 ||
	       nghttp2_session_get_remote_window_size(ng_of(s)) <= 0;
}

/* --- Life. ----------------------------------------------------------------------------------- */

static int submit_preface(struct h2_session *s)
{
	nghttp2_settings_entry server[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, INT32_MAX }, /* tell_limit() */
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, s->shared->limits.head_max },
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
	};
	nghttp2_settings_entry client[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW },
	};
	int r;

	r = s->role == H2_SERVER ? nghttp2_submit_settings(ng_of(s), NGHTTP2_FLAG_NONE, server,
							   ARRAY_SIZE(server))
				 : nghttp2_submit_settings(ng_of(s), NGHTTP2_FLAG_NONE, client,
							   ARRAY_SIZE(client));
	if (r == 0)
		r = nghttp2_session_set_local_window_size(
			ng_of(s), NGHTTP2_FLAG_NONE, 0,
			s->role == H2_SERVER ? H2_WINDOW_CONNECTION : H2_WINDOW_SHARED);
	return r;
}

int h2_session_open(struct h2_shared *shared, enum h2_role role, bool secure,
		    const struct h2_events *events, void *owner, struct h2_session **ret_session)
{
	struct h2_session *s = block_alloc(shared->pool, sizeof(*s));
	nghttp2_session *ng = NULL;
	int r;

	if (!s)
		return -ENOMEM;
	*s = (struct h2_session){ .shared = shared,
				  .events = events,
				  .owner = owner,
				  .role = (uint8_t)role,
				  .frames.skip = role == H2_SERVER ? NGHTTP2_CLIENT_MAGIC_LEN : 0,
				  .secure = secure };
	r = role == H2_SERVER ? nghttp2_session_server_new3(&ng, shared->callbacks, s,
							    shared->option, &shared->mem)
			      : nghttp2_session_client_new3(&ng, shared->callbacks, s,
							    shared->option, &shared->mem);
	s->ng = ng;
	if (r == 0 && submit_preface(s) == 0) {
		*ret_session = s;
		return 0;
	}
	h2_session_close(s);
	return -ENOMEM;
}

void h2_session_close(struct h2_session *s)
{
	nghttp2_session_del(ng_of(s));
	block_free(s, s->shared->pool);
}

static void *pool_malloc(size_t size, void *user)
{
	return block_alloc(user, size);
}

static void *pool_calloc(size_t n, size_t size, void *user)
{
	void *block = size == 0 || n <= SIZE_MAX / size ? block_alloc(user, n * size) : NULL;

	if (block)
		memset(block, 0, n * size);
	return block;
}

static void *pool_realloc(void *block, size_t size, void *user)
{
	return block ? block_realloc(block, size, user) : block_alloc(user, size);
}

static void pool_free(void *block, void *user)
{
	if (block)
		block_free(block, user);
}

static void set_callbacks(nghttp2_session_callbacks *to)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(to, on_begin_frame);
	nghttp2_session_callbacks_set_unpack_extension_callback(to, on_unknown_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(to, on_begin_section);
	nghttp2_session_callbacks_set_on_header_callback(to, on_field);
	nghttp2_session_callbacks_set_on_invalid_header_callback(to, on_invalid_field);
	nghttp2_session_callbacks_set_on_frame_recv_callback(to, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(to, on_data);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(to, on_invalid_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(to, on_stream_closed);
	nghttp2_session_callbacks_set_data_source_read_length_callback2(to, frame_len_max);
	nghttp2_session_callbacks_set_send_data_callback(to, write_body);
	nghttp2_session_callbacks_set_on_frame_send_callback(to, on_sent);
}

int h2_shared_create(size_t pool_size, struct h2_shared **ret_shared)
{
	struct h2_shared *shared = calloc(1, sizeof(*shared));

	if (!shared)
		return -ENOMEM;
	shared->limits = h1_limits_default;
	if (nghttp2_session_callbacks_new(&shared->callbacks) < 0 ||
	    nghttp2_option_new(&shared->option) < 0 ||
	    block_pool_create(pool_size, &shared->pool) < 0) {
		h2_shared_destroy(shared);
		return -ENOMEM;
	}
	shared->mem =
		(nghttp2_mem){ shared->pool, pool_malloc, pool_free, pool_calloc, pool_realloc };
	set_callbacks(shared->callbacks);
	for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
		nghttp2_option_set_user_recv_extension_type(shared->option, (uint8_t)type);
	nghttp2_option_set_no_auto_window_update(shared->option, 1);
	nghttp2_option_set_no_closed_streams(shared->option, 1);
	nghttp2_option_set_max_continuations(shared->option,
					     SECTION_IN_MAX); /* h2_frames.h counts. */
	/* Resets are scored here. */
	nghttp2_option_set_stream_reset_rate_limit(shared->option, UINT32_MAX, UINT32_MAX);
	nghttp2_option_set_max_send_header_block_length(shared->option, SECTION_MAX);
	*ret_shared = shared;
	return 0;
}

void h2_shared_limit(struct h2_shared *shared, const struct h1_limits *limits)
{
	shared->limits = *limits;
}

void h2_shared_destroy(struct h2_shared *shared)
{
	if (!shared)
		return;
	nghttp2_session_callbacks_del(shared->callbacks);
	nghttp2_option_del(shared->option);
	block_pool_destroy(shared->pool);
	free(shared);
}

struct block_pool_stats h2_shared_stats(const struct h2_shared *shared)
{
	return block_pool_stats(shared->pool);
}
