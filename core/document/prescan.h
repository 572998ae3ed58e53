/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prescan.h - judges msgpack from outside before anything is allocated for it.
 *
 * Exactly one value; nested at most 32 deep; no count that the bytes cannot hold; nil, booleans,
 * integers, finite floats, texts, lists and maps only; keys are texts. What depends on more than
 * one place (the same key twice) is found when the tree is built (decode.h).
 *
 * Threads: a pure function.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/document/report.h"

/* 0, or -EINVAL with the first thing that is wrong, and its path, in 'rep'. No allocation. */
GW_MUST_USE int prescan_check(struct slice bytes, struct report *rep);
