/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/config_replaced.h"

#include <assert.h>

#include "core/base/writer.h"

/* timeouts.write_stall is not among them: it is of clients, too. */
static const struct {
	const char *section, *key; /* No section: the key is at the top. */
	const char *instead;
} keys[] = {
	{ NULL, "allowed_hosts", "routes[].match.hosts" },
	{ NULL, "upgrades", "routes[].upgrades" },
	{ "timeouts", "connect", "services.NAME.timeouts.connect" },
	{ "timeouts", "response_head", "services.NAME.timeouts.response_head" },
	{ "timeouts", "body_idle", "services.NAME.timeouts.idle" },
	{ "timeouts", "tunnel_idle", "services.NAME.timeouts.tunnel_idle" },
	{ "pool", "max_idle_per_upstream", "services.NAME.pool.max_idle" },
	{ "pool", "idle_timeout", "services.NAME.pool.idle_timeout" },
	{ "pool", "max_requests", "services.NAME.pool.max_requests" },
};

static_assert(ARRAY_SIZE(keys) <= 32, "one bit each");

/* Null is not said. */
static const struct document_node *get(const struct document_node *map, const char *key)
{
	const struct document_node *node =
		map && map->kind == DOCUMENT_MAP ? document_get(map, slice_of(key)) : NULL;

	return node && node->kind != DOCUMENT_NULL ? node : NULL;
}

uint32_t config_replaced_find(const struct document_node *root)
{
	uint32_t found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (get(keys[i].section ? get(root, keys[i].section) : root, keys[i].key))
			found |= 1u << i;
	return found;
}

void config_replaced_warn(const struct config *config, struct report *rep)
{
	static const struct report_place nowhere;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char path[64];
		struct writer w = writer_make(path, sizeof(path));

		if (!(config->replaced & 1u << i))
			continue;
		if (keys[i].section) {
			writer_put(&w, slice_of(keys[i].section));
			writer_char(&w, '.');
		}
		writer_put(&w, slice_of(keys[i].key));
		GW_ASSERT(!w.overflow);
		report_add(rep, REPORT_SEMANTIC, nowhere, writer_slice(&w),
			   "has no effect: it is for --upstream, and a policy says where requests "
			   "go; there it is %s",
			   keys[i].instead);
	}
}
