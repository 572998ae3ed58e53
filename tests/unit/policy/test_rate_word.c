/* SPDX-License-Identifier: Apache-2.0 */
/* One bucket for all workers: its rate holds, leases come back, and few touch the shared line. */
#include "policy/rate_cell.h"

#include <stdbool.h>

/* So that swaps can be counted, and a test can be the worker that is always faster. */
static bool others_win;
static _Atomic uint64_t n_swaps;
#define rate_cell_swap(cell, from, to)                                                             \
	((atomic_fetch_add_explicit(&n_swaps, 1, memory_order_relaxed), !others_win) &&            \
	 rate_cell_swap(cell, from, to))
#include "policy/rate_word.c"

#include "tests/unit/core/base/base_test.h"

#include <pthread.h>
#include <sched.h>

#include "tests/unit/policy/rate_traffic.h"

#define AN_HOUR (3600 * GW_NS_PER_S)

enum { OWNER = 7 };

#define TAKER(owner, n_workers, rule) ((const struct rate_taker){ owner, n_workers, rule })

static struct rate_word word;
static struct rate_lease leases[WORKERS];

static struct gcra_rule rule_of(uint64_t per_s, uint64_t burst)
{
	struct gcra_rule rule;

	assert_int_equal(gcra_rule_set(per_s, GW_NS_PER_S, burst, &rule), 0);
	return rule;
}

static void new_word(void)
{
	memset(&word, 0, sizeof(word));
	memset(leases, 0, sizeof(leases));
}

static bool take(const struct gcra_rule *rule, uint32_t w, uint64_t now_ns)
{
	struct gcra_answer a;

	(void)rate_word_take(&word, &leases[w], &TAKER(OWNER, WORKERS, rule), now_ns, &a);
	return a.admitted;
}

static void settle(const struct gcra_rule *rule, uint32_t w, uint64_t now_ns)
{
	(void)rule;
	rate_word_settle(&word, &leases[w], now_ns);
}

/* Tokens that are taken, used or not. */
static uint64_t charged(const struct gcra_rule *rule, uint64_t now_ns)
{
	return rule->burst - gcra_available(rule, word.cell.tat_ns, now_ns);
}

