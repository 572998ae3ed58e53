/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/jwt.h"

#include <errno.h>
#include <stdio.h>

#include "core/crypto/base64url.h"
#include "core/crypto/jwt_signature.h"

struct slice jwt_fault_label(enum jwt_fault fault)
{
	static const struct slice labels[] = { [JWT_FAULT_NONE] = SLICE_INIT("none"),
#define X(id, label) [JWT_FAULT_##id] = SLICE_INIT(label),
					       JWT_FAULTS(X)
#undef X
	};

	return labels[fault];
}

/* --- Rules. ------------------------------------------------------------------------------------ */

/* Two keys that a token could mean alike. */
static bool are_confused(const struct jwt_key *a, const struct jwt_key *b)
{
	return slice_eq(jwt_key_id(a), jwt_key_id(b)) && jwt_key_alg(a) == jwt_key_alg(b);
}

static int refuse_confused(const struct jwt_rules *rules, uint32_t i, uint32_t j,
			   char why[JWT_WHY_MAX])
{
	if (jwt_key_id(rules->keys[i]).len)
		(void)snprintf(why, JWT_WHY_MAX, "keys: %u and %u have the same kid and alg", i, j);
	else
		(void)snprintf(why, JWT_WHY_MAX,
			       "keys: %u and %u have no kid and the same alg: no token could say "
			       "which it means",
			       i, j);
	return -EINVAL;
}

int jwt_rules_check(const struct jwt_rules *rules, char why[JWT_WHY_MAX])
{
	if (rules->skew_s > JWT_SKEW_MAX_S) {
		(void)snprintf(why, JWT_WHY_MAX, "skew: at most %d s", JWT_SKEW_MAX_S);
		return -EINVAL;
	}
	for (uint32_t i = 0; i < rules->n_keys; i++) {
		for (uint32_t j = 0; j < i; j++)
			if (are_confused(rules->keys[i], rules->keys[j]))
				return refuse_confused(rules, j, i, why);
	}
	return 0;
}

/* --- The form. --------------------------------------------------------------------------------- */

enum jwt_fault jwt_bearer(struct slice field, struct slice *ret_token)
{
	struct slice scheme, token;

	field = slice_trim(field);
	if (!slice_split(field, ' ', &scheme, &token) || !slice_eq_nocase(scheme, SLICE("Bearer")))
		return JWT_FAULT_MISSING;
	token = slice_trim(token);
	if (token.len == 0 || slice_find(token, ' ') != SLICE_NONE ||
	    slice_find(token, '\t') != SLICE_NONE || slice_find(token, ',') != SLICE_NONE)
		return JWT_FAULT_MISSING;
	*ret_token = token;
	return JWT_FAULT_NONE;
}

struct parts {
	struct slice signed_text; /* As it came: header, dot, payload. */
	struct slice header, payload, signature;
};

static size_t count(struct slice text, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += text.ptr[i] == c;
	return n;
}

static enum jwt_fault judge_form(struct slice token)
{
	size_t n_dots;

	if (token.len == 0)
		return JWT_FAULT_MISSING;
	if (token.len > JWT_TOKEN_MAX)
		return JWT_FAULT_TOO_LARGE;
	n_dots = count(token, '.');
	if (n_dots == 4 || token.ptr[0] == '{') /* Encrypted, or in the form of JSON. */
		return JWT_FAULT_FORMAT;
	return n_dots == 2 ? JWT_FAULT_NONE : JWT_FAULT_MALFORMED;
}

/* What a part stands for, out of the room. */
static bool decode(struct writer *room, struct slice text, struct slice *ret_bytes)
{
	size_t size = base64url_size(text.len);
	char *at = writer_reserve(room, size);

	GW_ASSERT(at); /* It is as large as the largest token. */
	*ret_bytes = slice_make(at, size);
	return text.len > 0 && base64url_decode(text, at) == 0;
}

