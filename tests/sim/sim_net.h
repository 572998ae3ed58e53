/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_net.h - the network of a simulated world: byte streams between two ends.
 *
 * One end of each connection is a file of the gateway, the other belongs to a
 * scripted peer. Bytes are really carried. Each direction has a bounded send
 * queue and a bounded receive queue; what is sent arrives later, in pieces. An
 * end closes with FIN when everything was read, with RST otherwise, as Linux
 * does; a RST may overtake nothing but may destroy what had not arrived.
 *
 * Ownership: the network owns the ends. A peer may use its end until it closes
 * it; afterwards no event comes.
 */
#pragma once

#include "tests/sim/sim.h"

struct sim_end;

/* Something changed: bytes or room came, the other side ended or reset. Told late, and not per change. */
typedef void sim_end_fn(struct sim_end *end, void *owner);

/* What became of an attempt of the gateway to connect to a host of the world. */
enum sim_welcome {
	SIM_WELCOME,
	SIM_REFUSE,
	SIM_UNREACHABLE,
	SIM_SILENCE, /* Nothing answers; the kernel gives up after two minutes. */
};

typedef enum sim_welcome sim_host_fn(void *owner);
/* A connection has come to be; 'end' is the host's and sim_end_watch() is due. */
typedef void sim_host_connected_fn(void *owner, struct sim_end *end);

struct sim_host {
	struct ring_addr addr;
	sim_host_fn *welcome;
	sim_host_connected_fn *connected;
	void *owner;
	struct list_node link; /* Private. */
};

/* From now on the gateway can connect to host->addr. The host's memory is pinned. */
void sim_host_add(struct ring *ring, struct sim_host *host);

/* Connect to a listener of the gateway. NULL: refused, nobody listens there. */
struct sim_end *sim_end_dial(struct ring *ring, const struct ring_addr *addr,
			     const struct ring_addr *from);

void sim_end_watch(struct sim_end *end, sim_end_fn *fn, void *owner);

/* Bytes read (> 0), 0 at the end, -EAGAIN, -ECONNRESET. */
int32_t sim_end_read(struct sim_end *end, void *ret_bytes, uint32_t size);
/* Bytes taken (> 0), -EAGAIN, -ECONNRESET or -EPIPE. */
int32_t sim_end_write(struct sim_end *end, const void *data, uint32_t len);
/* No more bytes from this end. */
void sim_end_finish(struct sim_end *end);
/* 'reset': RST even if everything was read. */
void sim_end_close(struct sim_end *end, bool reset);

/* Has the other side reset the connection? */
bool sim_end_is_reset(const struct sim_end *end);
/* Has the gateway closed its end? */
bool sim_end_is_alone(const struct sim_end *end);
/* Bytes written here that have not arrived at the other side. */
uint32_t sim_end_unsent(const struct sim_end *end);
/* Bytes written here that the other side has not read. */
uint64_t sim_end_unread(const struct sim_end *end);
