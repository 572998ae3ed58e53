/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_setup.h - how an io_uring is asked for: flags, sizes, restrictions.
 *
 * Used by the ring itself and by the probe, so that both ask for the same.
 *
 * Threads: ring_setup() and ring_setup_restrict() any one thread,
 * ring_setup_enable() the thread that will own the ring.
 */
#pragma once

#include <liburing.h>

#include <stdint.h>

#include "core/base/gw_assert.h"

/*
 * A disabled ring, as large as the system grants. 0; -EPERM, -ENOMEM, -ENOSYS
 * as ring_open(); -ENOTSUP when the kernel lacks the baseline of Linux 6.1.
 * On failure ret_uring->ring_fd is -1.
 */
GW_MUST_USE int ring_setup(uint32_t feature_mask, struct io_uring *ret_uring);

/* What this ring can do: 1 << ring_feature_bit, without the masked ones. */
uint32_t ring_setup_features(const struct io_uring *uring, uint32_t feature_mask);

/* Flags that every waiting io_uring_enter(2) of this ring should carry. */
uint32_t ring_setup_enter_flags(const struct io_uring *uring, uint32_t feature_mask);

/* Allow the operations of this folder and nothing else, from enabling on. 0 or -errno. */
GW_MUST_USE int ring_setup_restrict(struct io_uring *uring);

/* Bind to the calling thread. 0 or -errno. */
GW_MUST_USE int ring_setup_enable(struct io_uring *uring);
