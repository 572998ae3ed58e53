/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/auth.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/writer.h"
#include "core/document/path.h"
#include "policy/complaint.h"
#include "policy/limit.h"

/* --- Checking. ------------------------------------------------------------------------------- */

static void add(struct report *rep, const struct written_auth *auth, const char *below,
		const char *text)
{
	complaint_named(rep, "auth", auth->name, below, text);
}

static bool asks_for_certificate(const struct written_auth *a)
{
	return a->mtls.n_digests > 0 || a->mtls.n_subjects > 0 || a->mtls.n_sans > 0;
}

static uint32_t n_kinds(const struct written_auth *a)
{
	return (a->jwt.n_keys > 0) + (a->api_keys.n_keys > 0) + asks_for_certificate(a);
}

static int check_keys(const struct written_auth *a, struct report *rep)
{
	char why[JWT_WHY_MAX], path[64];
	struct writer w = writer_make(path, sizeof(path) - 1);
	uint32_t key;
	int r = keyring_check(&a->jwt, why, &key);

	if (r != -EINVAL)
		return r;
	writer_lit(&w, ".jwt.keys");
	if (key < a->jwt.n_keys)
		path_put_index(&w, key);
	*w.ptr = '\0';
	add(rep, a, path, why);
	return 0;
}

static bool tells_twice(const struct written_jwt *jwt)
{
	for (uint32_t i = 0; i < jwt->n_claims; i++)
		for (uint32_t k = 0; k < i; k++)
			if (slice_eq_nocase(jwt->claims[i].text, jwt->claims[k].text))
				return true;
	return false;
}

static const struct written_auth *find(const struct written_policy *p, struct slice name)
{
	for (uint32_t i = 0; i < p->n_auths; i++)
		if (slice_eq(p->auths[i].name, name))
			return &p->auths[i];
	return NULL;
}

static bool needs_claim(const struct written_policy *p, const struct written_route *r)
{
	for (uint32_t i = 0; i < r->n_limits; i++)
		for (uint32_t k = 0; k < p->n_limits; k++)
			if (slice_eq(p->limits[k].name, r->limits[i]) &&
			    limit_claim(&p->limits[k]).len)
				return true;
	return false;
}

static void check_route(const struct written_policy *p, uint32_t i, struct report *rep)
{
	const struct written_route *r = &p->routes[i];
	const struct written_auth *auth = find(p, r->auth);
	bool has_token = auth && auth->jwt.n_keys > 0;

	if (r->auth.len && !auth)
		complaint_route(rep, i, ".auth", "is no name in auth of this policy");
	if (r->n_scopes && !has_token)
		complaint_route(rep, i, ".scopes", "need an auth by jwt");
	if (needs_claim(p, r) && !has_token)
		complaint_route(rep, i, ".limits", "go by a claim, and need an auth by jwt");
}

/* What the table has room for: those that are told, and those that limits go by. */
static uint32_t n_claims(const struct written_policy *p, const struct written_jwt *jwt)
{
	uint32_t n = jwt->n_claims;

	for (uint32_t i = 0; jwt->n_keys && i < p->n_limits; i++)
		n += limit_claim(&p->limits[i]).len > 0;
	return n;
}

static int by_text(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* Whose would it be? */
static int check_api_keys(const struct written_auth *a, struct report *rep)
{
	const struct written_api_keys *list = &a->api_keys;
	struct slice *keys = calloc(list->n_keys + 1, sizeof(*keys));
	bool twice = false;

	if (!keys)
		return -ENOMEM;
	for (uint32_t i = 0; i < list->n_keys; i++)
		keys[i] = list->keys[i].text;
	qsort(keys, list->n_keys, sizeof(*keys), by_text);
	for (uint32_t i = 1; i < list->n_keys; i++)
		twice = twice || slice_eq(keys[i - 1], keys[i]);
	free(keys);
	if (twice)
		add(rep, a, ".api_keys.keys", "has the same key under two names");
	return 0;
}

int auths_check(const struct written_policy *p, struct report *rep)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < p->n_auths; i++) {
		const struct written_auth *a = &p->auths[i];

		if (n_kinds(a) != 1)
			add(rep, a, "", "needs one of jwt, api_keys and mtls, with its keys");
		if (a->jwt.n_keys)
			r = check_keys(a, rep);
		if (r == 0)
			r = check_api_keys(a, rep);
		if (tells_twice(&a->jwt))
			add(rep, a, ".jwt.claims_to_headers", "has a field for two claims");
		if (n_claims(p, &a->jwt) > POLICY_CLAIMS_MAX)
			add(rep, a, ".jwt.claims_to_headers",
			    "has more than 8 claims, with those that limits go by");
	}
	for (uint32_t i = 0; i < p->n_routes; i++)
		check_route(p, i, rep);
	return r;
}

/* --- Drawing. -------------------------------------------------------------------------------- */

