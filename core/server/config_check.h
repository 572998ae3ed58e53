/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_check.h - what is wrong with a configuration whose single values are all good.
 *
 * Threads: pure functions.
 */
#pragma once

#include "core/server/config.h"

/* Adds to the report what does not go together. */
void config_check(const struct config *config, struct report *rep);
