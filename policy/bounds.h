/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bounds.h - how much of everything a policy may have.
 */
#pragma once

enum {
	POLICY_SERVICES_MAX = 1024,
	POLICY_ENDPOINTS_MAX = 4096,       /* In all services. */
	POLICY_SERVICE_ENDPOINTS_MAX = 64, /* In one. */
	POLICY_ROUTES_MAX = 60000,
	POLICY_PLACE_ROUTES_MAX = 64, /* Of one host and path: they are tried one by one. */
	POLICY_ADDRS_MAX = 8,         /* Addresses one name may stand for. */
	POLICY_NAME_MAX = 64,
	POLICY_HOST_TEXT_MAX = 255,
	POLICY_SERVER_NAME_MAX = 253,
	POLICY_PATH_MAX = 1024,   /* Bytes of a path in a route. */
	POLICY_SEGMENTS_MAX = 31, /* In a prefix. */
	POLICY_METHODS_MAX = 16,  /* Of a route, */
	POLICY_HEADERS_MAX = 8,   /* and fields that must be equal. */
	POLICY_TRUSTS_MAX = 1,
	POLICY_RULES_MAX = 32,       /* Fields in one list of a route's rules, */
	POLICY_VALUE_MAX = 1024,     /* bytes of a field's value in them, */
	POLICY_RESPONSE_MAX = 1024,  /* and bytes that they come to for a response. */
	POLICY_LIMITS_MAX = 256,     /* Rate limits, */
	POLICY_ROUTE_LIMITS_MAX = 8, /* and those of one route; */
	/* buckets that all clients draw from: never more than routes have limits. */
	POLICY_BUCKETS_MAX = POLICY_ROUTES_MAX * POLICY_ROUTE_LIMITS_MAX,
	POLICY_AUTHS_MAX = 128,     /* Ways to be asked who one is; of one of them: */
	POLICY_KEYS_MAX = 32,       /* keys, issuers, audiences, */
	POLICY_KEY_MAX = 8192,      /* bytes of a key as it is written, */
	POLICY_CLAIMS_MAX = 8,      /* claims that are told, */
	POLICY_API_KEYS_MAX = 4096, /* clients that are known by a key or a certificate, */
	POLICY_SAN_MAX = 2052,      /* bytes of a certificate's name: "uri:" and an id of SPIFFE. */
	POLICY_SCOPES_MAX = 8,      /* Of a route. */
	POLICY_ANSWER_MAX = 16 * 1024, /* Bytes of an answer that a route gives by itself. */
};
