/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_codec.h - for tests: a codec that carries many streams on one connection, in both roles.
 *
 * There is no wire. A test plays the peer: it delivers events with fake_head()
 * and its like, and lets submitted bytes leave with fake_pump(). The codec
 * plays the seam of core/proxy/stream.h to the letter, and fails the test when
 * its user does not: calls on a dead stream, bytes before a head or behind an
 * end, a release of what is not complete.
 *
 * Every stream has a seed. A request tells it in its path, a response in the
 * field x-seed, and each body byte follows from it and the byte's place: what
 * comes out on the other side must be of one seed and in order.
 *
 * Included after cmocka; no threads.
 */
#pragma once

#include "core/base/list.h"
#include "core/proxy/stream.h"

enum { FAKE_STREAMS = 24, FAKE_TEXT = 512, FAKE_WINDOW = RING_BUF_DATA };

enum fake_role { FAKE_SERVER, FAKE_CLIENT };
enum fake_life { FAKE_OPEN, FAKE_RELEASED, FAKE_RESET };

/* What the peer has told the gateway. */
struct fake_in {
	uint64_t window;   /* Bytes that may still be delivered. */
	uint64_t credited; /* Granted by credit() so far. */
	uint64_t delivered;
	uint8_t n_declined;
	bool ended;
	bool early;    /* For the test: bytes have come behind the request. */
	bool switched; /* A 101 has passed. */
};

/* What the gateway has told the peer. */
struct fake_out {
	struct list bufs;       /* Submitted, not sent. */
	uint64_t pending, told; /* Bytes in them; bytes told as sent. */
	uint64_t length;
	uint32_t seed;   /* That the bytes must show; 0: an answer of the gateway's own. */
	uint16_t status; /* Responses. */
	uint8_t body;    /* enum http_body. */
	uint8_t upgrade; /* enum http_upgrade, of the head. */
	uint8_t n_infos, n_flushes;
	bool begun, ended, all; /* all: told that everything has left. */
	bool last;
	uint16_t trailers_len;
	char trailers[FAKE_TEXT];
};

struct fake_stream {
	struct stream stream;
	struct fake_conn *conn;
	struct fake_in in;
	struct fake_out out;
	uint32_t seed;
	uint8_t life; /* enum fake_life. */
	bool aborted;
};

struct fake_conn {
	struct ring *ring;
	enum fake_role role;
	uint32_t n_streams, turn;
	struct fake_stream streams[FAKE_STREAMS];
};

void fake_init(struct fake_conn *conn, struct ring *ring, enum fake_role role);

/* One more stream on the connection; its memory stays until the next fake_init(). */
struct fake_stream *fake_open(struct fake_conn *conn, uint32_t seed);

static inline bool fake_is_open(const struct fake_stream *f)
{
	return f->life == FAKE_OPEN;
}

/* --- The peer's doing: events. Nothing happens to a stream that is not open any more. ---------- */

void fake_head(struct fake_stream *f, struct http_head *head, bool last);
/* At most what credit allows; returns how many bytes went. The end goes with the last byte wanted. */
uint32_t fake_body(struct fake_stream *f, uint32_t len, bool last);
void fake_trailers(struct fake_stream *f, struct slice lines);
void fake_flush(struct fake_stream *f);
void fake_malformed(struct fake_stream *f, uint16_t status, uint16_t reason);
void fake_reset(struct fake_stream *f, uint16_t status, uint16_t reason, bool untouched);

/* Let up to 'len' submitted bytes leave, and the end behind the last of them. */
void fake_pump(struct fake_stream *f, uint64_t len);
/* The same for all streams of a connection, a little of each in turn. */
void fake_pump_all(struct fake_conn *conn, uint64_t len);
