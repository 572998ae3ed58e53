/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "core/crypto/ed25519_point.c"

static void keys_are_points(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		uint8_t point[32];
		size_t len = sizeof(point);

		assert_int_equal(EVP_PKEY_get_raw_public_key(key, point, &len), 1);
		assert_int_equal(ed25519_point_check(point), 1);
		point[31] ^= 0x80; /* The other x. */
		assert_int_equal(ed25519_point_check(point), 1);
		EVP_PKEY_free(key);
	}
}

/* The base point (RFC 8032 5.1): y = 4/5. And what is none, or no key. */
static void points_are_told(void **state)
{
	uint8_t point[32];

	(void)state;
	memset(point, 0x66, sizeof(point));
	point[0] = 0x58;
	assert_int_equal(ed25519_point_check(point), 1);

	memset(point, 0, sizeof(point));
	point[0] = 2;
	assert_int_equal(ed25519_point_check(point), 0);
	point[0] = 3; /* Both worked out by raising to (p - 1) / 2 instead. */
	assert_int_equal(ed25519_point_check(point), 1);
	point[0] = 1; /* The neutral element. */
	assert_int_equal(ed25519_point_check(point), 0);

	memset(point, 0xff, sizeof(point)); /* p + 3: it stands for 3, in a second way. */
	point[0] = 0xf0;
	point[31] = 0x7f;
	assert_int_equal(ed25519_point_check(point), 0);
}

/* Half of all numbers, as squares are. */
static void half_of_all_are_none(void **state)
{
	uint8_t point[32] = { 0 };
	int n = 0;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		point[0] = (uint8_t)i;
		point[1] = (uint8_t)(i >> 8);
		n += ed25519_point_check(point);
	}
	assert_in_range(n, 850, 1150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_points),
		cmocka_unit_test(points_are_told),
		cmocka_unit_test(half_of_all_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
