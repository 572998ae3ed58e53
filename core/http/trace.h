/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h - is a trace context (W3C Trace Context) one that may be passed on?
 *
 * Threads: none; pure.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/http/head.h"

enum { TRACE_STATE_MEMBERS_MAX = 32 };

/* Of the version 00 form, or of a later one that begins so: lower-case hex, ids not zero. */
bool trace_is_parent(struct slice value);

/*
 * Drop traceparent and tracestate together when the first is malformed, given
 * twice or missing, or the second too long: then a new trace begins.
 */
void trace_check(struct http_head *head);
