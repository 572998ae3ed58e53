/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwt_signature.h - is this the signature of these bytes by this key?
 *
 * Threads: any, workers too: OpenSSL's memory is the thread's.
 */
#pragma once

#include "core/crypto/jwt_key.h"

/* 1: it is; 0: it is not; or -ENOMEM. */
GW_MUST_USE int jwt_signature_check(const struct jwt_key *key, struct slice text,
				    struct slice signature);
