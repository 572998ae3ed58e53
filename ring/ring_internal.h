/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_internal.h - what the files of this folder share: the ring's insides.
 *
 * An armed operation has a slot in the op table. The kernel is given slot,
 * generation and kind as user_data, never an address, so a completion that
 * comes too late finds a newer generation and is only counted. The slot also
 * keeps what is needed to arm the operation again.
 *
 * At any time an armed operation is in one place:
 *   KERNEL   submitted (or in the submission queue); a completion is due
 *   STARVED  a receive in line for a buffer (ring->posted[].starved)
 *   DUE      its final answer is known and comes in the next turn (ring->due)
 *
 * Threads: the ring's own, except struct ring_mail.
 */
#pragma once

#include <liburing.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/list.h"
#include "core/base/wheel.h"
#include "ring/ring.h"
#include "ring/ring_buf.h"
#include "ring/ring_fault.h"
#include "ring/ring_file.h"
#include "ring/ring_net.h"
#include "ring/ring_pipe.h"
#include "ring/ring_post.h"

/* The low byte of a user_data. */
enum ring_kind {
	KIND_NONE,
	KIND_RECV,
	KIND_SEND,
	KIND_ROOM, /* A send that waits until the peer takes more. */
	KIND_ACCEPT,
	KIND_CONNECT,
	KIND_POLL,
	KIND_SIGNALS,
	KIND_SOON,     /* Never in the kernel. */
	KIND_QUIET,    /* From here on the ring's own: a cancel or a doorbell that failed. */
	KIND_FIXED,    /* Registering a file failed; the slot is the file. */
	KIND_CLOSED,   /* The slot is the file. */
	KIND_DOORBELL, /* From another ring: look into the mailbox. */
};

enum ring_place { PLACE_NONE, PLACE_KERNEL, PLACE_STARVED, PLACE_DUE };

enum {
	RING_SQ_SIZE = 1024,
	RING_CQ_SIZE = 8192,
	RING_OPS_PER_FILE = 4, /* Armed at a time, on average over the table. */
	RING_OPS_EXTRA = 64,
	RING_TIMERS_PER_TURN = 512,
	RING_NO_SLOT = 0xffffff,
};

/* What a receive may take: buffers for everything, or for bodies, which leave bufs_kept. */
enum ring_lot { RING_LOT_ALL, RING_LOT_BODIES, RING_N_LOTS };

/* Buffers that the kernel holds. A lot is its group's number as well. */
struct ring_posted {
	struct io_uring_buf_ring *queue; /* NULL: nobody receives from this lot. */
	struct list starved;             /* Receives in line for one of them. */
	uint64_t target_set_ns;
	uint32_t n, target;
};

struct ring_slot {
	struct ring_op *op; /* NULL: free. */
	uint32_t generation;
	union {
		uint32_t next_free;
		int32_t verdict; /* Not 0: the result to report instead of the completion's. */
	};
	const uint8_t *data; /* Send. */
	/* Send: bytes. Receive: at most. Poll: events, 0: RING_BROKEN. Accept: 1: just one. */
	uint32_t len;
	/* Send: bytes of them that are taken. Receive: enum ring_lot. Poll: 1: a series. */
	uint32_t done;
};

struct ring {
	struct io_uring uring;
	struct ring_slot *slots;
	struct ring_file *files;
	struct ring_buf *bufs;
	struct ring_posted posted[RING_N_LOTS];
	uint64_t now_ns;
	uint32_t n_slots, slots_touched, slot_free, n_armed;
	uint32_t files_max, files_touched, file_free, n_files, n_closing;
	uint32_t bufs_max, bufs_kept, n_bufs_free, posted_max;
	uint32_t turn_answers;
	uint32_t enter_flags;
	int failed;          /* The kernel takes no submission any more. */
	uint8_t fixed_after; /* 0: files are never registered. */
	bool enabled;
	bool turning;       /* Answers are being handed out: no turn within a turn. */
	pthread_t owner;    /* Who enabled it. */
	uint32_t *buf_free; /* A stack of buffer ids. */
	struct list due;    /* Answered in the next turn. */
	struct list next;   /* Answered behind the answer that is being given. */
	struct ring_fault fault;
	struct wheel wheel;
	struct ring_stats stats;
	struct sockaddr_storage *addrs; /* One per submission entry: where connect() finds it. */
	struct io_uring_sqe scratch;    /* Written to once 'failed'. */
	struct ring_pipe *pipes;
	struct list pipes_free;
	uint32_t pipes_max, n_pipes, pipes_touched;
	uint8_t *buf_mem;
	ring_post_fn *post;
	void *post_owner;
	struct ring_mail mail;
};

