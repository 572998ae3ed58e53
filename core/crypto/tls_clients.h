/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_clients.h - whom a server asks for a certificate, and who may vouch for them.
 *
 * Threads: reading waits for the disk: not for a worker. Then immutable.
 */
#pragma once

#include "core/crypto/tls_private.h"

#include "core/crypto/tls_credentials.h"

struct tls_clients {
	enum tls_client_auth auth;
	X509_STORE *store; /* Counted, so that several share one. NULL with TLS_CLIENT_NONE. */
	STACK_OF(X509_NAME) * names; /* Of the authorities, for the client's choice. */
};

/* 0; -EINVAL and why[]; or -ENOMEM. What was read is to be freed in any case. */
GW_MUST_USE int tls_clients_read(const char *file, struct tls_clients *clients,
				 char why[TLS_WHY_MAX]);
/* The authorities of another, without the disk. 0 or -ENOMEM. */
GW_MUST_USE int tls_clients_share(const struct tls_clients *from, struct tls_clients *clients);
void tls_clients_free(struct tls_clients *clients);

/* Whoever has proved himself to one has proved the same to the other. */
bool tls_clients_equal(const struct tls_clients *a, const struct tls_clients *b);

/* Have a context's connections ask. */
GW_MUST_USE bool tls_clients_use(const struct tls_clients *clients, SSL_CTX *ctx);

/*
 * Have one connection ask as this context's do, and show its certificate, whatever the context that
 * it began with does. While the client's hello is judged.
 */
GW_MUST_USE bool tls_clients_switch(SSL *ssl, SSL_CTX *ctx);
