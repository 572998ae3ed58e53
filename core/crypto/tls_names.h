/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_names.h - which entry of a listener's certificates is for which server name.
 *
 * Names are a certificate's DNS names (RFC 6125 6.4; its common name only when
 * it has none), or those of them that an entry was given, in lower case. "*.example.org" stands for exactly one label in
 * front (RFC 6125 6.4.3). An exact name goes before a pattern; of the
 * same names, one that was given goes before one of a certificate, and the earlier
 * entry before the later one.
 *
 * Threads: filled and sorted by one, then read by any.
 */
#pragma once

#include <openssl/x509.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

enum { TLS_NAME_MAX = 253 };

#define TLS_NO_ENTRY UINT32_MAX

struct tls_name {
	char text[TLS_NAME_MAX + 1]; /* A pattern without its star: ".example.org". */
	uint8_t len;
	bool chosen; /* Given to the entry, not only found in its certificate. */
	uint32_t entry;
	uint32_t place; /* Of a chosen one: among those of its entry. */
};

struct tls_names {
	struct tls_name *list; /* Sorted by text, chosen ones first, then by entry. */
	uint32_t n;
};

/*
 * Adds the names of a certificate. 0; -EILSEQ when one is too long or has a byte that no name has
 * (a NUL, for one); or -ENOMEM.
 */
GW_MUST_USE int tls_names_add_cert(struct tls_names *names, X509 *cert, uint32_t entry);
/*
 * Adds one that an entry was given. 0; -EDOM when none of its certificate's, sorted, covers it;
 * or -ENOMEM.
 */
GW_MUST_USE int tls_names_add_chosen(struct tls_names *names, const struct tls_names *of_cert,
				     struct slice name, uint32_t entry, uint32_t place);
/* What was added is found only now. */
void tls_names_sort(struct tls_names *names);
void tls_names_free(struct tls_names *names);

/* Is the entry for this name, by a name or a pattern of its own? */
bool tls_names_cover(const struct tls_names *names, uint32_t entry, struct slice name);

/* The entry for a server name in any case, without a dot at its end; or TLS_NO_ENTRY. */
uint32_t tls_names_find(const struct tls_names *names, struct slice name);
