/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_file.h - the table of files; for this folder only.
 *
 * Threads: the ring's own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/gw_assert.h"

struct ring;

enum { RING_FIXED_AFTER = 3 }; /* A file is registered with its third operation. */

/*        name     may be followed by */
/* clang-format off */
#define RING_FILE_STATES(X)                                                                        \
	X(FREE, TO(OPEN))                                                                          \
	X(OPEN, TO(CLOSING) | TO(FREE))                                                            \
	X(CLOSING, TO(FREE))
/* clang-format on */

enum ring_file_state {
#define X(name, next) RING_FILE_##name,
	RING_FILE_STATES(X)
#undef X
};

struct ring_file {
	int32_t fd;
	uint32_t next_free;
	uint16_t n_armed;   /* Operations whose final answer is due. */
	uint16_t n_starved; /* Of them in line for a buffer. */
	uint8_t state;
	uint8_t n_uses;     /* Up to the registration. */
	bool fixed : 1;     /* The kernel knows it under its index. */
	bool unfixable : 1; /* It refused to. */
	bool aborting : 1;  /* Its close is to be a reset. */
	bool tcp : 1;       /* A TCP socket, */
	bool listens : 1;   /* that listens. */
	bool close_due : 1; /* A close was submitted. */
};

/* Take a descriptor over: its file, or -ENFILE, and it stays the caller's. */
GW_MUST_USE int ring_file_adopt(struct ring *ring, int fd);
/* Register it, in the batch of the operation that comes next. */
void ring_file_fix(struct ring *ring, int32_t file);
/* Completions of the ring's own operations: a close; a registration that failed. */
void ring_file_closed(struct ring *ring, uint32_t file);
void ring_file_not_fixed(struct ring *ring, uint32_t file);
/* Ask for the end of every operation on it that is in the kernel. */
void ring_file_cancel_all(struct ring *ring, const struct ring_file *f);
/* An operation of a closing file has ended. */
void ring_file_settle(struct ring *ring, struct ring_file *f);
