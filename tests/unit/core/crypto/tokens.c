/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/crypto/tokens.h"

enum { JT_TEXT = 40000, JT_TEXTS = 8 };

static char *jt_room(void)
{
	static char rooms[JT_TEXTS][JT_TEXT];
	static unsigned turn;

	return rooms[turn++ % JT_TEXTS];
}

EVP_PKEY *jt_rsa(unsigned bits)
{
	EVP_PKEY *pair = EVP_RSA_gen(bits);

	assert_non_null(pair);
	return pair;
}

EVP_PKEY *jt_secret(const void *bytes, size_t len)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, bytes, len);

	assert_non_null(key);
	return key;
}

static EVP_PKEY *make_pair(enum jwt_alg alg)
{
	switch (jwt_methods[alg].family) {
	case JWT_FAMILY_RSA:
	case JWT_FAMILY_PSS:
		return alg == JWT_RS256 ? jt_rsa(2048) : jt_pair(JWT_RS256);
	case JWT_FAMILY_EC:
		return EVP_EC_gen(jwt_methods[alg].group);
	case JWT_FAMILY_ED:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	case JWT_FAMILY_MAC:
		return jt_secret("0123456789abcdefghijklmnopqrstuv", 32);
	}
	return NULL;
}

EVP_PKEY *jt_pair(enum jwt_alg alg)
{
	static EVP_PKEY *pairs[JWT_N_ALGS];

	if (!pairs[alg])
		pairs[alg] = make_pair(alg);
	assert_non_null(pairs[alg]);
	return pairs[alg];
}

static struct slice to_raw(struct slice der, int half, unsigned char *raw)
{
	const unsigned char *at = (const unsigned char *)der.ptr;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)der.len);

	assert_non_null(sig);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, half), half);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + half, half), half);
	ECDSA_SIG_free(sig);
	return slice_make(raw, 2 * (size_t)half);
}

struct slice jt_sign(enum jwt_alg alg, EVP_PKEY *pair, struct slice text)
{
	const struct jwt_method *method = &jwt_methods[alg];
	const EVP_MD *digest = method->digest ? EVP_get_digestbyname(method->digest) : NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char *out = (unsigned char *)jt_room();
	EVP_PKEY_CTX *details;
	size_t len = 2000;

	assert_int_equal(EVP_DigestSignInit(ctx, &details, digest, NULL, pair), 1);
	if (method->family == JWT_FAMILY_PSS) {
		EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(details, RSA_PSS_SALTLEN_DIGEST);
	}
	assert_int_equal(EVP_DigestSign(ctx, out, &len, (const unsigned char *)text.ptr, text.len),
			 1);
	EVP_MD_CTX_free(ctx);
	if (method->family == JWT_FAMILY_EC)
		return to_raw(slice_make(out, len), method->half, out + 2000);
	return slice_make(out, len);
}

struct slice jt_join(struct slice header, struct slice payload, struct slice signature)
{
	struct writer to = writer_make(jt_room(), JT_TEXT);

	base64url_put(&to, header);
	writer_char(&to, '.');
	base64url_put(&to, payload);
	writer_char(&to, '.');
	base64url_put(&to, signature);
	assert_false(to.overflow);
	return writer_slice(&to);
}

struct slice jt_token(enum jwt_alg alg, EVP_PKEY *pair, const char *header, const char *payload)
{
	struct slice unsigned_one =
		jt_join(slice_of(header), slice_of(payload), slice_make(NULL, 0));
	struct slice text = slice_take(unsigned_one, unsigned_one.len - 1);

	return jt_join(slice_of(header), slice_of(payload), jt_sign(alg, pair, text));
}

static void put_part(struct writer *to, const char *name, const unsigned char *bytes, size_t len)
{
	writer_lit(to, ",\"");
	writer_put(to, slice_of(name));
	writer_lit(to, "\":\"");
	base64url_put(to, slice_make(bytes, len));
	writer_char(to, '"');
}

static void put_number(struct writer *to, EVP_PKEY *pair, const char *name, const char *param,
		       int len)
{
	BIGNUM *number = NULL;
	unsigned char bytes[2048];

	assert_int_equal(EVP_PKEY_get_bn_param(pair, param, &number), 1);
	len = BN_bn2binpad(number, bytes, len ? len : BN_num_bytes(number));
	assert_true(len > 0);
	BN_free(number);
	put_part(to, name, bytes, (size_t)len);
}

struct slice jt_jwk(enum jwt_alg alg, EVP_PKEY *pair, const char *more)
{
	const struct jwt_method *method = &jwt_methods[alg];
	struct writer to = writer_make(jt_room(), JT_TEXT);
	unsigned char bytes[2048];
	size_t len = sizeof(bytes);

	writer_lit(&to, "{\"kty\":\"");
	writer_put(&to, slice_of(method->kty));
	writer_char(&to, '"');
	if (method->crv) {
		writer_lit(&to, ",\"crv\":\"");
		writer_put(&to, slice_of(method->crv));
		writer_char(&to, '"');
	}
	if (method->family == JWT_FAMILY_EC) {
		put_number(&to, pair, "x", OSSL_PKEY_PARAM_EC_PUB_X, method->half);
		put_number(&to, pair, "y", OSSL_PKEY_PARAM_EC_PUB_Y, method->half);
	} else if (method->family == JWT_FAMILY_ED) {
		assert_int_equal(EVP_PKEY_get_raw_public_key(pair, bytes, &len), 1);
		put_part(&to, "x", bytes, len);
	} else if (method->family == JWT_FAMILY_MAC) {
		assert_int_equal(EVP_PKEY_get_raw_private_key(pair, bytes, &len), 1);
		put_part(&to, "k", bytes, len);
	} else {
		put_number(&to, pair, "n", OSSL_PKEY_PARAM_RSA_N, 0);
		put_number(&to, pair, "e", OSSL_PKEY_PARAM_RSA_E, 0);
	}
	writer_put(&to, slice_of(more));
	writer_char(&to, '}');
	assert_false(to.overflow);
	return writer_slice(&to);
}

struct slice jt_pem(EVP_PKEY *pair)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *room = jt_room();
	int len;

	assert_int_equal(PEM_write_bio_PUBKEY(bio, pair), 1);
	len = BIO_read(bio, room, JT_TEXT);
	assert_true(len > 0);
	BIO_free(bio);
	return slice_make(room, (size_t)len);
}

struct jwt_key *jt_key(enum jwt_alg alg, EVP_PKEY *pair, const char *kid, const char *issuer)
{
	struct jwt_key_options options = { .alg = jwt_alg_name(alg),
					   .kid = slice_of(kid),
					   .issuer = slice_of(issuer) };
	struct jwt_key *key = NULL;
	char why[JWT_WHY_MAX] = "";

	if (jwt_key_read_jwk(jt_jwk(alg, pair, ""), &options, why, &key) < 0)
		fail_msg("%s: %s", jwt_methods[alg].name, why);
	return key;
}
