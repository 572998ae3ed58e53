/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/crypto/tokens.c"

#include "core/crypto/jwt_key.c"

static const struct jwt_key_options nothing;

/* The key is read, and takes its own signature and no other. */
static void check_key(enum jwt_alg alg, EVP_PKEY *pair, struct jwt_key *key)
{
	static const struct slice text = SLICE_INIT("signed");

	assert_int_equal(jwt_key_alg(key), alg);
	assert_int_equal(jwt_signature_check(key, text, jt_sign(alg, pair, text)), 1);
	assert_int_equal(jwt_signature_check(key, SLICE("Signed"), jt_sign(alg, pair, text)), 0);
	jwt_key_free(key);
}

static void all_kinds_are_read(void **state)
{
	(void)state;
	for (enum jwt_alg alg = JWT_RS256; alg < JWT_N_ALGS; alg++) {
		struct jwt_key_options options = { .alg = jwt_alg_name(alg) };
		struct jwt_key *key = jt_key(alg, jt_pair(alg), "", "");
		char why[JWT_WHY_MAX];

		check_key(alg, jt_pair(alg), key);
		if (jwt_methods[alg].family == JWT_FAMILY_MAC)
			continue;
		assert_int_equal(jwt_key_read_pem(jt_pem(jt_pair(alg)), &options, why, &key), 0);
		check_key(alg, jt_pair(alg), key);
	}
}

static struct jwt_key *key_of(struct slice jwk)
{
	struct jwt_key *key = NULL;
	char why[JWT_WHY_MAX] = "";

	if (jwt_key_read_jwk(jwk, &nothing, why, &key) < 0)
		fail_msg("%s", why);
	return key;
}

static void the_algorithm_is_the_keys(void **state)
{
	struct jwt_key *key;

	(void)state;
	for (enum jwt_alg alg = JWT_ES256; alg < JWT_N_ALGS; alg++) /* All that say enough. */
		check_key(alg, jt_pair(alg), key_of(jt_jwk(alg, jt_pair(alg), "")));
	check_key(JWT_PS384, jt_pair(JWT_PS384),
		  key_of(jt_jwk(JWT_PS384, jt_pair(JWT_PS384), ",\"alg\":\"PS384\"")));
	key = key_of(jt_jwk(JWT_RS256, jt_pair(JWT_RS256),
			    ",\"alg\":\"RS256\",\"use\":\"sig\",\"kid\":\"a\\u0062c\","
			    "\"d\":\"AQAB\",\"p\":\"AQAB\",\"x5c\":[\"AA==\"]"));
	assert_true(slice_eq(jwt_key_id(key), SLICE("abc")));
	assert_int_equal(jwt_key_issuer(key).len, 0);
	check_key(JWT_RS256, jt_pair(JWT_RS256), key);

	key = jt_key(JWT_ES256, jt_pair(JWT_ES256), "id", "https://a.test");
	assert_true(slice_eq(jwt_key_id(key), SLICE("id")));
	assert_true(slice_eq(jwt_key_issuer(key), SLICE("https://a.test")));
	jwt_key_free(key);
}

/* Row J22, and what else is no key. */
static void refuse_jwk(struct slice jwk, const char *alg, const char *want)
{
	struct jwt_key_options options = { .alg = slice_of(alg) };
	struct jwt_key *key = NULL;
	char why[JWT_WHY_MAX] = "";
	int r = jwt_key_read_jwk(jwk, &options, why, &key);

	if (r != -EINVAL || !strstr(why, want))
		fail_msg("%.*s: %d, '%s' where '%s' is wanted", SLICE_ARG(jwk), r, why, want);
	assert_null(key);
}

static void refuse_parts(const char *jwk, const char *want)
{
	refuse_jwk(slice_of(jwk), "", want);
}

static void weak_keys_are_refused(void **state)
{
	EVP_PKEY *rsa = jt_rsa(1024), *odd = jt_rsa(2040);
	EVP_PKEY *secret = jt_secret("0123456789abcdefghijklmnopqrstu", 31);
	struct jwt_key_options options = { .alg = SLICE("RS256") };
	struct jwt_key *key = NULL;
	char why[JWT_WHY_MAX] = "";

	(void)state;
	refuse_jwk(jt_jwk(JWT_RS256, rsa, ""), "RS256", "1024 bits");
	refuse_jwk(jt_jwk(JWT_PS256, rsa, ""), "PS256", "1024 bits");
	refuse_jwk(jt_jwk(JWT_RS256, odd, ""), "RS256", "2040 bits");
	refuse_jwk(jt_jwk(JWT_HS256, secret, ""), "HS256", "31 bytes");
	assert_int_equal(jwt_key_read_pem(jt_pem(rsa), &options, why, &key), -EINVAL);
	assert_non_null(strstr(why, "1024 bits"));
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(odd);
	EVP_PKEY_free(secret);
}

