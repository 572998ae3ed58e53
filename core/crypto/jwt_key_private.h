/* SPDX-License-Identifier: Apache-2.0 */
/* jwt_key_private.h - what a key is made of: jwt_key.c, jwt_signature.c. Included first. */
#pragma once

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "core/crypto/jwt_key.h"

/* The families differ in the keys that they take and in the form of a signature. */
enum jwt_family { JWT_FAMILY_RSA, JWT_FAMILY_PSS, JWT_FAMILY_EC, JWT_FAMILY_ED, JWT_FAMILY_MAC };

struct jwt_method {
	const char *name;
	enum jwt_family family;
	const char *kty, *crv;    /* As a JWK names them; NULL: not by a curve. */
	const char *type, *group; /* As OpenSSL does. */
	const char *digest;       /* NULL: the algorithm brings its own. */
	uint16_t half;            /* Of EC: bytes of r, of s, of a coordinate. */
};

struct jwt_key {
	enum jwt_alg alg;
	EVP_PKEY *public_key; /* One of these two. */
	EVP_MAC_CTX *mac;     /* Keyed; copied for each token. */
	EVP_MD *digest;       /* Fetched once, since fetching takes a lock. */
	uint8_t kid_len, issuer_len;
	char kid[JWT_KEY_ID_MAX], issuer[JWT_KEY_ISSUER_MAX];
};

extern const struct jwt_method jwt_methods[JWT_N_ALGS];
