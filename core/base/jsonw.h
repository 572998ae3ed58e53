/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonw.h - JSON values into a bounded writer, for log lines and dumps.
 *
 * Strings may hold anything a stranger sent: quotes, controls and what is not
 * UTF-8 are escaped (an invalid byte becomes \ufffd), and only the first 'cap'
 * bytes of input are used, cut before a character rather than inside it. The
 * output is plain ASCII where the input was, and never holds a line end.
 *
 * Threads: pure functions over the caller's writer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/base/writer.h"

#define JSONW_CAP 1024u /* The usual cap of one field in a log line. */

/* A string with its quotes. */
void jsonw_string(struct writer *w, struct slice s, size_t cap);

/*
 * "key":value, with a comma before it unless it follows '{' or '['. Keys are
 * literals of ours: they are not escaped.
 */
void jsonw_key(struct writer *w, struct slice key);
void jsonw_field_string(struct writer *w, struct slice key, struct slice value, size_t cap);
void jsonw_field_u64(struct writer *w, struct slice key, uint64_t value);
void jsonw_field_i64(struct writer *w, struct slice key, int64_t value);
void jsonw_field_bool(struct writer *w, struct slice key, bool value);
/* Nanoseconds as milliseconds with three decimals. */
void jsonw_field_ms(struct writer *w, struct slice key, uint64_t ns);
