/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/err.h> /* First: see tls_private.h. */
#include <openssl/evp.h>

#include "core/crypto/digest.h"

#include <errno.h>
#include <stdlib.h>

struct digest {
	EVP_MD *sha256;
	EVP_MD_CTX *state; /* Begun by its user only: what it needs comes out of that one's pool. */
};

int digest_create(struct digest **ret_digest)
{
	struct digest *digest = calloc(1, sizeof(*digest));

	if (!digest)
		return -ENOMEM;
	digest->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	digest->state = EVP_MD_CTX_new();
	if (!digest->sha256 || !digest->state) {
		digest_free(digest);
		ERR_clear_error();
		return -ENOMEM;
	}
	*ret_digest = digest;
	return 0;
}

void digest_free(struct digest *digest)
{
	if (!digest)
		return;
	EVP_MD_CTX_free(digest->state);
	EVP_MD_free(digest->sha256);
	free(digest);
}

int digest_sha256(struct digest *digest, struct slice first, struct slice second,
		  uint8_t ret_sha256[DIGEST_SHA256])
{
	bool done = EVP_DigestInit_ex2(digest->state, digest->sha256, NULL) &&
		    EVP_DigestUpdate(digest->state, first.ptr, first.len) &&
		    EVP_DigestUpdate(digest->state, second.ptr, second.len) &&
		    EVP_DigestFinal_ex(digest->state, ret_sha256, NULL);

	if (!done)
		ERR_clear_error();
	return done ? 0 : -ENOMEM;
}
