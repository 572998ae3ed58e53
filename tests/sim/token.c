/* SPDX-License-Identifier: Apache-2.0 */
/* HS256 (RFC 7518 3.2): the cheapest to make. */
#include <openssl/evp.h>
#include <openssl/hmac.h> /* Before base/banned.h. */

#include "tests/sim/token.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/writer.h"
#include "tests/unit/core/crypto/base64url_put.h"

static const char secret[] = "a world's secret, of thirty-two.";
#define JWK                                                                                        \
	"{\"kty\":\"oct\",\"kid\":\"w\",\"alg\":\"HS256\","                                        \
	"\"k\":\"YSB3b3JsZCdzIHNlY3JldCwgb2YgdGhpcnR5LXR3by4\"}"

struct keyring *token_keyring(uint16_t *ret_ring)
{
	static const struct written_jwt_key key = { .jwk = SLICE_INIT(JWK) };
	static const struct written_jwt jwt = { .keys = &key, .n_keys = 1 };
	static struct keyring *keyring;
	static uint16_t ring;

	if (!keyring) {
		GW_ASSERT(keyring_create(1, &keyring) == 0);
		GW_ASSERT(keyring_take(keyring, &jwt, &ring) == 0);
	}
	*ret_ring = ring;
	return keyring;
}

struct slice token_make(uint64_t nonce, bool good, char text[TOKEN_MAX])
{
	struct writer to = writer_make(text, TOKEN_MAX);
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	char payload[40];

	(void)snprintf(payload, sizeof(payload), "{\"nonce\":\"%016" PRIx64 "\"}", nonce);
	base64url_put(&to, SLICE("{\"alg\":\"HS256\",\"kid\":\"w\"}"));
	writer_char(&to, '.');
	base64url_put(&to, slice_of(payload));
	GW_ASSERT(HMAC(EVP_sha256(), secret, (int)sizeof(secret) - 1, (unsigned char *)text,
		       writer_len(&to), mac, &len));
	mac[0] ^= !good;
	writer_char(&to, '.');
	base64url_put(&to, slice_make(mac, len));
	GW_ASSERT(!to.overflow);
	return writer_slice(&to);
}
