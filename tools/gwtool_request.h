/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gwtool_request.h - the one request of a connection: its head, then, for who wants it, its body.
 *
 * Ownership: spans of the head are good as long as the request. Threads: one at a time.
 */
#pragma once

#include "core/base/growbuf.h"
#include "core/http/h1_parse.h"
#include "tools/gwtool_link.h"

enum { GWTOOL_HEAD_MAX = 32 << 10, GWTOOL_PIECE_MAX = 16 << 10 };

struct gwtool_request {
	struct h1_parser parser;
	struct http_refusal refusal; /* After -EPROTO: what to answer. */
	uint32_t len;                /* Of 'bytes', what has come. */
	char bytes[GWTOOL_HEAD_MAX]; /* The head, and what came with it. */
	char piece[GWTOOL_PIECE_MAX];
};

/* 0, with parser.head; -EPROTO: refused; -ECONNRESET: the client ended before; or -errno. */
GW_MUST_USE int gwtool_request_read(struct gwtool_request *req, struct gwtool_link *link);

/* Appends it to 'body', whose size_max is its limit. As above; or -EFBIG: it is longer. */
GW_MUST_USE int gwtool_request_read_body(struct gwtool_request *req, struct gwtool_link *link,
					 struct growbuf *body);

/* The value of the first field of this name, whatever it is good for; NULL: there is none. */
const struct http_field *gwtool_request_field(const struct gwtool_request *req, struct slice name);
