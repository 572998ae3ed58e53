/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_work.c - what the kernel does when it gets round to an operation.
 */
#include "tests/sim/sim_internal.h"

#include <errno.h>
#include <string.h>

/* --- Receiving and sending ---------------------------------------------------------------- */

static void recv_run(struct ring *ring, struct sim_slot *slot)
{
	struct sim_end *end = ring->files[slot->op->file].end;
	struct ring_answer is = { 0 };
	uint32_t there = (uint32_t)(end->in->arrived - end->in->head);

	if (there == 0) {
		char none;

		GW_ASSERT(sim_net_readable(end)); /* Nobody else takes its bytes. */
		sim_ops_end_res(ring, slot, sim_end_read(end, &none, 1));
		return;
	}
	is.buf = sim_buf_lend(ring, slot->lot);
	if (!is.buf) {
		ring->counts.starved++;
		ring->stats.nobufs++;
		slot->place = SIM_STARVED;
		list_push_back(&ring->starved[slot->lot], &slot->starved);
		return;
	}
	there = there < slot->len ? there : slot->len;
	if (sim_pick(ring, 3) == 0) {
		there = 1 + (uint32_t)sim_pick(ring, there);
		ring->counts.short_recvs++;
	}
	is.res = sim_end_read(end, ring_buf_data(is.buf), there);
	GW_ASSERT(is.res == (int32_t)there);
	is.buf->len = there;
	is.nonempty = end->in->arrived > end->in->head;
	ring->counts.bytes_in += there;
	sim_ops_end(ring, slot, is);
}

void sim_work_assert_pinned(const struct sim_slot *slot)
{
	GW_ASSERT(memcmp(slot->copy, slot->data, slot->len) ==
		  0); /* Changed while it was being sent. */
}

static void send_run(struct ring *ring, struct sim_slot *slot)
{
	struct sim_end *end = ring->files[slot->op->file].end;
	uint32_t len = slot->len - slot->done;
	int32_t n;

	sim_work_assert_pinned(slot);
	n = sim_end_write(end, slot->data + slot->done, 1 + (uint32_t)sim_pick(ring, len));
	if (n == -EAGAIN) {
		slot->place = SIM_WAITS;
		return;
	}
	if (n < 0) {
		sim_ops_end_res(ring, slot,
				slot->done > 0 && sim_pick(ring, 2) ? (int32_t)slot->done : n);
		return;
	}
	slot->done += (uint32_t)n;
	ring->counts.bytes_out += (uint32_t)n;
	if (slot->done == slot->len) {
		sim_ops_end_res(ring, slot, (int32_t)slot->len);
		return;
	}
	slot->place = SIM_WAITS;
	sim_ops_wake(ring, slot->op->file);
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
	sim_ops_end_res(ring, slot, 0);
	host->connected(host->owner, &conn->ends[1]);
}

static void connect_run(struct ring *ring, struct sim_slot *slot)
{
	struct sim_host *host = host_at(ring, &slot->addr);

	if (slot->done > 0) { /* Nothing answered for a long time. */
		sim_ops_end_res(ring, slot, -ETIMEDOUT);
		return;
	}
	switch (host ? host->welcome(host->owner) : SIM_REFUSE) {
	case SIM_WELCOME:
		connected(ring, slot, host);
		return;
	case SIM_REFUSE:
		sim_ops_end_res(ring, slot, -ECONNREFUSED);
		return;
	case SIM_UNREACHABLE:
		sim_ops_end_res(ring, slot, sim_pick(ring, 2) ? -EHOSTUNREACH : -ENETUNREACH);
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
	sim_ops_queue(ring, slot->op, (struct ring_answer){ .res = file, .more = true });
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
		sim_ops_end_res(ring, slot, sim_pick(ring, 2) ? -EMFILE : -ENFILE);
		return;
	}
	node = list_pop_front(&listener->queue);
	file = sim_file_new(ring);
	if (file < 0) { /* The owner should have stopped before: this one is lost. */
		sim_end_close(&list_entry(node, struct sim_conn, queue)->ends[0], true);
		sim_ops_end_res(ring, slot, -ENFILE);
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
	if (slot->ready == RING_BROKEN)
		return f->end->reset || (f->end->in->fin_arrived && f->end->out->fin_sent);
	if (slot->ready == RING_READABLE)
		return sim_net_readable(f->end);
	return f->end->reset || sim_net_room(f->end) >= ring->opt.send_size / 3;
}

static void poll_run(struct ring *ring, struct sim_slot *slot)
{
	if (slot->spurious || is_ready(ring, slot))
		sim_ops_end_res(ring, slot, 1);
	else
		slot->place = SIM_WAITS; /* Somebody was faster. */
}

/* --- All of them ----------------------------------------------------------------------------- */

void sim_work_run(struct ring *ring, struct sim_slot *slot)
{
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

bool sim_work_can(const struct ring *ring, const struct sim_slot *slot)
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
