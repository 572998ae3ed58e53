/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cord.h - a peer's end of a connection, in the clear or in TLS: who holds it does not know.
 *
 * The calls are those of sim_net.h and mean the same, with payload in the place of bytes. In TLS
 * a handshake comes first, by itself; meanwhile there is nothing to read and no room to write. What
 * is written is sealed at once and leaves as there is room, also behind a close in order. An end is
 * one only if the other side has said so (close_notify); any other is a reset.
 *
 * Ownership: the holder's until cord_close().
 */
#pragma once

#include "tests/sim/seal.h"
#include "tests/sim/sim_net.h"

struct cord;

typedef void cord_fn(struct cord *cord, void *owner);

/* What a peer does in the middle of its handshake, in the place of the rest of it. */
enum cord_cut {
	CORD_WHOLE,
	CORD_RESETS,
	CORD_ENDS,
	CORD_STALLS,
	CORD_BABBLES, /* HTTP in the clear, and then its end. */
};

struct cord_plan {
	struct seal *seal; /* NULL: in the clear, and nothing of the rest counts. */
	struct seal_manners manners;
	enum cord_cut cut;
	uint32_t cut_at;    /* After so many bytes of its own, if the handshake needs more. */
	uint64_t spoilt_at; /* This byte of its own is not what it should be; 0: none. */
	bool rude;          /* Ends without close_notify. */
	bool patient;       /* Hears out what it has asked for: what comes later is a reset. */
	uint32_t renews;    /* Wants new keys whenever it has read so much, of TLS 1.3; 0: never. */
};

/* NULL: refused, nobody listens there. */
struct cord *cord_dial(struct ring *ring, const struct ring_addr *addr,
		       const struct ring_addr *from, const struct cord_plan *plan);
/* An origin's, over the end of a connection that the gateway has made. */
struct cord *cord_accept(struct ring *ring, struct sim_end *end, const struct cord_plan *plan);
void cord_watch(struct cord *cord, cord_fn *fn, void *owner);

/* Bytes read (> 0), 0 at the end, -EAGAIN, -ECONNRESET. */
int32_t cord_read(struct cord *cord, void *ret_bytes, uint32_t size);
/* Bytes taken (> 0), -EAGAIN, -ECONNRESET or -EPIPE. */
int32_t cord_write(struct cord *cord, const void *data, uint32_t len);
void cord_finish(struct cord *cord);
/* From now on it ends with close_notify, whatever its plan says. */
void cord_behave(struct cord *cord);
/* Its end will be no end to the other side. */
bool cord_is_rude(const struct cord *cord);
void cord_close(struct cord *cord, bool reset);

/* The world ends, and with it what was still being said after a close. */
void cord_forget(struct seal *seal);

/* Has the other side reset the connection, or ended it without a word? */
bool cord_is_reset(const struct cord *cord);
/* By a plan's cut: the holder is to leave, with a reset. */
bool cord_is_cut(const struct cord *cord);
/* Bytes written here that have not arrived at the other side. */
uint32_t cord_unsent(const struct cord *cord);
