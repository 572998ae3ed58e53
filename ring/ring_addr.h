/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_addr.h - addresses as the kernel wants them; for this folder only.
 *
 * Threads: pure functions.
 */
#pragma once

#include <sys/socket.h>

#include "core/base/gw_assert.h"
#include "ring/ring_net.h"

/* Fills *ret_storage and returns how much of it counts. addr->family must be set. */
socklen_t ring_addr_to_sockaddr(const struct ring_addr *addr, struct sockaddr_storage *ret_storage);

/* Family 0 for what ring_addr cannot hold. */
void ring_addr_from_sockaddr(const struct sockaddr_storage *storage, socklen_t len,
			     struct ring_addr *ret_addr);
