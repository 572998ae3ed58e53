/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/jwt_key_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/crypto/base64url.h"
#include "core/crypto/ed25519_point.h"
#include "core/crypto/jws_json.h"
#include "core/crypto/jwt_signature.h"

enum { PART_MAX = JWT_RSA_BITS_MAX / 8 + 1, MEMBERS_MAX = 64 };

/* clang-format off */
const struct jwt_method jwt_methods[JWT_N_ALGS] = {
	[JWT_RS256] = { "RS256", JWT_FAMILY_RSA, "RSA", NULL, "RSA", NULL, "SHA256", 0 },
	[JWT_RS384] = { "RS384", JWT_FAMILY_RSA, "RSA", NULL, "RSA", NULL, "SHA384", 0 },
	[JWT_RS512] = { "RS512", JWT_FAMILY_RSA, "RSA", NULL, "RSA", NULL, "SHA512", 0 },
	[JWT_PS256] = { "PS256", JWT_FAMILY_PSS, "RSA", NULL, "RSA", NULL, "SHA256", 0 },
	[JWT_PS384] = { "PS384", JWT_FAMILY_PSS, "RSA", NULL, "RSA", NULL, "SHA384", 0 },
	[JWT_PS512] = { "PS512", JWT_FAMILY_PSS, "RSA", NULL, "RSA", NULL, "SHA512", 0 },
	[JWT_ES256] = { "ES256", JWT_FAMILY_EC, "EC", "P-256", "EC", "prime256v1", "SHA256", 32 },
	[JWT_ES384] = { "ES384", JWT_FAMILY_EC, "EC", "P-384", "EC", "secp384r1", "SHA384", 48 },
	[JWT_ES512] = { "ES512", JWT_FAMILY_EC, "EC", "P-521", "EC", "secp521r1", "SHA512", 66 },
	[JWT_EdDSA] = { "EdDSA", JWT_FAMILY_ED, "OKP", "Ed25519", "ED25519", NULL, NULL, 0 },
	[JWT_HS256] = { "HS256", JWT_FAMILY_MAC, "oct", NULL, NULL, NULL, "SHA256", 0 },
};
/* clang-format on */

__attribute__((format(printf, 2, 3))) static int refuse(char why[JWT_WHY_MAX], const char *format,
							...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(why, JWT_WHY_MAX, format, args);
	va_end(args);
	ERR_clear_error();
	return -EINVAL;
}

/* --- Algorithms. ------------------------------------------------------------------------------- */

enum jwt_alg jwt_alg_find(struct slice name)
{
	enum jwt_alg alg = JWT_RS256;

	while (alg < JWT_N_ALGS && !slice_eq(slice_of(jwt_methods[alg].name), name))
		alg++;
	return alg;
}

struct slice jwt_alg_name(enum jwt_alg alg)
{
	return slice_of(jwt_methods[alg].name);
}

/* What a key says about what it is for. */
struct jwk {
	struct jws_json json;
	struct jws_json_member members[MEMBERS_MAX];
	char *why;
};

static struct jws_json_value member_of(const struct jwk *jwk, const char *name)
{
	return jws_json_find(&jwk->json, slice_of(name));
}

static bool fits(const struct jwk *jwk, enum jwt_alg alg)
{
	const struct jwt_method *method = &jwt_methods[alg];

	return jws_json_equals(member_of(jwk, "kty"), slice_of(method->kty)) &&
	       (!method->crv || jws_json_equals(member_of(jwk, "crv"), slice_of(method->crv)));
}

/* No one says what it is for: it may fit one algorithm only. */
static int infer_alg(const struct jwk *jwk, enum jwt_alg *ret_alg)
{
	enum jwt_alg found = JWT_N_ALGS;
	unsigned n_found = 0;

	for (enum jwt_alg alg = JWT_RS256; alg < JWT_N_ALGS; alg++) {
		if (fits(jwk, alg)) {
			found = alg;
			n_found++;
		}
	}
	if (n_found == 0)
		return refuse(jwk->why, "kty, crv: no such key is supported");
	if (n_found > 1)
		return refuse(jwk->why, "alg: is missing, and the key fits several");
	*ret_alg = found;
	return 0;
}

