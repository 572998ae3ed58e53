/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/crypto/wire.h"

#include <errno.h>

struct tls_credentials_options options(const struct tls_entry *entries, uint32_t n)
{
	return (struct tls_credentials_options){ .entries = entries,
						 .n_entries = n,
						 .http1 = true };
}

struct tls_entry entry_of(const struct ct_cert *cert)
{
	char file[80];
	struct tls_entry entry = { 0 };

	(void)snprintf(file, sizeof(file), "%s.pem", cert->name);
	entry.pair.cert_file = ct_path(file);
	(void)snprintf(file, sizeof(file), "%s.key", cert->name);
	entry.pair.key_file = ct_path(file);
	return entry;
}

void ask(struct tls_entry *entry, const struct ct_cert *authority, enum tls_client_auth auth)
{
	entry->client_ca = entry_of(authority).pair.cert_file;
	entry->client_auth = auth;
}

void dial(struct wire *w, const char *name)
{
	w->client = SSL_new(w->client_ctx);
	w->to_client = BIO_new(BIO_s_mem());
	w->from_client = BIO_new(BIO_s_mem());
	SSL_set_bio(w->client, w->to_client, w->from_client);
	SSL_set_connect_state(w->client);
	if (name)
		SSL_ctrl(w->client, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
			 (void *)(uintptr_t)name);
	assert_int_equal(tls_open(&w->tls, w->server), 0);
	tls_room(&w->tls, w->room, sizeof(w->room));
}

void serve(struct wire *w, const struct tls_credentials_options *opt)
{
	struct tls_refusal refusal;

	*w = (struct wire){ .piece = UINT32_MAX };
	if (tls_credentials_read(opt, &refusal, &w->credentials) < 0)
		fail_msg("%s", refusal.why);
	assert_int_equal(tls_server_create(w->credentials, &w->server), 0);
	w->client_ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(w->client_ctx, SSL_SESS_CACHE_CLIENT);
}

void hang_up(struct wire *w)
{
	tls_close(&w->tls);
	SSL_free(w->client);
	w->client = NULL;
}

void close_wire(struct wire *w)
{
	if (w->client)
		hang_up(w);
	SSL_CTX_free(w->client_ctx);
	tls_server_free(w->server);
	tls_credentials_free(w->credentials);
}

void carry_out(struct wire *w)
{
	if (w->tls.out_len > 0)
		BIO_write(w->to_client, w->room, (int)w->tls.out_len);
	tls_room(&w->tls, w->room, sizeof(w->room));
}

bool carry_in(struct wire *w)
{
	uint32_t max = w->piece < sizeof(w->lent) ? w->piece : sizeof(w->lent);
	int n;

	assert_int_equal(w->tls.in_len, 0);
	n = BIO_read(w->from_client, w->lent, (int)max);
	if (n <= 0)
		return false;
	tls_give(&w->tls, w->lent, (uint32_t)n);
	return true;
}

int shake(struct wire *w)
{
	int r = -EAGAIN;

	for (int i = 0; i < 100000; i++) {
		int n = SSL_do_handshake(w->client);

		w->client_result = n == 1 ? 1 : SSL_get_error(w->client, n);
		if (!carry_in(w) && r != -EAGAIN)
			return r;
		if (r == -EAGAIN)
			r = tls_handshake(&w->tls);
		carry_out(w);
		if (r != -EAGAIN && r != 0)
			return r;
		if (r == 0 && w->client_result == 1)
			return 0;
	}
	return r;
}

const char *shown_name(const struct wire *w, char text[80])
{
	X509 *cert = SSL_get1_peer_certificate(w->client);

	assert_non_null(cert);
	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, text, 80);
	X509_free(cert);
	return text;
}

bool resumes(struct wire *w, struct tls_server *second, const char *first_name,
	     const char *second_name)
{
	struct tls_server *first = w->server;
	SSL_SESSION *session;
	char got[8];
	bool resumed;

	dial(w, first_name);
	assert_int_equal(shake(w), 0);
	assert_int_equal(SSL_read(w->client, got, sizeof(got)), -1); /* The tickets. */
	session = SSL_get1_session(w->client);
	assert_true(SSL_SESSION_is_resumable(session));
	/* One that is freed without an end spoils its session. */
	SSL_set_shutdown(w->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	hang_up(w);
	w->server = second;
	dial(w, second_name);
	assert_true(SSL_set_session(w->client, session));
	SSL_SESSION_free(session);
	assert_int_equal(shake(w), 0);
	resumed = tls_is_resumed(&w->tls);
	assert_int_equal(resumed, SSL_session_reused(w->client));
	hang_up(w);
	w->server = first;
	return resumed;
}

void show(struct wire *w, const struct ct_cert *cert)
{
	struct tls_pair pair = entry_of(cert).pair;

	assert_int_equal(SSL_use_certificate_file(w->client, pair.cert_file, SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_use_PrivateKey_file(w->client, pair.key_file, SSL_FILETYPE_PEM), 1);
}