static void leases_fit_rate_and_stock(void **state)
{
	static const struct {
		const char *name;
		uint64_t per_s;
		uint32_t available, n_workers, want;
	} cases[] = {
		{ "share of 20 ms", 100000, 100000, 16, 125 },
		{ "half a share of the stock", 100000, 320, 16, 10 },
		{ "a stock below two", 100000, 63, 16, 1 },
		{ "a stock of two", 100000, 64, 16, 2 },
		{ "an empty stock", 100000, 0, 16, 1 },
		{ "20 ms below two", 1000, 100000, 16, 1 },
		{ "one worker", 1000, 1000, 1, 20 },
		{ "the fastest", 10000000, GCRA_BURST_MAX, 1, 200000 },
		{ "the most workers", 10000000, GCRA_BURST_MAX, WORKERS_MAX, 3 },
		{ "a slow one", 1, GCRA_BURST_MAX, WORKERS_MAX, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct gcra_rule rule = rule_of(cases[i].per_s, 1);
		uint32_t got = lease_size(&rule, cases[i].available, cases[i].n_workers);

		if (got != cases[i].want)
			fail_msg("%s: %u, not %u", cases[i].name, got, cases[i].want);
	}
}

static void a_lease_is_charged_at_once_and_used_alone(void **state)
{
	struct gcra_rule rule = rule_of(100000, 32000);
	struct gcra_answer a;

	(void)state;
	new_word();
	for (uint32_t i = 1; i <= 125; i++) {
		(void)rate_word_take(&word, &leases[0], &TAKER(OWNER, WORKERS, &rule), AN_HOUR, &a);
		assert_true(a.admitted && a.retry_after_ns == 0);
		assert_int_equal(a.remaining, 32000 - i);
		assert_int_equal(a.reset_after_ns, i * rule.interval_ns);
		assert_int_equal(charged(&rule, AN_HOUR), 125);
	}
	assert_int_equal(leases[0].left, 0);
	assert_true(take(&rule, 0, AN_HOUR));
	assert_int_equal(charged(&rule, AN_HOUR), 250);
}

static void what_is_left_comes_back(void **state)
{
	struct gcra_rule rule = rule_of(100000, 32000);
	uint64_t now_ns = AN_HOUR;

	(void)state;
	new_word();
	for (uint32_t w = 0; w < WORKERS; w++)
		assert_true(take(&rule, w, now_ns));
	assert_int_equal(charged(&rule, now_ns), 125 * WORKERS);
	for (uint32_t w = 1; w < WORKERS; w++) {
		settle(&rule, w, now_ns);
		settle(&rule, w, now_ns); /* Once only. */
	}
	assert_int_equal(charged(&rule, now_ns), 125 + WORKERS - 1);
	now_ns += RATE_LEASE_NS - 1; /* 999.9 have come back. */
	assert_true(take(&rule, 0, now_ns));
	assert_int_equal(leases[0].left, 123);
	assert_int_equal(leases[0].taken_ns, AN_HOUR);
}

/* Too old, or of another rule: the worker does not use it, and goes to the word again. */
static void an_old_lease_is_given_back_by_the_next_take(void **state)
{
	struct gcra_rule rule = rule_of(100000, 32000);
	uint64_t now_ns = AN_HOUR;

	(void)state;
	new_word();
	for (int i = 0; i < 100; i++) /* So that the word is in debt for longer than leases live. */
		for (int k = 0; k < 125; k++)
			assert_true(take(&rule, 1, now_ns));
	assert_true(take(&rule, 0, now_ns));
	now_ns += RATE_LEASE_NS;
	assert_int_equal(charged(&rule, now_ns), 12500 + 125 - 1000);
	assert_true(take(&rule, 0, now_ns));
	assert_int_equal(leases[0].taken_ns, now_ns);
	assert_int_equal(charged(&rule, now_ns), 12500 + 1 + 125 - 1000);

	rule.edition++;
	assert_true(take(&rule, 0, now_ns));
	assert_int_equal((uint16_t)leases[0].tag, rule.edition);
	assert_int_equal((uint16_t)word.cell.tag, rule.edition);
	assert_int_equal(charged(&rule, now_ns), 12500 + 2 + 125 - 1000);
}

/* They cost what they cost when they were taken; once another edition was charged, nothing is paid back. */
static void tokens_of_an_older_rule_buy_no_more(void **state)
{
	struct gcra_rule slow = rule_of(3200, 6400), fast = rule_of(320000, 640000);

	(void)state;
	new_word();
	fast.edition = 1;
	assert_true(take(&slow, 0, AN_HOUR));
	assert_int_equal(leases[0].left, 3);
	assert_int_equal(charged(&fast, AN_HOUR), 4 * 100);
	settle(&fast, 0, AN_HOUR);
	assert_int_equal(charged(&fast, AN_HOUR), 100);

	assert_true(take(&slow, 0, AN_HOUR));
	assert_int_equal(charged(&fast, AN_HOUR), 5 * 100);
	assert_true(take(&fast, 1, AN_HOUR));
	assert_int_equal(leases[1].left, 399);
	settle(&fast, 0, AN_HOUR);
	assert_int_equal(leases[0].left, 0);
	settle(&fast, 1, AN_HOUR);
	assert_int_equal(charged(&fast, AN_HOUR), 5 * 100 + 1);
}

/* A change that does not count yet takes nothing from who has the old rule, or the new one. */
static void a_lease_lasts_until_the_change_counts(void **state)
{
	struct gcra_rule old = rule_of(100000, 32000), new = old;

	(void)state;
	new_word();
	new.edition = 1;
	new.edition_from_ns = AN_HOUR + 5;
	assert_true(take(&old, 0, AN_HOUR));
	assert_true(take(&new, 0, AN_HOUR + 1));
	assert_int_equal(leases[0].left, 123);
	assert_true(take(&new, 0, AN_HOUR + 5));
	assert_int_equal(leases[0].left, 124);
	assert_int_equal(charged(&old, AN_HOUR + 5), 2 + 125);
}

static void a_changed_rule_locks_nobody_out(void **state)
{
	struct gcra_rule slow = rule_of(10, 10), fast = rule_of(100, 10);
	uint64_t now_ns = AN_HOUR;

	(void)state;
	new_word();
	while (take(&slow, 0, now_ns)) {
	}
	fast.edition = 1;
	while (!take(&fast, 1, now_ns))
		now_ns += GW_NS_PER_MS;
	assert_int_equal((now_ns - AN_HOUR) / GW_NS_PER_MS, 10);
}

static void who_is_always_slower_is_refused_in_the_end(void **state)
{
	struct gcra_rule rule = rule_of(100000, 32000);
	struct gcra_answer a;

	(void)state;
	new_word();
	assert_true(take(&rule, 0, AN_HOUR));
	others_win = true;
	assert_false(rate_word_take(&word, &leases[1], &TAKER(OWNER, WORKERS, &rule), AN_HOUR, &a));
	assert_true(!a.admitted && a.retry_after_ns == rule.interval_ns && a.remaining == 0);
	settle(&rule, 0, AN_HOUR); /* Lost, and not twice there. */
	others_win = false;
	assert_int_equal(leases[0].left, 0);
	assert_int_equal(charged(&rule, AN_HOUR), 125);
}

/* --- Owners. --------------------------------------------------------------------------------- */

static uint32_t take_as(uint32_t owner, uint32_t w, const struct gcra_rule *rule, uint32_t n)
{
	uint32_t n_admitted = 0;
	struct gcra_answer a;

	while (n--) {
		(void)rate_word_take(&word, &leases[w], &TAKER(owner, WORKERS, rule), AN_HOUR, &a);
		n_admitted += a.admitted;
	}
	return n_admitted;
}

static void the_next_owner_finds_a_full_bucket(void **state)
{
	struct gcra_rule slow = rule_of(1, 10), other = rule_of(2, 20);
	struct gcra_answer a;

	(void)state;
	new_word();
	slow.edition = 40000; /* Whatever editions their limits have come to. */
	other.edition = 3;
	assert_int_equal(take_as(4, 0, &slow, 12), 10);
	rate_word_look(&word, 6, &other, AN_HOUR, &a);
	assert_true(a.admitted && a.remaining == 19);
	assert_int_equal(take_as(6, 1, &other, 15), 15);
	assert_int_equal((uint16_t)word.cell.tag, 3);
	/* A late worker gets nothing, and takes nothing. */
	assert_int_equal(take_as(4, 0, &slow, 3), 0);
	assert_false(rate_word_take(&word, &leases[2], &TAKER(4, WORKERS, &slow), AN_HOUR, &a));
	assert_int_equal(take_as(6, 1, &other, 9), 5);
}

static void what_is_held_of_the_owner_before_is_forfeited(void **state)
{
	struct gcra_rule fast = rule_of(100000, 32000), slow = rule_of(1, 10);
	struct gcra_answer a;

	(void)state;
	new_word();
	for (uint32_t w = 0; w < 4; w++)
		assert_int_equal(take_as(4, w, &fast, 1), 1);
	assert_int_equal(take_as(6, 4, &slow, 10), 10);
	rate_word_settle(&word, &leases[0], AN_HOUR);
	rate_word_refund(&word, &leases[1], 4, AN_HOUR);
	rate_word_settle(&word, &leases[1], AN_HOUR);
	rate_word_refund(&word, &leases[2], 6, AN_HOUR); /* It never took one as that. */
	assert_int_equal(take_as(6, 3, &slow, 1), 0);
	rate_word_look(&word, 6, &slow, AN_HOUR, &a);
	assert_false(a.admitted);
	for (uint32_t w = 0; w < 4; w++)
		assert_int_equal(leases[w].left, w == 2 ? 124 : 0);
}

static void what_was_not_needed_is_there_for_others(void **state)
{
	struct gcra_rule slow = rule_of(1, 2), fast = rule_of(100000, 32000);

	(void)state;
	new_word();
	assert_int_equal(take_as(OWNER, 0, &slow, 3), 2);
	rate_word_refund(&word, &leases[0], OWNER, AN_HOUR);
	assert_int_equal(take_as(OWNER, 1, &slow, 2), 1);
	new_word();
	assert_int_equal(take_as(OWNER, 0, &fast, 1), 1);
	rate_word_refund(&word, &leases[0], OWNER, AN_HOUR); /* To the lease. */
	assert_int_equal(leases[0].left, 125);
}

/* --- Sixteen workers. ------------------------------------------------------------------------ */

static struct tally run(struct traffic *t, uint32_t percent)
{
	t->percent = percent;
	t->begin_ns += AN_HOUR;
	new_word();
	n_swaps = 0;
	return traffic_run(t, take, t->tick_ns ? settle : NULL);
}

static void check_rate(struct traffic *t)
{
	struct tally tally = run(t, 500);

	assert_in_range(tally_permille(&tally, t), 998, 1002);
	assert_true(tally.burst_ns <= (int64_t)(t->rule.tolerance_ns + RATE_LEASE_NS + t->turn_ns));
	tally = run(t, 99);
	if (tally.n_admitted * 100 < tally.n_offered * 98)
		fail_msg("shape %d: %llu of %llu", t->shape, (unsigned long long)tally.n_admitted,
			 (unsigned long long)tally.n_offered);
}

/* Too slow for leases, and fast enough for them; with ticks, and without. */
static void a_rate_holds_over_all_workers(void **state)
{
	struct traffic t = { 0 };

	(void)state;
	for (t.shape = 0; t.shape < SHAPES; t.shape++)
		for (int i = 0; i < 4; i++) {
			t.turn_ns = i & 1 ? 2 * GW_NS_PER_MS : 0;
			t.tick_ns = i & 2 ? RATE_LEASE_NS : 0;
			t.rule = rule_of(1000, 100);
			t.span_ns = 20 * GW_NS_PER_S;
			check_rate(&t);
			t.rule = rule_of(100000, 10000);
			t.span_ns = GW_NS_PER_S;
			check_rate(&t);
		}
}

static void most_decisions_leave_the_word_alone(void **state)
{
	struct traffic t = { .rule = rule_of(100000, 10000),
			     .span_ns = GW_NS_PER_S,
			     .tick_ns = RATE_LEASE_NS };
	struct tally tally;

	(void)state;
	for (t.shape = 0; t.shape < SHAPES; t.shape++) {
		tally = run(&t, 60);
		assert_true(tally.n_offered > 0);
		assert_int_equal(tally.n_admitted, tally.n_offered);
		print_message("shape %d: %llu swaps per 1,000\n", t.shape,
			      (unsigned long long)(n_swaps * 1000 / tally.n_offered));
		assert_true(n_swaps * 10 < tally.n_offered);
	}
}

/* --- Threads. -------------------------------------------------------------------------------- */

enum { THREADS = 4, TAKES = 100000 };

struct racer {
	pthread_t thread;
	uint64_t n_admitted;
	struct rate_lease lease;
};

static struct gcra_rule race_rule;

static void *race(void *arg)
{
	struct racer *r = arg;
	struct gcra_answer a;

	for (uint32_t i = 0; i < TAKES; i++) {
		(void)rate_word_take(&word, &r->lease, &TAKER(OWNER, THREADS, &race_rule), AN_HOUR,
				     &a);
		r->n_admitted += a.admitted;
		if (i % 64 == 0)
			rate_word_settle(&word, &r->lease, AN_HOUR);
	}
	rate_word_settle(&word, &r->lease, AN_HOUR);
	return NULL;
}

static uint64_t race_all(void)
{
	struct racer racers[THREADS] = { 0 };
	uint64_t n = 0;

	new_word();
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
		n += racers[i].n_admitted;
	}
	return n;
}

