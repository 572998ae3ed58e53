/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2.h - the HTTP/2 codec, in both roles: many streams on one connection (RFC 9113).
 *
 * Below it is a session (core/http/h2_session.h), which turns bytes into frames
 * and back; this file ties it to a transport and its streams to their users.
 *
 * Memory per stream is bounded by windows: a peer may send H2_WINDOW bytes
 * before the user grants more, and what the user submits is what it was granted
 * by the other side. What all streams have to say in a turn leaves as one write.
 *
 * A stream ends when its user releases or resets it. The session may know sooner
 * that the peer is done with it ('dead').
 *
 * Files: h2.c (life), h2_in.c (bytes to events), h2_out.c (calls to bytes).
 * Threads: the worker's.
 */
#pragma once

#include "core/base/list.h"
#include "core/http/h2_session.h"
#include "core/proxy/stream.h"
#include "core/proxy/transport.h"

/* A client's streams have odd numbers below 2^31, and none is used again. */
#define H2_BEGUN_MAX (UINT32_C(1) << 30)

struct h2;
struct proxy;

/* clang-format off */
#define H2_STATES(X) \
	X(OPEN, TO(LEAVING) | TO(SAYING) | TO(CLOSED))   \
	X(LEAVING, TO(SAYING) | TO(CLOSED))              /* No stream may begin; closes behind the last. */ \
	X(SAYING, TO(LINGER) | TO(CLOSED))               /* No stream is left; the last frames leave. */ \
	X(LINGER, TO(CLOSED))                            /* All is said; reads until the peer ends. */ \
	X(CLOSED, 0)                                     /* Waits for the transport's last event. */
/* clang-format on */

enum h2_state {
#define X(name, next) H2_##name,
	H2_STATES(X)
#undef X
		H2_N_STATES
};

/* What is told in the other role only may be NULL. */
struct h2_owner {
	/* Server role, as in h1.h: the owner sets stream.user and stream.owner, or nothing. */
	void (*request)(struct h2 *c, struct stream *s, struct http_head *head, bool end,
			const struct http_refusal *refusal);
	void (*phase)(struct h2 *c, enum codec_phase phase); /* Server role. */
	/* Client role: a stream has ended, or the peer's limits or doings have changed: look anew. Not once closed. */
	void (*changed)(struct h2 *c);
	/* The connection is ending, and no stream is left. Once. */
	void (*ended)(struct h2 *c, enum reason reason);
	/* The memory may go. */
	void (*closed)(struct h2 *c);
};

struct h2_stream {
	struct stream stream;
	struct h2 *c;
	struct list_node all;     /* In h2.streams. */
	struct list_node touched; /* In h2.touched: something is to be told to the user. */
	struct list_node flown;   /* In h2.flown: some of it is being written. */

	/* In. */
	struct list in;               /* Body that came and was not delivered. */
	struct ring_buf *trailers_in; /* Behind it. */
	uint64_t credit;              /* Bytes that may still be delivered. */
	uint64_t lacks;     /* Bytes that were announced and have not come; or UINT64_MAX. */
	uint32_t delivered; /* Before the user granted any. */
	uint32_t owed;      /* Received, and not granted to the peer again. */

	/* Out. */
	struct list out;               /* Body that was submitted and not put on the wire. */
	struct ring_buf *trailers_out; /* Behind it, as pairs. */
	uint32_t out_len;
	uint32_t n_text; /* Of the body that the head came with: kept here, since a */
	char text[STREAM_OWN_TEXT_MAX]; /* peer without a window would have it hold a buffer. */
	uint32_t flying;                /* Body bytes in the present write. */

	uint64_t born_ns;
	int32_t id;
	uint32_t code;  /* What a reset by us says. */
	uint8_t method; /* enum http_method. */
	bool granted : 1;
	bool in_begun : 1;  /* Client role: the response's head has come. */
	bool in_ended : 1;  /* The peer's message is complete, */
	bool in_told : 1;   /* and the user knows. */
	bool in_dead : 1;   /* Nothing more of it is delivered. */
	bool out_begun : 1; /* The head was submitted, */
	bool out_ended : 1; /* the end was, */
	bool out_sent : 1;  /* and is on the wire, */
	bool out_told : 1;  /* which the user knows. */
	bool waits : 1;     /* The session found nothing to pull. */
	bool own : 1;       /* The body is the head's own text: 'sent' does not count it. */
	bool out_left : 1;  /* Some of the body is on the wire. */
	bool failed : 1;    /* No buffer for what had to be sent. */
	bool dead : 1;      /* The session has forgotten it. */
};

