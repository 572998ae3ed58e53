/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_complete.c - completions: hidden and repeated, or handed to their owners.
 *
 * Completions that owners must not see end here: -EAGAIN and -EINTR, a receive
 * without a buffer, a short send, an accept that the kernel ended for no fault
 * of the listener. Such an operation is armed again from its slot. Once the
 * owner has asked for the end (ring_cancel, or ring_close of the file) they
 * become -ECANCELED instead.
 */
#include "ring/ring_internal.h"

#include <errno.h>
#include <poll.h>

#include "core/base/probe.h"

static void slot_give(struct ring *ring, uint32_t i)
{
	struct ring_slot *slot = &ring->slots[i];

	GW_ASSERT(slot->op);
	slot->op = NULL;
	slot->generation++;
	slot->next_free = ring->slot_free;
	ring->slot_free = i;
}

bool ring_complete_must_end(const struct ring *ring, const struct ring_op *op)
{
	return op->stopping || ring->files[op->file].state == RING_FILE_CLOSING;
}

/* The series ends: from here on the operation belongs to its owner. */
static void finish(struct ring *ring, struct ring_op *op, const struct ring_answer *answer)
{
	struct ring_file *f = &ring->files[op->file];

	GW_ASSERT(op->armed && f->n_armed > 0 && ring->n_armed > 0);
	GW_ASSERT(op->place == PLACE_KERNEL || op->place == PLACE_DUE); /* In no line. */
	GW_PROBE(op_done, op->kind, op->file, answer->res);
	slot_give(ring, op->slot);
	ring->n_armed--;
	f->n_armed--;
	if (GW_UNLIKELY(f->state == RING_FILE_CLOSING))
		ring_file_settle(ring, f);
	op->place = PLACE_NONE;
	op->armed = false;
	op->stopping = false;
	op->answer(op, answer);
}

static void finish_res(struct ring *ring, struct ring_op *op, int32_t res)
{
	finish(ring, op, &(struct ring_answer){ .res = res });
}

/* May the operation be repeated as if nothing had happened? */
bool ring_complete_is_passing(const struct ring *ring, const struct ring_op *op, int32_t res)
{
	if (res == -EAGAIN || res == -EINTR || res == -ECANCELED)
		return true;
	/* The kernel would not register the file; see ring_file_not_fixed(). */
	return res == -EBADF && ring->files[op->file].unfixable;
}

static void recv_failed(struct ring *ring, struct ring_op *op, int32_t res)
{
	if (res == -ENOBUFS)
		ring_count(&ring->stats.nobufs, 1);
	else if (res >= 0 || !ring_complete_is_passing(ring, op, res)) {
		finish_res(ring, op, res);
		return;
	}
	if (ring_complete_must_end(ring, op))
		finish_res(ring, op, -ECANCELED);
	else if (res == -ENOBUFS)
		ring_buf_starve(ring, op);
	else
		ring_ops_rearm(ring, op);
}

