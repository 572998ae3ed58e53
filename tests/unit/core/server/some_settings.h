/* SPDX-License-Identifier: Apache-2.0 */
/* some_settings.h - for tests of the server: a configuration with one upstream, and small. */
#pragma once

#include "core/server/config.h"
#include "core/server/settings.h"
#include "tests/unit/core/base/base_test.h"

static inline struct settings *some_settings(void)
{
	const struct config_override over[] = { { "upstreams", "http://127.0.0.1:9", "test" } };
	const struct environment_capacity capacity = { .clients = 8, .upstreams = 8 };
	static struct report rep;
	struct settings *settings;
	struct config *config;

	report_init(&rep, NULL);
	assert_int_equal(config_load(NULL, over, ARRAY_SIZE(over), &rep, &config), 0);
	assert_int_equal(settings_create(config, NULL, &capacity, SLICE("gw"), &settings), 0);
	return settings;
}
