/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_request.h - what a frame of the control socket asks for, and its answer.
 *
 * The envelope is strict: what an older server does not know, it must not pass over.
 *
 * Threads: the control thread's, but for control_request_read().
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/document/pack.h"
#include "core/document/report.h"
#include "core/server/control.h"

/* A request that is being answered. Zeroed: none. */
struct control_request {
	struct document *doc;
	bool has_id;
	uint64_t id;
	struct slice command;
	const struct document_node *args; /* Or NULL. */
	int error;                        /* 0; or -errno: it was not well-formed. */
	struct report report;             /* Why. */
};

/* What a frame asks for; keeps nothing of it. To be freed. By any thread: it takes long frames long. */
void control_request_read(struct slice frame, struct control_request *ret_req);

/*
 * Run it and write the whole reply, which always fits when 'reply' has room for 1 KiB. 0; a negative
 * errno when the request was not well-formed: the reply then says so; or CONTROL_LATER: there is no
 * reply yet.
 */
GW_MUST_USE int control_request_answer(const struct control_options *opt,
				       const struct control_request *req, struct pack *reply);

/* The reply after CONTROL_LATER, in the same way; 'run' does not say so again. */
void control_request_finish(const struct control_request *req, control_command_fn *run, void *owner,
			    struct pack *reply);

void control_request_free(struct control_request *req);

/* An error reply to nothing in particular. */
void control_request_refuse(struct pack *reply, const char *code, const char *message);