static int alg_of_options(const struct jwt_key_options *options, char why[JWT_WHY_MAX],
			  enum jwt_alg *ret_alg)
{
	enum jwt_alg alg = jwt_alg_find(options->alg);

	if (alg == JWT_N_ALGS)
		return refuse(why, "alg: is no algorithm that is supported");
	*ret_alg = alg;
	return 0;
}

static int alg_of_jwk(const struct jwk *jwk, enum jwt_alg *ret_alg)
{
	struct jws_json_value value = member_of(jwk, "alg");

	if (value.kind == JWS_JSON_NONE)
		return infer_alg(jwk, ret_alg);
	for (enum jwt_alg alg = JWT_RS256; alg < JWT_N_ALGS; alg++) {
		if (jws_json_equals(value, jwt_alg_name(alg))) {
			*ret_alg = alg;
			return 0;
		}
	}
	return refuse(jwk->why, "alg: is no algorithm that is supported");
}

static int choose_alg(const struct jwk *jwk, const struct jwt_key_options *options,
		      enum jwt_alg *ret_alg)
{
	bool said = member_of(jwk, "alg").kind != JWS_JSON_NONE;
	enum jwt_alg wanted = JWT_N_ALGS;
	int r = 0;

	if (options->alg.len)
		r = alg_of_options(options, jwk->why, &wanted);
	if (r == 0 && (said || !options->alg.len))
		r = alg_of_jwk(jwk, ret_alg);
	if (r < 0)
		return r;
	if (options->alg.len && said && wanted != *ret_alg)
		return refuse(jwk->why, "alg: is %s, but %s is wanted", jwt_methods[*ret_alg].name,
			      jwt_methods[wanted].name);
	if (options->alg.len)
		*ret_alg = wanted;
	return fits(jwk, *ret_alg) ? 0
				   : refuse(jwk->why, "alg: %s does not fit the key's kty and crv",
					    jwt_methods[*ret_alg].name);
}

/* --- The parts of a JWK. ----------------------------------------------------------------------- */

struct part {
	size_t len;
	uint8_t bytes[PART_MAX];
};

static int read_part(const struct jwk *jwk, const char *name, struct part *part)
{
	struct jws_json_value value = member_of(jwk, name);
	struct slice text;

	if (value.kind != JWS_JSON_STRING || value.text.len <= 2)
		return refuse(jwk->why, "%s: is missing or no string", name);
	text = slice_make(value.text.ptr + 1, value.text.len - 2);
	part->len = base64url_size(text.len);
	if (part->len > sizeof(part->bytes))
		return refuse(jwk->why, "%s: is too long", name);
	if (base64url_decode(text, part->bytes) < 0)
		return refuse(jwk->why, "%s: is no base64url", name);
	return 0;
}

static int make_public(const struct jwk *jwk, const char *type, OSSL_PARAM_BLD *parts,
		       EVP_PKEY **ret_public)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(parts);
	EVP_PKEY *made = NULL;
	int r = 0;

	if (!ctx || !params)
		r = -ENOMEM;
	else if (EVP_PKEY_fromdata_init(ctx) != 1 ||
		 EVP_PKEY_fromdata(ctx, &made, EVP_PKEY_PUBLIC_KEY, params) != 1)
		r = refuse(jwk->why, "the key is none: its numbers are wrong");
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	*ret_public = made;
	return r;
}

static int read_rsa(const struct jwk *jwk, OSSL_PARAM_BLD *parts, EVP_PKEY **ret_public)
{
	struct part n = { 0 }, e = { 0 };
	BIGNUM *modulus = NULL, *exponent = NULL;
	int r = read_part(jwk, "n", &n);

	if (r == 0)
		r = read_part(jwk, "e", &e);
	if (r < 0)
		return r;
	modulus = BN_bin2bn(n.bytes, (int)n.len, NULL);
	exponent = BN_bin2bn(e.bytes, (int)e.len, NULL);
	if (modulus && exponent && OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_N, modulus) &&
	    OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_E, exponent))
		r = make_public(jwk, "RSA", parts, ret_public);
	else
		r = -ENOMEM;
	BN_free(modulus);
	BN_free(exponent);
	return r;
}

