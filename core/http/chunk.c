/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One state per place in the grammar of RFC 9112 7.1, one byte per step, except
 * in chunk data. White space that the grammar calls bad is refused, as are
 * extensions without a name: nobody sends either in good faith.
 */
#include "core/http/chunk.h"

#include "core/http/chars.h"
#include "core/http/hop.h"

/* clang-format off */
/*        name          step on a byte     may be followed by */
#define CHUNK_STATES(X) \
	X(SIZE,         on_size,           TO(SIZE_LF) | TO(EXT_NAME)) \
	X(SIZE_LF,      on_size_lf,        TO(DATA) | TO(LINE)) \
	X(EXT_NAME,     on_ext_name,       TO(EXT_NAME) | TO(EXT_VALUE) | TO(SIZE_LF)) \
	X(EXT_VALUE,    on_ext_value,      TO(EXT_TOKEN) | TO(EXT_QUOTED)) \
	X(EXT_TOKEN,    on_ext_token,      TO(EXT_NAME) | TO(SIZE_LF)) \
	X(EXT_QUOTED,   on_ext_quoted,     TO(EXT_ESCAPED) | TO(EXT_CLOSED)) \
	X(EXT_ESCAPED,  on_ext_escaped,    TO(EXT_QUOTED)) \
	X(EXT_CLOSED,   end_ext,           TO(EXT_NAME) | TO(SIZE_LF)) \
	X(DATA,         NULL,              TO(DATA_CR)) \
	X(DATA_CR,      on_data_cr,        TO(DATA_LF)) \
	X(DATA_LF,      on_data_lf,        TO(SIZE)) \
	X(LINE,         on_line,           TO(NAME) | TO(LAST_LF)) \
	X(NAME,         on_trailer_name,   TO(VALUE)) \
	X(VALUE,        on_trailer_value,  TO(VALUE_LF)) \
	X(VALUE_LF,     on_trailer_lf,     TO(LINE)) \
	X(LAST_LF,      on_last_lf,        TO(END)) \
	X(END,          NULL,              0) \
	X(REFUSED,      NULL,              0)
/* clang-format on */

enum chunk_state {
#define X(name, step, next) CHUNK_STATE_##name,
	CHUNK_STATES(X)
#undef X
};

#define TO(name) (1u << CHUNK_STATE_##name)
static const uint32_t may_follow[] = {
#define X(name, step, next) [CHUNK_STATE_##name] = next,
	CHUNK_STATES(X)
#undef X
};
#undef TO

/* The only way to change state. Always REASON_NONE, so that a step can end with it. */
static enum reason chunk_enter(struct chunk_reader *reader, enum chunk_state next)
{
	GW_ASSERT(next == CHUNK_STATE_REFUSED || (may_follow[reader->state] & (1u << next)));
	reader->state = (uint8_t)next;
	return REASON_NONE;
}

void chunk_begin(struct chunk_reader *reader)
{
	*reader = (struct chunk_reader){ .state = CHUNK_STATE_SIZE };
}

static uint64_t overhead_max(const struct chunk_reader *reader)
{
	return CHUNK_OVERHEAD_FREE + reader->payload / 8;
}

/* The digits are over, with CR or an extension. */
static enum reason end_size(struct chunk_reader *reader, enum chunk_state next)
{
	if (reader->digits == 0)
		return REASON_CHUNK_INVALID;
	if (reader->left > INT64_MAX - reader->payload)
		return REASON_BODY_TOO_LARGE;
	return chunk_enter(reader, next);
}

static enum reason on_size(struct chunk_reader *reader, char c)
{
	if (chars_is(c, CHARS_HEX)) {
		if (reader->digits == CHUNK_DIGITS_MAX)
			return REASON_CHUNK_INVALID;
		reader->digits++;
		reader->left = reader->left << 4 | chars_hex_value(c);
		return REASON_NONE;
	}
	if (c == '\r')
		return end_size(reader, CHUNK_STATE_SIZE_LF);
	if (c == ';')
		return end_size(reader, CHUNK_STATE_EXT_NAME);
	return REASON_CHUNK_INVALID;
}

static enum reason on_size_lf(struct chunk_reader *reader, char c)
{
	if (c != '\n')
		return REASON_CHUNK_INVALID;
	if (reader->overhead > overhead_max(reader))
		return REASON_CHUNK_OVERHEAD;
	reader->digits = 0;
	reader->ext = 0;
	return chunk_enter(reader, reader->left > 0 ? CHUNK_STATE_DATA : CHUNK_STATE_LINE);
}

