/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens and what they are refused for; J01 and so on are the rows of the threat table. */
#include "tests/unit/core/crypto/tokens.c"

#include "core/crypto/jwt.c"

enum { NOW = 1700000000, ES = 0, RS, HS, OTHER, NAMELESS, N_KEYS };

#define PAYLOAD "{\"iss\":\"https://a.test\",\"aud\":\"api\",\"exp\":1700000600}"

static const struct jwt_key *keys[N_KEYS];
static const struct slice issuers[] = { SLICE_INIT("https://a.test"),
					SLICE_INIT("https://b.test") };
static const struct slice audiences[] = { SLICE_INIT("api"), SLICE_INIT("https://api.test") };
static struct jwt_rules rules;
static struct jwt *jwt;

static int make_keys(void **state)
{
	(void)state;
	keys[ES] = jt_key(JWT_ES256, jt_pair(JWT_ES256), "es", "");
	keys[RS] = jt_key(JWT_RS256, jt_pair(JWT_RS256), "rs", "");
	keys[HS] = jt_key(JWT_HS256, jt_pair(JWT_HS256), "hs", "");
	keys[OTHER] = jt_key(JWT_EdDSA, jt_pair(JWT_EdDSA), "ed", "https://b.test");
	keys[NAMELESS] = jt_key(JWT_PS256, jt_pair(JWT_PS256), "", "");
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	for (int i = 0; i < N_KEYS; i++)
		jwt_key_free((struct jwt_key *)(uintptr_t)keys[i]);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	rules = (struct jwt_rules){
		.keys = keys,
		.n_keys = N_KEYS,
		.issuers = issuers,
		.n_issuers = ARRAY_SIZE(issuers),
		.audiences = audiences,
		.n_audiences = ARRAY_SIZE(audiences),
		.skew_s = JWT_SKEW_MAX_S,
	};
	jwt = malloc(sizeof(*jwt));
	assert_non_null(jwt);
	memset(jwt, 0xa5, sizeof(*jwt));
	return 0;
}

static int end(void **state)
{
	(void)state;
	free(jwt);
	return 0;
}

/* In a block of its very size, so that a look beyond is seen. */
static enum jwt_fault verify_at(struct slice token, int64_t now_s)
{
	char *block = malloc(token.len + !token.len);
	enum jwt_fault fault;

	assert_non_null(block);
	if (token.len)
		memcpy(block, token.ptr, token.len);
	fault = jwt_verify(&rules, slice_make(block, token.len), now_s, jwt);
	free(block);
	return fault;
}

static void expect_at(struct slice token, int64_t now_s, const char *want)
{
	enum jwt_fault fault = verify_at(token, now_s);

	if (!slice_eq(jwt_fault_label(fault), slice_of(want)))
		fail_msg("%.*s: %.*s where %s is wanted", SLICE_ARG(token),
			 SLICE_ARG(jwt_fault_label(fault)), want);
}

static void expect(struct slice token, const char *want)
{
	expect_at(token, NOW, want);
}

/* A header or a payload in a token that is signed well. */
static void expect_header(const char *header, const char *want)
{
	expect(jt_token(JWT_ES256, jt_pair(JWT_ES256), header, PAYLOAD), want);
}

static void expect_claims(const char *payload, const char *want)
{
	expect(jt_token(JWT_ES256, jt_pair(JWT_ES256), "{\"alg\":\"ES256\",\"kid\":\"es\"}",
			payload),
	       want);
}

static struct slice good_token(void)
{
	return jt_token(JWT_ES256, jt_pair(JWT_ES256), "{\"alg\":\"ES256\",\"kid\":\"es\"}",
			PAYLOAD);
}

static void good_tokens_are_taken(void **state)
{
	(void)state;
	expect(good_token(), "none");
	assert_int_equal(jwt->exp_s, NOW + 600);
	assert_true(jws_json_equals(jwt_claim(jwt, SLICE("iss")), SLICE("https://a.test")));
	expect(jt_token(JWT_RS256, jt_pair(JWT_RS256),
			"{\"typ\":\"JWT\",\"alg\":\"RS256\","
			"\"kid\":\"rs\"}",
			PAYLOAD),
	       "none");
	expect(jt_token(JWT_HS256, jt_pair(JWT_HS256), "{\"alg\":\"HS256\",\"kid\":\"hs\"}",
			PAYLOAD),
	       "none");
	expect(jt_token(JWT_EdDSA, jt_pair(JWT_EdDSA), "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}",
			"{\"iss\":\"https://b.test\",\"aud\":\"api\",\"exp\":1700000600}"),
	       "none");
	expect_header("{\"\\u0061lg\":\"ES\\u003256\",\"kid\":\"\\u0065s\"}", "none");
}

static void every_algorithm_is_taken(void **state)
{
	(void)state;
	for (enum jwt_alg alg = JWT_RS256; alg < JWT_N_ALGS; alg++) {
		const struct jwt_key *one = jt_key(alg, jt_pair(alg), "one", "");
		char header[64];

		rules.keys = &one;
		rules.n_keys = 1;
		(void)snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"one\"}",
			       jwt_methods[alg].name);
		expect(jt_token(alg, jt_pair(alg), header, PAYLOAD), "none");
		jwt_key_free((struct jwt_key *)(uintptr_t)one);
	}
}

