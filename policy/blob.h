/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob.h - a block of memory that grows, for things that refer to each other by distance.
 *
 * Whatever does not fit into memory or 1 GiB sets 'failed', and one check at the end is
 * enough; until then what is put goes nowhere. Pointers into it are good until the next put.
 *
 * Threads: one at a time.
 */
#pragma once

#include "core/base/slice.h"
#include "policy/table.h"

struct blob {
	char *bytes;
	uint32_t len, size;
	bool failed;
};

/* Room for n zeroed elements at a multiple of 8; n = 0 is fine. */
struct policy_part blob_room(struct blob *blob, uint32_t n, size_t element);
struct policy_part blob_text(struct blob *blob, struct slice text);
/* A list of struct policy_part, each a text. */
struct policy_part blob_texts(struct blob *blob, const struct slice *texts, uint32_t n);

/* NULL once it has failed. */
static inline void *blob_at(const struct blob *blob, uint32_t at)
{
	return blob->failed ? NULL : blob->bytes + at;
}
