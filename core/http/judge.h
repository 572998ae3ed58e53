/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.h - a head whose grammar is right: may it pass, and what does it mean?
 *
 * All that llhttp lets through and a gateway must not: host, framing, hop-by-hop
 * fields, cookies, expectations (RFC 9112 3.2, 6.1, 6.3; RFC 9110 7.6.1; rows H,
 * F and D of tests/vectors). Always in the same order, so that a head with
 * several faults always has the same reason.
 *
 * Threads: none; pure.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/http/head.h"

enum {
	JUDGE_COOKIE_MAX = 8192, /* Bytes of all Cookie lines. */
	JUDGE_COOKIE_PAIRS_MAX = 180,
};

/*
 * 'head' has the spans of its fields and what the request line said, the raw
 * target as path. Fills in the rest. 'base' is head->base, writable.
 */
struct http_refusal judge_request(struct http_head *head, char *base, bool secure);

/*
 * The same for a response; always 502 when refused. head->upgrade is what its
 * request asked for; afterwards what a 101 switches to, and NONE with all else.
 */
struct http_refusal judge_response(struct http_head *head);
