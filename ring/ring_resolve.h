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

/* 'status' is 0 with n_addrs >= 1 (ports set as asked), or -ENOENT, -ETIMEDOUT, -EIO, -ECANCELED. */
typedef void ring_resolved_fn(void *owner, int status, const struct ring_addr *addrs,
			      uint32_t n_addrs, uint32_t ttl_s);

GW_MUST_USE int ring_resolver_open(struct ring *ring, struct ring_resolver **ret_resolver);

/* Cancels what is open (each question is answered -ECANCELED) and frees. */
void ring_resolver_free(struct ring_resolver *resolver);

/* 0 (the answer comes later, never from inside), -EBUSY (too many), -EINVAL (no valid host name). */
GW_MUST_USE int ring_resolve(struct ring_resolver *resolver, struct slice host, uint16_t port,
			     ring_resolved_fn *fn, void *owner);