static int read_ec(const struct jwk *jwk, const struct jwt_method *method, OSSL_PARAM_BLD *parts,
		   EVP_PKEY **ret_public)
{
	struct part x = { 0 }, y = { 0 };
	uint8_t point[1 + 2 * 66] = { 4 }; /* Not compressed (SEC 1 2.3.3). */
	int r = read_part(jwk, "x", &x);

	if (r == 0)
		r = read_part(jwk, "y", &y);
	if (r < 0)
		return r;
	if (x.len != method->half || y.len != method->half)
		return refuse(jwk->why, "x, y: not of the curve's length");
	memcpy(point + 1, x.bytes, x.len);
	memcpy(point + 1 + x.len, y.bytes, y.len);
	if (!OSSL_PARAM_BLD_push_utf8_string(parts, OSSL_PKEY_PARAM_GROUP_NAME, method->group, 0) ||
	    !OSSL_PARAM_BLD_push_octet_string(parts, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * x.len))
		return -ENOMEM;
	return make_public(jwk, "EC", parts, ret_public);
}

static int read_ed(const struct jwk *jwk, OSSL_PARAM_BLD *parts, EVP_PKEY **ret_public)
{
	struct part x = { 0 };
	int r = read_part(jwk, "x", &x);

	if (r < 0)
		return r;
	if (x.len != 32)
		return refuse(jwk->why, "x: not of the curve's length");
	if (!OSSL_PARAM_BLD_push_octet_string(parts, OSSL_PKEY_PARAM_PUB_KEY, x.bytes, x.len))
		return -ENOMEM;
	return make_public(jwk, "ED25519", parts, ret_public);
}

static int key_secret(struct jwt_key *key, const struct part *secret)
{
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
		OSSL_PARAM_construct_end(),
	};

	key->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	EVP_MAC_free(hmac);
	return key->mac && EVP_MAC_init(key->mac, secret->bytes, secret->len, params) ? 0 : -ENOMEM;
}

static int read_secret(const struct jwk *jwk, struct jwt_key *key)
{
	struct part k = { 0 };
	int r = read_part(jwk, "k", &k);

	if (r == 0 && k.len < JWT_SECRET_MIN)
		r = refuse(jwk->why, "k: a secret of %zu bytes, but %d at least are needed", k.len,
			   JWT_SECRET_MIN);
	if (r == 0)
		r = key_secret(key, &k);
	OPENSSL_cleanse(&k, sizeof(k));
	return r;
}

static int read_parts(const struct jwk *jwk, struct jwt_key *key)
{
	const struct jwt_method *method = &jwt_methods[key->alg];
	OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
	int r = -ENOMEM;

	if (parts) {
		switch (method->family) {
		case JWT_FAMILY_RSA:
		case JWT_FAMILY_PSS:
			r = read_rsa(jwk, parts, &key->public_key);
			break;
		case JWT_FAMILY_EC:
			r = read_ec(jwk, method, parts, &key->public_key);
			break;
		case JWT_FAMILY_ED:
			r = read_ed(jwk, parts, &key->public_key);
			break;
		case JWT_FAMILY_MAC:
			r = read_secret(jwk, key);
			break;
		}
	}
	OSSL_PARAM_BLD_free(parts);
	return r;
}

/* --- A key of any source. ---------------------------------------------------------------------- */

static bool is_of_type(EVP_PKEY *key, const struct jwt_method *method)
{
	char group[64];
	size_t len;

	if (!EVP_PKEY_is_a(key, method->type))
		return false;
	return !method->group || (EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
				  slice_eq(slice_of(group), slice_of(method->group)));
}

