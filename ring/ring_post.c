/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_post.c - words from one ring's thread to another's.
 *
 * The word goes through a bounded queue in the target's memory: its cells'
 * turn counters order the writer's stores before the reader's loads, so what a
 * word points to may be passed along with it. The kernel only rings the bell:
 * a message to the target's ring, which ends its wait. A bell that fails is no
 * loss. It fails when the target is not enabled yet or its completion queue is
 * full, and in both cases the target looks into its mailbox before it sleeps.
 *
 * A cell with turn t at position p (p = t mod size) is free for the writer that
 * gets ticket t; with turn t + 1 it holds that writer's word; the reader sets
 * t + size.
 */
#include "ring/ring_internal.h"

#include <errno.h>

enum { MAIL_MASK = RING_MAIL_MAX - 1 };

void ring_post_init(struct ring *ring)
{
	for (uint32_t i = 0; i < RING_MAIL_MAX; i++)
		atomic_store_explicit(&ring->mail.cells[i].turn, i, memory_order_relaxed);
}

void ring_on_post(struct ring *ring, ring_post_fn *fn, void *owner)
{
	GW_ASSERT(!ring->enabled && fn);
	ring->post = fn;
	ring->post_owner = owner;
}

/* False when the mailbox is full. */
static bool put(struct ring_mail *mail, uint64_t word)
{
	uint32_t ticket = atomic_load_explicit(&mail->tail, memory_order_relaxed);

	for (;;) { /* Each repetition means that another writer got a place. */
		struct ring_mail_cell *cell = &mail->cells[ticket & MAIL_MASK];
		uint32_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);

		if (turn == ticket) {
			if (atomic_compare_exchange_weak_explicit(&mail->tail, &ticket, ticket + 1,
								  memory_order_relaxed,
								  memory_order_relaxed)) {
				cell->word = word;
				atomic_store_explicit(&cell->turn, ticket + 1,
						      memory_order_release);
				return true;
			}
		} else if ((int32_t)(turn - ticket) < 0) {
			return false;
		} else {
			ticket = atomic_load_explicit(&mail->tail, memory_order_relaxed);
		}
	}
}

static bool get(struct ring_mail *mail, uint64_t *ret_word)
{
	struct ring_mail_cell *cell = &mail->cells[mail->head & MAIL_MASK];

	if (atomic_load_explicit(&cell->turn, memory_order_acquire) != mail->head + 1)
		return false;
	*ret_word = cell->word;
	atomic_store_explicit(&cell->turn, mail->head + RING_MAIL_MAX, memory_order_release);
	mail->head++;
	return true;
}

static void ring_bell(struct ring *from, struct ring *to)
{
	struct io_uring_sqe *sqe = ring_sqe(from);

	io_uring_prep_msg_ring(sqe, to->uring.ring_fd, 0, KIND_DOORBELL, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = KIND_QUIET;
}

int ring_post(struct ring *from, struct ring *to, uint64_t word)
{
	GW_ASSERT(from->enabled && to->post);
	GW_ASSERT(pthread_equal(from->owner, pthread_self())); /* The bell goes by its queue. */
	if (!put(&to->mail, word))
		return -EAGAIN;
	ring_count(&from->stats.posts, 1);
	/* The exchange orders the word before the reader's next look, or the reader's look after it. */
	if (!atomic_exchange_explicit(&to->mail.rung, true, memory_order_seq_cst) && from != to)
		ring_bell(from, to);
	return 0;
}

bool ring_post_waiting(const struct ring *ring)
{
	const struct ring_mail *mail = &ring->mail;
	const struct ring_mail_cell *cell = &mail->cells[mail->head & MAIL_MASK];

	return atomic_load_explicit(&cell->turn, memory_order_acquire) == mail->head + 1;
}

void ring_post_deliver(struct ring *ring)
{
	uint64_t word;

	if (GW_LIKELY(!atomic_load_explicit(&ring->mail.rung, memory_order_relaxed)) &&
	    !ring_post_waiting(ring))
		return;
	GW_ASSERT(ring->post);
	/* From here on a writer rings again. */
	(void)atomic_exchange_explicit(&ring->mail.rung, false, memory_order_seq_cst);
	for (uint32_t i = 0; i < RING_MAIL_MAX && get(&ring->mail, &word); i++)
		ring->post(ring->post_owner, word);
}
