/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.h - a scripted upstream server that records what it was sent.
 *
 * It answers by the plan of each request's nonce, and checks everything that
 * reaches it against what the visitor of that nonce has sent so far.
 */
#pragma once

#include "tests/sim/world.h"

struct origin *origin_new(struct world *w, const struct ring_addr *addr);
void origin_free(struct origin *o);

/* Traps when the gateway still has a connection open on which this deal is served. */
void origin_watch_gone(const struct origin *o, const struct deal *deal);
