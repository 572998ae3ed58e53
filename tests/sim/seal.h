/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h - what a world speaks TLS with: one certificate, the gateway's side and the clients'.
 *
 * A seed replays a failure, so nothing may depend on chance or on the day: the key is always the
 * same, its signatures have one length (Ed25519), the certificate is good for a hundred years, and
 * all random bytes of OpenSSL, on both sides, are the world's seed's.
 *
 * Threads: one seal at a time in a process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/list.h"

struct ssl_st;
struct tls_server;

struct seal {
	struct tls_credentials *credentials;
	struct tls_server *server;
	struct ssl_ctx_st *clients;
	struct ssl_session_st *session; /* The last that a client was given, or NULL. */
	struct list left; /* cord.c: connections that were closed before all was said. */
	uint64_t n_shaken, n_resumed, n_old, n_cut, n_renewed;
};

/* How a client speaks TLS. */
struct seal_manners {
	bool h2;      /* Offered by ALPN, in the place of HTTP/1. */
	bool old;     /* TLS 1.2. */
	bool resumes; /* The last session, if there is one. */
};

/* Its server offers HTTP/1, and HTTP/2 if so told. */
void seal_open(struct seal *seal, uint64_t seed, bool h2);
/* After all connections. */
void seal_close(struct seal *seal);

/* A client's side, over memory; the caller's to free. */
struct ssl_st *seal_client(struct seal *seal, const struct seal_manners *manners);
/* Its handshake is over. */
void seal_shaken(struct seal *seal, const struct ssl_st *ssl);
