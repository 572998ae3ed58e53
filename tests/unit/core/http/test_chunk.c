/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/chunk.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "core/base/rng.h"

/* What came out of a stream of chunks. */
struct result {
	struct chunk_piece last;
	uint32_t used;
	size_t payload_len, trailers_len;
	char payload[65536];
	char trailers[CHUNK_TRAILERS_MAX];
};

static struct result whole, cut;

static void begin(struct result *result, struct chunk_reader *reader)
{
	memset(&result->last, 0, sizeof(result->last));
	result->used = 0;
	result->payload_len = 0;
	result->trailers_len = 0;
	chunk_begin(reader);
}

/* One piece in a block of its exact size. */
static void feed(struct result *result, struct chunk_reader *reader, const char *wire, size_t len)
{
	uint16_t trailers_len = (uint16_t)result->trailers_len;
	char *piece = malloc(len + !len);

	memcpy(piece, wire, len);
	result->last = chunk_feed(reader, piece, (uint32_t)len, result->trailers, &trailers_len);
	assert_true(result->payload_len + result->last.payload_len <= sizeof(result->payload));
	memcpy(result->payload + result->payload_len, piece, result->last.payload_len);
	result->payload_len += result->last.payload_len;
	result->used += result->last.used;
	result->trailers_len = trailers_len;
	free(piece);
}

static void feed_all(struct result *result, const char *wire, size_t len)
{
	struct chunk_reader reader;

	begin(result, &reader);
	feed(result, &reader, wire, len);
}

/* In pieces of at most 'piece_max' bytes, of lengths that the seed decides. */
static void feed_cut(struct result *result, const char *wire, size_t len, uint32_t piece_max,
		     struct rng *rng)
{
	struct chunk_reader reader;
	size_t at = 0;

	begin(result, &reader);
	while (at < len && result->last.progress == CHUNK_MORE) {
		size_t n = 1 + rng_below(rng, piece_max);

		n = n < len - at ? n : len - at;
		feed(result, &reader, wire + at, n);
		at += n;
	}
}

static void check_same(const char *name, const struct result *a, const struct result *b)
{
	if (a->last.progress != b->last.progress ||
	    a->last.refusal.reason != b->last.refusal.reason ||
	    a->last.refusal.status != b->last.refusal.status || a->used != b->used ||
	    a->payload_len != b->payload_len || a->trailers_len != b->trailers_len ||
	    memcmp(a->payload, b->payload, a->payload_len) != 0 ||
	    memcmp(a->trailers, b->trailers, a->trailers_len) != 0)
		fail_msg("%s: cut %u/%u after %u, whole %u/%u after %u", name, b->last.progress,
			 b->last.refusal.reason, b->used, a->last.progress, a->last.refusal.reason,
			 a->used);
}

