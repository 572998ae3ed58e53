/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1.h - the HTTP/1.x codec, in both roles: one stream at a time per connection.
 *
 * What it knows and nobody else: where messages begin and end on this
 * connection, whether the connection can carry another one, what of the input
 * is looked at already, and what of the output is still to go. What it does not
 * know: what a request means, deadlines, the other side.
 *
 * The receive is nearly always armed: behind a complete message it is the watch
 * for a peer that goes away, and the receive of what comes next. While a request
 * runs and nothing may be received, a watch for a broken connection is.
 *
 * Files: h1.c (life, hand-over), h1_in.c (bytes to events), h1_out.c (calls to bytes).
 * Threads: the worker's.
 */
#pragma once

#include "core/base/list.h"
#include "core/http/chunk.h"
#include "core/http/h1_parse.h"
#include "core/proxy/stream.h"
#include "core/proxy/transport.h"

struct h1;
struct head_block;
struct proxy;

/* What the reading side is doing, with what may come next. */
/* clang-format off */
#define H1_IN_STATES(X) \
	X(IDLE, TO(HEAD) | TO(DEAD))                      /* Client role: no request is out. */ \
	X(HEAD, TO(BODY) | TO(DONE) | TO(DEAD) | TO(HEAD) | TO(IDLE)) \
	X(BODY, TO(DONE) | TO(DRAIN) | TO(DEAD))          \
	X(DONE, TO(HEAD) | TO(IDLE) | TO(BODY) | TO(DEAD) | TO(LINGER)) /* To BODY behind a 101. */ \
	X(DRAIN, TO(HEAD) | TO(LINGER) | TO(DEAD))        /* Reads the rest of an unwanted body away. */ \
	X(LINGER, TO(DEAD))                               /* All is said; reads until the peer ends. */ \
	X(DEAD, TO(LINGER))                               /* Reads nothing any more. */
/* clang-format on */

enum h1_in_state {
#define X(name, next) H1_IN_##name,
	H1_IN_STATES(X)
#undef X
		H1_IN_N_STATES
};

enum h1_role { H1_SERVER, H1_CLIENT };

/* What is told in the other role only may be NULL. */
struct h1_owner {
	/*
	 * Server role: a request begins. The owner sets stream.user and
	 * stream.owner. 'refusal' instead of a head: the bytes were no request;
	 * answer and the connection will end.
	 */
	void (*request)(struct h1 *c, struct http_head *head, bool end,
			const struct http_refusal *refusal);
	void (*phase)(struct h1 *c, enum codec_phase phase); /* Server role. */
	/* Client role: released and clean; may carry the next request. */
	void (*idle)(struct h1 *c);
	/* The connection ended with no stream open, or cannot go on; h1_close() was called. Once. */
	void (*ended)(struct h1 *c, enum reason reason);
	/* The memory may go. */
	void (*closed)(struct h1 *c);
};

struct h1 {
	struct transport transport; /* First: it is there before its codec is. */
	/* Set at the start. */
	struct stream stream;
	const struct h1_owner *owner;
	struct proxy *proxy;

	/* In. */
	struct ring_buf *held;     /* Received, not looked at yet. */
	struct head_block *head;   /* While a head came only in part. */
	struct ring_buf *trailers; /* While trailers came only in part. */
	uint64_t credit;           /* Bytes that may still be delivered. */
	union {
		uint64_t in_left;           /* in_body LENGTH: what is missing. */
		struct chunk_reader chunks; /* in_body CHUNKED. */
	};
	uint32_t drained; /* Bytes thrown away: in DRAIN all, in LINGER the latest. */
	uint16_t trailers_len;
	uint8_t in_state; /* enum h1_in_state. */
	uint8_t in_body;  /* enum http_body of the message being read. */

	/* Out. */
	struct slice out_head; /* Not sent yet; the user's memory. */
	struct list out_bufs;  /* In order; the first is being written while 'writing'. */
	uint64_t out_left;     /* Of a length-delimited body. */
	uint64_t out_sent;     /* Payload bytes sent, not told yet. */
	uint8_t out_body;      /* enum http_body of the message being written. */