/* RFC 7515 A.1 and A.3: signed by others. */
static void tokens_of_the_rfc_are_taken(void **state)
{
	static const struct slice jwks[] = {
		SLICE_INIT(
			"{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0"
			"gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}"),
		SLICE_INIT(
			"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9"
			"uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"),
	};
	static const struct slice tokens[] = {
		SLICE_INIT("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiO"
			   "jEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjf"
			   "tJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
		SLICE_INIT("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogI"
			   "mh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOy"
			   "KAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"),
	};
	static const struct jwt_key_options nothing;
	char why[JWT_WHY_MAX];

	(void)state;
	rules.n_audiences = rules.n_issuers = 0;
	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
		const struct jwt_key *const *before = rules.keys;
		const struct jwt_key *one;
		struct jwt_key *key;

		assert_int_equal(jwt_key_read_jwk(jwks[i], &nothing, why, &key), 0);
		one = key;
		rules.keys = &one;
		rules.n_keys = 1;
		expect_at(tokens[i], 1300819379, "none");
		assert_true(jwt->exp_s == 1300819380);
		assert_true(jws_json_equals(jwt_claim(jwt, SLICE("iss")), SLICE("joe")));
		assert_int_equal(jwt_claim(jwt, SLICE("http://example.com/is_root")).kind,
				 JWS_JSON_BOOL);
		expect_at(tokens[i], NOW, "jwt_expired");
		rules.keys = before;
		jwt_key_free(key);
	}
}

/* J01 */
static void fields_hold_one_token(void **state)
{
	static const struct {
		const char *field, *token;
	} cases[] = {
		{ "Bearer a.b.c", "a.b.c" },
		{ "bearer a.b.c", "a.b.c" },
		{ "BEARER   a.b.c", "a.b.c" },
		{ " Bearer a.b.c\t", "a.b.c" },
		{ "", NULL },
		{ "Bearer", NULL },
		{ "Bearer ", NULL },
		{ "a.b.c", NULL },
		{ "Basic a.b.c", NULL },
		{ "Bearera.b.c", NULL },
		{ "Bearer:a.b.c", NULL },
		{ "Bearer a.b.c d.e.f", NULL },
		{ "Bearer a.b.c\td", NULL },
		{ "Bearer a.b.c, Bearer d.e.f", NULL },
		{ "Bearer a.b.c,d.e.f", NULL },
		{ "Token Bearer a.b.c", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct slice token = { 0 };
		enum jwt_fault fault = jwt_bearer(slice_of(cases[i].field), &token);

		if (fault != (cases[i].token ? JWT_FAULT_NONE : JWT_FAULT_MISSING) ||
		    !slice_eq(token, slice_of(cases[i].token)))
			fail_msg("'%s': %d", cases[i].field, fault);
	}
	expect(SLICE(""), "jwt_missing");
}

/* J02 */
static void the_algorithm_is_known(void **state)
{
	static const char *const headers[] = {
		"{\"alg\":\"none\",\"kid\":\"es\"}",
		"{\"alg\":\"nOnE\",\"kid\":\"es\"}",
		"{\"alg\":\"\",\"kid\":\"es\"}",
		"{\"kid\":\"es\"}",
		"{\"alg\":null,\"kid\":\"es\"}",
		"{\"alg\":[\"ES256\"],\"kid\":\"es\"}",
		"{\"alg\":256,\"kid\":\"es\"}",
		"{\"alg\":\"es256\",\"kid\":\"es\"}",
		"{\"alg\":\"ES256 \",\"kid\":\"es\"}",
		"{\"alg\":\"HS512\",\"kid\":\"es\"}",
		"{\"alg\":\"none\"}",
		"{}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		expect_header(headers[i], "jwt_alg");
		expect(jt_join(slice_of(headers[i]), SLICE(PAYLOAD), SLICE("x")), "jwt_alg");
	}
	/* The usual form, with no signature at all. */
	expect(jt_join(SLICE("{\"alg\":\"none\"}"), SLICE(PAYLOAD), SLICE("")), "jwt_malformed");
}

/* J03: the public key, which everybody has, as the secret of an HMAC. */
static void public_keys_are_no_secrets(void **state)
{
	static const enum jwt_alg algs[] = { JWT_RS256, JWT_ES256 };
	static const char *const kids[] = { "rs", "es" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(algs); i++) {
		EVP_PKEY *pair = jt_pair(algs[i]);
		unsigned char *der = NULL;
		int der_len = i2d_PUBKEY(pair, &der);
		struct slice pem = jt_pem(pair);
		struct slice secrets[4] = { pem, slice_take(pem, pem.len - 1),
					    slice_make(der, (size_t)der_len),
					    jt_jwk(algs[i], pair, "") };

		for (size_t s = 0; s < ARRAY_SIZE(secrets); s++) {
			EVP_PKEY *secret = jt_secret(secrets[s].ptr, secrets[s].len);
			char header[64];

			(void)snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%s\"}",
				       kids[i]);
			expect(jt_token(JWT_HS256, secret, header, PAYLOAD), "jwt_alg");
			rules.n_keys = 2; /* Those two only, so that a kid need not be named. */
			expect(jt_token(JWT_HS256, secret, "{\"alg\":\"HS256\"}", PAYLOAD),
			       "jwt_alg");
			rules.n_keys = N_KEYS;
			EVP_PKEY_free(secret);
		}
		OPENSSL_free(der);
	}
}

