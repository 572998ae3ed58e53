/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_feature.h - what this kernel's io_uring can do, probed once, in words.
 *
 * SLUICE_URING_MASK (names separated by commas, or a kernel version such as
 * "6.1") hides features, so that the fallbacks can be tested on a newer kernel.
 *
 * Threads: ring_probe() is called by the main thread before any ring exists.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

/*        name           since   what is done without it */
/* clang-format off */
#define RING_FEATURES(X)                                                                           \
	X(NO_SQARRAY, "6.6", "the submission queue keeps its index array")                         \
	X(RECV_FAIR, "6.12", "multishot receive is not used")                                      \
	X(NO_IOWAIT, "6.15", "idle time of a worker shows as iowait")

enum ring_feature_bit {
#define X(name, since, without) RING_FEATURE_BIT_##name,
	RING_FEATURES(X)
#undef X
	RING_N_FEATURES
};
/* clang-format on */

struct ring_probe {
	uint32_t
		features; /* 1 << ring_feature_bit. ~features is the feature_mask of ring_open(). */
	char line[320];   /* One line: what is there, or what is refused and the usual causes. */
};

/*
 * 0 when Sluice can run here, the -errno of ring_open(), or -EINVAL for a mask
 * that means nothing; 'line' is filled in every case.
 */
GW_MUST_USE int ring_probe(struct slice mask, struct ring_probe *ret_probe);
const char *ring_feature_name(enum ring_feature_bit bit);
