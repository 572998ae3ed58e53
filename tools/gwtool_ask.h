/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gwtool_ask.h - one question to a running daemon, over its control socket.
 *
 * Ownership: the reply's document is the caller's. Threads: blocking, any thread.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/document/document.h"
#include "core/document/pack.h"

enum {
	GWTOOL_PATH_MAX = 108,
	GWTOOL_REPLY_MAX = 32 << 20,
};

/* Where a daemon listens that was told nothing else: the first of its two places that exists. */
void gwtool_ask_path(char path[GWTOOL_PATH_MAX]);

/* Writes the map of a command's arguments, again and again until there is room for it. */
typedef void gwtool_args_fn(struct pack *p, const void *owner);

struct gwtool_question {
	const char *command;
	gwtool_args_fn *args; /* NULL: it has none. */
	const void *owner;
};

/*
 * Connect, ask, wait at most 10 s for the reply. 'ok' says whether *ret_result is the result or
 * the error map. 0, or -errno with nothing set: what connect, send or receive said, -EPROTO for a
 * reply that is none, -EPIPE when the daemon hung up instead of answering, -EMSGSIZE for a question
 * that no frame holds.
 */
GW_MUST_USE int gwtool_ask(const char *path, const struct gwtool_question *question,
			   struct document **ret_reply, const struct document_node **ret_result,
			   bool *ret_ok);

/* The daemon names places in its arguments; who has sent a policy knows only places in that. */
struct slice gwtool_ask_policy_path(struct slice path);
