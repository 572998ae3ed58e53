/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml.h - reads YAML: the part of it that says one thing in one way.
 *
 * One document, at most 8 MiB, scalars by the core schema of YAML 1.2 (yes, no, on and off are
 * texts), no anchors, aliases, tags or merge keys, each key once.
 *
 * Ownership: the document is the caller's. Threads: one at a time per document.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/document/document.h"

/*
 * 0; -EINVAL, and 'rep' says what is wrong and where; or -ENOMEM. A text without any value is a
 * document of one null. 'rep' may end before the document does.
 */
GW_MUST_USE int yaml_read(struct slice text, struct report *rep, struct document **ret_doc);

/* What an unquoted scalar means; text results point into 'text'. 0, or -ERANGE beyond 64 bits. */
GW_MUST_USE int yaml_scalar(struct slice text, struct document_node *ret_value);
