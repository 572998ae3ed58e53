/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gwtool_manager.h - the article's configuration manager without its wire: what is asked of it, it
 * asks the daemon.
 *
 * A policy that is pushed is read twice: here, for the line and column of what is wrong, and by
 * the daemon, whose verdict counts.
 *
 * Ownership: answers are the caller's. Threads: any, at the same time; pushes take turns, which
 * bounds the memory that their documents take, and keeps them from making each other stale.
 */
#pragma once

#include <pthread.h>

#include "core/base/slice.h"
#include "tools/gwtool_answer.h"

enum { GWTOOL_BODY_MAX = 8 << 20 };

struct gwtool_manager {
	const char *socket; /* NULL: the usual place. */
	pthread_mutex_t turn;
};

typedef void gwtool_manager_fn(struct gwtool_manager *m, struct slice body,
			       struct gwtool_answer *answer);

/* {"status": "ok"}, or 503. */
gwtool_manager_fn gwtool_manager_health;
/* {generation, policy}: the one in force. */
gwtool_manager_fn gwtool_manager_get;
/*
 * A policy in JSON, or a part of one. With services or routes it is a whole one and replaces what
 * is in force; anything else is merged into that (RFC 7396), again if somebody else has pushed in
 * between. The daemon's reply; 400, 409 or 503 with {code, path, message}.
 */
gwtool_manager_fn gwtool_manager_push;
