/* SPDX-License-Identifier: Apache-2.0 */
/* The table of buckets: exact for a key, sparing to those at their limit, safe among threads. */
#include "policy/rate_cell.h"

#include <stdbool.h>

/* So that a test can be the worker that is always faster, or do something just before a swap. */
static bool others_win;
static _Thread_local void (*before_swap)(void);
static void just_before_swap(void);
#define rate_cell_swap(cell, from, to)                                                             \
	(just_before_swap(), !others_win && rate_cell_swap(cell, from, to))
#define rate_cell_holds(cell, tag) (!others_win && rate_cell_holds(cell, tag))
#include "policy/rate_table.c"

#include "tests/unit/core/base/base_test.h"

#include <pthread.h>
#include <sched.h>

#include "tests/unit/policy/rate_traffic.h"

#define AN_HOUR (3600 * GW_NS_PER_S)

static struct rate_table *table;

static void just_before_swap(void)
{
	void (*run)(void) = before_swap;

	before_swap = NULL;
	if (run)
		run();
}

static struct gcra_rule rule_of(uint64_t per_s, uint64_t burst)
{
	struct gcra_rule rule;

	assert_int_equal(gcra_rule_set(per_s, GW_NS_PER_S, burst, &rule), 0);
	return rule;
}

static void new_table(uint64_t n_cells)
{
	static const struct hash_key key = { 1, 2 };

	if (table)
		rate_table_destroy(table);
	assert_int_equal(rate_table_create(n_cells, key, &table), 0);
}

static uint64_t tag_of(uint64_t limit, uint64_t key)
{
	return rate_table_tag(table, limit, (struct slice){ (const char *)&key, sizeof(key) });
}

static bool take(uint64_t tag, const struct gcra_rule *rule, uint64_t now_ns, uint32_t n)
{
	struct gcra_answer a;

	(void)rate_table_take(table, tag, rule, now_ns, n, &a);
	return a.admitted;
}

static struct gcra_answer look(uint64_t tag, const struct gcra_rule *rule, uint64_t now_ns)
{
	struct gcra_answer a;

	(void)rate_table_look(table, tag, rule, now_ns, 0, &a);
	return a;
}

static void keys_and_limits_have_buckets_of_their_own(void **state)
{
	struct gcra_rule rule = rule_of(1, 1);

	(void)state;
	new_table(1024);
	for (uint64_t limit = 0; limit < 10; limit++)
		for (uint64_t key = 0; key < 10; key++) {
			assert_true(take(tag_of(limit, key), &rule, AN_HOUR, 1));
			assert_false(take(tag_of(limit, key), &rule, AN_HOUR, 1));
		}
}

static void tags_differ_and_are_none_that_a_free_cell_has(void **state)
{
	enum { N = 100000 };
	static const struct hash_key other = { 3, 4 };
	uint64_t tag;

	(void)state;
	new_table(4);
	for (uint64_t i = 0; i < N; i++)
		assert_true((tag_of(i, i) & ~RATE_TAG_EDITION) != 0);
	tag = tag_of(5, 6);
	assert_true(tag != tag_of(6, 5) && tag != tag_of(5, 5) && tag != tag_of(6, 6));
	assert_true(tag == tag_of(5, 6));
	table->key = other;
	assert_true(tag != tag_of(5, 6)); /* Nobody outside can choose keys of one set. */
}

