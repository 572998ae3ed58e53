/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/crypto/tokens.c"

#include "core/crypto/jwt_cache.c"

enum { NOW = 1700000000, LATER = NOW + 3600 };

static struct jwt_cache *cache;
static struct digest *digest;

static int begin(void **state)
{
	(void)state;
	assert_int_equal(digest_create(&digest), 0);
	return jwt_cache_create(16, 8, &cache);
}

static int end(void **state)
{
	(void)state;
	jwt_cache_free(cache);
	digest_free(digest);
	return 0;
}

static struct jwt_cache_key key_of(const char *token)
{
	struct jwt_cache_key key;

	assert_int_equal(jwt_cache_key(digest, 1, slice_of(token), &key), 0);
	return key;
}

/* Of one set of the good part, as of the bad one: they differ behind what chooses it. */
static struct jwt_cache_key in_set(unsigned set, unsigned n)
{
	struct jwt_cache_key key = { { (uint8_t)(set * JWT_CACHE_WAYS) } };

	key.sha256[31] = (uint8_t)n;
	return key;
}

static void put_at(const struct jwt_cache_key *key, int64_t now_s, enum jwt_fault fault,
		   int64_t exp_s)
{
	struct jwt_cache_verdict verdict = { .fault = fault, .exp_s = exp_s };

	jwt_cache_put(cache, key, now_s, &verdict);
}

static bool has_at(const struct jwt_cache_key *key, int64_t now_s)
{
	struct jwt_cache_verdict verdict;

	return jwt_cache_find(cache, key, now_s, &verdict);
}

static void verdicts_are_kept(void **state)
{
	struct jwt_cache_key good = key_of("good"), bad = key_of("bad"), other = key_of("other");
	struct jwt_cache_verdict verdict = { .exp_s = LATER, .value = SLICE("sub=1") };
	char longest[JWT_CACHE_VALUE_MAX];

	(void)state;
	assert_false(has_at(&good, NOW));
	jwt_cache_put(cache, &good, NOW, &verdict);
	put_at(&bad, NOW, JWT_FAULT_SIGNATURE, 0);

	assert_true(jwt_cache_find(cache, &good, NOW, &verdict));
	assert_int_equal(verdict.fault, JWT_FAULT_NONE);
	assert_true(verdict.exp_s == LATER && slice_eq(verdict.value, SLICE("sub=1")));
	assert_true(jwt_cache_find(cache, &bad, NOW, &verdict));
	assert_int_equal(verdict.fault, JWT_FAULT_SIGNATURE);
	assert_int_equal(verdict.value.len, 0);
	assert_false(has_at(&other, NOW));

	memset(longest, 'v', sizeof(longest));
	verdict =
		(struct jwt_cache_verdict){ .exp_s = LATER, .value = { longest, sizeof(longest) } };
	jwt_cache_put(cache, &other, NOW, &verdict);
	memset(longest, 0, sizeof(longest)); /* It was copied. */
	jwt_cache_put(cache, &good, NOW, &(struct jwt_cache_verdict){ .exp_s = LATER });
	assert_true(jwt_cache_find(cache, &other, NOW, &verdict));
	assert_int_equal(verdict.value.len, sizeof(longest));
	for (size_t i = 0; i < sizeof(longest); i++)
		assert_int_equal(verdict.value.ptr[i], 'v');
	assert_true(jwt_cache_find(cache, &good, NOW, &verdict)); /* Put again, with another. */
	assert_int_equal(verdict.value.len, 0);
}

/* As the definition has it, so that nothing but token and rules counts, and all of both does. */
static void keys_are_of_all_bytes(void **state)
{
	struct jwt_cache_key a = key_of("header.payload.signature"), b;
	char text[] = "header.payload.signature";
	unsigned char bytes[sizeof(uint64_t) + sizeof(text) - 1], want[32];
	uint64_t rules = 1;

	(void)state;
	memcpy(bytes, &rules, sizeof(rules));
	memcpy(bytes + sizeof(rules), text, sizeof(text) - 1);
	EVP_Digest(bytes, sizeof(bytes), want, NULL, EVP_sha256(), NULL);
	assert_memory_equal(a.sha256, want, sizeof(want));
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		text[i] ^= 1;
		b = key_of(text);
		assert_memory_not_equal(&a, &b, sizeof(a));
		text[i] ^= 1;
	}
	assert_int_equal(jwt_cache_key(digest, 2, slice_of(text), &b), 0);
	assert_memory_not_equal(&a, &b, sizeof(a));
	b = key_of(text);
	assert_memory_equal(&a, &b, sizeof(a));
}

