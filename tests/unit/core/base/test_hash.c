/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/bits.h"
#include "core/base/hash.h"
#include "core/base/rng.h"

#include "base_test.h"

/* Reference values of SipHash-2-4, key 00..0f, messages "", 00, 00 01, ... (little-endian). */
static const struct {
	size_t len;
	uint64_t want;
} sips[] = {
	{ 0, 0x726fdb47dd0e0e31 },  { 1, 0x74f839c593dc67fd }, { 2, 0x0d6c8009d9a94f5a },
	{ 7, 0xab0200f58b01d137 },  { 8, 0x93f5f5799a932462 }, { 9, 0x9e0082df0ba9e4b0 },
	{ 15, 0xa129ca6149be45e5 },
};

static void siphash_is_siphash(void **state)
{
	struct hash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	unsigned char message[16];

	(void)state;
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (unsigned char)i;
	for (size_t i = 0; i < ARRAY_SIZE(sips); i++) {
		uint64_t got = hash_sip(key, slice_make(message, sips[i].len));

		if (got != sips[i].want)
			fail_msg("%zu bytes: %lx", sips[i].len, got);
	}
	assert_true(hash_sip(key, (struct slice){ NULL, 0 }) == sips[0].want);
}

/* First outputs of splitmix64 from 1234567, as published with the algorithm. */
static const uint64_t splitmix[] = {
	6457827717110365317u, 3203168211198807973u,  9817491932198370423u,
	4593380528125082431u, 16408922859458223821u,
};

static void splitmix_is_splitmix(void **state)
{
	uint64_t seed = 1234567;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(splitmix); i++)
		assert_true(rng_splitmix(&seed) == splitmix[i]);
}

/* First outputs of xoshiro256** from the state 1, 2, 3, 4. */
static const uint64_t xoshiro[] = { 11520u, 0u, 1509978240u, 1215971899390074240u };

static void xoshiro_is_xoshiro(void **state)
{
	struct rng rng = { { 1, 2, 3, 4 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(xoshiro); i++)
		assert_true(rng_next(&rng) == xoshiro[i]);
}

static void below_is_below_and_even(void **state)
{
	unsigned n[6] = { 0 };
	struct rng rng;

	(void)state;
	rng_seed(&rng, 9);
	for (int i = 0; i < 60000; i++)
		n[rng_below(&rng, 6)]++; /* Beyond 5 is an ASan report. */
	for (int i = 0; i < 6; i++)
		assert_in_range(n[i], 9600, 10400);
	assert_int_equal(rng_below(&rng, 1), 0);
}

static void seeds_decide(void **state)
{
	struct rng a;
	struct rng b;
	uint64_t key[2] = { 0 };

	(void)state;
	rng_seed(&a, 5);
	rng_seed(&b, 5);
	assert_true(rng_next(&a) == rng_next(&b));
	rng_seed(&b, 6);
	assert_true(rng_next(&a) != rng_next(&b));
	assert_int_equal(rng_system(key, sizeof(key)), 0);
	assert_true(key[0] != key[1]);
}

static const struct {
	uint64_t v;
	bool is_pow2;
	uint64_t up;
} powers[] = {
	{ 0, false, 1 },
	{ 1, true, 1 },
	{ 2, true, 2 },
	{ 3, false, 4 },
	{ 4, true, 4 },
	{ 5, false, 8 },
	{ 1023, false, 1024 },
	{ 1025, false, 2048 },
	{ UINT64_C(1) << 63, true, UINT64_C(1) << 63 },
	{ (UINT64_C(1) << 62) + 1, false, UINT64_C(1) << 63 },
};

static void powers_of_two(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(powers); i++) {
		assert_int_equal(bits_is_pow2(powers[i].v), powers[i].is_pow2);
		assert_true(bits_pow2_up(powers[i].v) == powers[i].up);
	}
	assert_int_equal(bits_highest(1), 0);
	assert_int_equal(bits_highest(UINT64_MAX), 63);
	assert_int_equal(bits_lowest(8), 3);
	assert_int_equal(bits_align_up(0, 8), 0);
	assert_int_equal(bits_align_up(1, 8), 8);
	assert_int_equal(bits_align_up(16, 8), 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_is_siphash), cmocka_unit_test(splitmix_is_splitmix),
		cmocka_unit_test(xoshiro_is_xoshiro), cmocka_unit_test(below_is_below_and_even),
		cmocka_unit_test(seeds_decide),       cmocka_unit_test(powers_of_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
