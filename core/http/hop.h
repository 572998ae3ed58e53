/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hop.h - what belongs to one connection only and is not passed on.
 *
 * RFC 9110 7.6.1: the Connection field, the fields it names, and those that
 * everyone knows to be hop by hop. See rows F19-F21, U14 of tests/vectors.
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
