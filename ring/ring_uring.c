/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_uring.c - one io_uring: set up, run turn by turn, tear down.
 *
 * A ring is opened disabled by the main thread, restricted to the operations of
 * ring_ops.c and ring_file.c, and enabled by the thread that will own it; from
 * then on the kernel refuses every other thread and every other operation.
 *
 * A turn is one io_uring_enter(2): it submits what the last turn armed, runs
 * the kernel's deferred work and waits. Completions appear nowhere else
 * (DEFER_TASKRUN). The wheel's next deadline is the time-out of that call.
 */
#include "ring/ring_internal.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "core/base/clock.h"
#include "core/base/probe.h"
#include "ring/ring_feature.h"
#include "ring/ring_setup.h"

/* More files than the process may have are of no use, and could not be registered. */
static uint32_t files_at_most(uint32_t files_max)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= files_max)
		return files_max;
	return (uint32_t)limit.rlim_cur;
}

static struct ring_options with_defaults(const struct ring_options *opt)
{
	struct ring_options o = *opt;

	o.files_max = files_at_most(o.files_max ? o.files_max : 1024);
	o.bufs_max = o.bufs_max ? o.bufs_max : 1024;
	o.bufs_posted = o.bufs_posted ? o.bufs_posted : 256;
	o.pipes_max = o.pipes_max ? o.pipes_max : 64;
	o.turn_answers = o.turn_answers ? o.turn_answers : 512;
	return o;
}

