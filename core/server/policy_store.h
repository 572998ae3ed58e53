/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_store.h - the policies that were accepted last, on disk.
 *
 *     policy             the last one: a restart begins with it
 *     policy.GENERATION  those before it: POLICY_STORE_MAX with the last one, the oldest go
 *     policy.new         one that is being written
 *
 * A write is whole or has not happened: a new file, synced, takes the last one's place, and the
 * folder is synced. Before that the last one gets its second name; a kill in between leaves both
 * names to the same policy, and only the first one counts. So what a policy.GENERATION holds that
 * is not older than the last one is passed over. What a read finds damaged is told so and never
 * used.
 *
 * When one was accepted is its file's time of modification: a copy of the folder keeps it.
 *
 * Threads: waits for the disk: not for a worker. One at a time per folder.
 */
#pragma once

#include <stdbool.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

enum { POLICY_STORE_MAX = 16 };

struct policy_stored {
	uint32_t generation;
	uint32_t len;         /* Of its bytes. 0: it is damaged. */
	uint64_t accepted_ns; /* Since 1970. */
};

/* Can policies be kept there? 0 or -errno. */
GW_MUST_USE int policy_store_check(struct slice folder);

/*
 * 'bytes' is msgpack. 0; or -errno, and the last one stays. On a file system without links none
 * are kept but the last one.
 */
GW_MUST_USE int policy_store_write(struct slice folder, uint32_t generation, struct slice bytes);

/*
 * One that was in force although it was never accepted, among those before the next one that is
 * written. 0 or -errno.
 */
GW_MUST_USE int policy_store_write_older(struct slice folder, uint32_t generation,
					 struct slice bytes);

/* 0, and *ret_bytes is malloced; -ENOENT: there is none; -EBADMSG: it is damaged; or -errno. */
GW_MUST_USE int policy_store_read(struct slice folder, uint32_t *ret_generation,
				  struct slice *ret_bytes);

/* The same, of any that is kept. */
GW_MUST_USE int policy_store_read_one(struct slice folder, uint32_t generation,
				      struct slice *ret_bytes);

/*
 * All that are kept, each one read, the latest first. How many, or -errno. A last one whose
 * generation cannot be read is not among them.
 */
GW_MUST_USE int policy_store_list(struct slice folder, struct policy_stored ret[POLICY_STORE_MAX]);

/* The highest generation that is kept or was; 0: none. */
uint32_t policy_store_newest(struct slice folder);