static int judge_rsa(EVP_PKEY *key, char why[JWT_WHY_MAX])
{
	int bits = EVP_PKEY_get_bits(key), exponent_bits;
	BIGNUM *exponent = NULL;

	if (bits < JWT_RSA_BITS_MIN || bits > JWT_RSA_BITS_MAX)
		return refuse(why, "an RSA key of %d bits, but from %d to %d are needed", bits,
			      JWT_RSA_BITS_MIN, JWT_RSA_BITS_MAX);
	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1)
		return -ENOMEM;
	exponent_bits = BN_num_bits(exponent);
	BN_free(exponent);
	return exponent_bits <= JWT_RSA_EXPONENT_BITS_MAX
		       ? 0
		       : refuse(why, "an RSA exponent of %d bits, but %d at most are taken",
				exponent_bits, JWT_RSA_EXPONENT_BITS_MAX);
}

static int judge_ed(EVP_PKEY *key, char why[JWT_WHY_MAX])
{
	uint8_t point[32];
	size_t len = sizeof(point);
	int r;

	if (EVP_PKEY_get_raw_public_key(key, point, &len) != 1 || len != sizeof(point))
		return -ENOMEM;
	r = ed25519_point_check(point);
	return r == 0 ? refuse(why, "the key is none: its numbers are wrong") : r < 0 ? r : 0;
}

static int judge_public(EVP_PKEY *key, const struct jwt_method *method, char why[JWT_WHY_MAX])
{
	EVP_PKEY_CTX *ctx;
	int good, r = 0;

	if (!method->type || !is_of_type(key, method))
		return refuse(why, "alg: %s does not fit the key", method->name);
	if (method->kty[0] == 'R')
		r = judge_rsa(key, why);
	else if (method->family == JWT_FAMILY_ED)
		r = judge_ed(key, why);
	if (r < 0)
		return r;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (!ctx)
		return -ENOMEM;
	good = EVP_PKEY_public_check(ctx);
	EVP_PKEY_CTX_free(ctx);
	return good == 1 ? 0 : refuse(why, "the key is none: its numbers are wrong");
}

/*
 * Have OpenSSL make what it makes at first use: here, and not out of a worker's pool. Of ones, a
 * signature is well-formed and wrong.
 */
static int try_out(const struct jwt_key *key, char why[JWT_WHY_MAX])
{
	const struct jwt_method *method = &jwt_methods[key->alg];
	uint8_t ones[PART_MAX];
	size_t len = 32;
	int r;

	if (key->public_key)
		len = method->half ? 2 * method->half : (size_t)EVP_PKEY_get_size(key->public_key);
	GW_ASSERT(len <= sizeof(ones));
	memset(ones, 1, len);
	r = jwt_signature_check(key, SLICE("x"), slice_make(ones, len));
	return r > 0 ? refuse(why, "the key takes any signature") : r;
}

static int name_key(struct jwt_key *key, const struct jwt_key_options *options,
		    char why[JWT_WHY_MAX])
{
	if (options->kid.len > sizeof(key->kid) || options->issuer.len > sizeof(key->issuer))
		return refuse(why, "kid, issuer: longer than %zu bytes", sizeof(key->kid));
	if (options->kid.len) {
		memcpy(key->kid, options->kid.ptr, options->kid.len);
		key->kid_len = (uint8_t)options->kid.len;
	}
	if (options->issuer.len) {
		memcpy(key->issuer, options->issuer.ptr, options->issuer.len);
		key->issuer_len = (uint8_t)options->issuer.len;
	}
	return 0;
}

