/* SPDX-License-Identifier: Apache-2.0 */
/* trunk_private.h - a trunk's insides, for trunk.c (its connection) and errand.c (its requests). */
#pragma once

#include "core/http/h2_session.h"
#include "tests/sim/trunk.h"

enum { TRUNK_OUT = 40000 };

/* One request and what is said to it. */
struct errand {
	struct trunk *k;
	struct deal *deal;
	struct list_node link;
	struct sim_event act; /* The answer begins. */
	int32_t id;
	uint64_t heard_len;    /* Of the request's body. */
	uint32_t said, length; /* Of the answer's body: so far, and in all that is said of it. */
	uint32_t cut;          /* Where it stops; UINT32_MAX when it does not. */
	bool heard;            /* All of the request. */
	bool begun;            /* The answer is. */
	bool waits;            /* The session found nothing to send. */
	bool continues;        /* 100 is to be said first. */
	bool open;
};

struct trunk {
	struct world *w;
	struct cord *cord;         /* Until it is closed. */
	const struct sim_end *end; /* Below it, to be looked at: it outlives the cord. */
	uint64_t made_ns;
	struct list_node link;
	struct list errands;
	struct sim_event move; /* Bytes go on. */
	struct h2_session *session;
	struct h2_block *held;
	uint32_t limit; /* Streams at a time. */
	uint32_t n_open;
	uint32_t send_piece;
	uint64_t send_pause_ns;
	uint32_t refuses; /* One in so many; 0: none. */
	bool leaves;      /* Has said good-bye. */
	bool finished;    /* Its side is ended. */
	bool abrupt;      /* Closes without waiting for the gateway to do so. */
	bool breaks;      /* Is about to break off. */
	bool fades;       /* Ends without a word when nothing is asked of it. */
	bool closed;
	uint32_t out_len, out_at;
	uint8_t out[TRUNK_OUT];
};

extern const struct h2_events trunk_events;

/* errand.c: nothing more of it. */
void errand_drop(struct errand *e);
