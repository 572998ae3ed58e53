/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/tls_private.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* --- The lent memory as OpenSSL sees it. ----------------------------------------------------- */

static int lent_read(BIO *bio, char *to, size_t len, size_t *ret_len)
{
	struct tls *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (len > t->in_len)
		len = t->in_len;
	if (len == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	memcpy(to, t->in, len);
	t->in += len;
	t->in_len -= (uint32_t)len;
	*ret_len = len;
	return 1;
}

static int lent_write(BIO *bio, const char *from, size_t len, size_t *ret_len)
{
	struct tls *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (len > t->out_size - t->out_len)
		len = t->out_size - t->out_len;
	if (len == 0) {
		BIO_set_retry_write(bio);
		return 0;
	}
	memcpy(t->out + t->out_len, from, len);
	t->out_len += (uint32_t)len;
	*ret_len = len;
	return 1;
}

static long lent_ctrl(BIO *bio, int command, long arg, void *ptr)
{
	(void)bio;
	(void)arg;
	(void)ptr;
	return command == BIO_CTRL_FLUSH; /* Everything else is not for memory. */
}

static BIO_METHOD *lent;

/* Once per process: OpenSSL numbers the kinds of BIO, and has few numbers. */
static void make_lent(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lent");

	if (method && BIO_meth_set_read_ex(method, lent_read) &&
	    BIO_meth_set_write_ex(method, lent_write) && BIO_meth_set_ctrl(method, lent_ctrl))
		lent = method;
	else
		BIO_meth_free(method);
}

static void see_decoder(OSSL_DECODER *decoder, void *arg)
{
	(void)decoder;
	(void)arg;
}

/*
 * Reading a certificate makes tables of the whole process larger the first time. That is done now:
 * a worker would have to give back memory of another thread's for it.
 */
static void rehearse(void)
{
	OSSL_DECODER_do_all_provided(NULL, see_decoder, NULL);
	ERR_clear_error();
}

static void prepare(void)
{
	make_lent();
	rehearse();
}

int tls_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, prepare);
	return lent ? 0 : -ENOMEM;
}

const char *tls_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION_STRING);
}

/*
 * 3.0 holds 13.3 KiB with TLS 1.2 and 14.5 with 1.3. 3.5 holds 21.2 and 29.3: record layers are
 * objects of their own since 3.2, and the keys of hybrid groups (ML-KEM) stay until the end.
 */
size_t tls_memory(void)
{
	return OpenSSL_version_num() >= 0x30200000UL ? 32u * 1024 : 20u * 1024;
}

/* TLS 1.2 without what has no forward secrecy or no authenticated encryption (RFC 9325 4.2). */
#define CIPHERS                                                                                    \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

bool tls_set_policy(SSL_CTX *ctx, bool least_1_3)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return SSL_CTX_set_min_proto_version(ctx, least_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) &&
	       SSL_CTX_set_cipher_list(ctx, CIPHERS);
}

static BIO *lent_new(struct tls *t)
{
	BIO *bio = BIO_new(lent);

	if (!bio)
		return NULL;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	return bio;
}

/* --- Life. ----------------------------------------------------------------------------------- */

void tls_close(struct tls *t)
{
	/* A session is as good without close_notify (RFC 8446 6.1): OpenSSL would spoil it. */
	if (t->ssl && t->client)
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	t->ssl = NULL;
	if (t->client)
		tls_client_end(t->client);
	else
		tls_server_end(t->server);
	ERR_clear_error();
}

int tls_open(struct tls *t, struct tls_server *server)
{
	SSL *ssl = SSL_new(tls_server_begin(server));
	BIO *bio = ssl ? lent_new(t) : NULL;

	*t = (struct tls){ .ssl = ssl, .server = server };
	if (!bio) {
		tls_close(t);
		return -ENOMEM;
	}
	SSL_set_bio(ssl, bio, bio);
	SSL_set_accept_state(ssl);
	return 0;
}

int tls_dial(struct tls *t, const struct tls_peer *peer)
{
	BIO *bio;

	*t = (struct tls){ 0 };
	t->ssl = tls_client_begin(peer, t);
	bio = t->ssl ? lent_new(t) : NULL;
	if (!bio) {
		tls_close(t);
		return -ENOMEM;
	}
	SSL_set_bio(t->ssl, bio, bio);
	return 0;
}

/* --- Steps. ---------------------------------------------------------------------------------- */

