/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_tickets.h - the keys that session tickets are sealed with, shared by all workers.
 *
 * A new key takes over every rotation; tickets of the one before are still taken
 * and then renewed, older ones lead to a full handshake. So a stolen key opens
 * the sessions of two rotations at most.
 *
 * Threads: one rotates, any seal and open.
 */
#pragma once

#include "core/crypto/tls_private.h"

struct tls_tickets;

/* 0 or -ENOMEM. */
GW_MUST_USE int tls_tickets_create(struct tls_tickets **ret_tickets);
void tls_tickets_free(struct tls_tickets *tickets);

/* Take a new key. Not again within the time that a callback takes: it frees the keys before last. */
GW_MUST_USE int tls_tickets_renew(struct tls_tickets *tickets);

/* Have a context seal and open its tickets with them. They outlive it. */
GW_MUST_USE bool tls_tickets_use(struct tls_tickets *tickets, SSL_CTX *ctx);
