/* SPDX-License-Identifier: Apache-2.0 */
/*
 * question.h - what is asked of a head before there is a route: by the gateway, and of the policy.
 *
 * Pure. Threads: any.
 */
#pragma once

#include "core/http/head.h"
#include "policy/decide.h"

struct proxy_options;

/* For the health path, which is answered here. */
bool question_is_health(const struct proxy_options *options, const struct http_head *head);

/* OPTIONS that are meant for us: for no resource, or not to go any further (RFC 9110 7.6.2). */
bool question_is_ours(const struct http_head *head);

/* Lent from the head. */
struct policy_request question_of(const struct http_head *head);

enum { QUESTION_ALLOW_MAX = 540 };

/*
 * What a refusal says of a request that the policy has no route for: "allow" with METHOD_NOT_ALLOWED,
 * else nothing.
 */
struct slice question_allow(const struct policy_table *table, const struct policy_request *request,
			    char text[QUESTION_ALLOW_MAX]);
