/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handling.h - what a route does with heads besides passing them on (policy/table.h).
 *
 * While a request is judged its route is at hand; when its answer comes, the table may be
 * another. So what is to become of the answer's fields is written out as text at once, and goes
 * with the request (struct handling_text): one request, one generation.
 *
 * Threads: the worker's; pure but for its scratch.
 */
#pragma once

#include "core/base/writer.h"
#include "core/http/head.h"
#include "core/proxy/peer.h"
#include "policy/decide.h"
#include "policy/template.h"

/* What is known of a request for the templates of its route. Good while it is judged. */
struct handling {
	const struct policy_table *table;
	const struct policy_handling *rules; /* NULL: none. */
	struct slice values[TEMPLATE_N];
	struct slice told; /* Lines of its limits, for its answer; empty at first. */
	char ip[PEER_TEXT];
	char host[TEMPLATE_HOST_MAX];
};

/* The verdict has a route. */
void handling_begin(struct handling *h, const struct policy_table *table, uint32_t route,
		    const struct http_head *head, const struct peer *peer, bool secure);
void handling_know_id(struct handling *h, struct slice id);

/*
 * The request's own fields: some go, lines to add go to 'extra'. REASON_COOKIE_TOO_LARGE;
 * REASON_NONE.
 */
enum reason handling_request(const struct handling *h, struct http_head *head,
			     struct writer *extra);

/* What it is sent on with; 'room' keeps the path. REASON_URI_TOO_LONG; REASON_NONE. */
enum reason handling_rewrite(const struct handling *h, struct writer *room,
			     struct http_rewrite *ret_rewrite);

enum { HANDLING_LOCATION_MAX = 1524 }; /* 414 above. */

/* Where a redirect leads, into 'out'. */
void handling_location(const struct handling *h, struct writer *out);
/* May its origin's pages use the route? What a preflight is told then goes to 'out'. */
bool handling_preflight(const struct handling *h, struct writer *out);

/* --- For the answer. ------------------------------------------------------------------------- */

enum { HANDLING_TEXT_MAX = POLICY_RESPONSE_MAX };

/* Lengths of two texts, one behind the other: names that go, lines that come. */
struct handling_text {
	uint16_t drops, lines;
};

/* 'bytes' has room for HANDLING_TEXT_MAX; what limits tell is left out where it does not fit. */
struct handling_text handling_response(const struct handling *h, char *bytes);

/* An upstream's answer: some of its fields go; what comes is returned. */
struct slice handling_apply(const char *bytes, struct handling_text text, struct http_head *head);

/* An answer of ours sets this field, or takes it away. */
bool handling_says(const char *bytes, struct handling_text text, struct slice name);
struct slice handling_lines(const char *bytes, struct handling_text text);
