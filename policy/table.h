/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - what the request path asks: one immutable table of services and routes.
 *
 * A table is one block of memory, made by policy_compile() (compile.h) off the
 * workers. It never changes once a seat (seat.h) was offered it. It holds no
 * pointers: parts are found by their distance from its first byte, so a copy is
 * a memcpy. All workers read the same one.
 *
 * Services, endpoints and routes have slots that stay the same from one
 * generation to the next as long as their names do; run-time state (connections,
 * loads, counters) is addressed by slot, never by pointer.
 *
 * Threads: written by the publisher before the offer, read by workers after.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "policy/table_client.h"
#include "policy/table_route.h"
#include "policy/table_service.h"

/* An element of a hash table (find.h), free when its hash is 0: of hosts, or of paths of hosts. */
struct policy_key {
	uint64_t hash;
	struct policy_part text; /* A host's name, or the end of one; or a path. */
	uint32_t host;           /* Its place in 'hosts'. */
	struct policy_part
		routes; /* Of a path: uint32_t, indices of routes in the order of trying. */
};

/* A host's routes. */
struct policy_host {
	uint32_t depths; /* Bit n: there is a prefix of n segments. */
	bool exact;      /* There are paths that are matched as a whole. */
};

#define POLICY_NO_HOST UINT32_MAX

/* Where the next new name gets its slot from: slots are left alone for as long as there are others. */
struct policy_cursors {
	uint32_t services, endpoints, routes;
};

struct policy_table {
	uint32_t size; /* Bytes, with all parts. */
	uint32_t generation;
	uint32_t edition;  /* Counts tables; also those that differ in addresses alone. */
	uint32_t any_host; /* In 'hosts': for whom no other is; or POLICY_NO_HOST. */
	bool enabled;      /* False: 429 policy_disabled. */
	struct policy_cursors cursors;
	struct policy_part services, routes, limits, auths, hosts;
	/* struct policy_part, texts: fields by which any of the auths tells who asks. */
	struct policy_part told;
	/* Hash tables of struct policy_key, their sizes powers of 2; or empty. */
	struct policy_part exact_hosts;     /* By name; */
	struct policy_part wildcard_hosts;  /* by what a name ends in: ".example.org". */
	struct policy_part prefixes, paths; /* By host and path. */
};

static inline const void *table_at_(const struct policy_table *table, uint32_t at)
{
	return (const char *)table + at;
}

static inline struct slice table_text(const struct policy_table *table, struct policy_part text)
{
	return slice_make(table_at_(table, text.at), text.n);
}

static inline const struct policy_service *table_service(const struct policy_table *table,
							 uint32_t slot)
{
	GW_ASSERT(slot < table->services.n);
	return (const struct policy_service *)table_at_(table, table->services.at) + slot;
}

static inline const struct policy_endpoint *
table_endpoint(const struct policy_table *table, const struct policy_service *service, uint32_t i)
{
	GW_ASSERT(i < service->endpoints.n);
	return (const struct policy_endpoint *)table_at_(table, service->endpoints.at) + i;
}

static inline const struct policy_route *table_route(const struct policy_table *table, uint32_t i)
{
	GW_ASSERT(i < table->routes.n);
	return (const struct policy_route *)table_at_(table, table->routes.at) + i;
}

static inline const struct policy_limit *table_limit(const struct policy_table *table, uint32_t i)
{
	GW_ASSERT(i < table->limits.n);
	return (const struct policy_limit *)table_at_(table, table->limits.at) + i;
}

static inline const struct policy_auth *table_auth(const struct policy_table *table, uint32_t i)
{
	GW_ASSERT(i < table->auths.n);
	return (const struct policy_auth *)table_at_(table, table->auths.at) + i;
}

/* Who may take the route; NULL: everybody. */
static inline const struct policy_auth *table_route_auth(const struct policy_table *table,
							 const struct policy_route *route)
{
	return route->auth ? table_auth(table, route->auth - 1u) : NULL;
}

static inline const struct policy_route_limit *table_route_limits(const struct policy_table *table,
								  const struct policy_route *route)
{
	return (const struct policy_route_limit *)table_at_(table, route->limits.at);
}

/* The i-th of a route's limits. */
static inline const struct policy_limit *
table_route_limit(const struct policy_table *table, const struct policy_route *route, uint32_t i)
{
	GW_ASSERT(i < route->limits.n);
	return table_limit(table, table_route_limits(table, route)[i].limit);
}

/* NULL: the route passes on what there is. */
static inline const struct policy_handling *table_handling(const struct policy_table *table,
							   const struct policy_route *route)
{
	return route->handling.n
		       ? (const struct policy_handling *)table_at_(table, route->handling.at)
		       : NULL;
}

/* Element i of a list of texts. */
static inline struct slice table_text_of(const struct policy_table *table, struct policy_part list,
					 uint32_t i)
{
	GW_ASSERT(i < list.n);
	return table_text(table, ((const struct policy_part *)table_at_(table, list.at))[i]);
}

/*
 * Every part inside, every index in range, every slot of an endpoint once. Traps when not: a
 * builder's bug.
 */
void table_check(const struct policy_table *table);
