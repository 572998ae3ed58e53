/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_route.h - the part of a table that says which request takes a route, and what becomes of it. Included by
 * table.h.
 */
#pragma once

#include "policy/table_service.h"

/* Protocols that a route may let a connection be turned into: bits of policy_route.upgrades. */
enum policy_upgrade { POLICY_UPGRADE_WEBSOCKET = 1 };

/* A field that a request must have. */
struct policy_field {
	struct policy_part name;  /* Text, lower case. */
	struct policy_part value; /* Text. */
};

/* What becomes of fields: these names go, then these lines come. */
struct policy_rules {
	struct policy_part drops; /* Text: names in lower case, a '\n' behind each. */
	struct policy_part lines; /* Template (template.h). */
};

struct policy_cookies {
	struct policy_part names; /* struct policy_part, each a text. */
	uint32_t max;             /* Bytes of all of them; 0: no limit. */
	bool allow;               /* Only the names pass; else all but the names. */
};

/* Another origin's pages (https://fetch.spec.whatwg.org, "CORS protocol"). */
struct policy_cors {
	struct policy_part origins;   /* struct policy_part, each a text. None: no CORS. */
	struct policy_part lines;     /* Template: with an answer to an origin that is allowed, */
	struct policy_part preflight; /* and what an answer to a preflight says besides. */
};

/* Instead of a service's. */
struct policy_answer {
	uint16_t status;             /* 0: the service answers. */
	struct policy_part location; /* Template; empty: no redirect. */
	struct policy_part type;     /* Text. */
	struct policy_part body;     /* Bytes. */
};

/* What a route does with requests and answers besides passing them on. */
struct policy_handling {
	struct policy_rules request, response;
	struct policy_part host; /* Text, in place of the request's; or empty. */
	struct policy_part path; /* Template, the same. */
	struct policy_cookies cookies;
	struct policy_cors cors;
	struct policy_answer answer;
};

#define POLICY_NO_SERVICE UINT16_MAX
#define POLICY_NO_BUCKET  UINT32_MAX

/* A limit that a route is under. When all clients draw from one bucket (limit_buckets.h): */
struct policy_route_limit {
	uint32_t limit;  /* Index in the table's. */
	uint32_t bucket; /* Its number; else NO_BUCKET. */
	uint32_t since;  /* The generation that gave it: before, it was somebody else's. */
};

struct policy_route {
	uint16_t slot;
	uint16_t service;           /* Slot; NO_SERVICE: it answers by itself. */
	uint16_t auth;              /* 1 + index; 0: everybody may ask. */
	uint16_t prefix_len;        /* Of a path, what is matched and is not 'rest'. */
	struct policy_part name;    /* Text. */
	struct policy_part methods; /* struct policy_part, each a text. None: any method. */
	struct policy_part fields;  /* struct policy_field: all must be there. */
	uint64_t max_body;          /* Bytes; UINT64_MAX is no limit. */
	bool retry;                 /* One retry on a dead reused connection. */
	uint8_t upgrades; /* enum policy_upgrade bits; what is not there is not passed on. */
	struct policy_part handling; /* struct policy_handling: one, or none. */
	struct policy_part limits;   /* struct policy_route_limit. */
	struct policy_part scopes;   /* struct policy_part, each a text: all are needed. */
};
