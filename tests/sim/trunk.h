/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trunk.h - one connection of the gateway's to an origin that speaks HTTP/2.
 *
 * Many requests share it. Each is judged and answered by the plan of its nonce, as an
 * origin of HTTP/1 does; beside that a trunk has limits and moods of its own: few streams
 * at a time, streams refused, a good-bye in order or all of a sudden.
 */
#pragma once

#include "core/base/list.h"
#include "tests/sim/world.h"

struct trunk;

/* In 'list', which is the origin's; it owns the trunk. */
void trunk_new(struct world *w, struct sim_end *end, struct list *list);
/* All of them. */
void trunks_free(struct list *list);
/* Traps when a stream for this deal is still open. */
void trunks_watch_gone(const struct list *list, const struct deal *deal);
