/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/crypto/tokens.c"

#include "core/crypto/jwt_signature.c"

static const enum jwt_alg curves[] = { JWT_ES256, JWT_ES384, JWT_ES512 };
static const struct slice text = SLICE_INIT("signed");

static int check(const struct jwt_key *key, const void *bytes, size_t len)
{
	char *block = malloc(len + !len); /* So that a look beyond is seen. */
	int r;

	if (len)
		memcpy(block, bytes, len);
	r = jwt_signature_check(key, text, slice_make(block, len));
	free(block);
	return r;
}

/* As OpenSSL has it, of a signature in fixed lengths. */
static struct slice der_by_openssl(const uint8_t *raw, int half, unsigned char room[DER_MAX])
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	unsigned char *to = room;
	int len;

	ECDSA_SIG_set0(sig, BN_bin2bn(raw, half, NULL), BN_bin2bn(raw + half, half, NULL));
	len = i2d_ECDSA_SIG(sig, &to);
	ECDSA_SIG_free(sig);
	return slice_make(room, (size_t)len);
}

/* With each count of zeros in front, and with and without the uppermost bit. */
static void der_is_openssls(void **state)
{
	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(curves); c++) {
		int half = jwt_methods[curves[c]].half;

		for (int i = 0; i < 4 * half * half; i++) {
			int r_zeros = i / 2 % half, s_zeros = i / 2 / half % half;
			uint8_t raw[2 * HALF_MAX], room[DER_MAX];
			unsigned char want[DER_MAX];
			struct slice der;

			memset(raw, i & 1 ? 0x80 : 0x7f, sizeof(raw));
			if (half == HALF_MAX)
				raw[0] = raw[half] = 1;
			memset(raw, 0, (size_t)r_zeros);
			memset(raw + half, 0, (size_t)s_zeros);
			der = to_der(slice_make(raw, 2 * (size_t)half), (size_t)half, room);
			assert_true(slice_eq(der, der_by_openssl(raw, half, want)));
		}
	}
}

static void orders_are_the_curves(void **state)
{
	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(curves); c++) {
		const struct jwt_method *method = &jwt_methods[curves[c]];
		EC_GROUP *group = EC_GROUP_new_by_curve_name(OBJ_sn2nid(method->group));
		unsigned char order[HALF_MAX];

		assert_int_equal(BN_bn2binpad(EC_GROUP_get0_order(group), order, method->half),
				 method->half);
		assert_memory_equal(order, order_of(method->half), method->half);
		EC_GROUP_free(group);
	}
}

/* Row J05, as CVE-2022-21449 had it: numbers that no signature has. */
static void ranges_are_kept(void **state)
{
	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(curves); c++) {
		size_t half = jwt_methods[curves[c]].half;
		const uint8_t *order = order_of(half);
		struct jwt_key *key = jt_key(curves[c], jt_pair(curves[c]), "", "");
		struct slice good = jt_sign(curves[c], jt_pair(curves[c]), text);
		uint8_t raw[2 * HALF_MAX], room[DER_MAX], numbers[5][HALF_MAX];

		memset(numbers, 0, sizeof(numbers));
		memcpy(numbers[1], order, half); /* n */
		memcpy(numbers[2], order, half); /* n + 1 */
		numbers[2][half - 1]++;
		memset(numbers[3], 0xff, half);
		memcpy(numbers[4], order, half); /* n - 1, which is in range */
		numbers[4][half - 1]--;
		for (int i = 0; i < 5; i++) {
			for (int which = 0; which < 3; which++) {
				memcpy(raw, good.ptr, 2 * half);
				if (which != 1)
					memcpy(raw, numbers[i], half);
				if (which != 0)
					memcpy(raw + half, numbers[i], half);
				assert_int_equal(check(key, raw, 2 * half), 0);
				assert_int_equal(to_der(slice_make(raw, 2 * half), half, room).len >
							 0,
						 i == 4);
			}
		}
		assert_int_equal(check(key, good.ptr, good.len), 1);
		jwt_key_free(key);
	}
}

