/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upgrade.h - what a connection may be turned into behind a request (RFC 9110 7.8).
 *
 * A protocol is passed on only when it is one of HTTP_UPGRADES: under its own name,
 * printed by us, and alone. Everything else that Upgrade names is not for the next
 * hop, and is ignored (rows X07, X11, X12 of tests/vectors).
 *
 * Threads: none; pure.
 */
#pragma once

#include "core/http/head.h"

/* What a sound request asks for: the first protocol of its list that we know, or NONE. */
enum http_upgrade upgrade_asked(const struct http_head *head);

/* Whether a 101 switches to exactly that: it says so in Upgrade and in Connection. */
bool upgrade_is_to(const struct http_head *head, enum http_upgrade asked);

/* "websocket"; not for NONE. */
struct slice upgrade_token(enum http_upgrade upgrade);
