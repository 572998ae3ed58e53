/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/policy_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
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

static int path_of(struct slice folder, uint32_t generation, char path[PATH_MAX])
{
	char name[32];

	(void)snprintf(name, sizeof(name), "policy.%u", generation); /* 18 at most. */
	return path_in(folder, name, path);
}

/* --- Writing a file. ------------------------------------------------------------------------- */

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

int policy_store_check(struct slice folder)
{
	char path[PATH_MAX];
	int r = path_in(folder, ".", path); /* Of what is no folder it is not there. */

	return r == 0 && access(path, R_OK | W_OK | X_OK) < 0 ? -errno : r;
}

/* --- Reading one. ---------------------------------------------------------------------------- */

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

/* 0; -ENOENT; -EBADMSG; or -errno. What nobody asks for may be NULL. */
static int read_path(const char *path, struct head *ret_head, uint64_t *ret_accepted_ns,
		     char **ret_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;
	char *bytes = NULL;
	struct stat stat;

	if (fd < 0)
		return -errno;
	r = read_file(fd, ret_head, &bytes);
	if (ret_accepted_ns && fstat(fd, &stat) == 0)
		*ret_accepted_ns = (uint64_t)stat.st_mtim.tv_sec * GW_NS_PER_S +
				   (uint64_t)stat.st_mtim.tv_nsec;
	close(fd);
	if (r == 0 && ret_bytes)
		*ret_bytes = bytes;
	else
		free(bytes);
	return r;
}

/* --- Those before the last one. -------------------------------------------------------------- */

/* The latest first. */
struct older {
	uint32_t n;
	uint32_t generations[POLICY_STORE_MAX - 1];
};

/* Of a file's name; 0: it is none of ours. */
static uint32_t generation_of(const char *name)
{
	struct slice text = slice_of(name);
	uint64_t number;

	if (text.len < sizeof("policy.") || memcmp(name, "policy.", 7) != 0 || name[7] == '0')
		return 0;
	text = slice_make(name + 7, text.len - 7);
	return slice_to_u64(text, &number) == 0 && number <= UINT32_MAX ? (uint32_t)number : 0;
}

/* The one that there is no room for; 0: there is room. */
static uint32_t insert(struct older *older, uint32_t generation)
{
	uint32_t at = older->n, last = 0;

	if (older->n == ARRAY_SIZE(older->generations)) {
		last = older->generations[--at];
		if (generation <= last)
			return generation;
	} else {
		older->n++;
	}
	for (; at > 0 && older->generations[at - 1] < generation; at--)
		older->generations[at] = older->generations[at - 1];
	older->generations[at] = generation;
	return last;
}

/* Those older than 'below'; 'drop' removes the files of more than are kept. 0 or -errno. */
static int find_older(struct slice folder, uint32_t below, bool drop, struct older *ret_older)
{
	char path[PATH_MAX];
	int r = path_in(folder, ".", path);
	DIR *dir = r == 0 ? opendir(path) : NULL;

	if (!dir)
		return r < 0 ? r : -errno;
	ret_older->n = 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		uint32_t generation = generation_of(entry->d_name);
		uint32_t beyond;

		if (generation == 0 || generation >= below)
			continue;
		beyond = insert(ret_older, generation);
		if (drop && beyond && path_of(folder, beyond, path) == 0)
			(void)unlink(path); /* Or the next time. */
	}
	closedir(dir);
	return 0;
}

static bool links_are_unknown(int error)
{
	return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK;
}

/* Its second name, for when it is not the last one any more. A damaged one needs none. */
static int name_last(struct slice folder, const char *last)
{
	struct head head = { 0 };
	char path[PATH_MAX];
	int r = read_path(last, &head, NULL, NULL);

	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	if (r == 0)
		r = path_of(folder, head.generation, path);
	if (r == 0 && unlink(path) < 0 && errno != ENOENT) /* Of a write that was cut short. */
		r = -errno;
	if (r == 0 && link(last, path) < 0 && !links_are_unknown(errno))
		r = -errno;
	return r;
}

/* --- The whole. ------------------------------------------------------------------------------ */

