/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate.c - what one decision about a rate costs.
 *
 * usage: micro_rate [ROUNDS]
 *
 * Keys ask at random, of a table with 2^21 cells: a thousand (hot: it all lies in the caches) or
 * a million (cold: a cache line from memory per decision). 'admit' has rules that admit, 'refuse'
 * such that refuse nearly all. Tags are at hand, as a prefetch would have made them; what a tag
 * costs is said apart, and so are the prefetched ones: 16 decisions ahead. The word is one bucket
 * with one worker at it: by leases, or token by token. 'shared' is one bucket that as many threads
 * draw from, as many as there are CPUs at most: as a key in the table, as a word with leases. Prints
 * nanoseconds per decision, and how many live keys are evicted when half a million are live, with
 * the memory that a million keys take. 'flood' is new keys in a table of 128 k cells in which 50,000
 * clients stand at another limit: what one decision takes, and how many take more than 5 us, which
 * is also what a moment costs in which the CPU was somebody else's.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/base/rng.h"
#include "policy/rate_table.h"
#include "policy/rate_word.h"

enum { HOT = 1000, COLD = 1000000, LIVE = 500000, AHEAD = 16, ASKED = 1 << 22 };

#define CELLS (UINT64_C(1) << 21)
#define S_NS  UINT64_C(1000000000)

static struct rate_table *table;
static uint64_t *asked; /* Tags, in the order of asking. */

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * S_NS + (uint64_t)ts.tv_nsec;
}

static struct gcra_rule rule_of(uint64_t per_s, uint64_t burst)
{
	struct gcra_rule rule;

	if (gcra_rule_set(per_s, S_NS, burst, &rule) < 0)
		exit(1);
	return rule;
}

static uint64_t tag_of(uint64_t key)
{
	return rate_table_tag(table, 1, (struct slice){ (const char *)&key, sizeof(key) });
}

static void new_table(uint64_t n_keys)
{
	static const struct hash_key key = { 1, 2 };
	struct rng rng;

	if (table)
		rate_table_destroy(table);
	if (rate_table_create(CELLS, key, &table) < 0)
		exit(1);
	rng_seed(&rng, 1);
	for (uint32_t i = 0; i < ASKED; i++)
		asked[i] = tag_of(rng_below(&rng, n_keys));
}

/* Virtual time: a microsecond per decision. */
static double take_all(const struct gcra_rule *rule, uint64_t rounds, uint32_t ahead)
{
	uint64_t begun_ns = now_ns(), n = 0;
	struct gcra_answer a;

	for (uint64_t i = 0; i < rounds; i++) {
		if (ahead)
			rate_table_prefetch(table, asked[(i + ahead) % ASKED]);
		(void)rate_table_take(table, asked[i % ASKED], rule, S_NS + i * 1000, 1, &a);
		n += a.remaining;
	}
	if (n == 1) /* So that nothing is optimised away. */
		(void)puts("");
	return (double)(now_ns() - begun_ns) / (double)rounds;
}

static void measure_table(const char *name, uint64_t n_keys, uint64_t rounds)
{
	struct gcra_rule loose = rule_of(10000, 1000000), tight = rule_of(1, 1);
	double admit, refuse, ahead;

	new_table(n_keys);
	(void)take_all(&loose, ASKED, 0);
	admit = take_all(&loose, rounds, 0);
	ahead = take_all(&loose, rounds, AHEAD);
	new_table(n_keys);
	tight.interval_ns = tight.tolerance_ns = 3600 * S_NS;
	(void)take_all(&tight, ASKED, 0);
	refuse = take_all(&tight, rounds, 0);
	(void)printf("table %-5s %6.0f %7.0f %11.0f\n", name, admit, refuse, ahead);
}

static double take_word(const struct gcra_rule *rule, uint64_t rounds)
{
	static struct rate_word word;
	static struct rate_lease lease;
	const struct rate_taker taker = { 1, 16, rule };
	uint64_t begun_ns = now_ns(), n = 0;
	struct gcra_answer a;

	word = (struct rate_word){ .cell.both = 0 };
	lease = (struct rate_lease){ .left = 0 };
	for (uint64_t i = 0; i < rounds; i++) {
		(void)rate_word_take(&word, &lease, &taker, S_NS + i * 1000, &a);
		n += a.remaining;
	}
	if (n == 1)
		(void)puts("");
	return (double)(now_ns() - begun_ns) / (double)rounds;
}

static void measure_word(uint64_t rounds)
{
	struct gcra_rule leased = rule_of(2000000, 1000000), single = rule_of(1500, GCRA_BURST_MAX),
			 refused = rule_of(1, 1);

	(void)printf("word leased %6.0f\n", take_word(&leased, rounds));
	(void)printf("word single %6.0f\n", take_word(&single, rounds));
	(void)printf("word full          %6.0f\n", take_word(&refused, rounds));
}

/* --- One bucket, many threads. --------------------------------------------------------------- */

enum { THREADS_MAX = 16 };

static struct rate_word shared_word;
static struct gcra_rule shared_rule;
static pthread_barrier_t start;
static uint64_t shared_rounds;
static uint32_t n_sharing;

static void *share_cell(void *arg)
{
	uint64_t tag = tag_of(1), *took_ns = arg, begun_ns;
	struct gcra_answer a;

	(void)pthread_barrier_wait(&start);
	begun_ns = now_ns();
	for (uint64_t i = 0; i < shared_rounds; i++)
		(void)rate_table_take(table, tag, &shared_rule, S_NS + i * 1000, 1, &a);
	*took_ns = now_ns() - begun_ns;
	return NULL;
}

