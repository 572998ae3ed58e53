/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/tls_tickets.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct ticket_key {
	unsigned char name[16]; /* In front of each ticket, as it is. */
	unsigned char aes[32];
	unsigned char hmac[32];
};

/* The newest first; immutable once it is shown. */
struct ticket_keys {
	struct ticket_key key[2];
	uint32_t n;
};

struct tls_tickets {
	_Atomic(struct ticket_keys *) keys;
	struct ticket_keys *before; /* Of the last rotation: some thread may still look at them. */
};

static void forget(struct ticket_keys *keys)
{
	if (keys)
		OPENSSL_cleanse(keys, sizeof(*keys));
	free(keys);
}

int tls_tickets_renew(struct tls_tickets *tickets)
{
	struct ticket_keys *now = atomic_load_explicit(&tickets->keys, memory_order_relaxed);
	struct ticket_keys *next = calloc(1, sizeof(*next));

	if (!next || RAND_priv_bytes((unsigned char *)&next->key[0], sizeof(next->key[0])) != 1) {
		free(next);
		return -ENOMEM;
	}
	next->n = 1;
	if (now)
		next->key[next->n++] = now->key[0];
	forget(tickets->before);
	tickets->before = now;
	atomic_store_explicit(&tickets->keys, next, memory_order_release);
	return 0;
}

int tls_tickets_create(struct tls_tickets **ret_tickets)
{
	struct tls_tickets *tickets = calloc(1, sizeof(*tickets));

	if (!tickets || tls_tickets_renew(tickets) < 0) {
		free(tickets);
		return -ENOMEM;
	}
	*ret_tickets = tickets;
	return 0;
}

void tls_tickets_free(struct tls_tickets *tickets)
{
	if (!tickets)
		return;
	forget(tickets->before);
	forget(atomic_load_explicit(&tickets->keys, memory_order_relaxed));
	free(tickets);
}

static bool set_mac(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->hmac,
						  sizeof(key->hmac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params);
}

static int seal(const struct ticket_key *key, unsigned char *name, unsigned char *iv,
		EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
		return -1;
	memcpy(name, key->name, sizeof(key->name));
	return EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes, iv) &&
			       set_mac(mac, key)
		       ? 1
		       : -1;
}

static int unseal(const struct ticket_key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
		  EVP_MAC_CTX *mac)
{
	return set_mac(mac, key) &&
	       EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes, iv);
}

static unsigned int tickets_index(void)
{
	static _Atomic int index = -1;
	int now = atomic_load(&index);

	if (now >= 0)
		return (unsigned int)now;
	now = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	GW_ASSERT(now >= 0);
	atomic_store(&index, now);
	return (unsigned int)now;
}

/* -1: an error. 0: no ticket of ours, a full handshake follows. 1: fine. 2: fine, but renew it. */
static int chosen(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		  EVP_MAC_CTX *mac, int sealing)
{
	const SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);
	struct tls_tickets *tickets = SSL_CTX_get_ex_data(ctx, (int)tickets_index());
	const struct ticket_keys *keys = atomic_load_explicit(&tickets->keys, memory_order_acquire);

	if (sealing)
		return seal(&keys->key[0], name, iv, cipher, mac);
	for (uint32_t i = 0; i < keys->n; i++)
		if (memcmp(name, keys->key[i].name, sizeof(keys->key[i].name)) == 0)
			return unseal(&keys->key[i], iv, cipher, mac) ? 1 + (i > 0) : -1;
	return 0;
}

bool tls_tickets_use(struct tls_tickets *tickets, SSL_CTX *ctx)
{
	return SSL_CTX_set_ex_data(ctx, (int)tickets_index(), tickets) &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, chosen);
}