static enum tls_failure failure_of(unsigned long error)
{
	if (ERR_GET_LIB(error) != ERR_LIB_SSL)
		return TLS_FAILURE_OTHER;
	switch (ERR_GET_REASON(error)) {
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
		return TLS_FAILURE_PLAIN_HTTP;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_UNKNOWN_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
		return TLS_FAILURE_VERSION;
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return TLS_FAILURE_CERTIFICATE;
	case SSL_R_NO_APPLICATION_PROTOCOL:
	case SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL:
		return TLS_FAILURE_PROTOCOL;
	default:
		return ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET ? TLS_FAILURE_ALERT
								     : TLS_FAILURE_OTHER;
	}
}

/* What is wrong with a server's certificate. */
static enum tls_failure certificate_failure(long verified)
{
	switch (verified) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return TLS_FAILURE_NAME;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return TLS_FAILURE_EXPIRED;
	default:
		return TLS_FAILURE_CERTIFICATE;
	}
}

static int broken(struct tls *t)
{
	unsigned long error = ERR_peek_error();
	bool no_memory = ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;

	if (t->failure == TLS_FAILURE_OTHER) /* A callback may know better. */
		t->failure = (uint8_t)failure_of(error);
	if (t->failure == TLS_FAILURE_CERTIFICATE && t->client)
		t->failure = (uint8_t)certificate_failure(SSL_get_verify_result(t->ssl));
	ERR_clear_error();
	return no_memory ? -ENOMEM : -EPROTO;
}

/* Why a step stopped; 0 for the peer's orderly end. */
static int why(struct tls *t, int r)
{
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		return -ENOBUFS;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return broken(t);
	}
}

/*
 * OpenSSL judges a step by the thread's queue of errors as well: what another connection has
 * left in there must not end this one.
 */
int tls_handshake(struct tls *t)
{
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(t->ssl);

	if (r == 1)
		return 0;
	r = why(t, r);
	if (r == 0) /* An end is none of a handshake. */
		r = -EPROTO;
	if (r == -EPROTO && t->client)
		tls_client_forget(t);
	return r;
}

int32_t tls_read(struct tls *t, void *to, uint32_t len)
{
	size_t n;
	int r;

	ERR_clear_error();
	r = SSL_read_ex(t->ssl, to, len, &n);
	return r == 1 ? (int32_t)n : why(t, r);
}

int32_t tls_write(struct tls *t, const void *from, uint32_t len)
{
	uint32_t done = 0;

	ERR_clear_error();
	while (done < len && t->out_size - t->out_len >= TLS_RECORD_MAX + TLS_RECORD_EXTRA) {
		uint32_t part = len - done < TLS_RECORD_MAX ? len - done : TLS_RECORD_MAX;
		size_t n;
		int r = SSL_write_ex(t->ssl, (const uint8_t *)from + done, part, &n);

		if (r != 1) {
			r = why(t, r);
			return r == 0 ? -EPIPE : r;
		}
		done += (uint32_t)n;
	}
	return done > 0 ? (int32_t)done : -ENOBUFS;
}

/* New keys that the peer has asked for, twice by now, and that had no room: no end is said before. */
static bool owes_keys(const struct tls *t)
{
	OSSL_HANDSHAKE_STATE state = SSL_get_state(t->ssl);

	return state == TLS_ST_SW_KEY_UPDATE || state == TLS_ST_CW_KEY_UPDATE;
}

void tls_end(struct tls *t)
{
	if (owes_keys(t))
		(void)SSL_do_handshake(t->ssl);
	if (!SSL_in_init(t->ssl))
		(void)SSL_shutdown(t->ssl); /* What does not fit into the room is not missed. */
	ERR_clear_error();
}

bool tls_has_input(const struct tls *t)
{
	return t->in_len > 0 || SSL_has_pending(t->ssl);
}

/* --- What was agreed on. --------------------------------------------------------------------- */

enum tls_failure tls_failure(const struct tls *t)
{
	return (enum tls_failure)t->failure;
}

enum tls_protocol tls_protocol(const struct tls *t)
{
	const unsigned char *name;
	unsigned int len;

	SSL_get0_alpn_selected(t->ssl, &name, &len);
	return len == 2 && memcmp(name, "h2", 2) == 0 ? TLS_PROTOCOL_HTTP2 : TLS_PROTOCOL_HTTP1;
}

bool tls_is_resumed(const struct tls *t)
{
	return SSL_session_reused(t->ssl);
}

uint8_t tls_minor(const struct tls *t)
{
	return SSL_version(t->ssl) == TLS1_3_VERSION ? 3 : 2;
}

struct slice tls_cipher(const struct tls *t)
{
	return slice_of(SSL_CIPHER_get_name(SSL_get_current_cipher(t->ssl)));
}

struct slice tls_server_name(const struct tls *t)
{
	return slice_of(SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name));
}