/* J04 */
static void a_key_has_one_algorithm(void **state)
{
	(void)state;
	expect(jt_token(JWT_ES256, jt_pair(JWT_ES256), "{\"alg\":\"ES256\",\"kid\":\"rs\"}",
			PAYLOAD),
	       "jwt_alg");
	expect(jt_token(JWT_PS256, jt_pair(JWT_RS256), "{\"alg\":\"PS256\",\"kid\":\"rs\"}",
			PAYLOAD),
	       "jwt_alg");
	expect(jt_token(JWT_RS384, jt_pair(JWT_RS256), "{\"alg\":\"RS384\",\"kid\":\"rs\"}",
			PAYLOAD),
	       "jwt_alg");
	expect(jt_token(JWT_RS256, jt_pair(JWT_RS256), "{\"alg\":\"RS256\",\"kid\":\"hs\"}",
			PAYLOAD),
	       "jwt_alg");
	/* What is said is one thing, what was done another. */
	expect(jt_token(JWT_RS384, jt_pair(JWT_RS256), "{\"alg\":\"RS256\",\"kid\":\"rs\"}",
			PAYLOAD),
	       "jwt_signature");
	expect(jt_token(JWT_PS256, jt_pair(JWT_RS256), "{\"alg\":\"RS256\",\"kid\":\"rs\"}",
			PAYLOAD),
	       "jwt_signature");
}

static struct slice es_token(struct slice signature)
{
	return jt_join(SLICE("{\"alg\":\"ES256\",\"kid\":\"es\"}"), SLICE(PAYLOAD), signature);
}

/* J05; test_jwt_signature.c has the rest of them. */
static void odd_signatures_are_refused(void **state)
{
	static const uint8_t order[] = {
		0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,    0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
		0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
	};
	static const uint8_t der[] = { 0x30, 6, 2, 1, 1, 2, 1, 1 };
	uint8_t raw[66] = { 0 };

	(void)state;
	expect(es_token(slice_make(raw, 64)), "jwt_signature");
	memset(raw, 1, sizeof(raw));
	expect(es_token(slice_make(raw, 64)), "jwt_signature");
	expect(es_token(slice_make(raw, 63)), "jwt_signature");
	expect(es_token(slice_make(raw, 65)), "jwt_signature");
	memset(raw, 0, 32);
	expect(es_token(slice_make(raw, 64)), "jwt_signature");
	memset(raw, 1, 32);
	memset(raw + 32, 0, 32);
	expect(es_token(slice_make(raw, 64)), "jwt_signature");
	memcpy(raw, order, 32);
	memcpy(raw + 32, order, 32);
	expect(es_token(slice_make(raw, 64)), "jwt_signature");
	expect(es_token(slice_make(der, sizeof(der))), "jwt_signature");
}

/* J07: of a good token of each algorithm, no other letter at any place makes another good one. */
static void each_letter_counts(void **state)
{
	static const char others[] = "AQgw-_=.+/ ";
	struct slice good = good_token();
	char text[1024];

	(void)state;
	for (size_t at = 0; at < good.len; at++) {
		for (size_t i = 0; i < sizeof(others) + 8; i++) { /* The NUL, too. */
			memcpy(text, good.ptr, good.len);
			if (i < sizeof(others))
				text[at] = others[i];
			else
				text[at] ^= (char)(1 << (i - sizeof(others)));
			if (text[at] != good.ptr[at])
				assert_int_not_equal(verify_at(slice_make(text, good.len), NOW),
						     JWT_FAULT_NONE);
		}
	}
}

static void each_length_counts(void **state)
{
	struct slice good = good_token();
	size_t dot = slice_find_last(good, '.');

	(void)state;
	for (size_t len = 1; len < good.len; len++) {
		enum jwt_fault fault = verify_at(slice_take(good, len), NOW);

		assert_true(fault == JWT_FAULT_MALFORMED || fault == JWT_FAULT_SIGNATURE);
		assert_true(fault == JWT_FAULT_MALFORMED || len > dot + 1);
	}
	for (size_t n = 1; n < good.len; n++)
		assert_int_not_equal(verify_at(slice_drop(good, n), NOW), JWT_FAULT_NONE);
}

static struct slice with(const char *before, struct slice token, const char *after)
{
	static char text[2048];
	struct writer w = writer_make(text, sizeof(text));

	writer_put(&w, slice_of(before));
	writer_put(&w, token);
	writer_put(&w, slice_of(after));
	return writer_slice(&w);
}

/* J07: more letters, other letters, and bits that do not count. */
static void base64url_is_strict(void **state)
{
	struct slice good = good_token();
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char text[1024];

	(void)state;
	expect(with("", good, "="), "jwt_malformed");
	expect(with("", good, "=="), "jwt_malformed");
	expect(with("", good, "A"), "jwt_signature");
	expect(with("", good, "\n"), "jwt_malformed");
	expect(with("", good, " "), "jwt_malformed");
	expect(with(" ", good, ""), "jwt_malformed");
	expect(with("", good, "."), "jwt_malformed");
	expect(with(".", good, ""), "jwt_malformed");
	expect(with("", slice_take(good, slice_find_last(good, '.')), "."), "jwt_malformed");
	expect(with("", slice_take(good, slice_find_last(good, '.')), ""), "jwt_malformed");
	expect(SLICE(".."), "jwt_malformed");
	expect(SLICE("a"), "jwt_malformed");
	expect(jt_join(SLICE("{\"alg\":\"ES256\"}"), SLICE(""), SLICE("x")), "jwt_malformed");
	/* Of 64 bytes: two letters at the end, of which the last has four bits too many. */
	memcpy(text, good.ptr, good.len);
	for (const char *c = letters; *c; c++) {
		text[good.len - 1] = *c;
		if (*c != good.ptr[good.len - 1])
			expect(slice_make(text, good.len),
			       (c - letters) % 16 ? "jwt_malformed" : "jwt_signature");
	}
}

