/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/base/base_test.h"

#include "core/base/rng.h"
#include "core/http/h2_frames.h"
#include "tests/unit/core/http/h2_wire.h"

enum { SECTION_MAX = 1000 };

static struct h2_wire wire;

static struct h2_frames frames_of(uint32_t skip)
{
	return (struct h2_frames){ .skip = skip, .section_max = SECTION_MAX };
}

/* Everything in pieces of at most 'cut' bytes (0: random); what came out goes to 'out'. */
static uint32_t feed(struct h2_frames *f, uint32_t cut, struct rng *rng, char *out)
{
	uint32_t at = 0, n_out = 0;

	while (at < wire.len) {
		uint32_t n = cut ? cut : 1 + (uint32_t)(rng_next(rng) % 40);
		struct slice rest, piece;

		n = n < wire.len - at ? n : wire.len - at;
		rest = slice_make(wire.bytes + at, n);
		at += n;
		while ((piece = h2_frames_next(f, &rest)).len > 0) {
			memcpy(out + n_out, piece.ptr, piece.len);
			n_out += (uint32_t)piece.len;
		}
		if (f->flood)
			break;
		assert_int_equal(rest.len, 0);
	}
	return n_out;
}

/* A preface, frames of several sizes and types, one of them empty, and the end within no head. */
static void put_frames(void)
{
	static const uint32_t lens[] = { 0, 1, 8, 9, 10, 100, 0, 300 };
	char payload[300];

	memset(payload, 0x7f, sizeof(payload));
	wire.len = 0;
	h2w_put(&wire, "twenty-four bytes to skip", 24);
	for (uint32_t i = 0; i < ARRAY_SIZE(lens); i++)
		h2w_frame(&wire, i % 3 ? H2W_HEADERS : H2W_CONTINUATION, 0, i, payload, lens[i]);
}

static void nothing_is_lost_however_it_is_cut(void **state)
{
	struct rng rng;
	char out[4096];

	(void)state;
	put_frames();
	rng_seed(&rng, 7);
	for (uint32_t cut = 0; cut <= wire.len; cut++) {
		struct h2_frames f = frames_of(24);

		assert_int_equal(feed(&f, cut, &rng, out), wire.len);
		assert_memory_equal(out, wire.bytes, wire.len);
		assert_int_equal(f.n_held, 0);
		assert_false(f.flood);
	}
}

static void a_head_comes_out_whole(void **state)
{
	struct h2_frames f = frames_of(0);

	(void)state;
	wire.len = 0;
	h2w_frame(&wire, H2W_HEADERS, 0, 1, NULL, 0);
	for (uint32_t at = 0; at < H2_FRAME_HEAD; at++) {
		struct slice rest = slice_make(wire.bytes + at, 1);
		struct slice piece = h2_frames_next(&f, &rest);

		assert_int_equal(piece.len, at + 1 == H2_FRAME_HEAD ? H2_FRAME_HEAD : 0);
		assert_int_equal(h2_frames_next(&f, &rest).len, 0);
	}
}

static void sections_have_bounds(void **state)
{
	static const struct {
		uint32_t n, len; /* CONTINUATION frames behind a HEADERS frame of 100 bytes. */
		bool flood;
	} cases[] = {
		{ H2_CONTINUATIONS_MAX, 0, false },
		{ H2_CONTINUATIONS_MAX + 1, 0, true },
		{ 1, SECTION_MAX - 100, false },
		{ 1, SECTION_MAX - 99, true },
		{ 3, 300, false },
		{ 3, 301, true },
	};
	char payload[SECTION_MAX] = { 0 }, out[8192];
	struct rng rng;

	(void)state;
	rng_seed(&rng, 8);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		wire.len = 0;
		/* A section before it does not count. */
		h2w_frame(&wire, H2W_HEADERS, 0, 1, payload, 900);
		h2w_frame(&wire, H2W_HEADERS, 0, 3, payload, 100);
		for (uint32_t k = 0; k < cases[i].n; k++)
			h2w_frame(&wire, H2W_CONTINUATION, 0, 3, payload, cases[i].len);
		for (uint32_t cut = 0; cut < 12; cut++) {
			struct h2_frames f = frames_of(0);
			uint32_t n = feed(&f, cut, &rng, out);

			assert_int_equal(f.flood, cases[i].flood);
			assert_true(cases[i].flood ? n < wire.len : n == wire.len);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_however_it_is_cut),
		cmocka_unit_test(a_head_comes_out_whole),
		cmocka_unit_test(sections_have_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
