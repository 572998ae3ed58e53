/* SPDX-License-Identifier: Apache-2.0 */
/* Where the control socket is, and who gets there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/server/control.h"

static int open_folder(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The mode that was asked for, whatever the umask has made of it. */
static void make_searchable(const char *path)
{
	int fd = open_folder(path);

	if (fd < 0)
		return;         /* Somebody has taken it away again: the socket will say so. */
	(void)fchmod(fd, 0750); /* Else the group stays outside, which control_share() tells. */
	close(fd);
}

/* 'folder'/sluice/control.sock if a socket can be made there; its length or 0. */
static size_t path_in(const char *folder, char path[CONTROL_PATH_MAX])
{
	int len = snprintf(path, CONTROL_PATH_MAX, "%s/sluice", folder);

	if (len < 0 || (size_t)len + sizeof("/control.sock") > CONTROL_PATH_MAX)
		return 0;
	if (mkdir(path, 0750) == 0)
		make_searchable(path);
	else if (errno != EEXIST)
		return 0;
	if (access(path, W_OK | X_OK) < 0)
		return 0;
	memcpy(path + len, "/control.sock", sizeof("/control.sock"));
	return (size_t)len + sizeof("/control.sock") - 1;
}

size_t control_path(struct slice configured, char path[CONTROL_PATH_MAX], const char **ret_why)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	size_t len = 0;

	*ret_why = NULL;
	if (!slice_eq(configured, SLICE("auto"))) {
		GW_ASSERT(configured.len < CONTROL_PATH_MAX);
		if (configured.len)
			memcpy(path, configured.ptr, configured.len);
		path[configured.len] = '\0';
		return configured.len;
	}
	len = path_in("/run", path);
	if (len == 0 && runtime && runtime[0] == '/')
		len = path_in(runtime, path);
	if (len == 0)
		*ret_why = "neither /run/sluice nor $XDG_RUNTIME_DIR/sluice can be written";
	return len;
}

const char *control_obstacle(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0 || S_ISSOCK(st.st_mode))
		return NULL;
	if (S_ISLNK(st.st_mode))
		return "a symbolic link is there: remove it, or name its target";
	if (S_ISDIR(st.st_mode))
		return "a folder is there: name a file in it, or another place";
	return S_ISREG(st.st_mode) ? "a regular file is there: remove it, or name another place"
				   : "something that is no socket is there: name another place";
}

static const char *share(int fd, gid_t gid)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return strerror(errno);
	if (st.st_mode & 0001)
		return NULL; /* Everybody gets there. */
	if (!(st.st_mode & 0010))
		return "the folder's mode keeps its group out";
	if (st.st_gid == gid)
		return NULL;
	if (st.st_uid != geteuid() || st.st_gid != getegid())
		return "the folder is somebody else's";
	if (st.st_mode & 0020)
		return "the folder's group may write there, and would be another";
	return fchown(fd, (uid_t)-1, gid) < 0 ? strerror(errno) : NULL;
}

const char *control_share(const char *folder, gid_t gid)
{
	int fd = open_folder(folder);
	const char *why;

	if (fd < 0)
		return strerror(errno);
	why = share(fd, gid);
	close(fd);
	return why;
}
