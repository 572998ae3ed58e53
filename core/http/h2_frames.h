/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_frames.h - where the frames of an HTTP/2 connection begin (RFC 9113 4.1), and how long a
 * field section is on the wire.
 *
 * nghttp2 counts the reads that bring some of a CONTINUATION, not the frames, and not their
 * bytes. So the heads of frames are seen here first, and nghttp2 gets each of them whole.
 *
 * Threads: none; plain values.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"

enum {
	H2_FRAME_HEAD = 9,
	H2_CONTINUATIONS_MAX = 8,
};

struct h2_frames {
	uint32_t skip;        /* Bytes until the next frame's head: a preface at first. */
	uint32_t section_len; /* Of the present field section, */
	uint32_t section_max;
	uint8_t n_continuations; /* and its frames but for the first. */
	uint8_t n_held;
	uint8_t held[H2_FRAME_HEAD]; /* A head that came in part. */
	bool flood; /* The section is longer than allowed, or in too many frames: walk no further. */
};

/*
 * The next bytes to look at, off the front of *bytes: frames, or parts of them, with whole heads
 * only. Empty: there are none, what is left is held until more comes, or there is a flood.
 */
struct slice h2_frames_next(struct h2_frames *frames, struct slice *bytes);
