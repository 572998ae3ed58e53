/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - HTTP/1.x as a simulated peer reads it: strict, and written apart from
 * the gateway's own parser, so that both would have to be wrong in the same way.
 *
 * Feed it what came; it gives one event after the other. The gateway is held to
 * what it promises to write: one framing field, lines ended by CRLF, nothing
 * folded. Anything else is WIRE_BAD.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"

enum wire_event {
	WIRE_MORE, /* All is eaten. */
	WIRE_HEAD, /* wire->head is complete. */
	WIRE_BODY, /* *ret_piece is payload. */
	WIRE_END,  /* The message is over; trailers, if any, are in wire->line. */
	WIRE_BAD,  /* wire->why. */
};

enum { WIRE_HEAD_MAX = 16384 };

struct wire {
	bool is_response;
	bool bodiless; /* Responses: the request was HEAD. Set before its head is complete. */
	uint8_t state;
	uint8_t framing;
	uint16_t status;
	bool http10, close;
	bool begun; /* Bytes of a message have come. */
	uint64_t left, body_len;
	uint32_t head_len, line_len;
	const char *why;
	char line[4096];
	char head[WIRE_HEAD_MAX];
};

enum wire_framing { WIRE_NO_BODY, WIRE_LENGTH, WIRE_CHUNKED, WIRE_UNTIL_CLOSE };

/* For the next message. */
void wire_begin(struct wire *w, bool is_response);

/* Eats from *in. */
enum wire_event wire_next(struct wire *w, struct slice *in, struct slice *ret_piece);

/* The stream ended: WIRE_END closes a body without length, WIRE_MORE means between messages. */
enum wire_event wire_eof(struct wire *w);

static inline struct slice wire_head(const struct wire *w)
{
	return slice_make(w->head, w->head_len);
}

/* The value of a field that is there exactly once; false otherwise. Names in lower case. */
bool wire_field(const struct wire *w, struct slice name, struct slice *ret_value);
uint32_t wire_count(const struct wire *w, struct slice name);
