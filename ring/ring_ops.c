/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_ops.c - operations: armed, armed again, and asked to end.
 *
 * Everything that is needed to arm an operation again stands in its slot, for
 * the completions that the owner must not see (ring_complete.c).
 */
#include "ring/ring_internal.h"

#include <errno.h>
#include <poll.h>

#include "core/base/probe.h"
#include "ring/ring_addr.h"

/* --- Slots -------------------------------------------------------------------------------- */

static uint32_t slot_take(struct ring *ring)
{
	uint32_t i = ring->slot_free;

	if (GW_LIKELY(i != RING_NO_SLOT)) {
		GW_ASSERT(!ring->slots[i].op);
		ring->slot_free = ring->slots[i].next_free;
		return i;
	}
	GW_ASSERT(ring->slots_touched < ring->n_slots); /* More than RING_OPS_PER_FILE. */
	return ring->slots_touched++;
}

/* --- Arming ------------------------------------------------------------------------------- */

void ring_op_init(struct ring_op *op, ring_answer_fn *answer)
{
	GW_ASSERT(answer);
	*op = (struct ring_op){ .answer = answer, .file = -1, .slot = RING_NO_SLOT };
}

struct ring_slot *ring_ops_arm(struct ring *ring, struct ring_op *op, int32_t file,
			       enum ring_kind kind)
{
	struct ring_file *f = ring_file_open(ring, file);
	uint32_t i = slot_take(ring);
	struct ring_slot *slot = &ring->slots[i];

	GW_ASSERT(ring->enabled && !op->armed && op->answer);
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
	GW_PROBE(op_arm, kind, file, i);
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

void ring_ops_poll(struct ring *ring, struct ring_op *op, uint32_t events)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	io_uring_prep_poll_add(sqe, -1, events);
	aim(ring, sqe, op);
}

void ring_ops_poll_series(struct ring *ring, struct ring_op *op, uint32_t events)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	io_uring_prep_poll_multishot(sqe, -1, events);
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
	ring_slot_of(ring, op)->verdict = error;
	ring_ops_poll(ring, op, events);
	return true;
}

