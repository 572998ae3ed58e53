/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_head.c - any bytes as a request or a response: the verdict does not depend
 * on the cuts, and what passes is serialised to something that parses to itself.
 *
 * Input: one byte whose lowest bit tells a response and whose others seed the
 * cuts, then the wire.
 */
#include <stdlib.h>

#include "core/http/h1_parse.h"
#include "core/http/h1_write.h"

static const struct http_rewrite as_it_is;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct h1_parser whole, cut, again;

static void begin(struct h1_parser *parser, bool response)
{
	if (!response) {
		h1_parse_request(parser, &h1_limits_default);
		return;
	}
	h1_parse_response(parser, &h1_limits_default, HTTP_GET);
	parser->head.upgrade = HTTP_UPGRADE_WEBSOCKET; /* Its request has asked for it. */
}

/* In a block of exactly that size, which the parser's head keeps pointing into. */
static enum h1_progress feed(struct h1_parser *parser, const uint8_t *wire, size_t len,
			     char **ret_bytes)
{
	char *bytes = malloc(len + !len);

	memcpy(bytes, wire, len);
	*ret_bytes = bytes;
	return h1_parse_feed(parser, bytes, (uint32_t)len);
}

/* Piece by piece, each time in a block of its own. */
static enum h1_progress feed_cut(const uint8_t *wire, size_t len, uint8_t seed)
{
	enum h1_progress progress = H1_PARTIAL;
	size_t at = 0;

	while (at < len && progress == H1_PARTIAL) {
		char *bytes;

		at += 1 + (seed * 31u + at * 7u) % 23;
		at = at < len ? at : len;
		progress = feed(&cut, wire, at, &bytes);
		free(bytes);
	}
	return progress;
}

static size_t serialise(const struct http_head *head, bool response, char *text, size_t size)
{
	struct writer out = writer_make(text, size);
	struct h1_framing framing = {
		.body = head->body,
		.length = head->content_length,
		.announce = head->has_length,
		.close = head->body == HTTP_BODY_UNTIL_CLOSE,
		.upgrade = head->upgrade,
	};

	if (response)
		h1_write_response(&out, head, SLICE(""), &framing);
	else
		h1_write_request(&out, head, &as_it_is, SLICE(""), &framing);
	GW_ASSERT(!out.overflow);
	return writer_len(&out);
}

/* Limits aside, which a written head may pass by a few bytes: a space behind each colon. */
static void check_fixed_point(bool response)
{
	static char first[2 * HTTP_HEAD_MAX], second[2 * HTTP_HEAD_MAX];
	size_t first_len = serialise(&whole.head, response, first, sizeof(first));
	char *bytes;

	if (first_len > h1_limits_default.head_max)
		return;
	begin(&again, response);
	if (feed(&again, (const uint8_t *)first, first_len, &bytes) == H1_DONE) {
		size_t second_len = serialise(&again.head, response, second, sizeof(second));

		GW_ASSERT(again.head.body == whole.head.body);
		GW_ASSERT(again.head.upgrade == whole.head.upgrade);
		GW_ASSERT(slice_eq(slice_make(first, first_len), slice_make(second, second_len)));
	} else {
		GW_ASSERT(again.refusal.reason == REASON_HEADER_TOO_LARGE ||
			  again.refusal.reason == REASON_TOO_MANY_HEADERS ||
			  again.refusal.reason == REASON_UPSTREAM_HEADER);
	}
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	bool response = len > 0 && (data[0] & 1);
	enum h1_progress progress;
	char *bytes;

	if (len < 2 || len > HTTP_HEAD_MAX)
		return 0;
	begin(&whole, response);
	begin(&cut, response);
	progress = feed(&whole, data + 1, len - 1, &bytes);
	GW_ASSERT(feed_cut(data + 1, len - 1, data[0]) == progress);
	GW_ASSERT(cut.refusal.reason == whole.refusal.reason);
	GW_ASSERT(cut.refusal.status == whole.refusal.status);
	if (progress == H1_DONE) {
		GW_ASSERT(cut.head.wire_len == whole.head.wire_len);
		GW_ASSERT(cut.head.upgrade == whole.head.upgrade);
		GW_ASSERT(!response || (whole.head.status == 101) == (whole.head.upgrade != 0));
		check_fixed_point(response);
	}
	free(bytes);
	return 0;
}
