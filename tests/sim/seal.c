/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and random bytes that are the same each time. */
#define OPENSSL_SUPPRESS_DEPRECATED /* OpenSSL 3.0 knows no other way to choose random bytes. */
#include <openssl/rand.h>
#include <openssl/ssl.h> /* Before base/banned.h. */
#include <openssl/x509.h>

#include "tests/sim/seal.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/rng.h"
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

/* --- The certificate. ------------------------------------------------------------------------ */

static X509 *make_cert(EVP_PKEY *key)
{
	static const unsigned char name[] = "site.test";
	X509 *x = X509_new();

	GW_ASSERT(x && X509_set_version(x, X509_VERSION_3) && X509_set_pubkey(x, key));
	GW_ASSERT(ASN1_INTEGER_set(X509_get_serialNumber(x), 1));
	GW_ASSERT(ASN1_TIME_set_string_X509(X509_getm_notBefore(x), "20000101000000Z"));
	GW_ASSERT(ASN1_TIME_set_string_X509(X509_getm_notAfter(x), "21000101000000Z"));
	GW_ASSERT(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, name, -1,
					     -1, 0));
	GW_ASSERT(X509_set_issuer_name(x, X509_get_subject_name(x)));
	GW_ASSERT(X509_sign(x, key, NULL) > 0);
	return x;
}

/* Certificate and key, in a file without a name. */
static int make_file(void)
{
	static const unsigned char secret[32] = "a key that everybody may know";
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, 32);
	X509 *x = make_cert(key);
	int file = memfd_create("seal", MFD_CLOEXEC);
	BIO *bio = BIO_new_fd(file, BIO_NOCLOSE);

	GW_ASSERT(file >= 0 && bio && PEM_write_bio_X509(bio, x));
	GW_ASSERT(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
	BIO_free(bio);
	X509_free(x);
	EVP_PKEY_free(key);
	return file;
}

static const char *pair_path(void)
{
	static char path[64];

	if (path[0] == '\0') {
		RAND_set_rand_method(&seeded);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", make_file());
	}
	return path;
}

/* --- A world's. ------------------------------------------------------------------------------ */

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct seal *seal = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	SSL_SESSION_free(seal->session);
	seal->session = session;
	return 1; /* It is ours now. */
}

static void make_server(struct seal *seal, const char *path, bool h2)
{
	struct tls_entry entry = { .pair = { path, path } };
	struct tls_refusal refusal;

	GW_ASSERT(tls_credentials_read(
			  &(struct tls_credentials_options){
				  .entries = &entry, .n_entries = 1, .http1 = true, .http2 = h2 },
			  &refusal, &seal->credentials) == 0);
	GW_ASSERT(tls_server_create(seal->credentials, &seal->server) == 0);
}

void seal_open(struct seal *seal, uint64_t seed, bool h2)
{
	const char *path = pair_path(); /* Before: it may need random bytes, the first time. */

	*seal = (struct seal){ 0 };
	list_init(&seal->left);
	rng_seed(&chance, seed);
	make_server(seal, path, h2);
	seal->clients = SSL_CTX_new(TLS_client_method());
	GW_ASSERT(seal->clients && SSL_CTX_set_app_data(seal->clients, seal));
	SSL_CTX_set_session_cache_mode(seal->clients,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(seal->clients, keep_session);
}

void seal_close(struct seal *seal)
{
	SSL_SESSION_free(seal->session);
	SSL_CTX_free(seal->clients);
	tls_server_free(seal->server);
	tls_credentials_free(seal->credentials);
}

SSL *seal_client(struct seal *seal, const struct seal_manners *m)
{
	static const unsigned char h1[] = "\x08http/1.1", h2[] = "\x02h2";
	SSL *ssl = SSL_new(seal->clients);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	GW_ASSERT(ssl && in && out);
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	SSL_set_max_proto_version(ssl, m->old ? TLS1_2_VERSION : TLS1_3_VERSION);
	GW_ASSERT(SSL_set_alpn_protos(ssl, m->h2 ? h2 : h1,
				      (m->h2 ? sizeof(h2) : sizeof(h1)) - 1) == 0);
	if (m->resumes && seal->session &&
	    SSL_SESSION_get_protocol_version(seal->session) <=
		    (m->old ? TLS1_2_VERSION : TLS1_3_VERSION))
		GW_ASSERT(SSL_set_session(ssl, seal->session));
	return ssl;
}

void seal_shaken(struct seal *seal, const SSL *ssl)
{
	seal->n_shaken++;
	seal->n_resumed += SSL_session_reused(ssl) == 1;
	seal->n_old += SSL_version(ssl) == TLS1_2_VERSION;
}
