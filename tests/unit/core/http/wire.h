/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - for tests: drive the parser and the chunk decoder as a connection would.
 *
 * A stream of bytes is handed over in pieces, message after message, as long as
 * the connection would live; what came out is recorded. Heads are parsed in heap
 * blocks of their exact size that move with every piece.
 */
#pragma once

#include <jansson.h>

#include "core/base/bits.h"
#include "core/http/chunk.h"
#include "core/http/h1_parse.h"
#include "core/http/h1_write.h"

enum { WIRE_MESSAGES_MAX = 16, WIRE_MOVE_MAX = 4096 };

/* One message as it was understood. */
struct wire_message {
	enum h1_progress progress;
	struct http_refusal refusal; /* Of the head or of the body. */
	bool complete;               /* Head and body. */
	uint32_t head_end, end;      /* Where they ended in the stream. */
	bool close;
	uint16_t status; /* What the client would be told, 200 when forwarded. */
	char *head;      /* Serialised for the upstream; NULL when refused. */
	size_t head_len;
	char *body;
	size_t body_len;
	uint8_t body_kind;
	uint8_t anomalies;
};

struct wire {
	const struct h1_limits *limits;
	bool response;
	enum http_method method; /* Of responses: what they answer. */
	uint32_t n_messages;
	struct wire_message messages[WIRE_MESSAGES_MAX];
	char trailers[CHUNK_TRAILERS_MAX]; /* Of the last message. */
	uint16_t trailers_len;
	/* Private. */
	struct h1_parser parser;
	struct chunk_reader chunks;
	uint64_t left;
	uint32_t at; /* Where the present message, or what is left of it, begins. */
	enum { WIRE_HEAD, WIRE_BODY, WIRE_OVER } state;
};

/* The serialised head, with what strangers may not say left out as the proxy does it. */
static inline void wire_serialise(struct wire_message *message, struct http_head *head,
				  bool response)
{
	size_t size = head->wire_len + 512;
	struct h1_framing framing = {
		.body = head->body,
		.length = head->content_length,
		.announce = head->has_length,
		.close = head->body == HTTP_BODY_UNTIL_CLOSE,
	};
	struct writer out;

	for (uint32_t i = 0; i < head->n_fields && !response; i++)
		if (http_field_class(head->fields[i].id) == HTTP_CLASS_FORWARDED)
			head->fields[i].dropped = true;
	message->head = malloc(size);
	out = writer_make(message->head, size);
	if (response)
		h1_write_response(&out, head, SLICE(""), &framing);
	else
		h1_write_request(&out, head, &(struct http_rewrite){ 0 }, SLICE(""), &framing);
	GW_ASSERT(!out.overflow);
	message->head_len = writer_len(&out);
}

static inline uint16_t wire_answer(const struct http_head *head)
{
	const struct http_field *hops = http_head_find(head, HTTP_FIELD_MAX_FORWARDS);

	if (head->asterisk || (head->method == HTTP_OPTIONS && hops &&
			       slice_eq(http_text(head, hops->value), SLICE("0"))))
		return 204;
	return 200;
}

static inline void wire_begin(struct wire *wire)
{
	GW_ASSERT(wire->n_messages < WIRE_MESSAGES_MAX);
	wire->messages[wire->n_messages++] = (struct wire_message){ .progress = H1_PARTIAL };
	if (wire->response)
		h1_parse_response(&wire->parser, wire->limits, wire->method);
	else
		h1_parse_request(&wire->parser, wire->limits);
	wire->state = WIRE_HEAD;
}

static inline void wire_end_message(struct wire *wire, struct wire_message *message)
{
	message->complete = true;
	message->end = wire->at;
	wire->state = message->close || wire->response ? WIRE_OVER : WIRE_HEAD;
	if (wire->state == WIRE_HEAD)
		wire->parser.seen = UINT32_MAX; /* Begins with the next byte. */
}

/* A head is judged: note what it says, and go on with its body. */
static inline void wire_take_head(struct wire *wire, struct wire_message *message)
{
	struct http_head *head = &wire->parser.head;

	message->body_kind = head->body;
	message->anomalies = head->anomalies;
	message->close = head->close;
	if (message->progress == H1_DONE) {
		message->status = wire->response ? head->status : wire_answer(head);
		wire_serialise(message, head, wire->response);
	} else {
		message->refusal = wire->parser.refusal;
		message->status = message->refusal.status;
		message->close |= !message->refusal.keep;
	}
	if (message->progress == H1_REFUSED && !message->refusal.keep) {
		wire->state = WIRE_OVER;
		return;
	}
	wire->at += head->wire_len;
	message->head_end = wire->at;
	wire->left = head->content_length;
	wire->state = WIRE_BODY;
	chunk_begin(&wire->chunks);
	wire->trailers_len = 0;
	if (head->body == HTTP_BODY_NONE)
		wire_end_message(wire, message);
}

