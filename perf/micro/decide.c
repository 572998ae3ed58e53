/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide.c - what one decision costs, by the number of routes.
 *
 * usage: micro_decide [ROUNDS]
 *
 * Routes are spread over a hundred hosts, with prefixes of three segments. Requests
 * are for routes chosen at random (cold: a table larger than the caches is touched
 * all over) or for sixteen of them again and again (hot). Then as many threads as there
 * are CPUs ask at once: all of one table, and each of a copy of its own. Prints nanoseconds
 * per decision. For instructions, run 'valgrind --tool=callgrind' and read policy_decide.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/base/rng.h"
#include "policy/compile.h"
#include "policy/decide.h"

enum { HOSTS = 100, HOT = 16, ASKED = 4096, TEXT = 48 };

struct texts {
	char host[TEXT], path[TEXT], asked[TEXT], name[TEXT];
	struct slice hosts[1];
};

static struct texts *texts;

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct policy_table *make_table(uint32_t n)
{
	struct draft_route *routes = calloc(n, sizeof(*routes));
	struct draft_service service = { .name = SLICE_INIT("s") };
	struct policy_draft draft = { .edition = 1,
				      .enabled = true,
				      .services = &service,
				      .n_services = 1,
				      .routes = routes,
				      .n_routes = n };
	struct policy_table *table = NULL;

	texts = calloc(n, sizeof(*texts));
	if (!routes || !texts)
		exit(1);
	for (uint32_t i = 0; i < n; i++) {
		struct texts *t = &texts[i];

		(void)snprintf(t->host, TEXT, "api%u.example.com", i % HOSTS);
		(void)snprintf(t->path, TEXT, "/v1/team%u/users%u", i % 7, i);
		(void)snprintf(t->asked, TEXT, "/v1/team%u/users%u/4711/orders", i % 7, i);
		(void)snprintf(t->name, TEXT, "r%u", i);
		t->hosts[0] = slice_of(t->host);
		routes[i].slot = (uint16_t)i;
		routes[i].name = slice_of(t->name);
		routes[i].max_body = UINT64_MAX;
		routes[i].match = (struct draft_match){ .hosts = t->hosts,
							.n_hosts = 1,
							.path = slice_of(t->path) };
	}
	if (policy_compile(&draft, &table) < 0)
		exit(1);
	free(routes);
	return table;
}

static double measure(const struct policy_table *table, uint32_t n, uint64_t rounds)
{
	static _Thread_local struct policy_request asked[ASKED];
	uint64_t begun_ns, sum = 0;
	struct rng rng;

	rng_seed(&rng, 1);
	for (uint32_t i = 0; i < ASKED; i++) {
		const struct texts *t = &texts[rng_next(&rng) % n];

		asked[i] = (struct policy_request){ .method = SLICE_INIT("GET"),
						    .host = slice_of(t->host),
						    .path = slice_of(t->asked) };
	}
	for (int warm = 0; warm < 2; warm++) {
		begun_ns = now_ns();
		for (uint64_t i = 0; i < rounds; i++) {
			struct verdict v = policy_decide(table, &asked[i % ASKED]);

			if (v.kind != VERDICT_FORWARD)
				exit(1);
			sum += v.route;
		}
	}
	if (sum == 1) /* So that nothing is optimised away. */
		(void)puts("");
	return (double)(now_ns() - begun_ns) / (double)rounds;
}

/* --- One table, or a copy for each. ---------------------------------------------------------- */

enum { THREADS_MAX = 16 };

struct asker {
	pthread_t thread;
	const struct policy_table *table;
	uint32_t n;
	uint64_t rounds;
	double ns;
};

static void *ask(void *arg)
{
	struct asker *a = arg;

	a->ns = measure(a->table, a->n, a->rounds);
	return NULL;
}

static double ask_all(const struct policy_table *table, uint32_t n, uint64_t rounds, bool copies)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	long n_threads = n_cpus < THREADS_MAX ? n_cpus : THREADS_MAX;
	struct asker askers[THREADS_MAX];
	struct policy_table *copy[THREADS_MAX];
	double sum = 0;

	for (long i = 0; i < n_threads; i++) {
		copy[i] = policy_copy(table);
		askers[i] = (struct asker){ .table = copies ? copy[i] : table,
					    .n = n,
					    .rounds = rounds };
		if (!copy[i] || pthread_create(&askers[i].thread, NULL, ask, &askers[i]) != 0)
			exit(1);
	}
	for (long i = 0; i < n_threads; i++) {
		(void)pthread_join(askers[i].thread, NULL);
		sum += askers[i].ns;
		free(copy[i]);
	}
	return sum / (double)n_threads;
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = { 10, 100, 1000, 10000, 50000 };
	uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000;

	(void)printf("routes  table KiB  hot ns  cold ns  all threads: one table  copies\n");
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint32_t n = sizes[i];
		struct policy_table *table = make_table(n);

		(void)printf("%6u %10u %7.0f %8.0f %23.0f %7.0f\n", n, table->size / 1024,
			     measure(table, n < HOT ? n : HOT, rounds), measure(table, n, rounds),
			     ask_all(table, n, rounds, false), ask_all(table, n, rounds, true));
		free(table);
		free(texts);
	}
	return 0;
}
