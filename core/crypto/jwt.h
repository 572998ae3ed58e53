/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwt.h - is a bearer token good by a set of rules, and what does it say?
 *
 * A token is a JWS in its compact form (RFC 7515 7.1) whose payload are claims (RFC 7519), judged
 * as RFC 8725 has it. The order of checks: size, form, header, key, signature, claims. Nothing of a
 * payload is looked at before its signature has been found good, and nothing that a token brings
 * along is taken for a key.
 *
 * Which key: the one of the token's kid; without a kid, the only one for the token's algorithm.
 * The key is bound to an algorithm, and the token's must be that one.
 *
 * Ownership: rules and what they point to are the caller's and constant while they are used. A
 * struct jwt is some 12 KiB, for a worker to have one of; what is found in there is good until it
 * is used for the next token.
 * Threads: rules for any; a struct jwt belongs to one. OpenSSL's memory is the thread's.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/crypto/jws_json.h"
#include "core/crypto/jwt_key.h"

/* What may be wrong with a token: X(id, label). */
#define JWT_FAULTS(X)                                                                              \
	X(MISSING, "jwt_missing")                                                                  \
	X(TOO_LARGE, "jwt_too_large")                                                              \
	X(FORMAT, "jwt_format")                                                                    \
	X(MALFORMED, "jwt_malformed")                                                              \
	X(ALG, "jwt_alg")                                                                          \
	X(CRIT, "jwt_crit")                                                                        \
	X(KID, "jwt_kid")                                                                          \
	X(SIGNATURE, "jwt_signature")                                                              \
	X(TYPE, "jwt_type")                                                                        \
	X(CLAIM, "jwt_claim")                                                                      \
	X(EXPIRED, "jwt_expired")                                                                  \
	X(NOT_YET_VALID, "jwt_not_yet_valid")                                                      \
	X(ISSUER, "jwt_issuer")                                                                    \
	X(AUDIENCE, "jwt_audience")                                                                \
	X(SCOPE, "jwt_scope")                                                                      \
	X(OVERLOAD, "jwt_overload")

enum jwt_fault {
	JWT_FAULT_NONE,
#define X(id, label) JWT_FAULT_##id,
	JWT_FAULTS(X)
#undef X
		JWT_N_FAULTS
};

/* Of JWT_FAULT_NONE: "none". */
struct slice jwt_fault_label(enum jwt_fault fault);

enum {
	JWT_TOKEN_MAX = 8192, /* Bytes of a token. */
	JWT_SKEW_MAX_S = 30,  /* How far the issuer's clock may be from ours; the default, too. */
	JWT_CLAIMS_MAX = 256, /* Members of a payload, those of inner objects included. */
	JWT_HEADER_MAX = 32,  /* Members of a header: they are compared before it is trusted. */
};

#define JWT_NO_EXPIRY INT64_MAX

struct jwt_rules {
	const struct jwt_key *const *keys;
	uint32_t n_keys;
	const struct slice *issuers; /* Of the token's iss, byte by byte. None: any. */
	uint32_t n_issuers;
	const struct slice *audiences; /* One of them in the token's aud. None: any. */
	uint32_t n_audiences;
	struct slice type; /* The token's typ: "JWT", "at+jwt". Empty: any. */
	uint32_t skew_s;   /* JWT_SKEW_MAX_S at most. */
	bool exp_optional; /* A token may be good for ever. */
};

struct jwt {
	int64_t exp_s; /* Seconds since 1970, or JWT_NO_EXPIRY. */
	struct jws_json claims;
	struct jws_json_member members[JWT_CLAIMS_MAX]; /* Private, as the next. */
	char bytes[JWT_TOKEN_MAX];
};

/* Can each token be told whose it is? Off the workers: 0, or -EINVAL and why[]. */
GW_MUST_USE int jwt_rules_check(const struct jwt_rules *rules, char why[JWT_WHY_MAX]);

/*
 * The token in the value of an Authorization field (RFC 6750 2.1). JWT_FAULT_NONE; or
 * JWT_FAULT_MISSING when the scheme is another, or there is not exactly one.
 */
GW_MUST_USE enum jwt_fault jwt_bearer(struct slice field, struct slice *ret_token);

/*
 * Judge a token at 'now_s', in seconds since 1970. With JWT_FAULT_NONE *ret_jwt is filled; with any
 * other it is in no state to be read. JWT_FAULT_OVERLOAD: OpenSSL got no memory, nothing is known.
 * JWT_FAULT_SCOPE never: see below.
 */
GW_MUST_USE enum jwt_fault jwt_verify(const struct jwt_rules *rules, struct slice token,
				      int64_t now_s, struct jwt *ret_jwt);

/* --- What a good token says. ------------------------------------------------------------------- */

static inline struct jws_json_value jwt_claim(const struct jwt *jwt, struct slice name)
{
	return jws_json_find(&jwt->claims, name);
}

/*
 * A claim as the value of a header field: a string, a number or a boolean as it is, an array of
 * strings with commas between. 0; -ENOENT when there is none; or -EINVAL when it is of another
 * kind, or would not be one value: a control character, a comma inside an element, blanks at the
 * ends. What was written is to be taken back then. Too little room is the writer's mark.
 */
GW_MUST_USE int jwt_put_claim(struct writer *to, const struct jwt *jwt, struct slice name);

/*
 * Is it among what the token allows? In "scope", "scp" or "scopes": words in a string (RFC 8693
 * 4.2), or an array of strings. An empty one never is. If not, JWT_FAULT_SCOPE.
 */
bool jwt_has_scope(const struct jwt *jwt, struct slice scope);
