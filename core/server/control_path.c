/* SPDX-License-Identifier: Apache-2.0 */
/* Where the control socket is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/server/control.h"

/* 'folder'/sluice/control.sock if a socket can be made there; its length or 0. */
static size_t path_in(const char *folder, char path[CONTROL_PATH_MAX])
{
	int len = snprintf(path, CONTROL_PATH_MAX, "%s/sluice", folder);

	if (len < 0 || (size_t)len + sizeof("/control.sock") > CONTROL_PATH_MAX)
		return 0;
	if (mkdir(path, 0750) < 0 && errno != EEXIST)
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
