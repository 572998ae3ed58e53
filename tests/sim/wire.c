/* SPDX-License-Identifier: Apache-2.0 */
/* A peer's reader of HTTP/1.x messages. */
#include "tests/sim/wire.h"

#include <stdlib.h>

enum wire_state {
	AT_HEAD,
	AT_LENGTH,
	AT_CHUNK_LINE,
	AT_CHUNK,
	AT_CHUNK_END,
	AT_TRAILERS,
	AT_CLOSE,
	AT_END
};

void wire_begin(struct wire *w, bool is_response)
{
	w->is_response = is_response;
	w->bodiless = false;
	w->state = AT_HEAD;
	w->framing = WIRE_NO_BODY;
	w->status = 0;
	w->http10 = false;
	w->close = false;
	w->begun = false;
	w->left = 0;
	w->body_len = 0;
	w->head_len = 0;
	w->line_len = 0;
	w->why = NULL;
}

static enum wire_event bad(struct wire *w, const char *why)
{
	w->why = why;
	return WIRE_BAD;
}

/* --- Fields -------------------------------------------------------------------------------- */

/* The lines of a head after the first, one by one. */
static bool next_line(struct slice *rest, struct slice *ret_line)
{
	size_t at = slice_find_slice(*rest, SLICE("\r\n"));

	if (at == SLICE_NONE || at == 0)
		return false;
	*ret_line = slice_take(*rest, at);
	*rest = slice_drop(*rest, at + 2);
	return true;
}

static uint32_t find(const struct wire *w, struct slice name, struct slice *ret_value)
{
	struct slice rest = wire_head(w), line, value;
	uint32_t n = 0;

	(void)next_line(&rest, &line);
	while (next_line(&rest, &line)) {
		struct slice key;

		if (slice_split(line, ':', &key, &value) && slice_eq_nocase(key, name)) {
			*ret_value = slice_trim(value);
			n++;
		}
	}
	return n;
}

bool wire_field(const struct wire *w, struct slice name, struct slice *ret_value)
{
	return find(w, name, ret_value) == 1;
}

uint32_t wire_count(const struct wire *w, struct slice name)
{
	struct slice value;

	return find(w, name, &value);
}

/* --- The head ------------------------------------------------------------------------------ */

static const char *first_line_flaw(struct wire *w, struct slice line)
{
	struct slice tail = slice_drop(line, line.len >= 8 ? line.len - 8 : 0);

	if (!w->is_response) {
		w->http10 = slice_eq(tail, SLICE("HTTP/1.0"));
		return w->http10 || slice_eq(tail, SLICE("HTTP/1.1")) ? NULL : "request line";
	}
	if (line.len < 13 || !slice_starts_with(line, SLICE("HTTP/1.1 ")) || line.ptr[12] != ' ')
		return "status line";
	w->status = (uint16_t)strtoul(line.ptr + 9, NULL, 10);
	return w->status >= 100 && w->status <= 599 ? NULL : "status";
}

static const char *lines_flaw(struct slice rest)
{
	struct slice line, key, value;

	while (next_line(&rest, &line)) {
		if (!slice_split(line, ':', &key, &value) || key.len == 0)
			return "field without colon";
		for (size_t i = 0; i < key.len; i++)
			if ((unsigned char)key.ptr[i] <= ' ' || (unsigned char)key.ptr[i] > '~')
				return "field name";
		for (size_t i = 0; i < value.len; i++)
			if (value.ptr[i] == '\n' || value.ptr[i] == '\r' || value.ptr[i] == 0)
				return "field value";
	}
	return NULL;
}

static const char *framing_flaw(struct wire *w)
{
	struct slice length, coding, connection;
	uint32_t n_length = find(w, SLICE("content-length"), &length);
	uint32_t n_coding = find(w, SLICE("transfer-encoding"), &coding);

	w->close = find(w, SLICE("connection"), &connection) > 0 &&
		   slice_find_slice(connection, SLICE("close")) != SLICE_NONE;
	if (n_length + n_coding > 1)
		return "more than one framing field";
	if (n_coding && !slice_eq(coding, SLICE("chunked")))
		return "transfer-encoding";
	if (n_coding && w->http10)
		return "chunked in HTTP/1.0";
	for (size_t i = 0; n_length && i < length.len; i++)
		if (length.ptr[i] < '0' || length.ptr[i] > '9')
			return "content-length";
	w->left = n_length ? strtoull(length.ptr, NULL, 10) : 0;
	w->framing = n_coding         ? WIRE_CHUNKED
		     : n_length       ? WIRE_LENGTH
		     : w->is_response ? WIRE_UNTIL_CLOSE
				      : WIRE_NO_BODY;
	if (w->is_response &&
	    (w->bodiless || w->status < 200 || w->status == 204 || w->status == 304))
		w->framing = w->status == 101 ? WIRE_UNTIL_CLOSE : WIRE_NO_BODY;
	if (!w->is_response && wire_count(w, SLICE("host")) != 1)
		return "not one host";
	return NULL;
}

