/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - a configuration as the workers use it: proxy options and trusted networks.
 *
 * Made at start and on every reload. The slices in the options point into the
 * configuration, so both live and die together.
 *
 * Threads: built by the control thread, then read by all.
 */
#pragma once

#include "core/base/list.h"
#include "core/proxy/proxy.h"
#include "core/server/certs.h"
#include "core/server/config.h"
#include "core/server/environment.h"
#include "core/server/worker.h"

struct settings {
	struct list_node link;
	struct config *config; /* Owned, both. */
	struct certs *certs;   /* NULL: nobody speaks TLS. */
	struct proxy_options options;
};

/* Takes 'config' and 'certs', also when it fails. 'via' outlives the settings. 0 or -ENOMEM. */
GW_MUST_USE int settings_create(struct config *config, struct certs *certs,
				const struct environment_capacity *capacity, struct slice via,
				struct settings **ret_settings);
void settings_free(struct settings *settings);

/* The listeners of a configuration, with their networks, as one piece to be freed. 0 or -ENOMEM. */
GW_MUST_USE int settings_listeners(const struct config *config,
				   struct worker_listener **ret_listeners);
