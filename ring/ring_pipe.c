/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_pipe.c - splice pipes and the moves through them.
 *
 * splice(2) is called at once on the worker: the ring's own splice operation
 * always runs in a kernel worker thread. SPLICE_F_NONBLOCK covers only the
 * pipe; the sockets are non-blocking by themselves. SPLICE_F_MORE is never set:
 * it delays the last bytes of what follows by 200 ms.
 *
 * The kernel may grant an unprivileged user less than asked, or no growth at
 * all, once the user holds fs.pipe-user-pages-soft; the granted size is kept.
 */
#include "ring/ring_internal.h"

#include <errno.h>
#include <fcntl.h>

int ring_pipe_init(struct ring *ring, const struct ring_options *opt)
{
	list_init(&ring->pipes_free);
	ring->pipes_max = opt->pipes_max;
	ring->pipes = calloc(opt->pipes_max, sizeof(*ring->pipes));
	return ring->pipes ? 0 : -ENOMEM;
}

static void pipe_close(struct ring_pipe *pipe)
{
	close(pipe->read_fd);
	close(pipe->write_fd);
	pipe->read_fd = -1;
	pipe->write_fd = -1;
	pipe->held = 0;
	pipe->size = 0;
}

static bool pipe_is_open(const struct ring_pipe *pipe)
{
	return pipe->size > 0;
}

static int pipe_open(struct ring_pipe *pipe)
{
	int fds[2], size;

	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
		return -errno;
	if (fcntl(fds[1], F_SETPIPE_SZ, RING_PIPE_SIZE) < 0)
		size = fcntl(fds[1], F_GETPIPE_SZ);
	else
		size = RING_PIPE_SIZE;
	GW_ASSERT(size > 0);
	pipe->read_fd = fds[0];
	pipe->write_fd = fds[1];
	pipe->size = (uint32_t)size;
	pipe->held = 0;
	return 0;
}

void ring_pipe_fini(struct ring *ring)
{
	for (uint32_t i = 0; ring->pipes && i < ring->pipes_touched; i++) {
		if (pipe_is_open(&ring->pipes[i]))
			pipe_close(&ring->pipes[i]);
	}
	free(ring->pipes);
}

struct ring_pipe *ring_pipe_take(struct ring *ring)
{
	struct list_node *node = list_pop_front(&ring->pipes_free);
	struct ring_pipe *pipe;

	if (node)
		pipe = list_entry(node, struct ring_pipe, link);
	else if (ring->pipes_touched < ring->pipes_max)
		pipe = &ring->pipes[ring->pipes_touched++];
	else
		return NULL;
	if (!pipe_is_open(pipe) && pipe_open(pipe) < 0) {
		list_push_front(&ring->pipes_free, &pipe->link);
		return NULL;
	}
	GW_ASSERT(pipe->held == 0);
	ring->n_pipes++;
	return pipe;
}

void ring_pipe_give(struct ring *ring, struct ring_pipe *pipe)
{
	GW_ASSERT(ring->n_pipes > 0 && pipe_is_open(pipe));
	GW_ASSERT(pipe >= ring->pipes && pipe < ring->pipes + ring->pipes_touched);
	GW_ASSERT(!list_node_is_linked(&pipe->link)); /* Given twice. */
	ring->n_pipes--;
	if (pipe->held > 0) {
		/* Behind the open ones, which are cheaper to use. */
		pipe_close(pipe);
		list_push_back(&ring->pipes_free, &pipe->link);
	} else {
		list_push_front(&ring->pipes_free, &pipe->link);
	}
}

/* Under the fault shim: fewer bytes, or (0) as if nothing could move now. */
static uint32_t fault_len(struct ring *ring, uint32_t len)
{
	if (ring_fault_error(&ring->fault))
		return 0;
	return ring_fault_cut(&ring->fault, len);
}

static int32_t move(struct ring *ring, int from, int to, uint32_t len)
{
	ssize_t n;

	GW_ASSERT(len > 0 && len <= INT32_MAX);
	if (GW_UNLIKELY(ring->fault.on)) {
		len = fault_len(ring, len);
		if (len == 0)
			return -EAGAIN;
	}
	ring_count(&ring->stats.splices, 1);
	n = splice(from, NULL, to, NULL, len, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n >= 0)
		return (int32_t)n;
	return errno == EINTR ? -EAGAIN : -errno;
}

int32_t ring_splice_in(struct ring *ring, int32_t file, struct ring_pipe *pipe, uint32_t len_max)
{
	const struct ring_file *f = ring_file_open(ring, file);
	int32_t n;

	GW_ASSERT(pipe->held <= pipe->size);
	if (len_max > pipe->size - pipe->held)
		len_max = pipe->size - pipe->held;
	if (len_max == 0)
		return -EAGAIN;
	n = move(ring, f->fd, pipe->write_fd, len_max);
	if (n > 0)
		pipe->held += (uint32_t)n;
	return n;
}

bool ring_pipe_put(struct ring *ring, struct ring_pipe *pipe, const struct iovec *parts,
		   uint32_t n_parts)
{
	size_t len = 0;
	ssize_t n;

	for (uint32_t i = 0; i < n_parts; i++)
		len += parts[i].iov_len;
	GW_ASSERT(len > 0 && pipe->held == 0);
	if (len > pipe->size)
		return false;
	if (GW_UNLIKELY(ring->fault.on) && fault_len(ring, (uint32_t)len) != len)
		return false;
	n = writev(pipe->write_fd, parts, (int)n_parts);
	if (n > 0)
		pipe->held = (uint32_t)n;
	return n == (ssize_t)len;
}

int32_t ring_splice_out(struct ring *ring, struct ring_pipe *pipe, int32_t file, uint32_t len_max)
{
	const struct ring_file *f = ring_file_open(ring, file);
	int32_t n;

	if (len_max > pipe->held)
		len_max = pipe->held;
	GW_ASSERT(len_max > 0 && pipe->held <= pipe->size);
	n = move(ring, pipe->read_fd, f->fd, len_max);
	GW_ASSERT(n != 0); /* The pipe holds bytes, so it cannot be at its end. */
	if (n > 0)
		pipe->held -= (uint32_t)n;
	return n;
}
