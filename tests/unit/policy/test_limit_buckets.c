/* SPDX-License-Identifier: Apache-2.0 */
/* Who shares a bucket, who keeps one from push to push, and that numbers stay low. */
#include "policy/limit_buckets.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/rng.h"
#include "policy/compile.h"

enum { LIMITS = 6, ROUTES = 24, SERVICES = 3, NO_PLACE = UINT16_MAX };

static const uint8_t kinds[LIMITS] = { POLICY_BY_ALL,       POLICY_BY_ROUTE, POLICY_BY_SERVICE,
				       POLICY_BY_CLIENT_IP, POLICY_BY_ROUTE, POLICY_BY_SERVICE };

/* A policy of routes, each with its slot, service and limits. */
struct rules {
	struct draft_limit limits[LIMITS];
	struct draft_service services[SERVICES];
	struct draft_route routes[ROUTES];
	struct policy_route_limit lists[ROUTES][LIMITS];
	struct policy_draft draft;
};

static void begin(struct rules *r, uint32_t generation)
{
	static const char names[] = "abcdefghijklmnopqrstuvwxyz";

	memset(r, 0, sizeof(*r));
	for (uint32_t i = 0; i < LIMITS; i++)
		r->limits[i] = (struct draft_limit){ .name = slice_make(names + i, 1),
						     .by = kinds[i],
						     .identity = 100 + i,
						     .rule = { .interval_ns = 1000 } };
	for (uint16_t i = 0; i < SERVICES; i++)
		r->services[i] =
			(struct draft_service){ .name = slice_make(names + i, 1), .slot = i };
	r->draft = (struct policy_draft){ .generation = generation,
					  .edition = 1,
					  .enabled = true,
					  .services = r->services,
					  .n_services = SERVICES,
					  .routes = r->routes,
					  .limits = r->limits,
					  .n_limits = LIMITS };
}

/* Under the limits of the set 'under'. */
static void add_route(struct rules *r, uint16_t slot, uint16_t service, uint32_t under)
{
	static const char paths[ROUTES][4] = { "/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h",
					       "/i", "/j", "/k", "/l", "/m", "/n", "/o", "/p",
					       "/q", "/r", "/s", "/t", "/u", "/v", "/w", "/x" };
	uint32_t at = r->draft.n_routes++;
	struct draft_route *route = &r->routes[at];

	*route = (struct draft_route){ .slot = slot,
				       .name = slice_of(paths[slot]),
				       .service = service,
				       .match = { .path = slice_of(paths[slot]) },
				       .limits = r->lists[at] };
	for (uint32_t i = 0; i < LIMITS; i++)
		if (under & 1u << i)
			route->limits[route->n_limits++].limit = i;
}

/* Compiled, in place of the one before. */
static void compile(struct rules *r, struct policy_table **table)
{
	struct policy_table *before = *table;

	assert_int_equal(limit_buckets_assign(&r->draft, before), 0);
	assert_int_equal(policy_compile(&r->draft, table), 0);
	free(before);
}

static struct policy_route_limit of(const struct policy_table *table, uint32_t route, uint32_t i)
{
	const struct policy_route *r = table_route(table, route);

	assert_true(i < r->limits.n);
	return table_route_limits(table, r)[i];
}

static void who_shares_a_bucket(void **state)
{
	struct policy_table *table = NULL;
	static struct rules r;

	(void)state;
	begin(&r, 7);
	add_route(&r, 5, 0, 0xf);
	add_route(&r, 6, 0, 0xf);
	add_route(&r, 7, 1, 0xf);
	add_route(&r, 8, 1, 1u << 4 | 1u << 5);
	compile(&r, &table);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(of(table, i, 3).bucket, POLICY_NO_BUCKET);
	assert_true(of(table, 0, 0).bucket == of(table, 1, 0).bucket &&
		    of(table, 0, 0).bucket == of(table, 2, 0).bucket);
	assert_true(of(table, 0, 1).bucket != of(table, 1, 1).bucket &&
		    of(table, 1, 1).bucket != of(table, 2, 1).bucket);
	assert_true(of(table, 0, 2).bucket == of(table, 1, 2).bucket &&
		    of(table, 1, 2).bucket != of(table, 2, 2).bucket);
	/* Other limits of the same kinds: others. */
	assert_true(of(table, 3, 0).bucket != of(table, 2, 1).bucket &&
		    of(table, 3, 1).bucket != of(table, 2, 2).bucket);
	assert_int_equal(of(table, 3, 1).since, 7);
	free(table);
}