/* A counter that only this ring's thread writes. */
static inline void ring_count(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, old + n, memory_order_relaxed);
}

static inline uint64_t ring_user_data(enum ring_kind kind, uint32_t slot, uint32_t generation)
{
	return (uint64_t)generation << 32 | slot << 8 | kind;
}

static inline uint32_t ring_n_posted(const struct ring *ring)
{
	return ring->posted[RING_LOT_ALL].n + ring->posted[RING_LOT_BODIES].n;
}

/* ring_uring.c: a free submission entry, always; the queue is submitted when it is full. */
struct io_uring_sqe *ring_sqe_when_full(struct ring *ring);

static inline struct io_uring_sqe *ring_sqe(struct ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	return GW_LIKELY(sqe) ? sqe : ring_sqe_when_full(ring);
}

static inline struct ring_file *ring_file_open(struct ring *ring, int32_t file)
{
	GW_ASSERT((uint32_t)file < ring->files_max);
	struct ring_file *f = &ring->files[file];

	GW_ASSERT(f->state == RING_FILE_OPEN);
	return f;
}

static inline struct ring_slot *ring_slot_of(struct ring *ring, const struct ring_op *op)
{
	GW_ASSERT(op->slot < ring->slots_touched);
	struct ring_slot *slot = &ring->slots[op->slot];

	GW_ASSERT(slot->op == op);
	return slot;
}

/* ring_ops.c */
struct ring_slot *ring_ops_arm(struct ring *ring, struct ring_op *op, int32_t file,
			       enum ring_kind kind);
void ring_ops_poll(struct ring *ring, struct ring_op *op, uint32_t events);
/* The same, one completion after the other (ring_complete.c). */
void ring_ops_poll_series(struct ring *ring, struct ring_op *op, uint32_t events);
/* The rest of a send, as soon as there is room for it. */
void ring_ops_send_later(struct ring *ring, struct ring_op *op);
void ring_ops_cancel(struct ring *ring, const struct ring_op *op);
void ring_ops_rearm(struct ring *ring, struct ring_op *op);
/* Answer it in the next turn, without the kernel. */
void ring_ops_end(struct ring *ring, struct ring_op *op, int32_t res);

/* ring_complete.c */
void ring_complete(struct ring *ring, const struct io_uring_cqe *cqe);
void ring_complete_next(struct ring *ring);
void ring_complete_due(struct ring *ring, struct list *line);
bool ring_complete_must_end(const struct ring *ring, const struct ring_op *op);
bool ring_complete_is_passing(const struct ring *ring, const struct ring_op *op, int32_t res);

/* ring_signal.c */
void ring_signal_done(struct ring *ring, struct ring_op *op, int32_t res);

/* ring_buf.c */
GW_MUST_USE int ring_buf_init(struct ring *ring, const struct ring_options *opt);
void ring_buf_fini(struct ring *ring);
struct ring_buf *ring_buf_lend(struct ring *ring, uint32_t id, uint32_t len);
void ring_buf_recycle(struct ring *ring, uint32_t id);
void ring_buf_starve(struct ring *ring, struct ring_op *op);
void ring_buf_feed(struct ring *ring, struct ring_op *op);
void ring_buf_refill(struct ring *ring);

/* ring_pipe.c */
GW_MUST_USE int ring_pipe_init(struct ring *ring, const struct ring_options *opt);
void ring_pipe_fini(struct ring *ring);