static uint8_t digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void draw_clients(const struct written_api_keys *from, struct draft_client *to)
{
	for (uint32_t i = 0; i < from->n_keys; i++) {
		to[i].name = from->keys[i].name;
		for (size_t k = 0; k < sizeof(to->sha256); k++)
			to[i].sha256[k] = (uint8_t)(digit(from->keys[i].text.ptr[2 * k]) << 4 |
						    digit(from->keys[i].text.ptr[2 * k + 1]));
	}
}

static int by_digest(const void *a, const void *b)
{
	return memcmp(((const struct draft_client *)a)->sha256,
		      ((const struct draft_client *)b)->sha256, 32);
}

static uint32_t draw_claims(const struct written_policy *p, const struct written_jwt *jwt,
			    struct draft_claim *to)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < jwt->n_claims; i++)
		to[n++] = (struct draft_claim){ jwt->claims[i].name, jwt->claims[i].text };
	for (uint32_t i = 0; i < p->n_limits; i++) {
		struct slice name = limit_claim(&p->limits[i]);

		if (name.len)
			to[n++] = (struct draft_claim){ .name = name };
	}
	return n;
}

/* 'claims' and 'clients' are what is free of the room. */
static int draw(const struct written_policy *p, const struct written_auth *from,
		struct keyring *keyring, struct draft_claim **claims, struct draft_client **clients,
		struct draft_auth *to)
{
	*to = (struct draft_auth){
		.name = from->name,
		.by = from->jwt.n_keys        ? POLICY_BY_JWT
		      : from->api_keys.n_keys ? POLICY_BY_API_KEY
					      : POLICY_BY_CERTIFICATE,
		.header = from->api_keys.header,
		.name_header = from->api_keys.name_header,
		.claims = *claims,
		.clients = *clients,
		.n_clients = from->api_keys.n_keys,
		.certificates = { from->mtls.digests, from->mtls.n_digests },
		.subjects = { from->mtls.subjects, from->mtls.n_subjects },
		.sans = { from->mtls.sans, from->mtls.n_sans },
	};
	draw_clients(&from->api_keys, *clients);
	qsort(*clients, to->n_clients, sizeof(**clients), by_digest);
	*clients += to->n_clients;
	if (to->by != POLICY_BY_JWT)
		return 0;
	to->n_claims = draw_claims(p, &from->jwt, *claims);
	*claims += to->n_claims;
	return keyring_take(keyring, &from->jwt, &to->ring);
}

static void add_told(struct auth_room *room, struct slice name)
{
	for (uint32_t i = 0; i < room->n_told; i++)
		if (slice_eq_nocase(room->told[i], name))
			return;
	if (name.len)
		room->told[room->n_told++] = name;
}

/* Also of auths that no route takes: their fields are not for clients to send. */
static void draw_told(const struct written_policy *p, struct auth_room *room)
{
	for (uint32_t i = 0; i < p->n_auths; i++) {
		const struct written_auth *a = &p->auths[i];

		for (uint32_t k = 0; k < a->jwt.n_claims; k++)
			add_told(room, a->jwt.claims[k].text);
		add_told(room, a->api_keys.name_header);
	}
}

int auths_draw(const struct written_policy *p, struct keyring *keyring, struct auth_room *room)
{
	struct draft_claim *claims;
	struct draft_client *clients;
	uint32_t n_clients = 0;
	int r;

	for (uint32_t i = 0; i < p->n_auths; i++)
		n_clients += p->auths[i].api_keys.n_keys;
	*room = (struct auth_room){
		.auths = calloc(p->n_auths + 1, sizeof(room->auths[0])),
		.claims = calloc(p->n_auths * POLICY_CLAIMS_MAX + 1, sizeof(room->claims[0])),
		.clients = calloc(n_clients + 1, sizeof(room->clients[0])),
		.told = calloc(p->n_auths * (POLICY_CLAIMS_MAX + 1) + 1, sizeof(room->told[0])),
	};
	claims = room->claims;
	clients = room->clients;
	r = room->auths && claims && clients && room->told ? 0 : -ENOMEM;
	if (r == 0)
		draw_told(p, room);
	for (uint32_t i = 0; r == 0 && i < p->n_auths; i++) {
		r = draw(p, &p->auths[i], keyring, &claims, &clients, &room->auths[i]);
		room->n_drawn += r == 0;
	}
	return r;
}

void auths_drop(struct auth_room *room, struct keyring *keyring)
{
	for (uint32_t i = 0; i < room->n_drawn; i++)
		if (room->auths[i].by == POLICY_BY_JWT)
			keyring_drop(keyring, room->auths[i].ring);
	free(room->auths);
	free(room->claims);
	free(room->clients);
	free(room->told);
	*room = (struct auth_room){ 0 };
}

uint16_t auth_of(const struct written_policy *p, struct slice name)
{
	const struct written_auth *auth = find(p, name);

	GW_ASSERT(name.len == 0 || auth); /* Checked when it was read. */
	return auth ? (uint16_t)(auth - p->auths + 1) : 0;
}