static void looking_takes_and_keeps_nothing(void **state)
{
	struct gcra_rule rule = rule_of(10, 5);
	uint64_t tag;
	struct gcra_answer a;

	(void)state;
	new_table(4);
	tag = tag_of(1, 1);
	rate_table_prefetch(table, tag);
	assert_int_equal(rate_table_look(table, tag, &rule, AN_HOUR, 5, &a), RATE_ABSENT);
	assert_true(a.admitted && a.remaining == 0);
	assert_int_equal(rate_table_take(table, tag, &rule, AN_HOUR, 6, &a), RATE_ABSENT);
	assert_true(!a.admitted && a.retry_after_ns == GCRA_NEVER);
	assert_int_equal(rate_table_take(table, tag, &rule, AN_HOUR, 0, &a), RATE_ABSENT);
	assert_true(a.admitted && a.remaining == 5);
	for (unsigned i = 0; i < SET_CELLS; i++)
		assert_true(table->sets[0].cells[i].both == 0);

	assert_int_equal(rate_table_take(table, tag, &rule, AN_HOUR, 3, &a), RATE_ADDED);
	assert_int_equal(rate_table_look(table, tag, &rule, AN_HOUR, 3, &a), RATE_KNOWN);
	assert_false(a.admitted);
	assert_int_equal(a.retry_after_ns, 100 * GW_NS_PER_MS);
	assert_int_equal(rate_table_take(table, tag, &rule, AN_HOUR, 2, &a), RATE_KNOWN);
	assert_true(a.admitted && a.remaining == 0);
	assert_int_equal(a.reset_after_ns, 500 * GW_NS_PER_MS);
}

static void what_is_given_back_can_be_taken_again(void **state)
{
	struct gcra_rule rule = rule_of(10, 5);
	uint64_t tag;

	(void)state;
	new_table(4);
	tag = tag_of(1, 1);
	assert_int_equal(rate_table_refund(table, tag, &rule, AN_HOUR, 1), RATE_ABSENT);
	assert_true(take(tag, &rule, AN_HOUR, 4));
	assert_int_equal(rate_table_refund(table, tag, &rule, AN_HOUR, 2), RATE_KNOWN);
	assert_int_equal(look(tag, &rule, AN_HOUR).remaining, 5 - 4 + 2);
	/* No credit beyond the burst, not even for one whose clock is behind. */
	assert_int_equal(rate_table_refund(table, tag, &rule, AN_HOUR, 1000), RATE_KNOWN);
	assert_int_equal(look(tag, &rule, AN_HOUR - GW_NS_PER_MS).reset_after_ns, GW_NS_PER_MS);
	assert_true(take(tag, &rule, AN_HOUR, 5));
	assert_false(take(tag, &rule, AN_HOUR, 1));
}

static bool is_held(uint64_t tag)
{
	return find(table, tag, AN_HOUR, false).known;
}

/* One set: the victim owes least; whether it was live is said. */
static void the_smallest_debt_is_evicted(void **state)
{
	struct gcra_rule rule = rule_of(10, 10);
	static const uint32_t debts[] = { 7, 3, 9, 5 };
	uint64_t tags[6], now_ns = AN_HOUR;
	struct gcra_answer a;

	(void)state;
	new_table(4);
	for (uint64_t i = 0; i < 6; i++)
		tags[i] = tag_of(1, i);
	for (int i = 0; i < 4; i++)
		assert_int_equal(rate_table_take(table, tags[i], &rule, now_ns, debts[i], &a),
				 RATE_ADDED);
	assert_int_equal(rate_table_take(table, tags[4], &rule, now_ns, 6, &a), RATE_EVICTED);
	assert_true(a.admitted && a.remaining == 4); /* Nothing of the old owner's debt. */
	assert_true(is_held(tags[0]) && !is_held(tags[1]) && is_held(tags[2]) && is_held(tags[3]));
	now_ns += 500 * GW_NS_PER_MS; /* The debt of 5 is paid off. */
	assert_int_equal(rate_table_take(table, tags[5], &rule, now_ns, 1, &a), RATE_ADDED);
	assert_true(is_held(tags[0]) && is_held(tags[2]) && is_held(tags[4]) && is_held(tags[5]));
	assert_int_equal(look(tags[2], &rule, now_ns).reset_after_ns, 400 * GW_NS_PER_MS);
}

