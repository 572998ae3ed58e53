/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_names.h - which certificate is for which server name.
 *
 * Names are a certificate's DNS names (RFC 6125 6.4; its common name only when
 * it has none), in lower case. "*.example.org" stands for exactly one label in
 * front (RFC 6125 6.4.3). An exact name goes before a pattern, and the earlier
 * certificate before the later one.
 *
 * Threads: filled by one, then read by any.
 */
#pragma once

#include <openssl/x509.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

enum { TLS_NAME_MAX = 253 };

#define TLS_NO_PAIR UINT32_MAX

struct tls_name {
	char text[TLS_NAME_MAX + 1]; /* A pattern without its star: ".example.org". */
	uint8_t len;
	uint32_t pair;
};

struct tls_names {
	struct tls_name *list; /* Sorted by text, then by pair. */
	uint32_t n;
};

/*
 * Adds the names of a certificate; the first is written to first[]. 0; -EINVAL when one
 * is too long or has a byte that no name has (a NUL, for one); or -ENOMEM.
 */
GW_MUST_USE int tls_names_add(struct tls_names *names, X509 *cert, uint32_t pair,
			      char first[TLS_NAME_MAX + 1]);
/* Is the pair's certificate for this name, by a name or a pattern of its own? */
bool tls_names_cover(const struct tls_names *names, uint32_t pair, struct slice name);
void tls_names_free(struct tls_names *names);

/* The pair for a server name in any case, without a dot at its end; or TLS_NO_PAIR. */
uint32_t tls_names_find(const struct tls_names *names, struct slice name);
