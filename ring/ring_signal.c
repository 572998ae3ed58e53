/* SPDX-License-Identifier: Apache-2.0 */
/* ring_signal.c - signals as answers: a signalfd that the ring polls. */
#include "ring/ring_internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>

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
	slot = ring_ops_arm(ring, op, file, KIND_SIGNALS);
	slot->len = POLLIN;
	ring_ops_poll(ring, op, POLLIN);
}

void ring_signal_done(struct ring *ring, struct ring_op *op, int32_t res)
{
	struct signalfd_siginfo info;
	int fd = ring->files[op->file].fd;
	int32_t file = op->file;

	/* One at a time: the poll tells if there are more. */
	if (res >= 0 && !op->stopping && read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		op->answer(op,
			   &(struct ring_answer){ .res = (int32_t)info.ssi_signo, .more = true });
	if (op->stopping || (res < 0 && !ring_complete_is_passing(ring, op, res))) {
		ring_close(ring, file);
		ring_ops_end(ring, op, res < 0 ? res : -ECANCELED);
		return;
	}
	ring_ops_rearm(ring, op);
}
