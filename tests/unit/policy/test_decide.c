/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts, host by host and bound by bound; and whom two random choices choose. */
#include "policy/decide.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/rng.h"
#include "policy/compile.h"

static struct policy_table *table;

/* For these hosts; or, without any, for all. */
static void make(const struct slice *hosts, uint32_t n_hosts)
{
	struct draft_service service = { .name = SLICE_INIT("s"),
					 .timeouts = { .connect_ns = 1,
						       .response_head_ns = 2,
						       .body_idle_ns = 3,
						       .write_stall_ns = 4,
						       .pool_idle_ns = 5,
						       .tunnel_idle_ns = 6 } };
	struct draft_route route = {
		.slot = 3,
		.name = SLICE_INIT("r"),
		.match = { .hosts = hosts, .n_hosts = n_hosts, .path = SLICE_INIT("/") },
		.max_body = 1000,
		.retry = true,
		.upgrades = POLICY_UPGRADE_WEBSOCKET,
	};
	struct policy_draft draft = { .generation = 7,
				      .edition = 9,
				      .enabled = true,
				      .services = &service,
				      .n_services = 1,
				      .routes = &route,
				      .n_routes = 1 };

	free(table);
	table = NULL;
	assert_int_equal(policy_compile(&draft, &table), 0);
}

static int fill_table(void **state)
{
	(void)state;
	make(NULL, 0);
	return 0;
}

static int free_table(void **state)
{
	(void)state;
	free(table);
	table = NULL;
	return 0;
}

static struct verdict decide(const char *host, uint64_t content_length)
{
	const struct policy_request request = { .method = SLICE("GET"),
						.host = slice_of(host),
						.path = SLICE("/"),
						.content_length = content_length };

	return policy_decide(table, &request);
}

static const struct {
	const char *allowed, *host;
	bool ok;
} hosts[] = {
	{ "example.org", "example.org", true },
	{ "example.org", "www.example.org", false },
	{ "example.org", "example.or", false },
	{ "example.org", "example.orga", false },
	{ "example.org", "", false },
	{ "*.example.org", "www.example.org", true },
	{ "*.example.org", "a.b.example.org", true },
	{ "*.example.org", "example.org", false },
	{ "*.example.org", ".example.org", false },
	{ "*.example.org", "wwwexample.org", false },
	{ "*.example.org", "evil-example.org", false },
	{ "*.example.org", "www.example.org.evil", false },
	{ "*.example.org", "*.example.org", true }, /* No name of DNS; a head does not get here. */
	{ "192.0.2.1", "192.0.2.1", true },
	{ "[2001:db8::1]", "[2001:db8::1]", true },
};

static void hosts_are_matched(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct slice allowed[] = { SLICE("other.example"), slice_of(hosts[i].allowed) };
		struct verdict v;

		make(allowed, 2);
		v = decide(hosts[i].host, 0);
		if ((v.kind == VERDICT_FORWARD) != hosts[i].ok)
			fail_msg("%s against %s", hosts[i].host, hosts[i].allowed);
		if (!hosts[i].ok)
			assert_true(v.reason == REASON_HOST_NOT_ALLOWED && v.status == 421);
	}
	make(NULL, 0);
	assert_int_equal(decide("anything", 0).kind, VERDICT_FORWARD);
	assert_int_equal(decide("", 0).kind, VERDICT_FORWARD);
}

static void the_first_reason_to_refuse_counts(void **state)
{
	static const struct slice other = SLICE_INIT("other");

	(void)state;
	assert_int_equal(decide("h", 1000).kind, VERDICT_FORWARD);
	assert_int_equal(decide("h", 1001).reason, REASON_BODY_TOO_LARGE);
	assert_int_equal(decide("h", 1001).status, 413);
	make(&other, 1);
	assert_int_equal(decide("h", 1001).reason, REASON_HOST_NOT_ALLOWED);
	table->enabled = false;
	assert_int_equal(decide("h", 1001).reason, REASON_POLICY_DISABLED);
	assert_int_equal(decide("h", 1001).kind, VERDICT_REFUSE);
	assert_int_equal(decide("h", 1001).generation, 7);
}

/* Later phases ask the verdict alone. */
static void a_verdict_holds_all_that_is_needed(void **state)
{
	struct verdict v = decide("h", 10);

	(void)state;
	memset(table, 0xee, table->size);
	assert_true(v.kind == VERDICT_FORWARD && v.retry && v.generation == 7);
	assert_true(v.service == 0 && v.route == 3 && v.max_body == 1000);
	assert_true(v.timeouts.connect_ns == 1 && v.timeouts.response_head_ns == 2);
	assert_true(v.timeouts.body_idle_ns == 3 && v.timeouts.write_stall_ns == 4);
	assert_true(v.timeouts.pool_idle_ns == 5 && v.timeouts.tunnel_idle_ns == 6);
	assert_int_equal(v.upgrades, POLICY_UPGRADE_WEBSOCKET);
}

