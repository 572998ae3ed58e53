/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide.h - the policy seam: one question per request, one value for an answer.
 *
 * The verdict is a value. Everything that later phases and retries need is
 * copied into it when the head is judged; no pointer into the table leaves this
 * call, and no later phase asks the table again: one request, one generation.
 *
 * Pure: no descriptor, no clock, no allocation. Threads: the worker whose table it is.
 */
#pragma once

#include "core/base/reason.h"
#include "core/base/slice.h"
#include "policy/table.h"

/* What is known about a request when its head has been checked. Lent for the call. */
struct policy_request {
	struct slice method;
	struct slice host;       /* Canonical; empty when an HTTP/1.0 client named none. */
	struct slice path;       /* Canonical. */
	uint64_t content_length; /* Declared; 0 when none or not known. */
	/* Does the head have the field, once? Its name is in lower case. NULL: it has none. */
	bool (*field)(const void *head, struct slice name, struct slice *ret_value);
	const void *head;
};

enum verdict_kind {
	VERDICT_FORWARD,
	VERDICT_REFUSE,
	VERDICT_ANSWER,   /* The route answers by itself. */
	VERDICT_PREFLIGHT /* A question of CORS, which the route answers. */
};

struct verdict {
	uint8_t kind;
	bool retry;
	uint8_t upgrades; /* enum policy_upgrade bits that are allowed. */
	uint16_t status;  /* VERDICT_REFUSE: what to answer, */
	uint16_t reason;  /* enum reason, */
	uint32_t generation;
	uint32_t index; /* The route's in the table that was asked; or POLICY_NO_ROUTE. Of use only
			   * until the handler returns that asked. */
	uint16_t route; /* Slots, unless REFUSE; */
	uint16_t service;  /* VERDICT_FORWARD. */
	uint64_t max_body; /* VERDICT_FORWARD: bounds. */
	struct policy_timeouts timeouts;
};

_Static_assert(sizeof(struct verdict) <= 1024, "a verdict is copied into each request");

struct verdict policy_decide(const struct policy_table *table,
			     const struct policy_request *request);

#define POLICY_NO_ROUTE UINT32_MAX

#define POLICY_LOAD_NONE UINT32_MAX /* "Not now": ejected, unresolved, out of room. */

/*
 * Two random choices on requests in flight: of two endpoints picked by 'dice'
 * (any 64 random bits) the one with less load. 'loads' has one entry per
 * endpoint slot of a service. 'avoid' (or -1) is passed over when there is
 * another. -1 when none may take it.
 */
int32_t policy_choose(const uint32_t *loads, uint16_t n_loads, uint64_t dice, int32_t avoid);
