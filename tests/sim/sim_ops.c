/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_ops.c - the operations of ring.h: armed, cancelled, answered (sim_work.c: carried out).
 *
 * Carrying out and answering are two moments. Between them the result stands
 * in the queue of answers, out of which a turn takes any one whose turn it may
 * be: only the answers of one operation, and of one file, keep their order.
 */
#include "tests/sim/sim_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = { "none",    "recv", "send",    "accept",
					  "connect", "poll", "signals", "soon" };

/* --- Slots -------------------------------------------------------------------------------- */

static void slot_run(struct ring *ring, struct sim_event *event);
static void slot_cancelled(struct ring *ring, struct sim_event *event);

static struct sim_slot *slot_of(struct ring *ring, const struct ring_op *op)
{
	GW_ASSERT(op->slot < ring->n_slots && ring->slots[op->slot].op == op);
	return &ring->slots[op->slot];
}

static struct sim_slot *slot_take(struct ring *ring)
{
	for (uint32_t i = 0; i < ring->n_slots; i++)
		if (!ring->slots[i].op)
			return &ring->slots[i];
	GW_UNREACHABLE(); /* More operations than any ring has room for. */
}

static void may_run(struct ring *ring, struct sim_slot *slot)
{
	GW_ASSERT(slot->place == SIM_WAITS);
	slot->place = SIM_RUNS;
	sim_event_later(ring, &slot->run);
}

/* --- Answers ------------------------------------------------------------------------------ */

void sim_ops_queue(struct ring *ring, struct ring_op *op, struct ring_answer is)
{
	if (ring->n_answers == ring->answers_max) {
		ring->answers_max = ring->answers_max ? 2 * ring->answers_max : 64;
		ring->answers = realloc(ring->answers, ring->answers_max * sizeof(*ring->answers));
		GW_ASSERT(ring->answers);
	}
	ring->answers[ring->n_answers++] = (struct sim_answer){ op, is };
}

/* The last answer of a slot's operation is known. */
void sim_ops_end(struct ring *ring, struct sim_slot *slot, struct ring_answer is)
{
	GW_ASSERT(slot->place != SIM_ANSWERED);
	if (slot->place == SIM_STARVED)
		list_remove(&slot->starved);
	sim_event_drop(ring, &slot->run);
	if (slot->op->stopping)
		*(is.res == -ECANCELED ? &ring->counts.cancels_won : &ring->counts.cancels_lost) +=
			1;
	sim_event_drop(ring, &slot->cancel);
	slot->place = SIM_ANSWERED;
	sim_ops_queue(ring, slot->op, is);
}

void sim_ops_end_res(struct ring *ring, struct sim_slot *slot, int32_t res)
{
	sim_ops_end(ring, slot, (struct ring_answer){ .res = res });
}

/* From here on the operation is its owner's. */
static void slot_free(struct ring *ring, struct ring_op *op)
{
	struct sim_slot *slot = slot_of(ring, op);
	struct sim_file *f = op->file >= 0 ? &ring->files[op->file] : NULL;

	if (f)
		list_remove(&slot->link);
	free(slot->copy);
	slot->copy = NULL;
	slot->op = NULL;
	slot->place = SIM_IDLE;
	ring->n_armed--;
	ring->stats.ops_armed--;
	op->armed = false;
	op->stopping = false;
	if (f)
		sim_file_settle(ring, f);
}

/* Any answer may be next, but those of one operation or file keep their order. */
static uint32_t next_answer(struct ring *ring)
{
	uint32_t i = (uint32_t)sim_pick(ring, ring->n_answers);
	const struct ring_op *op = ring->answers[i].op;

	for (uint32_t k = 0; k < i; k++) {
		const struct ring_op *before = ring->answers[k].op;

		if (before == op || (op->file >= 0 && before->file == op->file))
			return k;
	}
	return i;
}

/* The owner has had the last one, and did not cancel. */
static void accept_again(struct ring *ring, struct ring_op *op)
{
	slot_of(ring, op)->owed = false;
	if (ring->files[op->file].state == SIM_FILE_OPEN)
		sim_ops_wake(ring, op->file);
}

static void deliver(struct ring *ring, struct ring_op *op, const struct ring_answer *is)
{
	GW_ASSERT(op->armed);
	sim_say(ring, "%s on %d answers %d%s", kind_names[op->kind], op->file, is->res,
		is->more ? " and more" : "");
	ring->counts.answers++;
	if (!is->more)
		slot_free(ring, op);
	op->answer(op, is);
	if (is->more && op->kind == SIM_ACCEPT && !op->stopping)
		accept_again(ring, op);
	if (ring->check)
		ring->check(ring->check_owner);
}

static void deliver_due(struct ring *ring, struct list_node *node)
{
	struct ring_op *op = list_entry(node, struct ring_op, line);

	deliver(ring, op, &(struct ring_answer){ .res = op->stopping ? -ECANCELED : 0 });
}

