/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwt_key.h - a key that tokens are checked with, bound to exactly one algorithm.
 *
 * What a token says about algorithms never decides how a key is used (RFC 8725 3.1): the key does.
 * Weak keys are refused here, once, and not by each request.
 *
 * Ownership: a key is immutable. Everything that OpenSSL makes lazily for it is made while it is
 * read, so a worker's pool holds nothing of it.
 * Threads: reading takes milliseconds: not for a worker. Then any may check with it; OpenSSL counts
 * references to it while one does, so workers had better have keys of their own.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

/* The names are those of RFC 7518 3.1 and RFC 8037 3.1. */
#define JWT_ALGS(X)                                                                                \
	X(RS256)                                                                                   \
	X(RS384)                                                                                   \
	X(RS512)                                                                                   \
	X(PS256)                                                                                   \
	X(PS384)                                                                                   \
	X(PS512)                                                                                   \
	X(ES256)                                                                                   \
	X(ES384)                                                                                   \
	X(ES512)                                                                                   \
	X(EdDSA)                                                                                   \
	X(HS256)

enum jwt_alg {
#define X(name) JWT_##name,
	JWT_ALGS(X)
#undef X
		JWT_N_ALGS
};

enum {
	JWT_WHY_MAX = 192,
	JWT_KEY_ID_MAX = 255,     /* Bytes of a key's id. */
	JWT_KEY_ISSUER_MAX = 255, /* And of its issuer. */
	JWT_RSA_BITS_MIN = 2048,
	JWT_RSA_BITS_MAX = 8192, /* Longer ones would take a worker for too long. */
	JWT_RSA_EXPONENT_BITS_MAX = 64,
	JWT_SECRET_MIN = 32, /* Bytes. */
};

struct jwt_key;

struct jwt_key_options {
	/*
	 * What it is for. Empty: what the JWK says, or the one that its curve leaves; if both say
	 * something, it has to be the same.
	 */
	struct slice alg;
	struct slice kid; /* Empty: the JWK's, or none. */
	/* Whose it is: tokens of others are not to be signed with it. Empty: of any issuer. */
	struct slice issuer;
	bool no_private; /* A JWK with private parts is refused; else these are ignored. */
};

/*
 * From a JWK (RFC 7517 4): kty RSA, EC (P-256, P-384, P-521), OKP (Ed25519) or oct. Private parts
 * are ignored unless it is said otherwise. 0; -EINVAL and why[]; or -ENOMEM.
 */
GW_MUST_USE int jwt_key_read_jwk(struct slice jwk, const struct jwt_key_options *options,
				 char why[JWT_WHY_MAX], struct jwt_key **ret_key);
/* From one public key in PEM ("BEGIN PUBLIC KEY"). As above. */
GW_MUST_USE int jwt_key_read_pem(struct slice pem, const struct jwt_key_options *options,
				 char why[JWT_WHY_MAX], struct jwt_key **ret_key);
void jwt_key_free(struct jwt_key *key);

enum jwt_alg jwt_key_alg(const struct jwt_key *key);
/* Empty: none. Good as long as the key. */
struct slice jwt_key_id(const struct jwt_key *key);
struct slice jwt_key_issuer(const struct jwt_key *key);

/* The algorithm of this name, or JWT_N_ALGS. And its name. */
enum jwt_alg jwt_alg_find(struct slice name);
struct slice jwt_alg_name(enum jwt_alg alg);