/* J08; another's refresh is not seen from here. */
static void the_key_is_known(void **state)
{
	static const char *const kids[] = {
		"\"unknown\"",     "\"../../etc/passwd\"",
		"\"' OR 1=1 --\"", "\"es\\u0000\"",
		"\"\\u0000\"",     "\"\"",
		"\"e\"",           "\"ES\"",
		"\"es \"",
	};
	char header[6000];
	struct writer w = writer_make(header, sizeof(header));

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kids); i++) {
		(void)snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":%s}", kids[i]);
		expect_header(header, "jwt_kid");
	}
	writer_lit(&w, "{\"alg\":\"ES256\",\"kid\":\"");
	memset(w.ptr, 'k', 4096);
	writer_reserve(&w, 4096);
	writer_lit(&w, "\"}\0");
	expect_header(header, "jwt_kid");
	expect_header("{\"alg\":\"ES256\",\"kid\":1}", "jwt_malformed");
	expect_header("{\"alg\":\"ES256\",\"kid\":null}", "jwt_malformed");
	expect_header("{\"alg\":\"ES256\",\"kid\":[\"es\"]}", "jwt_malformed");
}

/* Without a kid: the only key for the algorithm. */
static void a_kid_may_be_missing(void **state)
{
	const struct jwt_key *two[2] = { keys[ES],
					 jt_key(JWT_ES256, jt_pair(JWT_ES256), "es2", "") };

	(void)state;
	expect_header("{\"alg\":\"ES256\"}", "none");
	expect(jt_token(JWT_PS256, jt_pair(JWT_PS256), "{\"alg\":\"PS256\"}", PAYLOAD), "none");
	/* And a key without one is for tokens that name no other, as issuers' tokens do. */
	expect(jt_token(JWT_PS256, jt_pair(JWT_PS256), "{\"alg\":\"PS256\",\"kid\":\"\"}", PAYLOAD),
	       "none");
	expect(jt_token(JWT_PS256, jt_pair(JWT_PS256), "{\"alg\":\"PS256\",\"kid\":\"ps\"}",
			PAYLOAD),
	       "none");
	rules.keys = two;
	rules.n_keys = 2;
	expect_header("{\"alg\":\"ES256\"}", "jwt_kid");
	expect_header("{\"alg\":\"ES256\",\"kid\":\"es2\"}", "none");
	rules.n_keys = 0;
	expect_header("{\"alg\":\"ES256\",\"kid\":\"es\"}", "jwt_kid");
	expect_header("{\"alg\":\"ES256\"}", "jwt_alg");
	jwt_key_free((struct jwt_key *)(uintptr_t)two[1]);
}

static void keys_without_an_id_stand_alone(void **state)
{
	const struct jwt_key *two[2] = { jt_key(JWT_ES256, jt_pair(JWT_ES256), "", ""),
					 jt_key(JWT_ES256, jt_pair(JWT_ES256), "", "") };
	char why[JWT_WHY_MAX];

	(void)state;
	rules.keys = two;
	rules.n_keys = 2;
	assert_int_equal(jwt_rules_check(&rules, why), -EINVAL);
	assert_string_equal(why, "keys: 0 and 1 have no kid and the same alg: no token could say "
				 "which it means");
	for (int i = 0; i < 2; i++)
		jwt_key_free((struct jwt_key *)(uintptr_t)two[i]);
}

/* One id for two kinds of keys (RFC 7517 4.5), in either order; and what may not be. */
static void kinds_may_share_an_id(void **state)
{
	const struct jwt_key *shared[3] = { jt_key(JWT_ES256, jt_pair(JWT_ES256), "es", ""),
					    jt_key(JWT_RS256, jt_pair(JWT_RS256), "es", ""),
					    jt_key(JWT_ES256, jt_pair(JWT_ES256), "es", "") };
	char why[JWT_WHY_MAX] = "";

	(void)state;
	for (int i = 0; i < 2; i++) {
		rules.keys = shared + i;
		rules.n_keys = 2;
		expect_header("{\"alg\":\"ES256\",\"kid\":\"es\"}", "none");
		expect(jt_token(JWT_RS256, jt_pair(JWT_RS256), "{\"alg\":\"RS256\",\"kid\":\"es\"}",
				PAYLOAD),
		       "none");
		expect_header("{\"alg\":\"PS256\",\"kid\":\"es\"}", "jwt_alg");
		assert_int_equal(jwt_rules_check(&rules, why), 0);
	}
	rules.keys = shared;
	rules.n_keys = 3;
	assert_int_equal(jwt_rules_check(&rules, why), -EINVAL);
	assert_non_null(strstr(why, "0 and 2"));
	rules.n_keys = 2;
	rules.skew_s = JWT_SKEW_MAX_S + 1;
	assert_int_equal(jwt_rules_check(&rules, why), -EINVAL);
	for (int i = 0; i < 3; i++)
		jwt_key_free((struct jwt_key *)(uintptr_t)shared[i]);
}

