/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gwtool_merge.h - what a partial update makes of a policy.
 *
 * Values keep the places where they stood, so that what is wrong with the whole can be told with
 * the line of the update that brought it.
 *
 * Ownership: the new document is the caller's and keeps nothing of the others.
 * Threads: pure functions.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/document/document.h"

/* A top-level key that is written otherwise in the new document. */
struct gwtool_alias {
	struct slice from, to;
};

/*
 * A JSON Merge Patch (RFC 7396 2): maps are merged, null takes a key away, anything else replaces
 * what was there. 0; -EINVAL, and rep says why (too many values); or -ENOMEM.
 */
GW_MUST_USE int gwtool_merge(const struct document_node *base, const struct document_node *patch,
			     struct report *rep, struct document **ret_doc);

/*
 * The same values under our names for them; nulls stay. With 'version', a version 1 is in front
 * where a map says none. -EINVAL also when a key is there under both names.
 */
GW_MUST_USE int gwtool_rename(const struct document_node *root, const struct gwtool_alias *aliases,
			      uint32_t n_aliases, bool version, struct report *rep,
			      struct document **ret_doc);