static enum wire_event judge_head(struct wire *w)
{
	static const uint8_t next[] = { [WIRE_NO_BODY] = AT_END,
					[WIRE_LENGTH] = AT_LENGTH,
					[WIRE_CHUNKED] = AT_CHUNK_LINE,
					[WIRE_UNTIL_CLOSE] = AT_CLOSE };
	struct slice rest = wire_head(w), line;
	const char *why;

	if (!next_line(&rest, &line))
		return bad(w, "empty head");
	why = first_line_flaw(w, line);
	why = why ? why : lines_flaw(rest);
	why = why ? why : framing_flaw(w);
	if (why)
		return bad(w, why);
	w->state = next[w->framing];
	return WIRE_HEAD;
}

static enum wire_event eat_head(struct wire *w, struct slice *in)
{
	while (in->len > 0) {
		if (w->head_len == sizeof(w->head))
			return bad(w, "head too large");
		w->begun = true;
		w->head[w->head_len++] = in->ptr[0];
		*in = slice_drop(*in, 1);
		if (slice_ends_with(wire_head(w), SLICE("\r\n\r\n")))
			return judge_head(w);
	}
	return WIRE_MORE;
}

/* --- The body ------------------------------------------------------------------------------ */

static enum wire_event eat_payload(struct wire *w, struct slice *in, struct slice *ret_piece)
{
	*ret_piece = slice_take(*in, w->left);
	*in = slice_drop(*in, ret_piece->len);
	w->left -= ret_piece->len;
	w->body_len += ret_piece->len;
	return ret_piece->len > 0 ? WIRE_BODY : WIRE_MORE;
}

/* True when a whole line, CRLF included, is in w->line. */
static bool eat_line(struct wire *w, struct slice *in)
{
	while (in->len > 0 && w->line_len < sizeof(w->line)) {
		w->line[w->line_len++] = in->ptr[0];
		*in = slice_drop(*in, 1);
		if (slice_ends_with(slice_make(w->line, w->line_len), SLICE("\r\n")))
			return true;
	}
	return false;
}

static enum wire_event judge_chunk_line(struct wire *w)
{
	w->left = 0;
	if (w->line_len < 3 || w->line_len > 18)
		return bad(w, "chunk size");
	for (uint32_t i = 0; i < w->line_len - 2; i++) {
		char c = slice_lower(w->line[i]);
		uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
				 : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
							: 16;

		if (digit == 16)
			return bad(w, "chunk size digit");
		w->left = w->left * 16 + digit;
	}
	w->line_len = 0;
	w->state = w->left > 0 ? AT_CHUNK : AT_TRAILERS;
	return WIRE_MORE;
}

static enum wire_event eat_chunked(struct wire *w, struct slice *in, struct slice *ret_piece)
{
	if (w->state == AT_CHUNK) {
		if (w->left == 0)
			w->state = AT_CHUNK_END;
		return eat_payload(w, in, ret_piece);
	}
	if (w->state == AT_TRAILERS) { /* Up to the empty line. */
		while (in->len > 0) {
			if (!eat_line(w, in))
				return w->line_len == sizeof(w->line) ? bad(w, "trailers")
								      : WIRE_MORE;
			if (w->line_len == 2 ||
			    slice_ends_with(slice_make(w->line, w->line_len), SLICE("\r\n\r\n"))) {
				w->state = AT_END;
				return WIRE_END;
			}
		}
		return WIRE_MORE;
	}
	if (!eat_line(w, in))
		return w->line_len > 20 ? bad(w, "chunk line") : WIRE_MORE;
	if (w->state == AT_CHUNK_LINE)
		return judge_chunk_line(w);
	if (w->line_len != 2)
		return bad(w, "chunk end");
	w->line_len = 0;
	w->state = AT_CHUNK_LINE;
	return WIRE_MORE;
}

enum wire_event wire_next(struct wire *w, struct slice *in, struct slice *ret_piece)
{
	*ret_piece = (struct slice){ 0 };
	for (;;) {
		size_t before = in->len;
		uint8_t state = w->state;
		enum wire_event event = WIRE_MORE;

		if (w->state == AT_HEAD)
			event = eat_head(w, in);
		else if (w->state == AT_LENGTH && w->left == 0)
			w->state = AT_END;
		else if (w->state == AT_LENGTH)
			event = eat_payload(w, in, ret_piece);
		else if (w->state == AT_CLOSE) {
			w->left = UINT64_MAX;
			event = eat_payload(w, in, ret_piece);
		} else if (w->state == AT_END)
			return WIRE_END;
		else
			event = eat_chunked(w, in, ret_piece);
		if (event != WIRE_MORE)
			return event;
		if (in->len == before && w->state == state)
			return WIRE_MORE;
	}
}

enum wire_event wire_eof(struct wire *w)
{
	if (w->state == AT_CLOSE) {
		w->state = AT_END;
		return WIRE_END;
	}
	if (w->state == AT_HEAD && !w->begun)
		return WIRE_MORE;
	return bad(w, "cut off");
}
