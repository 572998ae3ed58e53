/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/tls_private.h"

#include <errno.h>

#include "core/crypto/tls_identity.h"

static bool put_digest(const X509 *cert, char text[64])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[32];

	if (!X509_digest(cert, EVP_sha256(), digest, NULL))
		return false;
	for (size_t i = 0; i < 64; i++)
		text[i] = digits[digest[i / 2] >> (i % 2 ? 0 : 4) & 15];
	return true;
}

/*
 * Escapes leave nothing in it that a field's value may not have (RFC 2253 2.4). A name that does
 * not fit is left out: cut, it could be another's.
 */
static bool put_subject(const X509 *cert, struct tls_identity *identity)
{
	BIO *bio = BIO_new(BIO_s_mem());
	bool printed = bio && X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0,
						 XN_FLAG_RFC2253) >= 0;
	long len = printed ? BIO_get_mem_data(bio, NULL) : 0;

	identity->subject_len = 0;
	if (len > 0 && len <= (long)sizeof(identity->subject))
		identity->subject_len = (uint8_t)BIO_read(bio, identity->subject, (int)len);
	BIO_free(bio);
	return printed;
}

int tls_identity(const struct tls *t, struct tls_identity *ret_identity)
{
	const X509 *cert = SSL_get0_peer_certificate(t->ssl);
	bool done;

	if (!cert)
		return 0;
	done = put_digest(cert, ret_identity->sha256) && put_subject(cert, ret_identity);
	ERR_clear_error();
	return done ? 1 : -ENOMEM;
}