	uint8_t role;    /* enum h1_role. */
	uint8_t method;  /* enum http_method of the request on this connection. */
	uint8_t upgrade; /* Client role: enum http_upgrade that it asks for. */
	bool writing : 1;
	bool out_failed : 1; /* No buffer for what had to be written. */
	bool out_dead : 1;   /* Writing is over; nothing more goes out. */
	bool out_begun : 1;  /* A head was submitted for this message. */
	bool out_ended : 1;  /* Its end was submitted. */
	bool out_moved : 1;  /* Some of it has left. */
	bool large : 1;      /* The last body was long: so may the next be. */
	bool raw : 1;        /* The input is taken past us. */
	bool more : 1;       /* Bytes were waiting behind the last ones received. */
	bool eof : 1;        /* The peer ended its side. */
	bool last : 1;       /* No message after this one. */
	bool open : 1;       /* A stream is. */
	bool looping : 1;    /* h1_in_advance() is on the stack. */
	bool http10 : 1;     /* The peer's last message was HTTP/1.0. */
	bool tunnel : 1;     /* Switched: bytes of no known protocol until the end, both ways. */
	bool declined : 1;   /* The request asked for a switch, and is answered otherwise. */
	bool closing : 1;
	bool lingering : 1;  /* The peer may still be sending: end in stages (RFC 9112 9.6). */
	uint16_t in_early;   /* Body bytes that have come, as far as they make a small body. */
	uint32_t n_messages; /* Finished on this connection. */
};

extern const struct codec h1_codec;

/*
 * Over c->transport, which is connected, quiet and the codec's from now on: its events come here.
 * Then h1_start() (server role), or h1_watch(). 'first': bytes that came already, taken; or NULL.
 */
void h1_init(struct h1 *c, enum h1_role role, struct proxy *proxy, const struct h1_owner *owner);
void h1_start(struct h1 *c, struct ring_buf *first);

/* Client role: the connection is there; watch it while it is idle. */
void h1_watch(struct h1 *c);

/* End the connection now; 'closed' follows. An open stream hears nothing of it. */
void h1_close(struct h1 *c, bool abort);

/* Server role: no request after the present or the first one; closes an idle connection. */
void h1_last(struct h1 *c);

/* Server role, while a head is due: answer that instead, then end. */
void h1_refuse(struct h1 *c, struct http_refusal refusal);

/* Closes, and tells whoever should know: the open stream (reset), or the owner only. */
void h1_fault(struct h1 *c, uint16_t status, enum reason reason, bool untouched);
void h1_ended(struct h1 *c, enum reason reason);

/* Ends in the middle of a message; 'abort': what the peer has not read yet may be lost. */
void h1_cut(struct h1 *c, bool abort);

/*
 * Server role, all is said: end in stages. Whatever still comes is thrown away,
 * or a reset would cost the peer what it has not read yet (RFC 9112 9.6).
 */
void h1_linger(struct h1 *c);
/* Lingering, has anything come since this was asked last? */
bool h1_lingers_for_bytes(struct h1 *c);

/* Client role: the next request's stream; the user sets user and owner, then sends. */
struct stream *h1_open_stream(struct h1 *c);

/* Invariants, whenever none of its functions is on the stack. */
void h1_check(const struct h1 *c);

/* --- Between h1.c, h1_head.c, h1_in.c and h1_out.c. ------------------------------------------ */

void h1_enter(struct h1 *c, enum h1_in_state next);
void h1_in_bytes(struct h1 *c, struct ring_buf *buf, int32_t res);
/* Look at what is held, as far as it goes, then have more read if it is wanted. */
void h1_in_advance(struct h1 *c);
void h1_in_forget(struct h1 *c);
/* Of what is held: 'n' bytes are done with, or all of it. */
void h1_held_skip(struct h1 *c, uint32_t n);
void h1_held_give(struct h1 *c);
/* Take what is held as bytes of a head. */
void h1_head_step(struct h1 *c);
/* A 101 was told: from here on there are no messages. */
void h1_switch(struct h1 *c);
/* What had come before it, the client's end included, is told now. */
void h1_in_switched(struct h1 *c);
/* What came behind the request is no request: nothing is read any more. */
void h1_in_drop(struct h1 *c);
/* Have the first bytes of the next message received. */
void h1_in_wait(struct h1 *c);
void h1_trailers_forget(struct h1 *c);
void h1_credit(struct stream *s, uint64_t n);
int32_t h1_raw_in(struct stream *s, uint64_t *ret_len);
void h1_raw_in_done(struct stream *s, uint64_t n, int res);

void h1_encode_request(struct writer *out, const struct stream_message *message);
void h1_encode_response(struct stream *s, struct writer *out, const struct stream_message *message);
void h1_out_written(struct h1 *c, int res);
bool h1_out_is_pending(const struct h1 *c);
void h1_out_forget(struct h1 *c);
void h1_send_head(struct stream *s, struct slice bytes, const struct stream_message *message,
		  bool end);
bool h1_decline(struct stream *s);
void h1_send_info(struct stream *s, const struct http_head *head);
void h1_send_body(struct stream *s, struct ring_buf *buf, bool end);
void h1_send_trailers(struct stream *s, struct slice lines);
void h1_flush(struct stream *s);
bool h1_is_held_back(struct stream *s);
int32_t h1_raw_out(struct stream *s, struct ring_pipe *before, uint64_t *ret_sent);
void h1_raw_out_done(struct stream *s, uint64_t n, int res);
