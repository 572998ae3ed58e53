/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_jwt.c - any bytes as a token, or as what is signed in one: a verdict without a crash, the
 * same the second time; of a good token no other signature is taken, and a claim that goes into a
 * header field is one value.
 *
 * Input: a byte that says which (odd: a header, a NUL, a payload, which are signed here; even: a
 * token), one that says how the signature is changed, then the text. The keys are those of RFC 7515
 * A.1 and A.3.
 */
#include <openssl/evp.h> /* Before base/banned.h. */
#include <openssl/hmac.h>
#include <stdlib.h>

#include "core/base/writer.h"
#include "core/crypto/base64url.h"
#include "core/crypto/jwt.h"
#include "tests/unit/core/crypto/base64url_put.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { NOW = 1300819000, TEXT_MAX = 16384 };

static const char secret_jwk[] =
	"{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"mac\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-"
	"EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}";
static const char curve_jwk[] =
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"ec\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvR"
	"VEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";

static uint8_t secret[64];
static const struct jwt_key *keys[2];
static struct jwt_rules rules = { .keys = keys, .n_keys = 2, .skew_s = JWT_SKEW_MAX_S };
static struct jwt jwt, again;

static const struct jwt_key *read_key(const char *jwk)
{
	static const struct jwt_key_options nothing;
	struct jwt_key *key = NULL;
	char why[JWT_WHY_MAX];
	int r = jwt_key_read_jwk(slice_of(jwk), &nothing, why, &key);

	GW_ASSERT(r == 0);
	return key;
}

static void set_up(void)
{
	const char *k = strstr(secret_jwk, "AyM1");

	if (keys[0])
		return;
	keys[0] = read_key(secret_jwk);
	keys[1] = read_key(curve_jwk);
	GW_ASSERT(base64url_decode(slice_make(k, strlen(k) - 2), secret) == 0);
}

/* In a block of exactly that size. */
static enum jwt_fault verify(struct slice token, struct jwt *to)
{
	char *block = malloc(token.len + !token.len);
	enum jwt_fault fault;

	GW_ASSERT(block);
	if (token.len)
		memcpy(block, token.ptr, token.len);
	fault = jwt_verify(&rules, slice_make(block, token.len), NOW, to);
	free(block);
	return fault;
}

/* --- A token of our own. ----------------------------------------------------------------------- */

static struct slice mac_of(struct slice text, uint8_t mac[32])
{
	unsigned int len;

	GW_ASSERT(HMAC(EVP_sha256(), secret, sizeof(secret), (const unsigned char *)text.ptr,
		       text.len, mac, &len));
	return slice_make(mac, len);
}

static struct slice sign(struct slice text, char *room)
{
	struct writer to = writer_make(room, TEXT_MAX);
	struct slice header, payload;
	uint8_t mac[32];

	(void)slice_split(text, '\0', &header, &payload); /* Without one, the payload is empty. */
	base64url_put(&to, header);
	writer_char(&to, '.');
	base64url_put(&to, payload);

	struct slice signature = mac_of(writer_slice(&to), mac);

	writer_char(&to, '.');
	base64url_put(&to, signature);
	GW_ASSERT(!to.overflow);
	return writer_slice(&to);
}

/* --- What holds of a good one. ----------------------------------------------------------------- */

/* One letter of its signature is another, or there is one more or less. */
static void change_signature(struct slice token, uint8_t how)
{
	static char text[JWT_TOKEN_MAX + 1];
	size_t dot = slice_find_last(token, '.'), n = token.len - dot - 1;
	size_t at = dot + 1 + how % n;

	memcpy(text, token.ptr, token.len);
	text[at] = text[at] == 'A' ? 'B' : 'A';
	GW_ASSERT(verify(slice_make(text, token.len), &again) != JWT_FAULT_NONE);
	text[at] = (char)(token.ptr[at] ^ (1 << how % 8));
	GW_ASSERT(verify(slice_make(text, token.len), &again) != JWT_FAULT_NONE);
	text[at] = token.ptr[at];
	text[token.len] = "=A.\n"[how % 4];
	GW_ASSERT(verify(slice_make(text, token.len + 1), &again) != JWT_FAULT_NONE);
	GW_ASSERT(verify(slice_make(text, at), &again) != JWT_FAULT_NONE);
}

/* With the secret, it was signed with the secret; the other key's is the curve's to say. */
static void check_mac(struct slice token)
{
	size_t dot = slice_find_last(token, '.');
	char text[64];
	struct writer want = writer_make(text, sizeof(text));
	uint8_t mac[32];

	base64url_put(&want, mac_of(slice_take(token, dot), mac));
	if (token.len - dot - 1 == writer_len(&want))
		GW_ASSERT(slice_eq(slice_drop(token, dot + 1), writer_slice(&want)));
	else
		GW_ASSERT(token.len - dot - 1 == 86);
}

static void check_claims(void)
{
	static const char *const names[] = { "sub", "a", "scope", "aud", "exp" };
	char text[512];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct writer to = writer_make(text, sizeof(text));

		if (jwt_put_claim(&to, &jwt, slice_of(names[i])) < 0)
			continue;
		for (const char *c = text; c < to.ptr; c++)
			GW_ASSERT((unsigned char)*c >= 0x20 && *c != 0x7f);
	}
	(void)jwt_has_scope(&jwt, SLICE("read"));
	GW_ASSERT(!jwt_has_scope(&jwt, SLICE("")));
	GW_ASSERT(jwt.exp_s > NOW - JWT_SKEW_MAX_S);
}

static void try_token(struct slice token, uint8_t how)
{
	enum jwt_fault fault = verify(token, &jwt);

	GW_ASSERT(fault == verify(token, &again) && fault != JWT_FAULT_OVERLOAD);
	if (fault != JWT_FAULT_NONE)
		return;
	check_mac(token);
	check_claims();
	change_signature(token, how);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char room[TEXT_MAX];
	struct slice text;

	if (len < 2 || len > TEXT_MAX / 2)
		return 0;
	set_up();
	text = slice_make(data + 2, len - 2);
	try_token(data[0] & 1 ? sign(text, room) : text, data[1]);
	return 0;
}