/* Of its two sets a new key goes into the one that has fewer live keys. */
static void no_live_key_is_evicted_while_a_quarter_is_live(void **state)
{
	enum { N_CELLS = 1 << 18 };
	struct gcra_rule rule = rule_of(10, 10);
	struct gcra_answer a;
	uint64_t i = 0;

	(void)state;
	new_table(N_CELLS);
	while (rate_table_take(table, tag_of(1, i), &rule, AN_HOUR, 1, &a) == RATE_ADDED)
		i++;
	print_message("the first is evicted by key %llu of %d cells\n", (unsigned long long)i,
		      N_CELLS);
	assert_true(i >= N_CELLS / 4);
	for (uint64_t k = 0; k < i; k += 1 + i / 1000) /* Each is found where it is. */
		assert_int_equal(rate_table_take(table, tag_of(1, k), &rule, AN_HOUR, 1, &a),
				 RATE_KNOWN);
}

static void who_is_always_slower_is_refused_in_the_end(void **state)
{
	struct gcra_rule rule = rule_of(10, 1);
	struct gcra_answer a;
	uint64_t tag;

	(void)state;
	new_table(4);
	tag = tag_of(1, 1);
	others_win = true;
	assert_int_equal(rate_table_take(table, tag, &rule, AN_HOUR, 1, &a), RATE_GAVE_UP);
	assert_true(!a.admitted && a.retry_after_ns == rule.interval_ns && a.remaining == 0);
	others_win = false;
	assert_true(take(tag, &rule, AN_HOUR, 1));
	others_win = true; /* Nor is a refusal believed when the cell was another's meanwhile. */
	assert_int_equal(rate_table_take(table, tag, &rule, AN_HOUR, 1, &a), RATE_GAVE_UP);
	assert_int_equal(rate_table_look(table, tag, &rule, AN_HOUR, 1, &a), RATE_GAVE_UP);
	assert_int_equal(rate_table_refund(table, tag, &rule, AN_HOUR, 1), RATE_GAVE_UP);
	others_win = false;
	assert_int_equal(rate_table_look(table, tag, &rule, AN_HOUR, 1, &a), RATE_KNOWN);
	assert_false(a.admitted);
}

/* --- One client at sixteen workers. ---------------------------------------------------------- */

static uint64_t the_tag;

static bool take_one(const struct gcra_rule *rule, uint32_t w, uint64_t now_ns)
{
	(void)w;
	return take(the_tag, rule, now_ns, 1);
}

static void a_rate_holds_over_all_workers(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * SHAPES; i++) {
		struct traffic t = { .rule = rule_of(1000, 100),
				     .shape = i / 2,
				     .percent = 500,
				     .turn_ns = i % 2 ? 3 * GW_NS_PER_MS : 0,
				     .begin_ns = AN_HOUR,
				     .span_ns = 20 * GW_NS_PER_S };
		struct tally tally;

		new_table(64);
		the_tag = tag_of(1, 1);
		tally = traffic_run(&t, take_one, NULL);
		assert_in_range(tally_permille(&tally, &t), 998, 1002);
		/* To the ns, but for what clocks are behind. */
		assert_true(tally.burst_ns <= (int64_t)(t.rule.tolerance_ns + t.turn_ns));
		t.begin_ns += AN_HOUR;
		t.percent = 99;
		tally = traffic_run(&t, take_one, NULL);
		assert_true(tally.n_admitted * 100 >= tally.n_offered * 98);
	}
}

/* --- A rule that changes. -------------------------------------------------------------------- */

static struct gcra_rule old_rule, new_rule;
static uint64_t changed_ns;

/* The workers learn of the change one after the other, within 5 ms. */
static bool take_changing(const struct gcra_rule *rule, uint32_t w, uint64_t now_ns)
{
	(void)rule;
	return take(the_tag, now_ns < changed_ns + w * 330 * GW_NS_PER_US ? &old_rule : &new_rule,
		    now_ns, 1);
}

