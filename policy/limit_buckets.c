/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/limit_buckets.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/hash.h"
#include "policy/slots.h"

/* Whose a bucket is, compared as bytes. */
struct holder {
	uint64_t limit; /* Its identity, */
	uint64_t by;    /* and of the route or the service the hash of its name; else 0. */
};

/* A route's limit that needs a bucket. */
struct use {
	struct holder holder;
	struct policy_route_limit *limit; /* Of the draft; of the table before: NULL, and */
	uint32_t since;                   /* as it is there. */
};

/* All of a policy's. A holder may have several, and in the table before they are alike. */
struct uses {
	struct use *list;
	struct slot_name *names; /* Of holders, with their index in the list. */
	uint32_t n;
};

static bool uses_make(struct uses *u, uint32_t n)
{
	u->list = calloc(n + 1, sizeof(u->list[0]));
	u->names = calloc(n + 1, sizeof(u->names[0]));
	return u->list && u->names;
}

static void uses_free(struct uses *u)
{
	free(u->list);
	free(u->names);
}

static uint64_t hash_of(struct slice name)
{
	static const struct hash_key key = { 1, 2 }; /* Names are the operator's: no secret. */

	return hash_sip(key, name);
}

static void uses_add(struct uses *u, struct use one, uint32_t bucket)
{
	struct use *to = &u->list[u->n];

	*to = one;
	u->names[u->n] = (struct slot_name){ .name = slice_make((const char *)&to->holder,
								sizeof(to->holder)),
					     .i = u->n,
					     .slot = bucket };
	u->n++;
}

/* --- Of the table before. -------------------------------------------------------------------- */

static uint64_t old_by(const struct policy_table *table, const struct policy_route *route,
		       uint8_t by)
{
	if (by == POLICY_BY_ROUTE)
		return hash_of(table_text(table, route->name));
	if (by == POLICY_BY_SERVICE && route->service != POLICY_NO_SERVICE)
		return hash_of(table_text(table, table_service(table, route->service)->name));
	return 0;
}

static void add_old_route(struct uses *u, const struct policy_table *table,
			  const struct policy_route *route)
{
	for (uint32_t k = 0; k < route->limits.n; k++) {
		const struct policy_route_limit *one = table_route_limits(table, route) + k;
		const struct policy_limit *limit = table_limit(table, one->limit);

		if (policy_limit_is_shared(limit->by))
			uses_add(u,
				 (struct use){ .holder = { limit->identity,
							   old_by(table, route, limit->by) },
					       .since = one->since },
				 one->bucket);
	}
}

static bool old_uses(const struct policy_table *table, struct uses *u)
{
	uint32_t n = 0;

	for (uint32_t i = 0; table && i < table->routes.n; i++)
		n += table_route(table, i)->limits.n;
	if (!uses_make(u, n))
		return false;
	for (uint32_t i = 0; table && i < table->routes.n; i++)
		add_old_route(u, table, table_route(table, i));
	return true;
}

/* --- Of the draft. --------------------------------------------------------------------------- */

/* By slots of services: hashes of their names. */
struct service_names {
	uint64_t hashes[POLICY_SERVICES_MAX];
};

static uint64_t new_by(const struct service_names *services, const struct draft_route *route,
		       uint8_t by)
{
	if (by == POLICY_BY_ROUTE)
		return hash_of(route->name);
	if (by == POLICY_BY_SERVICE && route->service != POLICY_NO_SERVICE)
		return services->hashes[route->service];
	return 0;
}

static void add_new_route(struct uses *u, const struct policy_draft *draft,
			  const struct service_names *services, const struct draft_route *route)
{
	for (uint32_t k = 0; k < route->n_limits; k++) {
		struct policy_route_limit *one = &route->limits[k];
		const struct draft_limit *limit = &draft->limits[one->limit];

		one->bucket = POLICY_NO_BUCKET;
		if (policy_limit_is_shared(limit->by))
			uses_add(u,
				 (struct use){ .holder = { limit->identity,
							   new_by(services, route, limit->by) },
					       .limit = one },
				 0);
	}
}

/* Names sorted. */
static bool new_uses(const struct policy_draft *draft, struct uses *u)
{
	struct service_names services;
	uint32_t n = 0;

	for (uint32_t i = 0; i < draft->n_services; i++)
		services.hashes[draft->services[i].slot] = hash_of(draft->services[i].name);
	for (uint32_t i = 0; i < draft->n_routes; i++)
		n += draft->routes[i].n_limits;
	if (!uses_make(u, n))
		return false;
	for (uint32_t i = 0; i < draft->n_routes; i++)
		add_new_route(u, draft, &services, &draft->routes[i]);
	if (u->n)
		qsort(u->names, u->n, sizeof(u->names[0]), slots_by_name);
	return true;
}

/* --- Numbers. -------------------------------------------------------------------------------- */

/* Each once, in their order. Returns how many. */
static uint32_t once(const struct uses *u, struct slot_name *list)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < u->n; i++)
		if (n == 0 || slots_by_name(&list[n - 1], &u->names[i]) != 0)
			list[n++] = u->names[i];
	return n;
}

/* The old names are sorted by slots_assign(). */
static uint32_t since_of(const struct slot_name *name, const struct uses *old, uint32_t generation)
{
	const struct slot_name *found =
		old->n ? bsearch(name, old->names, old->n, sizeof(*name), slots_by_name) : NULL;

	return found ? old->list[found->i].since : generation;
}

static int assign(const struct uses *now, struct uses *old, uint32_t generation)
{
	struct slot_name *list = calloc(now->n + 1, sizeof(*list));
	uint32_t cursor = 0, n, at = 0;
	int r;

	if (!list)
		return -ENOMEM;
	n = once(now, list);
	r = slots_assign(old->names, old->n, list, n, POLICY_BUCKETS_MAX, &cursor);
	for (uint32_t i = 0; r == 0 && i < now->n; i++) {
		struct policy_route_limit *limit = now->list[now->names[i].i].limit;

		at += slots_by_name(&list[at], &now->names[i]) != 0;
		limit->bucket = list[at].slot;
		limit->since = since_of(&list[at], old, generation);
	}
	free(list);
	return r;
}

int limit_buckets_assign(struct policy_draft *draft, const struct policy_table *before)
{
	struct uses old = { 0 }, now = { 0 };
	int r = -ENOMEM;

	if (old_uses(before, &old) && new_uses(draft, &now))
		r = now.n ? assign(&now, &old, draft->generation) : 0;
	uses_free(&old);
	uses_free(&now);
	return r;
}
