/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h - what a world speaks TLS with: the gateway's side and its peers', clients or origins.
 *
 * A seed replays a failure, so nothing may depend on chance or on the day: the keys are always the
 * same, their signatures have one length (Ed25519), certificates are good for a hundred years, and
 * all random bytes of OpenSSL, on both sides, are the world's seed's.
 *
 * Threads: one world at a time in a process, which has one seal for clients and one for origins.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/list.h"

struct ssl_st;
struct tls_client;
struct tls_server;

/* Who an origin is. All but the first have nothing to do with the gateway, or it with them. */
enum seal_kind {
	SEAL_GOOD,
	SEAL_ELSEWHERE, /* Of other names: that its common name is right counts for nothing. */
	SEAL_EXPIRED,
	SEAL_STRANGER, /* By an authority that nobody knows and that has the name of the known one. */
	SEAL_CURIOUS, /* Wants a certificate of the gateway's, which has none. */
	SEAL_N_KINDS
};

/* What an origin does about the protocol that it is offered. */
enum seal_choice { SEAL_CHOOSES, SEAL_CHOOSES_NONE, SEAL_REFUSES };

enum { SEAL_CALLERS = 2 };

struct seal {
	struct tls_credentials *credentials; /* The gateway's side towards clients; */
	struct tls_server *server;
	struct tls_client *callers[SEAL_CALLERS]; /* towards origins, one after the other. */
	struct ssl_ctx_st *clients;
	struct ssl_ctx_st *origins[SEAL_N_KINDS]; /* Made when they are first needed. */
	struct ssl_session_st *session;           /* The last that a client was given, or NULL. */
	struct list left; /* cord.c: connections that were closed before all was said. */
	uint64_t n_shaken, n_resumed, n_old, n_cut, n_renewed, n_shunned, n_spoilt;
};

/* How a client, or an origin, speaks TLS. */
struct seal_manners {
	bool h2;      /* By ALPN, in the place of HTTP/1. */
	bool old;     /* TLS 1.2. */
	bool resumes; /* The last session, if there is one; an origin: gives tickets, and takes them. */
	bool asks_again; /* An origin's: the keys that it is offered first are not what it wants. */
	enum seal_kind kind;     /* An origin's. */
	enum seal_choice choice; /* An origin's. */
};

/* The gateway must not say a word of a request to it. */
static inline bool seal_is_shunned(const struct seal_manners *manners)
{
	return manners->kind != SEAL_GOOD || manners->choice == SEAL_REFUSES ||
	       (manners->choice == SEAL_CHOOSES_NONE && manners->h2);
}

/* For clients: the gateway's server offers HTTP/1, and HTTP/2 if so told. */
void seal_open(struct seal *seal, uint64_t seed, bool h2);
/* For origins, of so many slots. */
void seal_open_origins(struct seal *seal, uint64_t seed, uint32_t n_slots);
/* After all connections. */
void seal_close(struct seal *seal);

/* A peer's side, over memory; the caller's to free. */
struct ssl_st *seal_client(struct seal *seal, const struct seal_manners *manners);
/* 'manners' is pinned as long as that lives. */
struct ssl_st *seal_origin(struct seal *seal, struct seal_manners *manners);
/* Its handshake is over. */
void seal_shaken(struct seal *seal, const struct ssl_st *ssl);
