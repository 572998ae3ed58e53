/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token.h - what the requests of a simulated world show, each one of its own.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "policy/keyring.h"

enum { TOKEN_MAX = 256 };

/* Where the key of all tokens is, at the place 'ret_ring'. One for all worlds. */
struct keyring *token_keyring(uint16_t *ret_ring);

/* A nonce's; not 'good': signed by another. */
struct slice token_make(uint64_t nonce, bool good, char text[TOKEN_MAX]);
