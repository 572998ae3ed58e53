/* SPDX-License-Identifier: Apache-2.0 */
/* Capacities from grants, and what --check-env prints. */
#include "core/server/environment.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define GIB      (UINT64_C(1) << 30)
#define NO_LIMIT UINT64_MAX

static const struct {
	const char *name;
	struct environment_wish wish;
	struct environment_grant grant;
	/* Per worker; with TLS exactly: where a connection holds 20 KiB of OpenSSL's, and 32. */
	uint32_t clients_min, clients_max;
	const char *warning; /* A part of it; NULL: there is none. */
} cases[] = {
	{ "20,000 descriptors, one worker",
	  { 0, 1, 1, false, false },
	  { 20000, NO_LIMIT, 16 * GIB, NO_LIMIT },
	  8000,
	  9000,
	  NULL },
	{ "20,000 descriptors, two workers",
	  { 0, 2, 2, false, false },
	  { 20000, NO_LIMIT, 16 * GIB, NO_LIMIT },
	  4000,
	  4500,
	  NULL },
	{ "64 descriptors",
	  { 0, 1, 1, false, false },
	  { 64, NO_LIMIT, 16 * GIB, NO_LIMIT },
	  8,
	  16,
	  "client connections at a time instead of 4096, more wait in the kernel's queue: "
	  "raise RLIMIT_NOFILE (now 64)" },
	{ "no descriptors to speak of",
	  { 0, 64, 3, false, false },
	  { 8, 0, 1, 1 },
	  1,
	  1,
	  "RLIMIT_NOFILE (now 8)" },
	{ "very many",
	  { 0, 1, 1, false, false },
	  { 1u << 30, NO_LIMIT, 1024 * GIB, NO_LIMIT },
	  CLIENTS_MAX,
	  CLIENTS_MAX,
	  NULL },
	{ "more than a worker can",
	  { 1000000, 1, 1, false, false },
	  { 1u << 30, NO_LIMIT, 1024 * GIB, NO_LIMIT },
	  CLIENTS_MAX,
	  CLIENTS_MAX,
	  "instead of 1000000, more wait in the kernel's queue: start more" },
	{ "as asked for",
	  { 1000, 1, 1, false, false },
	  { 20000, NO_LIMIT, 16 * GIB, NO_LIMIT },
	  1000,
	  1000,
	  NULL },
	{ "as asked for, uneven",
	  { 1001, 2, 1, false, false },
	  { 20000, NO_LIMIT, 16 * GIB, NO_LIMIT },
	  501,
	  501,
	  NULL },
	{ "one", { 1, 4, 1, false, false }, { 20000, NO_LIMIT, 16 * GIB, NO_LIMIT }, 1, 1, NULL },
	{ "more than descriptors",
	  { 50000, 1, 1, false, false },
	  { 20000, NO_LIMIT, 16 * GIB, NO_LIMIT },
	  8000,
	  9000,
	  "instead of 50000, more wait in the kernel's queue: raise RLIMIT_NOFILE (now 20000)" },
	{ "little memory",
	  { 0, 1, 1, false, false },
	  { 20000, NO_LIMIT, GIB / 16, NO_LIMIT },
	  1024,
	  1024,
	  "raise the memory limit (now 64 MiB)" },
	{ "little memory, TLS with clients",
	  { 0, 1, 1, true, false },
	  { 20000, NO_LIMIT, GIB / 16, NO_LIMIT },
	  630,
	  512,
	  "raise the memory limit (now 64 MiB)" },
	{ "little memory, TLS both ways",
	  { 0, 1, 1, true, true },
	  { 20000, NO_LIMIT, GIB / 16, NO_LIMIT },
	  455,
	  341,
	  "raise the memory limit (now 64 MiB)" },
	{ "little memlock",
	  { 0, 2, 1, false, false },
	  { 20000, 64 * 1024, 16 * GIB, NO_LIMIT },
	  4000,
	  4500,
	  "smaller rings, more system calls: RLIMIT_MEMLOCK is 64 KiB" },
	{ "the usual memlock",
	  { 0, 2, 1, false, false },
	  { 20000, 8 << 20, 16 * GIB, 16384 },
	  4000,
	  4500,
	  NULL },
	{ "little of all",
	  { 4000000000, 200, 64, false, false },
	  { 20000, 1, 16 * GIB, 1 },
	  1,
	  100,
	  "; smaller rings" },
};

static void check_sums(size_t i, const struct environment_capacity *c)
{
	const struct environment_wish *wish = &cases[i].wish;
	uint64_t fds = (uint64_t)c->clients + c->upstreams + 2 * (uint64_t)c->pipes;

	if (c->clients < 1 || c->upstreams < c->clients || c->pipes < 1 || c->bufs < BUFS_MIN ||
	    c->bufs > BUFS_MAX || c->files < c->clients + c->upstreams + wish->n_listeners)
		fail_msg("%s: %u clients, %u upstreams, %u files, %u bufs, %u pipes", cases[i].name,
			 c->clients, c->upstreams, c->files, c->bufs, c->pipes);
	/* Where there is anything to share out, all of it together fits. */
	if (cases[i].grant.nofile >= 64u * wish->n_workers &&
	    fds * wish->n_workers >= cases[i].grant.nofile)
		fail_msg("%s: %llu descriptors", cases[i].name, (unsigned long long)fds);
}