static enum jwt_fault take_apart(struct slice token, struct jwt *jwt, struct parts *parts)
{
	struct writer room = writer_make(jwt->bytes, sizeof(jwt->bytes));
	enum jwt_fault fault = judge_form(token);
	struct slice header, payload, signature;

	if (fault)
		return fault;
	(void)slice_split(token, '.', &header, &payload); /* There are two dots. */
	(void)slice_split(payload, '.', &payload, &signature);
	parts->signed_text = slice_take(token, header.len + 1 + payload.len);
	return decode(&room, header, &parts->header) && decode(&room, payload, &parts->payload) &&
			       decode(&room, signature, &parts->signature)
		       ? JWT_FAULT_NONE
		       : JWT_FAULT_MALFORMED;
}

static enum jwt_fault read_object(struct jwt *jwt, uint16_t size, struct slice text)
{
	int r;

	jwt->claims = (struct jws_json){ .members = jwt->members, .size = size };
	r = jws_json_read(&jwt->claims, text);
	if (r == 0)
		return JWT_FAULT_NONE;
	return r == -E2BIG ? JWT_FAULT_TOO_LARGE : JWT_FAULT_MALFORMED;
}

/* --- The header. ------------------------------------------------------------------------------- */

struct header {
	struct jws_json_value alg, kid, typ;
};

static bool has(const struct jwt *jwt, struct slice name)
{
	return jwt_claim(jwt, name).kind != JWS_JSON_NONE;
}

/* Not in a JWS, or a token within a token. */
static bool is_other_form(const struct jwt *jwt)
{
	static const struct slice names[] = { SLICE_INIT("enc"), SLICE_INIT("zip"),
					      SLICE_INIT("p2c"), SLICE_INIT("p2s") };
	char cty[16];
	struct writer to = writer_make(cty, sizeof(cty));
	struct jws_json_value value = jwt_claim(jwt, SLICE("cty"));

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (has(jwt, names[i]))
			return true;
	if (value.kind == JWS_JSON_STRING)
		jws_json_put(&to, value);
	return slice_eq_nocase(writer_slice(&to), SLICE("JWT")) ||
	       slice_eq_nocase(writer_slice(&to), SLICE("application/jwt"));
}

static enum jwt_fault read_header(struct jwt *jwt, struct slice text, struct header *header)
{
	enum jwt_fault fault = read_object(jwt, JWT_HEADER_MAX, text);

	if (fault)
		return fault;
	if (is_other_form(jwt))
		return JWT_FAULT_FORMAT;
	if (has(jwt, SLICE("crit")) || has(jwt, SLICE("b64")))
		return JWT_FAULT_CRIT;
	header->alg = jwt_claim(jwt, SLICE("alg"));
	header->kid = jwt_claim(jwt, SLICE("kid"));
	header->typ = jwt_claim(jwt, SLICE("typ"));
	return JWT_FAULT_NONE;
}

/* JWT_N_ALGS: none of ours, or no string. */
static enum jwt_alg alg_of(struct jws_json_value value)
{
	enum jwt_alg alg = JWT_RS256;

	while (alg < JWT_N_ALGS && !jws_json_equals(value, jwt_alg_name(alg)))
		alg++;
	return alg;
}

/* --- The key. ---------------------------------------------------------------------------------- */

/*
 * The key of this id. Keys of several kinds may share an id (RFC 7517 4.5): of those, the one for
 * the algorithm. A key without an id has none to be asked for.
 */
static const struct jwt_key *key_of_id(const struct jwt_rules *rules, struct jws_json_value kid,
				       enum jwt_alg alg)
{
	const struct jwt_key *found = NULL;

	for (uint32_t i = 0; i < rules->n_keys; i++) {
		const struct jwt_key *key = rules->keys[i];
		bool meant = jwt_key_id(key).len > 0 && jws_json_equals(kid, jwt_key_id(key));

		if (meant && (!found || jwt_key_alg(key) == alg))
			found = key;
	}
	return found;
}

