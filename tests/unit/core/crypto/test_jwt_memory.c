/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's memory during a check: who has it afterwards, and what is said when there is none. */
#include "tests/unit/core/crypto/tokens.c"

#include "core/base/alloc_trap.h"
#include "core/base/block_pool.h"
#include "core/crypto/jwt.h"
#include "core/crypto/jwt_cache.h"

static long n_asked, n_failed;
static long fails_from = -1; /* From this one on all fail; -1: none. */

static bool fails(void)
{
	if (fails_from < 0 || n_asked < fails_from) {
		n_asked++;
		return false;
	}
	n_failed++;
	return true;
}

static void *fake_alloc(struct block_pool *pool, size_t size)
{
	return fails() ? NULL : block_alloc(pool, size);
}

static void *fake_realloc(void *block, size_t size, struct block_pool *mine)
{
	return fails() ? NULL : block_realloc(block, size, mine);
}

static struct block_pool_stats fake_stats(const struct block_pool *pool)
{
	struct block_pool_stats stats = block_pool_stats(pool);

	stats.refusals += (uint64_t)n_failed;
	return stats;
}

#define block_alloc            fake_alloc
#define block_realloc          fake_realloc
#define block_pool_stats(pool) fake_stats(pool)
#include "core/crypto/crypto_pool.c"

enum { NOW = 1700000000, MANY = 2000 };

static struct crypto_pool *pool;

static uint64_t held(void)
{
	return crypto_pool_stats(pool).used;
}

static const struct jwt_key *key;
static struct jwt_rules rules = { .keys = &key, .n_keys = 1 };
static struct slice good, bad;
static char bad_text[2048];
static struct jwt jwt;

/* As off the workers, and then as on one. */
static void begin(enum jwt_alg alg)
{
	char header[64];
	size_t in_signature;

	key = jt_key(alg, jt_pair(alg), "k", "");
	(void)snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"k\"}",
		       jwt_methods[alg].name);
	good = jt_token(alg, jt_pair(alg), header, "{\"exp\":1700000600}");
	in_signature = slice_find_last(good, '.') + 20;
	bad = slice_make(memcpy(bad_text, good.ptr, good.len), good.len);
	bad_text[in_signature] = bad_text[in_signature] == 'A' ? 'B' : 'A';
	assert_int_equal(crypto_pool_attach(1 << 20, &pool), 0);
	gw_forbid_malloc(true);
}

static void end(void)
{
	gw_forbid_malloc(false);
	crypto_pool_detach();
	jwt_key_free((struct jwt_key *)(uintptr_t)key);
}

static void hold(enum jwt_alg alg, uint64_t before, uint64_t more)
{
	if (held() - before > more)
		fail_msg("%s: %ld bytes more", jwt_methods[alg].name, (long)(held() - before));
}

/* What OpenSSL makes once for a thread: a list of its errors, a source of random numbers. */
enum { THREAD = 4096 };

/* A worker's pool holds nothing of a key, from the first check on. */
static void nothing_is_left_behind(void **state)
{
	(void)state;
	for (enum jwt_alg alg = JWT_RS256; alg < JWT_N_ALGS; alg++) {
		uint64_t before;

		begin(alg);
		before = held();
		assert_int_equal(jwt_verify(&rules, good, NOW, &jwt), JWT_FAULT_NONE);
		assert_int_equal(jwt_verify(&rules, bad, NOW, &jwt), JWT_FAULT_SIGNATURE);
		hold(alg, before, THREAD);
		before = held();
		for (int i = 0; i < 3; i++) {
			assert_int_equal(jwt_verify(&rules, bad, NOW, &jwt), JWT_FAULT_SIGNATURE);
			assert_int_equal(jwt_verify(&rules, good, NOW, &jwt), JWT_FAULT_NONE);
			hold(alg, before, 0);
		}
		end();
		assert_int_equal(held(), 0);
	}
}

static enum jwt_fault verify_with(long n, struct slice token)
{
	enum jwt_fault fault;

	n_asked = 0;
	fails_from = n;
	fault = jwt_verify(&rules, token, NOW, &jwt);
	fails_from = -1;
	return fault;
}

/* Whenever memory ends, a good token is never called bad, nor a bad one good. */
static void without_memory_nothing_is_known(void **state)
{
	(void)state;
	for (enum jwt_alg alg = JWT_RS256; alg < JWT_N_ALGS; alg++) {
		enum jwt_fault fault = JWT_FAULT_OVERLOAD;
		uint64_t before;
		long n = 0;

		begin(alg);
		before = held();
		for (; fault == JWT_FAULT_OVERLOAD && n < MANY; n++)
			fault = verify_with(n, good);
		if (fault != JWT_FAULT_NONE || n < 2)
			fail_msg("%s, %ld allocations: %.*s", jwt_methods[alg].name, n,
				 SLICE_ARG(jwt_fault_label(fault)));
		for (long i = 0; i < n; i++) {
			fault = verify_with(i, bad);
			assert_true(fault == JWT_FAULT_OVERLOAD || fault == JWT_FAULT_SIGNATURE);
		}
		/* The thread's list of errors keeps the room for their texts. */
		assert_in_range(held(), before, before + 4096);
		end();
		assert_int_equal(held(), 0);
	}
}

/* A token is not known without memory either, and knowing it keeps none. */
static void a_hash_says_so_too(void **state)
{
	struct jwt_cache_key cached;
	struct digest *digest;
	uint64_t before;

	(void)state;
	assert_int_equal(digest_create(&digest), 0);
	begin(JWT_ES256);
	assert_int_equal(jwt_cache_key(digest, 1, good, &cached), 0);
	before = held();
	for (int i = 0; i < 3; i++) {
		int r;

		n_asked = n_failed = 0;
		fails_from = i == 1 ? 0 : -1;
		r = jwt_cache_key(digest, 1, good, &cached);
		fails_from = -1;
		assert_int_equal(r, n_failed ? -ENOMEM : 0); /* OpenSSL 3.5 needs none. */
		assert_true(held() <= before);
	}
	assert_int_equal(jwt_cache_key(digest, 1, good, &cached), 0);
	end();
	digest_free(digest);
	assert_int_equal(held(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_left_behind),
		cmocka_unit_test(without_memory_nothing_is_known),
		cmocka_unit_test(a_hash_says_so_too),
	};

	if (crypto_pool_install() < 0) /* Before anything of OpenSSL. */
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