/* J06: who turns s into n - s makes another token, which is not known. */
static void signatures_are_no_keys(void **state)
{
	static const struct slice header = SLICE_INIT("{\"alg\":\"ES256\"}");
	static const struct slice payload = SLICE_INIT("{\"exp\":1700000600}");
	struct slice signature = jt_sign(JWT_ES256, jt_pair(JWT_ES256), SLICE("x"));
	struct slice token = jt_join(header, payload, signature);
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	BIGNUM *s = BN_bin2bn((const unsigned char *)signature.ptr + 32, 32, NULL);
	unsigned char turned[64];
	struct jwt_cache_key a, b;

	(void)state;
	memcpy(turned, signature.ptr, 32);
	BN_sub(s, EC_GROUP_get0_order(group), s);
	BN_bn2binpad(s, turned + 32, 32);
	assert_int_equal(jwt_cache_key(digest, 1, token, &a), 0);
	assert_int_equal(
		jwt_cache_key(digest, 1, jt_join(header, payload, slice_make(turned, 64)), &b), 0);
	put_at(&a, NOW, JWT_FAULT_NONE, LATER);
	assert_true(has_at(&a, NOW));
	assert_false(has_at(&b, NOW));
	BN_free(s);
	EC_GROUP_free(group);
}

static void entries_expire(void **state)
{
	struct jwt_cache_key lasting = key_of("lasting"), brief = key_of("brief"),
			     bad = key_of("bad"), over = key_of("over"), ever = key_of("ever");

	(void)state;
	put_at(&lasting, NOW, JWT_FAULT_NONE, LATER);
	put_at(&brief, NOW, JWT_FAULT_NONE, NOW + 10);
	put_at(&bad, NOW, JWT_FAULT_EXPIRED, 0);
	put_at(&over, NOW, JWT_FAULT_NONE, NOW); /* Good by the skew only. */
	put_at(&ever, NOW, JWT_FAULT_NONE, JWT_NO_EXPIRY);
	assert_true(has_at(&lasting, NOW + 59) && !has_at(&lasting, NOW + 60));
	assert_true(has_at(&brief, NOW + 9) && !has_at(&brief, NOW + 10));
	assert_true(has_at(&bad, NOW + 59) && !has_at(&bad, NOW + 60));
	assert_true(has_at(&ever, NOW + 59) && !has_at(&ever, NOW + 60));
	assert_false(has_at(&over, NOW));
	assert_false(has_at(&lasting, NOW - 1));           /* The clock was set back. */
	put_at(&lasting, NOW + 60, JWT_FAULT_NONE, LATER); /* Once more. */
	assert_true(has_at(&lasting, NOW + 119) && !has_at(&lasting, NOW + 120));
}

static void passing_faults_are_not_kept(void **state)
{
	struct jwt_cache_key key = key_of("token");

	(void)state;
	for (enum jwt_fault fault = JWT_FAULT_NONE; fault < JWT_N_FAULTS; fault++) {
		bool passing = fault == JWT_FAULT_OVERLOAD || fault == JWT_FAULT_NOT_YET_VALID;

		put_at(&key, NOW, fault, LATER);
		assert_int_equal(has_at(&key, NOW), !passing);
		jwt_cache_flush(cache);
	}
}

static void a_flush_forgets_all(void **state)
{
	struct jwt_cache_key good = key_of("good"), bad = key_of("bad");

	(void)state;
	put_at(&good, NOW, JWT_FAULT_NONE, LATER);
	put_at(&bad, NOW, JWT_FAULT_SIGNATURE, 0);
	jwt_cache_flush(cache);
	assert_false(has_at(&good, NOW));
	assert_false(has_at(&bad, NOW));
}

