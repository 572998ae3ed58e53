/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_server.h - what a listener shows its clients: certificates by name, versions,
 * protocols, and whom it asks for a certificate.
 *
 * A set of credentials is read once (files, keys, names) and is then immutable;
 * each worker makes a server of its own out of it, since OpenSSL counts
 * references to a context at every connection and cores would fight over them.
 * Workers share the keys of session tickets, so a session of one is resumed by
 * all, but never under another name than the one it was made for.
 *
 * Threads: tls_credentials_*() wait for the disk: not for a worker. A server
 * belongs to one worker, but is made and freed by another thread; credentials
 * outlive all their servers.
 */
#pragma once

#include "core/crypto/tls.h"
#include "core/crypto/tls_pair.h"

struct tls_credentials;
struct tls_server;

enum tls_client_auth { TLS_CLIENT_NONE, TLS_CLIENT_OPTIONAL, TLS_CLIENT_REQUIRED };

struct tls_credentials_options {
	const struct tls_pair *pairs; /* The first is shown where no other fits. */
	uint32_t n_pairs;
	const char *client_ca; /* PEM: who may vouch for clients; NULL with TLS_CLIENT_NONE. */
	enum tls_client_auth client_auth;
	bool least_1_3; /* No TLS 1.2. */
	bool http1, http2;
	bool strict_names; /* A name that no certificate has ends the handshake. */
};

/*
 * Reads and checks all files: a key that is not its certificate's, an expired
 * chain's first link or an unreadable file refuses the whole. 0; -EINVAL with
 * the file and the cause in why[]; or -ENOMEM.
 */
GW_MUST_USE int tls_credentials_read(const struct tls_credentials_options *options,
				     char why[TLS_WHY_MAX],
				     struct tls_credentials **ret_credentials);
void tls_credentials_free(struct tls_credentials *credentials);

/* Seconds since 1970 at which the pair's certificate expires, and its first name. */
int64_t tls_credentials_expiry(const struct tls_credentials *credentials, uint32_t pair,
			       struct slice *ret_name);
uint32_t tls_credentials_pairs(const struct tls_credentials *credentials);

/*
 * Seal tickets with a new key from now on; those of the key before are still taken. 0, or -ENOMEM
 * and nothing has changed. By one thread, seconds apart at least.
 */
GW_MUST_USE int tls_credentials_renew_tickets(const struct tls_credentials *credentials);

/* A worker's own. 0 or -ENOMEM. */
GW_MUST_USE int tls_server_create(const struct tls_credentials *credentials,
				  struct tls_server **ret_server);

/*
 * A connection that began on it is open: it has a share in its contexts, and whoever gives the last
 * share back frees them. Any thread.
 */
bool tls_server_is_busy(const struct tls_server *server);

/* Not while it is busy. */
void tls_server_free(struct tls_server *server);
