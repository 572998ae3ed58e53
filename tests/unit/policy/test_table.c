/* SPDX-License-Identifier: Apache-2.0 */
/* A table at its bounds passes; one step beyond any of them traps. */
#include "policy/table.c"

#include "tests/unit/core/base/base_test.h"

static struct policy_table table;

static void fill(void)
{
	struct policy_service *service = &table.services[0];
	struct policy_endpoint *endpoint = &service->endpoints[POLICY_ENDPOINTS_MAX - 1];

	memset(&table, 0, sizeof(table));
	table.n_services = POLICY_SERVICES_MAX;
	table.n_routes = POLICY_ROUTES_MAX;
	table.n_hosts = POLICY_HOSTS_MAX;
	service->n_name = POLICY_NAME_MAX;
	service->n_endpoints = POLICY_ENDPOINTS_MAX;
	endpoint->n_addrs = POLICY_ADDRS_MAX;
	endpoint->authority_len = POLICY_HOST_TEXT_MAX;
	for (uint32_t i = 0; i < POLICY_ADDRS_MAX; i++)
		endpoint->addrs[i].family = i % 2 ? AF_INET : AF_INET6;
	endpoint->addrs[0].family = AF_UNIX;
	endpoint->addrs[0].path_len = sizeof(endpoint->addrs[0].path);
}

static void set_services(void)
{
	table.n_services++;
}

static void set_routes(void)
{
	table.n_routes++;
}

static void set_hosts(void)
{
	table.n_hosts++;
}

static void set_service(void)
{
	table.routes[0].service = POLICY_SERVICES_MAX;
}

static void set_service_gone(void)
{
	table.n_services = 0;
}

static void set_name(void)
{
	table.services[0].n_name++;
}

static void set_endpoints(void)
{
	table.services[0].n_endpoints++;
}

static void set_addrs(void)
{
	table.services[0].endpoints[0].n_addrs = POLICY_ADDRS_MAX + 1;
}

static void set_authority(void)
{
	table.services[0].endpoints[0].authority_len = POLICY_HOST_TEXT_MAX + 1;
}

static void set_family(void)
{
	table.services[0].endpoints[POLICY_ENDPOINTS_MAX - 1].addrs[1].family = 0;
}

static void set_path(void)
{
	table.services[0].endpoints[POLICY_ENDPOINTS_MAX - 1].addrs[0].path_len++;
}

static void set_host_text(void)
{
	table.hosts[POLICY_HOSTS_MAX - 1].len = POLICY_HOST_TEXT_MAX + 1;
}

static void set_protocol(void)
{
	table.services[0].protocol = POLICY_N_PROTOCOLS;
}

static void set_trust(void)
{
	table.services[0].trust = POLICY_TRUSTS_MAX;
}

static void set_server_name(void)
{
	table.services[0].endpoints[POLICY_ENDPOINTS_MAX - 1].n_server_name =
		POLICY_SERVER_NAME_MAX + 1;
}

static void set_no_server_name(void)
{
	table.services[0].protocol = POLICY_HTTPS;
}

static void check(void)
{
	table_check(&table);
}

static const struct {
	const char *name;
	void (*set)(void);
} wrong[] = {
	{ "services", set_services },
	{ "routes", set_routes },
	{ "hosts", set_hosts },
	{ "a route's service", set_service },
	{ "no service", set_service_gone },
	{ "name", set_name },
	{ "endpoints", set_endpoints },
	{ "addresses", set_addrs },
	{ "authority", set_authority },
	{ "family", set_family },
	{ "path", set_path },
	{ "host's text", set_host_text },
	{ "protocol", set_protocol },
	{ "trust", set_trust },
	{ "server name", set_server_name },
	{ "no server name", set_no_server_name },
};

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
}

static void an_empty_table_is_one(void **state)
{
	static const struct policy_table empty;

	(void)state;
	table_check(&empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_are_checked),
		cmocka_unit_test(an_empty_table_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
