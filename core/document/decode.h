/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.h - msgpack from outside into a document.
 *
 * Ownership: the document is the caller's and keeps nothing of 'bytes'.
 * Threads: one at a time per document.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/document/document.h"

/*
 * Scans first (prescan.h), then builds. 0; -EINVAL, and 'rep' says what is wrong; or -ENOMEM.
 * 'rep' may end before the document does.
 */
GW_MUST_USE int decode_read(struct slice bytes, struct report *rep, struct document **ret_doc);
