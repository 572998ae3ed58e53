/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visitor_private.h - a visitor's insides, for visitor.c (asking) and visitor_reply.c.
 */
#pragma once

#include "tests/sim/cord.h"
#include "tests/sim/visitor.h"
#include "tests/sim/wire.h"

struct manners {
	uint32_t send_piece, read_piece; /* Bytes at a time. */
	uint64_t send_pause_ns, read_pause_ns;
	uint32_t pipeline_max;
	bool never_reads, half_close, stays, resets;
};

struct visitor {
	struct world *w;
	struct manners manners;
	struct cord *cord;
	struct sim_event arrive, send, read, leave;
	struct sim_event gone; /* Some time after it has reset its connection. */
	struct wire wire;
	uint32_t first, n;
	uint32_t asking;    /* Deal whose request is being sent, or comes next. */
	uint32_t answering; /* Deal whose reply is being read, or comes next. */
	struct plan_bytes bytes;
	uint32_t pos;
	uint64_t progress_ns;
	uint64_t reply_len; /* Bytes of the current reply on the wire. */
	bool from_origin;   /* The reply being read is. */
	bool may_continue;  /* 100, or waited long enough. */
	bool silent;        /* Sends nothing any more. */
	bool finished;      /* Has ended its side. */
	bool told_close;
	bool shrugs;    /* Does not look at what still comes. */
	bool heard_end; /* Of a tunnel, in which it still has something to say. */
	bool over;
};

static inline struct deal *visitor_deal(const struct visitor *v, uint32_t i)
{
	GW_ASSERT(i < v->n);
	return &v->w->deals[v->first + i];
}

/* Some of what was meant for a tunnel has been sent. */
static inline bool visitor_was_early(const struct visitor *v)
{
	return v->asking > v->answering || (v->bytes.text && v->pos > v->bytes.head_len);
}

/* How many of the deals have been begun. */
static inline uint32_t visitor_n_asked(const struct visitor *v)
{
	return v->asking + (v->bytes.text != NULL);
}

static inline void visitor_progress(struct visitor *v)
{
	v->progress_ns = ring_now_ns(v->w->ring);
}

void visitor_over(struct visitor *v, bool reset);
/* Nothing of the request that is being sent is of any use now. */
void visitor_drop_request(struct visitor *v);
/* The visitor itself has had enough. */
void visitor_leave(struct visitor *v, bool reset);

/* visitor_reply.c: the next reply; what has come of it; its end by the gateway's. */
void visitor_begin_reply(struct visitor *v);
void visitor_read(struct ring *ring, struct sim_event *event);
void visitor_ended(struct visitor *v, bool reset);
