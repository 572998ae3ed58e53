/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff.h - what differs between two documents of one schema.
 *
 * By what they mean and not by how they are written: "1m" is "60s", and a key that says its
 * default is as good as none. What has a name is matched by it (the keys of a map, and the
 * elements of a list whose schema requires a text: the first such), so that an element that has
 * moved has not changed. All other lists differ as a whole, or element by element as they stand.
 *
 * Threads: pure but for memory of its own.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/writer.h"
#include "core/document/document.h"
#include "core/document/schema.h"

enum diff_kind { DIFF_ADDED, DIFF_REMOVED, DIFF_CHANGED };

struct diff_change {
	enum diff_kind kind;
	struct slice
		path; /* "routes.users.max_body", "services[\"a.b\"].endpoints"; for the call. */
	const struct document_node *before, *after; /* What is said; NULL: nothing. */
};

typedef void diff_fn(void *owner, const struct diff_change *change);

/*
 * Tells each change, in the order of the schema, and of names by name. Both documents were bound
 * by the schema without an error. 0; -ENOMEM, and then not all was told.
 */
GW_MUST_USE int diff_documents(const struct schema *schema, const struct document_node *before,
			       const struct document_node *after, diff_fn *tell, void *owner);

/* "~ limits.all.rate: 100/s -> 50/s", and a newline. Of a whole map only its path is told. */
void diff_put(struct writer *w, const struct diff_change *change);
/* {"change": "added", "path": ..., "before": ..., "after": ...}; what there is of the last two. */
void diff_put_json(struct writer *w, const struct diff_change *change);
