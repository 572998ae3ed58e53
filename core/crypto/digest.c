/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/err.h> /* First: see tls_private.h. */
#include <openssl/evp.h>

#include "core/crypto/digest.h"

#include <errno.h>

int digest_sha256(struct slice bytes, uint8_t ret_digest[DIGEST_SHA256])
{
	bool done = EVP_Digest(bytes.ptr, bytes.len, ret_digest, NULL, EVP_sha256(), NULL);

	ERR_clear_error();
	return done ? 0 : -ENOMEM;
}

bool digest_eq(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}
