/* SPDX-License-Identifier: Apache-2.0 */
/* Which policy is in force, and how it comes to the workers. */
#include <errno.h>
#include <stdlib.h>

#include "core/server/plain_policy.h"
#include "core/server/server_private.h"

int server_apply_policy(struct server *s)
{
	struct plain_policy_options opt = {
		.first = s->first->config,
		.now = s->settings->config,
		.demo = s->origin ? origin_addr(s->origin) : NULL,
		.n_workers = s->n_workers,
		.generation = s->generation + 1,
	};
	struct plain_policy *policy = malloc(sizeof(*policy)); /* Large for a stack. */
	int r;

	if (!policy)
		return -ENOMEM;
	plain_policy_make(&opt, policy);
	r = targets_apply(s->targets, &policy->draft);
	if (r == 0)
		s->generation = opt.generation;
	free(policy);
	return r;
}
