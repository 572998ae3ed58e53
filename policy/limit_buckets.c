/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/limit_buckets.h"

#include <errno.h>
#include <stdlib.h>

#include "policy/slots.h"

/* Whose a bucket is, compared as bytes. */
struct holder {
	uint64_t limit; /* Its identity, */
	uint64_t by;    /* and the slot of the route or the service. */
};

struct holders {
	struct holder *list;
	struct slot_name *names; /* Of the list; 'i': since when it has its bucket. */
	struct policy_route_limit **limits;
	uint32_t n;
};

static uint64_t number_of(uint8_t by, uint16_t route, uint16_t service)
{
	return by == POLICY_BY_ROUTE ? route : by == POLICY_BY_SERVICE ? service : 0;
}

static bool holders_make(struct holders *h, uint32_t n)
{
	h->list = calloc(n + 1, sizeof(h->list[0]));
	h->names = calloc(n + 1, sizeof(h->names[0]));
	h->limits = calloc(n + 1, sizeof(h->limits[0]));
	return h->list && h->names && h->limits;
}

static void holders_add(struct holders *h, struct holder one, uint32_t i, uint32_t bucket)
{
	h->list[h->n] = one;
	h->names[h->n] =
		(struct slot_name){ .name = slice_make((const char *)&h->list[h->n], sizeof(one)),
				    .i = i,
				    .slot = bucket };
	h->n++;
}

static void holders_free(struct holders *h)
{
	free(h->list);
	free(h->names);
	free(h->limits);
}

/* Some of them more than once. */
static bool old_holders(const struct policy_table *table, struct holders *h)
{
	uint32_t n = 0;

	for (uint32_t i = 0; table && i < table->routes.n; i++)
		n += table_route(table, i)->limits.n;
	if (!holders_make(h, n))
		return false;
	for (uint32_t i = 0; table && i < table->routes.n; i++) {
		const struct policy_route *route = table_route(table, i);

		for (uint32_t k = 0; k < route->limits.n; k++) {
			const struct policy_route_limit *one = table_route_limits(table, route) + k;
			const struct policy_limit *limit = table_limit(table, one->limit);

			if (policy_limit_is_shared(limit->by))
				holders_add(h,
					    (struct holder){ limit->identity,
							     number_of(limit->by, route->slot,
								       route->service) },
					    one->since, one->bucket);
		}
	}
	return true;
}

/* Sorted; 'i' of a name is the place in 'list' and 'limits'. */
static bool new_holders(const struct policy_draft *draft, struct holders *h)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < draft->n_routes; i++)
		n += draft->routes[i].n_limits;
	if (!holders_make(h, n))
		return false;
	for (uint32_t i = 0; i < draft->n_routes; i++) {
		const struct draft_route *route = &draft->routes[i];

		for (uint32_t k = 0; k < route->n_limits; k++) {
			const struct draft_limit *limit = &draft->limits[route->limits[k].limit];

			route->limits[k].bucket = POLICY_NO_BUCKET;
			if (!policy_limit_is_shared(limit->by))
				continue;
			h->limits[h->n] = &route->limits[k];
			holders_add(
				h,
				(struct holder){ limit->identity, number_of(limit->by, route->slot,
									    route->service) },
				h->n, 0);
		}
	}
	if (h->n)
		qsort(h->names, h->n, sizeof(h->names[0]), slots_by_name);
	return true;
}

/* Each once, in their order. Returns how many. */
static uint32_t once(const struct holders *h, struct slot_name *list)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < h->n; i++)
		if (n == 0 || slots_by_name(&list[n - 1], &h->names[i]) != 0)
			list[n++] = h->names[i];
	return n;
}

static uint32_t since_of(const struct slot_name *name, const struct holders *old,
			 uint32_t generation)
{
	const struct slot_name *found =
		old->n ? bsearch(name, old->names, old->n, sizeof(*name), slots_by_name) : NULL;

	return found ? found->i : generation;
}

static int assign(const struct holders *now, struct holders *old, uint32_t generation)
{
	struct slot_name *list = calloc(now->n + 1, sizeof(*list));
	uint32_t cursor = 0, n, at = 0;
	int r;

	if (!list)
		return -ENOMEM;
	n = once(now, list);
	r = slots_assign(old->names, old->n, list, n, POLICY_BUCKETS_MAX, &cursor);
	for (uint32_t i = 0; r == 0 && i < now->n; i++) {
		struct policy_route_limit *limit = now->limits[now->names[i].i];

		at += slots_by_name(&list[at], &now->names[i]) != 0;
		limit->bucket = list[at].slot;
		limit->since = since_of(&list[at], old, generation);
	}
	free(list);
	return r;
}

int limit_buckets_assign(const struct policy_draft *draft, const struct policy_table *before)
{
	struct holders old = { 0 }, now = { 0 };
	int r = -ENOMEM;

	if (old_holders(before, &old) && new_holders(draft, &now))
		r = now.n ? assign(&now, &old, draft->generation) : 0;
	holders_free(&old);
	holders_free(&now);
	return r;
}
