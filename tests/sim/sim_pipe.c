/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_pipe.c - ring_pipe.h: pipes with room in bytes, and the moves to and from files.
 *
 * A kernel's pipe has slots, and a slot may hold a few bytes only: so a pipe
 * that holds something may be full long before 'size'. An empty one never is.
 */
#include "tests/sim/sim_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sim_pipe_open(struct ring *ring)
{
	ring->pipes = calloc(ring->ring_opt.pipes_max, sizeof(*ring->pipes));
	GW_ASSERT(ring->pipes);
	list_init(&ring->pipes_free);
	for (uint32_t i = 0; i < ring->ring_opt.pipes_max; i++)
		list_push_back(&ring->pipes_free, &ring->pipes[i].pub.link);
}

void sim_pipe_free(struct ring *ring)
{
	for (uint32_t i = 0; i < ring->ring_opt.pipes_max; i++) {
		GW_ASSERT(!ring->pipes[i].taken);
		free(ring->pipes[i].mem);
	}
	free(ring->pipes);
}

struct ring_pipe *ring_pipe_take(struct ring *ring)
{
	struct list_node *node;
	struct sim_pipe *pipe;

	if (sim_chance(ring, ring->opt.faults.pipe_refused))
		return NULL;
	node = list_pop_front(&ring->pipes_free);
	if (!node)
		return NULL;
	pipe = list_entry(node, struct sim_pipe, pub.link);
	GW_ASSERT(!pipe->taken && pipe->pub.held == 0);
	pipe->taken = true;
	pipe->pub.size = ring->opt.pipe_size;
	if (!pipe->mem)
		pipe->mem = malloc(pipe->pub.size);
	GW_ASSERT(pipe->mem);
	ring->stats.pipes_held++;
	return &pipe->pub;
}

static struct sim_pipe *pipe_of(struct ring *ring, struct ring_pipe *pub)
{
	struct sim_pipe *pipe = GW_CONTAINER_OF(pub, struct sim_pipe, pub);

	GW_ASSERT(pipe >= ring->pipes && pipe < ring->pipes + ring->ring_opt.pipes_max);
	GW_ASSERT(pipe->taken && pub->held <= pub->size);
	return pipe;
}

void ring_pipe_give(struct ring *ring, struct ring_pipe *pipe)
{
	struct sim_pipe *own = pipe_of(ring, pipe);

	if (pipe->held > 0)
		ring->counts.kept_pipes++; /* The kernel's pipe is closed, its bytes are gone. */
	pipe->held = 0;
	own->start = 0;
	own->taken = false;
	ring->stats.pipes_held--;
	list_push_front(&ring->pipes_free, &pipe->link);
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Bytes in front of pipe position 'at' that lie in one piece, at most n. */
static uint32_t piece(const struct sim_pipe *pipe, uint32_t at, uint32_t n)
{
	return least(n, pipe->pub.size - at);
}

static struct sim_end *moving_end(struct ring *ring, int32_t file, enum sim_kind not_armed)
{
	struct sim_file *f = sim_file_get(ring, file);

	GW_ASSERT(f->end);
	sim_ops_assert_no(ring, f, not_armed); /* Two takers or givers of one stream. */
	return f->end;
}

int32_t ring_splice_in(struct ring *ring, int32_t file, struct ring_pipe *pipe, uint32_t len_max)
{
	struct sim_pipe *own = pipe_of(ring, pipe);
	struct sim_end *end = moving_end(ring, file, SIM_RECV);
	uint32_t n = least(len_max, pipe->size - pipe->held);
	int32_t moved = 0;

	GW_ASSERT(len_max > 0);
	ring->stats.splices++;
	if (n == 0 || (pipe->held > 0 && sim_chance(ring, ring->opt.faults.pipe_full))) {
		ring->counts.pipe_full++;
		return -EAGAIN;
	}
	n = 1 + (uint32_t)sim_pick(ring, n);
	while (n > 0 && (moved == 0 || sim_net_has_bytes(end))) { /* A reset is told by itself. */
		uint32_t at = (own->start + pipe->held) % pipe->size;
		int32_t r = sim_end_read(end, own->mem + at, piece(own, at, n));

		if (r <= 0)
			return moved > 0 ? moved : r;
		pipe->held += (uint32_t)r;
		n -= (uint32_t)r;
		moved += r;
	}
	ring->counts.bytes_in += (uint32_t)moved;
	return moved;
}

bool ring_pipe_put(struct ring *ring, struct ring_pipe *pipe, const struct iovec *parts,
		   uint32_t n_parts)
{
	struct sim_pipe *own = pipe_of(ring, pipe);

	GW_ASSERT(n_parts > 0 && pipe->held == 0);
	own->start = 0;
	for (uint32_t i = 0; i < n_parts; i++) {
		uint32_t n = least((uint32_t)parts[i].iov_len, pipe->size - pipe->held);

		GW_ASSERT(parts[i].iov_len > 0);
		if (n < parts[i].iov_len || sim_chance(ring, ring->opt.faults.pipe_full)) {
			ring->counts.pipe_full++;
			return false;
		}
		memcpy(own->mem + pipe->held, parts[i].iov_base, n);
		pipe->held += n;
	}
	return true;
}

int32_t ring_splice_out(struct ring *ring, struct ring_pipe *pipe, int32_t file, uint32_t len_max)
{
	struct sim_pipe *own = pipe_of(ring, pipe);
	struct sim_end *end = moving_end(ring, file, SIM_SEND);
	uint32_t n = least(len_max, pipe->held);
	int32_t moved = 0;

	GW_ASSERT(n > 0); /* Nothing in the pipe would wait for ever. */
	ring->stats.splices++;
	n = 1 + (uint32_t)sim_pick(ring, n);
	while (n > 0) {
		int32_t r = sim_end_write(end, own->mem + own->start, piece(own, own->start, n));

		if (r <= 0)
			return moved > 0 ? moved : r;
		own->start = (own->start + (uint32_t)r) % pipe->size;
		pipe->held -= (uint32_t)r;
		n -= (uint32_t)r;
		moved += r;
	}
	ring->counts.bytes_spliced += (uint32_t)moved;
	return moved;
}
