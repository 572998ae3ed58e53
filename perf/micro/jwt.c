/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwt.c - what it costs to verify a token, by its algorithm, and to know it already.
 *
 * usage: micro_jwt [MILLISECONDS]
 *
 * The keys, and the tokens signed with them, are fixed: those of RFC 7515 A.1 to A.3 and an Ed25519
 * key of RFC 8037 A.1. Runs each for so long, twice, and prints the second: microseconds per
 * verification, all of it (base64url, JSON, key, signature, claims); nanoseconds per hit of the
 * cache, its hash included. Then nanoseconds per SHA-256 of an API key: with what a worker keeps for
 * it (digest.h), and with that made for each. One thread, OpenSSL's memory out of a worker's pool.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/crypto/crypto_pool.h"
#include "core/crypto/jwt.h"
#include "core/crypto/jwt_cache.h"

enum { NOW = 1300819000 };

#define CLAIMS                                                                                     \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0" \
	"cnVlfQ"

static const struct {
	const char *name, *jwk, *token;
} cases[] = {
	{ "RS256",
	  "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
	  "wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_"
	  "YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
	  "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAc"
	  "o9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"}",
	  "eyJhbGciOiJSUzI1NiJ9." CLAIMS
	  ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_"
	  "lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLI"
	  "ARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1p"
	  "hCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw" },
	{ "ES256",
	  "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	  "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
	  "eyJhbGciOiJFUzI1NiJ9." CLAIMS
	  ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q" },
	{ "EdDSA",
	  "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
	  "eyJhbGciOiJFZERTQSJ9." CLAIMS
	  "._vSpFAYzQd76KTga_fKXdhrh3C0FWu4LvjqsxWd4NRyBOrKTdBeh_PkyRQtFmRgGKgdW5upgieZM67Gbz4AtAA" },
	{ "HS256",
	  "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4h"
	  "cgUuTwjAzZr1Z9CAow\"}",
	  "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." CLAIMS
	  ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" },
};

static uint64_t run_ns;

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void fail(const char *name, const char *what)
{
	(void)fprintf(stderr, "%s: %s\n", name, what);
	exit(1);
}

static struct jwt_key *read_key(size_t i)
{
	static const struct jwt_key_options nothing;
	struct jwt_key *key = NULL;
	char why[JWT_WHY_MAX] = "no memory";

	if (jwt_key_read_jwk(slice_of(cases[i].jwk), &nothing, why, &key) < 0)
		fail(cases[i].name, why);
	return key;
}

/* Nanoseconds for one. */
static double verify(const char *name, const struct jwt_key *key, struct slice token)
{
	static struct jwt jwt;
	struct jwt_rules rules = { .keys = &key, .n_keys = 1, .skew_s = JWT_SKEW_MAX_S };
	uint64_t begun_ns = now_ns(), took_ns, n = 0;

	do {
		for (int i = 0; i < 16; i++, n++)
			if (jwt_verify(&rules, token, NOW, &jwt) != JWT_FAULT_NONE)
				fail(name, "the token is not good");
		took_ns = now_ns() - begun_ns;
	} while (took_ns < run_ns);
	return (double)took_ns / (double)n;
}

static double hit(const char *name, struct slice token, struct digest *digest,
		  struct jwt_cache *cache)
{
	struct jwt_cache_verdict verdict = { .exp_s = NOW + 60, .value = SLICE("joe") };
	struct jwt_cache_key key;
	uint64_t begun_ns = now_ns(), took_ns, n = 0;

	do {
		for (int i = 0; i < 64; i++, n++) {
			if (jwt_cache_key(digest, 1, token, &key) < 0)
				fail(name, "no memory");
			if (!jwt_cache_find(cache, &key, NOW, &verdict))
				jwt_cache_put(cache, &key, NOW, &verdict);
		}
		took_ns = now_ns() - begun_ns;
	} while (took_ns < run_ns);
	return (double)took_ns / (double)n;
}

/* By what is kept; or, with 'anew', by what is made for each and given up again. */
static double hash(struct digest *kept, bool anew)
{
	struct slice key = SLICE("0123456789abcdef0123456789abcdef");
	uint64_t begun_ns = now_ns(), took_ns, n = 0;
	uint8_t sha256[DIGEST_SHA256];

	do {
		for (int i = 0; i < 64; i++, n++) {
			struct digest *digest = kept;

			if ((anew && digest_create(&digest) < 0) ||
			    digest_sha256(digest, key, SLICE(""), sha256) < 0)
				fail("hash", "no memory");
			if (anew)
				digest_free(digest);
		}
		took_ns = now_ns() - begun_ns;
	} while (took_ns < run_ns);
	return (double)took_ns / (double)n;
}

int main(int argc, char **argv)
{
	struct jwt_key *keys[ARRAY_SIZE(cases)];
	struct crypto_pool *pool;
	struct jwt_cache *cache;
	struct digest *digest;

	run_ns = (argc > 1 ? strtoull(argv[1], NULL, 10) : 500) * 1000000u;
	if (crypto_pool_install() < 0 || jwt_cache_create(4096, 1024, &cache) < 0 ||
	    digest_create(&digest) < 0)
		fail("start", "no memory");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		keys[i] = read_key(i);
	if (crypto_pool_attach(1 << 20, &pool) < 0)
		fail("start", "no memory");
	(void)printf("token  bytes  verify us  hit ns\n");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct slice token = slice_of(cases[i].token);
		const char *name = cases[i].name;

		(void)verify(name, keys[i], token);
		(void)hit(name, token, digest, cache);
		(void)printf("%s  %5zu  %9.2f  %6.0f\n", name, token.len,
			     verify(name, keys[i], token) / 1000, hit(name, token, digest, cache));
	}
	(void)printf("key of 32 bytes: %.0f ns; with means of its own %.0f\n", hash(digest, false),
		     hash(digest, true));
	return 0;
}
