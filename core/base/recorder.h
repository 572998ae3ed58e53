/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder.h - flight recorder: a thread's last 1,024 events, dumped on a trap.
 *
 * Adding is a few plain stores. On SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE and
 * SIGABRT the handler writes the build, the failed assertion and the recorders
 * (that of the crashing thread first) to a descriptor that was opened before,
 * then lets the signal take its course, so that a core is still made.
 *
 * Ownership: struct recorder is the caller's; it must outlive its attachment.
 * Threads: a recorder belongs to the thread that attached it. The dump reads
 * those of other threads while they run: their newest event may be torn.
 */
#pragma once

#include <stdint.h>

#include "core/base/gw_assert.h"

#define RECORDER_N_EVENTS 1024u
#define RECORDER_MAX      256u /* Attached at once. */

enum recorder_id {
#define X(id, name, a, b, c) RECORDER_##id,
#include "core/base/recorder.def"
#undef X
	RECORDER_N_IDS
};

struct recorder_event {
	uint64_t at_ns;
	uint32_t id; /* enum recorder_id. */
	uint32_t a;
	uint64_t b;
	uint64_t c;
};

struct recorder {
	uint64_t n; /* Events added ever; the newest is at (n - 1) mod RECORDER_N_EVENTS. */
	uint32_t worker;
	struct recorder_event events[RECORDER_N_EVENTS];
};

/* 'now_ns' is the loop turn's time: no clock is read here. */
static inline void recorder_add(struct recorder *r, uint64_t now_ns, enum recorder_id id,
				uint32_t a, uint64_t b, uint64_t c)
{
	struct recorder_event *e = &r->events[r->n & (RECORDER_N_EVENTS - 1)];

	*e = (struct recorder_event){ .at_ns = now_ns, .id = id, .a = a, .b = b, .c = c };
	r->n++;
}

/*
 * Installs the handlers, once per process. 'fd' stays the caller's and open;
 * 'build' is a literal that names the program and its version. 0 or -errno.
 */
GW_MUST_USE int recorder_install(int fd, const char *build);
/*
 * Makes r the calling thread's recorder and gives the thread a signal stack, so
 * that a stack overflow is dumped too. 0, -ENOMEM or -ENOSPC.
 */
GW_MUST_USE int recorder_attach(struct recorder *r, uint32_t worker);
/* By the same thread, before r goes away. */
void recorder_detach(struct recorder *r);

/* Writes one recorder, oldest event first, as text. Async-signal-safe. */
void recorder_dump(const struct recorder *r, int fd);
