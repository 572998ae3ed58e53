/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/auth.h"

#include <stdlib.h>

#include "core/crypto/digest.h"
#include "core/crypto/tls_identity.h"
#include "core/proxy/proxy.h"
#include "policy/keyring.h"

enum { GOOD_TOKENS = 4096, BAD_TOKENS = 1024 };

int auth_init(struct auth *auth)
{
	int r = digest_create(&auth->digest);

	if (r == 0)
		r = jwt_cache_create(GOOD_TOKENS, BAD_TOKENS, &auth->cache);
	if (r < 0)
		auth_fini(auth);
	return r;
}

void auth_fini(struct auth *auth)
{
	jwt_cache_free(auth->cache);
	digest_free(auth->digest);
	auth->cache = NULL;
	auth->digest = NULL;
}

/* --- Facts. ---------------------------------------------------------------------------------- */

/*
 * Scopes in one text with blanks between, then the claims of the table's list, each as a length and
 * bytes. NONE: there is no such claim, or it would not be one value of a field.
 */
#define NONE UINT16_MAX

static bool take_fact(struct slice *facts, struct slice *ret_fact)
{
	uint16_t n;

	GW_ASSERT(facts->len >= sizeof(n));
	memcpy(&n, facts->ptr, sizeof(n));
	*facts = slice_drop(*facts, sizeof(n));
	*ret_fact = slice_take(*facts, n == NONE ? 0 : n);
	*facts = slice_drop(*facts, ret_fact->len);
	return n != NONE;
}

/* A place for a length that is known later. */
static char *begin_fact(struct writer *w)
{
	return writer_reserve(w, sizeof(uint16_t));
}

static void end_fact(struct writer *w, char *place, bool there)
{
	uint16_t n;

	if (!place || w->overflow)
		return;
	if (!there)
		w->ptr = place + sizeof(n);
	n = there ? (uint16_t)(w->ptr - place - sizeof(n)) : NONE;
	memcpy(place, &n, sizeof(n));
}

static void put_words(struct writer *w, struct jws_json_value value)
{
	struct slice rest = value.text;

	if (value.kind == JWS_JSON_STRING) {
		jws_json_put(w, value);
		writer_char(w, ' ');
	}
	if (value.kind != JWS_JSON_ARRAY)
		return;
	for (struct jws_json_value one; (one = jws_json_next(&rest)).kind != JWS_JSON_NONE;)
		if (one.kind == JWS_JSON_STRING) {
			jws_json_put(w, one);
			writer_char(w, ' ');
		}
}

/* In the proxy's room; empty when they do not fit there. */
static struct slice write_facts(struct auth *a, const struct policy_table *table,
				const struct policy_auth *auth)
{
	const struct policy_claim *claims = table_at_(table, auth->claims.at);
	struct writer w = writer_make(a->facts, sizeof(a->facts));
	char *place = begin_fact(&w);

	put_words(&w, jwt_claim(&a->jwt, SLICE("scope")));
	put_words(&w, jwt_claim(&a->jwt, SLICE("scp")));
	put_words(&w, jwt_claim(&a->jwt, SLICE("scopes")));
	end_fact(&w, place, true);
	for (uint32_t i = 0; i < auth->claims.n; i++) {
		place = begin_fact(&w);
		end_fact(&w, place,
			 jwt_put_claim(&w, &a->jwt, table_text(table, claims[i].name)) == 0);
	}
	return w.overflow ? SLICE("") : writer_slice(&w);
}

static bool has_word(struct slice words, struct slice word)
{
	while (words.len) {
		size_t end = slice_find(words, ' ');

		if (slice_eq(slice_take(words, end == SLICE_NONE ? words.len : end), word))
			return true;
		words = slice_drop(words, end == SLICE_NONE ? words.len : end + 1);
	}
	return false;
}

static bool has_scopes(const struct auth_request *request, struct slice facts)
{
	struct slice words;

	(void)take_fact(&facts, &words);
	for (uint32_t i = 0; i < request->route->scopes.n; i++)
		if (!has_word(words, table_text_of(request->table, request->route->scopes, i)))
			return false;
	return true;
}

/* --- Tokens. --------------------------------------------------------------------------------- */

