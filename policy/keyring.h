/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring.h - what tokens are judged by: keys, which a table cannot hold.
 *
 * A table is bytes; a key is an object of OpenSSL's. So a table names a ring by its place here, as
 * a service names its trust, and every table that is alive holds its rings. A ring never changes:
 * other keys, issuers or audiences are another ring, with an id that was never used before, and
 * what was found out about a token under one says nothing under another.
 *
 * Each worker has keys of its own in a ring (jwt_key.h says why).
 *
 * Ownership: a hold is given back by a drop; the last one frees the ring.
 * Threads: rings are found by any; all else is the publishers', who may be several.
 */
#pragma once

#include "core/crypto/jwt.h"
#include "policy/schema.h"
#include "policy/table.h"

enum { KEYRING_MAX = 1024 }; /* Rings, of all tables that are alive. */

struct keyring;

/* 0 or -ENOMEM. */
GW_MUST_USE int keyring_create(uint32_t n_workers, struct keyring **ret_keyring);
/* Nothing is held any more. */
void keyring_destroy(struct keyring *keyring);

/*
 * Are its keys good, and can each token be told whose it is? 0; -EINVAL: why[], and *ret_key is
 * the index of the key, or n_keys when it is no single one's fault; or -ENOMEM.
 */
GW_MUST_USE int keyring_check(const struct written_jwt *jwt, char why[JWT_WHY_MAX],
			      uint32_t *ret_key);

/*
 * The ring of what was checked, held once more: the one that is there already for the very same
 * text, or a new one. 0; -ENOMEM; or -ENOSPC.
 */
GW_MUST_USE int keyring_take(struct keyring *keyring, const struct written_jwt *jwt,
			     uint16_t *ret_ring);
void keyring_drop(struct keyring *keyring, uint16_t ring);

/* All that a table names. */
void keyring_hold_table(struct keyring *keyring, const struct policy_table *table);
void keyring_drop_table(struct keyring *keyring, const struct policy_table *table);

/* Worker: the rules of a ring that its table names, and their id. */
const struct jwt_rules *keyring_rules(const struct keyring *keyring, uint16_t ring, uint32_t worker,
				      uint64_t *ret_id);
