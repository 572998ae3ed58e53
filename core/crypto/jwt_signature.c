/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/jwt_key_private.h"

#include "core/crypto/jwt_signature.h"

#include <assert.h>
#include <errno.h>

#include "core/base/writer.h"
#include "core/crypto/crypto_pool.h"

enum {
	HALF_MAX = 66,                   /* Bytes of r with P-521. */
	DER_MAX = 3 + 2 * (3 + HALF_MAX) /* A sequence of two integers. */
};

/* --- ECDSA: r and s of fixed lengths in a token, DER in OpenSSL. -------------------------------- */

/* How many there are of points on a curve (FIPS 186-4 D.1.2): r and s are below. */
static const uint8_t order_256[] = {
	0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
	0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
};
static const uint8_t order_384[] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2,
	0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
};
static const uint8_t order_521[] = {
	0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xfa, 0x51, 0x86, 0x87, 0x83, 0xbf, 0x2f, 0x96, 0x6b,
	0x7f, 0xcc, 0x01, 0x48, 0xf7, 0x09, 0xa5, 0xd0, 0x3b, 0xb5, 0xc9, 0xb8, 0x89, 0x9c,
	0x47, 0xae, 0xbb, 0x6f, 0xb7, 0x1e, 0x91, 0x38, 0x64, 0x09,
};
static_assert(sizeof(order_521) == HALF_MAX, "the longest");

static const uint8_t *order_of(size_t half)
{
	return half == sizeof(order_256)   ? order_256
	       : half == sizeof(order_384) ? order_384
					   : order_521;
}

/* 1 <= number < order? */
static bool is_in_range(struct slice number)
{
	char all = 0;

	for (size_t i = 0; i < number.len; i++)
		all |= number.ptr[i];
	return all != 0 && memcmp(number.ptr, order_of(number.len), number.len) < 0;
}

/* A positive INTEGER: no zeros in front, but one where the sign would be. */
static void put_integer(struct writer *der, struct slice number)
{
	while (number.ptr[0] == 0)
		number = slice_drop(number, 1);

	bool signed_bit = number.ptr[0] & 0x80;

	writer_char(der, 0x02);
	writer_char(der, (char)(number.len + signed_bit));
	if (signed_bit)
		writer_char(der, 0);
	writer_put(der, number);
}

/* The signature in DER in room[]; empty when it has another length, or a number out of range. */
static struct slice to_der(struct slice signature, size_t half, uint8_t room[DER_MAX])
{
	struct slice r = slice_take(signature, half), s = slice_drop(signature, half);
	uint8_t body[DER_MAX];
	struct writer integers = writer_make(body, sizeof(body)), der = writer_make(room, DER_MAX);

	if (signature.len != 2 * half || !is_in_range(r) || !is_in_range(s))
		return slice_make(room, 0);
	put_integer(&integers, r);
	put_integer(&integers, s);
	writer_char(&der, 0x30);
	if (writer_len(&integers) > 127)
		writer_char(&der, (char)0x81);
	writer_char(&der, (char)writer_len(&integers));
	writer_put(&der, writer_slice(&integers));
	GW_ASSERT(!integers.overflow && !der.overflow);
	return writer_slice(&der);
}

/* --- OpenSSL. ---------------------------------------------------------------------------------- */

static const unsigned char *bytes_of(struct slice s)
{
	return (const unsigned char *)s.ptr;
}

/* The salt is as long as the digest, no other is taken (RFC 7518 3.5). */
static bool set_padding(EVP_PKEY_CTX *ctx, enum jwt_family family)
{
	if (family == JWT_FAMILY_RSA)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0;
	if (family == JWT_FAMILY_PSS)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) > 0;
	return true;
}

static bool verifies(const struct jwt_key *key, struct slice text, struct slice signature)
{
	enum jwt_family family = jwt_methods[key->alg].family;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *details; /* The former's. */
	bool good = ctx &&
		    EVP_DigestVerifyInit(ctx, &details, key->digest, NULL, key->public_key) == 1 &&
		    set_padding(details, family) &&
		    EVP_DigestVerify(ctx, bytes_of(signature), signature.len, bytes_of(text),
				     text.len) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

static bool authenticates(const struct jwt_key *key, struct slice text, struct slice signature)
{
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(key->mac);
	unsigned char mac[EVP_MAX_MD_SIZE];
	size_t len;
	bool good = ctx && EVP_MAC_update(ctx, bytes_of(text), text.len) &&
		    EVP_MAC_final(ctx, mac, &len, sizeof(mac)) && signature.len == len &&
		    CRYPTO_memcmp(mac, signature.ptr, len) == 0;

	EVP_MAC_CTX_free(ctx);
	return good;
}

/* Since then something may have failed for want of memory: nothing is known about the signature. */
static bool ran_out_of_memory(uint64_t refusals_before)
{
	unsigned long error;
	bool ran_out = crypto_pool_refusals() != refusals_before;

	while ((error = ERR_get_error())) /* Where malloc is behind it. */
		ran_out = ran_out || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
	return ran_out;
}

int jwt_signature_check(const struct jwt_key *key, struct slice text, struct slice signature)
{
	const struct jwt_method *method = &jwt_methods[key->alg];
	uint64_t refusals = crypto_pool_refusals();
	uint8_t room[DER_MAX];
	bool good;

	if (method->family == JWT_FAMILY_EC)
		signature = to_der(signature, method->half, room);
	if (signature.len == 0)
		return 0;
	ERR_clear_error();
	good = method->family == JWT_FAMILY_MAC ? authenticates(key, text, signature)
						: verifies(key, text, signature);
	if (!good && ran_out_of_memory(refusals))
		return -ENOMEM;
	ERR_clear_error();
	return good;
}
