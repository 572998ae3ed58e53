/* SPDX-License-Identifier: Apache-2.0 */
/* The schema of who may ask: tokens, keys, certificates. */
#include "core/base/clock.h"
#include "core/document/form.h"
#include "policy/header_name.h"
#include "policy/san.h"
#include "policy/schema.h"
#include "policy/table.h"

static const struct schema_word word_off[] = { { "off", 0, NULL }, { NULL, 0, NULL } };

/* --- JSON Web Tokens. ------------------------------------------------------------------------ */

static const struct schema_word algs[] = {
	{ "any", SCHEMA_EMPTY, "the key's own" },
#define ALG(name_)                                                                                 \
	{                                                                                          \
		name_, SCHEMA_AS_IS, NULL                                                          \
	}
	ALG("RS256"),
	ALG("RS384"),
	ALG("RS512"),
	ALG("PS256"),
	ALG("PS384"),
	ALG("PS512"),
	ALG("ES256"),
	ALG("ES384"),
	ALG("ES512"),
	ALG("EdDSA"),
	ALG("HS256"),
	{ NULL, 0, NULL },
};

static int is_no_text(struct slice text)
{
	(void)text;
	return -1;
}

static const struct schema_field key_fields[] = {
	{ .key = "kid",
	  SCHEMA_MEMBER(written_jwt_key, kid),
	  .type = SCHEMA_TEXT,
	  .words = word_off,
	  .preset = "off",
	  .help = "The id by which tokens name it. off: the JWK's own, or none. A key without one is "
		  "for all tokens of its algorithm that name no other; there is one at most for "
		  "each." },
	{ .key = "alg",
	  SCHEMA_MEMBER(written_jwt_key, alg),
	  .type = SCHEMA_TEXT,
	  .words = algs,
	  .check = is_no_text,
	  .expected = "the name of an algorithm",
	  .preset = "any",
	  .help = "The one algorithm that it is for. any: what the JWK says, or its curve leaves." },
	{ .key = "issuer",
	  SCHEMA_MEMBER(written_jwt_key, issuer),
	  .type = SCHEMA_TEXT,
	  .words = word_off,
	  .preset = "off",
	  .help = "Whose it is: tokens of other issuers are not to be signed with it." },
	{ .key = "jwk",
	  SCHEMA_MEMBER(written_jwt_key, jwk),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_LINES,
	  .max = POLICY_KEY_MAX,
	  .words = word_off,
	  .preset = "off",
	  .example = "'{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"x\": \"...\"}'",
	  .help = "The key as a JWK (RFC 7517), in JSON. `gwtool jwks` makes these of a key set." },
	{ .key = "pem",
	  SCHEMA_MEMBER(written_jwt_key, pem),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_LINES,
	  .max = POLICY_KEY_MAX,
	  .words = word_off,
	  .preset = "off",
	  .help = "Or as a public key in PEM, which needs alg beside it when it is an RSA key." },
};

static const struct schema key_schema = {
	.title = "key",
	.help = "One key, bound to one algorithm. RSA has 2048 bits at least, a secret 32 bytes.",
	.size = sizeof(struct written_jwt_key),
	.n_fields = ARRAY_SIZE(key_fields),
	.fields = key_fields,
};

static const struct schema_field key = { .type = SCHEMA_MAP, .map = &key_schema };
static const struct schema_field name_of_issuer = { .type = SCHEMA_TEXT };

static int is_request_name(struct slice name)
{
	return header_name_check(name, HEADER_REQUEST);
}

static const struct schema_field header_of_claim = {
	.type = SCHEMA_TEXT,
	.check = is_request_name,
	.expected = "a field's name, none that is about the connection, the body's length, or who "
		    "forwards",
};

