/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/tls_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/crypto/tls_files.h"
#include "core/crypto/tls_names.h"
#include "core/crypto/tls_server.h"
#include "core/crypto/tls_tickets.h"

struct pair {
	struct tls_shown shown;
	char name[TLS_NAME_MAX + 1]; /* The first of its names. */
	uint8_t id[16];              /* Tells its sessions from those of the others. */
};

struct tls_credentials {
	struct tls_names names;
	STACK_OF(X509_NAME) * client_names;
	X509_STORE *client_store;
	enum tls_client_auth client_auth;
	bool least_1_3, strict_names;
	uint8_t protocols[16]; /* As in ALPN: each with its length in front. */
	uint32_t protocols_len;
	struct tls_tickets *tickets;
	uint32_t n_pairs;
	struct pair pairs[];
};

struct tls_server {
	const struct tls_credentials *credentials;
	_Atomic uint32_t n_open; /* Connections. */
	SSL_CTX *contexts[];     /* One per pair. */
};

/* --- Reading. -------------------------------------------------------------------------------- */

static int read_pair(const struct tls_pair *from, struct tls_credentials *c, char why[TLS_WHY_MAX])
{
	struct pair *pair = &c->pairs[c->n_pairs];
	unsigned char digest[EVP_MAX_MD_SIZE];
	int r;

	c->n_pairs++; /* What was read of it is freed with the rest. */
	r = tls_shown_read(from, &pair->shown, why);
	if (r < 0)
		return r;
	if (!X509_digest(pair->shown.cert, EVP_sha256(), digest, NULL))
		return -ENOMEM;
	memcpy(pair->id, digest, sizeof(pair->id));
	r = tls_names_add(&c->names, pair->shown.cert, c->n_pairs - 1, pair->name);
	return r == -EINVAL ? tls_refuse_file(why, from->cert_file, "has a name that is none") : r;
}

static int read_client_ca(const char *file, struct tls_credentials *c, char why[TLS_WHY_MAX])
{
	c->client_store = X509_STORE_new();
	if (!c->client_store)
		return -ENOMEM;
	if (!X509_STORE_load_file(c->client_store, file))
		return tls_refuse_file(why, file, "holds no certificates of authorities");
	c->client_names = SSL_load_client_CA_file(file);
	return c->client_names ? 0
			       : tls_refuse_file(why, file, "holds no certificates of authorities");
}

static void add_protocol(struct tls_credentials *c, const char *name)
{
	size_t len = strlen(name);

	c->protocols[c->protocols_len] = (uint8_t)len;
	memcpy(c->protocols + c->protocols_len + 1, name, len);
	c->protocols_len += 1 + (uint32_t)len;
}

static int fill(struct tls_credentials *c, const struct tls_credentials_options *opt,
		char why[TLS_WHY_MAX])
{
	int r = 0;

	c->client_auth = opt->client_auth;
	c->least_1_3 = opt->least_1_3;
	c->strict_names = opt->strict_names;
	if (opt->http2)
		add_protocol(c, "h2");
	if (opt->http1)
		add_protocol(c, "http/1.1");
	r = tls_tickets_create(&c->tickets);
	for (uint32_t i = 0; r == 0 && i < opt->n_pairs; i++)
		r = read_pair(&opt->pairs[i], c, why);
	if (r == 0 && opt->client_auth != TLS_CLIENT_NONE)
		r = read_client_ca(opt->client_ca, c, why);
	return r;
}

int tls_credentials_read(const struct tls_credentials_options *opt, char why[TLS_WHY_MAX],
			 struct tls_credentials **ret_credentials)
{
	struct tls_credentials *c = calloc(1, sizeof(*c) + opt->n_pairs * sizeof(c->pairs[0]));
	int r;

	GW_ASSERT(opt->n_pairs > 0 && (opt->http1 || opt->http2));
	if (!c)
		return -ENOMEM;
	r = tls_init();
	if (r == 0)
		r = fill(c, opt, why);
	ERR_clear_error();
	if (r == 0)
		*ret_credentials = c;
	else
		tls_credentials_free(c);
	return r;
}

void tls_credentials_free(struct tls_credentials *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->n_pairs; i++)
		tls_shown_free(&c->pairs[i].shown);
	sk_X509_NAME_pop_free(c->client_names, X509_NAME_free);
	X509_STORE_free(c->client_store);
	tls_names_free(&c->names);
	tls_tickets_free(c->tickets);
	free(c);
}

int tls_credentials_renew_tickets(const struct tls_credentials *c)
{
	return tls_tickets_renew(c->tickets);
}

