/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inactive.h - what a document says that is understood, but that nothing acts on yet.
 *
 * Such a field is marked so in its schema. It is checked as any other, and whoever has written it
 * is told, so that nobody believes in a rule that nothing keeps.
 *
 * Threads: pure functions.
 */
#pragma once

#include "core/document/document.h"
#include "core/document/schema.h"

/* 'path' is good during the call. */
typedef void inactive_fn(void *owner, struct slice path);

/* Calls 'told' for each marked field that the document has, in its order. It was bound before. */
void inactive_find(const struct schema *schema, const struct document_node *root, inactive_fn *told,
		   void *owner);
