/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certs.h - the certificates of all listeners, as files on a disk and as what workers show.
 *
 * Read at the start and on every reload, by the thread that may wait for a disk; a reload
 * whose files are not sound is refused and the old ones go on serving. Each worker has a
 * server of its own for each listener that speaks TLS. Connections keep what they began
 * with, so certs may go when no connection is open on them.
 *
 * Threads: the control thread's; each server is its worker's.
 */
#pragma once

#include "core/crypto/tls_server.h"
#include "core/document/report.h"
#include "core/server/config.h"

struct certs {
	uint32_t n_listeners;
	uint32_t n_workers;                   /* Of certs_serve(). */
	struct tls_credentials **credentials; /* By listener; NULL: in the clear. */
	struct tls_server **servers;          /* By worker, then by listener. */
};

/* 0 with NULL when no listener speaks TLS; -EINVAL and rep says what is wrong; or -ENOMEM. */
GW_MUST_USE int certs_read(const struct config *config, struct report *rep,
			   struct certs **ret_certs);

/* Make the workers' servers. 0 or -ENOMEM. */
GW_MUST_USE int certs_serve(struct certs *certs, uint32_t n_workers);

/* The servers of one worker, by listener. */
static inline struct tls_server **certs_of_worker(const struct certs *certs, uint32_t worker)
{
	GW_ASSERT(worker < certs->n_workers);
	return certs->servers + (size_t)worker * certs->n_listeners;
}

/* New keys for session tickets, on all listeners; what cannot be renewed now stays as it is. */
void certs_renew_tickets(const struct certs *certs);

/* No connection is open on any of the servers. */
bool certs_are_idle(const struct certs *certs);
void certs_free(struct certs *certs);
