/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_internal.h - what the files of the fake ring share: its insides.
 *
 * An armed operation has a slot with two events: when the kernel gets round to
 * it, and when a cancel that was asked for reaches it. Whichever comes first
 * decides. The answer then waits in the queue of completions until a turn
 * hands it out. A slot is in one state:
 *   WAITS    for bytes, room, a connection
 *   STARVED  it has bytes to receive but there is no buffer
 *   RUNS     it could go on; its event is queued
 *   ANSWERED its final answer waits in the queue
 */
#pragma once

#include "core/base/asan.h"
#include "core/base/list.h"
#include "ring/ring_buf.h"
#include "ring/ring_net.h"
#include "ring/ring_pipe.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_net.h"

/* --- The network -------------------------------------------------------------------------- */

/* One direction of a connection. Positions count from its beginning: head <= arrived <= tail. */
struct sim_flow {
	uint8_t *mem;
	uint32_t size; /* Of mem: both queues. */
	uint32_t send_size, window_size;
	uint64_t head;    /* Read up to here, */
	uint64_t arrived; /* readable up to here, */
	uint64_t tail;    /* sent up to here. */
	bool fin_sent, fin_arrived;
	struct sim_event move;
	struct sim_end *from, *to;
};

struct sim_end {
	struct ring *ring;
	struct sim_end *other;
	struct sim_flow *in, *out;
	int32_t file; /* The gateway's; -1 for a peer's and for one not accepted yet. */
	bool closed, reset, reset_told;
	sim_end_fn *fn; /* A peer's. */
	void *owner;
	struct sim_event wake, rst; /* 'rst': one from the other side is on its way. */
	struct ring_addr addr;      /* Of this end. */
};

struct sim_conn {
	struct sim_end ends[2];
	struct sim_flow flows[2];
	struct sim_event knock; /* The connection reaches the listener. */
	bool begun;             /* The client takes it for a connection. */
	struct sim_listener *listener;
	struct list_node link;  /* In ring->conns. */
	struct list_node queue; /* In the listener's line of those to accept. */
};

struct sim_listener {
	struct ring_addr addr;
	int32_t file; /* -1: closed. */
	bool stopped; /* Nobody is let in any more who has not knocked yet. */
	struct list queue;
	struct list_node link;
};

/* --- Files and operations ----------------------------------------------------------------- */

enum sim_kind {
	SIM_NONE,
	SIM_RECV,
	SIM_SEND,
	SIM_ACCEPT,
	SIM_CONNECT,
	SIM_POLL,
	SIM_SIGNALS,
	SIM_SOON
};
enum sim_lot { SIM_LOT_ALL, SIM_LOT_BODIES, SIM_N_LOTS };
enum sim_place { SIM_IDLE, SIM_WAITS, SIM_STARVED, SIM_RUNS, SIM_ANSWERED };

struct sim_slot {
	struct ring *ring;
	struct ring_op *op; /* NULL: free. */
	uint8_t place;
	uint8_t ready; /* Poll: enum ring_ready. */
	bool one;      /* Accept: takes nothing while an answer waits, */
	bool owed;     /* as it does now. */
	bool spurious; /* Poll: answers although nothing is ready. */
	struct sim_event run, cancel;
	struct list_node link;    /* In the file's list of armed operations. */
	struct list_node starved; /* In ring->starved[lot]. */
	uint8_t lot;              /* Receive: enum sim_lot. */
	const uint8_t *data;      /* Send: pinned, */
	uint8_t *copy;            /* and as it was when it was armed. */
	uint32_t len, done;
	struct ring_addr addr; /* Connect. */
};

enum sim_file_state { SIM_FILE_FREE, SIM_FILE_OPEN, SIM_FILE_CLOSING };

struct sim_file {
	uint8_t state;
	bool abort;
	uint8_t family;
	bool is_signals;
	struct sim_end *end;           /* Connected sockets, */
	struct sim_listener *listener; /* listeners. */
	struct list ops;
	struct sim_event close;
};

struct sim_answer {
	struct ring_op *op;
	struct ring_answer is;
};

struct sim_buf {
	struct ring_buf pub;
	bool held; /* By an object. */
};

struct sim_pipe {
	struct ring_pipe pub;
	uint8_t *mem;
	uint32_t start;
	bool taken;
};

struct ring {
	struct sim_options opt;
	struct ring_options ring_opt;
	struct rng rng;
	uint64_t now_ns;
	struct ring_stats stats;
	struct sim_counts counts;

	struct sim_event **heap;
	uint32_t n_heap, heap_max;

	struct sim_slot *slots;
	uint32_t n_slots, n_armed;
	struct sim_file *files;
	uint32_t n_files;
	struct list soon, next;
	struct sim_answer *answers;
	uint32_t n_answers, answers_max;

	struct sim_buf *bufs;
	uint32_t *buf_free;
	uint32_t n_buf_free, n_posted[SIM_N_LOTS]; /* Those posted are among the free. */
	struct list starved[SIM_N_LOTS];

	struct sim_pipe *pipes;
	struct list pipes_free;

	struct list timers, timers_due;

	struct list conns, listeners, hosts;
	uint16_t next_port; /* Of the gateway's own ends. */

	ring_post_fn *post;
	void *post_owner;
	uint64_t *mail;
	uint32_t n_mail, mail_max;

	sim_check_fn *check;
	void *check_owner;
};

/* sim_event.c */
GW_MUST_USE struct sim_event *sim_event_first(struct ring *ring);
uint64_t sim_event_latency(struct ring *ring);

/* sim_ops.c */
void sim_ops_wake(struct ring *ring, int32_t file);
void sim_ops_cancel_all(struct ring *ring, struct sim_file *f);
void sim_ops_feed(struct ring *ring);
void sim_ops_deliver(struct ring *ring, uint32_t n_max);
void sim_ops_assert_no(struct ring *ring, const struct sim_file *f, enum sim_kind kind);

void sim_ops_queue(struct ring *ring, struct ring_op *op, struct ring_answer is);
void sim_ops_end(struct ring *ring, struct sim_slot *slot, struct ring_answer is);
void sim_ops_end_res(struct ring *ring, struct sim_slot *slot, int32_t res);

/* sim_work.c */
void sim_work_run(struct ring *ring, struct sim_slot *slot);
bool sim_work_can(const struct ring *ring, const struct sim_slot *slot);
void sim_work_assert_pinned(const struct sim_slot *slot);

/* sim_file.c */
GW_MUST_USE int32_t sim_file_new(struct ring *ring);
struct sim_file *sim_file_get(struct ring *ring, int32_t file);
void sim_file_settle(struct ring *ring, struct sim_file *f);

/* sim_buf.c */
void sim_buf_open(struct ring *ring);
void sim_buf_free(struct ring *ring);
struct ring_buf *sim_buf_lend(struct ring *ring, enum sim_lot lot);
void sim_buf_refill(struct ring *ring);

/* sim_pipe.c */
void sim_pipe_open(struct ring *ring);
void sim_pipe_free(struct ring *ring);

/* sim_timer.c */
void sim_timer_run_due(struct ring *ring);

/* sim_net.c */
struct sim_conn *sim_net_connect(struct ring *ring);
void sim_net_conn_free(struct ring *ring, struct sim_conn *conn);
void sim_net_send_rst(struct ring *ring, struct sim_end *from);
bool sim_net_readable(const struct sim_end *end);
/* Others than its end or a reset. */
bool sim_net_has_bytes(const struct sim_end *end);
uint32_t sim_net_room(const struct sim_end *end);
void sim_net_free(struct ring *ring);