/* A client at its limit, from a rule to another: what is more or less than the new one's. */
static void change_rule(uint64_t per_s, uint64_t turn_ns)
{
	uint32_t burst = old_rule.burst;
	struct traffic t = { .shape = EVEN, .turn_ns = turn_ns, .span_ns = 5 * GW_NS_PER_S };
	struct tally tally;

	new_rule = rule_of(per_s, burst);
	new_rule.edition = old_rule.edition + 1;
	new_rule.edition_from_ns = changed_ns + 10 * GW_NS_PER_MS;
	t.rule = new_rule;
	t.begin_ns = changed_ns;
	t.percent = (uint32_t)(100 * 2000 / per_s); /* 2,000 per s. */
	tally = traffic_run(&t, take_changing, NULL);
	/* What comes back in the 10 ms before the change counts may be lost, too. */
	assert_in_range(tally.n_admitted, 5 * per_s - per_s / 100 - burst, 5 * per_s + 2 * burst);
	changed_ns += t.span_ns;
	old_rule = new_rule;
}

static void a_changed_rule_errs_by_a_burst_at_most(void **state)
{
	static const uint64_t rates[] = { 10, 100, 10, 100, 1000, 10 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		new_table(64);
		the_tag = tag_of(1, 1);
		changed_ns = AN_HOUR;
		old_rule = rule_of(10, 10);
		old_rule.edition = UINT16_MAX - 2; /* It wraps on the way. */
		for (size_t k = 0; k < ARRAY_SIZE(rates); k++)
			change_rule(rates[k], i ? 3 * GW_NS_PER_MS : 0);
	}
}

/* In debt by all of 'from', then another rule at once: when is the first token there? */
static uint64_t locked_out_ns(struct gcra_rule from, struct gcra_rule to)
{
	uint64_t now_ns = AN_HOUR;

	new_table(4);
	the_tag = tag_of(1, 1);
	assert_true(take(the_tag, &from, now_ns, from.burst));
	while (!take(the_tag, &to, now_ns, 1))
		now_ns += GW_NS_PER_MS;
	return now_ns - AN_HOUR;
}

static void a_changed_rule_locks_nobody_out(void **state)
{
	struct gcra_rule slow = rule_of(10, 10), fast = rule_of(100, 10);

	(void)state;
	fast.edition = 1;
	assert_int_equal(locked_out_ns(slow, fast) / GW_NS_PER_MS, 10); /* And not 910. */
	fast.edition = 0;
	slow.edition = 1;
	assert_int_equal(locked_out_ns(fast, slow) / GW_NS_PER_MS, 0);
	/* Before the change counts, debts stay; 400 ms of it are to wait for then. */
	slow.edition = 0;
	fast.edition = 1;
	fast.edition_from_ns = AN_HOUR + 400 * GW_NS_PER_MS;
	assert_int_equal(locked_out_ns(slow, fast) / GW_NS_PER_MS, 410);
	fast.edition_from_ns = 0;
	fast.edition = 2; /* A worker that still has the older rule leaves what is the newer's. */
	assert_int_equal(locked_out_ns(fast, rule_of(1000, 10)) / GW_NS_PER_MS, 91);
}

/* --- A flood of keys that come once. --------------------------------------------------------- */

/* A sixteenth of 50,000 clients at twice their limit, 3,000,000 new keys per s, 128 k cells. */
enum { CLIENTS = 3125, CELLS = 8192, FLOOD_PER_MS = 188, CLIENTS_PER_MS = 63, FLOOD_MS = 2000 };

static uint64_t n_strangers;

/* Of clients that stand at their limit when the flood begins. Strangers come by another limit. */
static uint64_t rejections(const struct gcra_rule *strangers, uint64_t begin_ms, uint64_t end_ms,
			   uint64_t n_new_per_ms)
{
	struct gcra_rule rule = rule_of(10, 10);
	uint64_t n = 0;

	for (uint64_t ms = begin_ms; ms < end_ms; ms++) {
		uint64_t now_ns = AN_HOUR + ms * GW_NS_PER_MS;

		for (uint64_t i = 0; i < CLIENTS_PER_MS; i++)
			n += !take(tag_of(1, (ms * CLIENTS_PER_MS + i) % CLIENTS), &rule, now_ns,
				   1);
		for (uint64_t i = 0; i < n_new_per_ms; i++)
			assert_true(take(tag_of(2, n_strangers++), strangers, now_ns, 1));
	}
	return n;
}