/* A settlement that found no end loses its tokens; how many did is counted. */
static void count_lost(const char *name, uint64_t n, void *arg)
{
	if (!strcmp(name, "rate_lease_lost"))
		*(uint64_t *)arg = n;
}

static uint64_t n_lost(void)
{
	uint64_t n = 0;

	gw_count_each(count_lost, &n);
	return n;
}

static void threads_take_what_is_there(void **state)
{
	uint64_t lost = n_lost(), n;

	(void)state;
	race_rule = rule_of(100000, THREADS * TAKES * 2); /* More than they want. */
	n = race_all();
	assert_in_range(charged(&race_rule, AN_HOUR), n, n + (n_lost() - lost) * 500);

	lost = n_lost();
	race_rule = rule_of(100000, TAKES); /* Less. */
	n = race_all();
	assert_in_range(n, TAKES - (n_lost() - lost) * 500, TAKES);
	assert_int_equal(charged(&race_rule, AN_HOUR), TAKES);
}

/* --- Two that begin with a new owner's bucket at once. ----------------------------------------- */

enum { ROUNDS = 20000, BURST = 3 };

struct other {
	pthread_t thread;
	_Atomic uint32_t round, done; /* Begun by the first, ended by the other. */
	uint64_t n_admitted;
};

static void *begin_too(void *arg)
{
	struct other *o = arg;

	for (uint32_t i = 1; i <= ROUNDS; i++) {
		while (atomic_load(&o->round) < i)
			(void)sched_yield();
		o->n_admitted += take_as(i, 1, &race_rule, BURST);
		atomic_store(&o->done, i);
	}
	return NULL;
}