static void recv_done(struct ring *ring, struct ring_op *op, const struct ring_slot *slot,
		      const struct io_uring_cqe *cqe)
{
	struct ring_answer answer = { .res = cqe->res };

	if (GW_LIKELY(cqe->res > 0 && slot->verdict == 0)) {
		GW_ASSERT(cqe->flags & IORING_CQE_F_BUFFER);
		answer.nonempty = cqe->flags & IORING_CQE_F_SOCK_NONEMPTY;
		answer.buf = ring_buf_lend(ring, cqe->flags >> IORING_CQE_BUFFER_SHIFT,
					   (uint32_t)cqe->res);
		finish(ring, op, &answer);
		return;
	}
	if (cqe->flags & IORING_CQE_F_BUFFER)
		ring_buf_recycle(ring, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
	recv_failed(ring, op, slot->verdict ? slot->verdict : cqe->res);
}

/* Not all of a send is taken: it goes on when there is room, or ends with 'res'. */
static void send_stopped(struct ring *ring, struct ring_op *op, const struct ring_slot *slot,
			 int32_t res)
{
	if (!ring_complete_is_passing(ring, op, res))
		finish_res(ring, op, res);
	else if (ring_complete_must_end(ring, op))
		finish_res(ring, op, slot->done ? (int32_t)slot->done : -ECANCELED);
	else if (res == -EAGAIN && op->kind == KIND_SEND)
		ring_ops_send_later(ring, op);
	else
		ring_ops_rearm(ring, op);
}

static void send_done(struct ring *ring, struct ring_op *op, struct ring_slot *slot, int32_t res)
{
	if (GW_UNLIKELY(slot->verdict)) {
		res = slot->verdict == -ENOBUFS ? -EAGAIN : slot->verdict;
	} else if (res > 0) {
		slot->done += (uint32_t)res;
		GW_ASSERT(slot->done <= slot->len);
		if (GW_LIKELY(slot->done == slot->len)) {
			finish_res(ring, op, (int32_t)slot->len);
			return;
		}
		res = -EAGAIN; /* A part: the rest will go on, or say why not. */
	} else if (res == 0) {
		res = -EPIPE; /* No stream socket takes nothing of something. */
	}
	send_stopped(ring, op, slot, res);
}

static void poll_answered(struct ring *ring, struct ring_op *op, int32_t res)
{
	if (GW_UNLIKELY(ring->fault.on) && ring_fault_error(&ring->fault))
		res = -EAGAIN;
	if (!ring_complete_is_passing(ring, op, res))
		finish_res(ring, op, res);
	else if (ring_complete_must_end(ring, op))
		finish_res(ring, op, -ECANCELED);
	else
		ring_ops_rearm(ring, op);
}

/* The kernel also tells of a peer that ended its own side, whether asked or not. */
static bool is_wanted(uint32_t events, int32_t res)
{
	return res > 0 && (uint32_t)res & (events | POLLERR | POLLHUP | POLLNVAL);
}

/*
 * It would tell so at once each time it is asked: hence a series, out of which only
 * one counts, as slot->verdict. True when this was the last of the series.
 */
static bool series_ended(struct ring *ring, struct ring_op *op, struct ring_slot *slot,
			 const struct io_uring_cqe *cqe, uint32_t events)
{
	bool first = is_wanted(events, cqe->res) && slot->verdict == 0;

	if (first)
		slot->verdict = cqe->res;
	if (!(cqe->flags & IORING_CQE_F_MORE))
		return true;
	if (first)
		ring_ops_cancel(ring, op);
	return false;
}

static void series_done(struct ring *ring, struct ring_op *op, struct ring_slot *slot,
			const struct io_uring_cqe *cqe)
{
	int32_t res = cqe->res > 0 ? -EAGAIN : cqe->res;

	if (series_ended(ring, op, slot, cqe, slot->len))
		poll_answered(ring, op, slot->verdict ? slot->verdict : res);
}

static void poll_done(struct ring *ring, struct ring_op *op, struct ring_slot *slot,
		      const struct io_uring_cqe *cqe)
{
	if (slot->done) {
		series_done(ring, op, slot, cqe);
	} else if (cqe->res > 0 && !is_wanted(slot->len, cqe->res) &&
		   !ring_complete_must_end(ring, op)) {
		slot->done = 1;
		ring_ops_poll_series(ring, op, slot->len);
	} else {
		poll_answered(ring, op, cqe->res);
	}
}

/* There is room for more of a send; or the connection is over, which the send itself will tell. */
static void room_done(struct ring *ring, struct ring_op *op, struct ring_slot *slot,
		      const struct io_uring_cqe *cqe)
{
	if (!series_ended(ring, op, slot, cqe, POLLOUT))
		return;
	if (cqe->res > 0 && slot->verdict == 0 && !ring_complete_must_end(ring, op))
		ring_ops_poll_series(ring, op, POLLOUT);
	else
		send_stopped(ring, op, slot, cqe->res < 0 ? cqe->res : -EAGAIN);
}

/* Errors of one connection, or of none, that say nothing about the listener. */
static bool accept_goes_on(const struct ring *ring, const struct ring_op *op, int32_t res)
{
	switch (-res) {
	case ECONNABORTED:
	case EPROTO:
	case EPERM: /* A firewall's. */
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
		return true;
	default:
		return ring_complete_is_passing(ring, op, res);
	}
}

/* A connection came. False when the table has no place for it. */
static bool accepted(struct ring *ring, struct ring_op *op, int fd)
{
	int file = ring_file_adopt(ring, fd);

	if (file < 0) {
		close(fd);
		return false;
	}
	ring->files[file].tcp = ring->files[op->file].tcp;
	op->answer(op, &(struct ring_answer){ .res = file, .more = true });
	return true;
}

static void accept_done(struct ring *ring, struct ring_op *op, struct ring_slot *slot,
			const struct io_uring_cqe *cqe)
{
	bool more = cqe->flags & IORING_CQE_F_MORE;
	int32_t res = cqe->res;

	/* The owner should have stopped before: this one is lost, and the series ends. */
	if (res >= 0 && !accepted(ring, op, res) && slot->verdict == 0) {
		slot->verdict = -ENFILE;
		if (more && !ring_complete_must_end(ring, op))
			ring_ops_cancel(ring, op);
	}
	if (more)
		return;
	if (slot->verdict)
		ring_ops_end(ring, op, slot->verdict);
	else if (res < 0 && !accept_goes_on(ring, op, res))
		finish_res(ring, op, res);
	else if (ring_complete_must_end(ring, op))
		ring_ops_end(ring, op, -ECANCELED);
	else
		ring_ops_rearm(ring, op);
}

/* --- Dispatch ----------------------------------------------------------------------------- */

/* An answer for an operation that is over. Should not happen; what it carries is not lost. */
static void stale(struct ring *ring, const struct io_uring_cqe *cqe)
{
	ring_count(&ring->stats.stale_answers, 1);
	if (cqe->flags & IORING_CQE_F_BUFFER)
		ring_buf_recycle(ring, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
	if ((cqe->user_data & 0xff) == KIND_ACCEPT && cqe->res >= 0)
		close(cqe->res);
}

static void complete_own(struct ring *ring, const struct io_uring_cqe *cqe)
{
	uint32_t i = (uint32_t)(cqe->user_data >> 8) & RING_NO_SLOT;
	uint8_t kind = (uint8_t)cqe->user_data;

	if (kind == KIND_CLOSED)
		ring_file_closed(ring, i);
	else if (kind == KIND_FIXED)
		ring_file_not_fixed(ring, i);
	else
		GW_ASSERT(kind == KIND_QUIET || kind == KIND_DOORBELL);
}

void ring_complete(struct ring *ring, const struct io_uring_cqe *cqe)
{
	uint32_t i = (uint32_t)(cqe->user_data >> 8) & RING_NO_SLOT;
	enum ring_kind kind = (uint8_t)cqe->user_data;
	struct ring_slot *slot;

	if (kind >= KIND_QUIET) {
		complete_own(ring, cqe);
		return;
	}
	GW_ASSERT(i < ring->slots_touched);
	slot = &ring->slots[i];
	if (GW_UNLIKELY(slot->generation != cqe->user_data >> 32 || !slot->op)) {
		stale(ring, cqe);
		return;
	}
	switch (kind) {
	case KIND_RECV:
		recv_done(ring, slot->op, slot, cqe);
		return;
	case KIND_SEND:
		send_done(ring, slot->op, slot, cqe->res);
		return;
	case KIND_ROOM:
		room_done(ring, slot->op, slot, cqe);
		return;
	case KIND_ACCEPT:
		accept_done(ring, slot->op, slot, cqe);
		return;
	case KIND_CONNECT:
		finish_res(ring, slot->op, cqe->res);
		return;
	case KIND_POLL:
		poll_done(ring, slot->op, slot, cqe);
		return;
	case KIND_SIGNALS:
		ring_signal_done(ring, slot->op, cqe->res);
		return;
	case KIND_NONE:
	case KIND_SOON:
	case KIND_QUIET:
	case KIND_FIXED:
	case KIND_CLOSED:
	case KIND_DOORBELL:
		GW_UNREACHABLE();
	}
}

static void answer_soon(struct ring *ring, struct ring_op *op)
{
	struct ring_answer answer = { .res = op->stopping ? -ECANCELED : 0 };

	GW_ASSERT(op->armed && ring->n_armed > 0);
	ring->n_armed--;
	op->place = PLACE_NONE;
	op->armed = false;
	op->stopping = false;
	op->answer(op, &answer);
}

static void answer_due(struct ring *ring, struct list_node *node)
{
	struct ring_op *op = list_entry(node, struct ring_op, line);

	GW_ASSERT(op->place == PLACE_DUE);
	if (op->kind == KIND_SOON)
		answer_soon(ring, op);
	else
		finish_res(ring, op, ring_slot_of(ring, op)->verdict);
}

void ring_complete_next(struct ring *ring)
{
	for (struct list_node *node; (node = list_pop_front(&ring->next));)
		answer_due(ring, node);
}

void ring_complete_due(struct ring *ring, struct list *line)
{
	for (struct list_node *node; (node = list_pop_front(line));) {
		answer_due(ring, node);
		ring_complete_next(ring);
	}
}