static void keys_are_for_their_algorithm(void **state)
{
	(void)state;
	for (enum jwt_alg alg = JWT_RS256; alg < JWT_N_ALGS; alg++) {
		for (enum jwt_alg other = JWT_RS256; other < JWT_N_ALGS; other++) {
			bool both_rsa = jwt_methods[alg].kty == jwt_methods[other].kty &&
					slice_eq(slice_of(jwt_methods[alg].kty), SLICE("RSA"));

			if (alg != other && !both_rsa)
				refuse_jwk(jt_jwk(alg, jt_pair(alg), ""), jwt_methods[other].name,
					   "does not fit");
		}
	}
	refuse_jwk(jt_jwk(JWT_RS256, jt_pair(JWT_RS256), ""), "", "fits several");
	refuse_jwk(jt_jwk(JWT_RS256, jt_pair(JWT_RS256), ",\"alg\":\"PS256\""), "RS256",
		   "alg: is PS256, but RS256 is wanted");
	refuse_jwk(jt_jwk(JWT_ES256, jt_pair(JWT_ES256), ",\"alg\":\"ES384\""), "", "does not fit");
	refuse_jwk(jt_jwk(JWT_RS256, jt_pair(JWT_RS256), ",\"alg\":\"none\""), "", "no algorithm");
	refuse_jwk(jt_jwk(JWT_RS256, jt_pair(JWT_RS256), ",\"alg\":\"none\""), "RS256",
		   "no algorithm");
	refuse_jwk(jt_jwk(JWT_RS256, jt_pair(JWT_RS256), ",\"alg\":5"), "", "no algorithm");
	refuse_jwk(jt_jwk(JWT_RS256, jt_pair(JWT_RS256), ""), "RS257", "no algorithm");
	refuse_jwk(jt_jwk(JWT_HS256, jt_pair(JWT_HS256), ",\"alg\":\"HS512\""), "", "no algorithm");
	refuse_jwk(jt_jwk(JWT_ES256, jt_pair(JWT_ES256), ",\"use\":\"enc\""), "", "use:");
	refuse_jwk(jt_jwk(JWT_ES256, jt_pair(JWT_ES256), ",\"use\":[\"sig\"]"), "", "use:");
}

