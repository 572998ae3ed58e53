/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_parse.h - HTTP/1.0 and 1.1 heads from bytes: llhttp, behind our own checks.
 *
 * Feed it the bytes of one head as they come; the answer does not depend on how
 * they were cut (property-tested). What llhttp accepts and a gateway must not
 * (judge.h, frame.h) is checked here, on the stored head, before the head is
 * called done. Nothing is a callback to the caller: partial, done or refused.
 *
 * Ownership: the bytes are the caller's and must lie in one piece; when the
 * piece moves (a bigger block), pass the new base: spans are offsets.
 * Threads: one at a time per parser.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/http/head.h"
#include "core/http/line.h"

enum { H1_LLHTTP_SIZE = 112, H1_LEADING_MAX = 8 };

/* Limits; see docs/LIMITS.md. All inclusive. */
struct h1_limits {
	uint32_t request_line_max; /* Bytes of the target; 414 above. */
	uint32_t field_line_max;   /* Bytes of one field line without CRLF; 431 above. */
	uint32_t head_max;         /* Bytes in all, at most HTTP_HEAD_MAX; 431 above. */
	uint32_t fields_max;       /* At most HTTP_FIELDS_MAX; 431 above. */
};

extern const struct h1_limits h1_limits_default; /* 8192, 8192, 32768, 100. */

enum h1_progress { H1_PARTIAL, H1_DONE, H1_REFUSED };

struct h1_parser {
	_Alignas(8) unsigned char llhttp[H1_LLHTTP_SIZE]; /* Private. */
	const struct h1_limits *limits;
	struct http_refusal refusal; /* After H1_REFUSED. */
	uint32_t seen;               /* Bytes fed so far. */
	uint32_t line_start; /* Private: a field line began here; later ones may have too. */
	uint32_t line_end;   /* Private: end of the first line, 0 before it came. */
	uint16_t leading;    /* Private: blank-line bytes before the request. */
	uint8_t state;       /* Private. */
	bool response;       /* Private. */
	bool secure;         /* Set after h1_parse_request(): "https" absolute targets are ours. */
	bool overfull;       /* Private: the field being named is one too many. */
	struct line_reader line; /* Private. */
	struct http_head head;   /* Good after H1_DONE, base included. */
};

void h1_parse_request(struct h1_parser *parser, const struct h1_limits *limits);

/*
 * 'method' is that of the request it answers: HEAD has no body. If that asked for an
 * upgrade, set parser->head.upgrade afterwards: else no 101 is an answer to it.
 */
void h1_parse_response(struct h1_parser *parser, const struct h1_limits *limits,
		       enum http_method method);

/*
 * Take base[parser->seen .. len), where base[0 .. parser->seen) is what was fed
 * before, wherever it lies now. 'base' is written to: the canonical path and
 * host are made in place, never longer than what stood there.
 *
 * H1_DONE: head.base == base, head.wire_len <= len; what follows is body or the
 * next message. H1_REFUSED: 'refusal' says how to answer; the connection's
 * bytes are of no more use, unless refusal.keep: then the head is as good as
 * after H1_DONE, and the connection may live once its body was read away.
 * H1_PARTIAL: come back with more.
 */
enum h1_progress h1_parse_feed(struct h1_parser *parser, char *base, uint32_t len);

/* Whether a method that line_method() calls OTHER is one that somebody registered. */
bool h1_knows_method(struct slice name);

/* The peer ended its side before H1_DONE: why that is wrong (REASON_NONE when nothing was sent). */
struct http_refusal h1_parse_eof(const struct h1_parser *parser);
