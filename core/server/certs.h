/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certs.h - the certificates of all listeners, and who is believed to be an upstream: as files on
 * a disk, and as what workers use.
 *
 * Read at the start and on every reload, by the thread that may wait for a disk; a reload
 * whose files are not sound is refused and the old ones go on serving. Each worker has a
 * server of its own for each listener that speaks TLS, and a client of its own for each
 * trust. Connections keep what they began with, so certs may go when no connection is open
 * on them.
 *
 * A policy table has no pointers and outlives a reload: it names a trust by its slot here
 * (policy_service.trust), and a worker finds the client in the certs that it uses at present.
 * Today there is one, made of upstream_tls.
 *
 * Threads: the control thread's; each server and client is its worker's.
 */
#pragma once

#include "core/crypto/tls_client.h"
#include "core/crypto/tls_server.h"
#include "core/document/report.h"
#include "core/server/config.h"
#include "policy/table.h"

enum { CERTS_UPSTREAM_TRUST = 0 };

struct certs {
	uint32_t n_listeners;
	uint32_t n_workers;                   /* Of certs_serve(). */
	struct tls_credentials **credentials; /* By listener; NULL: in the clear. */
	struct tls_server **servers;          /* By worker, then by listener. */
	uint32_t n_trusts;                    /* 0: no upstream speaks TLS. */
	struct tls_trust *trusts[POLICY_TRUSTS_MAX];
	struct tls_client **clients; /* By worker, then by trust. */
};

/*
 * 0 with NULL when nobody speaks TLS; -EINVAL and rep says what is wrong; or -ENOMEM. A system
 * without authorities is wrong if an upstream of 'config' needs one, or a service of the policy
 * in force ('policy_tls'); else a policy may be pushed that does (certs_trust_nobody()).
 */
GW_MUST_USE int certs_read(const struct config *config, bool policy_tls, struct report *rep,
			   struct certs **ret_certs);

/* Make the workers' servers and clients. 0 or -ENOMEM. */
GW_MUST_USE int certs_serve(struct certs *certs, uint32_t n_workers);

/* The servers of one worker, by listener. */
static inline struct tls_server **certs_of_worker(const struct certs *certs, uint32_t worker)
{
	GW_ASSERT(worker < certs->n_workers);
	return certs->servers + (size_t)worker * certs->n_listeners;
}

static inline struct tls_client **certs_clients_of_worker(const struct certs *certs,
							  uint32_t worker)
{
	GW_ASSERT(worker < certs->n_workers);
	return certs->clients + (size_t)worker * certs->n_trusts;
}

/* A listener speaks TLS. */
bool certs_have_listeners(const struct certs *certs);
/* Upstreams speak TLS, and whoever answers there is believed. */
bool certs_believe_anybody(const struct certs *certs);
/* No upstream that speaks TLS can pass: there are no authorities to vouch for it. */
bool certs_trust_nobody(const struct certs *certs);

/* New keys for session tickets, on all listeners; what cannot be renewed now stays as it is. */
void certs_renew_tickets(const struct certs *certs);

/* No connection is open on any of them. */
bool certs_are_idle(const struct certs *certs);
void certs_free(struct certs *certs);
