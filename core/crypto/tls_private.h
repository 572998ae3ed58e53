/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_private.h - between the files of this folder, which see OpenSSL's types.
 *
 * Included first: OpenSSL's headers have members with names that base/banned.h bans.
 */
#pragma once

#include <openssl/core_names.h>
#include <openssl/decoder.h>
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

/*
 * The same for a client's side: a connection that is ready to shake hands, or NULL. In both cases
 * tls_client_end() is due.
 */
SSL *tls_client_begin(const struct tls_peer *peer, struct tls *t);
void tls_client_end(struct tls_client *client);

/* A handshake failed: what is kept of its peer may be to blame. */
void tls_client_forget(const struct tls *t);
