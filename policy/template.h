/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.h - text with places for what is known of a request: "https://${host}${path}".
 *
 * Written, a place is "${name}". Compiled, it is one byte that no text from outside can
 * have, so that filling it in is one pass over bytes. What is filled in comes from a checked
 * head or from the policy and holds no CR, LF or NUL.
 *
 * Pure. Threads: any.
 */
#pragma once

#include "core/base/slice.h"
#include "core/base/writer.h"

/* X(ID, "name", most bytes of its value; 0: as long as a request's target) */
/* clang-format off */
#define TEMPLATE_VARIABLES(X) \
	X(CLIENT_IP,  "client_ip",  45)  \
	X(HOST,       "host",       TEMPLATE_HOST_MAX) /* As the client wrote it, with its port. */ \
	X(SCHEME,     "scheme",     5)   \
	X(METHOD,     "method",     32)  \
	X(PATH,       "path",       0)   /* Canonical. */ \
	X(QUERY,      "query",      0)   /* With its '?', or empty. */ \
	X(REST,       "rest",       0)   /* The path behind the route's prefix. */ \
	X(ROUTE,      "route",      64)  \
	X(SERVICE,    "service",    64)  \
	X(REQUEST_ID, "request_id", 64) \
	X(ORIGIN,     "origin",     255) /* Of CORS, when it is allowed; not for operators. */ \
	X(STRICT,     "strict",     16)  /* max-age of HSTS, over TLS; the same. */
/* clang-format on */

enum { TEMPLATE_HOST_MAX = 261 };

enum template_variable {
#define X(id, name, max) TEMPLATE_##id,
	TEMPLATE_VARIABLES(X)
#undef X
		TEMPLATE_N
};

#define TEMPLATE_BIT(id) (1u << TEMPLATE_##id)

/* What may be told of in fields of a request, in fields of a response, in a target, a path. */
#define TEMPLATE_IN_RESPONSE                                                                       \
	(TEMPLATE_BIT(CLIENT_IP) | TEMPLATE_BIT(HOST) | TEMPLATE_BIT(SCHEME) |                     \
	 TEMPLATE_BIT(ROUTE) | TEMPLATE_BIT(SERVICE) | TEMPLATE_BIT(REQUEST_ID))
#define TEMPLATE_IN_REQUEST                                                                        \
	(TEMPLATE_IN_RESPONSE | TEMPLATE_BIT(METHOD) | TEMPLATE_BIT(PATH) | TEMPLATE_BIT(QUERY))
#define TEMPLATE_IN_TARGET                                                                         \
	(TEMPLATE_BIT(HOST) | TEMPLATE_BIT(SCHEME) | TEMPLATE_BIT(PATH) | TEMPLATE_BIT(QUERY) |    \
	 TEMPLATE_BIT(REST))
#define TEMPLATE_IN_PATH (TEMPLATE_BIT(PATH) | TEMPLATE_BIT(REST))

/* 0; -EINVAL when a "${" is no place for one of 'allowed' (TEMPLATE_BIT() bits). */
GW_MUST_USE int template_check(struct slice written, uint32_t allowed);

/* Compiled, from what passed the check with all bits. */
void template_compile(struct writer *out, struct slice written);

/* The place of one variable, for templates that are made here and not written. */
char template_mark(enum template_variable variable);

/* The most bytes that it can become; UINT32_MAX: as long as a target. */
uint32_t template_most(struct slice compiled);

/* 'values' has one for each variable; an unknown one is empty. */
void template_fill(struct writer *out, struct slice compiled, const struct slice *values);

/*
 * The same for complete lines of fields. A line whose place stays empty is left out: a field
 * that says nothing would say that there is nothing.
 */
void template_fill_lines(struct writer *out, struct slice compiled, const struct slice *values);
