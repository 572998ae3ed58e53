/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - the rate limits of a route, taken for a request.
 *
 * Buckets belong to all workers: those of clients' keys (policy/rate_table.h), and those that all
 * clients draw from, of which a worker has leases (leases.h). Limits are tried in the order of the
 * policy; what an earlier one gave is given back when a later one refuses.
 *
 * Threads: the worker's.
 */
#pragma once

#include "core/base/hash.h"
#include "core/base/writer.h"
#include "core/http/head.h"
#include "core/proxy/leases.h"
#include "core/proxy/peer.h"
#include "policy/table.h"

struct auth_client;
struct proxy;

/* The buckets, of all workers. */
struct limits_shared;

/*
 * Buckets for about half as many keys as n_cells, a power of two (rate_table.h); 'key' is secret.
 * 0 or -ENOMEM. Outlives the workers.
 */
GW_MUST_USE int limits_create(uint64_t n_cells, uint32_t n_workers, struct hash_key key,
			      struct limits_shared **ret_shared);
void limits_destroy(struct limits_shared *shared);

/* The part that workers have leases of; NULL of NULL. */
struct leases_shared *limits_leases(const struct limits_shared *shared);

struct limits_request {
	const struct policy_table *table;
	const struct policy_route *route;
	const struct http_head *head;
	const struct peer *client;       /* Whom trusted proxies forward for, or the peer. */
	const struct auth_client *known; /* Who it is: not for the first ones. */
};

/* What a request has been given so far. Zeroed at first. */
struct limits_taken {
	uint8_t set;     /* Bit i: the route's i-th limit has given a token. */
	uint8_t refused; /* i + 1: that one has not; 0: none. */
	uint64_t tags[POLICY_ROUTE_LIMITS_MAX];
};

/*
 * The first ones go by what a client is before it is known who it is: its address, a field. The
 * others are asked behind that, so that nobody drains a route's bucket with bad tokens.
 * True: all have given a token. False: wait so many seconds, and nothing is taken. Lines for
 * the answer go to 'out', as many as fit.
 */
bool limits_take(struct proxy *proxy, const struct limits_request *request, bool first,
		 struct limits_taken *taken, struct writer *out, uint32_t *ret_retry_s);

/* What they have given so far is not taken: the request is refused, or asks again. */
void limits_give_back(struct proxy *proxy, const struct limits_request *request,
		      struct limits_taken *taken);

/* A number that stands for the client, the same on all workers. */
uint64_t limits_client(const struct proxy *proxy, const struct peer *client);

/*
 * A client may show 100 bad tokens at once, and 20 each second; is another one looked at? By
 * address, as all limits by client_ip. Threads: any.
 */
bool limits_may_fail(const struct limits_shared *shared, const struct peer *client,
		     uint64_t now_ns);
void limits_failed(struct proxy *proxy, const struct peer *client);

/*
 * Of the route's i-th limit, what the request would be told if it came now; nothing is taken. What
 * workers hold of a bucket that everybody draws from counts as used. Threads: any.
 */
void limits_look(const struct limits_shared *shared, const struct limits_request *request,
		 uint32_t i, uint64_t now_ns, struct gcra_answer *ret_answer);

/* Is it among those that are asked before it is known who asks? */
bool limits_is_first(const struct policy_limit *limit);

/* The field's value when it is there once, and empty: by what BY_HEADER goes. */
struct slice limits_field(const struct http_head *head, struct slice name);
