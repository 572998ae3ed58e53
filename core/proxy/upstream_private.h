/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_private.h - between the files of upstream.h: upstream.c (calls, connecting,
 * tables), upstream_pool.c (states, idling) and upstream_codec.c (codecs).
 *
 * Threads: the worker's.
 */
#pragma once

#include "core/base/metric.h"
#include "core/proxy/upstream.h"

struct proxy_endpoint;

/* --- upstream.c ------------------------------------------------------------------------------ */

/* It is there: all that have waited get their streams. */
void upstream_serve(struct upstream *u);
/* It is given up before that: they hear why. */
void upstream_fail(struct upstream *u, enum reason reason, uint8_t tls_failure);

/* --- upstream_pool.c ------------------------------------------------------------------------- */

struct proxy_endpoint *upstream_endpoint(const struct upstream *u);
void upstream_enter(struct upstream *u, enum upstream_state next);
/* HTTP/2: it takes no more requests. */
void upstream_unlist(struct upstream *u);
/* Give a connection up that nobody uses. */
void upstream_drop(struct upstream *u, enum metric_pool_close why);
/* Those that are too many go, in time. */
void upstream_trim(struct proxy *proxy, const struct upstream *of);
void upstream_idle_expired(struct upstream *u);
/* May what was made to it then be used for it now? */
bool upstream_is_current(const struct upstream *u);
/* A place is free only when the connection has closed: before the last one is needed. */
void upstream_keep_room(struct proxy *proxy);
/* Its peer has closed it while it idled, and will do so again. */
void upstream_learn(struct upstream *u);
void upstream_free(struct upstream *u);

/* --- upstream_codec.c ------------------------------------------------------------------------ */

/* It has connected: its codec begins, and upstream_serve() follows. REASON_NONE, or why it cannot. */
enum reason upstream_speak(struct upstream *u);
/* There is a place for another stream on it. */
bool upstream_has_room(const struct upstream *u);
/* HTTP/2: no stream can be made, whatever the connection. */
bool upstream_is_crowded(const struct proxy *proxy, uint16_t service);
/* A stream on it, or NULL. */
struct stream *upstream_open_stream(struct upstream *u);
/* End its codec; it is CLOSING. */
void upstream_hang_up(struct upstream *u);
/* HTTP/2, while in use: it has been silent for too long. */
void upstream_busy_expired(struct upstream *u);
/* Many requests share one connection. */
static inline bool upstream_shares(const struct upstream *u)
{
	return u->protocol == POLICY_H2 || u->protocol == POLICY_H2C;
}
/* A stream on a connection that is there, or NULL. */
struct stream *upstream_take(struct proxy_endpoint *endpoint, struct upstream_call *call);
/* Of TLS 1.x the minor version, 0 in the clear. */
uint8_t upstream_tls(const struct upstream *u);