static enum reason reason_of(enum jwt_fault fault)
{
	static const uint16_t reasons[JWT_N_FAULTS] = {
		[JWT_FAULT_NONE] = REASON_NONE,
		[JWT_FAULT_MISSING] = REASON_JWT_MISSING,
		[JWT_FAULT_TOO_LARGE] = REASON_JWT_TOO_LARGE,
		[JWT_FAULT_FORMAT] = REASON_JWT_FORMAT,
		[JWT_FAULT_MALFORMED] = REASON_JWT_MALFORMED,
		[JWT_FAULT_ALG] = REASON_JWT_ALG,
		[JWT_FAULT_CRIT] = REASON_JWT_CRIT,
		[JWT_FAULT_KID] = REASON_JWT_KID,
		[JWT_FAULT_SIGNATURE] = REASON_JWT_SIGNATURE,
		[JWT_FAULT_TYPE] = REASON_JWT_TYPE,
		[JWT_FAULT_CLAIM] = REASON_JWT_CLAIM,
		[JWT_FAULT_EXPIRED] = REASON_JWT_EXPIRED,
		[JWT_FAULT_NOT_YET_VALID] = REASON_JWT_NOT_YET_VALID,
		[JWT_FAULT_ISSUER] = REASON_JWT_ISSUER,
		[JWT_FAULT_AUDIENCE] = REASON_JWT_AUDIENCE,
		[JWT_FAULT_SCOPE] = REASON_JWT_SCOPE,
		[JWT_FAULT_OVERLOAD] = REASON_OVERLOAD_MEMORY,
	};

	return (enum reason)reasons[fault];
}

/* A token that is looked at, and by what. */
struct shown {
	struct slice token;
	const struct policy_auth *auth;
	const struct jwt_rules *rules;
	struct jwt_cache_key key;
	int64_t now_s;
};

/* One that did not come before. Facts too large to be kept are made anew each time. */
static enum jwt_fault verify(struct proxy *proxy, const struct auth_request *request,
			     const struct shown *shown, struct slice *ret_facts)
{
	struct auth *a = &proxy->auth;
	struct jwt_cache_verdict verdict = { 0 };

	metric_inc(proxy->metrics, METRIC_JWT_CHECKED);
	verdict.fault = jwt_verify(shown->rules, shown->token, shown->now_s, &a->jwt);
	if (verdict.fault == JWT_FAULT_NONE) {
		*ret_facts = write_facts(a, request->table, shown->auth);
		if (ret_facts->len == 0)
			return JWT_FAULT_TOO_LARGE;
		verdict.exp_s = a->jwt.exp_s;
		verdict.value = *ret_facts;
	} else {
		limits_failed(proxy, request->client);
	}
	if (verdict.value.len <= JWT_CACHE_VALUE_MAX)
		jwt_cache_put(a->cache, &shown->key, shown->now_s, &verdict);
	return verdict.fault;
}

static enum reason show_token(const struct http_head *head, struct slice *ret_token)
{
	const struct http_field *field = http_head_find(head, HTTP_FIELD_AUTHORIZATION);

	if (!field || jwt_bearer(http_text(head, field->value), ret_token) != JWT_FAULT_NONE)
		return REASON_JWT_MISSING;
	return ret_token->len > JWT_TOKEN_MAX ? REASON_JWT_TOO_LARGE : REASON_NONE;
}

static int64_t now_s(void)
{
	return (int64_t)(gw_wall_ns() / GW_NS_PER_S);
}

/*
 * Two auths may hang their keys in one ring and still want other claims of a token. The cache is
 * flushed when another table comes, so within it a place in the table is as good as a name.
 */
static uint64_t rules_id(const struct policy_table *table, const struct policy_auth *auth,
			 uint64_t ring_id)
{
	return ring_id * POLICY_AUTHS_MAX + (uint64_t)(auth - table_auth(table, 0));
}

/* True: what is to be said of it is known without a look at its signature. */
static bool is_known(struct proxy *proxy, const struct auth_request *request, struct shown *shown,
		     struct slice *ret_facts, enum reason *ret_reason)
{
	struct jwt_cache_verdict known;
	uint64_t id;

	*ret_reason = show_token(request->head, &shown->token);
	if (*ret_reason != REASON_NONE)
		return true;
	shown->rules = keyring_rules(proxy->shared->keyring, shown->auth->ring, proxy->worker, &id);
	if (jwt_cache_key(proxy->auth.digest, rules_id(request->table, shown->auth, id),
			  shown->token, &shown->key) < 0) {
		*ret_reason = REASON_OVERLOAD_MEMORY;
		return true;
	}
	if (jwt_cache_find(proxy->auth.cache, &shown->key, shown->now_s, &known)) {
		metric_inc(proxy->metrics, METRIC_JWT_KNOWN);
		*ret_facts = known.value;
		*ret_reason = reason_of(known.fault);
		return true;
	}
	*ret_reason = REASON_AUTH_FAILURES;
	return !limits_may_fail(proxy->shared->limits, request->client, ring_now_ns(proxy->ring));
}

