/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and random bytes that are the same each time. */
#define OPENSSL_SUPPRESS_DEPRECATED /* OpenSSL 3.0 knows no other way to choose random bytes. */
#include <openssl/rand.h>
#include <openssl/ssl.h> /* Before base/banned.h. */
#include <openssl/x509v3.h>

#include "tests/sim/seal.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/rng.h"
#include "core/base/slice.h"
#include "core/crypto/tls_client.h"
#include "core/crypto/tls_credentials.h"
#include "core/crypto/tls_server.h"

/* --- Random bytes. --------------------------------------------------------------------------- */

static struct rng chance;

static int some_bytes(unsigned char *to, int len)
{
	for (int i = 0; i < len; i++)
		to[i] = (unsigned char)rng_next(&chance);
	return 1;
}

static int has_chance(void)
{
	return 1;
}

static const RAND_METHOD seeded = {
	.bytes = some_bytes,
	.pseudorand = some_bytes,
	.status = has_chance,
};

/* --- Certificates. --------------------------------------------------------------------------- */

/* Keys that everybody may know. */
static EVP_PKEY *make_key(const char *secret)
{
	unsigned char bytes[32] = { 0 };
	EVP_PKEY *key;

	memcpy(bytes, secret, strnlen(secret, sizeof(bytes)));
	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, bytes, sizeof(bytes));
	GW_ASSERT(key);
	return key;
}

struct draft {
	const char *name, *issuer; /* Common names. */
	int extension;             /* Its number of OpenSSL's, */
	const char *value;         /* or NULL: none. */
	const char *until;
};

static void name_it(X509_NAME *name, const char *text)
{
	GW_ASSERT(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)text,
					     -1, -1, 0));
}

static void extend(X509 *x, int number, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, number, value);

	GW_ASSERT(extension && X509_add_ext(x, extension, -1));
	X509_EXTENSION_free(extension);
}

static X509 *make_cert(const struct draft *draft, EVP_PKEY *key, EVP_PKEY *signer)
{
	X509 *x = X509_new();

	GW_ASSERT(x && X509_set_version(x, X509_VERSION_3) && X509_set_pubkey(x, key));
	GW_ASSERT(ASN1_INTEGER_set(X509_get_serialNumber(x), 1));
	GW_ASSERT(ASN1_TIME_set_string_X509(X509_getm_notBefore(x), "20000101000000Z"));
	GW_ASSERT(ASN1_TIME_set_string_X509(X509_getm_notAfter(x), draft->until));
	name_it(X509_get_subject_name(x), draft->name);
	name_it(X509_get_issuer_name(x), draft->issuer);
	if (draft->value)
		extend(x, draft->extension, draft->value);
	GW_ASSERT(X509_sign(x, signer, NULL) > 0);
	return x;
}

