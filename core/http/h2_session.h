/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_session.h - one HTTP/2 connection as a turn of bytes into events and back:
 * nghttp2, behind our own checks. No descriptor is in sight.
 *
 * Bytes that came are fed; what they mean is told by events, from inside that
 * call only, except 'pull', 'copy' and what a sent frame brings about, which come
 * from inside h2_session_write(). Submissions are allowed at any time, also from
 * events; what they put on the wire comes out of h2_session_write().
 *
 * A session counts the trouble that its peer makes (h2_score.h) and expels it.
 *
 * Memory: nghttp2's, out of the bounded pool that sessions of a worker share.
 * When that is used up the session is over.
 * Threads: the worker's; h2_shared_create() by any before.
 */
#pragma once

#include "core/base/block_pool.h"
#include "core/base/writer.h"
#include "core/http/h2_frames.h"
#include "core/http/h2_head.h"
#include "core/http/h2_score.h"

struct h2_shared;
struct h2_session;

enum h2_role { H2_SERVER, H2_CLIENT };

enum {
	H2_WINDOW = 65536, /* Bytes that a peer may send on a stream, */
	H2_WINDOW_CONNECTION =
		1 << 20,      /* and a client on all of a connection, before it is granted more; */
	H2_STREAMS_MAX = 100, /* streams at a time. */
	/*
	 * A server, whose streams are of many clients: what slow ones have not taken holds up no
	 * other. Twice, since of what was taken up to a half of it all is granted again later.
	 */
	H2_WINDOW_SHARED = 2 * H2_STREAMS_MAX * H2_WINDOW,
	H2_EXCUSED = 32,
	H2_WRITE_MIN = 2048, /* Less room than that is not worth a frame. */
};

/* RFC 9113 7. */
enum h2_code {
	H2_CODE_NO_ERROR = 0,
	H2_CODE_PROTOCOL_ERROR = 1,
	H2_CODE_INTERNAL_ERROR = 2,
	H2_CODE_REFUSED_STREAM = 7,
	H2_CODE_CANCEL = 8,
	H2_CODE_ENHANCE_YOUR_CALM = 11,
	H2_CODE_HTTP_1_1_REQUIRED = 13,
};

/* 'stream' is what h2_session_attach() or h2_session_request() gave; streams without are not told of. */
struct h2_events {
	/*
	 * Server: a request begins; 'head' is NULL when it is malformed: then its reset is
	 * on its way already. Client: the head of a response. Lent for the call.
	 */
	void (*head)(void *owner, int32_t id, void *stream, struct http_head *head, bool end,
		     const struct http_refusal *refusal);
	/* Client: the method of the stream's request. */
	uint8_t (*method)(void *owner, void *stream);
	void (*data)(void *owner, void *stream, const uint8_t *bytes, uint32_t len);
	/* The peer's message is complete; 'trailers': its last lines, or empty. */
	void (*end)(void *owner, void *stream, struct slice trailers);
	/* What the peer said of a running stream is malformed: its reset is on its way. */
	void (*malformed)(void *owner, void *stream, enum reason reason);
	/* No more of it in any direction. */
	void (*closed)(void *owner, void *stream, uint32_t code);
	/*
	 * At most 'max' bytes of the body to send; -EAGAIN: none now, h2_session_resume() will
	 * tell. With *ret_end they are the last; trailers, as pairs, may follow.
	 */
	int32_t (*pull)(void *owner, void *stream, uint32_t max, bool *ret_end,
			struct slice *ret_trailers);
	void (*copy)(void *owner, void *stream, uint8_t *to, uint32_t len);
	/* The last frame of our message has been put on the wire. */
	void (*ended)(void *owner, void *stream);
	/* The peer goes away: streams beyond 'last_id' were not looked at. */
	void (*gone)(void *owner, int32_t last_id, uint32_t code);
	void (*pong)(void *owner);
	/* An error was told to the peer: of a stream, or of the connection. */
	void (*error)(void *owner, bool connection, uint32_t code);
};

struct h2_session {
	void *ng; /* nghttp2's. */
	struct h2_shared *shared;
	const struct h2_events *events;
	void *owner;
	struct h2_block *block; /* While feeding, or when a section is in it. */
	uint64_t now_ns;
	uint64_t wire,
		payload; /* Bytes received; what messages were made of, in both directions. */
	int32_t last_id; /* The latest request's. */
	int32_t excused
		[H2_EXCUSED]; /* Streams that we gave up lately: the peer may not know yet. */
	uint32_t n_excused;
	struct h2_frames frames;
	uint32_t earned;   /* Control frames that the peer may send for DATA of ours. */
	uint32_t unwanted; /* Bytes of fields that were looked at in vain, and not charged yet. */
	struct h2_score score;
	const uint8_t *left; /* Of a frame: what did not fit. */
	size_t left_len;
	struct writer room; /* While writing. */
	uint16_t reason;    /* enum reason: why it is over. */
	uint16_t trouble;   /* enum reason: why it was warned. */
	uint8_t role;
	bool in_section : 1; /* A field section has begun and is not complete. */
	bool over : 1;       /* Nothing that comes is looked at any more. */
	bool warned : 1;     /* Asked to go away. */
	bool asks : 1;       /* And whether it has heard: as soon as it was sent. */
	bool refusing : 1;   /* Told that no more streams are looked at. */
	bool secure : 1;     /* Over TLS. */
	bool greeted : 1;    /* The peer's SETTINGS have come. */
};