static void who_stays_keeps_it(void **state)
{
	struct policy_table *table = NULL;
	struct policy_route_limit a, b;
	static struct rules r;

	(void)state;
	begin(&r, 1);
	add_route(&r, 1, 0, 1u << 1);
	add_route(&r, 2, 0, 1u << 1);
	compile(&r, &table);
	a = of(table, 0, 0);
	b = of(table, 1, 0);
	begin(&r, 2); /* The first goes, another comes: not at once into its place. */
	add_route(&r, 3, 0, 1u << 1);
	add_route(&r, 2, 0, 1u << 1);
	compile(&r, &table);
	assert_true(of(table, 1, 0).bucket == b.bucket && of(table, 1, 0).since == 1);
	assert_true(of(table, 0, 0).bucket == 2 && of(table, 0, 0).since == 2);
	begin(&r,
	      3); /* The next may have it. And a limit that has become another one has another. */
	r.limits[4].identity = 999;
	add_route(&r, 1, 0, 1u << 1);
	add_route(&r, 2, 0, 1u << 4);
	compile(&r, &table);
	assert_true(of(table, 0, 0).bucket == a.bucket && of(table, 0, 0).since == 3);
	assert_true(of(table, 1, 0).bucket != b.bucket && of(table, 1, 0).since == 3);
	free(table);
}

enum { PLACES = LIMITS * 100, BUCKETS = 2 * (1 + 2 * ROUTES + 2 * SERVICES) };

/* Whose bucket a route's limit has, as a number. */
static uint32_t place_of(uint32_t limit, uint32_t route, uint32_t service)
{
	switch (kinds[limit]) {
	case POLICY_BY_ALL:
		return limit * 100;
	case POLICY_BY_ROUTE:
		return limit * 100 + route;
	case POLICY_BY_SERVICE:
		return limit * 100 + service;
	default:
		return NO_PLACE;
	}
}

/* Who has which bucket since when, learned by looking; since 0: nothing. */
struct ledger {
	struct policy_route_limit of[PLACES];
	uint32_t n;
	uint32_t holders[BUCKETS]; /* 1 + place */
};

static void enter(struct ledger *now, const struct ledger *old, uint32_t place,
		  struct policy_route_limit one, uint32_t generation)
{
	const struct policy_route_limit *before = &old->of[place], *known = &now->of[place];

	if (known->since == 0)
		now->n++;
	else
		assert_true(known->bucket == one.bucket && known->since == one.since);
	now->of[place] = one;
	if (before->since)
		assert_true(before->bucket == one.bucket && before->since == one.since);
	else
		assert_int_equal(one.since, generation);
	assert_true(one.bucket < BUCKETS);
	assert_true(now->holders[one.bucket] == 0 || now->holders[one.bucket] == place + 1);
	now->holders[one.bucket] = place + 1;
	if (!before->since) /* Nobody has just left it. */
		assert_int_equal(old->holders[one.bucket], 0);
}

static void look(const struct policy_table *table, const struct ledger *old, struct ledger *now)
{
	memset(now, 0, sizeof(*now));
	for (uint32_t i = 0; i < table->routes.n; i++) {
		const struct policy_route *route = table_route(table, i);

		for (uint32_t k = 0; k < route->limits.n; k++) {
			struct policy_route_limit one = of(table, i, k);
			uint32_t place = place_of(one.limit, route->slot, route->service);

			if (place == NO_PLACE)
				assert_int_equal(one.bucket, POLICY_NO_BUCKET);
			else
				enter(now, old, place, one, table->generation);
		}
	}
	for (uint32_t i = 0; i < PLACES; i++) /* As low as can be. */
		if (now->of[i].since == table->generation)
			assert_true(now->of[i].bucket < old->n + now->n);
}

static void random_changes_keep_the_rules(void **state)
{
	static struct ledger old, now;
	struct policy_table *table = NULL;
	static struct rules r;
	struct rng rng;

	(void)state;
	rng_seed(&rng, 11);
	for (uint32_t generation = 1; generation <= 2000; generation++) {
		begin(&r, generation);
		for (uint16_t i = 0; i < ROUTES; i++)
			if (rng_below(&rng, 3))
				add_route(&r, i, i % SERVICES,
					  (uint32_t)rng_below(&rng, 1u << LIMITS));
		compile(&r, &table);
		look(table, &old, &now);
		old = now;
	}
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_shares_a_bucket),
		cmocka_unit_test(who_stays_keeps_it),
		cmocka_unit_test(random_changes_keep_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
