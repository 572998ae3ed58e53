/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_group.h - the group whose members may use the control socket, as it was at the start.
 *
 * Threads: looked up by one that may wait, then read by any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

enum { CONTROL_MEMBERS_MAX = 64 };

/* Zeroed: nobody. */
struct control_group {
	bool is_set;
	gid_t gid;
	uint32_t n_members;
	uid_t members[CONTROL_MEMBERS_MAX];
};

/* Without a name: nobody. 0; -ESRCH: there is no such group; or -errno. */
GW_MUST_USE int control_group_find(struct slice name, struct control_group *ret_group);

/* Is it a process of a member? */
bool control_group_has(const struct control_group *group, uid_t uid, gid_t gid);
