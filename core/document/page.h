/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page.h - what a schema says, for people (Markdown) and for editors (JSON Schema).
 *
 * What does not fit sets the writer's overflow mark. Threads: pure functions.
 */
#pragma once

#include "core/base/writer.h"
#include "core/document/schema.h"

/*
 * The reference: every key with its default, what it takes, and what it means; of a "config" also
 * when a change is taken over. 'name' is what gwtool calls it.
 */
void page_reference(struct writer *w, const struct schema *schema, const char *name);

/* Only the keys that limit something, and what happens beyond each. */
void page_limits(struct writer *w, const struct schema *schema);

/* JSON Schema, draft 2020-12, on one line. */
void page_json_schema(struct writer *w, const struct schema *schema);