static const struct schema_field jwt_fields[] = {
	{ .key = "keys",
	  SCHEMA_COUNTED(written_jwt, keys, n_keys),
	  .type = SCHEMA_LIST,
	  .max = POLICY_KEYS_MAX,
	  .element = &key,
	  .help = "Who signs. None: no tokens are asked for." },
	{ .key = "issuer",
	  SCHEMA_COUNTED(written_jwt, issuers, n_issuers),
	  .type = SCHEMA_LIST,
	  .max = POLICY_KEYS_MAX,
	  .element = &name_of_issuer,
	  .example = "[\"https://id.example.com/\"]",
	  .help = "A token's iss has to be one of these, byte by byte. None: any." },
	{ .key = "audience",
	  SCHEMA_COUNTED(written_jwt, audiences, n_audiences),
	  .type = SCHEMA_LIST,
	  .max = POLICY_KEYS_MAX,
	  .element = &name_of_issuer,
	  .example = "[gateway]",
	  .help = "One of these has to be in a token's aud. None: any." },
	{ .key = "type",
	  SCHEMA_MEMBER(written_jwt, type),
	  .type = SCHEMA_TEXT,
	  .words = word_off,
	  .preset = "off",
	  .example = "at+jwt",
	  .help = "What a token's typ has to be." },
	{ .key = "leeway",
	  SCHEMA_MEMBER(written_jwt, leeway_ns),
	  .type = SCHEMA_DURATION,
	  .min = 0,
	  .max = 30 * GW_NS_PER_S,
	  .preset = "30s",
	  .help = "How far the issuer's clock may be from ours." },
	{ .key = "require_exp",
	  SCHEMA_MEMBER(written_jwt, require_exp),
	  .type = SCHEMA_BOOL,
	  .preset = "true",
	  .help = "A token without exp is refused." },
	{ .key = "claims_to_headers",
	  SCHEMA_COUNTED(written_jwt, claims, n_claims),
	  .type = SCHEMA_NAMED,
	  .max = POLICY_CLAIMS_MAX,
	  .element = &header_of_claim,
	  .check = form_name,
	  .expected = "a claim's name of letters, digits, '.', '_' and '-'",
	  .example = "{sub: x-user}",
	  .help = "Claims that the service is told, in fields that no client can set: on no route of "
		  "the policy is passed on what it sends under such a name. A claim that is missing, or "
		  "cannot be a field's value, is not told." },
};

static const struct schema jwt_schema = {
	.title = "jwt",
	.help = "A bearer token (RFC 6750) in the form of a signed JWT (RFC 7519), judged as RFC 8725 "
		"has it. What is wrong is answered 401 with its reason; a scope that is missing, 403. "
		"An address may show 100 bad tokens at once and 20 more each second; beyond it, tokens "
		"from there that are not known yet are answered 429, auth_failures. Behind a balancer, "
		"name it in trusted_proxies.",
	.size = sizeof(struct written_jwt),
	.n_fields = ARRAY_SIZE(jwt_fields),
	.fields = jwt_fields,
};

/* --- API keys. ------------------------------------------------------------------------------- */

static int is_sha256(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return -1;
	}
	return text.len == 64 ? 0 : -1;
}

static const struct schema_field digest = {
	.type = SCHEMA_TEXT,
	.check = is_sha256,
	.expected = "64 hexadecimal digits in lower case",
};

static const struct schema_field api_keys_fields[] = {
	{ .key = "header",
	  SCHEMA_MEMBER(written_api_keys, header),
	  .type = SCHEMA_TEXT,
	  .check = is_request_name,
	  .expected = "a field's name",
	  .preset = "x-api-key",
	  .help = "The field that has the key. It is not passed on." },
	{ .key = "keys",
	  SCHEMA_COUNTED(written_api_keys, keys, n_keys),
	  .type = SCHEMA_NAMED,
	  .max = POLICY_API_KEYS_MAX,
	  .check = form_name,
	  .expected = "a name of letters, digits, '.', '_' and '-', at most 64",
	  .element = &digest,
	  .example = "{billing: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae}",
	  .help = "By the name of who has it: the SHA-256 of the key, which itself stands nowhere. "
		  "(printf %s \"$KEY\" | sha256sum.) None: no keys are asked for." },
	{ .key = "name_header",
	  SCHEMA_MEMBER(written_api_keys, name_header),
	  .type = SCHEMA_TEXT,
	  .words = word_off,
	  .check = is_request_name,
	  .expected = "a field's name",
	  .preset = "off",
	  .example = "x-client",
	  .help = "The service is told the name in this field, which no client can set." },
};

