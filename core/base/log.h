/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - structured log: binary records in, JSON lines out, by a thread of its own.
 *
 * Each thread that logs attaches a log_source: a ring of fixed-size records. The
 * writer thread drains all of them, formats, and writes each sink at most once
 * per drain. A full ring, a sink that does not take bytes and a full disk cost
 * lines, counted by cause; they never cost a producer time. A producer wakes a
 * sleeping writer with one eventfd write per batch (log_kick()).
 *
 * Two kinds of records: *events* (the macros below; a few a minute) go to the
 * event sink; *records* of the owner's making (the access log) go through the
 * format function of their kind to the access sink.
 *
 * A thread without a source (start-up, tools) writes events straight to stderr.
 *
 * Threads: log_create..log_destroy by one owner; a source by the thread that
 * attached it; the rest from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/growbuf.h"
#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/base/writer.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_N_LEVELS };

enum log_sink_id { LOG_SINK_EVENT, LOG_SINK_ACCESS, LOG_N_SINKS };

/* Why a line was lost. */
enum log_drop { LOG_DROP_BACKPRESSURE, LOG_DROP_ENOSPC, LOG_DROP_ERROR, LOG_N_DROPS };

struct log;
struct log_source;

/*
 * Makes one line, line end included, of a record; runs on the writer thread. A
 * line that overflows the writer is dropped and counted as an error.
 */
typedef void log_format_fn(const void *record, struct writer *out);

struct log_options {
	const char *event_path;  /* NULL: stderr. "off": nowhere. Opened for appending. */
	const char *access_path; /* NULL or "off": nowhere. "-": stdout. */
	log_format_fn *access_format;
	uint32_t access_record_size; /* Bytes that log_record() hands out. */
	uint32_t n_records;          /* Per source; default 4096. */
	enum log_level level;        /* Events below it are ignored. */
};

/* Opens the sinks and starts the writer thread. 0 or -errno; the paths are copied. */
GW_MUST_USE int log_create(const struct log_options *opt, struct log **ret_log);
/* Writes what is left, at most timeout_ms long; no other thread may log through it any more. */
void log_destroy(struct log *log, uint32_t timeout_ms);

/* Gives the calling thread a source; 'worker' is shown in its events (UINT32_MAX: not). */
GW_MUST_USE int log_attach(struct log *log, uint32_t worker, struct log_source **ret_source);
/* The calling thread's records stay and are still written. */
void log_detach(struct log_source *source);

/* Room for one access record, or NULL when it is dropped (and counted). */
void *log_record(struct log_source *source);
void log_commit(struct log_source *source);
/* Once per loop turn after commits: wakes the writer if it sleeps. */
void log_kick(struct log_source *source);

/* Asks the writer to close and open its files again (rotation). Async-signal-safe. */
void log_reopen(struct log *log);
void log_set_level(struct log *log, enum log_level level);
/* Waits until all committed before is written or dropped: 0 or -ETIMEDOUT. For drain and tests. */
GW_MUST_USE int log_flush(struct log *log, uint32_t timeout_ms);

uint64_t log_n_dropped(const struct log *log, enum log_drop drop);
uint64_t log_n_lines(const struct log *log, enum log_sink_id sink);
/* gateway_log_dropped_total{reason} and gateway_log_lines_total{sink}. */
void log_render_metrics(const struct log *log, struct growbuf *out);

/* --- Events ----------------------------------------------------------------------------- */

enum log_value_type {
	LOG_VALUE_U64,
	LOG_VALUE_I64,
	LOG_VALUE_BOOL,
	LOG_VALUE_STR,
	LOG_VALUE_ERRNO
};

/* A key and its value; the key is a literal, the value is copied. */
struct log_field {
	const char *key;
	enum log_value_type type;
	uint64_t number;
	struct slice text;
};

#define LOG_U64(key_, v)                                                                           \
	{                                                                                          \
		.key = "" key_, .type = LOG_VALUE_U64, .number = (uint64_t)(v)                     \
	}
#define LOG_I64(key_, v)                                                                           \
	{                                                                                          \
		.key = "" key_, .type = LOG_VALUE_I64, .number = (uint64_t)(int64_t)(v)            \
	}
#define LOG_BOOL(key_, v)                                                                          \
	{                                                                                          \
		.key = "" key_, .type = LOG_VALUE_BOOL, .number = (v) ? 1 : 0                      \
	}
#define LOG_STR(key_, s)                                                                           \
	{                                                                                          \
		.key = "" key_, .type = LOG_VALUE_STR, .text = (s)                                 \
	}
/* A negative errno, shown as its name's text. */
#define LOG_ERRNO(key_, r)                                                                         \
	{                                                                                          \
		.key = "" key_, .type = LOG_VALUE_ERRNO, .number = (uint64_t)(int64_t)(r)          \
	}

#define LOG_MAX_FIELDS      8u
#define LOG_EVENT_TEXT_SIZE 384u /* All strings of one event together; longer ones are cut. */

/* A place in the source that logs. 10 lines in 10 s, then only counted, unless 'always'. */
struct log_site {
	const char *event;
	enum log_level level;
	bool always;
	_Atomic uint64_t window_at_ns;
	_Atomic uint32_t n_in_window;
	_Atomic uint32_t n_suppressed; /* Shown by the next line of this site. */
};

void log_event(struct log_site *site, const struct log_field *fields, uint32_t n_fields);

/* LOG_EVENT(LOG_WARN, "name", LOG_STR("key", slice), ...): at least one field. */
#define LOG_EVENT(level_, event_, ...) LOG_EVENT_(level_, event_, false, __VA_ARGS__)
/* Never limited: start, stop and other things that happen once. */
#define LOG_ALWAYS(level_, event_, ...) LOG_EVENT_(level_, event_, true, __VA_ARGS__)

#define LOG_EVENT_(level_, event_, always_, ...)                                                   \
	do {                                                                                       \
		static struct log_site log_site_ = { .event = "" event_,                           \
						     .level = level_,                              \
						     .always = always_ };                          \
		const struct log_field log_fields_[] = { __VA_ARGS__ };                            \
		_Static_assert(ARRAY_SIZE(log_fields_) <= LOG_MAX_FIELDS, "too many");             \
		log_event(&log_site_, log_fields_, ARRAY_SIZE(log_fields_));                       \
	} while (0)