/* Sixteen good tokens, which fill their part, and any number of bad ones for the same sets. */
static void bad_tokens_evict_no_good_ones(void **state)
{
	struct jwt_cache_key key;

	(void)state;
	for (unsigned set = 0; set < 4; set++) {
		for (unsigned n = 0; n < JWT_CACHE_WAYS; n++) {
			key = in_set(set, n);
			put_at(&key, NOW, JWT_FAULT_NONE, LATER);
		}
	}
	for (unsigned i = 0; i < 10000; i++) {
		char token[16];

		(void)snprintf(token, sizeof(token), "%u", i);
		key = key_of(token);
		put_at(&key, NOW, JWT_FAULT_SIGNATURE, 0);
		key = in_set(i % 4, 100 + i % 100);
		put_at(&key, NOW, JWT_FAULT_MALFORMED, 0);
		assert_true(has_at(&key, NOW));
	}
	for (unsigned set = 0; set < 4; set++) {
		for (unsigned n = 0; n < JWT_CACHE_WAYS; n++) {
			key = in_set(set, n);
			assert_true(has_at(&key, NOW));
		}
	}
}

static unsigned count_bad(void)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < cache->bad.n_entries; i++)
		n += is_live(&cache->bad.entries[i], NOW);
	return n;
}

/* J26: as many as there is room for, and the last ones. */
static void bad_tokens_are_bounded(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		char token[16];
		struct jwt_cache_key key;

		(void)snprintf(token, sizeof(token), "%d", i);
		key = key_of(token);
		put_at(&key, NOW, JWT_FAULT_SIGNATURE, 0);
		assert_true(has_at(&key, NOW));
	}
	assert_int_equal(cache->bad.n_entries, 8);
	assert_int_equal(count_bad(), 8);
}

/* The fifth of a set takes the place of the one not asked for for the longest time. */
static void sets_keep_what_is_used(void **state)
{
	struct jwt_cache_key keys[5], other = in_set(2, 0);

	(void)state;
	for (unsigned n = 0; n < 5; n++)
		keys[n] = in_set(1, n);
	put_at(&other, NOW, JWT_FAULT_NONE, LATER);
	for (int n = 0; n < 4; n++)
		put_at(&keys[n], NOW, JWT_FAULT_NONE, LATER);
	assert_true(has_at(&keys[0], NOW));
	assert_true(has_at(&keys[2], NOW));
	assert_true(has_at(&keys[1], NOW));
	put_at(&keys[4], NOW, JWT_FAULT_NONE, LATER);
	assert_false(has_at(&keys[3], NOW));
	for (int n = 0; n < 5; n++)
		assert_int_equal(has_at(&keys[n], NOW), n != 3);
	assert_true(has_at(&other, NOW));
}

/* One that is over goes first, however late it was asked for. */
static void sets_lose_what_is_over(void **state)
{
	struct jwt_cache_key keys[5];

	(void)state;
	for (unsigned n = 0; n < 5; n++) {
		keys[n] = in_set(3, n);
		if (n < 4)
			put_at(&keys[n], NOW, JWT_FAULT_NONE, n == 2 ? NOW + 5 : LATER);
	}
	assert_true(has_at(&keys[2], NOW));
	put_at(&keys[4], NOW + 5, JWT_FAULT_NONE, LATER);
	for (int n = 0; n < 5; n++)
		assert_int_equal(has_at(&keys[n], NOW + 5), n != 2);
}

/* What is put again stays where it is. */
static void one_token_has_one_entry(void **state)
{
	struct jwt_cache_key keys[4];

	(void)state;
	for (unsigned n = 0; n < 4; n++)
		keys[n] = in_set(0, n);
	for (int turn = 0; turn < 4; turn++)
		for (int n = 0; n < 4; n++)
			put_at(&keys[n], NOW + turn, JWT_FAULT_NONE, LATER);
	for (int n = 0; n < 4; n++)
		assert_true(has_at(&keys[n], NOW + 4));
}

static void parts_are_whole_sets(void **state)
{
	struct jwt_cache *small;

	(void)state;
	assert_int_equal(jwt_cache_create(0, 5, &small), 0);
	assert_int_equal(small->good.n_entries, JWT_CACHE_WAYS);
	assert_int_equal(small->bad.n_entries, 8);
	jwt_cache_free(small);
	jwt_cache_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(verdicts_are_kept),
		TEST(keys_are_of_all_bytes),
		TEST(signatures_are_no_keys),
		TEST(entries_expire),
		TEST(passing_faults_are_not_kept),
		TEST(a_flush_forgets_all),
		TEST(bad_tokens_evict_no_good_ones),
		TEST(bad_tokens_are_bounded),
		TEST(sets_keep_what_is_used),
		TEST(sets_lose_what_is_over),
		TEST(one_token_has_one_entry),
		TEST(parts_are_whole_sets),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
