/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turns.h - heavy work, a few pieces at a time, and no more than half of the time.
 *
 * A TLS handshake costs as much as dozens of requests, a token's signature as much as
 * several. A hundred of them that are due at once would hold up all others for as long
 * as all of them take. So a turn of the loop does one handshake at most, or a few
 * signatures; and while there is other work, that gets as long as the turn took, before
 * the next ones come. Who waits holds nothing but what it has sent.
 *
 * First come, first served. Bounded by its users, who are bounded.
 *
 * Threads: the worker's.
 */
#pragma once

#include "core/base/list.h"
#include "core/base/metric.h"
#include "ring/ring.h"

/* A place in the queue, in whoever waits. */
struct turn {
	struct list_node link;
};

typedef void turns_come_fn(struct turn *turn);

/* What is waited for. */
struct turns_kind {
	turns_come_fn *come;        /* Is called for each of those who had to wait. */
	enum metric_counter waited; /* How many had to. */
	uint32_t at_once;           /* In one turn of the loop, 1 or more. */
};

struct turns {
	struct ring *ring;
	struct ring_op
		over;      /* Armed: somebody has had a turn, and others have not had theirs yet. */
	uint64_t begun_ns; /* That turn, until its length is known; then 0. */
	uint64_t due_ns;   /* When the others will have had as long, */
	uint64_t n_answers; /* or have nothing to do: the ring's, when it was last looked at. */
	uint32_t left;      /* So many more may be in this turn of the loop. */
	struct list_counted waiting;
	struct turns_kind kind;
	struct metric_set *metrics;
};

void turns_init(struct turns *turns, struct ring *ring, struct metric_set *metrics,
		const struct turns_kind *kind);

/* True: now. False: later, and 'come' tells when. Not while waiting. */
GW_MUST_USE bool turns_ask(struct turns *turns, struct turn *turn);

/* Wait no longer; nothing if it does not. */
void turns_leave(struct turns *turns, struct turn *turn);

/* Nobody waits, and nothing is armed. */
bool turns_are_over(const struct turns *turns);