/* As policy.new. */
static int write_fresh(struct slice folder, uint32_t generation, struct slice bytes,
		       char path[PATH_MAX])
{
	struct head head = { .generation = generation,
			     .len = (uint32_t)bytes.len,
			     .sum = sum_of(generation, bytes) };
	int r = path_in(folder, "policy.new", path);

	GW_ASSERT(generation > 0 && bytes.len > 0 && bytes.len <= LEN_MAX);
	memcpy(head.magic, magic, sizeof(magic));
	return r == 0 ? write_file(path, &head, bytes) : r;
}

int policy_store_write(struct slice folder, uint32_t generation, struct slice bytes)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	struct older older;
	int r = path_in(folder, "policy", path);

	if (r == 0)
		r = write_fresh(folder, generation, bytes, fresh);
	if (r == 0)
		r = name_last(folder, path);
	if (r == 0 && rename(fresh, path) < 0)
		r = -errno;
	if (r < 0)
		return r;
	(void)find_older(folder, generation, true, &older); /* It is written, whatever this says. */
	return sync_folder(folder);
}

int policy_store_write_older(struct slice folder, uint32_t generation, struct slice bytes)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	int r = path_of(folder, generation, path);

	if (r == 0)
		r = write_fresh(folder, generation, bytes, fresh);
	return r == 0 && rename(fresh, path) < 0 ? -errno : r;
}

int policy_store_read(struct slice folder, uint32_t *ret_generation, struct slice *ret_bytes)
{
	char path[PATH_MAX], *bytes = NULL;
	struct head head = { 0 };
	int r = path_in(folder, "policy", path);

	if (r == 0)
		r = read_path(path, &head, NULL, &bytes);
	if (r == 0) {
		*ret_generation = head.generation;
		*ret_bytes = slice_make(bytes, head.len);
	}
	return r;
}

/* Also when the name says another one than the file: it was moved by hand. */
static int read_older(struct slice folder, uint32_t generation, struct slice *ret_bytes)
{
	char path[PATH_MAX], *bytes = NULL;
	struct head head = { 0 };
	int r = path_of(folder, generation, path);

	if (r == 0)
		r = read_path(path, &head, NULL, &bytes);
	if (r == 0 && head.generation != generation) {
		free(bytes);
		return -EBADMSG;
	}
	if (r == 0)
		*ret_bytes = slice_make(bytes, head.len);
	return r;
}

int policy_store_read_one(struct slice folder, uint32_t generation, struct slice *ret_bytes)
{
	uint32_t last = 0;
	struct slice bytes;
	int r = policy_store_read(folder, &last, &bytes);

	if (r == 0 && last == generation) {
		*ret_bytes = bytes;
		return 0;
	}
	if (r == 0)
		free((void *)(uintptr_t)bytes.ptr);
	if (r == 0 && generation > last)
		return -ENOENT;
	return read_older(folder, generation, ret_bytes);
}

/* False: there is none, or not even its generation is known. */
static bool look_at(const char *path, uint32_t generation, struct policy_stored *ret)
{
	struct policy_stored found = { 0 };
	struct head head = { 0 };
	int r = read_path(path, &head, &found.accepted_ns, NULL);

	if (r == -ENOENT)
		return false;
	found.generation = generation ? generation : head.generation;
	found.len = r == 0 && head.generation == found.generation ? head.len : 0;
	*ret = found;
	return generation != 0 || r == 0;
}

int policy_store_list(struct slice folder, struct policy_stored ret[POLICY_STORE_MAX])
{
	struct older older = { 0 };
	char path[PATH_MAX];
	int n = 0, r = path_in(folder, "policy", path);

	if (r < 0)
		return r;
	n += look_at(path, 0, &ret[n]);
	r = find_older(folder, n ? ret[0].generation : UINT32_MAX, false, &older);
	for (uint32_t i = 0; r == 0 && i < older.n; i++) {
		r = path_of(folder, older.generations[i], path);
		n += r == 0 && look_at(path, older.generations[i], &ret[n]);
	}
	return r < 0 ? r : n;
}

uint32_t policy_store_newest(struct slice folder)
{
	struct older older = { 0 };
	uint32_t last = 0;
	struct slice bytes;

	if (policy_store_read(folder, &last, &bytes) == 0)
		free((void *)(uintptr_t)bytes.ptr);
	if (find_older(folder, UINT32_MAX, false, &older) == 0 && older.n &&
	    older.generations[0] > last)
		last = older.generations[0];
	return last;
}
