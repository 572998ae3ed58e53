/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_request.h - what a frame of the control socket asks for, and its answer.
 *
 * The envelope is strict: what an older server does not know, it must not pass over.
 *
 * Threads: the control thread's.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/document/pack.h"
#include "core/server/control.h"

/*
 * Run the request in a frame and write the whole reply, which always fits when 'reply' has room for
 * 1 KiB. 0, or a negative errno when the request was not well-formed: the reply then says so.
 */
GW_MUST_USE int control_request_answer(const struct control_options *opt, struct slice frame,
				       struct pack *reply);

/* An error reply to nothing in particular. */
void control_request_refuse(struct pack *reply, const char *code, const char *message);