/* False: not yet. */
static bool judge_token(struct proxy *proxy, const struct auth_request *request,
			const struct policy_auth *auth, struct slice *ret_facts,
			enum reason *ret_reason)
{
	struct shown shown = { .auth = auth, .now_s = now_s() };

	if (is_known(proxy, request, &shown, ret_facts, ret_reason))
		return true;
	if (request->turn && !turns_ask(&proxy->tokens, request->turn))
		return false;
	*ret_reason = reason_of(verify(proxy, request, &shown, ret_facts));
	return true;
}

/* With keys of the first worker, which are shared for as long as this takes. */
static enum reason look_at_token(struct auth *scratch, const struct keyring *keyring,
				 const struct auth_request *request, const struct policy_auth *auth,
				 struct slice *ret_facts)
{
	const struct jwt_rules *rules;
	struct slice token;
	uint64_t id;
	enum reason reason = show_token(request->head, &token);

	if (reason != REASON_NONE)
		return reason;
	rules = keyring_rules(keyring, auth->ring, 0, &id);
	reason = reason_of(jwt_verify(rules, token, now_s(), &scratch->jwt));
	if (reason == REASON_NONE)
		*ret_facts = write_facts(scratch, request->table, auth);
	return reason == REASON_NONE && ret_facts->len == 0 ? REASON_JWT_TOO_LARGE : reason;
}

/* --- Keys and certificates. ------------------------------------------------------------------ */

static int by_digest(const void *key, const void *client)
{
	return memcmp(key, ((const struct policy_client *)client)->sha256, DIGEST_SHA256);
}

/* What is compared is a hash of what was shown: how long it takes says nothing about a key. */
static enum reason judge_key(struct digest *digest, const struct auth_request *request,
			     const struct policy_auth *auth, struct slice *ret_name)
{
	const struct policy_table *table = request->table;
	const struct policy_client *client;
	uint8_t sha256[DIGEST_SHA256];
	struct slice key;

	if (!http_only_field(request->head, table_text(table, auth->header), &key))
		return REASON_API_KEY_MISSING;
	if (digest_sha256(digest, key, SLICE(""), sha256) < 0)
		return REASON_OVERLOAD_MEMORY;
	client = bsearch(sha256, table_at_(table, auth->clients.at), auth->clients.n,
			 sizeof(*client), by_digest);
	if (!client)
		return REASON_API_KEY_UNKNOWN;
	*ret_name = table_text(table, client->name);
	return REASON_NONE;
}

static bool is_in(const struct policy_table *table, struct policy_part list, struct slice text)
{
	for (uint32_t i = 0; i < list.n; i++)
		if (slice_eq(table_text_of(table, list, i), text))
			return true;
	return false;
}

_Static_assert((size_t)POLICY_SAN_MAX <= TLS_SANS_SIZE, "a name of a policy may be a client's");

struct wanted {
	const struct policy_table *table;
	struct slice text;
};

static int by_text(const void *key, const void *part)
{
	const struct wanted *wanted = key;

	return slice_cmp(wanted->text,
			 table_text(wanted->table, *(const struct policy_part *)part));
}

/* The first of a certificate's names that is in a sorted list; empty: none is. */
static struct slice find_san(const struct policy_table *table, struct policy_part list,
			     struct slice names)
{
	struct wanted wanted = { .table = table };

	while (names.len) {
		const struct policy_part *found;

		(void)slice_split(names, ' ', &wanted.text, &names);
		found = bsearch(&wanted, table_at_(table, list.at), list.n, sizeof(*found),
				by_text);
		if (found)
			return table_text(table, *found);
	}
	return SLICE("");
}

/* Its name is looked for first: the service is told it, whatever else would do. */
static enum reason judge_certificate(const struct auth_request *request,
				     const struct policy_auth *auth, struct slice *ret_san)
{
	const struct policy_table *table = request->table;
	const struct tls_identity *id = request->identity;

	if (!id)
		return REASON_CLIENT_IDENTITY;
	*ret_san = find_san(table, auth->sans, id->sans);
	if (ret_san->len ||
	    is_in(table, auth->certificates, slice_make(id->sha256, sizeof(id->sha256))))
		return REASON_NONE;
	if (id->subject_len &&
	    is_in(table, auth->subjects, slice_make(id->subject, id->subject_len)))
		return REASON_NONE;
	return REASON_CLIENT_IDENTITY;
}

/* By other means than a token. */
static enum reason judge_otherwise(struct digest *digest, const struct auth_request *request,
				   struct auth_client *client)
{
	if (client->by->by == POLICY_BY_API_KEY)
		return judge_key(digest, request, client->by, &client->name);
	return judge_certificate(request, client->by, &client->san);
}

