/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_sink.h - where log lines go: a buffer before a descriptor; for log*.c only.
 *
 * Never blocks on a pipe, socket or terminal: what it does not take now stays in
 * the buffer. After an error the rest of a line that was begun is kept, so that
 * no line is ever torn; whole lines are dropped and counted.
 *
 * Ownership: a sink owns its buffer, its path and the descriptor it opened
 * (stdout and stderr are borrowed).
 * Threads: the writer thread's alone, but for the counters.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/log.h"

#define LOG_SINK_SIZE 262144u
#define LOG_LINE_MAX  16384u

struct log_sink {
	int fd;        /* -1: nowhere. */
	bool is_file;  /* A regular file: takes everything at once, or fails. */
	bool is_owned; /* Opened by us. */
	bool is_torn;  /* The next byte to write is inside a line. */
	char *path;
	char *buf;
	size_t at;                /* Next byte to write. */
	size_t len;               /* Bytes in use. */
	_Atomic uint64_t n_lines; /* Written whole. */
	_Atomic uint64_t n_dropped[LOG_N_DROPS];
};

/* 'fallback_fd' is borrowed when path is NULL; "off" is nowhere, "-" stdout. 0 or -errno. */
GW_MUST_USE int log_sink_open(struct log_sink *sink, const char *path, int fallback_fd);
/* What is left counts as dropped for backpressure. */
void log_sink_close(struct log_sink *sink);
/* Opens the path anew, for rotation. On failure the old file stays. 0 or -errno. */
GW_MUST_USE int log_sink_reopen(struct log_sink *sink);

/* Formats one line into the buffer; drops it when there is no room or nowhere to go. */
void log_sink_line(struct log_sink *sink, log_format_fn *format, const void *record);
/* Writes as much as goes without waiting. */
void log_sink_write(struct log_sink *sink);

static inline bool log_sink_is_empty(const struct log_sink *sink)
{
	return sink->at == sink->len;
}
