/* SPDX-License-Identifier: Apache-2.0 */
/*
 * emit.h - the way back: a structure, as YAML that its schema reads.
 *
 * What does not fit sets the writer's overflow mark. Threads: pure functions.
 */
#pragma once

#include "core/base/writer.h"
#include "core/document/schema.h"

/* All keys of the structure at 'base', defaults included, one or more lines each. */
void emit_yaml(struct writer *w, const struct schema *schema, const void *base);

/* One field's value, in flow style, on one line; not for maps. 'base' is of the structure. */
void emit_value(struct writer *w, const struct schema_field *field, const void *base);