static void deliver_next(struct ring *ring)
{
	for (struct list_node *node; (node = list_pop_front(&ring->next));)
		deliver_due(ring, node);
}

static void deliver_soon(struct ring *ring)
{
	struct list line;

	list_init(&line);
	list_splice_back(&line, &ring->soon);
	for (struct list_node *node; (node = list_pop_front(&line));) {
		deliver_due(ring, node);
		deliver_next(ring);
	}
}

/* At most n_max of what is there now, then the line of ring_soon(). */
void sim_ops_deliver(struct ring *ring, uint32_t n_max)
{
	struct sim_answer one;

	for (uint32_t n = ring->n_answers < n_max ? ring->n_answers : n_max; n > 0; n--) {
		uint32_t i = next_answer(ring);

		one = ring->answers[i];
		ring->n_answers--;
		memmove(&ring->answers[i], &ring->answers[i + 1],
			(ring->n_answers - i) * sizeof(one));
		ring->stats.cqes++; /* Those that follow come without the kernel. */
		deliver(ring, one.op, &one.is);
		deliver_next(ring);
	}
	deliver_soon(ring);
}

/* --- Running and cancelling --------------------------------------------------------------- */

static void slot_run(struct ring *ring, struct sim_event *event)
{
	sim_work_run(ring, GW_CONTAINER_OF(event, struct sim_slot, run));
}

static void feed(struct ring *ring, enum sim_lot lot)
{
	for (uint32_t n = ring->n_posted[lot]; n > 0; n--) {
		struct list_node *node = list_pop_front(&ring->starved[lot]);

		if (!node)
			return;
		struct sim_slot *slot = list_entry(node, struct sim_slot, starved);

		slot->place = SIM_WAITS;
		may_run(ring, slot);
	}
}

/* Buffers may have come back: those who stand in line try again. */
void sim_ops_feed(struct ring *ring)
{
	for (int lot = 0; lot < SIM_N_LOTS; lot++)
		feed(ring, lot);
}

static void slot_cancelled(struct ring *ring, struct sim_event *event)
{
	struct sim_slot *slot = GW_CONTAINER_OF(event, struct sim_slot, cancel);

	GW_ASSERT(slot->place != SIM_ANSWERED);
	if (slot->op->kind == SIM_SEND)
		sim_work_assert_pinned(slot);
	sim_ops_end_res(ring, slot,
			slot->op->kind == SIM_SEND && slot->done > 0 ? (int32_t)slot->done
								     : -ECANCELED);
}

void ring_cancel(struct ring *ring, struct ring_op *op)
{
	struct sim_slot *slot;

	if (!op->armed || op->stopping)
		return;
	op->stopping = true;
	slot = slot_of(ring, op);
	sim_say(ring, "cancel %s on %d", kind_names[op->kind], op->file);
	if (op->kind != SIM_SOON && slot->place != SIM_ANSWERED)
		sim_event_later(ring, &slot->cancel);
}

void sim_ops_cancel_all(struct ring *ring, struct sim_file *f)
{
	list_each(node, &f->ops)
	{
		struct sim_slot *slot = list_entry(node, struct sim_slot, link);

		if (slot->place != SIM_ANSWERED && !sim_event_waits(&slot->cancel))
			sim_event_later(ring, &slot->cancel);
	}
}

/* Something changed about a file: which of its operations can go on? */
void sim_ops_wake(struct ring *ring, int32_t file)
{
	struct sim_file *f = &ring->files[file];

	list_each(node, &f->ops)
	{
		struct sim_slot *slot = list_entry(node, struct sim_slot, link);

		if (slot->place == SIM_WAITS && sim_work_can(ring, slot))
			may_run(ring, slot);
	}
}

void sim_ops_assert_no(struct ring *ring, const struct sim_file *f, enum sim_kind kind)
{
	(void)ring;
	list_each(node, &f->ops)
		GW_ASSERT(list_entry(node, struct sim_slot, link)->op->kind != kind);
}

/* --- Arming ------------------------------------------------------------------------------- */

void ring_op_init(struct ring_op *op, ring_answer_fn *answer)
{
	GW_ASSERT(answer);
	*op = (struct ring_op){ .answer = answer, .file = -1 };
}

static struct sim_slot *arm(struct ring *ring, struct ring_op *op, int32_t file, enum sim_kind kind)
{
	struct sim_slot *slot = slot_take(ring);

	GW_ASSERT(!op->armed && op->answer);
	*slot = (struct sim_slot){ .ring = ring, .op = op, .place = SIM_WAITS };
	slot->run.run = slot_run;
	slot->cancel.run = slot_cancelled;
	op->slot = (uint32_t)(slot - ring->slots);
	op->file = file;
	op->kind = (uint8_t)kind;
	op->armed = true;
	op->stopping = false;
	ring->n_armed++;
	ring->stats.ops_armed++;
	ring->stats.sqes++;
	if (file < 0)
		return slot;
	struct sim_file *f = sim_file_get(ring, file);

