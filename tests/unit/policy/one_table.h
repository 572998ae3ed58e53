/* SPDX-License-Identifier: Apache-2.0 */
/*
 * one_table.h - for tests: a table of one service "s" and one route for everything, whose
 * parts a test may still change. The table is for free().
 */
#pragma once

#include <string.h>
#include <sys/socket.h>

#include "policy/compile.h"

enum { ONE_ENDPOINTS = 2 };

/* Both endpoints, slots 0 and 1, are at this address. */
static inline struct policy_table *one_table(const uint8_t ip[4], uint16_t port,
					     const char *authority)
{
	struct draft_endpoint endpoints[ONE_ENDPOINTS] = { 0 };
	struct draft_service service = { .name = SLICE_INIT("s"),
					 .endpoints = endpoints,
					 .n_endpoints = ONE_ENDPOINTS };
	struct draft_route route = { .name = SLICE_INIT("r"),
				     .match = { .path = SLICE_INIT("/") },
				     .max_body = UINT64_MAX,
				     .retry = true };
	struct policy_draft draft = { .generation = 1,
				      .edition = 1,
				      .enabled = true,
				      .services = &service,
				      .n_services = 1,
				      .routes = &route,
				      .n_routes = 1 };
	struct policy_table *table = NULL;
	int r;

	for (uint32_t i = 0; i < ONE_ENDPOINTS; i++) {
		endpoints[i].slot = (uint16_t)i;
		endpoints[i].authority = slice_of(authority);
		endpoints[i].server_name = SLICE("site.test");
		endpoints[i].n_addrs = 1;
		endpoints[i].addrs[0].family = AF_INET;
		endpoints[i].addrs[0].port = port;
		memcpy(endpoints[i].addrs[0].ip, ip, 4);
	}
	r = policy_compile(&draft, &table);
	GW_ASSERT(r == 0);
	return table;
}

/* A table without anything, for who needs none. */
static inline struct policy_table *no_table(void)
{
	static const struct policy_draft draft = { .generation = 1, .edition = 1 };
	struct policy_table *table = NULL;
	int r = policy_compile(&draft, &table);

	GW_ASSERT(r == 0);
	return table;
}

static inline struct policy_service *one_service(struct policy_table *table)
{
	return (struct policy_service *)(uintptr_t)table_service(table, 0);
}

static inline struct policy_route *one_route(struct policy_table *table)
{
	return (struct policy_route *)(uintptr_t)table_route(table, 0);
}

/* The next edition, to be changed and offered. */
static inline struct policy_table *next_table(const struct policy_table *table)
{
	struct policy_table *next = policy_copy(table);

	GW_ASSERT(next);
	next->generation++;
	next->edition++;
	return next;
}
