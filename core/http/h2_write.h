/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_write.h - heads to the fields of an HTTP/2 section, always afresh.
 *
 * The same rules as in h1_write.h, in HTTP/2's words: names in lower case,
 * pseudo-fields first, nothing about the connection (RFC 9113 8.2, 8.3). The
 * result is a text of pairs, which has no more of HTTP/2 in it than that: it is
 * compressed when it is sent (h2_session.h), so the same text can be sent again
 * on another connection.
 *
 * Threads: none; pure.
 */
#pragma once

#include "core/base/writer.h"
#include "core/http/h1_write.h"
#include "core/http/head.h"

/* A request: 'scheme' is "http" or "https", the rest as for h1_write_request(). */
void h2_write_request(struct writer *out, const struct http_head *head, struct slice scheme,
		      const struct http_rewrite *rewrite, struct slice extra,
		      const struct h1_framing *framing);

/* A response, final or informational. */
void h2_write_response(struct writer *out, const struct http_head *head, struct slice extra,
		       const struct h1_framing *framing);

/* The head of an answer of ours, as for h1_write_reply(). */
void h2_write_reply(struct writer *out, uint16_t status, struct slice content_type,
		    struct slice extra, const struct h1_framing *framing);

/* Complete lines ("name: value\r\n"), such as trailers. */
void h2_write_lines(struct writer *out, struct slice lines);

/* Take the next pair off 'text'; false at its end. */
bool h2_next_pair(struct slice *text, struct slice *ret_name, struct slice *ret_value);