static void *share_word(void *arg)
{
	const struct rate_taker taker = { 1, n_sharing, &shared_rule };
	struct rate_lease lease = { .left = 0 };
	uint64_t *took_ns = arg, begun_ns;
	struct gcra_answer a;

	(void)pthread_barrier_wait(&start);
	begun_ns = now_ns();
	for (uint64_t i = 0; i < shared_rounds; i++)
		(void)rate_word_take(&shared_word, &lease, &taker, S_NS + i * 1000, &a);
	*took_ns = now_ns() - begun_ns;
	return NULL;
}

static double share(void *(*run)(void *), uint32_t n_threads, uint64_t rounds)
{
	pthread_t threads[THREADS_MAX];
	uint64_t took_ns[THREADS_MAX], sum_ns = 0;

	n_sharing = n_threads;
	shared_rounds = rounds;
	shared_word = (struct rate_word){ .cell.both = 0 };
	new_table(1);
	if (pthread_barrier_init(&start, NULL, n_threads) != 0)
		exit(1);
	for (uint32_t i = 0; i < n_threads; i++)
		if (pthread_create(&threads[i], NULL, run, &took_ns[i]) != 0)
			exit(1);
	for (uint32_t i = 0; i < n_threads; i++) {
		(void)pthread_join(threads[i], NULL);
		sum_ns += took_ns[i];
	}
	(void)pthread_barrier_destroy(&start);
	return (double)sum_ns / (double)n_threads / (double)rounds;
}

static void measure_shared(uint64_t rounds)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	shared_rule = rule_of(10000000, GCRA_BURST_MAX);
	(void)printf("             cell    word\n");
	for (uint32_t n = 1; n <= THREADS_MAX && n <= n_cpus; n *= 2)
		(void)printf("shared by %-2u %5.0f %7.0f\n", n, share(share_cell, n, rounds),
			     share(share_word, n, rounds));
}

static void measure_tag(uint64_t rounds)
{
	uint64_t begun_ns = now_ns(), n = 0;

	for (uint64_t i = 0; i < rounds; i++)
		n += tag_of(i);
	if (n == 1)
		(void)puts("");
	(void)printf("tag of 8 bytes %3.0f\n", (double)(now_ns() - begun_ns) / (double)rounds);
}

static void count_evictions(void)
{
	struct gcra_rule rule = rule_of(10, 10);
	struct gcra_answer a;
	uint64_t n = 0;

	new_table(1);
	for (uint64_t i = 0; i < LIVE; i++)
		n += rate_table_take(table, tag_of(i), &rule, S_NS, 1, &a) == RATE_EVICTED;
	(void)printf("live evictions of %d %llu\n", LIVE, (unsigned long long)n);
}

/* --- Memory, and floods. --------------------------------------------------------------------- */

/* The second number of the first line. */
static uint64_t resident_kib(void)
{
	char line[256], *end = line;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || !fgets(line, sizeof(line), f))
		exit(1);
	(void)fclose(f);
	(void)strtoull(line, &end, 10);
	return strtoull(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static void measure_memory(void)
{
	struct gcra_rule rule = rule_of(10, 10);
	struct gcra_answer a;
	uint64_t before;

	new_table(1);
	before = resident_kib();
	for (uint64_t i = 0; i < COLD; i++)
		(void)rate_table_take(table, tag_of(i), &rule, S_NS, 1, &a);
	(void)printf("memory of %d keys %llu KiB\n", COLD,
		     (unsigned long long)(resident_kib() - before));
}

static void measure_flood(uint64_t rounds)
{
	struct gcra_rule clients = rule_of(10, 10), strangers = rule_of(1, 100);
	uint64_t begun_ns, last_ns, n_slow = 0, longest_ns = 0;
	struct gcra_answer a;

	rate_table_destroy(table);
	if (rate_table_create(UINT64_C(1) << 17, (struct hash_key){ 1, 2 }, &table) < 0)
		exit(1);
	for (uint64_t i = 0; i < 50000; i++)
		(void)rate_table_take(table, tag_of(i), &clients, S_NS, 10, &a);
	begun_ns = last_ns = now_ns();
	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t tag =
			rate_table_tag(table, 2, (struct slice){ (const char *)&i, sizeof(i) });
		uint64_t at_ns;

		(void)rate_table_take(table, tag, &strangers, S_NS, 1, &a);
		at_ns = now_ns();
		n_slow += at_ns - last_ns > 5000;
		longest_ns = at_ns - last_ns > longest_ns ? at_ns - last_ns : longest_ns;
		last_ns = at_ns;
	}
	(void)printf("flood %.0f ns, with its clock; above 5 us: %llu of %llu, longest %llu us\n",
		     (double)(last_ns - begun_ns) / (double)rounds, (unsigned long long)n_slow,
		     (unsigned long long)rounds, (unsigned long long)longest_ns / 1000);
}

int main(int argc, char **argv)
{
	uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 4000000;

	asked = calloc(ASKED, sizeof(*asked));
	if (!asked)
		return 1;
	(void)printf("            admit  refuse  prefetched\n");
	measure_table("hot", HOT, rounds);
	measure_table("cold", COLD, rounds);
	measure_word(rounds);
	measure_shared(rounds);
	measure_tag(rounds);
	count_evictions();
	measure_memory();
	measure_flood(rounds);
	rate_table_destroy(table);
	free(asked);
	return 0;
}
