/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - a server of ours and OpenSSL's client, over memory. */
#pragma once

#include "tests/unit/core/crypto/crypto_test.h"

#include "core/crypto/tls_server.h"

enum { ROOM = 40000 };

/* The client side, and how many bytes at a time get across. */
struct wire {
	struct tls_credentials *credentials;
	struct tls_server *server;
	SSL_CTX *client_ctx;
	SSL *client;
	BIO *to_client, *from_client;
	struct tls tls;
	uint8_t room[ROOM];
	uint8_t lent[ROOM]; /* What the server was given last. */
	uint32_t piece;
	int client_result; /* Of its handshake: 1, or an SSL_ERROR_*. */
};

struct tls_entry entry_of(const struct ct_cert *cert);
/* Clients who show what this one vouches for. */
void ask(struct tls_entry *entry, const struct ct_cert *authority, enum tls_client_auth auth);
struct tls_credentials_options options(const struct tls_entry *entries, uint32_t n);
/* A server, and what its clients have in common; then a client for this name, or none. */
void serve(struct wire *w, const struct tls_credentials_options *opt);
void dial(struct wire *w, const char *name);
/* Have the client show a certificate when it is asked. */
void show(struct wire *w, const struct ct_cert *cert);
void hang_up(struct wire *w);
void close_wire(struct wire *w);

void carry_out(struct wire *w);
/* The next piece of what the client has sent; false when there is none. */
bool carry_in(struct wire *w);
/* Until neither side can go on; the server's last word. */
int shake(struct wire *w);
/* The common name of the certificate that the client was shown. */
const char *shown_name(const struct wire *w, char text[80]);
/* One handshake whose session the client keeps, then one with it; was it resumed? */
bool resumes(struct wire *w, struct tls_server *second, const char *first_name,
	     const char *second_name);
