/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_files.h - certificates and keys from PEM files, as what one side shows to the other.
 *
 * Threads: these wait for the disk, except tls_shown_use(): not for a worker.
 */
#pragma once

#include "core/crypto/tls_pair.h"
#include "core/crypto/tls_private.h"

struct tls_shown {
	X509 *cert;
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
	int64_t expiry; /* Seconds since 1970. */
};

/* Puts the file, what is wrong with it and OpenSSL's word on it into why[]. -EINVAL. */
int tls_refuse_file(char why[TLS_WHY_MAX], const char *file, const char *what);

/*
 * 0; -EINVAL and why[], when a file cannot be read, the key is another's or the certificate has
 * expired; or -ENOMEM. What was read is to be freed in any case.
 */
GW_MUST_USE int tls_shown_read(const struct tls_pair *from, struct tls_shown *shown,
			       char why[TLS_WHY_MAX]);
/* Only the certificate and its chain, of whatever date. As above. */
GW_MUST_USE int tls_shown_read_cert(const char *file, struct tls_shown *shown,
				    char why[TLS_WHY_MAX]);
void tls_shown_free(struct tls_shown *shown);

/* Have a context show it. */
GW_MUST_USE bool tls_shown_use(const struct tls_shown *shown, SSL_CTX *ctx);

int64_t tls_seconds_of(const ASN1_TIME *time);
