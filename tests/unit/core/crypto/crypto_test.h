/* SPDX-License-Identifier: Apache-2.0 */
/* crypto_test.h - cmocka, certificates made on the spot, and a client of OpenSSL's own. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A folder of this test's, removed by ct_end(). */
extern char ct_folder[64];
void ct_begin(void);
void ct_end(void);

/* The path of a file in there, good until the 32nd next call. */
const char *ct_path(const char *name);

struct ct_cert {
	const char *name; /* Files NAME.pem and NAME.key. */
	const char *san; /* As in OpenSSL's configuration: "DNS:a.test,DNS:*.b.test"; NULL: none. */
	long from_s, for_s;           /* Valid from so many seconds from now on, for so long. */
	const struct ct_cert *issuer; /* NULL: itself. */
};

EVP_PKEY *ct_key(void);
X509 *ct_x509(const struct ct_cert *cert, EVP_PKEY *key);
void ct_write(const struct ct_cert *cert);

/* Written, and read as those of a listener for HTTP/1.1; the caller frees them. */
struct tls_credentials;
struct tls_credentials *ct_credentials(const struct ct_cert *cert);