/* J09: a key of the sender's own, in a token that is signed with it. */
static void keys_of_tokens_are_ignored(void **state)
{
	EVP_PKEY *own = EVP_EC_gen("P-256");
	struct slice jwk = jt_jwk(JWT_ES256, own, ",\"kid\":\"es\"");
	char header[1024];

	(void)state;
	(void)snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"es\",\"jwk\":%.*s}",
		       SLICE_ARG(jwk));
	expect(jt_token(JWT_ES256, own, header, PAYLOAD), "jwt_signature");
	expect_header(header, "none");
	(void)snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"own\",\"jwk\":%.*s}",
		       SLICE_ARG(jwk));
	expect(jt_token(JWT_ES256, own, header, PAYLOAD), "jwt_kid");
	expect(jt_token(JWT_ES256, own,
			"{\"alg\":\"ES256\",\"jku\":\"https://evil.test/jwks\","
			"\"x5u\":\"https://evil.test/x5u\",\"x5c\":[\"AA==\"]}",
			PAYLOAD),
	       "jwt_signature");
	expect_header("{\"alg\":\"ES256\",\"kid\":\"es\",\"jku\":\"https://evil.test/jwks\"}",
		      "none");
	expect_header("{\"alg\":\"ES256\",\"kid\":\"es\",\"x5u\":\"x\",\"x5c\":[\"AA==\"]}",
		      "none");
	EVP_PKEY_free(own);
}

/* J10, J11 */
static void extensions_are_refused(void **state)
{
	(void)state;
	expect_header("{\"alg\":\"ES256\",\"kid\":\"es\",\"crit\":[\"exp\"],\"exp\":1}",
		      "jwt_crit");
	expect_header("{\"alg\":\"ES256\",\"kid\":\"es\",\"crit\":[\"b64\"],\"b64\":true}",
		      "jwt_crit");
	expect_header("{\"alg\":\"ES256\",\"kid\":\"es\",\"crit\":[]}", "jwt_crit");
	expect_header("{\"alg\":\"ES256\",\"kid\":\"es\",\"crit\":null}", "jwt_crit");
	expect_header("{\"alg\":\"ES256\",\"kid\":\"es\",\"cr\\u0069t\":[\"x\"]}", "jwt_crit");
	expect_header("{\"alg\":\"ES256\",\"kid\":\"es\",\"b64\":false}", "jwt_crit");
	expect_header("{\"alg\":\"ES256\",\"kid\":\"es\",\"b64\":true}", "jwt_crit");
	expect_header("{\"alg\":\"ES256\",\"kid\":\"es\",\"unknown\":1}", "none");
}

static void expect_claim(const char *claim, const char *want)
{
	char payload[256];

	(void)snprintf(payload, sizeof(payload), "{\"iss\":\"https://a.test\",\"aud\":\"api\"%s%s}",
		       *claim ? "," : "", claim);
	expect_claims(payload, want);
}

/* J12, at the very second */
static void tokens_expire(void **state)
{
	struct slice good = good_token();

	(void)state;
	expect_at(good, NOW + 600 + 29, "none");
	expect_at(good, NOW + 600 + 30, "jwt_expired");
	expect_at(good, INT64_C(1) << 53, "jwt_expired");
	rules.skew_s = 0;
	expect_at(good, NOW + 599, "none");
	expect_at(good, NOW + 600, "jwt_expired");
	expect_claim("\"exp\":1699999999", "jwt_expired");
	expect_claim("\"exp\":0", "jwt_expired");
	expect_claim("\"exp\":1700000000.5", "jwt_expired");
	expect_claim("\"exp\":1700000001.5", "none");
	expect_claim("\"exp\":9007199254740992", "none");
}

static void expiry_is_a_date(void **state)
{
	static const char *const bad[] = {
		"\"exp\":1e400",          "\"exp\":-1",
		"\"exp\":\"1700000600\"", "\"exp\":9223372036854775808",
		"\"exp\":null",           "\"exp\":true",
		"\"exp\":[1700000600]",   "\"exp\":{}",
	};

	(void)state;
	expect_claim("", "jwt_claim");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		expect_claim(bad[i], "jwt_claim");
	rules.exp_optional = true;
	expect_claim("", "none");
	assert_true(jwt->exp_s == JWT_NO_EXPIRY);
	expect_claim("\"exp\":1699999900", "jwt_expired");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		expect_claim(bad[i], "jwt_claim");
}

