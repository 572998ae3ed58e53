/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_head.h - a field section of HTTP/2 (RFC 9113 8) as a head in canonical form.
 *
 * A section is collected field by field into one block, within the limits that
 * hold for every head, and then judged by the same judge as HTTP/1's: what may
 * pass does not depend on the protocol. What only HTTP/2 can get wrong (names in
 * upper case, pseudo-fields, lengths that disagree with DATA) has been refused by
 * whoever decoded the section (h2_session.h).
 *
 * Ownership: a block is the caller's; a head made of it lies in it.
 * Threads: none; pure.
 */
#pragma once

#include "core/http/h1_parse.h"
#include "core/http/head.h"

enum h2_section { H2_REQUEST, H2_RESPONSE, H2_TRAILERS };

struct h2_block {
	struct h1_limits limits;
	struct http_refusal fault; /* The first; nothing is collected behind it. */
	struct http_span authority, host;
	uint32_t len;      /* Of text. */
	uint32_t size;     /* Of the fields, as HTTP/1 would write them. */
	uint8_t section;   /* enum h2_section. */
	uint8_t n_cookies; /* Fields that are pieces of one (RFC 9113 8.2.3). */
	struct http_head head;
	char text[HTTP_HEAD_TEXT];
};

void h2_block_begin(struct h2_block *block, enum h2_section section,
		    const struct h1_limits *limits);

/* What is left of a section that goes on later moves to where it can stay. */
void h2_block_move(struct h2_block *to, const struct h2_block *from);

/* The next field, pseudo-fields among them. Its grammar is right. */
void h2_block_add(struct h2_block *block, struct slice name, struct slice value);

/*
 * The section is complete; 'end': and so is the message. Fills block->head, unless it
 * is refused ('keep': refused, but the head is good). 'secure' as in struct h1_parser.
 * HTTP_BODY_CHUNKED stands for a length that is not known.
 */
struct http_refusal h2_block_request(struct h2_block *block, bool secure, bool end);
struct http_refusal h2_block_response(struct h2_block *block, enum http_method method, bool end);

/* Complete lines as HTTP/1 would write them, in block->text, without what no trailer may say. */
struct http_refusal h2_block_trailers(struct h2_block *block, struct slice *ret_lines);