static uint64_t rejections_in_flood(const struct gcra_rule *strangers, uint64_t n_new_per_ms)
{
	new_table(CELLS);
	(void)rejections(strangers, 0, FLOOD_MS, 0);
	return rejections(strangers, FLOOD_MS, 2 * FLOOD_MS, n_new_per_ms);
}

static void a_flood_evicts_itself(void **state)
{
	/* Where one request empties a bucket, strangers look like clients that stand at their limit. */
	static const struct {
		const char *name;
		uint64_t count, period_s, burst, least_percent;
	} rules[] = { { "10/s", 10, 1, 10, 90 },  { "1000/s", 1000, 1, 1000, 90 },
		      { "10/m", 10, 60, 10, 90 }, { "100/h", 100, 3600, 100, 90 },
		      { "1/d", 1, 86400, 1, 80 }, { "100/s, one at once", 100, 1, 1, 80 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		struct gcra_rule rule;
		uint64_t alone, flooded;

		assert_int_equal(gcra_rule_set(rules[i].count, rules[i].period_s * GW_NS_PER_S,
					       rules[i].burst, &rule),
				 0);
		alone = rejections_in_flood(&rule, 0);
		flooded = rejections_in_flood(&rule, FLOOD_PER_MS);
		print_message("by %s: %llu of %llu rejections kept\n", rules[i].name,
			      (unsigned long long)flooded, (unsigned long long)alone);
		assert_true(alone > 50000);
		assert_true(flooded * 100 >= alone * rules[i].least_percent && flooded <= alone);
	}
}

/* --- Threads. -------------------------------------------------------------------------------- */

enum { THREADS = 4, TAKES = 40000, KEYS = 16 };

struct racer {
	pthread_t thread;
	uint64_t seed;
	uint64_t n_taken; /* Tokens, without those given back. */
	uint64_t n_gave_up;
};

static struct gcra_rule race_rule;

static void *race_for_one_key(void *arg)
{
	struct racer *r = arg;
	struct gcra_answer a;

	for (uint32_t i = 0; i < TAKES; i++) {
		uint32_t n = 1 + i % 3;

		r->n_gave_up += rate_table_take(table, the_tag, &race_rule, AN_HOUR, n, &a) ==
				RATE_GAVE_UP;
		r->n_taken += a.admitted ? n : 0;
		if (a.admitted && i % 4 == 0 &&
		    rate_table_refund(table, the_tag, &race_rule, AN_HOUR, n) == RATE_KNOWN)
			r->n_taken -= n;
	}
	return NULL;
}

static void *race_for_cells(void *arg)
{
	struct racer *r = arg;
	struct rng rng;

	rng_seed(&rng, r->seed);
	for (uint32_t i = 0; i < TAKES; i++) {
		struct gcra_answer a;
		uint64_t now_ns = AN_HOUR + i * 10 * GW_NS_PER_US;

		(void)rate_table_take(table, tag_of(1, rng_below(&rng, KEYS)), &race_rule, now_ns,
				      1, &a);
		GW_ASSERT(a.remaining < race_rule.burst);
	}
	return NULL;
}

static struct racer race(void *(*run)(void *))
{
	struct racer racers[THREADS] = { 0 }, sum = { 0 };

	for (uint64_t i = 0; i < THREADS; i++) {
		racers[i].seed = i;
		assert_int_equal(pthread_create(&racers[i].thread, NULL, run, &racers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
		sum.n_taken += racers[i].n_taken;
		sum.n_gave_up += racers[i].n_gave_up;
	}
	return sum;
}

static void threads_at_one_key_take_what_is_there(void **state)
{
	struct racer sum;

	(void)state;
	new_table(4);
	the_tag = tag_of(1, 1);
	race_rule = rule_of(1000, 3 * THREADS * TAKES); /* More than they want. */
	sum = race(race_for_one_key);
	/* No charge was lost, none was made twice. */
	assert_int_equal(look(the_tag, &race_rule, AN_HOUR).reset_after_ns,
			 sum.n_taken * race_rule.interval_ns);
	print_message("%llu tokens, gave up %llu times\n", (unsigned long long)sum.n_taken,
		      (unsigned long long)sum.n_gave_up);

	new_table(4);
	the_tag = tag_of(1, 1);
	race_rule = rule_of(1000, TAKES / 2); /* Less. */
	sum = race(race_for_one_key);
	assert_in_range(sum.n_taken, TAKES / 2 - 2, TAKES / 2);
}

static void threads_at_one_set_leave_each_key_once(void **state)
{
	const union rate_cell *cells;

	(void)state;
	new_table(4);
	race_rule = rule_of(1000, 1000000);
	(void)race(race_for_cells);
	cells = table->sets[0].cells;
	for (unsigned i = 0; i < SET_CELLS; i++)
		for (unsigned k = 0; k < i; k++)
			assert_false(same_owner(cells[i].tag, cells[k].tag));
}

/* --- Two that add one key at once and want it in different sets. ------------------------------ */

/* A key that has both of two sets. */
static uint64_t tag_of_both(void)
{
	uint64_t i = 0;

	while (first_set(table, tag_of(1, i)) != &table->sets[0] ||
	       second_set(table, tag_of(1, i)) != &table->sets[1])
		i++;
	return tag_of(1, i);
}

/* One clock is ahead: what is live to the other one it is not to it, so it wants the first set. */
#define BEHIND AN_HOUR
#define AHEAD  (AN_HOUR + 1000)

static uint32_t n_other;

static void two_sets(uint64_t burst)
{
	struct rate_pair neighbor = { .tat_ns = AN_HOUR + 500 };

	new_table(8);
	the_tag = tag_of_both();
	race_rule = rule_of(1, burst);
	neighbor.tag = ~the_tag;
	assert_true(rate_cell_swap(&table->sets[0].cells[3], (struct rate_pair){ 0 }, neighbor));
	assert_true(find(table, the_tag, BEHIND, false).cell >= table->sets[1].cells);
	assert_true(find(table, the_tag, AHEAD, false).cell < table->sets[1].cells);
	n_other = 0;
}

static uint32_t take_many(uint64_t now_ns, uint32_t n)
{
	uint32_t n_admitted = 0;

	while (n--)
		n_admitted += take(the_tag, &race_rule, now_ns, 1);
	return n_admitted;
}

static uint32_t n_cells_of_the_key(void)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < 2 * SET_CELLS; i++)
		n += same_owner(table->sets[i / SET_CELLS].cells[i % SET_CELLS].tag, the_tag);
	return n;
}

static void other_ahead(void)
{
	n_other += take_many(AHEAD, 3);
}

static void other_behind(void)
{
	n_other += take_many(BEHIND, 3);
}

static void who_adds_a_key_second_takes_it_back(void **state)
{
	(void)state;
	for (uint64_t burst = 1; burst <= 5; burst += 4)
		for (int i = 0; i < 2; i++) {
			uint32_t n;

			two_sets(burst);
			before_swap = i ? other_ahead : other_behind;
			n = take_many(i ? BEHIND : AHEAD, 1);
			n += take_many(AHEAD, 8);
			assert_int_equal(n + n_other, burst);
			assert_int_equal(n_cells_of_the_key(), 1);
		}
}

/* It cannot be taken back: what both cells owe is owed by one. */
static void what_was_charged_twice_is_owed(void **state)
{
	struct rate_pair added;
	struct gcra_answer a;
	struct found f;

	(void)state;
	two_sets(5);
	f = find(table, the_tag, AHEAD, false);
	other_behind(); /* Three tokens, from a cell of the second set. */
	added = rate_pair_take(own_pair(&f, the_tag, 0), &race_rule, AHEAD, 1, &a);
	assert_true(rate_cell_swap(f.cell, f.pair, added));
	assert_int_equal(take_many(AHEAD, 2), 2); /* By who finds the first one. */
	assert_true(is_once(table, the_tag, &f, added, AHEAD));
	assert_int_equal(n_cells_of_the_key(), 1);
	/* 3 + 1 + 2 of 5: one more than there were, and the next comes one later. */
	assert_int_equal(look(the_tag, &race_rule, AHEAD).reset_after_ns,
			 6 * GW_NS_PER_S - (AHEAD - BEHIND));
	assert_false(take(the_tag, &race_rule, AHEAD + GW_NS_PER_S, 1));
	assert_true(take(the_tag, &race_rule, AHEAD + 2 * GW_NS_PER_S, 1));
}

/* And once more with real threads. */
enum { ROUNDS = 20000 };

struct hasty {
	pthread_t thread;
	_Atomic uint32_t round, done; /* Begun by the other one, ended by it. */
	uint32_t n_admitted;
};

static void *add_hastily(void *arg)
{
	struct hasty *h = arg;

	for (uint32_t i = 1; i <= ROUNDS; i++) {
		while (atomic_load(&h->round) < i)
			(void)sched_yield();
		h->n_admitted += take(the_tag, &race_rule, AHEAD, 1);
		atomic_store(&h->done, i);
	}
	return NULL;
}

static void begin_round(void)
{
	struct rate_pair neighbor = { .tag = ~the_tag, .tat_ns = AN_HOUR + 500 };

	for (unsigned i = 0; i < 2; i++)
		memset(&table->sets[i], 0, sizeof(table->sets[i]));
	table->sets[0].cells[3].tag = neighbor.tag;
	table->sets[0].cells[3].tat_ns = neighbor.tat_ns;
}

static void who_is_added_twice_at_once_is_there_once(void **state)
{
	struct hasty other = { 0 };
	uint32_t n_admitted = 0;

	(void)state;
	two_sets(1);
	assert_int_equal(pthread_create(&other.thread, NULL, add_hastily, &other), 0);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		begin_round();
		atomic_store(&other.round, i);
		n_admitted += take(the_tag, &race_rule, BEHIND, 1);
		while (atomic_load(&other.done) < i)
			(void)sched_yield();
	}
	assert_int_equal(pthread_join(other.thread, NULL), 0);
	print_message("%u and %u\n", n_admitted, other.n_admitted);
	assert_int_equal(n_admitted + other.n_admitted, ROUNDS);
}

