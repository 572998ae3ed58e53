/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/table.h"

#include <sys/socket.h>

static void endpoint_check(const struct policy_endpoint *endpoint, bool tls)
{
	GW_ASSERT(endpoint->n_server_name <= POLICY_SERVER_NAME_MAX);
	GW_ASSERT(!tls || endpoint->n_server_name > 0);
	GW_ASSERT(endpoint->n_addrs <= POLICY_ADDRS_MAX);
	GW_ASSERT(endpoint->authority_len <= POLICY_HOST_TEXT_MAX);
	for (uint16_t i = 0; i < endpoint->n_addrs; i++) {
		uint8_t family = endpoint->addrs[i].family;

		GW_ASSERT(family == AF_INET || family == AF_INET6 || family == AF_UNIX);
		GW_ASSERT(endpoint->addrs[i].path_len <= sizeof(endpoint->addrs[i].path));
	}
}

void table_check(const struct policy_table *table)
{
	GW_ASSERT(table->n_services <= POLICY_SERVICES_MAX);
	GW_ASSERT(table->n_routes <= POLICY_ROUTES_MAX);
	GW_ASSERT(table->n_hosts <= POLICY_HOSTS_MAX);
	for (uint16_t i = 0; i < table->n_hosts; i++)
		GW_ASSERT(table->hosts[i].len <= POLICY_HOST_TEXT_MAX);
	for (uint16_t i = 0; i < table->n_routes; i++)
		GW_ASSERT(table->routes[i].service < table->n_services);
	for (uint16_t i = 0; i < table->n_services; i++) {
		const struct policy_service *service = &table->services[i];

		GW_ASSERT(service->n_name <= POLICY_NAME_MAX);
		GW_ASSERT(service->n_endpoints <= POLICY_ENDPOINTS_MAX);
		GW_ASSERT(service->protocol < POLICY_N_PROTOCOLS);
		GW_ASSERT(service->trust < POLICY_TRUSTS_MAX);
		for (uint16_t j = 0; j < service->n_endpoints; j++)
			endpoint_check(&service->endpoints[j], policy_is_tls(service->protocol));
	}
}
