/* SPDX-License-Identifier: Apache-2.0 */
/* tls_credentials_private.h - what a server makes its contexts of: tls_server.c. */
#pragma once

#include "core/crypto/tls_private.h"

#include "core/crypto/tls_clients.h"
#include "core/crypto/tls_credentials.h"
#include "core/crypto/tls_files.h"
#include "core/crypto/tls_names.h"
#include "core/crypto/tls_tickets.h"

struct tls_known_entry {
	struct tls_shown shown;
	struct tls_clients clients;
	bool narrowed;               /* To some of its certificate's names: no addresses. */
	char name[TLS_NAME_MAX + 1]; /* The first of its names. */
	uint8_t id[20];              /* Tells its sessions from those of the others. */
};

struct tls_credentials {
	struct tls_names names;
	bool least_1_3, strict_names;
	bool asks;             /* At least one entry does. */
	uint8_t protocols[16]; /* As in ALPN: each with its length in front. */
	uint32_t protocols_len;
	struct tls_tickets *tickets;
	uint32_t n_entries;
	struct tls_known_entry entries[];
};