static void submit_recv(struct ring *ring, struct ring_op *op, bool idle)
{
	const struct ring_slot *slot = ring_slot_of(ring, op);
	uint32_t len = slot->len;
	struct io_uring_sqe *sqe;

	if (GW_UNLIKELY(ring->fault.on)) {
		if (submit_fault(ring, op, POLLIN))
			return;
		len = ring_fault_cut(&ring->fault, len);
	}
	sqe = ring_sqe(ring);
	io_uring_prep_recv(sqe, -1, NULL, len, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = (uint16_t)slot->done;
	if (idle)
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	aim(ring, sqe, op);
}

void ring_recv(struct ring *ring, struct ring_op *op, int32_t file, bool idle)
{
	struct ring_slot *slot = ring_ops_arm(ring, op, file, KIND_RECV);

	slot->len = RING_BUF_DATA;
	slot->done = idle || ring->bufs_kept == 0 ? RING_LOT_ALL : RING_LOT_BODIES;
	submit_recv(ring, op, idle);
}

void ring_recv_first(struct ring *ring, struct ring_op *op, int32_t file, uint32_t len_max)
{
	GW_ASSERT(len_max > 0 && len_max <= RING_BUF_DATA);
	struct ring_slot *slot = ring_ops_arm(ring, op, file, KIND_RECV);

	slot->len = len_max;
	slot->done = RING_LOT_ALL;
	submit_recv(ring, op, true);
}

/*
 * Never left to wait in the kernel: its own wait for room also ends when the peer
 * has ended its side or sent an urgent byte, and what then still finds no room
 * blocks a kernel worker, and with it every other such send. Hence the ring waits.
 */
static void submit_send(struct ring *ring, struct ring_op *op, const struct ring_slot *slot)
{
	GW_ASSERT(slot->done < slot->len);
	uint32_t len = slot->len - slot->done;
	struct io_uring_sqe *sqe;

	if (GW_UNLIKELY(ring->fault.on)) {
		if (submit_fault(ring, op, POLLOUT))
			return;
		len = ring_fault_cut(&ring->fault, len);
	}
	sqe = ring_sqe(ring);
	io_uring_prep_send(sqe, -1, slot->data + slot->done, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	aim(ring, sqe, op);
}

void ring_ops_send_later(struct ring *ring, struct ring_op *op)
{
	GW_ASSERT(op->kind == KIND_SEND && op->place == PLACE_KERNEL);
	op->kind = KIND_ROOM;
	ring_slot_of(ring, op)->verdict = 0;
	ring_ops_poll(ring, op, POLLOUT);
}

void ring_send(struct ring *ring, struct ring_op *op, int32_t file, const void *data, uint32_t len)
{
	GW_ASSERT(data && len > 0 && len <= INT32_MAX);
	struct ring_slot *slot = ring_ops_arm(ring, op, file, KIND_SEND);

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
	if (ring_slot_of(ring, op)->len == 1 ||
	    (GW_UNLIKELY(ring->fault.on) && ring_fault_error(&ring->fault)))
		io_uring_prep_accept(sqe, -1, NULL, NULL, flags);
	else
		io_uring_prep_multishot_accept(sqe, -1, NULL, NULL, flags);
	aim(ring, sqe, op);
}

void ring_accept(struct ring *ring, struct ring_op *op, int32_t listener)
{
	ring_ops_arm(ring, op, listener, KIND_ACCEPT)->len = 0;
	submit_accept(ring, op);
}

void ring_accept_one(struct ring *ring, struct ring_op *op, int32_t listener)
{
	ring_ops_arm(ring, op, listener, KIND_ACCEPT)->len = 1;
	submit_accept(ring, op);
}

/* Answered without the kernel, in the next turn. */
void ring_ops_end(struct ring *ring, struct ring_op *op, int32_t res)
{
	GW_ASSERT(op->armed && op->place != PLACE_DUE);
	ring_slot_of(ring, op)->verdict = res;
	op->place = PLACE_DUE;
	list_push_back(&ring->due, &op->line);
}

/* Never waits; and the ring would try a full backlog again, in a kernel worker. */
static int32_t connect_unix(int fd, const struct ring_addr *addr)
{
	struct sockaddr_storage at;
	socklen_t len = ring_addr_to_sockaddr(addr, &at);

	return connect(fd, (struct sockaddr *)&at, len) < 0 ? -errno : 0;
}

/* Where the address of this entry's connect stays until the entry is submitted. */
static struct sockaddr_storage *addr_place(struct ring *ring, const struct io_uring_sqe *sqe)
{
	return &ring->addrs[sqe == &ring->scratch ? 0 : sqe - ring->uring.sq.sqes];
}

void ring_connect(struct ring *ring, struct ring_op *op, int32_t file, const struct ring_addr *addr)
{
	struct sockaddr_storage *at;
	struct io_uring_sqe *sqe;
	socklen_t len;

	(void)ring_ops_arm(ring, op, file, KIND_CONNECT);
	GW_ASSERT(!ring->files[file].listens);
	if (addr->family == AF_UNIX) {
		ring_ops_end(ring, op, connect_unix(ring->files[file].fd, addr));
		return;
	}
	sqe = ring_sqe(ring);
	at = addr_place(ring, sqe);
	len = ring_addr_to_sockaddr(addr, at);
	io_uring_prep_connect(sqe, -1, (struct sockaddr *)at, len);
	aim(ring, sqe, op);
}

void ring_poll(struct ring *ring, struct ring_op *op, int32_t file, enum ring_ready ready)
{
	static const uint32_t events[] = {
		[RING_READABLE] = POLLIN | POLLRDHUP,
		[RING_WRITABLE] = POLLOUT,
		[RING_BROKEN] = 0, /* Errors and hang-ups are always told. */
	};
	struct ring_slot *slot = ring_ops_arm(ring, op, file, KIND_POLL);

	GW_ASSERT(ready == RING_READABLE || ready == RING_WRITABLE || ready == RING_BROKEN);
	slot->len = events[ready];
	slot->done = ready == RING_BROKEN;
	if (slot->done)
		ring_ops_poll_series(ring, op, slot->len);
	else
		ring_ops_poll(ring, op, slot->len);
}

static void get_in_line(struct ring *ring, struct ring_op *op, struct list *line)
{
	GW_ASSERT(ring->enabled && !op->armed && op->answer);
	op->kind = KIND_SOON;
	op->place = PLACE_DUE;
	op->armed = true;
	op->stopping = false;
	ring->n_armed++;
	list_push_back(line, &op->line);
}

void ring_soon(struct ring *ring, struct ring_op *op)
{
	get_in_line(ring, op, &ring->due);
}

void ring_next(struct ring *ring, struct ring_op *op)
{
	get_in_line(ring, op, &ring->next);
}

void ring_ops_rearm(struct ring *ring, struct ring_op *op)
{
	struct ring_slot *slot = ring_slot_of(ring, op);

	GW_ASSERT(op->armed && op->place == PLACE_KERNEL);
	slot->verdict = 0;
	switch ((enum ring_kind)op->kind) {
	case KIND_RECV:
		submit_recv(ring, op, true);
		return;
	case KIND_ROOM:
		op->kind = KIND_SEND;
		submit_send(ring, op, slot);
		return;
	case KIND_SEND:
		submit_send(ring, op, slot);
		return;
	case KIND_ACCEPT:
		submit_accept(ring, op);
		return;
	case KIND_POLL:
		if (slot->done) {
			ring_ops_poll_series(ring, op, slot->len);
			return;
		}
		ring_ops_poll(ring, op, slot->len);
		return;
	case KIND_SIGNALS:
		ring_ops_poll(ring, op, slot->len);
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

void ring_ops_cancel(struct ring *ring, const struct ring_op *op)
{
	struct io_uring_sqe *sqe;

	if (op->kind == KIND_ACCEPT) { /* Multishots are found more reliably by their file. */
		ring_file_cancel_all(ring, &ring->files[op->file]);
		return;
	}
	sqe = ring_sqe(ring);
	io_uring_prep_cancel64(sqe, user_data_of(ring, op), 0);
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
		ring_ops_cancel(ring, op);
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
