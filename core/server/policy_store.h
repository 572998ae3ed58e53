/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_store.h - the policy that was accepted last, on disk.
 *
 * A write is whole or has not happened: a new file, synced, takes the old one's place, and the
 * folder is synced. What a read finds damaged is told so and never used.
 *
 * Threads: waits for the disk: not for a worker.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

/* 'bytes' is msgpack. 0 or -errno, and the old one stays. */
GW_MUST_USE int policy_store_write(struct slice folder, uint32_t generation, struct slice bytes);

/* 0, and *ret_bytes is malloced; -ENOENT: there is none; -EBADMSG: it is damaged; or -errno. */
GW_MUST_USE int policy_store_read(struct slice folder, uint32_t *ret_generation,
				  struct slice *ret_bytes);
