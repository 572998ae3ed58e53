/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handling.h - what a route does besides passing on: from how it is written to a draft.
 *
 * Ownership: a draft's texts are in the caller's memory or in the written route, which both
 * outlive it. Threads: not a worker's.
 */
#pragma once

#include "policy/draft.h"
#include "policy/schema.h"

/* Bytes that handling_draw() writes at most; 0: the route has none. */
size_t handling_room(const struct written_route *route);

/* 'room' is at least as large as handling_room() says, which is not 0. */
void handling_draw(const struct written_route *route, char *room, size_t size,
		   struct draft_handling *ret_handling);

/* The most bytes that what it sets in responses can come to; UINT32_MAX: no end of them. */
uint32_t handling_response_most(const struct draft_handling *handling);
