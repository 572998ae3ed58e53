/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/keyring.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/writer.h"

/* Not the kernel's: what hangs in the keyring. */
struct key_ring {
	uint64_t id;
	uint32_t n_holds;
	struct slice text; /* All that it was made of: two with the same are one. */
	struct slice *issuers, *audiences;
	struct jwt_key **keys;   /* By worker, then by key. */
	struct jwt_rules *rules; /* By worker. */
	uint32_t n_keys;         /* Of all workers. */
};

struct keyring {
	pthread_mutex_t lock; /* Of publishers. */
	uint32_t n_workers;
	uint64_t n_ids;
	struct key_ring *rings[KEYRING_MAX]; /* A table that names one was offered behind it. */
};

int keyring_create(uint32_t n_workers, struct keyring **ret_keyring)
{
	struct keyring *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	GW_ASSERT(pthread_mutex_init(&k->lock, NULL) == 0);
	k->n_workers = n_workers;
	*ret_keyring = k;
	return 0;
}

void keyring_destroy(struct keyring *k)
{
	if (!k)
		return;
	for (uint32_t i = 0; i < KEYRING_MAX; i++)
		GW_ASSERT(!k->rings[i]);
	(void)pthread_mutex_destroy(&k->lock);
	free(k);
}

/* --- Its text. ------------------------------------------------------------------------------- */

/* Every piece ends with a NUL, which none of them has. */
static struct slice put(struct writer *w, struct slice text)
{
	char *at = w->ptr;

	writer_put(w, text);
	writer_char(w, '\0');
	return slice_make(at, text.len);
}

static size_t text_room(const struct written_jwt *jwt)
{
	size_t room = jwt->type.len + 64;

	for (uint32_t i = 0; i < jwt->n_keys; i++) {
		const struct written_jwt_key *key = &jwt->keys[i];

		room += key->kid.len + key->alg.len + key->issuer.len + key->jwk.len +
			key->pem.len + 5;
	}
	for (uint32_t i = 0; i < jwt->n_issuers; i++)
		room += jwt->issuers[i].len + 2;
	for (uint32_t i = 0; i < jwt->n_audiences; i++)
		room += jwt->audiences[i].len + 2;
	return room;
}

static void put_keys(struct writer *w, const struct written_jwt *jwt)
{
	for (uint32_t i = 0; i < jwt->n_keys; i++) {
		(void)put(w, jwt->keys[i].kid);
		(void)put(w, jwt->keys[i].alg);
		(void)put(w, jwt->keys[i].issuer);
		(void)put(w, jwt->keys[i].jwk);
		(void)put(w, jwt->keys[i].pem);
	}
}

static void put_list(struct writer *w, const struct slice *list, uint32_t n, struct slice *ret_list)
{
	for (uint32_t i = 0; i < n; i++) {
		writer_char(w, '-');
		ret_list[i] = put(w, list[i]);
	}
	writer_char(w, '.');
}

/* --- Making one. ----------------------------------------------------------------------------- */

static int read_key(const struct written_jwt_key *from, char why[JWT_WHY_MAX],
		    struct jwt_key **ret_key)
{
	/* Policies are kept, and shown to who may ask. */
	const struct jwt_key_options opt = {
		.alg = from->alg, .kid = from->kid, .issuer = from->issuer, .no_private = true
	};

	if ((from->jwk.len > 0) == (from->pem.len > 0)) {
		memcpy(why, "needs jwk or pem, one of them",
		       sizeof("needs jwk or pem, one of them"));
		return -EINVAL;
	}
	return from->jwk.len ? jwt_key_read_jwk(from->jwk, &opt, why, ret_key)
			     : jwt_key_read_pem(from->pem, &opt, why, ret_key);
}

static void free_ring(struct key_ring *ring)
{
	if (!ring)
		return;
	for (uint32_t i = 0; ring->keys && i < ring->n_keys; i++)
		jwt_key_free(ring->keys[i]);
	free(ring->keys);
	free(ring->rules);
	free(ring->issuers);
	free(ring->audiences);
	free((void *)(uintptr_t)ring->text.ptr);
	free(ring);
}

static void make_rules(struct key_ring *ring, const struct written_jwt *jwt, struct slice type,
		       uint32_t n_workers)
{
	for (uint32_t i = 0; i < n_workers; i++)
		ring->rules[i] = (struct jwt_rules){
			.keys = (const struct jwt_key *const *)&ring->keys[i * jwt->n_keys],
			.n_keys = jwt->n_keys,
			.issuers = ring->issuers,
			.n_issuers = jwt->n_issuers,
			.audiences = ring->audiences,
			.n_audiences = jwt->n_audiences,
			.type = type,
			.skew_s = (uint32_t)(jwt->leeway_ns / GW_NS_PER_S),
			.exp_optional = !jwt->require_exp,
		};
}

