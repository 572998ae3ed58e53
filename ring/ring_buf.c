/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_buf.c - receive buffers: lent to the kernel, to objects, or in the pool.
 *
 * The kernel takes posted buffers first in, first out, so every posted buffer
 * is touched in turn: the more are posted, the colder they are. Few are posted
 * at first, twice as many after a turn in which the kernel ran out, up to
 * bufs_posted, and half as many after a second in which it did not. The rest is
 * a stack: what was given back last goes out next.
 *
 * A receive that found no buffer stands in line until some are posted again.
 * While the pool or the kernel holds a buffer, ASan builds poison it (writes by
 * the kernel are not seen by ASan, all others are reported where they happen).
 */
#include "ring/ring_internal.h"

#include <errno.h>
#include <sys/mman.h>

#include "core/base/asan.h"
#include "core/base/bits.h"
#include "core/base/clock.h"

enum {
	BUF_SIZE = RING_BUF_ROOM + RING_BUF_DATA + RING_BUF_TAIL,
	/*
	 * An odd number of cache lines, so that the data of all buffers does not
	 * compete for the same few cache sets; and a gap that is always poisoned.
	 */
	BUF_STRIDE = BUF_SIZE + 128,
	TARGET_MIN = 16,
	HELD = 1 << 16, /* In an id: an object has it. */
};

_Static_assert(BUF_STRIDE / 64 % 2 == 1 && BUF_STRIDE % 64 == 0, "stagger the buffers");

static void poison(const struct ring_buf *buf)
{
	GW_POISON(buf->mem, BUF_SIZE);
}

static void push_free(struct ring *ring, uint32_t id)
{
	GW_ASSERT(ring->n_bufs_free < ring->bufs_max);
	ring->buf_free[ring->n_bufs_free++] = id;
}

static struct ring_buf *hand_out(struct ring *ring, uint32_t id, uint32_t len)
{
	struct ring_buf *buf = &ring->bufs[id];

	GW_UNPOISON(buf->mem, BUF_SIZE);
	buf->start = RING_BUF_ROOM;
	buf->len = len;
	buf->id |= HELD;
	return buf;
}

struct ring_buf *ring_buf_take(struct ring *ring)
{
	if (ring->n_bufs_free == 0)
		return NULL;
	return hand_out(ring, ring->buf_free[--ring->n_bufs_free], 0);
}

void ring_buf_give(struct ring *ring, struct ring_buf *buf)
{
	GW_ASSERT(buf->id & HELD && !list_node_is_linked(&buf->link));
	buf->id &= ~(uint32_t)HELD;
	GW_ASSERT(buf->id < ring->bufs_max && buf == &ring->bufs[buf->id]);
	poison(buf);
	push_free(ring, buf->id);
}

uint32_t ring_bufs_left(const struct ring *ring)
{
	return ring->n_bufs_free;
}

/* The kernel has filled a posted one. */
struct ring_buf *ring_buf_lend(struct ring *ring, uint32_t id, uint32_t len)
{
	GW_ASSERT(id < ring->bufs_max && len <= RING_BUF_DATA && ring->n_posted > 0);
	ring->n_posted--;
	return hand_out(ring, id, len);
}

/* The kernel has used up a posted one for nothing. */
void ring_buf_recycle(struct ring *ring, uint32_t id)
{
	GW_ASSERT(id < ring->bufs_max && ring->n_posted > 0);
	ring->n_posted--;
	push_free(ring, id);
}

/* --- The line of receives without a buffer ------------------------------------------------ */

void ring_buf_starve(struct ring *ring, struct ring_op *op)
{
	GW_ASSERT(op->armed && op->place == PLACE_KERNEL);
	op->place = PLACE_STARVED;
	ring->files[op->file].n_starved++;
	list_push_back(&ring->starved, &op->line);
}

/* Out of the line; the caller arms or ends it. */
void ring_buf_feed(struct ring *ring, struct ring_op *op)
{
	GW_ASSERT(op->place == PLACE_STARVED && ring->files[op->file].n_starved > 0);
	op->place = PLACE_KERNEL;
	ring->files[op->file].n_starved--;
	list_remove(&op->line);
}

