/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_credentials.h - between tls_credentials.c, which reads what tls_server.h speaks of, and
 * tls_server.c, which serves it.
 *
 * Threads: filled by one, then read by any.
 */
#pragma once

#include "core/crypto/tls_files.h"
#include "core/crypto/tls_names.h"
#include "core/crypto/tls_server.h"
#include "core/crypto/tls_tickets.h"

/* Who may vouch for clients, from one file. */
struct tls_clients {
	const char *file; /* While it is read. */
	X509_STORE *store;
	STACK_OF(X509_NAME) * names;
};

struct tls_site_read {
	struct tls_shown shown;
	char name[TLS_NAME_MAX + 1]; /* The first of its names. */
	uint8_t id[16];              /* Tells its sessions from those of the others. */
	enum tls_client_auth client_auth;
	const struct tls_clients *clients; /* NULL with TLS_CLIENT_NONE. */
};

struct tls_credentials {
	struct tls_names names;
	struct tls_clients *clients; /* Of all sites, each file once. */
	uint32_t n_clients;
	bool asks; /* Some of its sites do. */
	bool least_1_3, strict_names;
	uint8_t protocols[16]; /* As in ALPN: each with its length in front. */
	uint32_t protocols_len;
	struct tls_tickets *tickets;
	uint32_t n_sites;
	struct tls_site_read sites[];
};