/* The key without an id: an operator who gives a key none means it for whatever tokens say. */
static const struct jwt_key *key_without_id(const struct jwt_rules *rules, enum jwt_alg alg)
{
	for (uint32_t i = 0; i < rules->n_keys; i++)
		if (jwt_key_id(rules->keys[i]).len == 0 && jwt_key_alg(rules->keys[i]) == alg)
			return rules->keys[i];
	return NULL;
}

/* The only one for the algorithm; NULL: there are none or several. */
static const struct jwt_key *key_of_alg(const struct jwt_rules *rules, enum jwt_alg alg)
{
	const struct jwt_key *found = NULL;

	for (uint32_t i = 0; i < rules->n_keys; i++) {
		if (jwt_key_alg(rules->keys[i]) != alg)
			continue;
		if (found)
			return NULL;
		found = rules->keys[i];
	}
	return found;
}

static bool has_alg(const struct jwt_rules *rules, enum jwt_alg alg)
{
	for (uint32_t i = 0; i < rules->n_keys; i++)
		if (jwt_key_alg(rules->keys[i]) == alg)
			return true;
	return false;
}

static enum jwt_fault choose_key(const struct jwt_rules *rules, const struct header *header,
				 const struct jwt_key **ret_key)
{
	enum jwt_alg alg = alg_of(header->alg);
	const struct jwt_key *key;

	if (alg == JWT_N_ALGS)
		return JWT_FAULT_ALG;
	if (header->kid.kind == JWS_JSON_NONE)
		key = key_of_alg(rules, alg);
	else if (header->kid.kind == JWS_JSON_STRING)
		key = key_of_id(rules, header->kid, alg);
	else
		return JWT_FAULT_MALFORMED;
	if (!key)
		key = key_without_id(rules, alg);
	if (!key && header->kid.kind == JWS_JSON_NONE && !has_alg(rules, alg))
		return JWT_FAULT_ALG;
	if (!key)
		return JWT_FAULT_KID;
	if (jwt_key_alg(key) != alg)
		return JWT_FAULT_ALG;
	*ret_key = key;
	return JWT_FAULT_NONE;
}

static enum jwt_fault check_signature(const struct jwt_key *key, const struct parts *parts)
{
	int r = jwt_signature_check(key, parts->signed_text, parts->signature);

	if (r == -ENOMEM)
		return JWT_FAULT_OVERLOAD;
	return r > 0 ? JWT_FAULT_NONE : JWT_FAULT_SIGNATURE;
}

/* --- The claims. ------------------------------------------------------------------------------- */

/* "application/" may be left out, and case does not count (RFC 7515 4.1.9). */
static enum jwt_fault judge_type(struct slice wanted, struct jws_json_value typ)
{
	static const struct slice prefix = SLICE_INIT("application/");
	char text[64];
	struct writer to = writer_make(text, sizeof(text));
	struct slice given;

	if (wanted.len == 0)
		return JWT_FAULT_NONE;
	if (typ.kind != JWS_JSON_STRING)
		return JWT_FAULT_TYPE;
	jws_json_put(&to, typ);
	given = writer_slice(&to);
	if (slice_starts_with_nocase(given, prefix))
		given = slice_drop(given, prefix.len);
	if (slice_starts_with_nocase(wanted, prefix))
		wanted = slice_drop(wanted, prefix.len);
	return !to.overflow && slice_eq_nocase(given, wanted) ? JWT_FAULT_NONE : JWT_FAULT_TYPE;
}

/* From its very second on it is too late (RFC 7519 4.1.4), but for the skew. */
static enum jwt_fault judge_expiry(const struct jwt_rules *rules, int64_t now_s, struct jwt *jwt)
{
	struct jws_json_value exp = jwt_claim(jwt, SLICE("exp"));

