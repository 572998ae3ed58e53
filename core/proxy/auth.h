/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.h - may this client take this route? By its token, its key or its certificate.
 *
 * A signature is checked on the worker, once: the verdict is kept until the token expires, a minute
 * at most, or until another policy comes. What a good token says and is of use (its scopes, the
 * claims that are told or limited by) is kept with it as a few bytes, the facts, so that no other
 * request looks into the token. A client that shows many bad ones is not looked at for a while;
 * when many new ones come at once, they wait for their turn (turns.h), and others do not.
 *
 * Threads: the worker's.
 */
#pragma once

#include "core/base/reason.h"
#include "core/base/writer.h"
#include "core/crypto/jwt_cache.h"
#include "core/http/head.h"
#include "core/proxy/peer.h"
#include "core/proxy/turns.h"
#include "policy/table.h"

struct proxy;
struct tls_identity;

enum { AUTH_FACTS_MAX = 8192 };

/* A worker's own. */
struct auth {
	struct digest *digest; /* NULL, and the next: nobody is ever asked who it is. */
	struct jwt_cache *cache;
	struct jwt jwt; /* The one that is being looked at. */
	char facts[AUTH_FACTS_MAX];
};

/* 0 or -ENOMEM. */
GW_MUST_USE int auth_init(struct auth *auth);
void auth_fini(struct auth *auth);

struct auth_request {
	const struct policy_table *table;
	const struct policy_route *route;
	const struct http_head *head;
	const struct tls_identity *identity; /* Of the client's certificate; NULL: none. */
	const struct peer *client;
	struct turn *turn; /* Waits when a signature cannot be checked at once; NULL: it can. */
};

/* Who it is. Good while the request is judged. */
struct auth_client {
	const struct policy_auth *by; /* NULL: nobody was asked. */
	struct slice name;            /* Of an API key. */
	struct slice san;             /* Of a certificate; empty: none that the policy names. */
	struct slice facts;           /* Of a token. */
};

/*
 * True: *ret_reason is REASON_NONE, it may; else why not. False: nothing is known yet, and the
 * turn waits (proxy.tokens): ask again, without one, when it comes.
 */
GW_MUST_USE bool auth_judge(struct proxy *proxy, const struct auth_request *request,
			    struct auth_client *ret_client, enum reason *ret_reason);

/*
 * The same for who only asks what it would be, at once: with scratch of its own, and nothing is
 * counted or kept. For any thread.
 */
struct keyring;
enum reason auth_look(struct auth *scratch, const struct keyring *keyring,
		      const struct auth_request *request, struct auth_client *ret_client);

/*
 * What the service is told, and no client can say, on whatever route: fields by which any of the
 * policy's auths tells who asks go, lines come.
 */
void auth_tell(const struct policy_table *table, const struct auth_client *client,
	       struct http_head *head, struct writer *extra);

/* A claim of the client's token; empty: it has none. */
struct slice auth_claim(const struct policy_table *table, const struct auth_client *client,
			struct slice name);

/* The line of a refusal that says what would have been needed (RFC 6750 3), or nothing. */
void auth_challenge(const struct auth_request *request, enum reason reason, struct writer *out);
