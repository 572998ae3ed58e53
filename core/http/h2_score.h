/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_score.h - how much trouble one HTTP/2 connection has made.
 *
 * Frames that cost us work and bring a client nothing give points (RFC 9113 10.5);
 * requests that end well take some back, and time takes all of them. Whoever
 * reaches the limit is told to go away; at three quarters it is asked to.
 *
 * Threads: none; plain values.
 */
#pragma once

#include <stdint.h>

enum {
	H2_SCORE_RESET = 10, /* A young stream given up by the peer, or by us for its fault. */
	H2_SCORE_MALFORMED = 10,
	H2_SCORE_CONTROL = 1, /* Frames that are not part of any message. */
	H2_SCORE_STALLED = 20,
	H2_SCORE_DONE = 2,   /* Taken back for each request that ended well. */
	H2_SCORE_PER_S = 33, /* Forgotten in each second. */
	H2_SCORE_WARN = 750,
	H2_SCORE_LIMIT = 1000,
};

enum h2_standing { H2_FINE, H2_WARNED, H2_EXPELLED };

struct h2_score {
	uint32_t points;
	uint64_t since_ns; /* Up to when time was taken into account. */
};

enum h2_standing h2_score_add(struct h2_score *score, uint32_t points, uint64_t now_ns);
void h2_score_forgive(struct h2_score *score);
