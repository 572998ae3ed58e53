/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/peer_rate.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#define NOW_NS (1000 * GW_NS_PER_S)

static struct peer_rates rates;

static int begin(void **state)
{
	(void)state;
	memset(&rates, 0, sizeof(rates));
	rates.key = (struct hash_key){ 1, 2 };
	return 0;
}

static struct peer ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct peer){ .family = AF_INET, .ip = { a, b, c, d } };
}

static uint32_t taken(const struct peer *peer, uint32_t per_second, uint64_t now_ns, uint32_t tries)
{
	uint32_t n = 0;

	while (tries-- > 0)
		n += peer_rates_take(&rates, peer, per_second, now_ns);
	return n;
}

static void a_second_at_once_and_then_as_many_a_second(void **state)
{
	struct peer peer = ip4(192, 0, 2, 1);

	(void)state;
	assert_int_equal(taken(&peer, 10, NOW_NS, 100), 10);
	assert_int_equal(taken(&peer, 10, NOW_NS, 100), 0);
	assert_int_equal(taken(&peer, 10, NOW_NS + GW_NS_PER_S / 10 - 1, 100), 0);
	assert_int_equal(taken(&peer, 10, NOW_NS + GW_NS_PER_S / 10, 100), 1);
	assert_int_equal(taken(&peer, 10, NOW_NS + GW_NS_PER_S, 100), 9);
	assert_int_equal(taken(&peer, 10, NOW_NS + 100 * GW_NS_PER_S, 100),
			 10); /* No more is saved. */
}

static void neighbours_share_and_others_do_not(void **state)
{
	struct peer one = ip4(192, 0, 2, 1), neighbour = ip4(192, 0, 2, 255);
	struct peer other = ip4(192, 0, 3, 1);
	struct peer six = { .family = AF_INET6, .ip = { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1 } };
	struct peer six_neighbour = { .family = AF_INET6,
				      .ip = { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 2 } };
	struct peer six_other = { .family = AF_INET6, .ip = { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 2, 1 } };

	(void)state;
	assert_int_equal(taken(&one, 5, NOW_NS, 10), 5);
	assert_int_equal(taken(&neighbour, 5, NOW_NS, 10), 0);
	assert_int_equal(taken(&other, 5, NOW_NS, 10), 5);
	assert_int_equal(taken(&six, 5, NOW_NS, 10), 5);
	assert_int_equal(taken(&six_neighbour, 5, NOW_NS, 10), 0);
	assert_int_equal(taken(&six_other, 5, NOW_NS, 10), 5);
}

static void what_is_given_back_can_be_taken(void **state)
{
	struct peer peer = ip4(192, 0, 2, 1);

	(void)state;
	peer_rates_give(&rates, &peer, 5); /* Of nothing: no harm. */
	assert_int_equal(taken(&peer, 5, NOW_NS, 10), 5);
	peer_rates_give(&rates, &peer, 5);
	peer_rates_give(&rates, &peer, 5);
	assert_int_equal(taken(&peer, 5, NOW_NS, 10), 2);
}

/* A network that shares one cell with an attacker is served by its other one. */
static void one_cell_in_common_does_not_matter(void **state)
{
	struct peer peer = ip4(192, 0, 2, 1);
	_Atomic uint64_t *cells[2];

	(void)state;
	cells_of(&rates, &peer, cells);
	atomic_store(cells[0], NOW_NS + BURST_NS);
	assert_int_equal(taken(&peer, 5, NOW_NS, 10), 5);
	assert_int_equal(atomic_load(cells[0]), NOW_NS + BURST_NS);
}

/* Nothing is lost between workers. */
static void *take_many(void *arg)
{
	static const struct peer peer = { .family = AF_INET, .ip = { 192, 0, 2, 1 } };
	uint32_t *n = arg;

	*n = taken(&peer, 10000, NOW_NS, 20000);
	return NULL;
}

static void workers_take_from_one_bucket(void **state)
{
	pthread_t threads[2];
	uint32_t n[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_many, &n[i]), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	/* Between the look and the taking the other may have taken the last one. */
	assert_in_range(n[0] + n[1], 10000, 10000 + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_second_at_once_and_then_as_many_a_second, begin),
		cmocka_unit_test_setup(neighbours_share_and_others_do_not, begin),
		cmocka_unit_test_setup(what_is_given_back_can_be_taken, begin),
		cmocka_unit_test_setup(one_cell_in_common_does_not_matter, begin),
		cmocka_unit_test_setup(workers_take_from_one_bucket, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
