/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_post.h - the mailbox of a ring; for this folder only.
 *
 * Threads: any ring's thread writes, the ring's own reads.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ring;

enum { RING_MAIL_MAX = 1024 }; /* Words waiting at a time; a power of two. */

/* Words from other rings: a bounded queue of many writers and one reader (ring_post.c). */
struct ring_mail_cell {
	_Atomic uint32_t turn;
	uint64_t word;
};

struct ring_mail {
	_Atomic uint32_t tail __attribute__((aligned(64))); /* Writers. */
	_Atomic bool rung;                                  /* A doorbell is on its way. */
	uint32_t head __attribute__((aligned(64)));         /* The reader. */
	struct ring_mail_cell cells[RING_MAIL_MAX];
};

void ring_post_init(struct ring *ring);
/* Is there a word? Then the ring must not sleep. */
bool ring_post_waiting(const struct ring *ring);
void ring_post_deliver(struct ring *ring);
