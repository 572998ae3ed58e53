/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/short_form.h"

#include <errno.h>

#include "core/base/writer.h"
#include "policy/table.h"

static const struct report_place nowhere;

#define NAME SLICE("rate_limit")

/* 0, -EINVAL when a policy has no place for it. */
static int check(const struct written_policy *p, struct report *rep)
{
	uint32_t n_before = rep->n_all;

	for (uint32_t i = 0; i < p->n_limits; i++)
		if (slice_eq(p->limits[i].name, NAME))
			report_add(rep, REPORT_SEMANTIC, nowhere, NAME,
				   "is the name of one of the limits, too");
	if (p->n_limits >= POLICY_LIMITS_MAX)
		report_add(rep, REPORT_LIMIT, nowhere, NAME, "comes on top of %u limits",
			   p->n_limits);
	for (uint32_t i = 0; i < p->n_routes; i++)
		if (p->routes[i].n_limits >= POLICY_ROUTE_LIMITS_MAX)
			report_add(rep, REPORT_LIMIT, nowhere, NAME,
				   "comes on top of the %u limits of routes[%u]",
				   p->routes[i].n_limits, i);
	return rep->n_all == n_before ? 0 : -EINVAL;
}

static struct slice rate_of(uint64_t n, struct arena *arena)
{
	char text[32];
	struct writer w = writer_make(text, sizeof(text));

	writer_u64(&w, n);
	writer_lit(&w, "/s");
	return arena_dup(arena, writer_slice(&w));
}

static int add_limit(struct written_policy *p, struct arena *arena)
{
	size_t old = p->n_limits * sizeof(p->limits[0]);
	struct written_limit *limits =
		arena_alloc(arena, old + sizeof(*limits), _Alignof(struct written_limit));

	if (!limits)
		return -ENOMEM;
	if (old)
		memcpy(limits, p->limits, old);
	limits[p->n_limits] = (struct written_limit){ .name = NAME,
						      .key = SLICE("all"),
						      .rate = rate_of(p->rate_limit, arena) };
	p->limits = limits;
	p->n_limits++;
	return arena->overflow ? -ENOMEM : 0;
}

static int put_in_front(struct written_route *r, struct arena *arena)
{
	struct slice *names =
		arena_alloc(arena, (r->n_limits + 1u) * sizeof(*names), _Alignof(struct slice));

	if (!names)
		return -ENOMEM;
	names[0] = NAME;
	if (r->n_limits)
		memcpy(names + 1, r->limits, r->n_limits * sizeof(*names));
	r->limits = names;
	r->n_limits++;
	return 0;
}

int short_form_expand(struct written_policy *p, struct arena *arena, struct report *rep)
{
	struct written_route *routes = (struct written_route *)(uintptr_t)p->routes;
	int r;

	if (p->rate_limit == 0)
		return 0;
	r = check(p, rep);
	if (r == 0)
		r = add_limit(p, arena);
	for (uint32_t i = 0; r == 0 && i < p->n_routes; i++)
		r = put_in_front(&routes[i], arena);
	p->rate_limit = 0; /* It is said by the limit now. */
	return r;
}
