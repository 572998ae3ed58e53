/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.h - what a proxy says about itself and its client in a forwarded request.
 *
 * X-Forwarded-*, Forwarded and X-Real-IP of strangers are dropped and ours set;
 * those of a trusted proxy are kept and appended to. X-Request-Id is kept when
 * it is harmless, else made. X-Client-Cert-* says who a client has proved to be
 * by its certificate, and is believed of trusted proxies only. Via gets our name (RFC 9110 7.6.3), and a request
 * that has it already is in a loop.
 *
 * Threads: pure but for the proxy's own state (random numbers, metrics).
 */
#pragma once

#include "core/base/writer.h"
#include "core/http/head.h"
#include "core/proxy/peer.h"

struct listener;
struct proxy;
struct tls_identity;

enum { FORWARD_ID_MAX = 64 };

struct forward_client {
	const struct peer *peer;
	const struct tls_identity *identity; /* Of its certificate; NULL: it has shown none. */
	struct slice san; /* By which the policy knows it; empty: by another thing, or not. */
	bool trusted;
	bool secure; /* It speaks TLS to us. */
	bool h2;
};

/*
 * Marks fields of 'head' as dropped and appends the lines to add to 'out'. The
 * request's id, given or made, goes to 'id' (its length is returned).
 */
size_t forward_request(struct proxy *proxy, struct http_head *head,
		       const struct forward_client *client, struct writer *out,
		       char id[FORWARD_ID_MAX]);

/*
 * Whom trusted proxies forward for: the last address of X-Forwarded-For that is none of theirs, as
 * far as it can be read; of a stranger the peer itself.
 */
struct peer forward_source(const struct http_head *head, const struct peer *peer,
			   const struct listener *listener);

/* Our own name is in Via: somebody sends our requests back to us. */
bool forward_is_loop(const struct proxy *proxy, const struct http_head *head);
