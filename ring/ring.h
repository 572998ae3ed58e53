/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - the ring seam: the only way to the kernel for anything about a descriptor.
 *
 * Operations. An operation is a struct ring_op embedded in the object that uses
 * it. Arming it (ring_recv, ring_send, ...) begins a series of answers: any
 * number with 'more' set (multishot kinds only), then exactly one final answer
 * with 'more' clear. From arming to the final answer the operation's memory,
 * and every address handed over with it, is pinned: the owner must not free,
 * move or re-arm it. ring_cancel() and ring_close() only ask; the final answer
 * still comes, with -ECANCELED or with the real result. An answer is never
 * delivered from inside the call that armed the operation.
 *
 * Order. Results of one file are handed out in the order in which they came to
 * be, but for operations that were cancelled. So bytes that the peer sent when
 * it had all of a send are answered behind that send; those answered before it
 * were sent without having seen it, or not all of it.
 *
 * Files. A file is a small index that this ring gave out (ring_net.h). Only the
 * ring knows the descriptor behind it.
 *
 * Buffers. A receive answers with a lent buffer (ring_buf.h); whoever holds it
 * gives it back. A receive that finds no buffer waits inside the ring, in line,
 * until one comes back; the owner sees only that it took longer.
 *
 * Threads. Everything here belongs to the thread that called ring_enable(),
 * except ring_post() (any ring's own thread may post to any ring).
 *
 * Implementations: ring/ *.c over io_uring; tests/sim over nothing, in virtual
 * time, for the deterministic simulator. Both keep this page.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/list.h"
#include "core/base/wheel.h"

struct ring;
struct ring_buf;
struct ring_op;

struct ring_answer {
	int32_t res;          /* >= 0, or a negative errno. */
	bool more;            /* Another answer of this operation follows. */
	bool nonempty;        /* Receive: more bytes were already waiting. */
	struct ring_buf *buf; /* Receive with res > 0: lent to the owner. Otherwise NULL. */
};

/* Runs on the ring's thread. May arm, cancel and close anything, the answered operation included. */
typedef void ring_answer_fn(struct ring_op *op, const struct ring_answer *answer);

struct ring_op {
	ring_answer_fn *answer;
	struct list_node line; /* Private to the ring. */
	uint32_t slot;         /* Private to the ring. */
	int32_t file;          /* Private to the ring. */
	uint8_t kind;          /* Private to the ring. */
	uint8_t place;         /* Private to the ring. */
	bool armed;    /* Set by arming, cleared just before the final answer. Read-only outside. */
	bool stopping; /* ring_cancel() was asked; the final answer is still due. */
};

struct ring_timer;

/* Runs on the ring's thread, once per setting. May set or cancel any timer, this one included. */
typedef void ring_timer_fn(struct ring_timer *timer);

struct ring_timer {
	struct wheel_timer due; /* Private to the ring. */
	ring_timer_fn *fire;
};

/*
 * What a ring may use. Every number is a bound, reserved at ring_open(); none
 * grows later. Zero means the default noted.
 */
struct ring_options {
	uint32_t files_max;    /* Open files at a time; 1,024. Never above RLIMIT_NOFILE. */
	uint32_t bufs_max;     /* Buffers in all; 1,024. */
	uint32_t bufs_posted;  /* Of them lent to the kernel at a time, a power of two; 256. */
	uint32_t bufs_kept;    /* Of bufs_max kept back from bodies (ring_recv()); 0. */
	uint32_t pipes_max;    /* Splice pipes; 64. */
	uint32_t turn_answers; /* Answers handed out per turn; 512. */
	uint32_t feature_mask; /* RING_FEATURE_* bits to pretend absent (SLUICE_URING_MASK). */
	uint64_t fault_seed;   /* Not 0: rewrite completions by this seed (tests; ring_fault.h). */
	bool registered;       /* False: keep plain descriptors only, no fixed-file table. */
};

/* Counters and gauges, written by the ring's thread, readable by any (relaxed). */
struct ring_stats {
	_Atomic uint64_t sqes, cqes, enters, nobufs, cq_overflows, stale_answers, posts, splices;
	_Atomic uint64_t files_open, ops_armed, bufs_held, pipes_held, timers_armed;
	_Atomic uint64_t cq_size; /* Below 8,192 the kernel had no memory (memlock) for more. */
};

/*
 * Reserve everything and set up the kernel side. 0, or -EPERM (seccomp or
 * kernel.io_uring_disabled), -ENOMEM (memlock or memory), -ENOSYS (no io_uring),
 * -ENOTSUP (kernel older than 6.1). Any thread; the ring is not yet usable.
 */
GW_MUST_USE int ring_open(const struct ring_options *opt, struct ring **ret_ring);

/* Bind the ring to the calling thread and let it run. 0 or -errno. Once, before any operation. */
GW_MUST_USE int ring_enable(struct ring *ring);

/*
 * Free everything. Nothing may be armed, held or open: those are the caller's
 * leaks and trap. By the thread that enabled it; by any if none has.
 */
void ring_free(struct ring *ring);

/*
 * One turn: submit what was armed, wait until an answer, a due timer or a post
 * is there (or at most 'wait_ns_max'), hand out at most turn_answers answers,
 * then run due timers. 0, or -errno when the kernel refuses to go on.
 */
GW_MUST_USE int ring_turn(struct ring *ring, uint64_t wait_ns_max);

/*
 * In the middle of a turn: submit what was armed and posted, without waiting. For a thread that
 * then waits for another one by itself. What the kernel refuses, the next turn submits.
 */
void ring_flush(struct ring *ring);

/* Monotonic nanoseconds, read once per turn. */
uint64_t ring_now_ns(const struct ring *ring);
const struct ring_stats *ring_stats(const struct ring *ring);

/*
 * --- Operations. 'op' must not be armed; 'file' must be open. ------------------
 *
 * On average over files_max, at most four operations per file at a time.
 */

void ring_op_init(struct ring_op *op, ring_answer_fn *answer);

/* Multishot. Each answer with res >= 0 is a new connection's file, which the owner must close. */
void ring_accept(struct ring *ring, struct ring_op *op, int32_t listener);

/*
 * The same, but the kernel takes one connection at a time: when the owner
 * cancels from inside an answer, none that is queued is taken and lost.
 */
void ring_accept_one(struct ring *ring, struct ring_op *op, int32_t listener);

/* 0 when connected. 'addr' (ring_net.h) is copied. */
struct ring_addr;
void ring_connect(struct ring *ring, struct ring_op *op, int32_t file,
		  const struct ring_addr *addr);

/*
 * One answer: res > 0 with a lent buffer of res bytes; 0 at the end of file;
 * -errno. 'idle' says that nothing is expected soon: no buffer is taken before
 * the file is readable. Any other receive is of a body, which may be held for
 * long: it gets none of the last bufs_kept, so that messages can still begin.
 */
void ring_recv(struct ring *ring, struct ring_op *op, int32_t file, bool idle);

/* The same, idle, of at most 'len_max' bytes: what follows is better spliced than copied. */
void ring_recv_first(struct ring *ring, struct ring_op *op, int32_t file, uint32_t len_max);

/*
 * One answer when all 'len' bytes are with the kernel (res == len), or when
 * sending failed or was cancelled: res is then -errno or a shorter count, and
 * the stream of that file is of no more use. 'data' is pinned.
 */
void ring_send(struct ring *ring, struct ring_op *op, int32_t file, const void *data, uint32_t len);

enum ring_ready { RING_READABLE = 1, RING_WRITABLE = 2, RING_BROKEN = 4 };

/*
 * One answer, res >= 0, when the file is ready, has failed or was hung up.
 * RING_BROKEN is only the latter: bytes and a peer that ends just its own side
 * do not answer it, and it is never answered for nothing.
 */
void ring_poll(struct ring *ring, struct ring_op *op, int32_t file, enum ring_ready ready);

/* One answer, 0, in the next turn, behind what is waiting now: how long work is cut up. */
void ring_soon(struct ring *ring, struct ring_op *op);

/*
 * One answer, 0, right behind the answer that is being given, while its memory is
 * still warm; without one, in the next turn. What goes on for long uses ring_soon().
 */
void ring_next(struct ring *ring, struct ring_op *op);

/* Multishot. Each answer's res is a signal number of 'signals', which must be blocked in every thread. */
void ring_signals(struct ring *ring, struct ring_op *op, const int *signals, uint32_t n_signals);

/* Ask for the final answer now. No effect when not armed. */
void ring_cancel(struct ring *ring, struct ring_op *op);

/* --- Timers: a wheel of 1 ms ticks; never early; no answer, no pinning once cancelled. ------ */

void ring_timer_init(struct ring_timer *timer, ring_timer_fn *fire);

/* Fire once at or after 'deadline_ns'. Armed already: moves it. */
void ring_timer_set(struct ring *ring, struct ring_timer *timer, uint64_t deadline_ns);
void ring_timer_cancel(struct ring *ring, struct ring_timer *timer);

/* --- Messages between rings. ---------------------------------------------------------------- */

typedef void ring_post_fn(void *owner, uint64_t word);

/* What runs on this ring's thread for each word posted to it. Set before ring_enable(). */
void ring_on_post(struct ring *ring, ring_post_fn *fn, void *owner);

/*
 * Send 'word' to another ring. 0, or -EAGAIN when that has no room now. Each
 * word arrives once, and what the sender wrote before is visible to the
 * receiver. Words of one sender arrive in order. The other ring must outlive
 * this turn; it need not be enabled yet.
 */
GW_MUST_USE int ring_post(struct ring *from, struct ring *to, uint64_t word);
