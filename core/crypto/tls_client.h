/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_client.h - whom we believe at the other end of a connection that we make, and who we say
 * that we are.
 *
 * A trust is read once (authorities, our certificate) and is then immutable; each
 * worker makes a client of its own out of it, for the reasons of tls_server.h. A
 * client keeps the last session of each peer, so that the next connection to it
 * begins with a short handshake. A session is used only for the name that it was
 * made under, and only for an hour, or until the first certificate of the chain
 * that was verified for it expires: resuming looks at no certificate.
 *
 * A name is compared with a certificate's DNS names by their lengths, an address
 * with its IP addresses (RFC 9525 6; the common name counts for nothing, RFC 9110
 * 4.3.4).
 *
 * Threads: tls_trust_*() wait for the disk: not for a worker. A client belongs to
 * one worker, but is made and freed by another thread; a trust outlives all its
 * clients.
 */
#pragma once

#include "core/crypto/tls.h"
#include "core/crypto/tls_pair.h"

struct tls_trust;
struct tls_client;

struct tls_trust_options {
	const char *ca_file; /* PEM: who may vouch for peers; NULL: whom the system trusts. */
	const struct tls_pair *pair; /* What we show where a peer asks; NULL: nothing. */
	bool least_1_3;              /* No TLS 1.2. */
	bool unverified;             /* Whoever answers is believed. */
	bool may_be_empty; /* Without 'ca_file': a system without authorities is no error. */
};

/* 0; -EINVAL with the file and the cause in why[]; or -ENOMEM. */
GW_MUST_USE int tls_trust_read(const struct tls_trust_options *options, char why[TLS_WHY_MAX],
			       struct tls_trust **ret_trust);
void tls_trust_free(struct tls_trust *trust);

/* When our certificate expires, in seconds since 1970; 0 when we show none. */
int64_t tls_trust_expiry(const struct tls_trust *trust);
bool tls_trust_verifies(const struct tls_trust *trust);
/* It verifies, and knows no authority: no peer can pass. */
bool tls_trust_is_empty(const struct tls_trust *trust);

/* A worker's own, for peers of so many slots. 0 or -ENOMEM. */
GW_MUST_USE int tls_client_create(const struct tls_trust *trust, uint32_t n_peers,
				  struct tls_client **ret_client);

/* As tls_server_is_busy(). */
bool tls_client_is_busy(const struct tls_client *client);

/* Not while it is busy. */
void tls_client_free(struct tls_client *client);
