/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/policy_store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/hash.h"

/* In front of the bytes, in this machine's byte order: it is not carried elsewhere. */
struct head {
	char magic[8];
	uint32_t generation;
	uint32_t len;
	uint64_t sum; /* Of the bytes, with the generation as its key. */
};

enum { LEN_MAX = 64 << 20 };

static const char magic[8] = "sluicep1";

static uint64_t sum_of(uint32_t generation, struct slice bytes)
{
	return hash_sip((struct hash_key){ generation, bytes.len }, bytes);
}

static int path_in(struct slice folder, const char *name, char path[PATH_MAX])
{
	int len = snprintf(path, PATH_MAX, "%.*s/%s", (int)folder.len, folder.ptr, name);

	return len > 0 && len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n < 0 ? 0 : n;
		len -= n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

static int write_file(const char *path, const struct head *head, struct slice bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	int r = fd < 0 ? -errno : 0;

	if (fd < 0)
		return r;
	r = write_all(fd, head, sizeof(*head));
	if (r == 0)
		r = write_all(fd, bytes.ptr, bytes.len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

static int sync_folder(struct slice folder)
{
	char path[PATH_MAX];
	int r = path_in(folder, ".", path), fd;

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

int policy_store_write(struct slice folder, uint32_t generation, struct slice bytes)
{
	struct head head = { .generation = generation,
			     .len = (uint32_t)bytes.len,
			     .sum = sum_of(generation, bytes) };
	char path[PATH_MAX], fresh[PATH_MAX];
	int r = path_in(folder, "policy", path);

	GW_ASSERT(bytes.len > 0 && bytes.len <= LEN_MAX);
	memcpy(head.magic, magic, sizeof(magic));
	if (r == 0)
		r = path_in(folder, "policy.new", fresh);
	if (r == 0)
		r = write_file(fresh, &head, bytes);
	if (r == 0 && rename(fresh, path) < 0)
		r = -errno;
	return r == 0 ? sync_folder(folder) : r;
}

/* Exactly so many bytes, and then the end of the file. */
static int read_all(int fd, char *bytes, size_t len)
{
	char beyond;

	while (len > 0) {
		ssize_t n = read(fd, bytes, len);

		if (n == 0)
			return -EBADMSG;
		if (n < 0 && errno != EINTR)
			return -errno;
		bytes += n < 0 ? 0 : n;
		len -= n < 0 ? 0 : (size_t)n;
	}
	return read(fd, &beyond, 1) == 0 ? 0 : -EBADMSG;
}

static int read_file(int fd, struct head *head, char **ret_bytes)
{
	ssize_t n = read(fd, head, sizeof(*head));
	char *bytes;
	int r;

	if (n != sizeof(*head) || memcmp(head->magic, magic, sizeof(magic)) != 0 ||
	    head->len == 0 || head->len > LEN_MAX)
		return n < 0 ? -errno : -EBADMSG;
	bytes = malloc(head->len);
	if (!bytes)
		return -ENOMEM;
	r = read_all(fd, bytes, head->len);
	if (r == 0 && head->sum != sum_of(head->generation, slice_make(bytes, head->len)))
		r = -EBADMSG;
	if (r < 0)
		free(bytes);
	else
		*ret_bytes = bytes;
	return r;
}

int policy_store_read(struct slice folder, uint32_t *ret_generation, struct slice *ret_bytes)
{
	char path[PATH_MAX], *bytes = NULL;
	struct head head;
	int fd, r = path_in(folder, "policy", path);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = read_file(fd, &head, &bytes);
	close(fd);
	if (r == 0) {
		*ret_generation = head.generation;
		*ret_bytes = slice_make(bytes, head.len);
	}
	return r;
}