/* Row J05: DER, and lengths beside the right one. */
static void lengths_are_kept(void **state)
{
	(void)state;
	for (enum jwt_alg alg = JWT_RS256; alg < JWT_N_ALGS; alg++) {
		struct jwt_key *key = jt_key(alg, jt_pair(alg), "", "");
		struct slice good = jt_sign(alg, jt_pair(alg), text);
		uint8_t bytes[1024] = { 0 };

		memcpy(bytes + 1, good.ptr, good.len);
		assert_int_equal(check(key, bytes + 1, good.len), 1);
		for (size_t len = 0; len <= good.len + 2; len++)
			if (len != good.len)
				assert_int_equal(check(key, bytes + 1, len), 0);
		assert_int_equal(check(key, bytes, good.len + 1), 0);
		if (jwt_methods[alg].family == JWT_FAMILY_EC) {
			unsigned char room[DER_MAX];
			struct slice der = der_by_openssl((const uint8_t *)good.ptr,
							  jwt_methods[alg].half, room);

			assert_int_equal(check(key, der.ptr, der.len), 0);
		}
		jwt_key_free(key);
	}
}

/* r and s each with a zero in front or behind: the same numbers, in other lengths. */
static void longer_halves_are_refused(void **state)
{
	struct jwt_key *key = jt_key(JWT_ES256, jt_pair(JWT_ES256), "", "");
	struct slice good = jt_sign(JWT_ES256, jt_pair(JWT_ES256), text);
	uint8_t raw[66] = { 0 };

	(void)state;
	memcpy(raw + 1, good.ptr, 32);
	memcpy(raw + 34, good.ptr + 32, 32);
	assert_int_equal(check(key, raw, 66), 0);
	jwt_key_free(key);
}

/* A salt of another length (RFC 7518 3.5), the other padding, another digest. */
static void padding_is_the_algorithms(void **state)
{
	static const enum jwt_alg rsa[] = { JWT_RS256, JWT_RS384, JWT_RS512,
					    JWT_PS256, JWT_PS384, JWT_PS512 };
	EVP_PKEY *pair = jt_pair(JWT_RS256);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *details;
	unsigned char salted[256];
	size_t len = sizeof(salted);
	struct jwt_key *key;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rsa); i++) {
		key = jt_key(rsa[i], pair, "", "");
		for (size_t j = 0; j < ARRAY_SIZE(rsa); j++) {
			struct slice signature = jt_sign(rsa[j], pair, text);

			assert_int_equal(check(key, signature.ptr, signature.len), i == j);
		}
		jwt_key_free(key);
	}
	assert_int_equal(EVP_DigestSignInit(ctx, &details, EVP_sha256(), NULL, pair), 1);
	EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PSS_PADDING);
	EVP_PKEY_CTX_set_rsa_pss_saltlen(details, 20);
	assert_int_equal(
		EVP_DigestSign(ctx, salted, &len, (const unsigned char *)text.ptr, text.len), 1);
	key = jt_key(JWT_PS256, pair, "", "");
	assert_int_equal(check(key, salted, len), 0);
	jwt_key_free(key);
	EVP_MD_CTX_free(ctx);
}

static void each_bit_counts(void **state)
{
	(void)state;
	for (enum jwt_alg alg = JWT_RS256; alg < JWT_N_ALGS; alg++) {
		struct jwt_key *key = jt_key(alg, jt_pair(alg), "", "");
		struct slice good = jt_sign(alg, jt_pair(alg), text);
		uint8_t bytes[512];

		for (size_t bit = 0; bit < 8 * good.len; bit += 3) {
			memcpy(bytes, good.ptr, good.len);
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(check(key, bytes, good.len), 0);
		}
		jwt_key_free(key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(der_is_openssls),
		cmocka_unit_test(orders_are_the_curves),
		cmocka_unit_test(ranges_are_kept),
		cmocka_unit_test(lengths_are_kept),
		cmocka_unit_test(longer_halves_are_refused),
		cmocka_unit_test(padding_is_the_algorithms),
		cmocka_unit_test(each_bit_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
