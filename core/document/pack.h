/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack.h - writes msgpack into a bounded buffer.
 *
 * The only file behind which msgpack-c stands. What does not fit sets 'w.overflow', as struct
 * writer does, and one check at the end is enough. Maps and lists are announced with their
 * number of entries, which the caller must then write.
 *
 * Threads: a pack belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/base/writer.h"

struct pack {
	struct writer w;
};

static inline struct pack pack_make(void *buf, size_t size)
{
	return (struct pack){ .w = writer_make(buf, size) };
}

void pack_map(struct pack *p, uint32_t n_entries);
void pack_list(struct pack *p, uint32_t n);
void pack_text(struct pack *p, struct slice text);
void pack_u64(struct pack *p, uint64_t value);
void pack_i64(struct pack *p, int64_t value);
void pack_double(struct pack *p, double value);
void pack_bool(struct pack *p, bool value);
void pack_null(struct pack *p);

/* Map entries: key and value at once. */
void pack_key(struct pack *p, const char *key);
void pack_entry_text(struct pack *p, const char *key, struct slice text);
/* A list of the words between which the text has one blank each. */
void pack_entry_words(struct pack *p, const char *key, struct slice text);
void pack_entry_u64(struct pack *p, const char *key, uint64_t value);
void pack_entry_double(struct pack *p, const char *key, double value);
void pack_entry_bool(struct pack *p, const char *key, bool value);
