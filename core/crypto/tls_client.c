/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/tls_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/crypto/tls_client.h"
#include "core/crypto/tls_files.h"

enum { SESSION_S = 3600 };

struct tls_trust {
	X509_STORE *store; /* NULL: unverified. */
	struct tls_shown shown;
	bool shows, least_1_3;
	bool empty; /* The store. */
};

/* The last session of one peer. */
struct kept {
	SSL_SESSION *session; /* NULL: none. */
	int64_t until_s;      /* Good until then, in seconds since 1970. */
	uint32_t turn;        /* How many names this slot has had. */
	uint8_t name_len;
	char name[TLS_PEER_NAME_MAX];
};

struct tls_client {
	SSL_CTX *ctx;
	_Atomic uint32_t n_open; /* Connections. */
	uint32_t n_kept;
	struct kept kept[];
};

/* --- Reading. -------------------------------------------------------------------------------- */

/* Where systems keep all authorities that they trust in one file. */
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

/*
 * The system's store as one file: what OpenSSL would look into (SSL_CERT_FILE first), or what is
 * usual. Never its folder, in which it would look for files while a worker shakes hands.
 */
static const char *system_file(void)
{
	const char *named = getenv(X509_get_default_cert_file_env());

	if (named)
		return named;
	if (access(X509_get_default_cert_file(), R_OK) == 0)
		return X509_get_default_cert_file();
	for (size_t i = 0; i < ARRAY_SIZE(bundles); i++)
		if (access(bundles[i], R_OK) == 0)
			return bundles[i];
	return bundles[0];
}

static int read_store(const struct tls_trust_options *opt, struct tls_trust *trust,
		      char why[TLS_WHY_MAX])
{
	const char *file = opt->ca_file ? opt->ca_file : system_file();

	trust->store = X509_STORE_new();
	if (!trust->store)
		return -ENOMEM;
	trust->empty = !X509_STORE_load_file(trust->store, file);
	if (trust->empty && (opt->ca_file || !opt->may_be_empty))
		return tls_refuse_file(why, file, "holds no certificates of authorities");
	return 0;
}

int tls_trust_read(const struct tls_trust_options *opt, char why[TLS_WHY_MAX],
		   struct tls_trust **ret_trust)
{
	struct tls_trust *trust = calloc(1, sizeof(*trust));
	int r;

	if (!trust)
		return -ENOMEM;
	trust->least_1_3 = opt->least_1_3;
	trust->shows = opt->pair;
	r = tls_init();
	if (r == 0 && !opt->unverified)
		r = read_store(opt, trust, why);
	if (r == 0 && opt->pair)
		r = tls_shown_read(opt->pair, &trust->shown, why);
	ERR_clear_error();
	if (r == 0)
		*ret_trust = trust;
	else
		tls_trust_free(trust);
	return r;
}

void tls_trust_free(struct tls_trust *trust)
{
	if (!trust)
		return;
	X509_STORE_free(trust->store);
	tls_shown_free(&trust->shown);
	free(trust);
}

int64_t tls_trust_expiry(const struct tls_trust *trust)
{
	return trust->shown.expiry;
}

bool tls_trust_verifies(const struct tls_trust *trust)
{
	return trust->store;
}

bool tls_trust_is_empty(const struct tls_trust *trust)
{
	return trust->store && trust->empty;
}

/* --- Sessions. ------------------------------------------------------------------------------- */

static void forget(struct kept *kept)
{
	SSL_SESSION_free(kept->session);
	kept->session = NULL;
}

/* The slot of a peer, which has this name from now on. */
static struct kept *kept_of(const struct tls_peer *peer)
{
	struct tls_client *client = peer->client;
	struct kept *kept;

	GW_ASSERT(peer->slot < client->n_kept);
	GW_ASSERT(peer->name.len > 0 && peer->name.len <= TLS_PEER_NAME_MAX);
	kept = &client->kept[peer->slot];
	if (slice_eq(slice_make(kept->name, kept->name_len), peer->name))
		return kept;
	forget(kept);
	memcpy(kept->name, peer->name.ptr, peer->name.len);
	kept->name_len = (uint8_t)peer->name.len;
	kept->turn++;
	return kept;
}

/* The first end of any certificate that was believed in. */
static int64_t chain_expiry(const SSL *ssl)
{
	const STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	int64_t first = INT64_MAX;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		int64_t one = tls_seconds_of(X509_get0_notAfter(sk_X509_value(chain, i)));

		first = one < first ? one : first;
	}
	return first;
}