uint32_t tls_credentials_pairs(const struct tls_credentials *c)
{
	return c->n_pairs;
}

int64_t tls_credentials_expiry(const struct tls_credentials *c, uint32_t pair,
			       struct slice *ret_name)
{
	GW_ASSERT(pair < c->n_pairs);
	*ret_name = slice_of(c->pairs[pair].name);
	return c->pairs[pair].shown.expiry;
}

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

/* Before anything of the handshake is decided: the certificate, and with it whose sessions count. */
static int choose_context(SSL *ssl, int *alert, void *arg)
{
	struct tls_server *server = arg;
	const struct tls_credentials *c = server->credentials;
	struct slice name = hello_name(ssl);
	uint32_t pair = tls_names_find(&c->names, name);

	if (pair == TLS_NO_PAIR && name.len > 0 && c->strict_names) {
		tls_of(ssl)->failure = TLS_FAILURE_NAME;
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_CLIENT_HELLO_ERROR;
	}
	if (pair != TLS_NO_PAIR && pair != 0)
		SSL_set_SSL_CTX(ssl, server->contexts[pair]);
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

static bool set_pair(SSL_CTX *ctx, const struct pair *pair)
{
	return tls_shown_use(&pair->shown, ctx) &&
	       SSL_CTX_set_session_id_context(ctx, pair->id, sizeof(pair->id));
}

static bool set_clients(SSL_CTX *ctx, const struct tls_credentials *c)
{
	STACK_OF(X509_NAME) * names;

	if (c->client_auth == TLS_CLIENT_NONE)
		return true;
	/* A session would be resumed without another look at the certificate: at its end, say. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 0);
	names = SSL_dup_CA_list(c->client_names);
	if (!names)
		return false;
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set1_verify_cert_store(ctx, c->client_store);
	SSL_CTX_set_verify(ctx,
			   SSL_VERIFY_PEER | (c->client_auth == TLS_CLIENT_REQUIRED
						      ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT
						      : 0),
			   NULL);
	return true;
}

static bool set_defaults(SSL_CTX *ctx, const struct tls_credentials *c)
{
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* Tickets do without. */
	SSL_CTX_set_max_early_data(ctx, 0);
	return tls_set_policy(ctx, c->least_1_3) && tls_tickets_use(c->tickets, ctx);
}

static SSL_CTX *make_context(struct tls_server *server, const struct pair *pair)
{
	const struct tls_credentials *c = server->credentials;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx)
		return NULL;
	if (!set_defaults(ctx, c) || !set_pair(ctx, pair) || !set_clients(ctx, c)) {
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
		calloc(1, sizeof(*server) + c->n_pairs * sizeof(server->contexts[0]));

	if (!server)
		return -ENOMEM;
	server->credentials = c;
	for (uint32_t i = 0; i < c->n_pairs; i++) {
		server->contexts[i] = make_context(server, &c->pairs[i]);
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
	for (uint32_t i = 0; i < server->credentials->n_pairs; i++)
		SSL_CTX_free(server->contexts[i]);
	free(server);
}

SSL_CTX *tls_server_begin(struct tls_server *server)
{
	atomic_fetch_add_explicit(&server->n_open, 1, memory_order_relaxed);
	return server->contexts[0];
}

static uint32_t shown_pair(const struct tls *t)
{
	const struct tls_server *server = t->server;

	for (uint32_t i = 0; i < server->credentials->n_pairs; i++)
		if (server->contexts[i] == SSL_get_SSL_CTX(t->ssl))
			return i;
	GW_UNREACHABLE();
}

/* An address is no name: it is looked for among the certificate's addresses. */
static bool covers_address(const struct pair *pair, struct slice host)
{
	bool bracketed = host.len > 1 && host.ptr[0] == '[';
	char text[TLS_NAME_MAX + 1];
	int r;

	host = bracketed ? slice_make(host.ptr + 1, host.len - 2) : host;
	if (host.len > TLS_NAME_MAX)
		return false;
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	r = X509_check_ip_asc(pair->shown.cert, text, 0);
	ERR_clear_error();
	return r == 1;
}

bool tls_serves(const struct tls *t, struct slice host)
{
	const struct tls_credentials *c = t->server->credentials;
	uint32_t pair;

	if (c->client_auth == TLS_CLIENT_NONE && !c->strict_names)
		return true;
	pair = shown_pair(t);
	return tls_names_cover(&c->names, pair, host) || covers_address(&c->pairs[pair], host);
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