/* In a file without a name, which stays as long as the process. The key if there is one. */
static void make_file(const X509 *x, const EVP_PKEY *key, char path[64])
{
	int file = memfd_create("seal", MFD_CLOEXEC);
	BIO *bio = BIO_new_fd(file, BIO_NOCLOSE);

	GW_ASSERT(file >= 0 && bio && PEM_write_bio_X509(bio, x));
	GW_ASSERT(!key || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
	BIO_free(bio);
	(void)snprintf(path, 64, "/proc/self/fd/%d", file);
}

/* What all worlds of a process share. */
static struct {
	char pair[64]; /* The gateway's certificate and key. */
	struct tls_trust *trust;
	EVP_PKEY *key; /* The origins'. */
	X509 *certs[SEAL_N_KINDS];
} made;

static void make_pair(void)
{
	static const struct draft site = { "site.test", "site.test", 0, NULL, "21000101000000Z" };
	EVP_PKEY *key = make_key("a key that everybody may know");
	X509 *x = make_cert(&site, key, key);

	make_file(x, key, made.pair);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void make_trust(EVP_PKEY *signer)
{
	static const struct draft authority = { "authority", "authority", NID_basic_constraints,
						"critical,CA:TRUE", "21000101000000Z" };
	X509 *x = make_cert(&authority, signer, signer);
	char path[64], why[TLS_WHY_MAX];

	make_file(x, NULL, path);
	GW_ASSERT(tls_trust_read(&(struct tls_trust_options){ .ca_file = path }, why,
				 &made.trust) == 0);
	X509_free(x);
}

/* All that world.c calls its origins. */
#define NAMES "DNS:origin.test,DNS:other.test,IP:10.0.0.1,IP:10.0.0.2,IP:10.0.0.3"

static void make_certs(EVP_PKEY *signer)
{
	static const struct draft good = { "origin", "authority", NID_subject_alt_name, NAMES,
					   "21000101000000Z" };
	static const struct draft elsewhere = {
		"origin.test", "authority", NID_subject_alt_name,
		"DNS:elsewhere.test,DNS:origin.test.elsewhere,IP:10.0.0.9", "21000101000000Z"
	};
	static const struct draft expired = { "origin", "authority", NID_subject_alt_name, NAMES,
					      "20010101000000Z" };
	static const struct draft *const drafts[SEAL_N_KINDS] = {
		[SEAL_GOOD] = &good,     [SEAL_ELSEWHERE] = &elsewhere, [SEAL_EXPIRED] = &expired,
		[SEAL_STRANGER] = &good, [SEAL_CURIOUS] = &good,
	};
	EVP_PKEY *stranger = make_key("a key that nobody trusts");

	made.key = make_key("a key of all origins");
	for (int i = 0; i < SEAL_N_KINDS; i++)
		made.certs[i] =
			make_cert(drafts[i], made.key, i == SEAL_STRANGER ? stranger : signer);
	EVP_PKEY_free(stranger);
}

/* Once, and before a seed counts: it may need random bytes. */
static void make_all(void)
{
	EVP_PKEY *signer;

	if (made.trust)
		return;
	RAND_set_rand_method(&seeded);
	signer = make_key("the key of an authority");
	make_pair();
	make_trust(signer);
	make_certs(signer);
	EVP_PKEY_free(signer);
}

/* --- A world's. ------------------------------------------------------------------------------ */

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct seal *seal = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	SSL_SESSION_free(seal->session);
	seal->session = session;
	return 1; /* It is ours now. */
}

static void make_server(struct seal *seal, bool h2)
{
	struct tls_entry entry = { .pair = { made.pair, made.pair } };
	struct tls_refusal refusal;

	GW_ASSERT(tls_credentials_read(
			  &(struct tls_credentials_options){
				  .entries = &entry, .n_entries = 1, .http1 = true, .http2 = h2 },
			  &refusal, &seal->credentials) == 0);
	GW_ASSERT(tls_server_create(seal->credentials, &seal->server) == 0);
}

static void begin(struct seal *seal, uint64_t seed)
{
	make_all();
	*seal = (struct seal){ 0 };
	list_init(&seal->left);
	rng_seed(&chance, seed);
}

void seal_open(struct seal *seal, uint64_t seed, bool h2)
{
	begin(seal, seed);
	make_server(seal, h2);
	seal->clients = SSL_CTX_new(TLS_client_method());
	GW_ASSERT(seal->clients && SSL_CTX_set_app_data(seal->clients, seal));
	SSL_CTX_set_session_cache_mode(seal->clients,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(seal->clients, keep_session);
}

void seal_open_origins(struct seal *seal, uint64_t seed, uint32_t n_slots)
{
	begin(seal, seed);
	for (int i = 0; i < SEAL_CALLERS; i++)
		GW_ASSERT(tls_client_create(made.trust, n_slots, &seal->callers[i]) == 0);
}

void seal_close(struct seal *seal)
{
	SSL_SESSION_free(seal->session);
	SSL_CTX_free(seal->clients);
	for (int i = 0; i < SEAL_N_KINDS; i++)
		SSL_CTX_free(seal->origins[i]);
	for (int i = 0; i < SEAL_CALLERS; i++)
		tls_client_free(seal->callers[i]);
	tls_server_free(seal->server);
	tls_credentials_free(seal->credentials);
}

/* --- A connection's. ------------------------------------------------------------------------- */

static const struct slice h1_name = SLICE_INIT("\x08http/1.1"), h2_name = SLICE_INIT("\x02h2");

static SSL *make_side(SSL_CTX *ctx, const struct seal_manners *m)
{
	SSL *ssl = SSL_new(ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	GW_ASSERT(ssl && in && out);
	SSL_set_bio(ssl, in, out);
	SSL_set_max_proto_version(ssl, m->old ? TLS1_2_VERSION : TLS1_3_VERSION);
	return ssl;
}

SSL *seal_client(struct seal *seal, const struct seal_manners *m)
{
	struct slice name = m->h2 ? h2_name : h1_name;
	SSL *ssl = make_side(seal->clients, m);

	SSL_set_connect_state(ssl);
	GW_ASSERT(SSL_set_alpn_protos(ssl, (const unsigned char *)name.ptr,
				      (unsigned int)name.len) == 0);
	if (m->resumes && seal->session &&
	    SSL_SESSION_get_protocol_version(seal->session) <=
		    (m->old ? TLS1_2_VERSION : TLS1_3_VERSION))
		GW_ASSERT(SSL_set_session(ssl, seal->session));
	return ssl;
}

/* The gateway offers one protocol, that of the service. */
static int choose(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_len,
		  const unsigned char *offered, unsigned int len, void *arg)
{
	const struct seal_manners *m = SSL_get_app_data(ssl);

	(void)arg;
	GW_ASSERT(slice_eq(slice_make((const char *)offered, len), m->h2 ? h2_name : h1_name));
	*ret_name = offered + 1;
	*ret_len = offered[0];
	return m->choice == SEAL_CHOOSES        ? SSL_TLSEXT_ERR_OK
	       : m->choice == SEAL_CHOOSES_NONE ? SSL_TLSEXT_ERR_NOACK
						: SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Each has keys of its own for tickets: what the good one gave is nothing to another. */
static SSL_CTX *origin_context(struct seal *seal, enum seal_kind kind)
{
	SSL_CTX *ctx = seal->origins[kind];

	if (ctx)
		return ctx;
	ctx = SSL_CTX_new(TLS_server_method());
	GW_ASSERT(ctx && SSL_CTX_use_certificate(ctx, made.certs[kind]) == 1);
	GW_ASSERT(SSL_CTX_use_PrivateKey(ctx, made.key) == 1);
	SSL_CTX_set_alpn_select_cb(ctx, choose, NULL);
	if (kind == SEAL_CURIOUS)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	GW_ASSERT(SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"o", 1));
	seal->origins[kind] = ctx;
	return ctx;
}

SSL *seal_origin(struct seal *seal, struct seal_manners *m)
{
	SSL *ssl = make_side(origin_context(seal, m->kind), m);

	SSL_set_accept_state(ssl);
	SSL_set_app_data(ssl, m);
	if (m->asks_again)
		GW_ASSERT(SSL_set1_groups_list(ssl, "P-256"));
	if (!m->resumes) {
		SSL_set_options(ssl, SSL_OP_NO_TICKET);
		GW_ASSERT(SSL_set_num_tickets(ssl, 0));
	}
	return ssl;
}

void seal_shaken(struct seal *seal, const SSL *ssl)
{
	seal->n_shaken++;
	seal->n_resumed += SSL_session_reused(ssl) == 1;
	seal->n_old += SSL_version(ssl) == TLS1_2_VERSION;
}