/* Behind a name or a value: the next extension, or the end of the line. */
static enum reason end_ext(struct chunk_reader *reader, char c)
{
	if (c == ';')
		return chunk_enter(reader, CHUNK_STATE_EXT_NAME);
	if (c == '\r')
		return chunk_enter(reader, CHUNK_STATE_SIZE_LF);
	return REASON_CHUNK_INVALID;
}

/* name_len tells only whether there is a name: ";;", ";=" and a lone ';' are refused. */
static enum reason on_ext_name(struct chunk_reader *reader, char c)
{
	bool empty = reader->name_len == 0;

	if (chars_is(c, CHARS_TOKEN)) {
		reader->name_len = 1;
		return REASON_NONE;
	}
	reader->name_len = 0;
	if (empty)
		return REASON_CHUNK_INVALID;
	if (c == '=')
		return chunk_enter(reader, CHUNK_STATE_EXT_VALUE);
	return end_ext(reader, c);
}

static enum reason on_ext_value(struct chunk_reader *reader, char c)
{
	if (c == '"')
		return chunk_enter(reader, CHUNK_STATE_EXT_QUOTED);
	if (chars_is(c, CHARS_TOKEN))
		return chunk_enter(reader, CHUNK_STATE_EXT_TOKEN);
	return REASON_CHUNK_INVALID;
}

static enum reason on_ext_quoted(struct chunk_reader *reader, char c)
{
	if (!chars_is(c, CHARS_TEXT))
		return REASON_CHUNK_INVALID;
	if (c == '\\')
		return chunk_enter(reader, CHUNK_STATE_EXT_ESCAPED);
	if (c == '"')
		return chunk_enter(reader, CHUNK_STATE_EXT_CLOSED);
	return REASON_NONE;
}

static enum reason count_ext(struct chunk_reader *reader, char c)
{
	if (c == '\r')
		return REASON_NONE;
	reader->ext++;
	reader->ext_sum++;
	return reader->ext > CHUNK_EXT_MAX || reader->ext_sum > CHUNK_EXT_SUM_MAX
		       ? REASON_CHUNK_EXT_TOO_LARGE
		       : REASON_NONE;
}

static enum reason on_ext_token(struct chunk_reader *reader, char c)
{
	return chars_is(c, CHARS_TOKEN) ? REASON_NONE : end_ext(reader, c);
}

static enum reason on_ext_escaped(struct chunk_reader *reader, char c)
{
	return chars_is(c, CHARS_TEXT) ? chunk_enter(reader, CHUNK_STATE_EXT_QUOTED)
				       : REASON_CHUNK_INVALID;
}

static enum reason on_data_cr(struct chunk_reader *reader, char c)
{
	return c == '\r' ? chunk_enter(reader, CHUNK_STATE_DATA_LF) : REASON_CHUNK_INVALID;
}

static enum reason on_data_lf(struct chunk_reader *reader, char c)
{
	return c == '\n' ? chunk_enter(reader, CHUNK_STATE_SIZE) : REASON_CHUNK_INVALID;
}

static enum reason end_trailer_name(struct chunk_reader *reader)
{
	switch (hop_judge_trailer((struct slice){ reader->name, reader->name_len })) {
	case HOP_TRAILER_FORBID:
		return REASON_TRAILER_FORBIDDEN;
	case HOP_TRAILER_DROP:
		reader->drop = true;
		break;
	case HOP_TRAILER_PASS:
		break;
	}
	return chunk_enter(reader, CHUNK_STATE_VALUE);
}

static enum reason on_trailer_name(struct chunk_reader *reader, char c)
{
	if (c == ':')
		return end_trailer_name(reader);
	if (!chars_is(c, CHARS_TOKEN))
		return REASON_TRAILER_INVALID;
	if (c == '_')
		reader->drop = true;
	if (reader->name_len < CHUNK_NAME_SIZE)
		reader->name[reader->name_len++] = c;
	return REASON_NONE;
}

static enum reason on_line(struct chunk_reader *reader, char c)
{
	if (c == '\r')
		return chunk_enter(reader, CHUNK_STATE_LAST_LF);
	if (c == '\n')
		return REASON_CHUNK_INVALID;
	if (reader->n_trailers == CHUNK_TRAILER_FIELDS_MAX || !chars_is(c, CHARS_TOKEN))
		return REASON_TRAILER_INVALID;
	reader->n_trailers++;
	reader->line = 0;
	reader->name_len = 0;
	reader->drop = false;
	chunk_enter(reader, CHUNK_STATE_NAME);
	return on_trailer_name(reader, c);
}