/* Address space; pages come when they are touched. */
static void *reserve(size_t n, size_t size)
{
	void *mem = mmap(NULL, n * size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static void release(void *mem, size_t n, size_t size)
{
	if (mem)
		munmap(mem, n * size);
}

static int reserve_tables(struct ring *ring, const struct ring_options *opt)
{
	ring->files_max = opt->files_max;
	ring->n_slots = opt->files_max * RING_OPS_PER_FILE + RING_OPS_EXTRA;
	GW_ASSERT(ring->n_slots < RING_NO_SLOT);
	ring->slot_free = RING_NO_SLOT;
	ring->file_free = RING_NO_SLOT;

	ring->slots = reserve(ring->n_slots, sizeof(*ring->slots));
	ring->files = reserve(ring->files_max, sizeof(*ring->files));
	ring->addrs = reserve(RING_SQ_SIZE, sizeof(*ring->addrs));
	return ring->slots && ring->files && ring->addrs ? 0 : -ENOMEM;
}

static void release_tables(struct ring *ring)
{
	release(ring->slots, ring->n_slots, sizeof(*ring->slots));
	release(ring->files, ring->files_max, sizeof(*ring->files));
	release(ring->addrs, RING_SQ_SIZE, sizeof(*ring->addrs));
}

/* Registered files are an optimisation: without the table, plain descriptors are used. */
static void set_up_files(struct ring *ring, const struct ring_options *opt)
{
	if (opt->registered && io_uring_register_files_sparse(&ring->uring, ring->files_max) == 0)
		ring->fixed_after = RING_FIXED_AFTER;
}

static int set_up(struct ring *ring, const struct ring_options *opt)
{
	int r = reserve_tables(ring, opt);

	if (r < 0)
		return r;
	r = ring_setup(opt->feature_mask, &ring->uring);
	if (r < 0)
		return r;
	ring->enter_flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG |
			    ring_setup_enter_flags(&ring->uring, opt->feature_mask);
	atomic_store_explicit(&ring->stats.cq_size, ring->uring.cq.ring_entries,
			      memory_order_relaxed);
	set_up_files(ring, opt);
	r = ring_buf_init(ring, opt);
	if (r < 0)
		return r;
	r = ring_pipe_init(ring, opt);
	if (r < 0)
		return r;
	return ring_setup_restrict(&ring->uring);
}

static void tear_down(struct ring *ring)
{
	ring_pipe_fini(ring);
	ring_buf_fini(ring);
	if (ring->uring.ring_fd >= 0)
		io_uring_queue_exit(&ring->uring);
	release_tables(ring);
	release(ring, 1, sizeof(*ring));
}

int ring_open(const struct ring_options *opt, struct ring **ret_ring)
{
	struct ring_options o = with_defaults(opt);
	struct ring *ring = reserve(1, sizeof(*ring));
	int r;

	if (!ring)
		return -ENOMEM;
	ring->uring.ring_fd = -1;
	ring->turn_answers = o.turn_answers;
	list_init(&ring->due);
	list_init(&ring->next);
	ring_fault_init(&ring->fault, o.fault_seed);
	ring_post_init(ring);

	r = set_up(ring, &o);
	if (r < 0) {
		tear_down(ring);
		return r;
	}
	/* A splice to a connection that was reset raises it, and nothing can mask it per call. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		GW_UNREACHABLE();
	*ret_ring = ring;
	return 0;
}

int ring_enable(struct ring *ring)
{
	GW_ASSERT(!ring->enabled);
	int r = ring_setup_enable(&ring->uring);

	if (r < 0)
		return r;
	if (ring->uring.enter_ring_fd != ring->uring.ring_fd)
		ring->enter_flags |= IORING_ENTER_REGISTERED_RING;
	ring->now_ns = gw_now_ns();
	wheel_init(&ring->wheel, ring->now_ns);
	ring->owner = pthread_self();
	ring->enabled = true;
	return 0;
}

/* --- Submitting --------------------------------------------------------------------------- */

/* Shows the kernel what was queued; returns how many entries it has not taken yet. */
static uint32_t publish_queue(struct ring *ring)
{
	struct io_uring_sq *sq = &ring->uring.sq;

	sq->sqe_head = sq->sqe_tail;
	io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
	return sq->sqe_tail - *sq->khead;
}

static int submit_only(struct ring *ring)
{
	uint32_t n = publish_queue(ring);
	int r = io_uring_enter2((unsigned)ring->uring.enter_ring_fd, n, 0,
				ring->enter_flags & IORING_ENTER_REGISTERED_RING, NULL, 0);

	ring_count(&ring->stats.enters, 1);
	if (r > 0)
		ring_count(&ring->stats.sqes, (uint64_t)r);
	return r;
}

void ring_flush(struct ring *ring)
{
	GW_ASSERT(ring->enabled && pthread_equal(ring->owner, pthread_self()));
	(void)submit_only(ring); /* As the header says. */
}

struct io_uring_sqe *ring_sqe_when_full(struct ring *ring)
{
	enum { TRIES = 16 };

	for (int i = 0; i < TRIES && !ring->failed; i++) {
		int r = submit_only(ring);
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

		if (sqe)
			return sqe;
		if (i == TRIES - 1 || (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY))
			ring->failed = r < 0 ? r : -EBUSY;
	}
	/* The next turn reports it, and nothing that was armed since will be answered. */
	return &ring->scratch;
}

/* --- A turn ------------------------------------------------------------------------------- */

/* How long this turn may sleep. With completions left over from the last one it will not. */
static uint64_t sleep_ns(const struct ring *ring, uint64_t wait_ns_max)
{
	uint64_t next_ns, now_ns;

	if (wait_ns_max == 0 || !list_is_empty(&ring->due) || ring_post_waiting(ring))
		return 0;
	next_ns = wheel_next_ns(&ring->wheel);
	if (next_ns == WHEEL_NEVER)
		return wait_ns_max;
	now_ns = gw_now_ns();
	if (next_ns <= now_ns)
		return 0;
	return next_ns - now_ns < wait_ns_max ? next_ns - now_ns : wait_ns_max;
}

static int enter(struct ring *ring, uint64_t wait_ns)
{
	struct __kernel_timespec ts = {
		.tv_sec = (int64_t)(wait_ns / GW_NS_PER_S),
		.tv_nsec = (int64_t)(wait_ns % GW_NS_PER_S),
	};
	struct io_uring_getevents_arg arg = { .ts = (uint64_t)(uintptr_t)&ts };
	uint32_t n = publish_queue(ring);
	/* With EXT_ARG the place of the signal mask holds 'arg'. */
	int r = io_uring_enter2((unsigned)ring->uring.enter_ring_fd, n, wait_ns ? 1 : 0,
				ring->enter_flags, (void *)&arg, sizeof(arg));

	ring_count(&ring->stats.enters, 1);
	if (r >= 0) {
		ring_count(&ring->stats.sqes, (uint64_t)r);
		return 0;
	}
	/* Time is up; a signal; no memory for requests or overflow not yet flushed: reap, go on. */
	if (r == -ETIME || r == -EINTR || r == -EAGAIN || r == -EBUSY)
		return 0;
	return r;
}

static void reap(struct ring *ring)
{
	struct io_uring_cq *cq = &ring->uring.cq;
	uint32_t head = *cq->khead;
	uint32_t n = io_uring_smp_load_acquire(cq->ktail) - head;

	if (GW_UNLIKELY(*ring->uring.sq.kflags & IORING_SQ_CQ_OVERFLOW))
		ring_count(&ring->stats.cq_overflows, 1);
	if (n > ring->turn_answers)
		n = ring->turn_answers;
	for (uint32_t i = 0; i < n; i++) {
		/* Copied, so that its place is free before the answer arms more. */
		struct io_uring_cqe cqe = cq->cqes[head & cq->ring_mask];

		io_uring_smp_store_release(cq->khead, ++head);
		ring_complete(ring, &cqe);
		ring_complete_next(ring);
	}
	ring_count(&ring->stats.cqes, n);
	GW_PROBE(turn, n, ring->n_armed, ring->n_files);
}

static void show_gauges(struct ring *ring)
{
	struct ring_stats *s = &ring->stats;
	uint32_t held = ring->bufs_max - ring->n_bufs_free - ring_n_posted(ring);

	GW_ASSERT(held <= ring->bufs_max);
	atomic_store_explicit(&s->files_open, ring->n_files, memory_order_relaxed);
	atomic_store_explicit(&s->ops_armed, ring->n_armed, memory_order_relaxed);
	atomic_store_explicit(&s->bufs_held, held, memory_order_relaxed);
	atomic_store_explicit(&s->pipes_held, ring->n_pipes, memory_order_relaxed);
	atomic_store_explicit(&s->timers_armed, ring->wheel.n_armed, memory_order_relaxed);
}

int ring_turn(struct ring *ring, uint64_t wait_ns_max)
{
	struct list line;
	int r;

	GW_ASSERT(ring->enabled && pthread_equal(ring->owner, pthread_self()));
	GW_ASSERT(!ring->turning);
	if (GW_UNLIKELY(ring->failed))
		return ring->failed;
	ring_buf_refill(ring);
	list_splice_back(&ring->due, &ring->next); /* Of timers, and from outside. */
	show_gauges(ring); /* Before sleeping: they stay true while nothing happens. */
	r = enter(ring, sleep_ns(ring, wait_ns_max));
	if (GW_UNLIKELY(r < 0)) {
		ring->failed = r;
		return r;
	}
	ring->now_ns = gw_now_ns();

	/* What gets into line from here on belongs to the next turn. */
	list_init(&line);
	list_splice_back(&line, &ring->due);
	ring->turning = true;
	reap(ring);
	ring_complete_due(ring, &line);
	ring_post_deliver(ring);
	wheel_advance(&ring->wheel, ring->now_ns, RING_TIMERS_PER_TURN);
	ring->turning = false;
	return ring->failed;
}

uint64_t ring_now_ns(const struct ring *ring)
{
	return ring->now_ns;
}

const struct ring_stats *ring_stats(const struct ring *ring)
{
	return &ring->stats;
}

/* Closes that were asked for are still under way in the kernel, or answers that are due. */
static bool is_closing(const struct ring *ring)
{
	return ring->n_closing > 0 || !list_is_empty(&ring->due);
}

static void finish_closes(struct ring *ring)
{
	for (int i = 0; i < 100 && is_closing(ring) && !ring->failed; i++) {
		if (ring_turn(ring, 10 * GW_NS_PER_MS) < 0)
			return;
	}
}

void ring_free(struct ring *ring)
{
	if (!ring)
		return;
	GW_ASSERT(ring->wheel.n_armed == 0 && !ring->turning);
	if (ring->enabled) {
		/* The kernel keeps a table of registered rings per thread: ours is in there. */
		GW_ASSERT(pthread_equal(ring->owner, pthread_self()));
		finish_closes(ring);
		if (io_uring_sq_ready(&ring->uring) > 0)
			(void)submit_only(ring); /* Bells for other rings. */
	}
	if (!ring->failed) {
		GW_ASSERT(ring->n_armed == 0);
		GW_ASSERT(ring->n_files == 0);
		GW_ASSERT(ring->n_bufs_free + ring_n_posted(ring) == ring->bufs_max);
		GW_ASSERT(ring->n_pipes == 0);
	}
	tear_down(ring);
}

/* --- Timers ------------------------------------------------------------------------------- */

static void timer_due(struct wheel_timer *due)
{
	struct ring_timer *timer = GW_CONTAINER_OF(due, struct ring_timer, due);

	timer->fire(timer);
}

void ring_timer_init(struct ring_timer *timer, ring_timer_fn *fire)
{
	GW_ASSERT(fire);
	timer->fire = fire;
	wheel_timer_init(&timer->due, timer_due);
}

void ring_timer_set(struct ring *ring, struct ring_timer *timer, uint64_t deadline_ns)
{
	GW_ASSERT(ring->enabled && timer->due.fn == timer_due); /* Enabling empties the wheel. */
	wheel_add(&ring->wheel, &timer->due, deadline_ns);
}

void ring_timer_cancel(struct ring *ring, struct ring_timer *timer)
{
	wheel_del(&ring->wheel, &timer->due);
}
