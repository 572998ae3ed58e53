/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gwtool_visit.h - one client of 'gwtool serve', from the first byte to the last.
 *
 * What has an Origin is refused, and on loopback what names another host: it comes from a page in
 * a browser, which may be anybody's and reaches loopback as well as its user does.
 *
 * Threads: one per visit.
 */
#pragma once

#include "tools/gwtool_credentials.h"
#include "tools/gwtool_manager.h"
#include "tools/gwtool_request.h"

enum { GWTOOL_VISIT_S = 10 }; /* For the whole request to come, and again for the answer to go. */

/* What visits of one server have in common. */
struct gwtool_site {
	struct gwtool_manager manager;
	struct gwtool_credentials credentials;
	bool loopback;
	int listener; /* Does not block. */
	int stop_fd; /* Readable when no more are to begin, and those whose request is not whole end. */
};

/* Room for one after another. */
struct gwtool_visit {
	struct gwtool_link link;
	struct gwtool_request req;
};

/* Takes the descriptor. */
void gwtool_visit_run(struct gwtool_visit *v, struct gwtool_site *site, int fd);