static void create_an_odd_table(void)
{
	static const struct hash_key key;
	struct rate_table *made;

	(void)!rate_table_create(12, key, &made);
}

static void misuse_traps(void **state)
{
	(void)state;
	assert_traps(create_an_odd_table);
}

static int end(void **state)
{
	(void)state;
	rate_table_destroy(table);
	return 0;
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(keys_and_limits_have_buckets_of_their_own),
		cmocka_unit_test(tags_differ_and_are_none_that_a_free_cell_has),
		cmocka_unit_test(looking_takes_and_keeps_nothing),
		cmocka_unit_test(what_is_given_back_can_be_taken_again),
		cmocka_unit_test(the_smallest_debt_is_evicted),
		cmocka_unit_test(no_live_key_is_evicted_while_a_quarter_is_live),
		cmocka_unit_test(who_is_always_slower_is_refused_in_the_end),
		cmocka_unit_test(a_rate_holds_over_all_workers),
		cmocka_unit_test(a_changed_rule_errs_by_a_burst_at_most),
		cmocka_unit_test(a_changed_rule_locks_nobody_out),
		cmocka_unit_test(a_flood_evicts_itself),
		cmocka_unit_test(threads_at_one_key_take_what_is_there),
		cmocka_unit_test(threads_at_one_set_leave_each_key_once),
		cmocka_unit_test(who_adds_a_key_second_takes_it_back),
		cmocka_unit_test(what_was_charged_twice_is_owed),
		cmocka_unit_test(who_is_added_twice_at_once_is_there_once),
		cmocka_unit_test(misuse_traps),
	};

	return cmocka_run_group_tests(list, NULL, end);
}
