/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/tls_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Key files of this kind would have to be asked for; nobody is there. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is OpenSSL's. */
static int no_pass_phrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

int tls_refuse_file(char why[TLS_WHY_MAX], const char *file, const char *what)
{
	unsigned long error = ERR_peek_last_error();
	const char *detail = error ? ERR_reason_error_string(error) : NULL;

	(void)snprintf(why, TLS_WHY_MAX, "%s: %s%s%s", file, what, detail ? ": " : "",
		       detail ? detail : "");
	ERR_clear_error();
	return -EINVAL;
}

static BIO *open_file(const char *file, char why[TLS_WHY_MAX])
{
	BIO *bio = BIO_new_file(file, "re");

	if (!bio) {
		ERR_clear_error();
		(void)tls_refuse_file(why, file, strerror(errno));
	}
	return bio;
}

static int read_chain(BIO *bio, const char *file, struct tls_shown *shown, char why[TLS_WHY_MAX])
{
	X509 *link;

	shown->cert = PEM_read_bio_X509_AUX(bio, NULL, no_pass_phrase, NULL);
	if (!shown->cert)
		return tls_refuse_file(why, file, "holds no certificate");
	shown->chain = sk_X509_new_null();
	while ((link = PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL))) {
		if (!shown->chain || !sk_X509_push(shown->chain, link)) {
			X509_free(link);
			return -ENOMEM;
		}
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return tls_refuse_file(why, file, "is damaged behind its first certificate");
	ERR_clear_error();
	return 0;
}

int tls_shown_read_cert(const char *file, struct tls_shown *shown, char why[TLS_WHY_MAX])
{
	BIO *bio = open_file(file, why);
	int r;

	if (!bio)
		return -EINVAL;
	r = read_chain(bio, file, shown, why);
	BIO_free(bio);
	return r;
}

static int read_key(const char *file, struct tls_shown *shown, char why[TLS_WHY_MAX])
{
	BIO *bio = open_file(file, why);

	if (!bio)
		return -EINVAL;
	shown->key = PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL);
	BIO_free(bio);
	if (!shown->key)
		return tls_refuse_file(why, file,
				       "holds no private key, or one with a pass phrase");
	if (X509_check_private_key(shown->cert, shown->key) != 1)
		return tls_refuse_file(why, file, "is not the key of the certificate");
	return 0;
}

int64_t tls_seconds_of(const ASN1_TIME *time)
{
	struct tm tm;

	return ASN1_TIME_to_tm(time, &tm) ? (int64_t)timegm(&tm) : 0;
}

static int check_dates(const char *file, struct tls_shown *shown, char why[TLS_WHY_MAX])
{
	shown->expiry = tls_seconds_of(X509_get0_notAfter(shown->cert));
	if (shown->expiry <= (int64_t)time(NULL))
		return tls_refuse_file(why, file, "has expired");
	return 0;
}

int tls_shown_read(const struct tls_pair *from, struct tls_shown *shown, char why[TLS_WHY_MAX])
{
	int r = tls_shown_read_cert(from->cert_file, shown, why);

	if (r == 0)
		r = read_key(from->key_file, shown, why);
	return r == 0 ? check_dates(from->cert_file, shown, why) : r;
}

void tls_shown_free(struct tls_shown *shown)
{
	X509_free(shown->cert);
	sk_X509_pop_free(shown->chain, X509_free);
	EVP_PKEY_free(shown->key);
}

bool tls_shown_use(const struct tls_shown *shown, SSL_CTX *ctx)
{
	return SSL_CTX_use_cert_and_key(ctx, shown->cert, shown->key, shown->chain, 1) == 1;
}