/* True: it needs no token to say, in *ret_reason, whether it may. */
static bool is_judged(struct digest *digest, const struct auth_request *request,
		      struct auth_client *client, enum reason *ret_reason)
{
	*client = (struct auth_client){ .by = table_route_auth(request->table, request->route) };
	if (client->by && client->by->by == POLICY_BY_JWT)
		return false;
	*ret_reason = client->by ? judge_otherwise(digest, request, client) : REASON_NONE;
	return true;
}

static enum reason judge_scopes(const struct auth_request *request, enum reason reason,
				struct slice facts)
{
	return reason == REASON_NONE && !has_scopes(request, facts) ? REASON_JWT_SCOPE : reason;
}

bool auth_judge(struct proxy *proxy, const struct auth_request *request,
		struct auth_client *ret_client, enum reason *ret_reason)
{
	struct auth_client *client = ret_client;

	if (is_judged(proxy->auth.digest, request, client, ret_reason))
		return true;
	if (!judge_token(proxy, request, client->by, &client->facts, ret_reason))
		return false;
	*ret_reason = judge_scopes(request, *ret_reason, client->facts);
	return true;
}

enum reason auth_look(struct auth *scratch, const struct keyring *keyring,
		      const struct auth_request *request, struct auth_client *ret_client)
{
	struct auth_client *client = ret_client;
	enum reason reason;

	if (is_judged(scratch->digest, request, client, &reason))
		return reason;
	reason = look_at_token(scratch, keyring, request, client->by, &client->facts);
	return judge_scopes(request, reason, client->facts);
}

/* --- Telling. -------------------------------------------------------------------------------- */

static void tell_claims(const struct policy_table *table, const struct auth_client *client,
			struct writer *extra)
{
	const struct policy_claim *claims = table_at_(table, client->by->claims.at);
	struct slice facts = client->facts, value;

	(void)take_fact(&facts, &value);
	for (uint32_t i = 0; i < client->by->claims.n; i++)
		if (take_fact(&facts, &value) && claims[i].header.n)
			writer_field(extra, table_text(table, claims[i].header), value);
}

void auth_tell(const struct policy_table *table, const struct auth_client *client,
	       struct http_head *head, struct writer *extra)
{
	const struct policy_auth *auth = client->by;

	for (uint32_t i = 0; i < table->told.n; i++)
		http_drop_field(head, table_text_of(table, table->told, i));
	if (!auth)
		return;
	if (auth->by == POLICY_BY_API_KEY) {
		http_drop_field(head, table_text(table, auth->header));
		if (auth->name_header.n)
			writer_field(extra, table_text(table, auth->name_header), client->name);
	}
	if (auth->by == POLICY_BY_JWT)
		tell_claims(table, client, extra);
}

struct slice auth_claim(const struct policy_table *table, const struct auth_client *client,
			struct slice name)
{
	const struct policy_claim *claims;
	struct slice facts = client->facts, value;

	GW_ASSERT(client->by && client->by->by == POLICY_BY_JWT);
	claims = table_at_(table, client->by->claims.at);
	(void)take_fact(&facts, &value);
	for (uint32_t i = 0; i < client->by->claims.n; i++) {
		bool known = take_fact(&facts, &value);

		if (slice_eq(table_text(table, claims[i].name), name))
			return known ? value : SLICE("");
	}
	return SLICE("");
}

static void put_scopes(const struct auth_request *request, struct writer *out)
{
	writer_lit(out, "www-authenticate: Bearer error=\"insufficient_scope\", scope=\"");
	for (uint32_t i = 0; i < request->route->scopes.n; i++) {
		if (i)
			writer_char(out, ' ');
		writer_put(out, table_text_of(request->table, request->route->scopes, i));
	}
	writer_lit(out, "\"\r\n");
}

void auth_challenge(const struct auth_request *request, enum reason reason, struct writer *out)
{
	if (reason == REASON_JWT_SCOPE)
		put_scopes(request, out);
	else if (reason == REASON_API_KEY_MISSING || reason == REASON_API_KEY_UNKNOWN)
		writer_lit(out, "www-authenticate: ApiKey\r\n");
	else if (reason == REASON_JWT_MISSING) /* Who shows nothing is not told of an error. */
		writer_lit(out, "www-authenticate: Bearer\r\n");
	else if (reason != REASON_NONE && reason_status(reason) == 401)
		writer_lit(out, "www-authenticate: Bearer error=\"invalid_token\"\r\n");
}
