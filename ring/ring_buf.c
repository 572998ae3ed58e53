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
 * The kernel has two lots. Bodies are received from the second, which is filled
 * only while bufs_kept are left for all else: so buffers that bodies hold, and
 * those that the kernel may yet fill with bodies, are never more than the rest.
 *
 * A receive that found no buffer stands in its lot's line until some are posted
 * there again.
 * While the pool or the kernel holds a buffer, ASan builds poison it (writes by
 * the kernel are not seen by ASan, all others are reported where they happen).
 */
#include "ring/ring_internal.h"

#include <errno.h>
#include <sys/mman.h>

#include "core/base/asan.h"
#include "core/base/bits.h"
#include "core/base/clock.h"
#include "core/base/probe.h"

enum {
	BUF_SIZE = RING_BUF_ROOM + RING_BUF_DATA + RING_BUF_TAIL,
	/*
	 * An odd number of cache lines, so that the data of all buffers does not
	 * compete for the same few cache sets; and a gap that is always poisoned.
	 */
	BUF_STRIDE = BUF_SIZE + 128,
	TARGET_MIN = 16,
	HELD = 1 << 16,       /* In an id: an object has it. */
	FOR_BODIES = 1 << 17, /* In an id: the kernel has it, in that lot. */
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

	GW_ASSERT(buf->id == id); /* No mark: nobody has it. */
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

bool ring_bufs_for_bodies(const struct ring *ring)
{
	return ring_bufs_left(ring) > ring->bufs_kept;
}

static void unpost(struct ring *ring, uint32_t id)
{
	GW_ASSERT(id < ring->bufs_max);
	uint32_t *mark = &ring->bufs[id].id;
	struct ring_posted *posted =
		&ring->posted[*mark & FOR_BODIES ? RING_LOT_BODIES : RING_LOT_ALL];

	GW_ASSERT(posted->n > 0 && !(*mark & HELD));
	posted->n--;
	*mark &= ~(uint32_t)FOR_BODIES;
}

/* The kernel has filled a posted one. */
struct ring_buf *ring_buf_lend(struct ring *ring, uint32_t id, uint32_t len)
{
	GW_ASSERT(len <= RING_BUF_DATA);
	unpost(ring, id);
	return hand_out(ring, id, len);
}

/* The kernel has used up a posted one for nothing. */
void ring_buf_recycle(struct ring *ring, uint32_t id)
{
	unpost(ring, id);
	push_free(ring, id);
}

/* --- The line of receives without a buffer ------------------------------------------------ */

void ring_buf_starve(struct ring *ring, struct ring_op *op)
{
	GW_ASSERT(op->armed && op->place == PLACE_KERNEL);
	uint32_t lot = ring_slot_of(ring, op)->done;

	GW_PROBE(nobufs, op->file, lot, ring->posted[lot].n);
	op->place = PLACE_STARVED;
	ring->files[op->file].n_starved++;
	list_push_back(&ring->posted[lot].starved, &op->line);
}

/* Out of the line; the caller arms or ends it. */
void ring_buf_feed(struct ring *ring, struct ring_op *op)
{
	GW_ASSERT(op->place == PLACE_STARVED && ring->files[op->file].n_starved > 0);
	op->place = PLACE_KERNEL;
	ring->files[op->file].n_starved--;
	list_remove(&op->line);
}

static void feed_starved(struct ring *ring, struct ring_posted *posted)
{
	for (uint32_t i = 0; i < posted->n; i++) {
		struct list_node *node = list_first(&posted->starved);
		struct ring_op *op;

		if (!node)
			return;
		op = list_entry(node, struct ring_op, line);
		ring_buf_feed(ring, op);
		ring_ops_rearm(ring, op);
	}
}

static void adapt_target(struct ring *ring, struct ring_posted *posted)
{
	if (!list_is_empty(&posted->starved)) {
		posted->target_set_ns = ring->now_ns;
		if (posted->target < ring->posted_max)
			posted->target *= 2;
	} else if (ring->now_ns - posted->target_set_ns > GW_NS_PER_S) {
		posted->target_set_ns = ring->now_ns;
		if (posted->target > TARGET_MIN)
			posted->target /= 2;
	}
}

/* How many a lot may have posted now, as far as the other uses of buffers go. */
static uint32_t room_of(const struct ring *ring, enum ring_lot lot)
{
	uint32_t n_all = ring->posted[RING_LOT_ALL].n, kept = ring->bufs_kept;
	uint32_t n = ring->n_bufs_free;

	if (lot == RING_LOT_BODIES)
		return n_all + n <= kept ? 0 : n_all + n - kept < n ? n_all + n - kept : n;
	if (kept == 0)
		return n;
	kept = kept / 2 + 1; /* Of what is kept some can still be taken. */
	return n_all >= kept ? 0 : kept - n_all < n ? kept - n_all : n;
}

static void post(struct ring *ring, enum ring_lot lot)
{
	struct ring_posted *posted = &ring->posted[lot];
	uint32_t room = room_of(ring, lot);
	int n = 0;

	while (posted->n < posted->target && (uint32_t)n < room) {
		uint32_t id = ring->buf_free[--ring->n_bufs_free];

		GW_ASSERT(ring->bufs[id].id == id);
		io_uring_buf_ring_add(posted->queue, ring->bufs[id].mem + RING_BUF_ROOM,
				      RING_BUF_DATA, (unsigned short)id, (int)ring->posted_max - 1,
				      n++);
		ring->bufs[id].id |= lot == RING_LOT_BODIES ? FOR_BODIES : 0;
		posted->n++;
	}
	GW_ASSERT(posted->n <= ring->posted_max);
	if (n > 0)
		io_uring_buf_ring_advance(posted->queue, n);
}

/* Once per turn, before the kernel runs. */
void ring_buf_refill(struct ring *ring)
{
	for (enum ring_lot lot = RING_LOT_ALL; lot < RING_N_LOTS; lot++) {
		struct ring_posted *posted = &ring->posted[lot];

		if (!posted->queue)
			return;
		adapt_target(ring, posted);
		if (posted->n < posted->target)
			post(ring, lot);
		if (GW_UNLIKELY(!list_is_empty(&posted->starved)))
			feed_starved(ring, posted);
	}
}

/* --- Set-up ------------------------------------------------------------------------------- */

static int queue_open(struct ring *ring, enum ring_lot lot)
{
	struct ring_posted *posted = &ring->posted[lot];
	int r;

	posted->target = ring->posted_max < TARGET_MIN ? ring->posted_max : TARGET_MIN;
	posted->queue = io_uring_setup_buf_ring(&ring->uring, ring->posted_max, (int)lot, 0, &r);
	return posted->queue ? 0 : r;
}

static int queues_open(struct ring *ring)
{
	int r = queue_open(ring, RING_LOT_ALL);

	return r == 0 && ring->bufs_kept > 0 ? queue_open(ring, RING_LOT_BODIES) : r;
}

int ring_buf_init(struct ring *ring, const struct ring_options *opt)
{
	size_t size = (size_t)opt->bufs_max * BUF_STRIDE;

	/* Buffer ids have 16 bits. */
	GW_ASSERT(opt->bufs_max <= 1u << 16 && bits_is_pow2(opt->bufs_posted));
	GW_ASSERT(opt->bufs_posted <= 1u << 15 && opt->bufs_kept < opt->bufs_max);
	ring->bufs_max = opt->bufs_max;
	ring->posted_max = opt->bufs_posted;
	ring->bufs_kept = opt->bufs_kept;
	for (int lot = 0; lot < RING_N_LOTS; lot++)
		list_init(&ring->posted[lot].starved);
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
	return queues_open(ring);
}

void ring_buf_fini(struct ring *ring)
{
	size_t size = (size_t)ring->bufs_max * BUF_STRIDE;

	for (int lot = 0; lot < RING_N_LOTS; lot++)
		if (ring->posted[lot].queue)
			(void)io_uring_free_buf_ring(&ring->uring, ring->posted[lot].queue,
						     ring->posted_max, lot);
	if (ring->buf_mem) {
		GW_UNPOISON(ring->buf_mem, size);
		munmap(ring->buf_mem, size);
	}
	free(ring->buf_free);
	free(ring->bufs);
}
