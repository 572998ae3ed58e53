/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.h - the admin listener: /metrics, /livez, /readyz.
 *
 * GET and HEAD only. /livez says that the control thread turns; /readyz says
 * 503 with the reason while the gateway should get no traffic; /metrics is
 * Prometheus text 0.0.4. The page has no secrets and takes no orders, yet it is
 * meant for loopback or a trusted network: there is no authentication.
 *
 * Ownership: admin_open() makes it; close, wait until quiet, free (local.h).
 *
 * Threads: the control thread's.
 */
#pragma once

#include "core/base/growbuf.h"
#include "core/base/gw_assert.h"
#include "ring/ring_net.h"

struct admin;
struct proxy;

/* Where the answers come from; copied. Both run on the control thread. */
struct admin_source {
	void *owner;
	void (*metrics)(void *owner, struct growbuf *out);
	const char *(*unready)(void *owner); /* "starting", "draining"; NULL: ready. */
};

/* 0; -ENOMEM; or what ring_listen() says, e.g. -EADDRINUSE. 'proxy' outlives it. */
GW_MUST_USE int admin_open(struct proxy *proxy, const struct ring_addr *addr,
			   const struct admin_source *source, struct admin **ret_admin);

/* What it is bound to: port 0 has become a real one. */
const struct ring_addr *admin_addr(const struct admin *admin);

/* Stop listening and cut all connections; admin_is_quiet() some turns later. */
void admin_close(struct admin *admin);
bool admin_is_quiet(const struct admin *admin);

/* Only when quiet. */
void admin_free(struct admin *admin);