/* What the sessions of a worker share. 0 or -ENOMEM. */
GW_MUST_USE int h2_shared_create(size_t pool_size, struct h2_shared **ret_shared);
/* For field sections that begin from now on; at first h1_limits_default. */
void h2_shared_limit(struct h2_shared *shared, const struct h1_limits *limits);
void h2_shared_destroy(struct h2_shared *shared);
struct block_pool_stats h2_shared_stats(const struct h2_shared *shared);

/* Our preface is the first thing to write. 0 or -ENOMEM. */
GW_MUST_USE int h2_session_open(struct h2_shared *shared, enum h2_role role, bool secure,
				const struct h2_events *events, void *owner,
				struct h2_session **ret_session);
/* No event follows. */
void h2_session_close(struct h2_session *s);

/*
 * All of bytes[0 .. len) are taken. 'block' is room for a field section: the one that was
 * given before when h2_session_in_section() said so, any other else.
 */
void h2_session_feed(struct h2_session *s, struct h2_block *block, const uint8_t *bytes,
		     uint32_t len, uint64_t now_ns);

/* The block is needed again: give it with the next feed, or h2_block_move() of it. */
static inline bool h2_session_in_section(const struct h2_session *s)
{
	return s->in_section;
}

/* Whole frames, or parts of one that is larger, into room[0 .. size), at least H2_WRITE_MIN. */
uint32_t h2_session_write(struct h2_session *s, uint8_t *room, uint32_t size);

/* The peer broke the protocol or was expelled: write what is left, then close. */
static inline bool h2_session_is_over(const struct h2_session *s)
{
	return s->over;
}

/* From inside a 'head' event of the server's role: the method, also of what is refused. */
static inline uint8_t h2_session_method(const struct h2_session *s)
{
	return s->block->head.method;
}

/* Why it is over; REASON_NONE when it ended in order. */
static inline enum reason h2_session_reason(const struct h2_session *s)
{
	return (enum reason)s->reason;
}

/* The peer makes much trouble of this kind, and was asked to go: begin nothing new. */
static inline enum reason h2_session_trouble(const struct h2_session *s)
{
	return (enum reason)s->trouble;
}

bool h2_session_wants_write(const struct h2_session *s);

/* --- Streams. Texts are pairs (h2_write.h), used during the call only. Failures are told by 'closed'. */

void h2_session_attach(struct h2_session *s, int32_t id, void *stream);
/* Its id, or -1 when the connection cannot carry another one. */
int32_t h2_session_request(struct h2_session *s, struct slice text, bool end, void *stream);
void h2_session_respond(struct h2_session *s, int32_t id, struct slice text, bool end);
void h2_session_inform(struct h2_session *s, int32_t id, struct slice text);
/* There is something to pull again. */
void h2_session_resume(struct h2_session *s, int32_t id);
/* Its body is long: others of its kind are sent in between (RFC 9218 4.2). */
void h2_session_share(struct h2_session *s, int32_t id);
/* 'closed' is not told any more. */
void h2_session_reset(struct h2_session *s, int32_t id, uint32_t code);
/* The peer may send 'n' bytes more: on the stream and the connection, or only on the latter. */
void h2_session_grant(struct h2_session *s, int32_t id, uint32_t n);
void h2_session_grant_connection(struct h2_session *s, uint32_t n);
/* The peer has said what it allows (RFC 9113 3.4). */
static inline bool h2_session_is_greeted(const struct h2_session *s)
{
	return s->greeted;
}

/* So many streams at a time the peer allows us. */
uint32_t h2_session_streams_max(const struct h2_session *s);
/* Its head has been put on the wire: not while the peer allows no more streams. */
bool h2_session_is_begun(const struct h2_session *s, int32_t id);
/* The peer takes nothing more of it for now. */
bool h2_session_is_stalled(const struct h2_session *s, int32_t id);

/* --- The connection. ------------------------------------------------------------------------- */

/* Trouble: see h2_score.h. */
void h2_session_charge(struct h2_session *s, uint32_t points, enum reason reason);
/* A request has ended well. */
void h2_session_forgive(struct h2_session *s);
/* 'pong' will tell that the peer lives. */
void h2_session_ping(struct h2_session *s);
/* Server: first asks the peer to begin nothing new; 'pong' tells that it has heard; then refuses new streams. */
void h2_session_shut(struct h2_session *s);
void h2_session_refuse_more(struct h2_session *s);
/* The last word; the session is over. */
void h2_session_expel(struct h2_session *s, uint32_t code, enum reason reason);
