/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.h - request targets and authorities in canonical form.
 *
 * Pure functions over bytes, made in place. What routing matches is what is
 * forwarded, so there is one form of each path: dot segments resolved, doubled
 * slashes merged, percent-encoded unreserved characters decoded once, other
 * escapes in upper-case hex (RFC 3986 6.2.2). What has no single meaning is
 * refused: see rows L20-L29, H04-H13, P01-P12 of tests/vectors.
 *
 * Threads: none; pure.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/http/head.h"

enum {
	TARGET_HOST_MAX = 255, /* Bytes of a host without port. */
	TARGET_LABEL_MAX = 63,
};

/*
 * Make text[0 .. *len) canonical in place; *len never grows. Returns
 * REASON_NONE, or path_traversal, path_escaped_slash, path_control,
 * path_encoding, bad_target. *ret_changed tells that it was not canonical.
 * Idempotent (property-tested). The text is a path, without query.
 */
enum reason target_canonical_path(char *text, uint16_t *len, bool *ret_changed);

/*
 * Split and lower an authority ("HOST.example.:80") in place: *ret_host_len
 * gets the length of the canonical host (from text[0]), *ret_port the port, or
 * 0 where none is named. REASON_NONE or REASON_HOST_INVALID. IPv6 literals keep
 * their brackets.
 */
enum reason target_canonical_host(char *text, uint16_t len, uint16_t *ret_host_len,
				  uint16_t *ret_port);

/*
 * Take the raw target in head->path apart, in place: path, query, asterisk, and
 * from an absolute target host and port. 'base' is head->base, writable;
 * 'secure' as in struct h1_parser.
 */
struct http_refusal target_resolve(struct http_head *head, char *base, bool secure);