static inline void wire_feed_head(struct wire *wire, struct wire_message *message, char *bytes,
				  uint32_t len)
{
	uint32_t n = len - wire->at;
	char *block = bytes + wire->at;

	if (n <= WIRE_MOVE_MAX) {
		block = malloc(n);
		memcpy(block, bytes + wire->at, n);
	}
	message->progress = h1_parse_feed(&wire->parser, block, n);
	if (message->progress != H1_PARTIAL)
		wire_take_head(wire, message);
	if (n <= WIRE_MOVE_MAX)
		free(block);
}

/* Room for 'more' bytes behind len; the size is the next power of two, so it need not be kept. */
static inline char *wire_grow(char *ptr, size_t len, size_t more)
{
	size_t had = len > 0 ? bits_pow2_up(len) : 0;

	return len + more > had ? realloc(ptr, bits_pow2_up(len + more)) : ptr;
}

static inline void wire_add_body(struct wire_message *message, const char *bytes, uint32_t len)
{
	if (len == 0)
		return;
	message->body = wire_grow(message->body, message->body_len, len);
	memcpy(message->body + message->body_len, bytes, len);
	message->body_len += len;
}

static inline void wire_feed_chunks(struct wire *wire, struct wire_message *message, char *bytes,
				    uint32_t len)
{
	struct chunk_piece piece = chunk_feed(&wire->chunks, bytes + wire->at, len - wire->at,
					      wire->trailers, &wire->trailers_len);

	wire_add_body(message, bytes + wire->at, piece.payload_len);
	wire->at += piece.used;
	if (piece.progress == CHUNK_END)
		wire_end_message(wire, message);
	if (piece.progress == CHUNK_REFUSED) {
		message->refusal = piece.refusal;
		message->status = piece.refusal.status;
		message->close = true;
		wire->state = WIRE_OVER;
	}
}

static inline void wire_feed_body(struct wire *wire, struct wire_message *message, char *bytes,
				  uint32_t len)
{
	uint32_t n = len - wire->at;

	if (message->body_kind == HTTP_BODY_CHUNKED) {
		wire_feed_chunks(wire, message, bytes, len);
		return;
	}
	if (message->body_kind == HTTP_BODY_LENGTH && n > wire->left)
		n = (uint32_t)wire->left;
	wire_add_body(message, bytes + wire->at, n);
	wire->at += n;
	wire->left -= n;
	if (wire->left == 0 && message->body_kind == HTTP_BODY_LENGTH)
		wire_end_message(wire, message);
}

/* bytes[0 .. len) have come, of which some were there before. */
static inline void wire_feed(struct wire *wire, char *bytes, uint32_t len)
{
	while (wire->at < len && wire->state != WIRE_OVER) {
		struct wire_message *message;

		if (wire->n_messages == 0 ||
		    (wire->state == WIRE_HEAD && wire->parser.seen == UINT32_MAX))
			wire_begin(wire);
		message = &wire->messages[wire->n_messages - 1];
		if (wire->state == WIRE_HEAD) {
			wire_feed_head(wire, message, bytes, len);
			if (message->progress == H1_PARTIAL)
				return;
		} else {
			wire_feed_body(wire, message, bytes, len);
		}
	}
}

static inline void wire_free(struct wire *wire)
{
	for (uint32_t i = 0; i < wire->n_messages; i++) {
		free(wire->messages[i].head);
		free(wire->messages[i].body);
	}
}

/* A string, or a list of strings and {"repeat", "times"}; one character is one byte. */
struct wire_text {
	char *ptr;
	size_t len;
};

static inline void wire_text_add(struct wire_text *text, const json_t *json)
{
	const char *utf8 = json_string_value(json);
	size_t utf8_len = json_string_length(json);

	if (utf8_len > 0)
		text->ptr = wire_grow(text->ptr, text->len, utf8_len);
	for (size_t i = 0; i < utf8_len; i++) {
		unsigned char c = (unsigned char)utf8[i];

		if (c >= 0xc0) { /* U+0080 to U+00FF are two bytes in UTF-8. */
			GW_ASSERT(c <= 0xc3 && i + 1 < utf8_len);
			c = (unsigned char)((c & 3) << 6 | ((unsigned char)utf8[++i] & 0x3f));
		}
		text->ptr[text->len++] = (char)c;
	}
}

static inline struct wire_text wire_text_read(const json_t *json)
{
	struct wire_text text = { 0 };

	if (json_is_string(json))
		wire_text_add(&text, json);
	for (size_t i = 0; i < json_array_size(json); i++) {
		const json_t *part = json_array_get(json, i);
		json_int_t times = 1;

		if (json_is_object(part)) {
			times = json_integer_value(json_object_get(part, "times"));
			part = json_object_get(part, "repeat");
		}
		while (times-- > 0)
			wire_text_add(&text, part);
	}
	return text;
}
