/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_ops.c - operations: armed, completed, armed again, answered.
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
#include <sys/signalfd.h>
#include <sys/un.h>

#include "ring/ring_addr.h"

/* --- Slots -------------------------------------------------------------------------------- */

static uint32_t slot_take(struct ring *ring)
{
	uint32_t i = ring->slot_free;

	if (GW_LIKELY(i != RING_NO_SLOT)) {
		ring->slot_free = ring->slots[i].next_free;
		return i;
	}
	GW_ASSERT(ring->slots_touched < ring->n_slots); /* More than RING_OPS_PER_FILE. */
	return ring->slots_touched++;
}

static void slot_give(struct ring *ring, uint32_t i)
{
	struct ring_slot *slot = &ring->slots[i];

	GW_ASSERT(slot->op);
	slot->op = NULL;
	slot->generation++;
	slot->next_free = ring->slot_free;
	ring->slot_free = i;
}

static struct ring_slot *slot_of(struct ring *ring, const struct ring_op *op)
{
	struct ring_slot *slot = &ring->slots[op->slot];

	GW_ASSERT(slot->op == op);
	return slot;
}

/* --- Arming ------------------------------------------------------------------------------- */

void ring_op_init(struct ring_op *op, ring_answer_fn *answer)
{
	GW_ASSERT(answer);
	*op = (struct ring_op){ .answer = answer, .file = -1, .slot = RING_NO_SLOT };
}

static struct ring_slot *arm(struct ring *ring, struct ring_op *op, int32_t file,
			     enum ring_kind kind)
{
	struct ring_file *f = ring_file_open(ring, file);
	uint32_t i = slot_take(ring);
	struct ring_slot *slot = &ring->slots[i];

	GW_ASSERT(!op->armed && op->answer);
	slot->op = op;
	slot->verdict = 0;
	op->slot = i;
	op->file = file;
	op->kind = (uint8_t)kind;
	op->place = PLACE_KERNEL;
	op->armed = true;
	op->stopping = false;
	ring->n_armed++;
	f->n_armed++;
	if (!f->fixed && f->n_uses < ring->fixed_after && ++f->n_uses == ring->fixed_after)
		ring_file_fix(ring, file);
	return slot;
}

static uint64_t user_data_of(const struct ring *ring, const struct ring_op *op)
{
	return ring_user_data(op->kind, op->slot, ring->slots[op->slot].generation);
}

/* Fills in what every prepared entry of an operation has. */
static void aim(struct ring *ring, struct io_uring_sqe *sqe, const struct ring_op *op)
{
	const struct ring_file *f = &ring->files[op->file];

	if (f->fixed) {
		sqe->fd = op->file;
		sqe->flags |= IOSQE_FIXED_FILE;
	} else {
		sqe->fd = f->fd;
	}
	sqe->user_data = user_data_of(ring, op);
}

static void submit_poll(struct ring *ring, struct ring_op *op, uint32_t events)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	io_uring_prep_poll_add(sqe, -1, events);
	aim(ring, sqe, op);
}

/*
 * Under the fault shim: instead of the operation, wait until it could go on and
 * then pretend that it had failed in a way that may be repeated. No byte moves.
 */
static bool submit_fault(struct ring *ring, struct ring_op *op, uint32_t events)
{
	int32_t error = ring_fault_error(&ring->fault);

	if (error == 0)
		return false;
	slot_of(ring, op)->verdict = error;
	submit_poll(ring, op, events);
	return true;
}

static void submit_recv(struct ring *ring, struct ring_op *op, bool idle)
{
	uint32_t len = 0; /* As much as the buffer holds. */
	struct io_uring_sqe *sqe;

	if (GW_UNLIKELY(ring->fault.on)) {
		if (submit_fault(ring, op, POLLIN))
			return;
		len = ring_fault_cut(&ring->fault, RING_BUF_DATA);
	}
	sqe = ring_sqe(ring);
	io_uring_prep_recv(sqe, -1, NULL, len, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = RING_BUF_GROUP;
	if (idle)
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	aim(ring, sqe, op);
}

void ring_recv(struct ring *ring, struct ring_op *op, int32_t file, bool idle)
{
	(void)arm(ring, op, file, KIND_RECV);
	submit_recv(ring, op, idle);
}

static void submit_send(struct ring *ring, struct ring_op *op, const struct ring_slot *slot)
{
	uint32_t len = slot->len - slot->done;
	struct io_uring_sqe *sqe;

	if (GW_UNLIKELY(ring->fault.on)) {
		if (submit_fault(ring, op, POLLOUT))
			return;
		len = ring_fault_cut(&ring->fault, len);
	}
	sqe = ring_sqe(ring);
	io_uring_prep_send(sqe, -1, slot->data + slot->done, len, MSG_WAITALL | MSG_NOSIGNAL);
	aim(ring, sqe, op);
}

void ring_send(struct ring *ring, struct ring_op *op, int32_t file, const void *data, uint32_t len)
{
	GW_ASSERT(len > 0 && len <= INT32_MAX);
	struct ring_slot *slot = arm(ring, op, file, KIND_SEND);

	slot->data = data;
	slot->len = len;
	slot->done = 0;
	submit_send(ring, op, slot);
}

static void submit_accept(struct ring *ring, struct ring_op *op)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);
	int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;

	/* A oneshot accept is a multishot that ended early. */
	if (GW_UNLIKELY(ring->fault.on) && ring_fault_error(&ring->fault))
		io_uring_prep_accept(sqe, -1, NULL, NULL, flags);
	else
		io_uring_prep_multishot_accept(sqe, -1, NULL, NULL, flags);
	aim(ring, sqe, op);
}

