/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_file.c - the table of files: index to descriptor, registered late, closed surely.
 *
 * Registering a descriptor costs an operation now and another one at the close,
 * and saves a little with each operation between them; so a file is registered
 * when it is used for the RING_FIXED_AFTERth time, in the same batch.
 *
 * A close does not end operations, and a registered file stays open under its
 * index when its descriptor is closed. So: cancel everything on the file, close
 * the index, close the descriptor, in this order in one batch (each of them
 * runs at once when submitted). The index is free again when the last of these
 * and every operation has completed.
 */
#include "ring/ring_internal.h"

#include <errno.h>

static void file_enter(struct ring_file *f, enum ring_file_state next)
{
#define TO(name) (1u << RING_FILE_##name)
	static const uint8_t may_follow[] = {
#define X(name, next_) [RING_FILE_##name] = next_,
		RING_FILE_STATES(X)
#undef X
	};
#undef TO
	GW_ASSERT(may_follow[f->state] & (1u << next));
	f->state = (uint8_t)next;
}

static int32_t index_of(const struct ring *ring, const struct ring_file *f)
{
	return (int32_t)(f - ring->files);
}

int ring_file_adopt(struct ring *ring, int fd)
{
	uint32_t i = ring->file_free;
	struct ring_file *f;

	GW_ASSERT(fd >= 0);
	if (i != RING_NO_SLOT)
		ring->file_free = ring->files[i].next_free;
	else if (ring->files_touched < ring->files_max)
		i = ring->files_touched++;
	else
		return -ENFILE;

	f = &ring->files[i];
	file_enter(f, RING_FILE_OPEN);
	f->fd = fd;
	f->n_uses = 0;
	f->fixed = false;
	f->unfixable = false;
	f->aborting = false;
	f->tcp = false;
	f->listens = false;
	f->close_due = false;
	ring->n_files++;
	GW_ASSERT(f->n_armed == 0 && f->n_starved == 0);
	return (int32_t)i;
}

uint32_t ring_files_left(const struct ring *ring)
{
	return ring->files_max - ring->n_files;
}

static void file_free(struct ring *ring, struct ring_file *f)
{
	GW_ASSERT(f->n_armed == 0 && f->n_starved == 0 && !f->close_due && ring->n_files > 0);
	file_enter(f, RING_FILE_FREE);
	f->fd = -1;
	f->next_free = ring->file_free;
	ring->file_free = (uint32_t)index_of(ring, f);
	ring->n_files--;
}

void ring_file_settle(struct ring *ring, struct ring_file *f)
{
	GW_ASSERT(f->state == RING_FILE_CLOSING);
	if (f->close_due || f->n_armed > 0)
		return;
	GW_ASSERT(ring->n_closing > 0);
	ring->n_closing--;
	file_free(ring, f);
}

void ring_file_closed(struct ring *ring, uint32_t file)
{
	GW_ASSERT(file < ring->files_touched);
	struct ring_file *f = &ring->files[file];

	GW_ASSERT(f->close_due && f->state == RING_FILE_CLOSING);
	f->close_due = false;
	ring_file_settle(ring, f);
}

void ring_file_fix(struct ring *ring, int32_t file)
{
	struct ring_file *f = &ring->files[file];
	struct io_uring_sqe *sqe = ring_sqe(ring);

	GW_ASSERT(!f->fixed);
	io_uring_prep_files_update(sqe, &f->fd, 1, file);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = ring_user_data(KIND_FIXED, (uint32_t)file, 0);
	f->fixed = true;
}

/* The operations of this batch will find no such file, and be repeated with the descriptor. */
void ring_file_not_fixed(struct ring *ring, uint32_t file)
{
	GW_ASSERT(file < ring->files_touched);
	struct ring_file *f = &ring->files[file];

	f->fixed = false;
	f->unfixable = true;
}

static void end_starved_of(struct ring *ring, const struct ring_file *f, struct list *line)
{
	list_each(node, line)
	{
		struct ring_op *op = list_entry(node, struct ring_op, line);

		if (op->file != index_of(ring, f))
			continue;
		ring_buf_feed(ring, op);
		ring_ops_end(ring, op, -ECANCELED);
	}
}

/* Receives in line for a buffer are not in the kernel. Rare, so the lines are searched. */
static void end_starved(struct ring *ring, struct ring_file *f)
{
	if (f->n_starved == 0)
		return;
	for (int lot = 0; lot < RING_N_LOTS; lot++)
		end_starved_of(ring, f, &ring->posted[lot].starved);
	GW_ASSERT(f->n_starved == 0);
}

void ring_file_cancel_all(struct ring *ring, const struct ring_file *f)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	GW_ASSERT(f->fd >= 0 && !f->close_due); /* Behind the close it would hit another file. */
	/* By descriptor: it also finds what was armed under the index. */
	io_uring_prep_cancel_fd(sqe, f->fd, IORING_ASYNC_CANCEL_ALL);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = KIND_QUIET;
}

/*
 * A shutdown makes whatever is armed on a connected TCP socket end by itself, at a
 * third of the price of a cancel, which searches all that the ring has armed.
 * Not for a reset: the peer would see an orderly end first.
 */
static bool wake_all(const struct ring_file *f)
{
	return f->tcp && !f->listens && !f->fixed && !f->aborting &&
	       shutdown(f->fd, SHUT_RDWR) == 0;
}

static void submit_close(struct ring *ring, struct ring_file *f)
{
	uint32_t i = (uint32_t)index_of(ring, f);
	struct io_uring_sqe *sqe;

	if (f->n_armed > 0 && !wake_all(f))
		ring_file_cancel_all(ring, f);
	if (f->fixed) {
		sqe = ring_sqe(ring);
		io_uring_prep_close_direct(sqe, i);
		sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
		sqe->user_data = KIND_QUIET;
	}
	sqe = ring_sqe(ring);
	io_uring_prep_close(sqe, f->fd);
	sqe->user_data = ring_user_data(KIND_CLOSED, i, 0);
	f->close_due = true;
}

void ring_close(struct ring *ring, int32_t file)
{
	struct ring_file *f = ring_file_open(ring, file);

	if (f->n_armed == 0 && !f->fixed) {
		close(f->fd);
		file_free(ring, f);
		return;
	}
	end_starved(ring, f);
	file_enter(f, RING_FILE_CLOSING);
	ring->n_closing++;
	submit_close(ring, f);
}
