/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_replaced.h - keys of the configuration that are for upstreams given by --upstream: a
 * policy has its own for the same, and while one is in force these do nothing.
 *
 * Threads: pure functions.
 */
#pragma once

#include "core/document/document.h"
#include "core/server/config.h"

/* Which of them a file says: bits for config.replaced. NULL: there is no file. */
uint32_t config_replaced_find(const struct document_node *root);

/* Adds each one that the configuration's file says, with the key of a policy that counts. */
void config_replaced_warn(const struct config *config, struct report *rep);