void ring_accept(struct ring *ring, struct ring_op *op, int32_t listener)
{
	(void)arm(ring, op, listener, KIND_ACCEPT);
	submit_accept(ring, op);
}

/* Answered without the kernel, in the next turn. */
void ring_ops_end(struct ring *ring, struct ring_op *op, int32_t res)
{
	GW_ASSERT(op->armed && op->place != PLACE_DUE);
	slot_of(ring, op)->verdict = res;
	op->place = PLACE_DUE;
	list_push_back(&ring->due, &op->line);
}

void ring_connect(struct ring *ring, struct ring_op *op, int32_t file, const struct ring_addr *addr)
{
	struct sockaddr_storage *at;
	struct io_uring_sqe *sqe;
	socklen_t len;

	(void)arm(ring, op, file, KIND_CONNECT);
	if (addr->family == AF_UNIX) {
		/* Never waits; and the ring would try a full backlog again in a kernel worker. */
		struct sockaddr_storage un;

		len = ring_addr_to_sockaddr(addr, &un);
		ring_ops_end(ring, op,
			     connect(ring->files[file].fd, (struct sockaddr *)&un, len) < 0 ? -errno : 0);
		return;
	}
	sqe = ring_sqe(ring);
	at = &ring->addrs[(uint32_t)(sqe - ring->uring.sq.sqes) % RING_SQ_SIZE];
	len = ring_addr_to_sockaddr(addr, at);
	io_uring_prep_connect(sqe, -1, (struct sockaddr *)at, len);
	aim(ring, sqe, op);
}

void ring_poll(struct ring *ring, struct ring_op *op, int32_t file, enum ring_ready ready)
{
	struct ring_slot *slot = arm(ring, op, file, KIND_POLL);

	slot->len = ready == RING_READABLE ? POLLIN | POLLRDHUP : POLLOUT;
	submit_poll(ring, op, slot->len);
}

void ring_soon(struct ring *ring, struct ring_op *op)
{
	GW_ASSERT(!op->armed && op->answer);
	op->kind = KIND_SOON;
	op->place = PLACE_DUE;
	op->armed = true;
	op->stopping = false;
	ring->n_armed++;
	list_push_back(&ring->due, &op->line);
}

void ring_ops_rearm(struct ring *ring, struct ring_op *op)
{
	struct ring_slot *slot = slot_of(ring, op);

	slot->verdict = 0;
	op->place = PLACE_KERNEL;
	switch ((enum ring_kind)op->kind) {
	case KIND_RECV:
		submit_recv(ring, op, true);
		return;
	case KIND_SEND:
		submit_send(ring, op, slot);
		return;
	case KIND_ACCEPT:
		submit_accept(ring, op);
		return;
	case KIND_POLL:
	case KIND_SIGNALS:
		submit_poll(ring, op, slot->len);
		return;
	case KIND_CONNECT:
	case KIND_SOON:
	case KIND_NONE:
	case KIND_QUIET:
	case KIND_FIXED:
	case KIND_CLOSED:
	case KIND_DOORBELL:
		GW_UNREACHABLE();
	}
}

/* --- Cancelling --------------------------------------------------------------------------- */

static void submit_cancel(struct ring *ring, const struct ring_op *op)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);
	const struct ring_file *f = &ring->files[op->file];

	if (op->kind != KIND_ACCEPT) {
		io_uring_prep_cancel64(sqe, user_data_of(ring, op), 0);
	} else if (f->fixed) { /* Multishots are found more reliably by their file. */
		io_uring_prep_cancel_fd(sqe, op->file,
					IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD_FIXED);
	} else {
		io_uring_prep_cancel_fd(sqe, f->fd, IORING_ASYNC_CANCEL_ALL);
	}
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = KIND_QUIET;
}

void ring_cancel(struct ring *ring, struct ring_op *op)
{
	if (!op->armed || op->stopping)
		return;
	op->stopping = true;
	switch ((enum ring_place)op->place) {
	case PLACE_KERNEL:
		submit_cancel(ring, op);
		return;
	case PLACE_STARVED:
		ring_buf_feed(ring, op);
		ring_ops_end(ring, op, -ECANCELED);
		return;
	case PLACE_DUE: /* Its end is on the way. */
		return;
	case PLACE_NONE:
		GW_UNREACHABLE();
	}
}

