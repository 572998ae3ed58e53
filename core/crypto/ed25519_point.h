/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ed25519_point.h - is this a public key of Ed25519 at all?
 *
 * OpenSSL takes any 32 bytes for one, and then refuses each signature.
 *
 * Threads: any; it takes milliseconds: not for a worker.
 */
#pragma once

#include <stdint.h>

#include "core/base/gw_assert.h"

/* As in RFC 8032 5.1.3. 1: a point on the curve; 0: none, or its neutral element; or -ENOMEM. */
GW_MUST_USE int ed25519_point_check(const uint8_t point[32]);
