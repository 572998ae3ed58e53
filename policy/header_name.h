/* SPDX-License-Identifier: Apache-2.0 */
/*
 * header_name.h - which fields a policy may set, add and remove.
 *
 * Not those that say how a message is framed or which connection it is on: one of them said
 * twice, or wrongly, is how requests are smuggled (RFC 9112 11.2). Not Host, which has a key
 * of its own, and not those by which the gateway says for whom it forwards.
 *
 * Pure. Threads: any.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

enum header_of { HEADER_REQUEST, HEADER_RESPONSE };

/* 0, or -EINVAL. */
GW_MUST_USE int header_name_check(struct slice name, enum header_of of);
