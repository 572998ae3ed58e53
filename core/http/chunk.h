/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk.h - the chunked transfer coding in (RFC 9112 7.1), strictly.
 *
 * The decoder eats a piece of wire bytes and packs the payload in it together,
 * in place, so that one received buffer gives one piece of payload, whatever
 * the sender's chunks were. It holds no bytes but trailers. See rows K of tests/vectors.
 *
 * llhttp is not used here: it does not show the digits of a size, the size of
 * extensions, or trailers apart from fields, each of which needs a bound. A
 * property test holds both against each other on everything both can judge.
 *
 * Ownership: the bytes are the caller's; a reader is a plain value.
 * Threads: one at a time per reader.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/http/head.h"

enum {
	CHUNK_DIGITS_MAX = 16,
	CHUNK_EXT_MAX = 256,       /* Bytes of extension per chunk. */
	CHUNK_EXT_SUM_MAX = 16384, /* Per body. */
	CHUNK_OVERHEAD_FREE =
		102400, /* Framing bytes per body beyond payload / 8 that are tolerated. */
	CHUNK_TRAILERS_MAX = 4096, /* Bytes. */
	CHUNK_TRAILER_FIELDS_MAX = 20,
	CHUNK_NAME_SIZE = 24, /* Of a trailer's name; no name of field.def is as long. */
};

struct chunk_reader {      /* All private, but payload. */
	uint64_t left;     /* Of the current chunk. */
	uint64_t payload;  /* So far. */
	uint64_t overhead; /* Framing bytes so far. */
	uint32_t ext_sum;
	uint16_t ext, line, n_trailers, trailer_bytes;
	uint8_t state, digits, name_len;
	bool drop; /* The trailer line being read. */
	char name[CHUNK_NAME_SIZE];
};

enum chunk_progress { CHUNK_MORE, CHUNK_END, CHUNK_REFUSED };

struct chunk_piece {
	enum chunk_progress progress;
	uint32_t payload_len;        /* Payload bytes, packed to the front of the piece. */
	uint32_t used;               /* Wire bytes eaten: all, unless the body ended. */
	struct http_refusal refusal; /* With CHUNK_REFUSED. */
};

void chunk_begin(struct chunk_reader *reader);

/*
 * Eat wire[0 .. len). Trailer lines (validated, forbidden ones left out, each
 * ended by CRLF) are appended to trailers[*trailers_len ..), which has room for
 * CHUNK_TRAILERS_MAX from its beginning on and holds the unfinished line behind
 * *trailers_len between two calls; NULL drops them (they are still checked).
 *
 * CHUNK_REFUSED: what was packed before the fault is good payload. The verdict
 * and the payload do not depend on how the bytes were cut. After CHUNK_END and
 * CHUNK_REFUSED only chunk_begin() may follow.
 */
struct chunk_piece chunk_feed(struct chunk_reader *reader, char *wire, uint32_t len, char *trailers,
			      uint16_t *trailers_len);

enum { CHUNK_HEAD_MAX = 18 };

/* "1a2b\r\n" so that it ends just before 'end'; returns its length, at most CHUNK_HEAD_MAX. */
uint32_t chunk_write_size_before(char *end, uint64_t size);
