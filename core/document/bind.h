/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bind.h - fills a structure from a document as a schema says.
 *
 * Every error is reported (report.h) with path, value and what would be allowed, and binding goes
 * on behind it. null stands for "not said": the default. Units are part of spans and sizes.
 *
 * Ownership: texts and lists are copied to the arena; nothing points into the document.
 *
 * Threads: pure over the caller's memory.
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/gw_assert.h"
#include "core/document/document.h"
#include "core/document/schema.h"

/* A field's default as a document would say it; a word stays one, also when it looks like a number. */
void bind_preset(const struct schema_field *field, struct document_node *ret_value);

/*
 * Fill all of *target, with defaults for what 'root' does not say; root NULL: only defaults. 0;
 * -EINVAL with what is wrong in rep, *target is then good for nothing; -ENOMEM: the arena is full.
 */
GW_MUST_USE int bind_fill(const struct schema *schema, const struct document_node *root,
			  struct arena *arena, struct report *rep, void *target);

/* The same, but what 'root' does not say stays as it is. Lists are replaced as a whole. */
GW_MUST_USE int bind_change(const struct schema *schema, const struct document_node *root,
			    struct arena *arena, struct report *rep, void *target);
