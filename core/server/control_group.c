/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/control_group.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>

#include "core/base/writer.h"

enum { NAMES_SIZE = 16 * 1024 };

static void add_member(struct control_group *group, const char *name)
{
	struct passwd entry, *found = NULL;
	char names[NAMES_SIZE];

	if (group->n_members < CONTROL_MEMBERS_MAX &&
	    getpwnam_r(name, &entry, names, sizeof(names), &found) == 0 && found)
		group->members[group->n_members++] = entry.pw_uid;
}

int control_group_find(struct slice name, struct control_group *ret_group)
{
	struct group entry, *found = NULL;
	char names[NAMES_SIZE], text[64];
	struct writer w = writer_make(text, sizeof(text) - 1);
	int r;

	*ret_group = (struct control_group){ 0 };
	if (name.len == 0)
		return 0;
	writer_put(&w, name);
	*w.ptr = '\0';
	if (w.overflow)
		return -ESRCH;
	r = getgrnam_r(text, &entry, names, sizeof(names), &found);
	if (r || !found)
		return r ? -r : -ESRCH;
	ret_group->is_set = true;
	ret_group->gid = entry.gr_gid;
	for (char **member = entry.gr_mem; *member; member++)
		add_member(ret_group, *member);
	return 0;
}

bool control_group_has(const struct control_group *group, uid_t uid, gid_t gid)
{
	if (!group->is_set)
		return false;
	if (gid == group->gid)
		return true;
	for (uint32_t i = 0; i < group->n_members; i++)
		if (group->members[i] == uid)
			return true;
	return false;
}
