/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_server.h - a worker's side of what a listener shows its clients: connections begin on it.
 *
 * Credentials (tls_credentials.h) are read once and shared; each worker makes a
 * server of its own out of them, since OpenSSL counts references to a context at
 * every connection and cores would fight over them. Workers share the keys of
 * session tickets, so a session of one is resumed by all, but never by another
 * entry than the one that it was made for.
 *
 * Threads: a server belongs to one worker, but is made and freed by another
 * thread; credentials outlive all their servers.
 */
#pragma once

#include "core/crypto/tls.h"
#include "core/crypto/tls_credentials.h"

struct tls_server;

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