/* --- Choosing. ------------------------------------------------------------------------------- */

#define OUT POLICY_LOAD_NONE

static const struct {
	const char *name;
	uint32_t loads[4];
	uint16_t n;
	int32_t avoid;
	bool may[4]; /* Those that may be chosen; all of them are, in time. */
} choices[] = {
	{ "one", { 5 }, 1, -1, { true } },
	{ "one to be avoided", { 5 }, 1, 0, { true } },
	{ "two: the idler", { 5, 4 }, 2, -1, { false, true } },
	{ "two alike", { 3, 3 }, 2, -1, { true, true } },
	{ "two, one avoided", { 0, 9 }, 2, 0, { false, true } },
	{ "two, the other is out", { 7, OUT }, 2, 0, { true, false } },
	{ "four: not the busiest", { 1, 2, 3, 9 }, 4, -1, { true, true, true, false } },
	{ "four, two out", { OUT, 2, OUT, 2 }, 4, -1, { false, true, false, true } },
	{ "four, out and avoided", { OUT, 0, 8, 8 }, 4, 1, { false, false, true, true } },
	{ "avoided one is out", { OUT, 1, 1, 1 }, 4, 0, { false, true, true, true } },
	{ "avoided slot is gone", { 1, 1 }, 2, 60, { true, true } },
};

static void choices_keep_to_the_rules(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, 1);
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		bool seen[4] = { false };

		for (int turn = 0; turn < 2000; turn++) {
			int32_t got = policy_choose(choices[i].loads, choices[i].n, rng_next(&rng),
						    choices[i].avoid);

			if (got < 0 || got >= choices[i].n || !choices[i].may[got])
				fail_msg("%s: got %d", choices[i].name, got);
			seen[got] = true;
		}
		if (memcmp(seen, choices[i].may, sizeof(seen)) != 0)
			fail_msg("%s: not all were chosen", choices[i].name);
	}
}

static void none_can_take_it(void **state)
{
	static const uint32_t out[3] = { OUT, OUT, OUT };

	(void)state;
	for (int32_t avoid = -1; avoid < 4; avoid++) {
		assert_int_equal(policy_choose(out, 3, 12345, avoid), -1);
		assert_int_equal(policy_choose(NULL, 0, 12345, avoid), -1);
	}
}

/* All alike: each equally often. Else the k-th idlest of n as the better of two picks. */
static void choices_are_spread(void **state)
{
	enum { N = 8, TURNS = 200000 };
	static const uint32_t alike[N], ordered[N] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	uint32_t n_alike[N] = { 0 }, n_ordered[N] = { 0 };
	struct rng rng;

	(void)state;
	rng_seed(&rng, 2);
	for (int turn = 0; turn < TURNS; turn++) {
		uint64_t dice = rng_next(&rng);

		n_alike[policy_choose(alike, N, dice, -1)]++;
		n_ordered[policy_choose(ordered, N, dice, -1)]++;
	}
	for (uint32_t k = 0; k < N; k++) {
		uint32_t want = TURNS * (N - 1 - k) / (N * (N - 1) / 2);

		assert_in_range(n_alike[k], TURNS / N * 97 / 100, TURNS / N * 103 / 100);
		assert_in_range(n_ordered[k], want * 95 / 100, want * 105 / 100);
	}
}

/* What it is for: loads that everybody adds to stay close together. */
static void loads_stay_even(void **state)
{
	enum { N = 16 };
	uint32_t loads[N] = { 0 }, max = 0;
	struct rng rng;

	(void)state;
	rng_seed(&rng, 3);
	for (int turn = 0; turn < 100 * N; turn++)
		loads[policy_choose(loads, N, rng_next(&rng), -1)]++;
	for (uint32_t i = 0; i < N; i++)
		max = loads[i] > max ? loads[i] : max;
	assert_true(max <= 104); /* One choice alone would come to about 120. */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(hosts_are_matched, fill_table, free_table),
		cmocka_unit_test_setup_teardown(the_first_reason_to_refuse_counts, fill_table,
						free_table),
		cmocka_unit_test_setup_teardown(a_verdict_holds_all_that_is_needed, fill_table,
						free_table),
		cmocka_unit_test(choices_keep_to_the_rules),
		cmocka_unit_test(none_can_take_it),
		cmocka_unit_test(choices_are_spread),
		cmocka_unit_test(loads_stay_even),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
