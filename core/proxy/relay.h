/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h - body bytes from one file to another through a pipe, never through user memory.
 *
 * One relay moves the raw bytes of one direction of one exchange. Reading stops
 * while the pipe holds bytes that the other side does not take: that is the
 * back-pressure. A turn moves at most RELAY_QUANTUM, then the rest waits for
 * the next one, so that no transfer keeps others waiting.
 *
 * One without a length ends as soon as its source has nothing for now, and all
 * that came has gone out: who waits for long is to hold no pipe meanwhile.
 *
 * The operation is pinned until its final answer: after relay_stop() the memory
 * stays until relay_is_quiet().
 *
 * Threads: the worker's.
 */
#pragma once

#include "ring/ring.h"
#include "ring/ring_pipe.h"

enum { RELAY_QUANTUM = 256 * 1024 };

#define RELAY_NO_LENGTH UINT64_MAX

enum relay_end {
	RELAY_OK,
	RELAY_DRY, /* Without a length: nothing more for now. */
	RELAY_SOURCE_ENDED,
	RELAY_SOURCE_FAILED,
	RELAY_SINK_FAILED
};

struct relay;

struct relay_user {
	void (*moved)(struct relay *relay,
		      uint64_t n); /* n bytes, perhaps 0, went out in this turn. */
	void (*ended)(struct relay *relay, enum relay_end end);
	void (*quiet)(struct relay *relay); /* After relay_stop() of a relay that was not quiet. */
};

struct relay {
	const struct relay_user *user;
	void *owner;
	struct ring *ring;
	struct ring_pipe *pipe; /* NULL: not running. */
	struct ring_op op;      /* Waits for a file, or for the next turn. */
	uint64_t left;          /* To be read still; RELAY_NO_LENGTH while that is not known. */
	uint64_t in, out;       /* Bytes moved so far. */
	uint32_t before;        /* In the pipe, in front of them. */
	int32_t source, sink;
	enum relay_end how; /* How it will end when the pipe is empty and nothing is left. */
};

void relay_init(struct relay *relay, const struct relay_user *user, void *owner, struct ring *ring);

/*
 * 'pipe' is the relay's from now on. What it holds already goes out in front,
 * and is not counted. The first bytes move when the caller's answer is over.
 * 'len' may be RELAY_NO_LENGTH.
 */
void relay_start(struct relay *relay, struct ring_pipe *pipe, int32_t source, int32_t sink,
		 uint64_t len);

/* No more events. Bytes in the pipe are lost. */
void relay_stop(struct relay *relay);

static inline bool relay_is_running(const struct relay *relay)
{
	return relay->pipe;
}

static inline bool relay_is_quiet(const struct relay *relay)
{
	return !relay->pipe && !relay->op.armed;
}

void relay_check(const struct relay *relay);
