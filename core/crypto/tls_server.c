/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/tls_credentials_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/crypto/tls_server.h"

struct tls_server {
	const struct tls_credentials *credentials;
	_Atomic uint32_t n_open; /* Connections. */
	SSL_CTX *contexts[];     /* One per entry. */
};

/* --- Handshakes. ----------------------------------------------------------------------------- */

/* The host name in a client's hello (RFC 6066 3), empty if there is none or it makes no sense. */
static struct slice hello_name(SSL *ssl)
{
	enum { HEAD = 5 }; /* Length of the list, type of its only entry, length of that. */
	const unsigned char *ext;
	size_t len;

	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &len) || len < HEAD ||
	    ext[2] != TLSEXT_NAMETYPE_host_name || (size_t)(ext[3] << 8 | ext[4]) != len - HEAD)
		return SLICE("");
	return slice_make((const char *)ext + HEAD, len - HEAD);
}

static struct tls *tls_of(SSL *ssl)
{
	return BIO_get_data(SSL_get_rbio(ssl));
}

/*
 * Before anything of the handshake is decided: the certificate, and with it who is asked and whose
 * sessions count.
 */
static int choose_context(SSL *ssl, int *alert, void *arg)
{
	struct tls_server *server = arg;
	const struct tls_credentials *c = server->credentials;
	struct slice name = hello_name(ssl);
	uint32_t entry = tls_names_find(&c->names, name);

	if (entry == TLS_NO_ENTRY && name.len > 0 && c->strict_names) {
		tls_of(ssl)->failure = TLS_FAILURE_NAME;
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_CLIENT_HELLO_ERROR;
	}
	/* Also back to the first: a second hello (RFC 8446 4.1.4) may name another than the first. */
	if (!tls_clients_switch(ssl, server->contexts[entry == TLS_NO_ENTRY ? 0 : entry])) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* That the name was understood has to be said in the handshake (RFC 6066 3). */
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is OpenSSL's. */
static int take_name(SSL *ssl, int *alert, void *arg)
{
	(void)alert;
	(void)arg;
	return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) ? SSL_TLSEXT_ERR_OK
								  : SSL_TLSEXT_ERR_NOACK;
}

/* Nothing in common ends the handshake (RFC 7301 3.2), so that nobody guesses. */
static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
			   const unsigned char *offered, unsigned int len, void *arg)
{
	const struct tls_credentials *c = arg;
	unsigned char *chosen;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, ret_len, c->protocols, c->protocols_len, offered, len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* --- Contexts. ------------------------------------------------------------------------------- */

static bool set_entry(SSL_CTX *ctx, const struct tls_known_entry *entry)
{
	return tls_shown_use(&entry->shown, ctx) && tls_clients_use(&entry->clients, ctx) &&
	       SSL_CTX_set_session_id_context(ctx, entry->id, sizeof(entry->id));
}

static bool set_defaults(SSL_CTX *ctx, const struct tls_credentials *c)
{
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* Tickets do without. */
	SSL_CTX_set_max_early_data(ctx, 0);
	return tls_set_policy(ctx, c->least_1_3) && tls_tickets_use(c->tickets, ctx);
}

static SSL_CTX *make_context(struct tls_server *server, const struct tls_known_entry *entry)
{
	const struct tls_credentials *c = server->credentials;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx)
		return NULL;
	if (!set_defaults(ctx, c) || !set_entry(ctx, entry)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_client_hello_cb(ctx, choose_context, server);
	SSL_CTX_set_tlsext_servername_callback(ctx, take_name);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, (void *)(uintptr_t)c);
	return ctx;
}

int tls_server_create(const struct tls_credentials *c, struct tls_server **ret_server)
{
	struct tls_server *server =
		calloc(1, sizeof(*server) + c->n_entries * sizeof(server->contexts[0]));

	if (!server)
		return -ENOMEM;
	server->credentials = c;
	for (uint32_t i = 0; i < c->n_entries; i++) {
		server->contexts[i] = make_context(server, &c->entries[i]);
		if (!server->contexts[i]) {
			ERR_clear_error();
			tls_server_free(server);
			return -ENOMEM;
		}
	}
	*ret_server = server;
	return 0;
}

void tls_server_free(struct tls_server *server)
{
	if (!server)
		return;
	GW_ASSERT(!tls_server_is_busy(server));
	for (uint32_t i = 0; i < server->credentials->n_entries; i++)
		SSL_CTX_free(server->contexts[i]);
	free(server);
}

SSL_CTX *tls_server_begin(struct tls_server *server)
{
	atomic_fetch_add_explicit(&server->n_open, 1, memory_order_relaxed);
	return server->contexts[0];
}

/* --- Whose requests. ------------------------------------------------------------------------- */

static uint32_t shown_entry(const struct tls *t)
{
	const struct tls_server *server = t->server;

	for (uint32_t i = 0; i < server->credentials->n_entries; i++)
		if (server->contexts[i] == SSL_get_SSL_CTX(t->ssl))
			return i;
	GW_UNREACHABLE();
}

/* An address is no name: it is looked for among the certificate's addresses. */
static bool covers_address(const struct tls_known_entry *entry, struct slice host)
{
	bool bracketed = host.len > 1 && host.ptr[0] == '[';
	char text[TLS_NAME_MAX + 1];
	int r;

	host = bracketed ? slice_make(host.ptr + 1, host.len - 2) : host;
	if (entry->narrowed || host.len > TLS_NAME_MAX)
		return false;
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	r = X509_check_ip_asc(entry->shown.cert, text, 0);
	ERR_clear_error();
	return r == 1;
}

static bool covers(const struct tls_credentials *c, uint32_t entry, struct slice host)
{
	return tls_names_cover(&c->names, entry, host) || covers_address(&c->entries[entry], host);
}

/*
 * Would a client that means this host have been asked the same? It would have named the host, and
 * got the host's entry; the first one, where a host has none: a name that nobody knows, an address,
 * which no hello names (RFC 6066 3), or none at all.
 */
static bool is_asked_alike(const struct tls_credentials *c, uint32_t shown, struct slice host)
{
	const struct tls_clients *clients = &c->entries[shown].clients;
	uint32_t own = tls_names_find(&c->names, host);

	if (own == shown)
		return true;
	if (own == TLS_NO_ENTRY)
		return shown == 0 || tls_clients_equal(clients, &c->entries[0].clients);
	return clients->auth == TLS_CLIENT_NONE && c->entries[own].clients.auth == TLS_CLIENT_NONE;
}

bool tls_serves(const struct tls *t, struct slice host)
{
	const struct tls_credentials *c = t->server->credentials;
	uint32_t shown;
	bool bound;

	if (!c->asks && !c->strict_names)
		return true;
	shown = shown_entry(t);
	bound = c->strict_names || c->entries[shown].clients.auth != TLS_CLIENT_NONE;
	if (bound && host.len > 0 && !covers(c, shown, host))
		return false;
	return is_asked_alike(c, shown, host);
}

/* Released, so that whoever sees it may free what the connection has used. */
void tls_server_end(struct tls_server *server)
{
	atomic_fetch_sub_explicit(&server->n_open, 1, memory_order_release);
}

bool tls_server_is_busy(const struct tls_server *server)
{
	return atomic_load_explicit(&server->n_open, memory_order_acquire) > 0;
}
