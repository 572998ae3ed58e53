/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.h - a scripted client of a simulated world that speaks HTTP/2.
 *
 * One connection, some requests, several of them at a time, with manners from the
 * seed: bytes in pieces, windows that open late or never, streams given up in the
 * middle of either message, connections that break or half-close. What it is
 * answered it judges by the rules of world.h, as a visitor does.
 */
#pragma once

#include "tests/sim/world.h"

struct guest;

/* Of 'n' deals from 'first' on. */
struct guest *guest_new(struct world *w, uint32_t first, uint32_t n);

/* Traps when it has waited too long for anything to happen. */
void guest_watch(const struct guest *g);
/* Traps when it is idle, and was so when the drain began, and is still connected. */
void guest_watch_drain(const struct guest *g, uint64_t drain_ns);
void guest_free(struct guest *g);
