/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_client.h - the part of a table that says who may ask, and how often. Included by table.h.
 */
#pragma once

#include "policy/gcra.h"
#include "policy/table_service.h"

/* What has a bucket of its own under a rate limit. */
enum policy_limit_by {
	POLICY_BY_ALL,       /* Nothing: there is one bucket. */
	POLICY_BY_CLIENT_IP, /* IPv6 by /64. */
	POLICY_BY_HEADER,    /* A field's value; all without it share one. */
	POLICY_BY_ROUTE,
	POLICY_BY_SERVICE,
	POLICY_BY_CLAIM, /* Of the token, by which the route knows its client. */
	POLICY_N_LIMIT_BYS
};

struct policy_limit {
	uint8_t by;               /* enum policy_limit_by. */
	bool told;                /* Answers say what is left. */
	struct policy_part name;  /* Text. */
	struct policy_part field; /* Text: of BY_HEADER, BY_CLAIM. */
	uint64_t identity;        /* Stays as long as its name and what it goes by do. */
	struct gcra_rule rule;
};

/* Do all clients of a route draw from one bucket? */
static inline bool policy_limit_is_shared(uint8_t by)
{
	return by == POLICY_BY_ALL || by == POLICY_BY_ROUTE || by == POLICY_BY_SERVICE;
}

enum policy_auth_by { POLICY_BY_JWT, POLICY_BY_API_KEY, POLICY_BY_CERTIFICATE, POLICY_N_AUTH_BYS };

/* A claim that is of use, with the field that tells it to the service; or without. */
struct policy_claim {
	struct policy_part name;   /* Text. */
	struct policy_part header; /* Text; or empty. */
};

/* A client that is known by the SHA-256 of its key. */
struct policy_client {
	uint8_t sha256[32];
	struct policy_part name; /* Text. */
};

/* Who may ask. */
struct policy_auth {
	uint8_t by;    /* enum policy_auth_by. */
	uint16_t ring; /* BY_JWT: what its tokens are judged by, in the keyring (keyring.h). */
	struct policy_part name;         /* Text. */
	struct policy_part claims;       /* BY_JWT: struct policy_claim. */
	struct policy_part header;       /* BY_API_KEY: text, */
	struct policy_part name_header;  /* the same, or empty; */
	struct policy_part clients;      /* struct policy_client, sorted. */
	struct policy_part certificates; /* BY_CERTIFICATE: struct policy_part, texts of SHA-256 */
	struct policy_part subjects;     /* and of names, */
	struct policy_part sans;         /* and of alternative ones, sorted (san.h). */
};
