/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_resolve.h - names to addresses without blocking (c-ares over the ring).
 *
 * For the control thread's ring only: the resolver allocates. One resolver per
 * ring, any number of questions up to RING_RESOLVE_MAX at a time.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "ring/ring_net.h"

enum { RING_RESOLVE_MAX = 64, RING_RESOLVE_ADDRS = 32 };

struct ring_resolver;
struct ring_question;

/*
 * 'status' is 0 with n_addrs >= 1 (ports set as asked), or -ENOENT, -ETIMEDOUT,
 * -EIO, -ECANCELED. 'ttl_s' is the smallest of the answer; 0 from /etc/hosts.
 */
typedef void ring_resolved_fn(void *owner, int status, const struct ring_addr *addrs,
			      uint32_t n_addrs, uint32_t ttl_s);

struct ring_resolver_options {
	const char *servers; /* "1.2.3.4:53,[::1]:53"; NULL: those of /etc/resolv.conf. */
	uint32_t timeout_ms; /* Of the first try; later ones wait longer. 0: 2,000. */
	uint32_t tries;      /* Per server; 0: 3. */
};

/* Reads the system's configuration (resolv.conf, nsswitch). 0, -ENOMEM, -EINVAL or -EIO. */
GW_MUST_USE int ring_resolver_open(struct ring *ring, const struct ring_resolver_options *opt,
				   struct ring_resolver **ret_resolver);

/*
 * Answers each open question -ECANCELED, at once. The memory goes with the last
 * answer of its operations, some turns later.
 */
void ring_resolver_free(struct ring_resolver *resolver);

/*
 * 0 (the answer comes later, never from inside), -EBUSY (too many), -ENOMEM,
 * -EINVAL (no valid host name).
 */
GW_MUST_USE int ring_resolve(struct ring_resolver *resolver, struct slice host, uint16_t port,
			     ring_resolved_fn *fn, void *owner);