/* A point with its last byte changed lies on no curve, nearly always; of these, never. */
static void parts_are_judged(void **state)
{
	static const char zeros[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	static const char one[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE";
	char text[512];

	(void)state;
	(void)snprintf(text, sizeof(text),
		       "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}", one, one);
	refuse_parts(text, "numbers are wrong");
	(void)snprintf(text, sizeof(text),
		       "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}", zeros,
		       zeros);
	refuse_parts(text, "numbers are wrong");
	(void)snprintf(text, sizeof(text),
		       "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"AQ\"}", one);
	refuse_parts(text, "length");
	refuse_parts("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQAB\"}", "length");
	(void)snprintf(text, sizeof(text), "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"}",
		       "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	refuse_parts(text, "numbers are wrong"); /* y = 2 */
	refuse_parts("{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}", "x: is missing");
	refuse_parts("{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AQAB\"}", "no such key");
	refuse_parts("{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AQ\",\"y\":\"AQ\"}",
		     "no such key");
	refuse_parts("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"A=\",\"y\":\"AQ\"}",
		     "x: is no base64url");
	refuse_parts("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":7,\"y\":\"AQ\"}", "x: is missing");
	refuse_parts("{\"kty\":\"RSA\",\"alg\":\"RS256\",\"e\":\"AQAB\"}", "n: is missing");
	refuse_parts("{\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"AQ\"}", "e: is missing");
	refuse_parts("{\"kty\":\"oct\"}", "k: is missing");
	refuse_parts("{\"kty\":\"oct\",\"k\":\"\"}", "k: is missing");
	refuse_parts("{}", "no such key");
	refuse_parts("{\"kty\":\"dec\"}", "no such key");
	refuse_parts("", "no JSON");
	refuse_parts("{\"kty\":\"oct\",\"kty\":\"oct\"}", "no JSON");
	refuse_parts("<html></html>", "no JSON");
	refuse_jwk(jt_jwk(JWT_HS256, jt_pair(JWT_HS256), ",\"kid\":1"), "", "kid: is no string");
}

/* Of an RSA key: an exponent of one takes anything; a long one takes long. */
static void exponents_are_judged(void **state)
{
	static const char *const exponents[] = { "AQ", "AgAA", "AQAAAAAAAAAB" };
	static const char *const whys[] = { "numbers are wrong", "numbers are wrong", "65 bits" };
	struct slice jwk = jt_jwk(JWT_RS256, jt_pair(JWT_RS256), "");
	size_t at = slice_find_slice(jwk, SLICE("AQAB\"}"));
	char text[2048];

	(void)state;
	assert_true(at != SLICE_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(exponents); i++) {
		struct writer w = writer_make(text, sizeof(text));

		writer_put(&w, slice_take(jwk, at));
		writer_put(&w, slice_of(exponents[i]));
		writer_lit(&w, "\"}");
		refuse_jwk(writer_slice(&w), "RS256", whys[i]);
	}
}

static void names_are_bounded(void **state)
{
	static char long_text[10000];
	struct writer w = writer_make(long_text, sizeof(long_text));
	struct jwt_key_options options = { .kid = { long_text, JWT_KEY_ID_MAX + 1 } };
	struct jwt_key *key = NULL;
	char why[JWT_WHY_MAX];

	(void)state;
	memset(long_text, 'a', sizeof(long_text));
	assert_int_equal(
		jwt_key_read_jwk(jt_jwk(JWT_HS256, jt_pair(JWT_HS256), ""), &options, why, &key),
		-EINVAL);
	writer_lit(&w, ",\"kid\":\"");
	writer_reserve(&w, JWT_KEY_ID_MAX + 1);
	writer_lit(&w, "\"\0");
	refuse_jwk(jt_jwk(JWT_HS256, jt_pair(JWT_HS256), long_text), "", "kid: longer");
	w = writer_make(long_text, sizeof(long_text));
	writer_lit(&w, "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"e\":\"AQAB\",\"n\":\"");
	memset(w.ptr, 'A', 2000);
	writer_reserve(&w, 2000);
	writer_lit(&w, "\"}");
	refuse_jwk(writer_slice(&w), "", "n: is too long");
	refuse_jwk(slice_make(long_text, sizeof(long_text)), "", "too large");
}

static void pem_is_one_public_key(void **state)
{
	static char text[8192];
	struct jwt_key_options options = { .alg = SLICE("ES256") };
	struct slice one = jt_pem(jt_pair(JWT_ES256));
	struct writer w = writer_make(text, sizeof(text));
	struct jwt_key *key = NULL;
	char why[JWT_WHY_MAX];
	BIO *bio = BIO_new(BIO_s_mem());
	char *private;
	long len;

	(void)state;
	writer_put(&w, one);
	writer_put(&w, one);
	assert_int_equal(jwt_key_read_pem(writer_slice(&w), &options, why, &key), -EINVAL);
	assert_non_null(strstr(why, "more than one"));
	assert_int_equal(jwt_key_read_pem(SLICE("x"), &options, why, &key), -EINVAL);
	assert_non_null(strstr(why, "no public key"));
	PEM_write_bio_PrivateKey(bio, jt_pair(JWT_ES256), NULL, NULL, 0, NULL, NULL);
	len = BIO_get_mem_data(bio, &private);
	assert_int_equal(jwt_key_read_pem(slice_make(private, (size_t)len), &options, why, &key),
			 -EINVAL);
	assert_non_null(strstr(why, "no public key"));
	BIO_free(bio);
	for (enum jwt_alg alg = JWT_RS256; alg < JWT_N_ALGS; alg++) {
		options.alg = jwt_alg_name(alg);
		if (alg != JWT_ES256)
			assert_int_equal(jwt_key_read_pem(one, &options, why, &key), -EINVAL);
	}
	options.alg = SLICE("");
	assert_int_equal(jwt_key_read_pem(one, &options, why, &key), -EINVAL);
	assert_null(key);
}

static void names_are_found(void **state)
{
	(void)state;
	assert_int_equal(jwt_alg_find(SLICE("RS256")), JWT_RS256);
	assert_int_equal(jwt_alg_find(SLICE("EdDSA")), JWT_EdDSA);
	assert_int_equal(jwt_alg_find(SLICE("HS256")), JWT_HS256);
	assert_int_equal(jwt_alg_find(SLICE("hs256")), JWT_N_ALGS);
	assert_int_equal(jwt_alg_find(SLICE("none")), JWT_N_ALGS);
	assert_int_equal(jwt_alg_find(SLICE("")), JWT_N_ALGS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_kinds_are_read),
		cmocka_unit_test(the_algorithm_is_the_keys),
		cmocka_unit_test(weak_keys_are_refused),
		cmocka_unit_test(keys_are_for_their_algorithm),
		cmocka_unit_test(parts_are_judged),
		cmocka_unit_test(exponents_are_judged),
		cmocka_unit_test(names_are_bounded),
		cmocka_unit_test(pem_is_one_public_key),
		cmocka_unit_test(names_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