static void feed_starved(struct ring *ring)
{
	for (uint32_t i = 0; i < ring->n_posted; i++) {
		struct list_node *node = list_first(&ring->starved);
		struct ring_op *op;

		if (!node)
			return;
		op = list_entry(node, struct ring_op, line);
		ring_buf_feed(ring, op);
		ring_ops_rearm(ring, op);
	}
}

static void adapt_target(struct ring *ring)
{
	if (!list_is_empty(&ring->starved)) {
		ring->target_set_ns = ring->now_ns;
		if (ring->posted_target < ring->posted_max)
			ring->posted_target *= 2;
	} else if (ring->now_ns - ring->target_set_ns > GW_NS_PER_S) {
		ring->target_set_ns = ring->now_ns;
		if (ring->posted_target > TARGET_MIN)
			ring->posted_target /= 2;
	}
}

/* Once per turn, before the kernel runs. */
void ring_buf_refill(struct ring *ring)
{
	int n = 0;

	adapt_target(ring);
	while (ring->n_posted < ring->posted_target && ring->n_bufs_free > 0) {
		uint32_t id = ring->buf_free[--ring->n_bufs_free];

		io_uring_buf_ring_add(ring->posted, ring->bufs[id].mem + RING_BUF_ROOM,
				      RING_BUF_DATA, (unsigned short)id, (int)ring->posted_max - 1,
				      n++);
		ring->n_posted++;
	}
	if (n > 0)
		io_uring_buf_ring_advance(ring->posted, n);
	if (GW_UNLIKELY(!list_is_empty(&ring->starved)))
		feed_starved(ring);
}

/* --- Set-up ------------------------------------------------------------------------------- */

static int post_ring(struct ring *ring)
{
	int r;

	ring->posted =
		io_uring_setup_buf_ring(&ring->uring, ring->posted_max, RING_BUF_GROUP, 0, &r);
	return ring->posted ? 0 : r;
}

int ring_buf_init(struct ring *ring, const struct ring_options *opt)
{
	size_t size = (size_t)opt->bufs_max * BUF_STRIDE;

	/* Buffer ids have 16 bits. */
	GW_ASSERT(opt->bufs_max <= 1u << 16 && bits_is_pow2(opt->bufs_posted));
	GW_ASSERT(opt->bufs_posted <= 1u << 15);
	ring->bufs_max = opt->bufs_max;
	ring->posted_max = opt->bufs_posted;
	ring->posted_target = opt->bufs_posted < TARGET_MIN ? opt->bufs_posted : TARGET_MIN;

	ring->bufs = calloc(opt->bufs_max, sizeof(*ring->bufs));
	ring->buf_free = calloc(opt->bufs_max, sizeof(*ring->buf_free));
	if (!ring->bufs || !ring->buf_free)
		return -ENOMEM;
	ring->buf_mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ring->buf_mem == MAP_FAILED) {
		ring->buf_mem = NULL;
		return -ENOMEM;
	}
	GW_POISON(ring->buf_mem, size);
	for (uint32_t id = opt->bufs_max; id-- > 0;) {
		ring->bufs[id] = (struct ring_buf){
			.mem = ring->buf_mem + (size_t)id * BUF_STRIDE,
			.size = BUF_SIZE,
			.id = id,
		};
		push_free(ring, id);
	}
	return post_ring(ring);
}

void ring_buf_fini(struct ring *ring)
{
	size_t size = (size_t)ring->bufs_max * BUF_STRIDE;

	if (ring->posted)
		(void)io_uring_free_buf_ring(&ring->uring, ring->posted, ring->posted_max,
					     RING_BUF_GROUP);
	if (ring->buf_mem) {
		GW_UNPOISON(ring->buf_mem, size);
		munmap(ring->buf_mem, size);
	}
	free(ring->buf_free);
	free(ring->bufs);
}
