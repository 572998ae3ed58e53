/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - the codec seam: one request and its response on one connection.
 *
 * A codec (h1, later h2; server or client role) turns a transport's bytes into
 * events on streams, and calls on streams into bytes. Its user is an exchange
 * (or the admin server), which cannot tell how many streams share a connection.
 *
 * Events in, per message: head, then body pieces, then trailers if any; the
 * last of these carries 'end'. After each burst of events, flush: nothing more
 * for now; 'more' says that bytes were waiting behind what was told. No other
 * stream's head is told between a head and its flush. A reset event ends the
 * stream in both directions.
 *
 * Calls out mirror that: send_head, send_body, send_trailers, flush. Bytes may
 * be held back until flush, so that a head and the first of its body leave as
 * one. 'sent' tells how many body bytes have left, and when everything has.
 *
 * Credit. The user grants bytes with credit(); the codec never delivers more
 * body than was granted, except what had come along with the head (h1: one
 * buffer; h2: the initial window). The user grants again what 'sent' on the
 * other side reports: so nothing between the two sides grows.
 *
 * Raw bytes. raw_in() tells that the next *ret_len bytes of the transport are
 * this stream's payload and may be taken past the codec, by splice from the
 * file it returns; raw_in_done() says how many were, and the codec goes on from
 * there, by raw or by copy, at any byte. raw_out() is the same for sending.
 * -ENOTSUP says that it cannot be, -EAGAIN that it can when all has been sent
 * that was submitted. With 'before', an empty pipe, raw bytes will follow at
 * once: then what was submitted may be put in there by this very call, to leave
 * as one with them, and *ret_sent is what 'sent' would have told of it.
 *
 * Switching protocols (RFC 9110 7.8). A request may ask for it: message.upgrade. An
 * answer with status 101 that grants it has it in head.upgrade, and is told on by a
 * message with upgrade; the codec has checked that they match. Behind that head
 * each side begins anew, however complete the request was: bytes of no protocol
 * that we know, 'body' and raw, with a length of UINT64_MAX, until the end of that
 * side is told or submitted. Of the client's bytes none is told before. An answer
 * that does not switch is preceded by decline(). No connection is used again.
 *
 * Reentrancy. Events never come from inside a call of the user.
 * The user ends with release() (both messages complete) or reset(); after that
 * no event comes and the handle is dead.
 *
 * Threads: the worker's.
 */
#pragma once

#include "core/base/writer.h"
#include "core/http/head.h"
#include "ring/ring_buf.h"

struct stream;
struct ring_pipe;

/* What the peer of a stream did to it. */
struct stream_fault {
	uint16_t status; /* What to answer the client when it still can be told. */
	uint16_t reason; /* enum reason. */
	bool untouched; /* The peer had sent nothing of an answer: the request may be tried elsewhere. */
	bool refused; /* And it says that it has done nothing: whatever the method. */
	/*
	 * Then: the body that was submitted (struct ring_buf), none of which has left. Who tries
	 * again takes it. NULL: some of it has.
	 */
	struct list *unsent;
};

struct stream_user {
	/* Requests (server role) or responses (client role, 1xx included: then never 'end'). Lent for the call. */
	void (*head)(struct stream *s, struct http_head *head, bool end);
	/* 'buf' passes to the user, or NULL when only the end is told. */
	void (*body)(struct stream *s, struct ring_buf *buf, bool end);
	/* Complete lines, validated, lent for the call; always the end. */
	void (*trailers)(struct stream *s, struct slice lines);
	void (*flush)(struct stream *s, bool more);
	/* 'n' body bytes have left since the last time; 'all': nothing submitted is left, the end included. */
	void (*sent)(struct stream *s, uint64_t n, bool all);
	/* Server role: the body turned out malformed. No more input comes; the client may still be answered. */
	void (*malformed)(struct stream *s, const struct stream_fault *fault);
	void (*reset)(struct stream *s, const struct stream_fault *fault);
};

/* Of a body that follows its head at once. */
enum { STREAM_OWN_TEXT_MAX = 128 };

/* How a message is to be told to the peer. */
struct stream_message {
	const struct http_head *head; /* Its kept fields; NULL for an answer of our own. */
	struct http_rewrite rewrite;  /* Requests. */
	struct slice extra;           /* Complete lines of ours. */
	struct slice content_type;    /* Of an answer of our own, */
	struct slice text;            /* with its body, which follows the head at once. */
	uint16_t status;              /* Responses. */
	uint8_t method;               /* Requests: enum http_method. */
	enum http_body body;          /* LENGTH, NONE, or CHUNKED for "not known". */
	uint64_t length;
	bool announce;   /* No body follows, but say 'length' (answers to HEAD, 304). */
	bool last;       /* The connection should end after this message. */
	uint8_t upgrade; /* enum http_upgrade: what a request asks for, a 101 switches to. */
};

/* What a connection of the server role is waiting for, told to its owner, who has the deadlines. */
enum codec_phase {
	CODEC_PHASE_IDLE, /* For the first byte of a message. */
	CODEC_PHASE_HEAD, /* For the rest of a head. */
	CODEC_PHASE_BUSY, /* A stream is open; deadlines are its user's. */
	CODEC_PHASE_DRAIN,
	CODEC_PHASE_LINGER,
};

struct codec {
	const char *name;
	bool many; /* Streams on one connection. */
	/* Requests are put into wire form before there is a stream: a retry sends the same bytes. */
	void (*encode_request)(struct writer *out, const struct stream_message *message);
	void (*encode_response)(struct stream *s, struct writer *out,
				const struct stream_message *message);
	/* 'bytes' came from encode_*(); used until the flush that follows, or 'end', and not after. */
	void (*send_head)(struct stream *s, struct slice bytes,
			  const struct stream_message *message, bool end);
	/*
	 * Server role: the request asked for an upgrade, was passed on with it, and is about
	 * to be answered by something else. True when bytes have come behind it: they are
	 * thrown away, for they may be no request, and the connection ends after the answer.
	 */
	bool (*decline)(struct stream *s);
	/* Informational response; copied. */
	void (*send_info)(struct stream *s, const struct http_head *head);
	/* Takes 'buf', or NULL when only the end is told. */
	void (*send_body)(struct stream *s, struct ring_buf *buf, bool end);
	/* Always the end. Dropped where the peer's protocol has no place for them. */
	void (*send_trailers)(struct stream *s, struct slice lines);
	void (*flush)(struct stream *s);
	void (*credit)(struct stream *s, uint64_t n);
	int32_t (*raw_in)(struct stream *s, uint64_t *ret_len);
	/* 'res' 0: end of file met; < 0: -errno; 1: fine. */
	void (*raw_in_done)(struct stream *s, uint64_t n, int res);
	int32_t (*raw_out)(struct stream *s, struct ring_pipe *before, uint64_t *ret_sent);
	void (*raw_out_done)(struct stream *s, uint64_t n, int res);
	void (*release)(struct stream *s);
	/* It is the peer's flow control that holds back what was submitted. */
	bool (*is_held_back)(struct stream *s);
	/* Give the stream up. 'abort': at once and by a reset; else what was submitted leaves first. */
	void (*reset)(struct stream *s, bool abort);
};

struct stream {
	const struct codec *codec;
	const struct stream_user *user; /* Set by the user. */
	void *owner;                    /* The user's. */
};