static int64_t good_until(const struct tls *t)
{
	int64_t hour = (int64_t)time(NULL) + SESSION_S, chain;

	if (SSL_session_reused(t->ssl)) /* Nothing was verified anew. */
		return t->until_s;
	chain = chain_expiry(t->ssl);
	return chain < hour ? chain : hour;
}

/* 1: taken. The latest one counts, unless the peer's slot has another's name by now. */
static int new_session(SSL *ssl, SSL_SESSION *session)
{
	const struct tls *t = BIO_get_data(SSL_get_rbio(ssl));
	struct kept *kept = &t->client->kept[t->peer];

	if (kept->turn != t->peer_turn)
		return 0;
	forget(kept);
	kept->session = session;
	kept->until_s = good_until(t);
	return 1;
}

void tls_client_forget(const struct tls *t)
{
	struct kept *kept = &t->client->kept[t->peer];

	if (kept->turn == t->peer_turn)
		forget(kept);
}

/* --- Connections. ---------------------------------------------------------------------------- */

/* Whose certificate it must be: an address's, or a name's, which is also asked for. */
static bool set_name(SSL *ssl, struct slice name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	char text[TLS_PEER_NAME_MAX + 1];

	memcpy(text, name.ptr, name.len);
	text[name.len] = '\0';
	if (X509_VERIFY_PARAM_set1_ip_asc(param, text))
		return true;
	ERR_clear_error();
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
						       X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(param, text, name.len) &&
	       SSL_set_tlsext_host_name(ssl, text);
}

static bool set_protocol(SSL *ssl, enum tls_protocol protocol)
{
	static const struct slice names[] = {
		[TLS_PROTOCOL_HTTP1] = SLICE_INIT("\10http/1.1"),
		[TLS_PROTOCOL_HTTP2] = SLICE_INIT("\2h2"),
	};
	struct slice name = names[protocol];

	return SSL_set_alpn_protos(ssl, (const unsigned char *)name.ptr, (unsigned int)name.len) ==
	       0; /* Of all its functions this one says 0 when it is done. */
}

/* What was kept of the peer, if it is still good. */
static bool set_session(SSL *ssl, struct kept *kept, struct tls *t)
{
	if (kept->session && kept->until_s <= (int64_t)time(NULL))
		forget(kept);
	if (!kept->session)
		return true;
	t->until_s = kept->until_s;
	return SSL_set_session(ssl, kept->session);
}

SSL *tls_client_begin(const struct tls_peer *peer, struct tls *t)
{
	struct tls_client *client = peer->client;
	struct kept *kept = kept_of(peer);
	SSL *ssl = SSL_new(client->ctx);

	atomic_fetch_add_explicit(&client->n_open, 1, memory_order_relaxed);
	t->client = client;
	t->peer = peer->slot;
	t->peer_turn = kept->turn;
	if (ssl && set_name(ssl, peer->name) && set_protocol(ssl, peer->protocol) &&
	    set_session(ssl, kept, t)) {
		SSL_set_connect_state(ssl);
		return ssl;
	}
	SSL_free(ssl);
	return NULL;
}

/* Released, so that whoever sees it may free what the connection has used. */
void tls_client_end(struct tls_client *client)
{
	atomic_fetch_sub_explicit(&client->n_open, 1, memory_order_release);
}

bool tls_client_is_busy(const struct tls_client *client)
{
	return atomic_load_explicit(&client->n_open, memory_order_acquire) > 0;
}

/* --- Contexts. ------------------------------------------------------------------------------- */

static SSL_CTX *make_context(const struct tls_trust *trust)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx)
		return NULL;
	if (!tls_set_policy(ctx, trust->least_1_3) ||
	    (trust->shows && !tls_shown_use(&trust->shown, ctx))) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	if (trust->store)
		SSL_CTX_set1_cert_store(ctx, trust->store);
	SSL_CTX_set_verify(ctx, trust->store ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, new_session);
	return ctx;
}

int tls_client_create(const struct tls_trust *trust, uint32_t n_peers,
		      struct tls_client **ret_client)
{
	struct tls_client *client = calloc(1, sizeof(*client) + n_peers * sizeof(client->kept[0]));

	if (!client)
		return -ENOMEM;
	client->n_kept = n_peers;
	client->ctx = make_context(trust);
	if (!client->ctx) {
		ERR_clear_error();
		tls_client_free(client);
		return -ENOMEM;
	}
	*ret_client = client;
	return 0;
}

void tls_client_free(struct tls_client *client)
{
	if (!client)
		return;
	GW_ASSERT(!tls_client_is_busy(client));
	for (uint32_t i = 0; i < client->n_kept; i++)
		forget(&client->kept[i]);
	SSL_CTX_free(client->ctx);
	free(client);
}
