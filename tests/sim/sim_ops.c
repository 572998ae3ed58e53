/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_ops.c - the operations of ring.h: armed, carried out, cancelled, answered.
 *
 * Carrying out and answering are two moments. Between them the result stands
 * in the queue of answers, out of which a turn takes any one whose turn it may
 * be: only the answers of one operation keep their order.
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

static void queue_answer(struct ring *ring, struct ring_op *op, struct ring_answer is)
{
	if (ring->n_answers == ring->answers_max) {
		ring->answers_max = ring->answers_max ? 2 * ring->answers_max : 64;
		ring->answers = realloc(ring->answers, ring->answers_max * sizeof(*ring->answers));
		GW_ASSERT(ring->answers);
	}
	ring->answers[ring->n_answers++] = (struct sim_answer){ op, is };
}

/* The last answer of a slot's operation is known. */
static void slot_end(struct ring *ring, struct sim_slot *slot, struct ring_answer is)
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
	queue_answer(ring, slot->op, is);
}

static void slot_end_res(struct ring *ring, struct sim_slot *slot, int32_t res)
{
	slot_end(ring, slot, (struct ring_answer){ .res = res });
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

/* Any answer may be next, but those of one operation keep their order. */
static uint32_t next_answer(struct ring *ring)
{
	uint32_t i = (uint32_t)sim_pick(ring, ring->n_answers);

	for (uint32_t k = 0; k < i; k++)
		if (ring->answers[k].op == ring->answers[i].op)
			return k;
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
	ring->stats.cqes++;
	if (!is->more)
		slot_free(ring, op);
	op->answer(op, is);
	if (is->more && op->kind == SIM_ACCEPT && !op->stopping)
		accept_again(ring, op);
	if (ring->check)
		ring->check(ring->check_owner);
}

static void deliver_soon(struct ring *ring)
{
	struct list line;
	struct list_node *node;

	list_init(&line);
	list_splice_back(&line, &ring->soon);
	while ((node = list_pop_front(&line))) {
		struct ring_op *op = list_entry(node, struct ring_op, line);

		deliver(ring, op, &(struct ring_answer){ .res = op->stopping ? -ECANCELED : 0 });
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
		deliver(ring, one.op, &one.is);
	}
	deliver_soon(ring);
}

/* --- Receiving and sending ---------------------------------------------------------------- */

static void recv_run(struct ring *ring, struct sim_slot *slot)
{
	struct sim_end *end = ring->files[slot->op->file].end;
	struct ring_answer is = { 0 };
	uint32_t there = (uint32_t)(end->in->arrived - end->in->head);

	if (there == 0) {
		char none;

		GW_ASSERT(sim_net_readable(end)); /* Nobody else takes its bytes. */
		slot_end_res(ring, slot, sim_end_read(end, &none, 1));
		return;
	}
	is.buf = sim_buf_lend(ring);
	if (!is.buf) {
		ring->counts.starved++;
		ring->stats.nobufs++;
		slot->place = SIM_STARVED;
		list_push_back(&ring->starved, &slot->starved);
		return;
	}
	there = there < RING_BUF_DATA ? there : RING_BUF_DATA;
	if (sim_pick(ring, 3) == 0) {
		there = 1 + (uint32_t)sim_pick(ring, there);
		ring->counts.short_recvs++;
	}
	is.res = sim_end_read(end, ring_buf_data(is.buf), there);
	GW_ASSERT(is.res == (int32_t)there);
	is.buf->len = there;
	is.nonempty = end->in->arrived > end->in->head;
	ring->counts.bytes_in += there;
	slot_end(ring, slot, is);
}

/* Buffers may have come back: those who stand in line try again. */
void sim_ops_feed(struct ring *ring)
{
	for (uint32_t n = ring->n_posted; n > 0; n--) {
		struct list_node *node = list_pop_front(&ring->starved);

		if (!node)
			return;
		struct sim_slot *slot = list_entry(node, struct sim_slot, starved);

		slot->place = SIM_WAITS;
		may_run(ring, slot);
	}
}

static void assert_pinned(const struct sim_slot *slot)
{
	GW_ASSERT(memcmp(slot->copy, slot->data, slot->len) ==
		  0); /* Changed while it was being sent. */
}

static void send_run(struct ring *ring, struct sim_slot *slot)
{
	struct sim_end *end = ring->files[slot->op->file].end;
	uint32_t len = slot->len - slot->done;
	int32_t n;

	assert_pinned(slot);
	n = sim_end_write(end, slot->data + slot->done, 1 + (uint32_t)sim_pick(ring, len));
	if (n == -EAGAIN) {
		slot->place = SIM_WAITS;
		return;
	}
	if (n < 0) {
		slot_end_res(ring, slot,
			     slot->done > 0 && sim_pick(ring, 2) ? (int32_t)slot->done : n);
		return;
	}
	slot->done += (uint32_t)n;
	ring->counts.bytes_out += (uint32_t)n;
	if (slot->done == slot->len) {
		slot_end_res(ring, slot, (int32_t)slot->len);
		return;
	}
	slot->place = SIM_WAITS;
	sim_ops_wake(ring, slot->op->file);
}

int32_t ring_send_now(struct ring *ring, int32_t file, const void *data, uint32_t len)
{
	struct sim_file *f = sim_file_get(ring, file);
	int32_t n;

	GW_ASSERT(f->end && len > 0);
	sim_ops_assert_no(ring, f, SIM_SEND); /* It would overtake. */
	if (sim_chance(ring, ring->opt.faults.send_again)) {
		ring->counts.again++;
		return -EAGAIN;
	}
	if (sim_chance(ring, ring->opt.faults.send_short)) {
		len = 1 + (uint32_t)sim_pick(ring, len);
		ring->counts.short_sends++;
	}
	n = sim_end_write(f->end, data, len);
	sim_say(ring, "send_now on %d of %u: %d", file, len, n);
	if (n > 0)
		ring->counts.bytes_out += (uint32_t)n;
	return n;
}

/* --- Connecting and accepting ------------------------------------------------------------- */

static struct sim_host *host_at(struct ring *ring, const struct ring_addr *addr)
{
	list_each(node, &ring->hosts)
	{
		struct sim_host *host = list_entry(node, struct sim_host, link);

		if (ring_addr_eq(&host->addr, addr))
			return host;
	}
	return NULL;
}

static void connected(struct ring *ring, struct sim_slot *slot, struct sim_host *host)
{
	struct sim_conn *conn = sim_net_connect(ring);

	conn->ends[0].file = slot->op->file;
	conn->ends[0].addr = (struct ring_addr){ .family = AF_INET, .port = ring->next_port++ };
	conn->ends[1].addr = slot->addr;
	ring->files[slot->op->file].end = &conn->ends[0];
	slot_end_res(ring, slot, 0);
	host->connected(host->owner, &conn->ends[1]);
}

static void connect_run(struct ring *ring, struct sim_slot *slot)
{
	struct sim_host *host = host_at(ring, &slot->addr);

	if (slot->done > 0) { /* Nothing answered for a long time. */
		slot_end_res(ring, slot, -ETIMEDOUT);
		return;
	}
	switch (host ? host->welcome(host->owner) : SIM_REFUSE) {
	case SIM_WELCOME:
		connected(ring, slot, host);
		return;
	case SIM_REFUSE:
		slot_end_res(ring, slot, -ECONNREFUSED);
		return;
	case SIM_UNREACHABLE:
		slot_end_res(ring, slot, sim_pick(ring, 2) ? -EHOSTUNREACH : -ENETUNREACH);
		return;
	case SIM_SILENCE:
		slot->done = 1;
		sim_event_at(ring, &slot->run, ring->now_ns + UINT64_C(127000000000));
		return;
	}
	GW_UNREACHABLE();
}

static void accept_one(struct ring *ring, struct sim_slot *slot, struct sim_conn *conn,
		       int32_t file)
{
	conn->ends[0].file = file;
	ring->files[file].end = &conn->ends[0];
	ring->files[file].family = conn->ends[0].addr.family;
	slot->owed = slot->one;
	queue_answer(ring, slot->op, (struct ring_answer){ .res = file, .more = true });
}

static void accept_run(struct ring *ring, struct sim_slot *slot)
{
	struct sim_listener *listener = ring->files[slot->op->file].listener;
	struct list_node *node;
	int32_t file;

	slot->place = SIM_WAITS;
	if (list_is_empty(&listener->queue))
		return;
	if (sim_chance(ring, ring->opt.faults.accept_emfile)) {
		ring->counts.emfile++;
		slot_end_res(ring, slot, sim_pick(ring, 2) ? -EMFILE : -ENFILE);
		return;
	}
	node = list_pop_front(&listener->queue);
	file = sim_file_new(ring);
	if (file < 0) { /* The owner should have stopped before: this one is lost. */
		sim_end_close(&list_entry(node, struct sim_conn, queue)->ends[0], true);
		slot_end_res(ring, slot, -ENFILE);
		return;
	}
	accept_one(ring, slot, list_entry(node, struct sim_conn, queue), file);
	sim_ops_wake(ring, slot->op->file);
}

/* --- Polls -------------------------------------------------------------------------------- */

static bool is_ready(const struct ring *ring, const struct sim_slot *slot)
{
	const struct sim_file *f = &ring->files[slot->op->file];

	if (f->listener)
		return !list_is_empty(&f->listener->queue);
	if (!f->end)
		return false;
	if (slot->ready == RING_READABLE)
		return sim_net_readable(f->end);
	return f->end->reset || sim_net_room(f->end) >= ring->opt.send_size / 3;
}

static void poll_run(struct ring *ring, struct sim_slot *slot)
{
	if (slot->spurious || is_ready(ring, slot))
		slot_end_res(ring, slot, 1);
	else
		slot->place = SIM_WAITS; /* Somebody was faster. */
}

/* --- Running and cancelling --------------------------------------------------------------- */

static void slot_run(struct ring *ring, struct sim_event *event)
{
	struct sim_slot *slot = GW_CONTAINER_OF(event, struct sim_slot, run);

	GW_ASSERT(slot->place == SIM_RUNS);
	switch ((enum sim_kind)slot->op->kind) {
	case SIM_RECV:
		recv_run(ring, slot);
		return;
	case SIM_SEND:
		send_run(ring, slot);
		return;
	case SIM_ACCEPT:
		accept_run(ring, slot);
		return;
	case SIM_CONNECT:
		connect_run(ring, slot);
		return;
	case SIM_POLL:
		poll_run(ring, slot);
		return;
	case SIM_SIGNALS:
	case SIM_SOON:
	case SIM_NONE:
		GW_UNREACHABLE();
	}
}

static void slot_cancelled(struct ring *ring, struct sim_event *event)
{
	struct sim_slot *slot = GW_CONTAINER_OF(event, struct sim_slot, cancel);

	GW_ASSERT(slot->place != SIM_ANSWERED);
	if (slot->op->kind == SIM_SEND)
		assert_pinned(slot);
	slot_end_res(ring, slot,
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

static bool can_run(const struct ring *ring, const struct sim_slot *slot)
{
	const struct sim_file *f = &ring->files[slot->op->file];

	switch ((enum sim_kind)slot->op->kind) {
	case SIM_RECV:
		return sim_net_readable(f->end);
	case SIM_SEND:
		return f->end->reset || sim_net_room(f->end) > 0;
	case SIM_ACCEPT:
		return !slot->owed && !list_is_empty(&f->listener->queue);
	case SIM_CONNECT:
		return true;
	case SIM_POLL:
		return slot->spurious || is_ready(ring, slot);
	case SIM_SIGNALS:
	case SIM_SOON:
	case SIM_NONE:
		return false;
	}
	GW_UNREACHABLE();
}

/* Something changed about a file: which of its operations can go on? */
void sim_ops_wake(struct ring *ring, int32_t file)
{
	struct sim_file *f = &ring->files[file];

	list_each(node, &f->ops)
	{
		struct sim_slot *slot = list_entry(node, struct sim_slot, link);

		if (slot->place == SIM_WAITS && can_run(ring, slot))
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
	if (can_run(ring, slot))
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
	(void)idle; /* No buffer is taken before there are bytes, either way. */
	GW_ASSERT(sim_file_get(ring, file)->end);
	begin(ring, arm(ring, op, file, SIM_RECV));
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
	slot->spurious = sim_chance(ring, ring->opt.faults.poll_spurious);
	ring->counts.spurious += slot->spurious;
	begin(ring, slot);
}

void ring_soon(struct ring *ring, struct ring_op *op)
{
	struct sim_slot *slot = arm(ring, op, -1, SIM_SOON);

	slot->place = SIM_ANSWERED;
	list_push_back(&ring->soon, &op->line);
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
			queue_answer(ring, slot->op,
				     (struct ring_answer){ .res = signal, .more = true });
	}
}