static enum reason on_trailer_value(struct chunk_reader *reader, char c)
{
	if (c == '\r')
		return chunk_enter(reader, CHUNK_STATE_VALUE_LF);
	return chars_is(c, CHARS_TEXT) ? REASON_NONE : REASON_TRAILER_INVALID;
}

static enum reason on_trailer_lf(struct chunk_reader *reader, char c)
{
	return c == '\n' ? chunk_enter(reader, CHUNK_STATE_LINE) : REASON_TRAILER_INVALID;
}

static enum reason on_last_lf(struct chunk_reader *reader, char c)
{
	return c == '\n' ? chunk_enter(reader, CHUNK_STATE_END) : REASON_CHUNK_INVALID;
}

/* The byte was part of a trailer line: hold it, and keep the line once it is whole. */
static void store_trailer(struct chunk_reader *reader, char c, char *trailers,
			  uint16_t *trailers_len)
{
	if (!trailers || reader->state == CHUNK_STATE_LAST_LF || reader->state == CHUNK_STATE_END)
		return;
	GW_ASSERT(*trailers_len + reader->line < CHUNK_TRAILERS_MAX);
	trailers[*trailers_len + reader->line++] = c;
	if (reader->state == CHUNK_STATE_LINE && !reader->drop)
		*trailers_len = (uint16_t)(*trailers_len + reader->line);
}

typedef enum reason step_fn(struct chunk_reader *reader, char c);

static step_fn *const steps[] = {
#define X(name, step, next) [CHUNK_STATE_##name] = step,
	CHUNK_STATES(X)
#undef X
};

/* One byte of framing: bounds first, then grammar. */
static enum reason step(struct chunk_reader *reader, char c, char *trailers, uint16_t *trailers_len)
{
	bool in_ext = reader->state >= CHUNK_STATE_EXT_NAME &&
		      reader->state <= CHUNK_STATE_EXT_CLOSED;
	bool in_trailers = reader->state >= CHUNK_STATE_LINE &&
			   reader->state <= CHUNK_STATE_LAST_LF;
	enum reason reason;

	GW_ASSERT(steps[reader->state]);
	reader->overhead++;
	reason = in_ext ? count_ext(reader, c) : REASON_NONE;
	if (in_trailers && ++reader->trailer_bytes > CHUNK_TRAILERS_MAX)
		reason = REASON_TRAILER_INVALID;
	if (reason == REASON_NONE)
		reason = steps[reader->state](reader, c);
	if (reason == REASON_NONE && in_trailers)
		store_trailer(reader, c, trailers, trailers_len);
	return reason;
}

/* As much of the present chunk as is there; returns the bytes taken. */
static uint32_t take_data(struct chunk_reader *reader, char *to, const char *from, uint32_t len)
{
	uint32_t n = reader->left < len ? (uint32_t)reader->left : len;

	if (to != from)
		memmove(to, from, n);
	reader->left -= n;
	reader->payload += n;
	if (reader->left == 0)
		chunk_enter(reader, CHUNK_STATE_DATA_CR);
	return n;
}

static void refuse(struct chunk_reader *reader, enum reason reason, struct chunk_piece *piece)
{
	chunk_enter(reader, CHUNK_STATE_REFUSED);
	piece->progress = CHUNK_REFUSED;
	piece->refusal.reason = (uint16_t)reason;
	piece->refusal.status = reason == REASON_BODY_TOO_LARGE ? 413 : 400;
}

struct chunk_piece chunk_feed(struct chunk_reader *reader, char *wire, uint32_t len, char *trailers,
			      uint16_t *trailers_len)
{
	struct chunk_piece piece = { .progress = CHUNK_MORE };

	GW_ASSERT(reader->state != CHUNK_STATE_END && reader->state != CHUNK_STATE_REFUSED);
	while (piece.used < len && piece.progress == CHUNK_MORE) {
		enum reason reason;

		if (reader->state == CHUNK_STATE_DATA) {
			uint32_t n = take_data(reader, wire + piece.payload_len, wire + piece.used,
					       len - piece.used);

			piece.payload_len += n;
			piece.used += n;
			continue;
		}
		reason = step(reader, wire[piece.used++], trailers, trailers_len);
		if (reason != REASON_NONE)
			refuse(reader, reason, &piece);
		else if (reader->state == CHUNK_STATE_END)
			piece.progress = CHUNK_END;
	}
	GW_ASSERT(piece.payload_len <= piece.used);
	return piece;
}

uint32_t chunk_write_size_before(char *end, uint64_t size)
{
	char *at = end - 2;

	memcpy(at, "\r\n", 2);
	do {
		*--at = "0123456789abcdef"[size & 15];
		size >>= 4;
	} while (size > 0);
	return (uint32_t)(end - at);
}
