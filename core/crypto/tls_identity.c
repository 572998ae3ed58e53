/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/tls_private.h"

#include <errno.h>

#include "core/base/writer.h"
#include "core/crypto/crypto_pool.h"
#include "core/crypto/tls_files.h"
#include "core/crypto/tls_identity.h"

/* --- Digest and subject. --------------------------------------------------------------------- */

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

/* --- Alternative names. ---------------------------------------------------------------------- */

static bool is_visible(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			return false;
	return text.len > 0;
}

/* The kind in front, as policies write it; empty: it is none of ours. */
static struct slice kind_of(const GENERAL_NAME *name)
{
	switch (name->type) {
	case GEN_DNS:
		return SLICE("dns:");
	case GEN_URI:
		return SLICE("uri:");
	case GEN_EMAIL:
		return SLICE("email:");
	default:
		return SLICE("");
	}
}

/* False: it was left out. */
static bool put_san(struct writer *w, const GENERAL_NAME *name)
{
	struct slice kind = kind_of(name), between = writer_len(w) ? SLICE(" ") : SLICE("");
	struct slice text;
	char *at;

	if (kind.len == 0)
		return false;
	text = slice_make(ASN1_STRING_get0_data(name->d.ia5),
			  (size_t)ASN1_STRING_length(name->d.ia5));
	if (!is_visible(text) || between.len + kind.len + text.len > writer_room(w))
		return false;
	writer_put(w, between);
	writer_put(w, kind);
	at = writer_reserve(w, text.len);
	GW_ASSERT(at);
	for (size_t i = 0; i < text.len; i++)
		at[i] = name->type == GEN_DNS ? slice_lower(text.ptr[i]) : text.ptr[i];
	return true;
}

static bool keep_sans(const GENERAL_NAMES *names, struct slice *ret_sans)
{
	char text[TLS_SANS_SIZE], *kept;
	struct writer w = writer_make(text, sizeof(text));
	int n_kept = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && n_kept < TLS_SANS_MAX; i++)
		n_kept += put_san(&w, sk_GENERAL_NAME_value(names, i));
	if (n_kept == 0)
		return true;
	kept = OPENSSL_memdup(text, writer_len(&w));
	*ret_sans = slice_make(kept, writer_len(&w));
	return kept;
}

/* An extension that is there twice or cannot be read has no names. */
static bool take_sans(const X509 *cert, struct slice *ret_sans)
{
	uint64_t refusals = crypto_pool_refusals();
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool done = names || crypto_pool_refusals() == refusals;

	*ret_sans = SLICE("");
	if (names)
		done = keep_sans(names, ret_sans);
	GENERAL_NAMES_free(names);
	return done;
}

/* --- The whole. ------------------------------------------------------------------------------ */

static bool identify(const X509 *cert, struct tls_identity *identity)
{
	bool done = put_digest(cert, identity->sha256) && put_subject(cert, identity) &&
		    take_sans(cert, &identity->sans);

	ERR_clear_error();
	return done;
}

int tls_identity(const struct tls *t, struct tls_identity *ret_identity)
{
	const X509 *cert = SSL_get0_peer_certificate(t->ssl);

	if (!cert)
		return 0;
	return identify(cert, ret_identity) ? 1 : -ENOMEM;
}

int tls_identity_read(const char *file, struct tls_identity *ret_identity, char why[TLS_WHY_MAX])
{
	struct tls_shown shown = { 0 };
	int r = tls_shown_read_cert(file, &shown, why);

	if (r == 0 && !identify(shown.cert, ret_identity))
		r = -ENOMEM;
	tls_shown_free(&shown);
	return r;
}

void tls_identity_free(struct tls_identity *identity)
{
	if (identity->sans.len) /* The empty text is nobody's memory. */
		OPENSSL_free((char *)(uintptr_t)identity->sans.ptr);
	identity->sans = SLICE("");
}
