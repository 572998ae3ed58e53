/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.h - the first line of a message: request line and status line.
 *
 * A request line is judged as it comes, byte by byte, so that garbage is
 * refused where it shows and little of it is held (rows L01-L19 of
 * tests/vectors). The verdict depends on the bytes alone, never on how they
 * were cut.
 *
 * Threads: none; pure.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/http/head.h"

enum {
	LINE_METHOD_MAX = 32, /* Bytes; no registered method is longer than 17. */
	LINE_VERSION_MAX = 16,
};

/* Progress in a request line. Starts zeroed. */
struct line_reader {
	uint32_t at;              /* Bytes judged. */
	uint32_t mark;            /* Where the present part began. */
	uint32_t target, version; /* Where these parts began. */
	uint8_t part;
};

/*
 * Judge text[reader->at .. len), where text begins with the line. *ret_len is
 * the length of the line with its CRLF, or 0 as long as its end is not there.
 */
struct http_refusal line_read_request(struct line_reader *reader, const char *text, uint32_t len,
				      uint32_t target_max, uint32_t *ret_len);

/*
 * The same for a whole line at once, which is the common case: true when
 * text[0 .. len) is a request line that line_read_request() would pass. False
 * says nothing.
 */
bool line_is_request(struct line_reader *reader, const char *text, uint32_t len,
		     uint32_t target_max);

/*
 * Fill method, minor, method_text and, for now, path with the raw target, from
 * a line at 'off' that passed. Refuses CONNECT; TRACE is refused later, when
 * the end of its message is known.
 */
struct http_refusal line_take_request(const struct line_reader *reader, uint32_t off, uint32_t len,
				      struct http_head *head);

/* Of a method's exact name; OTHER for those that mean nothing here. */
enum http_method line_method(struct slice text);

/* The status line at 'off', CRLF included: minor, status, reason_phrase. */
struct http_refusal line_take_status(uint32_t off, uint32_t len, struct http_head *head);
