/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_buf.h - the buffers of a ring, lent one at a time.
 *
 * A buffer has exactly one holder: the pool, the kernel, or an object. A
 * receive answers with a buffer whose data lies behind RING_BUF_ROOM bytes of
 * free room, so that a holder can put a new head in front of the payload and
 * send both as one piece. The holder may write anywhere in mem[0 .. size).
 * Passing the pointer to a function that is said to take it passes the holding.
 *
 * Free buffers are handed out last in, first out, so that hot memory stays hot;
 * only few are posted to the kernel. Idle connections hold none.
 *
 * Threads: the ring's own.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "ring/ring.h"

enum {
	RING_BUF_ROOM = 1024, /* Before the data of a fresh receive. */
	RING_BUF_DATA = 32768,
	RING_BUF_TAIL = 64, /* Behind the largest receive: enough to end a chunk. */
};

struct ring_buf {
	uint8_t *mem;
	uint32_t size;  /* Of mem: ROOM + DATA + TAIL. */
	uint32_t start; /* The data is mem[start .. start + len). */
	uint32_t len;
	uint32_t id;           /* Private to the ring. */
	uint32_t note;         /* For whoever holds it, like link. */
	struct list_node link; /* For whoever holds it. */
};

/* A buffer with start == RING_BUF_ROOM and len == 0, or NULL when all are held. */
GW_MUST_USE struct ring_buf *ring_buf_take(struct ring *ring);

/* The pool holds it again; a waiting receive may get it. */
void ring_buf_give(struct ring *ring, struct ring_buf *buf);

/* How many more could be taken now: for those who must stop before it is zero. */
uint32_t ring_bufs_left(const struct ring *ring);

/* More could be taken than bufs_kept (ring.h): those who hold bodies take no other. */
bool ring_bufs_for_bodies(const struct ring *ring);

static inline uint8_t *ring_buf_data(const struct ring_buf *buf)
{
	return buf->mem + buf->start;
}

static inline uint32_t ring_buf_tailroom(const struct ring_buf *buf)
{
	return buf->size - buf->start - buf->len;
}
