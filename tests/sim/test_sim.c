/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway in simulated worlds, one per seed.
 *
 *     sim.sim                   the fixed seeds, then those of seeds.txt
 *     sim.sim --seed N          one world, told on stderr as it goes
 *     sim.sim --seconds S       fresh seeds; the failing ones are printed
 *     sim.sim --from N --count N
 *     sim.sim --first           as without arguments, up to the first that fails
 *
 * Each lot of seeds runs in a process of its own, so that a trap ends one world
 * and not the run.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/asan.h"
#include "core/base/clock.h"
#include "tests/sim/world.h"

#ifdef GW_ASAN
#include <sanitizer/common_interface_defs.h>
#define print_stack() __sanitizer_print_stack_trace()
#else
#define print_stack() ((void)0)
#endif

enum { FIXED_SEEDS = 2000, LOT = 250, FAILURES_MAX = 20 };

/* What a child tells its parent, in shared memory. */
struct report {
	uint64_t seed; /* The one that runs. */
	uint64_t n_passed;
	uint64_t endings[WORLD_N_ENDINGS];
	struct sim_counts counts;
};

static struct report *report;
static uint64_t n_failed;
static uint64_t n_failed_max = FAILURES_MAX;

/* The program is at its end, and what trapped holds no lock of stdio. */
/* NOLINTBEGIN(bugprone-signal-handler) */
static void say_trap(int signal)
{
	struct gw_assert_note note = gw_assert_last();

	if (signal == SIGILL && note.file)
		(void)fprintf(stderr, "seed %" PRIu64 ": %s:%d: %s\n", report->seed, note.file,
			      note.line, note.what);
	print_stack();
	_exit(99);
}
/* NOLINTEND(bugprone-signal-handler) */

static void run_lot(uint64_t first, uint64_t n, bool trace)
{
	for (uint64_t i = 0; i < n; i++) {
		report->seed = first + i;
		world_run(first + i, trace, report->endings, &report->counts);
		report->n_passed++;
	}
}

/* Returns the seed behind the last that ran. */
static uint64_t fork_lot(uint64_t first, uint64_t n)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		(void)signal(SIGILL, say_trap);
		(void)signal(SIGABRT, say_trap);
		run_lot(first, n, false);
		_exit(0);
	}
	GW_ASSERT(child > 0 && waitpid(child, &status, 0) == child);
	if (status == 0)
		return first + n;
	(void)fprintf(stderr, "FAILED seed %" PRIu64 "\n", report->seed);
	n_failed++;
	return report->seed + 1;
}

static void run_range(uint64_t first, uint64_t n)
{
	uint64_t end = first + n;

	while (first < end && n_failed < n_failed_max)
		first = fork_lot(first, end - first < LOT ? end - first : LOT);
}

static void run_seconds(uint64_t seconds)
{
	uint64_t until_ns = gw_now_ns() + seconds * GW_NS_PER_S;
	uint64_t first = gw_wall_ns() / GW_NS_PER_S * 100000;

	while (gw_now_ns() < until_ns && n_failed < n_failed_max)
		first = fork_lot(first, LOT / 5);
}

/* Seeds that have failed once, one a line; what follows on the line is why. */
static void run_file(const char *path)
{
	char line[256];
	FILE *file = fopen(path, "r");

	if (!file) {
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
		n_failed++;
		return;
	}
	while (n_failed < n_failed_max && fgets(line, sizeof(line), file))
		if (line[0] >= '0' && line[0] <= '9')
			(void)fork_lot(strtoull(line, NULL, 10), 1);
	(void)fclose(file);
}

static void print_report(bool all)
{
	const struct sim_counts *c = &report->counts;

	for (int i = 0; i < WORLD_N_ENDINGS; i++) {
		(void)printf("%10" PRIu64 " %s\n", report->endings[i],
			     world_ending_name((enum world_ending)i));
		if (all && report->endings[i] == 0 && n_failed == 0) {
			(void)printf("never happened: %s\n",
				     world_ending_name((enum world_ending)i));
			n_failed++;
		}
	}
	(void)printf("events %" PRIu64 ", answers %" PRIu64 ", cancels lost %" PRIu64
		     " won %" PRIu64 ", receives without a buffer %" PRIu64
		     ", pipes given back full %" PRIu64 ", bytes spliced %" PRIu64 "\n",
		     c->steps, c->answers, c->cancels_lost, c->cancels_won, c->starved,
		     c->kept_pipes, c->bytes_spliced);
	(void)printf("%" PRIu64 " passed, %" PRIu64 " failed\n", report->n_passed, n_failed);
}

static int usage(void)
{
	(void)fprintf(stderr,
		      "usage: sim.sim [--seed N | --seconds S | --first | --from N --count N]\n");
	return 64;
}

static int run(int argc, char **argv)
{
	if (argc == 1) {
		run_range(1, FIXED_SEEDS);
		run_file("tests/sim/seeds.txt");
		print_report(true);
	} else if (argc == 2 && strcmp(argv[1], "--first") == 0) {
		n_failed_max = 1;
		run_range(1, FIXED_SEEDS);
		run_file("tests/sim/seeds.txt");
	} else if (argc == 3 && strcmp(argv[1], "--seed") == 0) {
		(void)signal(SIGILL, say_trap);
		(void)signal(SIGABRT, say_trap);
		run_lot(strtoull(argv[2], NULL, 10), 1, true);
	} else if (argc == 3 && strcmp(argv[1], "--seconds") == 0) {
		run_seconds(strtoull(argv[2], NULL, 10));
		print_report(false);
	} else if (argc == 5 && strcmp(argv[1], "--from") == 0 && strcmp(argv[3], "--count") == 0) {
		run_range(strtoull(argv[2], NULL, 10), strtoull(argv[4], NULL, 10));
		print_report(false);
	} else {
		return usage();
	}
	return n_failed > 0;
}

int main(int argc, char **argv)
{
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	GW_ASSERT(report != MAP_FAILED);
	return run(argc, argv);
}
