/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visitor.h - a scripted client of a simulated world.
 *
 * One connection, some requests, with manners from the seed: in one piece or
 * byte by byte, one after the other or pipelined, reading at once, slowly or
 * never, leaving in the middle, half-closed after the last request.
 */
#pragma once

#include "tests/sim/world.h"

/* Of 'n' deals from 'first' on. */
struct visitor *visitor_new(struct world *w, uint32_t first, uint32_t n);

/* Traps when it has waited too long for anything to happen. */
void visitor_watch(const struct visitor *v);
/* Traps when it is idle, and was so when the drain began, and is still connected. */
void visitor_watch_drain(const struct visitor *v, uint64_t drain_ns);
void visitor_free(struct visitor *v);
