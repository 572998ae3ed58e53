/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/config_check.h"

#include "core/document/path.h"

static const struct report_place nowhere;

static void check_listeners(const struct config *config, struct report *rep)
{
	char path[REPORT_PATH_MAX], shown[PATH_SHOWN_MAX];

	for (uint32_t i = 0; i < config->n_listeners; i++) {
		struct slice address = config->listeners[i].address;
		struct writer w = writer_make(path, sizeof(path));
		bool is_any = slice_ends_with(address, SLICE(":0"));

		writer_lit(&w, "listeners");
		path_put_index(&w, i);
		writer_lit(&w, ".address");
		for (uint32_t j = 0; j < i && !is_any; j++)
			if (slice_eq(address, config->listeners[j].address))
				report_add(rep, REPORT_SEMANTIC, nowhere, writer_slice(&w),
					   "%s is also the address of listeners[%u]",
					   path_show(address, shown), j);
		if (slice_eq(address, config->admin.address) && !is_any)
			report_add(rep, REPORT_SEMANTIC, nowhere, writer_slice(&w),
				   "%s is also the address of admin", path_show(address, shown));
	}
}

static void check_upstream_tls(const struct config *config, struct report *rep)
{
	const struct config_upstream_tls *tls = &config->upstream_tls;

	if (!tls->cert.len != !tls->key.len)
		report_add(rep, REPORT_SEMANTIC, nowhere, SLICE("upstream_tls"),
			   "cert and key are one pair: both or neither");
}

void config_check(const struct config *config, struct report *rep)
{
	check_listeners(config, rep);
	check_upstream_tls(config, rep);
}
