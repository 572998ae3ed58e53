/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reason.h - why something was refused or ended: one enum for reply, log, metric.
 *
 * The rows are in reason.def. Threads: pure functions over constant tables.
 */
#pragma once

#include <stdbool.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

enum reason {
	REASON_NONE,
#define X(id, label, status, connection, scope, help) REASON_##id,
#include "core/base/reason.def"
#undef X
	REASON_N
};

/* What a refusal does to the client's connection. */
enum reason_connection {
	REASON_KEEP,
	REASON_CLOSE,
	REASON_ABORT,
};

/* Which metrics count a reason: a set of bits. */
enum reason_scope {
	REASON_SCOPE_REQUEST = 1,
	REASON_SCOPE_CONN = 2,
	REASON_SCOPE_UPSTREAM = 4,
};

/* snake_case, at most 31 bytes; of REASON_NONE: "none". */
struct slice reason_label(enum reason reason);
struct slice reason_help(enum reason reason);
/* Usual status of the reply, or 0 where there is none. */
unsigned reason_status(enum reason reason);
enum reason_connection reason_connection(enum reason reason);
unsigned reason_scope(enum reason reason);
/* The reason with this label, or REASON_N. */
enum reason reason_find(struct slice label);
