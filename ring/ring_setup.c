/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_setup.c - how an io_uring is asked for: flags, sizes, restrictions.
 *
 * The submission queue's index array is the one part of the baseline that newer
 * kernels can leave out; the ring is first asked for without it. Sizes shrink
 * while the kernel has no memory for them, because rings count against
 * RLIMIT_MEMLOCK on newer kernels and a small ring is better than none.
 */
#include "ring/ring_setup.h"

#include <errno.h>
#include <sys/utsname.h>

#include "core/base/slice.h"
#include "ring/ring_feature.h"
#include "ring/ring_internal.h"

enum {
	/* Newer than the headers of the oldest library we build with. */
	SETUP_NO_SQARRAY = 1u << 16,
	FEAT_NO_IOWAIT = 1u << 17,
	ENTER_NO_IOWAIT = 1u << 7,

	BASELINE = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
		   IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED,
};

static const struct {
	uint32_t sq, cq;
} sizes[] = {
	{ RING_SQ_SIZE, RING_CQ_SIZE }, { 512, 4096 }, { 256, 2048 }, { 128, 512 }, { 64, 256 },
};

/* A descriptor and its parameters, or -errno. */
static int ask(uint32_t sq, uint32_t cq, bool no_array, struct io_uring_params *ret_params)
{
	*ret_params = (struct io_uring_params){
		.flags = BASELINE | (no_array ? SETUP_NO_SQARRAY : 0),
		.cq_entries = cq,
	};
	return io_uring_setup(sq, ret_params);
}

static int ask_smaller(bool no_array, struct io_uring_params *ret_params)
{
	int fd = -ENOMEM;

	for (size_t i = 0; i < ARRAY_SIZE(sizes) && fd == -ENOMEM; i++)
		fd = ask(sizes[i].sq, sizes[i].cq, no_array, ret_params);
	return fd;
}

static void fill_array(struct io_uring *uring)
{
	for (uint32_t i = 0; uring->sq.array && i < uring->sq.ring_entries; i++)
		uring->sq.array[i] = i;
}

int ring_setup(uint32_t feature_mask, struct io_uring *ret_uring)
{
	bool no_array = !(feature_mask & 1u << RING_FEATURE_BIT_NO_SQARRAY);
	struct io_uring_params params;
	int r, fd = ask_smaller(no_array, &params);

	if (fd == -EINVAL && no_array)
		fd = ask_smaller(false, &params);
	ret_uring->ring_fd = -1;
	if (fd < 0)
		return fd == -EINVAL ? -ENOTSUP : fd;

	r = io_uring_queue_mmap(fd, &params, ret_uring);
	if (r < 0) {
		close(fd);
		ret_uring->ring_fd = -1;
		return r;
	}
	/* The library sets the rest only when it asks for the ring by itself. */
	ret_uring->ring_fd = fd;
	ret_uring->enter_ring_fd = fd;
	ret_uring->flags = params.flags;
	ret_uring->features = params.features;
	if (!(params.flags & SETUP_NO_SQARRAY))
		fill_array(ret_uring);
	return 0;
}

static bool release_is_at_least(unsigned major, unsigned minor)
{
	struct utsname name;
	unsigned long is_major, is_minor = 0;
	char *end;

	if (uname(&name) < 0)
		return false;
	is_major = strtoul(name.release, &end, 10);
	if (*end == '.')
		is_minor = strtoul(end + 1, NULL, 10);
	return is_major > major || (is_major == major && is_minor >= minor);
}

uint32_t ring_setup_features(const struct io_uring *uring, uint32_t feature_mask)
{
	uint32_t features = 0;

	if (uring->flags & SETUP_NO_SQARRAY)
		features |= 1u << RING_FEATURE_BIT_NO_SQARRAY;
	if (release_is_at_least(6, 12))
		features |= 1u << RING_FEATURE_BIT_RECV_FAIR;
	if (uring->features & FEAT_NO_IOWAIT)
		features |= 1u << RING_FEATURE_BIT_NO_IOWAIT;
	return features & ~feature_mask;
}

uint32_t ring_setup_enter_flags(const struct io_uring *uring, uint32_t feature_mask)
{
	uint32_t features = ring_setup_features(uring, feature_mask);

	return (features & 1u << RING_FEATURE_BIT_NO_IOWAIT) ? ENTER_NO_IOWAIT : 0;
}

int ring_setup_restrict(struct io_uring *uring)
{
	static const uint8_t ops[] = {
		IORING_OP_RECV,    IORING_OP_SEND,         IORING_OP_ACCEPT,
		IORING_OP_CONNECT, IORING_OP_POLL_ADD,     IORING_OP_ASYNC_CANCEL,
		IORING_OP_CLOSE,   IORING_OP_FILES_UPDATE, IORING_OP_MSG_RING,
	};
	static const uint8_t registers[] = {
		IORING_REGISTER_ENABLE_RINGS, IORING_REGISTER_RING_FDS,
		IORING_UNREGISTER_RING_FDS,   IORING_REGISTER_IOWQ_MAX_WORKERS,
		IORING_UNREGISTER_PBUF_RING,
	};
	struct io_uring_restriction allow[ARRAY_SIZE(ops) + ARRAY_SIZE(registers) + 1] = { 0 };
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++, n++) {
		allow[n].opcode = IORING_RESTRICTION_SQE_OP;
		allow[n].sqe_op = ops[i];
	}
	for (size_t i = 0; i < ARRAY_SIZE(registers); i++, n++) {
		allow[n].opcode = IORING_RESTRICTION_REGISTER_OP;
		allow[n].register_op = registers[i];
	}
	allow[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	allow[n].sqe_flags = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
	return io_uring_register_restrictions(uring, allow, n + 1);
}

int ring_setup_enable(struct io_uring *uring)
{
	unsigned workers[2] = { 1, 1 };
	int r = io_uring_enable_rings(uring);

	if (r < 0)
		return r;
	/* Nothing here should ever need a kernel worker; should it, then not many. */
	r = io_uring_register_iowq_max_workers(uring, workers);
	if (r < 0)
		return r;
	/* Saves a descriptor look-up per turn; works without. */
	(void)io_uring_register_ring_fd(uring);
	return 0;
}