static const struct {
	const char *wire;
	enum chunk_progress progress;
	enum reason reason;
	const char *payload, *trailers;
} cases[] = {
	{ "0\r\n\r\n", CHUNK_END, REASON_NONE, "", "" },
	{ "0\r\n\r\nGET", CHUNK_END, REASON_NONE, "", "" },
	{ "3\r\nabc\r\n0\r\n\r\n", CHUNK_END, REASON_NONE, "abc", "" },
	{ "1\r\na\r\nA\r\n0123456789\r\n000\r\n\r\n", CHUNK_END, REASON_NONE, "a0123456789", "" },
	{ "0000000000000002\r\nab\r\n0\r\n\r\n", CHUNK_END, REASON_NONE, "ab", "" },
	{ "2;a\r\nab\r\n0;b=c\r\n\r\n", CHUNK_END, REASON_NONE, "ab", "" },
	{ "2;a=\"q;\\\"\t\x80\";b=c;d\r\nab\r\n0\r\n\r\n", CHUNK_END, REASON_NONE, "ab", "" },
	{ "0\r\nX-A: b\r\n\r\n", CHUNK_END, REASON_NONE, "", "X-A: b\r\n" },
	{ "0\r\nX-A:\r\nHost: x\r\nb:c\td\x80 \r\n\r\n", CHUNK_END, REASON_NONE, "",
	  "X-A:\r\nb:c\td\x80 \r\n" },
	{ "0\r\nAuthorization: x\r\nX_Y: z\r\ncontent-encoding: gzip\r\nX-Forwarded-For: x\r\n\r\n",
	  CHUNK_END, REASON_NONE, "", "" },
	{ "0\r\nx-client-cert-subject-of-some-length: x\r\n\r\n", CHUNK_END, REASON_NONE, "", "" },
	{ "0\r\na-name-longer-than-all-known-ones: x\r\n\r\n", CHUNK_END, REASON_NONE, "",
	  "a-name-longer-than-all-known-ones: x\r\n" },
	{ "3\r\nab", CHUNK_MORE, REASON_NONE, "ab", "" },
	{ "3\r\nabc\r\n0\r\n", CHUNK_MORE, REASON_NONE, "abc", "" },
	{ "\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ " 2\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2 \r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "0x2\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "-2\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2g\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2\nab", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2\rab", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2\r\nabc", CHUNK_REFUSED, REASON_CHUNK_INVALID, "ab", "" },
	{ "2\r\nab\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "ab", "" },
	{ "2\r\nab\rx", CHUNK_REFUSED, REASON_CHUNK_INVALID, "ab", "" },
	{ "2\r\nab\r\n\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "ab", "" },
	{ "00000000000000002\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "7fffffffffffffff\r\n", CHUNK_MORE, REASON_NONE, "", "" },
	{ "8000000000000000\r\n", CHUNK_REFUSED, REASON_BODY_TOO_LARGE, "", "" },
	{ "FFFFFFFFFFFFFFFF\r\n", CHUNK_REFUSED, REASON_BODY_TOO_LARGE, "", "" },
	{ "1\r\na\r\n7fffffffffffffff\r\n", CHUNK_REFUSED, REASON_BODY_TOO_LARGE, "a", "" },
	{ "2;\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2;;a\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2;=b\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2;a=\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2; a\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2;a b\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2;a=b c\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2;a=\"b\"c\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2;a=\"b\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2;a=\"\\\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "2;a\nb\r\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "0\r\n\n", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "0\r\n\rx", CHUNK_REFUSED, REASON_CHUNK_INVALID, "", "" },
	{ "0\r\nContent-Length: 1\r\n\r\n", CHUNK_REFUSED, REASON_TRAILER_FORBIDDEN, "", "" },
	{ "0\r\nA: b\r\ntransfer-ENCODING:x\r\n\r\n", CHUNK_REFUSED, REASON_TRAILER_FORBIDDEN, "",
	  "A: b\r\n" },
	{ "0\r\n: b\r\n\r\n", CHUNK_REFUSED, REASON_TRAILER_INVALID, "", "" },
	{ "0\r\nab\r\n\r\n", CHUNK_REFUSED, REASON_TRAILER_INVALID, "", "" },
	{ "0\r\na : b\r\n\r\n", CHUNK_REFUSED, REASON_TRAILER_INVALID, "", "" },
	{ "0\r\na: b\r\n c\r\n\r\n", CHUNK_REFUSED, REASON_TRAILER_INVALID, "", "a: b\r\n" },
	{ "0\r\na: b\n", CHUNK_REFUSED, REASON_TRAILER_INVALID, "", "" },
	{ "0\r\na: b\rc", CHUNK_REFUSED, REASON_TRAILER_INVALID, "", "" },
	{ "0\r\na: \x01", CHUNK_REFUSED, REASON_TRAILER_INVALID, "", "" },
};

static void streams_are_read(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, 1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t len = strlen(cases[i].wire);

		feed_all(&whole, cases[i].wire, len);
		if (whole.last.progress != cases[i].progress ||
		    whole.last.refusal.reason != cases[i].reason)
			fail_msg("%s: %u, reason %u", cases[i].wire, whole.last.progress,
				 whole.last.refusal.reason);
		if (!slice_eq(slice_make(whole.payload, whole.payload_len),
			      slice_of(cases[i].payload)) ||
		    !slice_eq(slice_make(whole.trailers, whole.trailers_len),
			      slice_of(cases[i].trailers)))
			fail_msg("%s: '%.*s' '%.*s'", cases[i].wire, (int)whole.payload_len,
				 whole.payload, (int)whole.trailers_len, whole.trailers);
		if (whole.last.progress == CHUNK_REFUSED)
			assert_int_equal(whole.last.refusal.status,
					 cases[i].reason == REASON_BODY_TOO_LARGE ? 413 : 400);
		for (uint32_t piece_max = 1; piece_max < 12; piece_max++) {
			feed_cut(&cut, cases[i].wire, len, piece_max, &rng);
			check_same(cases[i].wire, &whole, &cut);
		}
	}
}

/* Any bytes made of what matters: the cut makes no difference. */
static void random_streams_do_not_depend_on_cuts(void **state)
{
	static const char *const pieces[] = { "\r\n",
					      "\r\n",
					      "\r",
					      "\n",
					      "1\r\na\r\n",
					      "2\r\nab\r\n",
					      "0",
					      "0\r\n",
					      ";a",
					      "=b",
					      "=\"",
					      "\"",
					      "X-A: b\r\n",
					      ":",
					      "f",
					      "\\",
					      "content-length",
					      " ",
					      "Host: a\r\n" };
	struct rng rng;
	uint32_t n_ends = 0;

	(void)state;
	rng_seed(&rng, 4712);
	for (uint32_t round = 0; round < 100000; round++) {
		char wire[256];
		size_t len = 0;

		for (uint64_t n = rng_below(&rng, 10); n > 0; n--) {
			const char *piece = pieces[rng_below(&rng, ARRAY_SIZE(pieces))];

			memcpy(wire + len, piece, strlen(piece));
			len += strlen(piece);
		}
		memcpy(wire + len, "0\r\n\r\n", 5);
		len += 5;
		feed_all(&whole, wire, len);
		feed_cut(&cut, wire, len, 5, &rng);
		check_same("random", &whole, &cut);
		n_ends += whole.last.progress == CHUNK_END;
	}
	assert_true(n_ends > 1000);
}

/* Feeds the same text again and again; returns how often before the verdict. */
static uint32_t feed_often(struct chunk_reader *reader, const char *text, uint32_t n_max)
{
	char piece[512], trailers[CHUNK_TRAILERS_MAX];
	uint16_t trailers_len = 0;
	uint32_t len = (uint32_t)strlen(text);

	for (uint32_t i = 0; i < n_max; i++) {
		memcpy(piece, text, len);
		whole.last = chunk_feed(reader, piece, len, i % 2 ? trailers : NULL, &trailers_len);
		if (whole.last.progress != CHUNK_MORE)
			return i;
	}
	return n_max;
}

static void bounds_hold(void **state)
{
	struct chunk_reader reader;
	char text[400];

	(void)state;
	chunk_begin(&reader); /* 5 bytes of framing each, 1 of payload. */
	assert_int_equal(feed_often(&reader, "1\r\na\r\n", 1000000),
			 (CHUNK_OVERHEAD_FREE - 3) * 8 / 39 + 1);
	assert_int_equal(whole.last.refusal.reason, REASON_CHUNK_OVERHEAD);

	memset(text, 'b', sizeof(text));
	memcpy(text, "1;a=", 4);
	memcpy(text + 2 + CHUNK_EXT_MAX - 1, "\r\na\r\n", 6);
	chunk_begin(&reader); /* 255 of extension without ';' */
	assert_int_equal(feed_often(&reader, text, 1000), CHUNK_EXT_SUM_MAX / (CHUNK_EXT_MAX - 1));
	assert_int_equal(whole.last.refusal.reason, REASON_CHUNK_EXT_TOO_LARGE);

	memset(text, 'b', sizeof(text));
	memcpy(text, "1;a=", 4);
	memcpy(text + 2 + CHUNK_EXT_MAX, "\r\na\r\n", 6);
	chunk_begin(&reader);
	assert_int_equal(feed_often(&reader, text, 3), 3);
	text[2 + CHUNK_EXT_MAX] = 'b';
	memcpy(text + 2 + CHUNK_EXT_MAX + 1, "\r\na\r\n", 6);
	chunk_begin(&reader);
	assert_int_equal(feed_often(&reader, text, 3), 0);
	assert_int_equal(whole.last.refusal.reason, REASON_CHUNK_EXT_TOO_LARGE);

	chunk_begin(&reader);
	assert_int_equal(feed_often(&reader, "0\r\n", 1), 1);
	assert_int_equal(feed_often(&reader, "a: b\r\n", 100), CHUNK_TRAILER_FIELDS_MAX);
	assert_int_equal(whole.last.refusal.reason, REASON_TRAILER_INVALID);

	chunk_begin(&reader);
	assert_int_equal(feed_often(&reader, "0\r\na:", 1), 1);
	assert_int_equal(feed_often(&reader, "x", 10000), CHUNK_TRAILERS_MAX - 2);
	assert_int_equal(whole.last.refusal.reason, REASON_TRAILER_INVALID);
}

static void sizes_are_written(void **state)
{
	static const struct {
		uint64_t size;
		const char *want;
	} sizes[] = { { 0, "0\r\n" },
		      { 15, "f\r\n" },
		      { 16, "10\r\n" },
		      { 0x1a2b, "1a2b\r\n" },
		      { UINT64_MAX, "ffffffffffffffff\r\n" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *text = malloc(CHUNK_HEAD_MAX);
		uint32_t len = chunk_write_size_before(text + CHUNK_HEAD_MAX, sizes[i].size);

		assert_true(slice_eq(slice_make(text + CHUNK_HEAD_MAX - len, len),
				     slice_of(sizes[i].want)));
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_are_read),
		cmocka_unit_test(random_streams_do_not_depend_on_cuts),
		cmocka_unit_test(bounds_hold),
		cmocka_unit_test(sizes_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
