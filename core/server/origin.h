/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.h - the built-in origin of --demo: something to proxy to, at once.
 *
 * It answers GET and HEAD with a short text that says what Sluice is and what
 * came through the gateway (method, length of the path, X-Forwarded-For and
 * X-Request-Id, escaped), and other methods with the bytes that it has read.
 * Bound to 127.0.0.1 and a port of the kernel's choice.
 *
 * Ownership: origin_open() makes it; close, wait until quiet, free (local.h).
 *
 * Threads: the control thread's.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "ring/ring_net.h"

struct origin;
struct proxy;

/* 0; -ENOMEM; or what ring_listen() says. 'proxy' outlives it. */
GW_MUST_USE int origin_open(struct proxy *proxy, struct origin **ret_origin);

/* Where to send requests to. */
const struct ring_addr *origin_addr(const struct origin *origin);

/* Stop listening and cut all connections; origin_is_quiet() some turns later. */
void origin_close(struct origin *origin);
bool origin_is_quiet(const struct origin *origin);

/* Only when quiet. */
void origin_free(struct origin *origin);
