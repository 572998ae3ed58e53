/* SPDX-License-Identifier: Apache-2.0 */
/* tokens.h - cmocka, keys made on the spot, and tokens signed with them. Included first. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/ecdsa.h>

#include "core/crypto/jwt_key_private.h"

#include "core/base/writer.h"
#include "tests/unit/core/crypto/base64url_put.h"

/* One key for each algorithm, made once; RSA's are the same. */
EVP_PKEY *jt_pair(enum jwt_alg alg);
EVP_PKEY *jt_rsa(unsigned bits);
EVP_PKEY *jt_secret(const void *bytes, size_t len);

/* Of the text so far, with r and s in fixed lengths. */
struct slice jt_sign(enum jwt_alg alg, EVP_PKEY *pair, struct slice text);
/* The whole token; good until the 8th next call. */
struct slice jt_token(enum jwt_alg alg, EVP_PKEY *pair, const char *header, const char *payload);
/* Two parts as they are, and a signature that is given. */
struct slice jt_join(struct slice header, struct slice payload, struct slice signature);

/* The public key, or the secret, as a JWK with more members; good until the 8th next call. */
struct slice jt_jwk(enum jwt_alg alg, EVP_PKEY *pair, const char *more);
struct slice jt_pem(EVP_PKEY *pair);

/* What we make of it. */
struct jwt_key *jt_key(enum jwt_alg alg, EVP_PKEY *pair, const char *kid, const char *issuer);