/* J13 */
static void tokens_begin(void **state)
{
	static const char *const names[] = { "nbf", "iat" };
	static const struct {
		const char *value, *want;
	} cases[] = {
		{ "1699999999", "none" },
		{ "1700000030", "none" },
		{ "1700000031", "jwt_not_yet_valid" },
		{ "9007199254740992", "jwt_not_yet_valid" },
		{ "1e400", "jwt_claim" },
		{ "-1", "jwt_claim" },
		{ "\"1699999999\"", "jwt_claim" },
		{ "9223372036854775808", "jwt_claim" },
		{ "null", "jwt_claim" },
	};
	char claim[128];

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			(void)snprintf(claim, sizeof(claim), "\"exp\":1700000600,\"%s\":%s",
				       names[n], cases[i].value);
			expect_claim(claim, cases[i].want);
		}
	}
	rules.skew_s = 0;
	expect_claim("\"exp\":1700000600,\"nbf\":1700000000", "none");
	expect_claim("\"exp\":1700000600,\"nbf\":1700000001", "jwt_not_yet_valid");
}

/* J14 */
static void issuers_are_known(void **state)
{
	static const char of_a[] =
		"{\"iss\":\"https://a.test\",\"aud\":\"api\",\"exp\":1700000600}";
	static const char of_b[] =
		"{\"iss\":\"https://b.test\",\"aud\":\"api\",\"exp\":1700000600}";
	static const char header[] = "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}";

	(void)state;
	expect_claims(of_b, "none");
	expect_claims("{\"iss\":\"https://c.test\",\"aud\":\"api\",\"exp\":1700000600}",
		      "jwt_issuer");
	expect_claims("{\"iss\":\"https://a.test/\",\"aud\":\"api\",\"exp\":1700000600}",
		      "jwt_issuer");
	expect_claims("{\"iss\":[\"https://a.test\"],\"aud\":\"api\",\"exp\":1700000600}",
		      "jwt_issuer");
	expect_claims("{\"aud\":\"api\",\"exp\":1700000600}", "jwt_issuer");
	expect_claims("{\"iss\":\"https:\\/\\/a.test\",\"aud\":\"api\",\"exp\":1700000600}",
		      "none");
	/* A key of b's signs for b only. */
	expect(jt_token(JWT_EdDSA, jt_pair(JWT_EdDSA), header, of_b), "none");
	expect(jt_token(JWT_EdDSA, jt_pair(JWT_EdDSA), header, of_a), "jwt_issuer");
	rules.n_issuers = 0;
	expect(jt_token(JWT_EdDSA, jt_pair(JWT_EdDSA), header, of_a), "jwt_issuer");
	expect_claims("{\"aud\":\"api\",\"exp\":1700000600}", "none");
	rules.n_issuers = 1; /* Only a's; the key is b's. */
	expect(jt_token(JWT_EdDSA, jt_pair(JWT_EdDSA), header, of_b), "jwt_issuer");
}

/* J15, J24 */
static void audiences_are_ours(void **state)
{
	static const struct {
		const char *aud, *want;
	} cases[] = {
		{ ",\"aud\":\"api\"", "none" },
		{ ",\"aud\":\"https://api.test\"", "none" },
		{ ",\"aud\":[\"other\",\"api\"]", "none" },
		{ ",\"aud\":[\"\\u0061pi\"]", "none" },
		{ "", "jwt_audience" },
		{ ",\"aud\":\"other\"", "jwt_audience" }, /* Another route's. */
		{ ",\"aud\":\"API\"", "jwt_audience" },
		{ ",\"aud\":\"\"", "jwt_audience" },
		{ ",\"aud\":\"api other\"", "jwt_audience" },
		{ ",\"aud\":[\"other\",\"another\"]", "jwt_audience" },
		{ ",\"aud\":[]", "jwt_audience" },
		{ ",\"aud\":[[\"api\"]]", "jwt_audience" },
		{ ",\"aud\":[\"api\",1]", "jwt_audience" },
		{ ",\"aud\":{\"api\":\"api\"}", "jwt_audience" },
		{ ",\"aud\":null", "jwt_audience" },
		{ ",\"x\":{\"aud\":\"api\"}", "jwt_audience" },
	};
	char payload[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)snprintf(payload, sizeof(payload),
			       "{\"iss\":\"https://a.test\",\"exp\":1700000600%s}", cases[i].aud);
		expect_claims(payload, cases[i].want);
	}
	rules.n_audiences = 0;
	expect_claims("{\"iss\":\"https://a.test\",\"exp\":1700000600}", "none");
	expect_claims("{\"iss\":\"https://a.test\",\"exp\":1700000600,\"aud\":\"other\"}", "none");
}

/* J16 */
static void types_are_as_expected(void **state)
{
	static const struct {
		const char *typ, *wanted, *want;
	} cases[] = {
		{ ",\"typ\":\"at+jwt\"", "at+jwt", "none" },
		{ ",\"typ\":\"application/at+jwt\"", "at+jwt", "none" },
		{ ",\"typ\":\"AT+JWT\"", "at+jwt", "none" },
		{ ",\"typ\":\"at+jwt\"", "application/at+jwt", "none" },
		{ ",\"typ\":\"JWT\"", "JWT", "none" },
		{ ",\"typ\":\"JWT\"", "at+jwt", "jwt_type" },
		{ ",\"typ\":\"at+jwt\"", "JWT", "jwt_type" },
		{ ",\"typ\":\"\"", "JWT", "jwt_type" },
		{ ",\"typ\":\"application/\"", "JWT", "jwt_type" },
		{ ",\"typ\":[\"JWT\"]", "JWT", "jwt_type" },
		{ "", "JWT", "jwt_type" },
		{ ",\"typ\":\"at+jwtaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
		  "at+jwt", "jwt_type" },
		{ "", "", "none" },
		{ ",\"typ\":\"anything\"", "", "none" },
	};
	char header[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		rules.type = slice_of(cases[i].wanted);
		(void)snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"es\"%s}",
			       cases[i].typ);
		expect_header(header, cases[i].want);
	}
}