/* Everything but the keys. 0 or -ENOMEM. */
static int lay_out(struct key_ring *ring, const struct written_jwt *jwt, uint32_t n_workers)
{
	size_t room = text_room(jwt);
	char *text = malloc(room);
	struct writer w = writer_make(text, text ? room : 0);
	struct slice type;

	ring->n_keys = n_workers * jwt->n_keys;
	ring->issuers = calloc(jwt->n_issuers + 1, sizeof(struct slice));
	ring->audiences = calloc(jwt->n_audiences + 1, sizeof(struct slice));
	ring->keys = calloc(ring->n_keys + 1, sizeof(ring->keys[0]));
	ring->rules = calloc(n_workers, sizeof(ring->rules[0]));
	ring->text = slice_make(text, 0);
	if (!text || !ring->issuers || !ring->audiences || !ring->keys || !ring->rules)
		return -ENOMEM;
	writer_u64(&w, jwt->leeway_ns / GW_NS_PER_S);
	writer_char(&w, jwt->require_exp ? 'e' : 'o');
	type = put(&w, jwt->type);
	put_list(&w, jwt->issuers, jwt->n_issuers, ring->issuers);
	put_list(&w, jwt->audiences, jwt->n_audiences, ring->audiences);
	put_keys(&w, jwt);
	GW_ASSERT(!w.overflow);
	ring->text = writer_slice(&w);
	make_rules(ring, jwt, type, n_workers);
	return 0;
}

/* *ret_key is the key that is wrong. */
static int make_ring(const struct written_jwt *jwt, uint32_t n_workers, char why[JWT_WHY_MAX],
		     uint32_t *ret_key, struct key_ring **ret_ring)
{
	struct key_ring *ring = calloc(1, sizeof(*ring));
	int r = ring ? lay_out(ring, jwt, n_workers) : -ENOMEM;

	*ret_key = jwt->n_keys;
	for (uint32_t i = 0; r == 0 && i < ring->n_keys; i++) {
		r = read_key(&jwt->keys[i % jwt->n_keys], why, &ring->keys[i]);
		if (r < 0)
			*ret_key = i % jwt->n_keys;
	}
	if (r == 0)
		r = jwt_rules_check(&ring->rules[0], why);
	if (r == 0)
		*ret_ring = ring;
	else
		free_ring(ring);
	return r;
}

int keyring_check(const struct written_jwt *jwt, char why[JWT_WHY_MAX], uint32_t *ret_key)
{
	struct key_ring *ring;
	int r = make_ring(jwt, 1, why, ret_key, &ring);

	if (r == 0)
		free_ring(ring);
	return r;
}

/* --- Holding them. --------------------------------------------------------------------------- */

static struct key_ring **place_of(struct keyring *k, struct slice text)
{
	struct key_ring **free_place = NULL;

	for (uint32_t i = 0; i < KEYRING_MAX; i++) {
		if (k->rings[i] && slice_eq(k->rings[i]->text, text))
			return &k->rings[i];
		if (!k->rings[i] && !free_place)
			free_place = &k->rings[i];
	}
	return free_place;
}

int keyring_take(struct keyring *k, const struct written_jwt *jwt, uint16_t *ret_ring)
{
	char why[JWT_WHY_MAX];
	struct key_ring *ring = NULL, **place;
	uint32_t key;
	int r = make_ring(jwt, k->n_workers, why, &key, &ring);

	GW_ASSERT(r != -EINVAL); /* It was checked when it was read. */
	if (r < 0)
		return r;
	GW_ASSERT(ring);
	(void)pthread_mutex_lock(&k->lock);
	place = place_of(k, ring->text);
	if (place && !*place) {
		ring->id = ++k->n_ids;
		*place = ring;
		ring = NULL;
	}
	if (place) {
		(*place)->n_holds++;
		*ret_ring = (uint16_t)(place - k->rings);
	}
	(void)pthread_mutex_unlock(&k->lock);
	free_ring(ring);
	return place ? 0 : -ENOSPC;
}

void keyring_drop(struct keyring *keyring, uint16_t ring)
{
	struct key_ring **place = &keyring->rings[ring], *over = NULL;

	GW_ASSERT(ring < KEYRING_MAX);
	(void)pthread_mutex_lock(&keyring->lock);
	GW_ASSERT(*place && (*place)->n_holds > 0);
	if (--(*place)->n_holds == 0) {
		over = *place;
		*place = NULL;
	}
	(void)pthread_mutex_unlock(&keyring->lock);
	free_ring(over);
}

void keyring_hold_table(struct keyring *k, const struct policy_table *table)
{
	(void)pthread_mutex_lock(&k->lock);
	for (uint32_t i = 0; i < table->auths.n; i++)
		if (table_auth(table, i)->by == POLICY_BY_JWT)
			k->rings[table_auth(table, i)->ring]->n_holds++;
	(void)pthread_mutex_unlock(&k->lock);
}

void keyring_drop_table(struct keyring *k, const struct policy_table *table)
{
	for (uint32_t i = 0; i < table->auths.n; i++)
		if (table_auth(table, i)->by == POLICY_BY_JWT)
			keyring_drop(k, table_auth(table, i)->ring);
}

const struct jwt_rules *keyring_rules(const struct keyring *keyring, uint16_t ring, uint32_t worker,
				      uint64_t *ret_id)
{
	GW_ASSERT(ring < KEYRING_MAX && keyring->rings[ring] && worker < keyring->n_workers);
	*ret_id = keyring->rings[ring]->id;
	return &keyring->rings[ring]->rules[worker];
}
