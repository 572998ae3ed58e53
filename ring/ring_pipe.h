/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_pipe.h - pipes that carry body bytes past user memory, and the moves.
 *
 * A pipe is taken empty and given back; one that still holds bytes is closed
 * instead of reused, so that no byte of one message can reach another. The
 * moves are splice(2) made at once: they never wait and never move more than
 * asked. 'held' counts what is inside; the caller keeps held <= size.
 *
 * Threads: the ring's own.
 */
#pragma once

#include <sys/uio.h>

#include "core/base/gw_assert.h"
#include "ring/ring.h"

enum { RING_PIPE_SIZE = 256 * 1024 };

struct ring_pipe {
	uint32_t held;         /* Bytes inside. Read-only outside the ring. */
	uint32_t size;         /* What the kernel granted; at most RING_PIPE_SIZE. */
	int read_fd, write_fd; /* Private to the ring. */
	struct list_node link; /* Private to the ring. */
};

/* An empty pipe, or NULL when none is left or the kernel grants none: copy instead. */
GW_MUST_USE struct ring_pipe *ring_pipe_take(struct ring *ring);
void ring_pipe_give(struct ring *ring, struct ring_pipe *pipe);

/*
 * From a file into the pipe: bytes moved (> 0), 0 at end of file, -EAGAIN when
 * nothing is there (or the pipe has no room), or -errno.
 */
int32_t ring_splice_in(struct ring *ring, int32_t file, struct ring_pipe *pipe, uint32_t len_max);

/* From the pipe to a file: bytes moved (> 0), -EAGAIN when the file takes none now, or -errno. */
int32_t ring_splice_out(struct ring *ring, struct ring_pipe *pipe, int32_t file, uint32_t len_max);

/*
 * Bytes from memory, copied into an empty pipe, so that they leave as one with
 * what is spliced in behind them. False when not all of them have got in: the
 * pipe may hold a part then, and can only be given back.
 */
GW_MUST_USE bool ring_pipe_put(struct ring *ring, struct ring_pipe *pipe, const struct iovec *parts,
			       uint32_t n_parts);
