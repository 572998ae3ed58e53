/* SPDX-License-Identifier: Apache-2.0 */
/* A table at its bounds passes; one step beyond any of them traps. */
#include "policy/table.c"

#include <stdlib.h>

#include "policy/compile.h"
#include "policy/find.h"
#include "tests/unit/core/base/base_test.h"

static struct policy_table *table;

/* --- One with all that there can be. --------------------------------------------------------- */

static char long_text[POLICY_PATH_MAX];

static struct slice text_of(size_t len)
{
	return slice_make(long_text, len);
}

static void fill_endpoints(struct draft_endpoint *endpoints)
{
	for (uint32_t i = 0; i < POLICY_SERVICE_ENDPOINTS_MAX; i++) {
		struct draft_endpoint *endpoint = &endpoints[i];

		endpoint->slot = (uint16_t)(POLICY_ENDPOINTS_MAX - 1 - i);
		endpoint->authority = text_of(POLICY_HOST_TEXT_MAX);
		endpoint->server_name = text_of(POLICY_SERVER_NAME_MAX);
		endpoint->n_addrs = POLICY_ADDRS_MAX;
		for (uint32_t k = 0; k < POLICY_ADDRS_MAX; k++)
			endpoint->addrs[k].family = k % 2 ? AF_INET : AF_INET6;
		endpoint->addrs[0].family = AF_UNIX;
		endpoint->addrs[0].path_len = sizeof(endpoint->addrs[0].path);
	}
}

static void fill(void)
{
	static struct draft_endpoint endpoints[POLICY_SERVICE_ENDPOINTS_MAX];
	static const struct slice hosts[] = { SLICE_INIT("a.test"), SLICE_INIT("*.b.test") };
	static const struct slice methods[] = { SLICE_INIT("GET") };
	static const struct draft_field fields[] = { { SLICE_INIT("x-a"), SLICE_INIT("1") } };
	struct draft_service service = { .slot = POLICY_SERVICES_MAX - 1,
					 .name = text_of(POLICY_NAME_MAX),
					 .endpoints = endpoints,
					 .n_endpoints = POLICY_SERVICE_ENDPOINTS_MAX };
	struct draft_route routes[2] = {
		{ .slot = POLICY_ROUTES_MAX - 1,
		  .name = text_of(POLICY_NAME_MAX),
		  .service = POLICY_SERVICES_MAX - 1,
		  .match = { hosts, 2, text_of(POLICY_PATH_MAX), true, methods, 1, fields, 1 } },
		{ .name = SLICE("r"),
		  .service = POLICY_SERVICES_MAX - 1,
		  .match = { .path = SLICE("/") } },
	};
	struct policy_draft draft = { .generation = 1,
				      .edition = 1,
				      .services = &service,
				      .n_services = 1,
				      .routes = routes,
				      .n_routes = 2 };

	memset(long_text, 'x', sizeof(long_text));
	fill_endpoints(endpoints);
	free(table);
	table = NULL;
	assert_int_equal(policy_compile(&draft, &table), 0);
}

/* --- Beyond. --------------------------------------------------------------------------------- */

static void *at(uint32_t at)
{
	return (char *)table + at;
}

static struct policy_service *service(void)
{
	return (struct policy_service *)at(table->services.at) + POLICY_SERVICES_MAX - 1;
}

static struct policy_endpoint *endpoint(uint32_t i)
{
	return (struct policy_endpoint *)at(service()->endpoints.at) + i;
}

static struct policy_route *route(void)
{
	return at(table->routes.at);
}

/* One of a hash table that is used. */
static struct policy_key *key(struct policy_part keys)
{
	struct policy_key *list = at(keys.at);

	while (list->hash == 0)
		list++;
	return list;
}

#define WRONGS(X)                                                                                  \
	X(size, table->size = sizeof(*table) - 1)                                                  \
	X(part_beyond, table->routes.at = table->size - 1)                                         \
	X(part_within, table->services.at = 8)                                                     \
	X(services, table->services.n = POLICY_SERVICES_MAX + 1)                                   \
	X(name, service()->name.n = POLICY_NAME_MAX + 1)                                           \
	X(endpoints, service()->endpoints.n = POLICY_SERVICE_ENDPOINTS_MAX + 1)                    \
	X(protocol, service()->protocol = POLICY_N_PROTOCOLS)                                      \
	X(trust, service()->trust = POLICY_TRUSTS_MAX)                                             \
	X(slot, endpoint(0)->slot = POLICY_ENDPOINTS_MAX)                                          \
	X(slot_twice, endpoint(0)->slot = endpoint(1)->slot)                                       \
	X(authority, endpoint(0)->authority.n = POLICY_HOST_TEXT_MAX + 1)                          \
	X(server_name, endpoint(0)->server_name.n = POLICY_SERVER_NAME_MAX + 1)                    \
	X(no_server_name, {                                                                        \
		service()->protocol = POLICY_HTTPS;                                                \
		endpoint(9)->server_name.n = 0;                                                    \
	})                                                                                         \
	X(addrs, endpoint(0)->n_addrs = POLICY_ADDRS_MAX + 1)                                      \
	X(family, endpoint(63)->addrs[1].family = 0)                                               \
	X(path, endpoint(63)->addrs[0].path_len++)                                                 \
	X(route_slot, route()->slot = POLICY_ROUTES_MAX)                                           \
	X(route_service, route()->service = POLICY_SERVICES_MAX)                                   \
	X(no_such_service, route()->service = 0)                                                   \
	X(route_name, route()->name.n = POLICY_NAME_MAX + 1)                                       \
	X(methods, route()->methods.n = POLICY_METHODS_MAX + 1)                                    \
	X(fields, route()->fields.n = POLICY_HEADERS_MAX + 1)                                      \
	X(any_host, table->any_host = table->hosts.n)                                              \
	X(hash_table, table->paths.n--)                                                            \
	X(key_host, key(table->exact_hosts)->host = table->hosts.n)                                \
	X(key_text, key(table->wildcard_hosts)->text.n = POLICY_HOST_TEXT_MAX + 1)                 \
	X(key_routes, *(uint32_t *)at(key(table->prefixes)->routes.at) = table->routes.n)          \
	X(no_free_key, fill_keys())

static void fill_keys(void)
{
	struct policy_key *list = at(table->paths.at), some = *key(table->paths);

	for (uint32_t i = 0; i < table->paths.n; i++)
		list[i] = some;
}

#define X(name, code)                                                                              \
	static void set_##name(void)                                                               \
	{                                                                                          \
		code;                                                                              \
	}
WRONGS(X)
#undef X

static const struct {
	const char *name;
	void (*set)(void);
} wrong[] = {
#define X(name, code) { #name, set_##name },
	WRONGS(X)
#undef X
};

static void check(void)
{
	table_check(table);
}

static void bounds_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		fill();
		if (signal_of(check) != 0)
			fail_msg("a full table is refused");
		wrong[i].set();
		if (signal_of(check) != SIGILL)
			fail_msg("%s: passed", wrong[i].name);
	}
	free(table);
	table = NULL;
}

static void an_empty_table_is_one(void **state)
{
	static const struct policy_draft empty = { .edition = 1 };
	struct policy_table *made = NULL;

	(void)state;
	assert_int_equal(policy_compile(&empty, &made), 0);
	table_check(made);
	free(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_are_checked),
		cmocka_unit_test(an_empty_table_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
