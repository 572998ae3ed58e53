/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/relay.h"

#include <errno.h>

#include "core/base/gw_assert.h"

static void put_pipe(struct relay *r)
{
	ring_pipe_give(r->ring, r->pipe);
	r->pipe = NULL;
}

static void end(struct relay *r, enum relay_end how)
{
	put_pipe(r);
	r->user->ended(r, how);
}

/* What a move has come to. */
enum outcome { OUTCOME_MOVED, OUTCOME_WAITS, OUTCOME_OVER };

/* Nothing more is read; what was read before still goes out. */
static enum outcome read_all(struct relay *r, enum relay_end how)
{
	r->left = 0;
	r->how = how;
	return OUTCOME_MOVED;
}

static enum outcome fill(struct relay *r)
{
	uint64_t want = r->left < r->pipe->size ? r->left : r->pipe->size;
	int32_t n = ring_splice_in(r->ring, r->source, r->pipe, (uint32_t)want);

	if (n > 0) {
		if (r->left != RELAY_NO_LENGTH)
			r->left -= (uint32_t)n;
		r->in += (uint32_t)n;
		return OUTCOME_MOVED;
	}
	if (n != -EAGAIN)
		return read_all(r, n == 0 ? RELAY_SOURCE_ENDED : RELAY_SOURCE_FAILED);
	if (r->pipe->held > 0)
		return OUTCOME_MOVED;
	if (r->left == RELAY_NO_LENGTH)
		return read_all(r, RELAY_DRY);
	ring_poll(r->ring, &r->op, r->source, RING_READABLE);
	return OUTCOME_WAITS;
}

static enum outcome empty(struct relay *r, uint64_t *moved)
{
	int32_t n = ring_splice_out(r->ring, r->pipe, r->sink, r->pipe->held);
	uint32_t before;

	if (n > 0) {
		before = (uint32_t)n < r->before ? (uint32_t)n : r->before;
		r->before -= before;
		r->out += (uint32_t)n - before;
		*moved += (uint32_t)n - before;
		return OUTCOME_MOVED;
	}
	if (n == -EAGAIN) {
		ring_poll(r->ring, &r->op, r->sink, RING_WRITABLE);
		return OUTCOME_WAITS;
	}
	r->how = RELAY_SINK_FAILED;
	return OUTCOME_OVER;
}

static bool is_done(const struct relay *r)
{
	return r->pipe->held == 0 && r->left == 0;
}

/* Until a file has to be waited for, the quantum is used up, or all is done. */
static void step(struct relay *r, enum outcome outcome)
{
	uint64_t moved = 0;

	while (outcome == OUTCOME_MOVED && moved < RELAY_QUANTUM && !is_done(r))
		outcome = r->pipe->held > 0 ? empty(r, &moved) : fill(r);
	r->user->moved(r, moved);
	/* Told last, for its owner may free it then. */
	if (outcome == OUTCOME_OVER || is_done(r))
		end(r, r->how);
	else if (outcome == OUTCOME_MOVED)
		ring_soon(r->ring, &r->op);
}

static void answered(struct ring_op *op, const struct ring_answer *answer)
{
	struct relay *r = GW_CONTAINER_OF(op, struct relay, op);

	if (!r->pipe)
		r->user->quiet(r);
	else if (answer->res == -ECANCELED)
		end(r, RELAY_SOURCE_FAILED);
	else if (r->in == 0 && r->before > 0)
		step(r, fill(r)); /* So that both leave as one. */
	else
		step(r, OUTCOME_MOVED);
}

void relay_init(struct relay *r, const struct relay_user *user, void *owner, struct ring *ring)
{
	*r = (struct relay){ .user = user, .owner = owner, .ring = ring, .source = -1, .sink = -1 };
	ring_op_init(&r->op, answered);
}

void relay_start(struct relay *r, struct ring_pipe *pipe, int32_t source, int32_t sink,
		 uint64_t len)
{
	GW_ASSERT(relay_is_quiet(r) && len > 0 && source >= 0 && sink >= 0);
	r->pipe = pipe;
	r->source = source;
	r->sink = sink;
	r->left = len;
	r->in = 0;
	r->out = 0;
	r->before = pipe->held;
	r->how = RELAY_OK;
	ring_next(r->ring, &r->op);
}

void relay_stop(struct relay *r)
{
	if (r->pipe)
		put_pipe(r);
	if (r->op.armed)
		ring_cancel(r->ring, &r->op);
}

void relay_check(const struct relay *r)
{
	if (!r->pipe)
		return;
	GW_ASSERT(r->op.armed);
	GW_ASSERT(r->in - r->out + r->before == r->pipe->held);
	GW_ASSERT(r->pipe->held <= r->pipe->size);
}