struct h2 {
	struct transport transport; /* First: it is there before its codec is. */
	struct proxy *proxy;
	const struct h2_owner *owner;
	struct h2_session *session; /* NULL once closed. */
	struct h2_block *block;     /* A field section that came only in part. */
	struct ring_buf *out;       /* Being written; NULL: nothing is. */
	struct ring_op soon;
	struct list streams, touched, flown;
	struct h2_stream
		*telling; /* Whose user is being told something; NULL when it has ended it. */
	struct h2_stream
		*headed;   /* Client role: whose head was told, and no flush since; or NULL. */
	uint64_t heard_ns; /* When bytes came last. */
	uint32_t n_streams;
	uint32_t n_begun;
	uint32_t n_late;   /* Begun by who was asked to begin nothing new. */
	uint32_t lingered; /* Bytes that came and nobody looked at. */
	uint16_t reason;   /* enum reason, to be told at the end. */
	uint8_t role;      /* enum h2_role. */
	uint8_t state;     /* enum h2_state. */
	uint8_t phase;     /* enum codec_phase. */
	bool eof : 1;
	bool mute : 1; /* Client role: the transport takes nothing more; what came still counts. */
	bool phase_told : 1;
	bool gone : 1;      /* The transport is. */
	bool dismissed : 1; /* The peer has said that it begins nothing more. */
	bool ending : 1;    /* Its streams are hearing of it; none begins. */
	bool suspect : 1; /* Client role: it has let a request wait for long, and has said nothing since. */
};

/* They differ in the scheme of requests: "https", and "http". */
extern const struct codec h2_codec, h2c_codec;

/*
 * Server role, over c->transport, which is connected, quiet and the codec's from now on. 'first':
 * bytes that came already, taken; or NULL. When there is no memory it ends at once.
 */
void h2_start(struct h2 *c, struct proxy *proxy, const struct h2_owner *owner,
	      struct ring_buf *first);

/* Client role, the same. 0 or -ENOMEM, and the transport is still the caller's. */
GW_MUST_USE int h2_dial(struct h2 *c, struct proxy *proxy, const struct h2_owner *owner);
/* The peer has said what it allows: only from then on it is known to speak HTTP/2. */
bool h2_is_greeted(const struct h2 *c);
/* The peer would take another stream now. */
bool h2_has_room(const struct h2 *c);
/* The next request's stream, where there is room; or NULL. The user sets user and owner, then sends. */
struct stream *h2_open_stream(struct h2 *c);

/* Begin nothing new; ends when no stream is left. Told to the peer. */
void h2_last(struct h2 *c);
/* End the connection in order, with a last word to the peer; open streams are reset. */
void h2_leave(struct h2 *c, uint32_t code, enum reason reason);
/* End it now; 'closed' follows. */
void h2_end(struct h2 *c, enum reason reason);
/* In LINGER, has anything come since this was asked last? */
bool h2_lingers_for_bytes(struct h2 *c);

/* What those hear whose connection ends. */
enum reason h2_why(const struct h2 *c);

void h2_check(const struct h2 *c);

/* --- Between h2.c, h2_in.c and h2_out.c. ------------------------------------------------------ */

void h2_enter(struct h2 *c, enum h2_state next);
/* Nothing of the session is on the stack: tell the phase, close what is over. */
void h2_settle(struct h2 *c);
/* Something is to be told or written, in the next turn. */
void h2_soon(struct h2 *c);
void h2_touch(struct h2_stream *s);
/* The user hears of it, and the stream is gone. */
void h2_stream_fault(struct h2_stream *s, const struct stream_fault *fault);
/* What its user is told when the connection ends under it. */
struct stream_fault h2_stream_lost(const struct h2_stream *s, enum reason reason);
/* The session knows of it. */
bool h2_stream_is_known(const struct h2_stream *s);
void h2_stream_free(struct h2_stream *s);
void h2_fault_all(struct h2 *c, enum reason reason);

struct h2_stream *h2_stream_begin(struct h2 *c, int32_t id);
void h2_in_bytes(struct h2 *c, struct ring_buf *buf, int32_t res);
/* Tell users what came for them. */
void h2_in_deliver(struct h2 *c);
uint8_t h2_in_method(void *owner, void *stream);
void h2_in_head(void *owner, int32_t id, void *stream, struct http_head *head, bool end,
		const struct http_refusal *refusal);
void h2_in_data(void *owner, void *stream, const uint8_t *bytes, uint32_t len);
void h2_in_end(void *owner, void *stream, struct slice trailers);
void h2_in_malformed(void *owner, void *stream, enum reason reason);
void h2_in_closed(void *owner, void *stream, uint32_t code);
void h2_credit(struct stream *s, uint64_t n);

/* Write what there is, unless a write is under way. */
void h2_out_pump(struct h2 *c);
void h2_out_written(struct h2 *c, int res);
int32_t h2_out_pull(void *owner, void *stream, uint32_t max, bool *ret_end,
		    struct slice *ret_trailers);
void h2_out_copy(void *owner, void *stream, uint8_t *to, uint32_t len);
void h2_out_ended(void *owner, void *stream);
void h2_encode_request(struct writer *out, const struct stream_message *message);
void h2c_encode_request(struct writer *out, const struct stream_message *message);
void h2_encode_response(struct stream *s, struct writer *out, const struct stream_message *message);
void h2_send_head(struct stream *s, struct slice bytes, const struct stream_message *message,
		  bool end);
void h2_send_info(struct stream *s, const struct http_head *head);
void h2_send_body(struct stream *s, struct ring_buf *buf, bool end);
void h2_send_trailers(struct stream *s, struct slice lines);
void h2_flush(struct stream *s);
