/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - the whole daemon: control thread, workers, and how they start, reload and end.
 *
 * The control thread is the one that calls server_run(). It has a ring of its
 * own for everything that is not traffic: signals, the control socket, the
 * admin listener, name resolution, the demo's origin.
 *
 *     TERM, QUIT   drain: readiness fails, a grace passes, listeners take what is
 *                  queued and close, what runs is finished or cut at the deadline
 *     a second one, INT   end now
 *     HUP          read the configuration again: limits, timeouts, log files
 *     USR1         open the log files again
 *
 * Threads: one, the control thread.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/server/certs.h"
#include "core/server/config.h"
#include "core/server/options.h"

/* Blocks the signals that the daemon handles; before any thread exists. */
void server_block_signals(void);

/*
 * Read the policies that a start with this configuration may begin with, and look at the folder
 * that keeps them. 0; -EINVAL, and 'rep' says what is wrong; or -ENOMEM. What has no effect is told
 * in *ret_warnings. At the start only: a report points to memory of this.
 */
GW_MUST_USE int server_check(const struct options *options, const struct config *config,
			     const struct certs *certs, struct report *rep,
			     struct report *ret_warnings);

/* Serve until told to end. Takes 'config' and 'certs'. Returns an exit code (enum options_exit). */
int server_run(const struct options *options, struct config *config, struct certs *certs);