	if (kind != SIM_POLL) /* Polls of both directions may go beside anything. */
		sim_ops_assert_no(ring, f, kind);
	list_push_back(&f->ops, &slot->link);
	sim_say(ring, "%s on %d", kind_names[kind], file);
	return slot;
}

static void begin(struct ring *ring, struct sim_slot *slot)
{
	if (sim_work_can(ring, slot))
		may_run(ring, slot);
}

void ring_accept(struct ring *ring, struct ring_op *op, int32_t listener)
{
	GW_ASSERT(sim_file_get(ring, listener)->listener);
	begin(ring, arm(ring, op, listener, SIM_ACCEPT));
}

void ring_accept_one(struct ring *ring, struct ring_op *op, int32_t listener)
{
	struct sim_slot *slot;

	GW_ASSERT(sim_file_get(ring, listener)->listener);
	slot = arm(ring, op, listener, SIM_ACCEPT);
	slot->one = true;
	begin(ring, slot);
}

void ring_connect(struct ring *ring, struct ring_op *op, int32_t file, const struct ring_addr *addr)
{
	struct sim_slot *slot;

	GW_ASSERT(!sim_file_get(ring, file)->end && !sim_file_get(ring, file)->listener);
	GW_ASSERT(addr->family == sim_file_get(ring, file)->family);
	slot = arm(ring, op, file, SIM_CONNECT);
	slot->addr = *addr;
	begin(ring, slot);
}

void ring_recv(struct ring *ring, struct ring_op *op, int32_t file, bool idle)
{
	struct sim_slot *slot;

	/* No buffer is taken before there are bytes, either way. */
	GW_ASSERT(sim_file_get(ring, file)->end);
	slot = arm(ring, op, file, SIM_RECV);
	slot->len = RING_BUF_DATA;
	slot->lot = idle || ring->ring_opt.bufs_kept == 0 ? SIM_LOT_ALL : SIM_LOT_BODIES;
	begin(ring, slot);
}

void ring_recv_first(struct ring *ring, struct ring_op *op, int32_t file, uint32_t len_max)
{
	struct sim_slot *slot;

	GW_ASSERT(sim_file_get(ring, file)->end && len_max > 0 && len_max <= RING_BUF_DATA);
	slot = arm(ring, op, file, SIM_RECV);
	slot->len = len_max;
	slot->lot = SIM_LOT_ALL;
	begin(ring, slot);
}

void ring_send(struct ring *ring, struct ring_op *op, int32_t file, const void *data, uint32_t len)
{
	struct sim_slot *slot;

	GW_ASSERT(sim_file_get(ring, file)->end && len > 0 && len <= INT32_MAX);
	slot = arm(ring, op, file, SIM_SEND);
	slot->data = data;
	slot->len = len;
	slot->copy = malloc(len);
	GW_ASSERT(slot->copy);
	memcpy(slot->copy, data, len);
	begin(ring, slot);
}

void ring_poll(struct ring *ring, struct ring_op *op, int32_t file, enum ring_ready ready)
{
	struct sim_slot *slot = arm(ring, op, file, SIM_POLL);

	slot->ready = (uint8_t)ready;
	if (ready != RING_BROKEN)
		slot->spurious = sim_chance(ring, ring->opt.faults.poll_spurious);
	ring->counts.spurious += slot->spurious;
	begin(ring, slot);
}

static void get_in_line(struct ring *ring, struct ring_op *op, struct list *line)
{
	struct sim_slot *slot = arm(ring, op, -1, SIM_SOON);

	slot->place = SIM_ANSWERED;
	list_push_back(line, &op->line);
}

void ring_soon(struct ring *ring, struct ring_op *op)
{
	get_in_line(ring, op, &ring->soon);
}

void ring_next(struct ring *ring, struct ring_op *op)
{
	get_in_line(ring, op, &ring->next);
}

void ring_signals(struct ring *ring, struct ring_op *op, const int *signals, uint32_t n_signals)
{
	struct sim_slot *slot = arm(ring, op, -1, SIM_SIGNALS);

	GW_ASSERT(n_signals > 0 && n_signals <= 32);
	for (uint32_t i = 0; i < n_signals; i++) {
		GW_ASSERT(signals[i] > 0 && signals[i] < 32);
		slot->len |= 1u << signals[i];
	}
}

void sim_signal(struct ring *ring, int signal)
{
	for (uint32_t i = 0; i < ring->n_slots; i++) {
		struct sim_slot *slot = &ring->slots[i];

		if (slot->op && slot->op->kind == SIM_SIGNALS && slot->place == SIM_WAITS &&
		    (slot->len & 1u << signal))
			sim_ops_queue(ring, slot->op,
				      (struct ring_answer){ .res = signal, .more = true });
	}
}
