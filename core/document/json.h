/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - reads JSON (RFC 8259) of at most 8 MiB, each key once per object.
 *
 * Ownership: the document is the caller's. Threads: one at a time per document.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/document/document.h"

/*
 * 0; -EINVAL, and 'rep' says what is wrong and where; or -ENOMEM. 'rep' may end before the
 * document does.
 */
GW_MUST_USE int json_read(struct slice text, struct report *rep, struct document **ret_doc);