/* --- Completions -------------------------------------------------------------------------- */

static bool must_end(const struct ring *ring, const struct ring_op *op)
{
	return op->stopping || ring->files[op->file].state == RING_FILE_CLOSING;
}

/* The series ends: from here on the operation belongs to its owner. */
static void finish(struct ring *ring, struct ring_op *op, const struct ring_answer *answer)
{
	struct ring_file *f = &ring->files[op->file];

	GW_ASSERT(op->armed && f->n_armed > 0);
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
static bool is_passing(const struct ring *ring, const struct ring_op *op, int32_t res)
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
	else if (res >= 0 || !is_passing(ring, op, res)) {
		finish_res(ring, op, res);
		return;
	}
	if (must_end(ring, op))
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

	if (!is_passing(ring, op, res))
		finish_res(ring, op, res);
	else if (must_end(ring, op))
		finish_res(ring, op, slot->done ? (int32_t)slot->done : -ECANCELED);
	else
		ring_ops_rearm(ring, op);
}

static void poll_done(struct ring *ring, struct ring_op *op, int32_t res)
{
	if (GW_UNLIKELY(ring->fault.on) && ring_fault_error(&ring->fault))
		res = -EAGAIN;
	if (!is_passing(ring, op, res))
		finish_res(ring, op, res);
	else if (must_end(ring, op))
		finish_res(ring, op, -ECANCELED);
	else
		ring_ops_rearm(ring, op);
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
		return is_passing(ring, op, res);
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
		if (more && !must_end(ring, op))
			submit_cancel(ring, op);
	}
	if (more)
		return;
	if (slot->verdict)
		ring_ops_end(ring, op, slot->verdict);
	else if (res < 0 && !accept_goes_on(ring, op, res))
		finish_res(ring, op, res);
	else if (must_end(ring, op))
		ring_ops_end(ring, op, -ECANCELED);
	else
		ring_ops_rearm(ring, op);
}

/* --- Signals ------------------------------------------------------------------------------ */

void ring_signals(struct ring *ring, struct ring_op *op, const int *signals, uint32_t n_signals)
{
	struct ring_slot *slot;
	sigset_t set;
	int fd, file;

	sigemptyset(&set);
	for (uint32_t i = 0; i < n_signals; i++)
		sigaddset(&set, signals[i]);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	GW_ASSERT(fd >= 0); /* At start-up, with descriptors to spare. */
	file = ring_file_adopt(ring, fd);
	GW_ASSERT(file >= 0);
	slot = arm(ring, op, file, KIND_SIGNALS);
	slot->len = POLLIN;
	submit_poll(ring, op, POLLIN);
}

static void signals_done(struct ring *ring, struct ring_op *op, int32_t res)
{
	struct signalfd_siginfo info;
	int fd = ring->files[op->file].fd;
	int32_t file = op->file;

	/* One at a time: the poll tells if there are more. */
	if (res >= 0 && !op->stopping && read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		op->answer(op, &(struct ring_answer){ .res = (int32_t)info.ssi_signo,
						      .more = true });
	if (op->stopping || (res < 0 && !is_passing(ring, op, res))) {
		ring_close(ring, file);
		ring_ops_end(ring, op, res < 0 ? res : -ECANCELED);
		return;
	}
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

void ring_ops_complete(struct ring *ring, const struct io_uring_cqe *cqe)
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
	case KIND_ACCEPT:
		accept_done(ring, slot->op, slot, cqe);
		return;
	case KIND_CONNECT:
		finish_res(ring, slot->op, cqe->res);
		return;
	case KIND_POLL:
		poll_done(ring, slot->op, cqe->res);
		return;
	case KIND_SIGNALS:
		signals_done(ring, slot->op, cqe->res);
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

	GW_ASSERT(op->armed);
	ring->n_armed--;
	op->place = PLACE_NONE;
	op->armed = false;
	op->stopping = false;
	op->answer(op, &answer);
}

void ring_ops_run_due(struct ring *ring, struct list *line)
{
	struct list_node *node;

	while ((node = list_pop_front(line))) {
		struct ring_op *op = list_entry(node, struct ring_op, line);

		GW_ASSERT(op->place == PLACE_DUE);
		if (op->kind == KIND_SOON)
			answer_soon(ring, op);
		else
			finish_res(ring, op, slot_of(ring, op)->verdict);
	}
}

int32_t ring_send_now(struct ring *ring, int32_t file, const void *data, uint32_t len)
{
	const struct ring_file *f = ring_file_open(ring, file);
	ssize_t n;

	GW_ASSERT(len > 0 && len <= INT32_MAX);
	if (GW_UNLIKELY(ring->fault.on)) {
		if (ring_fault_error(&ring->fault))
			return -EAGAIN;
		len = ring_fault_cut(&ring->fault, len);
	}
	n = send(f->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0)
		return (int32_t)n;
	return errno == EINTR ? -EAGAIN : -errno;
}
