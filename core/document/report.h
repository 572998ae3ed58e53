/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - what is wrong with a document: the first 20 errors, each with its place.
 *
 * Ownership: a report holds copies and no pointers; cut texts end in "...". It is large (about
 * 12 KiB): keep it on a stack that is known to be deep, or in its owner.
 *
 * Threads: a report belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

enum {
	REPORT_ERRORS_MAX = 20,
	REPORT_PATH_MAX = 160,
	REPORT_TEXT_MAX = 320,
};

/* Stable names for programs: X(enumerator, name) */
/* clang-format off */
#define REPORT_CODES(X)                                                                    \
	X(SYNTAX, "syntax")               /* Not YAML, JSON or msgpack. */                 \
	X(TRUNCATED, "truncated")         /* Ends too early. */                            \
	X(TRAILING, "trailing")           /* Bytes behind the document. */                 \
	X(TOO_LARGE, "too_large")         /* The document, or a count in it. */            \
	X(DEPTH, "depth")                 /* Nested too deeply. */                         \
	X(STRING, "string")               /* Control characters, bad UTF-8, too long. */   \
	X(DUPLICATE_KEY, "duplicate_key")                                                  \
	X(UNKNOWN_KEY, "unknown_key")                                                      \
	X(MISSING_KEY, "missing_key")                                                      \
	X(TYPE, "type")                                                                    \
	X(VALUE, "value")                 /* Of the right type, but not one of these. */   \
	X(RANGE, "range")                                                                  \
	X(LIMIT, "limit")                 /* Too many elements. */                         \
	X(SEMANTIC, "semantic")           /* Each value is good; together they are not. */ \
	X(FILE, "file")                   /* Cannot be read. */
/* clang-format on */

enum report_code {
#define X(code, name) REPORT_##code,
	REPORT_CODES(X)
#undef X
		REPORT_N_CODES
};

const char *report_code_name(enum report_code code);

/* Where in a text: both count from 1; line 0 is unknown (msgpack, flags). */
struct report_place {
	uint32_t line;
	uint32_t column;
};

struct report_error {
	const char *source; /* What the report's was when the error was added. */
	enum report_code code;
	struct report_place place;
	char path[REPORT_PATH_MAX]; /* "listeners[0].address"; empty is the document itself. */
	char text[REPORT_TEXT_MAX];
};

struct report {
	const char *source; /* File or flag being read: not owned, must stay; or NULL. */
	uint32_t n;         /* Kept. */
	uint32_t n_all;     /* Seen. */
	struct report_error errors[REPORT_ERRORS_MAX];
};

void report_init(struct report *rep, const char *source);

static inline bool report_is_clean(const struct report *rep)
{
	return rep->n_all == 0;
}

/* Adds an error; beyond the bound it is only counted. A text has no newline and no final stop. */
__attribute__((format(printf, 5, 6))) void report_add(struct report *rep, enum report_code code,
						      struct report_place place, struct slice path,
						      const char *format, ...);

/* One line per error: "file:line:column: path: text"; parts that are unknown are left out. */
void report_print(const struct report *rep, FILE *to);
/* The same for one error, without newline. NUL-terminated, cut to size; returns its length. */
size_t report_format(const struct report *rep, uint32_t i, char *buf, size_t size);
