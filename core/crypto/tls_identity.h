/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_identity.h - who a peer has proved to be: what its certificate says of it.
 *
 * Its alternative names (RFC 5280 4.2.1.6) are known as far as they are DNS names, URIs or
 * addresses of mail: "dns:a.example.org", in lower case, "uri:spiffe://example.org/a",
 * "email:a@example.org", as one text with a blank between two. A name is known as a whole or not at
 * all. It is not when it has a byte that is no visible ASCII, so that neither a NUL nor a blank can
 * make two names of one, or another's of its first half; nor when it comes behind TLS_SANS_MAX that
 * are, or does not fit into TLS_SANS_SIZE with those before it.
 *
 * Ownership: the names are OpenSSL's memory, taken only where there are any, so that who shows no
 * certificate costs nothing: tls_identity_free(). Threads: plain values.
 */
#pragma once

#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/crypto/tls_pair.h"

struct tls;

enum {
	TLS_SANS_MAX = 16,
	TLS_SANS_SIZE = 2560, /* Room for the longest id of SPIFFE (2,048 bytes), and others. */
};

struct tls_identity {
	char sha256[64]; /* Of its certificate, in hexadecimal digits. */
	uint8_t subject_len;
	char subject[191]; /* Its name by RFC 2253, in printable ASCII; empty if it is longer. */
	struct slice sans; /* Its alternative names. */
};

/*
 * After the handshake: 1, and it is to be freed; 0 when the peer has shown no certificate; or
 * -ENOMEM. Not for every request: it computes a digest.
 */
GW_MUST_USE int tls_identity(const struct tls *t, struct tls_identity *ret_identity);

/*
 * Whom the first certificate of a PEM file would prove somebody to be: 0, and it is to be freed;
 * -EINVAL and why[]; or -ENOMEM. It waits for the disk: not for a worker.
 */
GW_MUST_USE int tls_identity_read(const char *file, struct tls_identity *ret_identity,
				  char why[TLS_WHY_MAX]);

/* Also of one that is all zero. */
void tls_identity_free(struct tls_identity *identity);
