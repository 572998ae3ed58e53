/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h - the fake ring's own side: a world in virtual time, decided by a seed.
 *
 * Linked in place of the ring folder. ring/ring.h and its neighbours are kept
 * to the letter; what this page adds is for the world around the gateway: the
 * clock, the faults, and the peers at the other ends of its files.
 *
 * Everything that happens is an event with a due time. Time stands still while
 * code runs and jumps to the next event in ring_turn(). Between an operation
 * being carried out and its answer being handed out other things happen, so a
 * cancel may lose, and answers come in any order that a kernel could give.
 *
 * What the gateway may not do (arm twice, use a file after closing it, change
 * pinned bytes, give a buffer twice, ...) traps on the spot, and what it may
 * not keep traps in ring_free().
 *
 * Threads: none; one ring is one world.
 */
#pragma once

#include "core/base/rng.h"
#include "ring/ring.h"
#include "ring/ring_net.h"

/* How badly the world behaves, in thousandths. All zero: only as badly as any network. */
struct sim_faults {
	uint16_t accept_emfile;  /* An accept series ends with -EMFILE. */
	uint16_t socket_refused; /* ring_socket() fails. */
	uint16_t post_again;     /* ring_post() takes nothing although there is room. */
	uint16_t poll_spurious;  /* A poll answers although nothing is ready. */
	uint16_t pipe_refused;   /* No pipe is granted. */
	uint16_t pipe_full;      /* A pipe that holds something has no room left. */
	uint16_t timer_late;     /* A timer comes late, by up to 50 ms. */
	uint16_t slow;           /* Something takes up to 30 ms instead of microseconds. */
	uint16_t reset_cuts;     /* A reset destroys what is still on its way. */
};

struct sim_options {
	uint64_t seed;
	struct sim_faults faults;
	uint32_t send_size;   /* Of a socket's send queue. */
	uint32_t window_size; /* Of a socket's receive queue. */
	uint32_t pipe_size;   /* Granted; at most RING_PIPE_SIZE. */
	uint32_t batch_ns;    /* Events so close together are handed out in one turn. */
	uint64_t steps_max;   /* Events until the world counts as livelocked. */
	bool trace;           /* Say on stderr what happens. */
};

/* After ring_open(), before anything else. */
void sim_configure(struct ring *ring, const struct sim_options *opt);

/* Runs after every answer, timer and post that the gateway got. */
typedef void sim_check_fn(void *owner);
void sim_on_step(struct ring *ring, sim_check_fn *fn, void *owner);

/* Deliver a signal to ring_signals(). */
void sim_signal(struct ring *ring, int signal);

/* No event is left: whoever still waits, waits forever. */
bool sim_is_silent(const struct ring *ring);

/* Events so far, and what happened of the things that a test wants to have seen. */
struct sim_counts {
	uint64_t steps, answers, cancels_lost, cancels_won, starved, short_recvs, resets, spurious,
		late_timers, pipe_full, emfile, kept_pipes, bytes_in, bytes_out, bytes_spliced,
		turned_away, /* Connections that a listener had begun, and reset with its close. */
		unheard;     /* Knocks at a listener that begins no connection any more. */
};
const struct sim_counts *sim_counts(const struct ring *ring);

/* Uniform in 0..n-1, from the world's seed. */
uint64_t sim_pick(struct ring *ring, uint64_t n);
/* True in 'per_mille' of the cases. */
bool sim_chance(struct ring *ring, uint32_t per_mille);

__attribute__((format(printf, 2, 3))) void sim_say(const struct ring *ring, const char *format,
						   ...);

/* The world does not agree: say why and trap. For what a test finds, not for the gateway's own asserts. */
__attribute__((format(printf, 2, 3), noreturn)) void sim_fail(const struct ring *ring,
							      const char *format, ...);

/* --- Events of the world's own. ------------------------------------------------------------- */

struct sim_event;
typedef void sim_event_fn(struct ring *ring, struct sim_event *event);

/* Zeroed memory with 'run' set is an idle event. */
struct sim_event {
	sim_event_fn *run;
	uint64_t due_ns; /* Private. */
	uint64_t tie;    /* Private: the order of events that are due together. */
	uint32_t place;  /* Private: where in the heap, + 1; 0 is nowhere. */
};

/* Run once at 'due_ns'; moves an event that waits already. */
void sim_event_at(struct ring *ring, struct sim_event *event, uint64_t due_ns);
/* Some microseconds from now, as the network and the kernel please. */
void sim_event_later(struct ring *ring, struct sim_event *event);
void sim_event_drop(struct ring *ring, struct sim_event *event);

static inline bool sim_event_waits(const struct sim_event *event)
{
	return event->place > 0;
}
