/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_private.h - between the files of this folder, which see OpenSSL's types.
 *
 * Included first: OpenSSL's headers have members with names that base/banned.h bans.
 */
#pragma once

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "core/crypto/tls.h"

/* Before the first tls_open(), by any thread. 0 or -ENOMEM. */
GW_MUST_USE int tls_init(void);

/* What is spoken at all, by either side: versions, ciphers, how memory is used. */
GW_MUST_USE bool tls_set_policy(SSL_CTX *ctx, bool least_1_3);

/* A connection begins, with this context; the server name may lead to another. And it is over. */
SSL_CTX *tls_server_begin(struct tls_server *server);
void tls_server_end(struct tls_server *server);