static void who_begins_a_bucket_together_shares_it(void **state)
{
	struct other other = { 0 };
	uint64_t n = 0;

	(void)state;
	new_word();
	race_rule = rule_of(1, BURST);
	assert_int_equal(pthread_create(&other.thread, NULL, begin_too, &other), 0);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		atomic_store(&other.round, i);
		n += take_as(i, 0, &race_rule, BURST);
		while (atomic_load(&other.done) < i)
			(void)sched_yield();
	}
	assert_int_equal(pthread_join(other.thread, NULL), 0);
	print_message("%llu and %llu\n", (unsigned long long)n,
		      (unsigned long long)other.n_admitted);
	assert_int_equal(n + other.n_admitted, ROUNDS * BURST);
}

static void take_for_nobody(void)
{
	struct gcra_rule rule = { .interval_ns = 100, .tolerance_ns = 100, .burst = 1 };
	struct gcra_answer a;

	(void)rate_word_take(&word, &leases[0], &TAKER(OWNER, 0, &rule), AN_HOUR, &a);
}

static void misuse_traps(void **state)
{
	(void)state;
	assert_traps(take_for_nobody);
}

static void looking_takes_nothing(void **state)
{
	struct gcra_rule rule = rule_of(1, 2);
	struct gcra_answer a;

	(void)state;
	new_word();
	for (uint32_t taken = 0; taken <= 2; taken++) {
		uint64_t before = word.cell.tat_ns;

		for (int i = 0; i < 3; i++)
			rate_word_look(&word, OWNER, &rule, AN_HOUR, &a);
		assert_int_equal(a.admitted, taken < 2);
		assert_int_equal(a.remaining, taken ? 0 : 1);
		assert_int_equal(a.retry_after_ns, taken < 2 ? 0 : GW_NS_PER_S);
		assert_int_equal(word.cell.tat_ns, before);
		assert_int_equal(take(&rule, 0, AN_HOUR), taken < 2);
	}
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(leases_fit_rate_and_stock),
		cmocka_unit_test(looking_takes_nothing),
		cmocka_unit_test(a_lease_is_charged_at_once_and_used_alone),
		cmocka_unit_test(what_is_left_comes_back),
		cmocka_unit_test(an_old_lease_is_given_back_by_the_next_take),
		cmocka_unit_test(tokens_of_an_older_rule_buy_no_more),
		cmocka_unit_test(a_lease_lasts_until_the_change_counts),
		cmocka_unit_test(a_changed_rule_locks_nobody_out),
		cmocka_unit_test(who_is_always_slower_is_refused_in_the_end),
		cmocka_unit_test(a_rate_holds_over_all_workers),
		cmocka_unit_test(most_decisions_leave_the_word_alone),
		cmocka_unit_test(threads_take_what_is_there),
		cmocka_unit_test(the_next_owner_finds_a_full_bucket),
		cmocka_unit_test(what_is_held_of_the_owner_before_is_forfeited),
		cmocka_unit_test(what_was_not_needed_is_there_for_others),
		cmocka_unit_test(who_begins_a_bucket_together_shares_it),
		cmocka_unit_test(misuse_traps),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
