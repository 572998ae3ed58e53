/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - where a message ends: the one decision about its framing.
 *
 * Decided from the stored fields, once, by us (RFC 9112 6): nothing that two
 * parties could read in two ways passes. See rows D and U of tests/vectors.
 *
 * Threads: none; pure.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/http/head.h"

/*
 * Fill body, content_length and has_length of a head whose fields have ids and
 * trimmed values.
 */
struct http_refusal frame_request(struct http_head *head);

/* The same for a response, by its status and the method of its request; also close. */
struct http_refusal frame_response(struct http_head *head);
