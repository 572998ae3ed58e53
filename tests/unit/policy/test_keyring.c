/* SPDX-License-Identifier: Apache-2.0 */
/* Rings of keys: shared where they are the same, never mixed up where they are not. */
#include "policy/keyring.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WORKERS = 2 };

static const char one[] = "{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"k\",\"k\":"
			  "\"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M\"}";
static const char other[] = "{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"k\",\"k\":"
			    "\"dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHQ\"}";

static struct slice issuers[2] = { SLICE_INIT("a"), SLICE_INIT("b") };
static struct written_jwt_key keys[2];
static struct keyring *keyring;

static struct written_jwt jwt_of(const char *jwk)
{
	keys[0] = (struct written_jwt_key){ .jwk = slice_of(jwk) };
	return (struct written_jwt){ .keys = keys,
				     .n_keys = 1,
				     .issuers = issuers,
				     .n_issuers = 1,
				     .leeway_ns = 30 * GW_NS_PER_S,
				     .require_exp = true };
}

static uint16_t take(const struct written_jwt *jwt, uint64_t *ret_id)
{
	uint16_t ring;

	assert_int_equal(keyring_take(keyring, jwt, &ring), 0);
	(void)keyring_rules(keyring, ring, 0, ret_id);
	return ring;
}

static int begin(void **state)
{
	(void)state;
	return keyring_create(WORKERS, &keyring);
}

static int end(void **state)
{
	(void)state;
	keyring_destroy(keyring); /* Nothing is held any more. */
	return 0;
}

static void the_same_is_one(void **state)
{
	struct written_jwt jwt = jwt_of(one);
	uint64_t id, again;
	uint16_t ring = take(&jwt, &id);

	(void)state;
	assert_int_equal(take(&jwt, &again), ring);
	assert_true(again == id);
	keyring_drop(keyring, ring);
	assert_non_null(keyring->rings[ring]); /* Held once more. */
	keyring_drop(keyring, ring);
	assert_null(keyring->rings[ring]);
	assert_int_equal(take(&jwt, &again), ring);
	assert_true(again != id); /* Its place is used again, its id is not. */
	keyring_drop(keyring, ring);
}

/* Whatever differs makes another ring, though it is only where one text ends. */
static void what_differs_is_another(void **state)
{
	struct written_jwt was = jwt_of(one), now;
	uint64_t id, other_id;
	uint16_t ring = take(&was, &id), next;

	(void)state;
#define DIFFERS(change_)                                                                           \
	now = jwt_of(one);                                                                         \
	change_;                                                                                   \
	next = take(&now, &other_id);                                                              \
	assert_true(next != ring && other_id != id);                                               \
	keyring_drop(keyring, next)
	DIFFERS(now = jwt_of(other));
	DIFFERS(now.n_issuers = 2);
	DIFFERS(now.n_issuers = 0);
	DIFFERS(now.n_issuers = 0; now.audiences = issuers; now.n_audiences = 1);
	DIFFERS(now.leeway_ns = 29 * GW_NS_PER_S);
	DIFFERS(now.require_exp = false);
	DIFFERS(now.type = SLICE("JWT"));
	DIFFERS(keys[0].issuer = SLICE("a"));
	keyring_drop(keyring, ring);
}

static void each_worker_has_its_own_keys(void **state)
{
	struct written_jwt jwt = jwt_of(one);
	const struct jwt_rules *rules[WORKERS];
	uint64_t id;
	uint16_t ring = take(&jwt, &id);

	(void)state;
	for (uint32_t i = 0; i < WORKERS; i++)
		rules[i] = keyring_rules(keyring, ring, i, &id);
	assert_ptr_not_equal(rules[0]->keys[0], rules[1]->keys[0]);
	assert_true(rules[1]->n_keys == 1 && rules[1]->skew_s == 30 && !rules[1]->exp_optional);
	assert_true(rules[1]->n_issuers == 1 && slice_eq(rules[1]->issuers[0], SLICE("a")));
	keyring_drop(keyring, ring);
}

static void wrong_keys_are_named(void **state)
{
	struct written_jwt jwt = jwt_of(one);
	char why[JWT_WHY_MAX];
	uint32_t key;

	(void)state;
	assert_int_equal(keyring_check(&jwt, why, &key), 0);
	keys[1] = (struct written_jwt_key){ .jwk = SLICE("{") };
	jwt.n_keys = 2;
	assert_int_equal(keyring_check(&jwt, why, &key), -EINVAL);
	assert_int_equal(key, 1);
	keys[1].jwk = slice_of(other); /* The same kid and alg: whose is a token? */
	assert_int_equal(keyring_check(&jwt, why, &key), -EINVAL);
	assert_int_equal(key, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_same_is_one, begin, end),
		cmocka_unit_test_setup_teardown(what_differs_is_another, begin, end),
		cmocka_unit_test_setup_teardown(each_worker_has_its_own_keys, begin, end),
		cmocka_unit_test(wrong_keys_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
