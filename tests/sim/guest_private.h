/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_private.h - a guest's insides, for guest.c (its connection), guest_ask.c and
 * guest_reply.c.
 */
#pragma once

#include "core/http/h2_session.h"
#include "tests/sim/cord.h"
#include "tests/sim/guest.h"

enum { GUEST_TALKS = WORLD_DEALS_MAX / WORLD_VISITORS_MAX, GUEST_OUT = 40000 };

/* One request and its answer. */
struct talk {
	struct guest *g;
	struct deal *deal;
	int32_t id;
	uint32_t sent;     /* Of the request's body, */
	uint32_t end;      /* which is so long, */
	uint32_t cut;      /* and stops here. */
	uint64_t body_len; /* Of the answer, so far; */
	uint64_t owed;     /* of it not granted again. */
	uint16_t status;
	bool from_origin;
	bool may_continue; /* 100, or waited long enough. */
	bool waits;        /* The session found nothing to send. */
	bool given_up;     /* By the guest; */
	bool over;
	uint64_t gone_ns; /* when the gateway could know, or 0. */
};

struct guest_manners {
	uint32_t send_piece, read_piece; /* Bytes at a time. */
	uint64_t send_pause_ns, read_pause_ns;
	uint64_t grant_pause_ns; /* 0: what comes is granted at once. */
	uint32_t at_a_time;
	bool never_grants, never_reads, half_close, stays, resets, pings, says_goodbye;
};

struct guest {
	struct world *w;
	struct guest_manners manners;
	struct cord *cord;
	struct sim_event arrive, send, read, grant, leave;
	struct sim_event gone; /* Some time after it has given something up. */
	struct h2_session *session;
	struct h2_block *held;
	uint32_t first, n;
	uint32_t n_asked, n_over, n_answered;
	struct talk talks[GUEST_TALKS];
	uint64_t progress_ns;
	uint64_t last_ns;   /* When its last request was over. */
	uint64_t out_total; /* Bytes that were sent, */
	uint64_t stop_at;   /* and after which nothing more is: its place in a head. */
	uint32_t out_len, out_at;
	bool silent;    /* Sends nothing any more. */
	bool finishes;  /* Is about to end its side, */
	bool finished;  /* and has. */
	bool dismissed; /* The gateway wants nothing new. */
	bool breaks;    /* Is about to reset its connection. */
	bool over;
	uint8_t out[GUEST_OUT];
};

extern const struct h2_events guest_events;

/* Its head is too large on the wire, too: no refusal, but an end of the connection. */
static inline bool guest_floods(const struct plan *p)
{
	return p->flaw == PLAN_FLAW_HEAD_SIZE && p->nonce % 2 == 0;
}

static inline void guest_progress(struct guest *g)
{
	g->progress_ns = ring_now_ns(g->w->ring);
}

/* guest_ask.c: the next requests, as many as may run; those that waited long for 100 go on. */
void guest_ask(struct guest *g);
void guest_go_on(struct guest *g);
int32_t guest_pull(void *owner, void *stream, uint32_t max, bool *ret_end,
		   struct slice *ret_trailers);
void guest_copy(void *owner, void *stream, uint8_t *to, uint32_t len);

/* guest_reply.c */
void guest_talk_over(struct talk *t);
void guest_give_up(struct talk *t);
