/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_policy.h - the policy of a gateway that was given upstreams instead of one: one
 * service of all upstreams, and one route to it.
 *
 * Ownership: the draft points into the structure and into both configurations.
 */
#pragma once

#include "core/server/config.h"
#include "policy/draft.h"
#include "ring/ring_net.h"

struct plain_policy {
	struct policy_draft draft;
	struct draft_service service;
	struct draft_route route;
	struct draft_endpoint endpoints[CONFIG_UPSTREAMS_MAX];
	char authorities[CONFIG_UPSTREAMS_MAX][POLICY_HOST_TEXT_MAX + 16];
};

struct plain_policy_options {
	const struct config *first; /* What this process began with: its upstreams stay. */
	const struct config *now;   /* What may change: all else. */
	/* The built-in origin, where there is no upstream; or NULL: requests are answered 503. */
	const struct ring_addr *demo;
	uint32_t n_workers;
	uint32_t generation;
};

/* "host:port", "[v6]:port" or "unix:/path" of a URL: for logs, and to parse it as an address. */
struct slice plain_policy_authority(const struct form_url *url,
				    char text[POLICY_HOST_TEXT_MAX + 16]);

void plain_policy_make(const struct plain_policy_options *opt, struct plain_policy *ret_policy);
