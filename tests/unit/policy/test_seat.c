/* SPDX-License-Identifier: Apache-2.0 */
/* Tables that change hands between two threads: never torn, never too early, in order. */
#include "policy/seat.c"

#include "tests/unit/core/base/base_test.h"

#include <pthread.h>
#include <sched.h>

#include "core/base/clock.h"
#include "tests/unit/policy/one_table.h"

/* Offers of the race; the reader asks as often as it can. */
enum { OFFERS = 1000000, TABLES = 3 };

static struct policy_seat seat;
static struct policy_table *tables[TABLES];
static _Atomic bool over;

static void empty_seat(void)
{
	atomic_init(&seat.offered, NULL);
	atomic_init(&seat.adopted, NULL);
	atomic_init(&seat.renewed_ns, 0);
}

static void offers_are_adopted_when_asked_for(void **state)
{
	(void)state;
	empty_seat();
	seat_offer(&seat, tables[0]);
	assert_false(seat_has(&seat, tables[0])); /* The worker has not looked yet. */
	assert_ptr_equal(seat_table(&seat), tables[0]);
	assert_true(seat_has(&seat, tables[0]));
	seat_offer(&seat, tables[1]);
	assert_true(seat_has(&seat, tables[0]));
	seat_offer(&seat, tables[2]); /* One that nobody adopted is passed over. */
	assert_ptr_equal(seat_table(&seat), tables[2]);
	assert_false(seat_has(&seat, tables[0]) || seat_has(&seat, tables[1]));
	assert_true(seat_has(&seat, tables[2]));
}

/* The first table is waited for by nobody. */
static void it_is_known_how_long_a_table_waited(void **state)
{
	(void)state;
	empty_seat();
	seat_offer(&seat, tables[0]);
	(void)seat_table(&seat);
	assert_int_equal(seat_waited_ns(&seat, 1000), 0);
	seat_renew(&seat, tables[1], 1000);
	assert_ptr_equal(seat_table(&seat), tables[1]);
	assert_int_equal(seat_waited_ns(&seat, 1700), 700);
	assert_int_equal(seat_waited_ns(&seat, 900), 1); /* A worker's clock that is behind. */
	seat_renew(&seat, tables[2], 2000);
	assert_int_equal(seat_waited_ns(&seat, 2001), 1);
}

static void ask_an_empty_seat(void)
{
	static struct policy_seat empty;

	(void)seat_table(&empty);
}

static void misuse_traps(void **state)
{
	(void)state;
	assert_traps(ask_an_empty_seat);
}

/* The number stands in plain memory at both ends of the table: a race is seen there. */
static void mark(struct policy_table *table, uint32_t generation)
{
	table->generation = generation;
	one_route(table)->max_body = generation;
	one_service(table)->max_requests = generation;
}

static uint32_t read_marks(const struct policy_table *table)
{
	uint32_t generation = table->generation;

	GW_ASSERT(table_route(table, 0)->max_body == generation);
	GW_ASSERT(table_service(table, 0)->max_requests == generation);
	return generation;
}

static void *read_tables(void *arg)
{
	uint64_t *n_reads = arg;
	uint32_t last = 0;

	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		uint32_t generation = read_marks(seat_table(&seat));

		GW_ASSERT(generation >= last); /* Never back to an older one. */
		last = generation;
		++*n_reads;
	}
	return NULL;
}

/* Two tables in turn: one is written as soon as the other was adopted. */
static uint32_t offer_tables(uint64_t until_ns)
{
	uint32_t n = 1;

	while (n < OFFERS && gw_now_ns() < until_ns) {
		if (!seat_has(&seat, tables[n % 2])) {
			sched_yield();
			continue;
		}
		n++;
		mark(tables[n % 2], n);
		seat_offer(&seat, tables[n % 2]);
	}
	return n;
}

static void readers_never_see_half_a_table(void **state)
{
	uint64_t n_reads = 0;
	uint32_t n_offers;
	pthread_t reader;

	(void)state;
	empty_seat();
	mark(tables[1], 1);
	seat_offer(&seat, tables[1]);
	assert_int_equal(pthread_create(&reader, NULL, read_tables, &n_reads), 0);
	n_offers = offer_tables(gw_now_ns() + 4 * GW_NS_PER_S);
	atomic_store_explicit(&over, true, memory_order_relaxed);
	assert_int_equal(pthread_join(reader, NULL), 0);
	print_message("%u offers, %llu reads\n", n_offers, (unsigned long long)n_reads);
	/* On a busy CPU each adoption waits for the reader's turn. */
	assert_true(n_offers > 20 && n_reads >= n_offers - 1);
}

static int begin(void **state)
{
	static const uint8_t ip[4] = { 192, 0, 2, 1 };

	(void)state;
	for (int i = 0; i < TABLES; i++)
		tables[i] = one_table(ip, 80, "o:80");
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (int i = 0; i < TABLES; i++)
		free(tables[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(offers_are_adopted_when_asked_for),
		cmocka_unit_test(it_is_known_how_long_a_table_waited),
		cmocka_unit_test(misuse_traps),
		cmocka_unit_test(readers_never_see_half_a_table),
	};

	return cmocka_run_group_tests(list, begin, end);
}
