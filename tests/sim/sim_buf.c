/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_buf.c - ring_buf.h: buffers that are poisoned while no object holds them.
 *
 * As with the real ring, some buffers are posted for receives and the others
 * may be taken; a receive that finds none posted stands in line until the next
 * refill, once per turn. For bodies others are posted, while enough are left.
 */
#include "tests/sim/sim_internal.h"

#include <stdlib.h>
#include <string.h>

enum { SIM_BUF_SIZE = RING_BUF_ROOM + RING_BUF_DATA + RING_BUF_TAIL };

void sim_buf_open(struct ring *ring)
{
	uint32_t n = ring->ring_opt.bufs_max;

	ring->bufs = calloc(n, sizeof(*ring->bufs));
	ring->buf_free = calloc(n, sizeof(*ring->buf_free));
	GW_ASSERT(ring->bufs && ring->buf_free);
	list_init(&ring->starved[SIM_LOT_ALL]);
	list_init(&ring->starved[SIM_LOT_BODIES]);
	for (uint32_t i = n; i-- > 0;) {
		ring->bufs[i].pub.id = i;
		ring->bufs[i].pub.size = SIM_BUF_SIZE;
		ring->buf_free[ring->n_buf_free++] = i;
	}
	sim_buf_refill(ring);
}

void sim_buf_free(struct ring *ring)
{
	GW_ASSERT(ring->n_buf_free == ring->ring_opt.bufs_max); /* One was never given back. */
	for (uint32_t i = 0; i < ring->ring_opt.bufs_max; i++)
		free(ring->bufs[i].pub.mem);
	free(ring->bufs);
	free(ring->buf_free);
}

/* Memory on first use: most worlds are small. */
static struct ring_buf *hand_out(struct ring *ring)
{
	GW_ASSERT(ring->n_buf_free > 0);
	struct sim_buf *buf = &ring->bufs[ring->buf_free[--ring->n_buf_free]];

	GW_ASSERT(!buf->held);
	buf->held = true;
	if (!buf->pub.mem)
		buf->pub.mem = malloc(SIM_BUF_SIZE);
	GW_ASSERT(buf->pub.mem);
	GW_UNPOISON(buf->pub.mem, SIM_BUF_SIZE);
	buf->pub.start = RING_BUF_ROOM;
	buf->pub.len = 0;
	ring->stats.bufs_held++;
	return &buf->pub;
}

struct ring_buf *ring_buf_take(struct ring *ring)
{
	return ring_bufs_left(ring) > 0 ? hand_out(ring) : NULL;
}

uint32_t ring_bufs_left(const struct ring *ring)
{
	return ring->n_buf_free - ring->n_posted[SIM_LOT_ALL] - ring->n_posted[SIM_LOT_BODIES];
}

bool ring_bufs_for_bodies(const struct ring *ring)
{
	return ring_bufs_left(ring) > ring->ring_opt.bufs_kept;
}

/* For a receive; NULL when none is posted. */
struct ring_buf *sim_buf_lend(struct ring *ring, enum sim_lot lot)
{
	if (ring->n_posted[lot] == 0)
		return NULL;
	ring->n_posted[lot]--;
	return hand_out(ring);
}

/* One after the other, each as long as the other uses have enough. */
void sim_buf_refill(struct ring *ring)
{
	uint32_t kept = ring->ring_opt.bufs_kept, most = ring->ring_opt.bufs_posted;
	uint32_t all_most = kept && most > kept / 2 + 1 ? kept / 2 + 1 : most;

	while (ring->n_posted[SIM_LOT_ALL] < all_most && ring_bufs_left(ring) > 0)
		ring->n_posted[SIM_LOT_ALL]++;
	while (kept && ring->n_posted[SIM_LOT_BODIES] < most && ring_bufs_left(ring) > 0 &&
	       ring->n_posted[SIM_LOT_ALL] + ring_bufs_left(ring) > kept)
		ring->n_posted[SIM_LOT_BODIES]++;
}

void ring_buf_give(struct ring *ring, struct ring_buf *buf)
{
	struct sim_buf *own = GW_CONTAINER_OF(buf, struct sim_buf, pub);

	GW_ASSERT(own == &ring->bufs[buf->id]);
	GW_ASSERT(own->held); /* Given twice. */
	GW_ASSERT(!list_node_is_linked(&buf->link));
	own->held = false;
	memset(buf->mem, 0xdb, 64); /* For builds without ASan. */
	GW_POISON(buf->mem, SIM_BUF_SIZE);
	ring->buf_free[ring->n_buf_free++] = buf->id;
	ring->stats.bufs_held--;
}
