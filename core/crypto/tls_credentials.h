/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_credentials.h - what a listener shows its clients, and whom it asks for a certificate: an
 * entry for each certificate and the names that it is shown for.
 *
 * The same certificate may be in several entries, each for names of its own and with clients of
 * its own. A name that an entry was given explicitly is its own before one that only stands in a
 * certificate; and no name may belong to two entries where it would decide who is asked.
 *
 * Read once (files, keys, names), and then immutable.
 *
 * Threads: these wait for the disk: not for a worker.
 */
#pragma once

#include <stdbool.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/crypto/tls_pair.h"

struct tls_credentials;

enum tls_client_auth { TLS_CLIENT_NONE, TLS_CLIENT_OPTIONAL, TLS_CLIENT_REQUIRED };

struct tls_entry {
	struct tls_pair pair;
	const struct slice *names; /* "a.test", "*.a.test": the certificate must be for each. */
	uint32_t n_names;          /* 0: all names and addresses of the certificate. */
	const char *client_ca;     /* PEM: who may vouch for clients; NULL with TLS_CLIENT_NONE. */
	enum tls_client_auth client_auth;
};

struct tls_credentials_options {
	const struct tls_entry *entries; /* The first is shown where no other fits. */
	uint32_t n_entries;
	bool least_1_3; /* No TLS 1.2. */
	bool http1, http2;
	bool strict_names; /* A name that no entry is for ends the handshake. */
};

/* What an entry was refused for. */
enum tls_refused { TLS_REFUSED_PAIR, TLS_REFUSED_NAME, TLS_REFUSED_CLIENT_CA };

struct tls_refusal {
	enum tls_refused what;
	uint32_t entry;
	uint32_t name; /* Of TLS_REFUSED_NAME: which. */
	char why[TLS_WHY_MAX];
};

/*
 * Reads and checks all files: a key that is not its certificate's, an expired chain's first link,
 * a name that is not in the certificate or an unreadable file refuses the whole. 0; -EINVAL with
 * the place and the cause in the refusal; or -ENOMEM.
 */
GW_MUST_USE int tls_credentials_read(const struct tls_credentials_options *options,
				     struct tls_refusal *ret_refusal,
				     struct tls_credentials **ret_credentials);
void tls_credentials_free(struct tls_credentials *credentials);

/* Seconds since 1970 at which the entry's certificate expires, and the entry's first name. */
int64_t tls_credentials_expiry(const struct tls_credentials *credentials, uint32_t entry,
			       struct slice *ret_name);
uint32_t tls_credentials_entries(const struct tls_credentials *credentials);

/* Is a client that asks for this server name (empty: for none) asked for a certificate? */
bool tls_credentials_ask(const struct tls_credentials *credentials, struct slice name);

/*
 * Seal tickets with a new key from now on; those of the key before are still taken. 0, or -ENOMEM
 * and nothing has changed. By one thread, seconds apart at least.
 */
GW_MUST_USE int tls_credentials_renew_tickets(const struct tls_credentials *credentials);
