/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/tls_clients.h"

#include <errno.h>

#include "core/crypto/tls_files.h"

int tls_clients_read(const char *file, struct tls_clients *clients, char why[TLS_WHY_MAX])
{
	clients->store = X509_STORE_new();
	if (!clients->store)
		return -ENOMEM;
	if (!X509_STORE_load_file(clients->store, file))
		return tls_refuse_file(why, file, "holds no certificates of authorities");
	clients->names = SSL_load_client_CA_file(file);
	return clients->names ? 0
			      : tls_refuse_file(why, file, "holds no certificates of authorities");
}

int tls_clients_share(const struct tls_clients *from, struct tls_clients *clients)
{
	clients->names = SSL_dup_CA_list(from->names);
	if (!clients->names || !X509_STORE_up_ref(from->store))
		return -ENOMEM;
	clients->store = from->store;
	return 0;
}

void tls_clients_free(struct tls_clients *clients)
{
	sk_X509_NAME_pop_free(clients->names, X509_NAME_free);
	X509_STORE_free(clients->store);
}

bool tls_clients_equal(const struct tls_clients *a, const struct tls_clients *b)
{
	return a->auth == b->auth && a->store == b->store;
}

bool tls_clients_use(const struct tls_clients *clients, SSL_CTX *ctx)
{
	STACK_OF(X509_NAME) * names;

	if (clients->auth == TLS_CLIENT_NONE)
		return true;
	/* A session would be resumed without another look at the certificate: at its end, say. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 0);
	names = SSL_dup_CA_list(clients->names);
	if (!names)
		return false;
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set1_verify_cert_store(ctx, clients->store);
	SSL_CTX_set_verify(ctx,
			   SSL_VERIFY_PEER | (clients->auth == TLS_CLIENT_REQUIRED
						      ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT
						      : 0),
			   NULL);
	return true;
}

/*
 * SSL_set_SSL_CTX() brings the certificate, the authorities and the name that sessions are bound
 * to; the rest of what tls_clients_use() sets was copied when the connection began, and stays.
 */
bool tls_clients_switch(SSL *ssl, SSL_CTX *ctx)
{
	if (SSL_set_SSL_CTX(ssl, ctx) != ctx)
		return false;
	SSL_set_verify(ssl, SSL_CTX_get_verify_mode(ctx), NULL);
	SSL_clear_options(ssl, SSL_OP_NO_TICKET);
	SSL_set_options(ssl, SSL_CTX_get_options(ctx) & SSL_OP_NO_TICKET);
	return SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(ctx));
}