	jwt->exp_s = JWT_NO_EXPIRY;
	if (exp.kind == JWS_JSON_NONE)
		return rules->exp_optional ? JWT_FAULT_NONE : JWT_FAULT_CLAIM;
	if (jws_json_date(exp, &jwt->exp_s) < 0)
		return JWT_FAULT_CLAIM;
	return now_s < jwt->exp_s + rules->skew_s ? JWT_FAULT_NONE : JWT_FAULT_EXPIRED;
}

/* nbf, and iat: a token of tomorrow is none either. */
static enum jwt_fault judge_begin(const struct jwt_rules *rules, int64_t now_s,
				  struct jws_json_value claim)
{
	int64_t begin_s;

	if (claim.kind == JWS_JSON_NONE)
		return JWT_FAULT_NONE;
	if (jws_json_date(claim, &begin_s) < 0)
		return JWT_FAULT_CLAIM;
	return begin_s <= now_s + rules->skew_s ? JWT_FAULT_NONE : JWT_FAULT_NOT_YET_VALID;
}

static bool equals_any(struct jws_json_value value, const struct slice *list, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (jws_json_equals(value, list[i]))
			return true;
	return false;
}

/* A key of one issuer vouches for no other. */
static enum jwt_fault judge_issuer(const struct jwt_rules *rules, const struct jwt_key *key,
				   const struct jwt *jwt)
{
	struct jws_json_value iss = jwt_claim(jwt, SLICE("iss"));
	struct slice owner = jwt_key_issuer(key);

	if (owner.len && !jws_json_equals(iss, owner))
		return JWT_FAULT_ISSUER;
	if (rules->n_issuers && !equals_any(iss, rules->issuers, rules->n_issuers))
		return JWT_FAULT_ISSUER;
	return JWT_FAULT_NONE;
}

static enum jwt_fault judge_audience(const struct jwt_rules *rules, const struct jwt *jwt)
{
	struct jws_json_value aud = jwt_claim(jwt, SLICE("aud")), one;
	struct slice rest = aud.text;
	bool found = equals_any(aud, rules->audiences, rules->n_audiences);

	while (aud.kind == JWS_JSON_ARRAY && (one = jws_json_next(&rest)).kind != JWS_JSON_NONE) {
		if (one.kind != JWS_JSON_STRING)
			return JWT_FAULT_AUDIENCE;
		found = found || equals_any(one, rules->audiences, rules->n_audiences);
	}
	return found || rules->n_audiences == 0 ? JWT_FAULT_NONE : JWT_FAULT_AUDIENCE;
}

static enum jwt_fault judge_claims(const struct jwt_rules *rules, const struct jwt_key *key,
				   int64_t now_s, struct jwt *jwt)
{
	enum jwt_fault fault = judge_expiry(rules, now_s, jwt);

	if (!fault)
		fault = judge_begin(rules, now_s, jwt_claim(jwt, SLICE("nbf")));
	if (!fault)
		fault = judge_begin(rules, now_s, jwt_claim(jwt, SLICE("iat")));
	if (!fault)
		fault = judge_issuer(rules, key, jwt);
	return fault ? fault : judge_audience(rules, jwt);
}

enum jwt_fault jwt_verify(const struct jwt_rules *rules, struct slice token, int64_t now_s,
			  struct jwt *ret_jwt)
{
	const struct jwt_key *key = NULL;
	struct header header = { 0 };
	struct parts parts;
	enum jwt_fault fault = take_apart(token, ret_jwt, &parts);

	GW_ASSERT(rules->skew_s <= JWT_SKEW_MAX_S);
	if (!fault)
		fault = read_header(ret_jwt, parts.header, &header);
	if (!fault)
		fault = choose_key(rules, &header, &key);
	if (!fault)
		fault = check_signature(key, &parts);
	if (!fault)
		fault = judge_type(rules->type, header.typ);
	if (!fault)
		fault = read_object(ret_jwt, JWT_CLAIMS_MAX, parts.payload);
	return fault ? fault : judge_claims(rules, key, now_s, ret_jwt);
}
