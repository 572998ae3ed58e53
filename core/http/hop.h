/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hop.h - what belongs to one connection only and is not passed on.
 *
 * RFC 9110 7.6.1: the Connection field, the fields it names, and those that
 * everyone knows to be hop by hop. See rows F19-F21, U14 of tests/vectors. And
 * what may not stand in trailers, whatever protocol they came by.
 *
 * Threads: none; pure.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/http/head.h"

enum { HOP_OPTIONS_MAX = 32 }; /* Connection options of one message; each is looked up. */

/*
 * Set head->close from version and Connection, and 'dropped' of each field that
 * Connection names. REASON_CONNECTION_ABUSE when a request names a field there
 * that must reach the upstream, or too many; in a response that is ignored.
 */
enum reason hop_apply(struct http_head *head, bool response);

enum hop_trailer { HOP_TRAILER_PASS, HOP_TRAILER_DROP, HOP_TRAILER_FORBID };

/*
 * A trailer may not say what a head says: whoever merged it would let a sender
 * change framing, routing or identity after they were judged (RFC 9110 6.5.1).
 */
enum hop_trailer hop_judge_trailer(struct slice name);