static const struct schema api_keys_schema = {
	.title = "api_keys",
	.help = "A secret that a client shows in a field of its own. 401 without it.",
	.size = sizeof(struct written_api_keys),
	.n_fields = ARRAY_SIZE(api_keys_fields),
	.fields = api_keys_fields,
};

/* --- Certificates. --------------------------------------------------------------------------- */

static const struct schema_field subject = { .type = SCHEMA_TEXT, .max = 191 };

static const struct schema_field san = {
	.type = SCHEMA_TEXT,
	.max = POLICY_SAN_MAX,
	.check = san_check,
	.expected = "\"dns:\" and a host's name, \"uri:\" and a URI, or \"email:\" and an address; "
		    "no patterns",
};

static const struct schema_field mtls_fields[] = {
	{ .key = "sha256",
	  SCHEMA_COUNTED(written_mtls, digests, n_digests),
	  .type = SCHEMA_LIST,
	  .max = POLICY_API_KEYS_MAX,
	  .element = &digest,
	  .help = "Of certificates, in DER, that may ask." },
	{ .key = "subjects",
	  SCHEMA_COUNTED(written_mtls, subjects, n_subjects),
	  .type = SCHEMA_LIST,
	  .max = POLICY_API_KEYS_MAX,
	  .element = &subject,
	  .example = "[\"CN=billing,O=Example\"]",
	  .help = "Names of certificates that may ask, as RFC 2253 writes them and "
		  "x-client-cert-subject tells them." },
	{ .key = "sans",
	  SCHEMA_COUNTED(written_mtls, sans, n_sans),
	  .type = SCHEMA_LIST,
	  .max = POLICY_API_KEYS_MAX,
	  .element = &san,
	  .example = "[\"uri:spiffe://example.org/billing\", \"dns:billing.example.org\"]",
	  .help = "Alternative names of certificates (RFC 5280 4.2.1.6) that may ask. The whole name has "
		  "to be the same, dns in any case, uri and email byte by byte; there are no "
		  "patterns, and a certificate for \"*.example.org\" is none for a name below it. "
		  "Names with a NUL, a blank or what is no ASCII are nobody's, nor are those "
		  "behind a certificate's first 16 or beyond 2560 bytes of them. The service is "
		  "told the first that is here in x-client-cert-san, which no client can set." },
};

static const struct schema mtls_schema = {
	.title = "mtls",
	.help = "The client's certificate, which its listener has asked for and verified. 403 "
		"without one of these.",
	.size = sizeof(struct written_mtls),
	.n_fields = ARRAY_SIZE(mtls_fields),
	.fields = mtls_fields,
};

static const struct schema_field auth_fields[] = {
	{ .key = "jwt", SCHEMA_MEMBER(written_auth, jwt), .type = SCHEMA_MAP, .map = &jwt_schema },
	{ .key = "api_keys",
	  SCHEMA_MEMBER(written_auth, api_keys),
	  .type = SCHEMA_MAP,
	  .map = &api_keys_schema },
	{ .key = "mtls",
	  SCHEMA_MEMBER(written_auth, mtls),
	  .type = SCHEMA_MAP,
	  .map = &mtls_schema },
};

const struct schema policy_auth_schema = {
	.title = "auth",
	.help = "Who may ask; one of jwt, api_keys and mtls.",
	.size = sizeof(struct written_auth),
	.n_fields = ARRAY_SIZE(auth_fields),
	.fields = auth_fields,
};
