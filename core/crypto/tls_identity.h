/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_identity.h - who a peer has proved to be: what its certificate says of it.
 *
 * Threads: plain values.
 */
#pragma once

#include <stdint.h>

#include "core/base/gw_assert.h"

struct tls;

struct tls_identity {
	char sha256[64]; /* Of its certificate, in hexadecimal digits. */
	uint8_t subject_len;
	char subject[191]; /* Its name by RFC 2253, in printable ASCII; empty if it is longer. */
};

/*
 * After the handshake: 1; 0 when the peer has shown no certificate; or -ENOMEM. Not for every
 * request: it computes a digest.
 */
GW_MUST_USE int tls_identity(const struct tls *t, struct tls_identity *ret_identity);