static void capacities_follow_grants(void **state)
{
	(void)state;
	assert_true(tls_memory() == 20u * 1024 || tls_memory() == 32u * 1024);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct environment_capacity c;

		environment_capacity(&cases[i].wish, &cases[i].grant, &c);
		if (cases[i].wish.tls_clients)
			assert_int_equal(c.clients, tls_memory() == 20u * 1024
							    ? cases[i].clients_min
							    : cases[i].clients_max);
		else if (c.clients < cases[i].clients_min || c.clients > cases[i].clients_max)
			fail_msg("%s: %u clients", cases[i].name, c.clients);
		if (cases[i].warning ? !strstr(c.warning, cases[i].warning) : c.warning[0] != '\0')
			fail_msg("%s: '%s'", cases[i].name, c.warning);
		check_sums(i, &c);
	}
}

/* Accepting goes on again only when so many files are free (core/proxy/listener.c). */
static void the_gate_can_open_again(void **state)
{
	(void)state;
	for (uint64_t clients = 1; clients <= CLIENTS_MAX; clients *= 2) {
		struct environment_wish wish = { .clients = clients,
						 .n_workers = 1,
						 .n_listeners = 3 };
		struct environment_grant grant = { 1u << 30, NO_LIMIT, 1024 * GIB, NO_LIMIT };
		struct environment_capacity c;

		environment_capacity(&wish, &grant, &c);
		assert_int_equal(c.clients, clients);
		assert_true(c.files - wish.n_listeners - c.upstreams > 2 * (1 + clients / 64));
	}
}

static void pipes_stay_in_what_a_user_may_have(void **state)
{
	struct environment_wish wish = { .n_workers = 2, .n_listeners = 1 };
	struct environment_grant grant = { 1u << 20, NO_LIMIT, 64 * GIB, 16384 };
	struct environment_capacity c;

	(void)state;
	environment_capacity(&wish, &grant, &c);
	assert_int_equal(c.pipes * 2 * (RING_PIPE_SIZE / PAGE), 16384);
}

static void the_soft_limit_is_raised(void **state)
{
	struct environment_grant grant;
	struct rlimit limit, before;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	environment_grant(&grant);
	assert_int_equal(grant.nofile, before.rlim_max);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(limit.rlim_cur, before.rlim_max);
	assert_true(grant.memory > GIB / 16 && grant.memlock > 0 && grant.pipe_pages > 0);
	assert_true(environment_cpus() >= 1);
}

static void files_are_read(void **state)
{
	char text[64];

	(void)state;
	assert_int_equal(read_number("/nowhere", 7), 7);
	assert_int_equal(read_number("/proc/self/status", 7), 7);
	assert_int_equal(read_file("/nowhere", text, sizeof(text)).len, 0);
	assert_true(slice_eq(find_line(SLICE("a: 1\nbc:\t 2 \nc"), SLICE("bc:")), SLICE("2")));
	assert_true(slice_eq(find_line(SLICE("a: 1\nbc: 2"), SLICE("c:")), SLICE("")));
}

/* The text of --check-env under a feature mask, and its exit code. */
static int check_under(const char *mask, char *text, size_t size)
{
	FILE *to = fmemopen(text, size, "w");
	int code;

	assert_non_null(to);
	if (mask)
		assert_int_equal(setenv("SLUICE_URING_MASK", mask, 1), 0);
	code = environment_check(to);
	assert_int_equal(unsetenv("SLUICE_URING_MASK"), 0);
	assert_int_equal(fclose(to), 0);
	return code;
}

static void facilities_are_listed(void **state)
{
	static const char *const lines[] = {
		"kernel   ",
		"io_uring   ",
		"kernel.io_uring_disabled ",
		"net.core.somaxconn ",
		"RLIMIT_NOFILE ",
		"RLIMIT_MEMLOCK ",
		"fs.pipe-user-pages-soft ",
		"memory ",
		"CPUs ",
	};
	char text[4096];

	(void)state;
	assert_int_equal(check_under(NULL, text, sizeof(text)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!strstr(text, lines[i]))
			fail_msg("no '%s' in: %s", lines[i], text);
}

static void hidden_features_are_off(void **state)
{
	char text[4096];

	(void)state;
	assert_int_equal(check_under("6.1", text, sizeof(text)), 0);
	assert_non_null(strstr(text, "io_uring NO_SQARRAY          off  Linux 6.6; without it, "));
	assert_null(strstr(text, " on   "));
}

static void what_cannot_run_is_69(void **state)
{
	char text[4096];

	(void)state;
	assert_int_equal(check_under("nonsense", text, sizeof(text)), 69);
	assert_non_null(strstr(text, "io_uring                     off  SLUICE_URING_MASK: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capacities_follow_grants),
		cmocka_unit_test(the_gate_can_open_again),
		cmocka_unit_test(pipes_stay_in_what_a_user_may_have),
		cmocka_unit_test(the_soft_limit_is_raised),
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(facilities_are_listed),
		cmocka_unit_test(hidden_features_are_off),
		cmocka_unit_test(what_cannot_run_is_69),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
