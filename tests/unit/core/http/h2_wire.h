/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_wire.h - for tests: frames of HTTP/2 written by hand, right or wrong (RFC 9113 4, 6).
 *
 * Fields are literals without indexing and without Huffman coding, so that any bytes
 * can be said, whatever a real encoder would refuse.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

enum h2_wire_type {
	H2W_DATA,
	H2W_HEADERS,
	H2W_PRIORITY,
	H2W_RST_STREAM,
	H2W_SETTINGS,
	H2W_PUSH_PROMISE,
	H2W_PING,
	H2W_GOAWAY,
	H2W_WINDOW_UPDATE,
	H2W_CONTINUATION,
	H2W_UNKNOWN = 0xbe,
};

enum {
	H2W_SIZE = 1 << 20,
	H2W_END_STREAM = 1,
	H2W_ACK = 1,
	H2W_END_HEADERS = 4,
	H2W_WHOLE = H2W_END_STREAM | H2W_END_HEADERS,
	H2W_PADDED = 8,
};

struct h2_wire {
	uint32_t len;
	uint8_t bytes[H2W_SIZE];
};

static inline void h2w_put(struct h2_wire *w, const void *bytes, size_t len)
{
	GW_ASSERT(len <= sizeof(w->bytes) - w->len);
	if (len > 0)
		memcpy(w->bytes + w->len, bytes, len);
	w->len += (uint32_t)len;
}

static inline void h2w_frame(struct h2_wire *w, uint8_t type, uint8_t flags, uint32_t id,
			     const void *payload, uint32_t len)
{
	const uint8_t head[9] = {
		(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,       type,       flags,
		(uint8_t)(id >> 24),  (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id
	};

	h2w_put(w, head, sizeof(head));
	h2w_put(w, payload, len);
}

/* The frames that consist of a number. */
static inline void h2w_number(struct h2_wire *w, uint8_t type, uint32_t id, uint32_t number)
{
	const uint8_t payload[4] = { (uint8_t)(number >> 24), (uint8_t)(number >> 16),
				     (uint8_t)(number >> 8), (uint8_t)number };

	h2w_frame(w, type, 0, id, payload, sizeof(payload));
}

static inline void h2w_ping(struct h2_wire *w, uint8_t flags)
{
	h2w_frame(w, H2W_PING, flags, 0, "12345678", 8);
}

static inline void h2w_preface(struct h2_wire *w)
{
	static const char magic[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

	h2w_put(w, magic, sizeof(magic) - 1);
	h2w_frame(w, H2W_SETTINGS, 0, 0, NULL, 0);
}

/* HPACK 5.1, 5.2: a string's length has seven bits, or continues. */
static inline void h2w_string(struct h2_wire *w, struct slice s)
{
	size_t left = s.len;

	if (left < 127) {
		h2w_put(w, &(uint8_t){ (uint8_t)left }, 1);
	} else {
		h2w_put(w, &(uint8_t){ 127 }, 1);
		for (left -= 127; left >= 128; left /= 128)
			h2w_put(w, &(uint8_t){ (uint8_t)(0x80 | left % 128) }, 1);
		h2w_put(w, &(uint8_t){ (uint8_t)left }, 1);
	}
	h2w_put(w, s.ptr, s.len);
}

static inline void h2w_field(struct h2_wire *w, struct slice name, struct slice value)
{
	h2w_put(w, "", 1);
	h2w_string(w, name);
	h2w_string(w, value);
}

/* "name: value\n..." as they are, with exactly one blank before the value. */
static inline void h2w_lines(struct h2_wire *w, const char *lines)
{
	struct slice rest = slice_of(lines), line;

	while (rest.len > 0) {
		size_t colon;

		slice_split(rest, '\n', &line, &rest);
		colon = 1 + slice_find(slice_drop(line, 1), ':');
		h2w_field(w, slice_take(line, colon), slice_drop(line, colon + 2));
	}
}

/* A frame's length, when its payload is there; 'at' is where it begins. */
static inline void h2w_close(struct h2_wire *w, uint32_t at)
{
	uint32_t len = w->len - at - 9;

	w->bytes[at] = (uint8_t)(len >> 16);
	w->bytes[at + 1] = (uint8_t)(len >> 8);
	w->bytes[at + 2] = (uint8_t)len;
}

static inline void h2w_section(struct h2_wire *w, uint8_t type, uint8_t flags, uint32_t id,
			       const char *lines)
{
	uint32_t at = w->len;

	h2w_frame(w, type, flags, id, NULL, 0);
	h2w_lines(w, lines);
	h2w_close(w, at);
}

#define H2W_GET  ":method: GET\n:scheme: http\n:path: /\n:authority: a\n"
#define H2W_POST ":method: POST\n:scheme: http\n:path: /\n:authority: a\n"

static inline void h2w_get(struct h2_wire *w, uint32_t id)
{
	h2w_section(w, H2W_HEADERS, H2W_WHOLE, id, H2W_GET);
}

/* The next frame of what was written to us. False when there is none that is whole. */
struct h2_wire_frame {
	uint8_t type, flags;
	uint32_t id, len;
	const uint8_t *payload;
};

static inline bool h2w_next(const uint8_t **at, const uint8_t *end, struct h2_wire_frame *ret)
{
	const uint8_t *p = *at;

	if (end - p < 9)
		return false;
	*ret = (struct h2_wire_frame){
		.len = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2],
		.type = p[3],
		.flags = p[4],
		.id = (uint32_t)(p[5] & 0x7f) << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 |
		      p[8],
		.payload = p + 9,
	};
	if ((uint32_t)(end - p) < 9 + ret->len)
		return false;
	*at = p + 9 + ret->len;
	return true;
}

static inline uint32_t h2w_number_of(const struct h2_wire_frame *f, uint32_t at)
{
	GW_ASSERT(f->len >= at + 4);
	return (uint32_t)f->payload[at] << 24 | (uint32_t)f->payload[at + 1] << 16 |
	       (uint32_t)f->payload[at + 2] << 8 | f->payload[at + 3];
}