/* J17 */
static void names_are_not_repeated(void **state)
{
	(void)state;
	expect_header("{\"alg\":\"ES256\",\"alg\":\"ES256\",\"kid\":\"es\"}", "jwt_malformed");
	expect_header("{\"alg\":\"none\",\"\\u0061lg\":\"ES256\",\"kid\":\"es\"}", "jwt_malformed");
	expect_header("{\"alg\":\"ES256\",\"kid\":\"es\",\"x\":{\"y\":1,\"y\":1}}",
		      "jwt_malformed");
	expect_claims("{\"iss\":\"https://a.test\",\"aud\":\"api\",\"exp\":1700000600,"
		      "\"exp\":1700000600}",
		      "jwt_malformed");
	expect_claims("{\"iss\":\"https://a.test\",\"aud\":\"api\",\"exp\":1700000600,"
		      "\"x\":[{\"y\":1,\"\\u0079\":1}]}",
		      "jwt_malformed");
}

/* J18 */
static void texts_are_json(void **state)
{
	static const struct slice bad[] = {
		SLICE_INIT("{\"alg\":\"ES256\",\"kid\":\"es\",\"x\":\"\xc3\"}"),
		SLICE_INIT("{\"alg\":\"ES256\",\"kid\":\"es\",\"x\":\"\xed\xa0\x80\"}"),
		SLICE_INIT("{\"alg\":\"ES256\",\"kid\":\"es\",\"x\":\"\xc0\xaf\"}"),
		SLICE_INIT("{\0\"\0a\0\"\0:\0001\0}\0"),
		SLICE_INIT("\xff\xfe{\0}\0"),
		SLICE_INIT("\xef\xbb\xbf{\"alg\":\"ES256\",\"kid\":\"es\"}"),
		SLICE_INIT("{\"alg\":\"ES256\",\"kid\":\"es\"}x"),
		SLICE_INIT("{\"alg\":\"ES256\",\"kid\":\"es\"}\0"),
		SLICE_INIT("{\"alg\":\"ES256\",\"kid\":\"es\"}{}"),
		SLICE_INIT("[{\"alg\":\"ES256\",\"kid\":\"es\"}]"),
		SLICE_INIT("\"ES256\""),
		SLICE_INIT("null"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		expect(jt_join(bad[i], SLICE(PAYLOAD), SLICE("x")), "jwt_malformed");
	expect_claims(PAYLOAD "x", "jwt_malformed");
	expect_claims("\xef\xbb\xbf" PAYLOAD, "jwt_malformed");
	expect_claims("{\"iss\":\"\xc3\"}", "jwt_malformed");
	expect_claims("[]", "jwt_malformed");
	expect_claims("none", "jwt_malformed");
}

static const char *filled(const char *before, char c, size_t n, const char *after)
{
	static char text[20000];
	struct writer w = writer_make(text, sizeof(text));

	writer_put(&w, slice_of(before));
	memset(w.ptr, c, n);
	writer_reserve(&w, n);
	writer_put(&w, slice_of(after));
	writer_char(&w, '\0');
	assert_false(w.overflow);
	return text;
}

/* J19 */
static void sizes_are_bounded(void **state)
{
	static char million[1 << 20];
	struct slice longest;

	(void)state;
	expect_header(filled("{\"alg\":\"ES256\",\"kid\":\"es\",\"x\":", '[', 10000, "}"),
		      "jwt_too_large");
	expect_header(filled("{\"alg\":\"ES256\",\"kid\":\"es\",\"x\":", '[', 4000, "}"),
		      "jwt_too_large");
	expect_header(filled("{\"alg\":\"ES256\",\"kid\":\"es\",\"x\":", '1', 4000, "}"),
		      "jwt_too_large");
	expect_claims(filled("{\"x\":", '[', 4000, "}"), "jwt_too_large");
	memset(million, '1', sizeof(million));
	expect(slice_make(million, sizeof(million)), "jwt_too_large");
	memset(million, 'A', sizeof(million));
	expect(slice_make(million, JWT_TOKEN_MAX + 1), "jwt_too_large");
	expect(slice_make(million, JWT_TOKEN_MAX), "jwt_malformed");

	/* Of 8192 bytes to the last, one is good: as many blanks as there is room for. */
	longest = jt_token(JWT_ES256, jt_pair(JWT_ES256), "{\"alg\":\"ES256\",\"kid\":\"es\"}",
			   filled(PAYLOAD, ' ', 6051 - strlen(PAYLOAD), ""));
	assert_true(longest.len <= JWT_TOKEN_MAX && longest.len > JWT_TOKEN_MAX - 4);
	expect(longest, "none");
}

static void headers_have_few_members(void **state)
{
	char header[2048];
	struct writer w = writer_make(header, sizeof(header));

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		w = writer_make(header, sizeof(header));
		writer_lit(&w, "{\"alg\":\"ES256\",\"kid\":\"es\"");
		for (unsigned i = 2; i < JWT_HEADER_MAX + n; i++) {
			writer_lit(&w, ",\"x");
			writer_u64(&w, i);
			writer_lit(&w, "\":1");
		}
		writer_lit(&w, "}\0");
		expect_header(header, n ? "jwt_too_large" : "none");
	}
}

/* J20, J21 */
static void other_forms_are_refused(void **state)
{
	static const char *const headers[] = {
		"{\"alg\":\"ES256\",\"kid\":\"es\",\"cty\":\"JWT\"}",
		"{\"alg\":\"ES256\",\"kid\":\"es\",\"cty\":\"jwt\"}",
		"{\"alg\":\"ES256\",\"kid\":\"es\",\"cty\":\"application/jwt\"}",
		"{\"alg\":\"ES256\",\"kid\":\"es\",\"zip\":\"DEF\"}",
		"{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\",\"kid\":\"rs\"}",
		"{\"alg\":\"PBES2-HS256+A128KW\",\"enc\":\"A128GCM\",\"p2c\":2147483647}",
		"{\"alg\":\"PBES2-HS256+A128KW\",\"p2s\":\"AA\"}",
		"{\"alg\":\"PBES2-HS256+A128KW\",\"p2c\":2147483647}",
	};
	struct slice good = good_token();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		expect_header(headers[i], "jwt_format");
	expect_header("{\"alg\":\"ES256\",\"kid\":\"es\",\"cty\":\"json\"}", "none");
	expect(SLICE("a.b.c.d.e"), "jwt_format");
	expect(SLICE("eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAA.BBBB.CCCC"), "jwt_format");
	expect(with("", good, ".AAAA.AAAA"), "jwt_format");
	expect(with("", good, ".AAAA"), "jwt_malformed");
	expect(with("", good, ".AAAA.AAAA.AAAA"), "jwt_malformed");
	expect(SLICE("{\"payload\":\"e30\",\"protected\":\"e30\",\"signature\":\"AA\"}"),
	       "jwt_format");
	expect(SLICE("{\"payload\":\"e30\",\"signatures\":[{\"protected\":\"e30\"}]}"),
	       "jwt_format");
}

/* A bad token is told what is wrong with it by the first check only: claims come last. */
static void checks_are_in_order(void **state)
{
	static const char expired[] = "{\"exp\":1}";
	EVP_PKEY *own = EVP_EC_gen("P-256");

	(void)state;
	rules.type = SLICE("at+jwt");
	expect(jt_token(JWT_ES256, own, "{\"alg\":\"ES256\",\"kid\":\"es\"}", expired),
	       "jwt_signature");
	expect(jt_token(JWT_ES256, own, "{\"alg\":\"ES256\",\"kid\":\"es\"}", "no JSON"),
	       "jwt_signature");
	expect(jt_token(JWT_ES256, own, "{\"alg\":\"ES256\",\"kid\":\"?\"}", expired), "jwt_kid");
	expect(jt_token(JWT_ES256, own, "{\"alg\":\"?\",\"kid\":\"?\"}", expired), "jwt_alg");
	expect(jt_token(JWT_ES256, own, "{\"alg\":\"?\",\"kid\":\"?\",\"crit\":[]}", expired),
	       "jwt_crit");
	EVP_PKEY_free(own);
}

/* J06: (r, n - s) is a signature as well: another text for the same token, either verdict is fine.
 * What counts is that the cache tells them apart; see test_jwt_cache.c. */

static void faults_have_their_labels(void **state)
{
	static const char *const labels[] = {
		"none",      "jwt_missing",  "jwt_too_large",     "jwt_format",    "jwt_malformed",
		"jwt_alg",   "jwt_crit",     "jwt_kid",           "jwt_signature", "jwt_type",
		"jwt_claim", "jwt_expired",  "jwt_not_yet_valid", "jwt_issuer",    "jwt_audience",
		"jwt_scope", "jwt_overload",
	};

	(void)state;
	assert_int_equal(ARRAY_SIZE(labels), JWT_N_FAULTS);
	for (enum jwt_fault fault = JWT_FAULT_NONE; fault < JWT_N_FAULTS; fault++)
		assert_true(slice_eq(jwt_fault_label(fault), slice_of(labels[fault])));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(good_tokens_are_taken),
		TEST(every_algorithm_is_taken),
		TEST(tokens_of_the_rfc_are_taken),
		TEST(fields_hold_one_token),
		TEST(the_algorithm_is_known),
		TEST(public_keys_are_no_secrets),
		TEST(a_key_has_one_algorithm),
		TEST(odd_signatures_are_refused),
		TEST(each_letter_counts),
		TEST(each_length_counts),
		TEST(base64url_is_strict),
		TEST(the_key_is_known),
		TEST(a_kid_may_be_missing),
		TEST(keys_without_an_id_stand_alone),
		TEST(kinds_may_share_an_id),
		TEST(keys_of_tokens_are_ignored),
		TEST(extensions_are_refused),
		TEST(tokens_expire),
		TEST(expiry_is_a_date),
		TEST(tokens_begin),
		TEST(issuers_are_known),
		TEST(audiences_are_ours),
		TEST(types_are_as_expected),
		TEST(names_are_not_repeated),
		TEST(texts_are_json),
		TEST(sizes_are_bounded),
		TEST(headers_have_few_members),
		TEST(other_forms_are_refused),
		TEST(checks_are_in_order),
		TEST(faults_have_their_labels),
	};
#undef TEST

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
