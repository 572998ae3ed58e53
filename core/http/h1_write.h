/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_write.h - heads to HTTP/1.1 bytes, always afresh.
 *
 * Exactly one Host, exactly one framing field with a number printed here, no
 * hop-by-hop field, no dropped field. What the gateway itself adds comes as
 * ready lines from the caller ("x-real-ip: 192.0.2.1\r\n"), which it made from
 * its own values. Nothing here can fail but for room: the writer's sticky
 * overflow (core/base/writer.h) tells.
 *
 * Threads: none; pure.
 */
#pragma once

#include "core/base/writer.h"
#include "core/http/head.h"

/* How the message is framed towards the next hop. */
struct h1_framing {
	enum http_body body;
	uint64_t length; /* With HTTP_BODY_LENGTH. */
	bool announce; /* No body follows, but print 'length': answers to HEAD, 304, "POST" with 0. */
	bool close;    /* "connection: close" */
	bool keep_alive;           /* "connection: keep-alive", for HTTP/1.0 clients. */
	enum http_upgrade upgrade; /* Asked for, or switched to: Connection and Upgrade say so. */
};

/*
 * A request to an upstream: method, canonical target, Host from head->host and
 * port (or those of 'rewrite'), kept fields, 'extra' lines, framing.
 */
void h1_write_request(struct writer *out, const struct http_head *head,
		      const struct http_rewrite *rewrite, struct slice extra,
		      const struct h1_framing *framing);

/* A response to a client, a 101 as well (always HTTP/1.1 in the status line, RFC 9110 2.5). */
void h1_write_response(struct writer *out, const struct http_head *head, struct slice extra,
		       const struct h1_framing *framing);

/* An informational response (100, 103) with its kept fields. */
void h1_write_informational(struct writer *out, const struct http_head *head);

/*
 * A whole answer of ours: status, Content-Type (unless empty), Content-Length as
 * 'framing' says, 'extra' lines (Date among them: there is no clock here), connection,
 * and what there is of the body; the rest may follow.
 * With framing->body NONE, for answers to HEAD, the text is announced but left
 * out. 204 and 304 announce nothing and take an empty body.
 */
void h1_write_reply(struct writer *out, uint16_t status, struct slice content_type,
		    struct slice extra, struct slice body, const struct h1_framing *framing);