/* What is common to both sources, once the key itself is there. */
static int finish(struct jwt_key *key, const struct jwt_key_options *options, char why[JWT_WHY_MAX])
{
	const struct jwt_method *method = &jwt_methods[key->alg];
	int r = key->public_key ? judge_public(key->public_key, method, why) : 0;

	if (r == 0 && method->digest) {
		key->digest = EVP_MD_fetch(NULL, method->digest, NULL);
		r = key->digest ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = name_key(key, options, why);
	return r < 0 ? r : try_out(key, why);
}

/* The key to the caller, or away with it. */
static int hand_over(int r, struct jwt_key *key, struct jwt_key **ret_key)
{
	if (r < 0)
		jwt_key_free(key);
	else
		*ret_key = key;
	ERR_clear_error();
	return r;
}

/* --- JWK. -------------------------------------------------------------------------------------- */

static int judge_use(const struct jwk *jwk)
{
	struct jws_json_value use = member_of(jwk, "use");

	if (use.kind != JWS_JSON_NONE && !jws_json_equals(use, SLICE("sig")))
		return refuse(jwk->why, "use: the key is not for signatures");
	return 0;
}

static int judge_privacy(const struct jwk *jwk, const struct jwt_key_options *options)
{
	if (options->no_private && member_of(jwk, "d").kind != JWS_JSON_NONE)
		return refuse(jwk->why, "d: this is the private key; give the public one alone");
	return 0;
}

static int read_kid(const struct jwk *jwk, struct jwt_key *key)
{
	struct jws_json_value kid = member_of(jwk, "kid");
	struct writer to = writer_make(key->kid, sizeof(key->kid));

	if (kid.kind == JWS_JSON_NONE)
		return 0;
	if (kid.kind != JWS_JSON_STRING)
		return refuse(jwk->why, "kid: is no string");
	jws_json_put(&to, kid);
	key->kid_len = (uint8_t)writer_len(&to);
	return to.overflow ? refuse(jwk->why, "kid: longer than %d bytes", JWT_KEY_ID_MAX) : 0;
}

static int read_jwk(struct jwk *jwk, struct slice text, const struct jwt_key_options *options,
		    struct jwt_key *key)
{
	int r = jws_json_read(&jwk->json, text);

	if (r < 0)
		return refuse(jwk->why, r == -E2BIG ? "too large for a JWK" : "no JSON object");
	r = judge_use(jwk);
	if (r == 0)
		r = judge_privacy(jwk, options);
	if (r == 0)
		r = choose_alg(jwk, options, &key->alg);
	if (r == 0)
		r = read_kid(jwk, key);
	if (r == 0)
		r = read_parts(jwk, key);
	return r < 0 ? r : finish(key, options, jwk->why);
}

int jwt_key_read_jwk(struct slice text, const struct jwt_key_options *options,
		     char why[JWT_WHY_MAX], struct jwt_key **ret_key)
{
	struct jwk jwk;
	struct jwt_key *key = calloc(1, sizeof(*key));

	if (!key)
		return -ENOMEM;
	jwk.why = why;
	jwk.json.members = jwk.members;
	jwk.json.size = MEMBERS_MAX;
	return hand_over(read_jwk(&jwk, text, options, key), key, ret_key);
}

/* --- PEM. -------------------------------------------------------------------------------------- */

static int read_pem(struct slice pem, char why[JWT_WHY_MAX], EVP_PKEY **ret_public)
{
	BIO *bio = pem.len <= INT_MAX ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
	EVP_PKEY *more;

	if (!bio)
		return -ENOMEM;
	*ret_public = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	more = *ret_public ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	EVP_PKEY_free(more);
	if (!*ret_public)
		return refuse(why, "holds no public key in PEM");
	return more ? refuse(why, "holds more than one key") : 0;
}

int jwt_key_read_pem(struct slice pem, const struct jwt_key_options *options, char why[JWT_WHY_MAX],
		     struct jwt_key **ret_key)
{
	struct jwt_key *key = calloc(1, sizeof(*key));
	int r;

	if (!key)
		return -ENOMEM;
	r = alg_of_options(options, why, &key->alg);
	if (r == 0)
		r = read_pem(pem, why, &key->public_key);
	if (r == 0)
		r = finish(key, options, why);
	return hand_over(r, key, ret_key);
}

/* --- Of a key. --------------------------------------------------------------------------------- */

void jwt_key_free(struct jwt_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->public_key);
	EVP_MAC_CTX_free(key->mac);
	EVP_MD_free(key->digest);
	free(key);
}

enum jwt_alg jwt_key_alg(const struct jwt_key *key)
{
	return key->alg;
}

struct slice jwt_key_id(const struct jwt_key *key)
{
	return slice_make(key->kid, key->kid_len);
}

struct slice jwt_key_issuer(const struct jwt_key *key)
{
	return slice_make(key->issuer, key->issuer_len);
}
