/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seat.h - how one worker gets a new table without a lock.
 *
 * A seat holds two pointers to tables that the publisher owns:
 *
 *     offered   written by the publisher (release), read by the worker (acquire)
 *     adopted   written by the worker (release), read by the publisher (acquire)
 *
 * The worker adopts in seat_table(), which it calls when it judges a head and
 * when it is woken: between any two completion handlers, since no pointer from
 * seat_table() outlives the handler that asked. The publisher may reuse or free
 * a table once 'adopted' names a later one.
 *
 * An idle worker adopts nothing: whoever offers also posts to its ring.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "policy/table.h"

struct policy_seat {
	_Atomic(const struct policy_table *) offered;
	_Atomic(const struct policy_table *) adopted;
	_Atomic uint64_t renewed_ns; /* When the latest took another's place; 0: none has. */
	_Atomic uint64_t adopted_ns; /* When the worker adopted the one that it has. */
};

/*
 * Publisher: the table to use from now on, checked (table_check()), and immutable until another
 * was adopted.
 */
void seat_offer(struct policy_seat *seat, const struct policy_table *table);

/* Publisher: the same, in place of a table that is in use, with the time for seat_waited_ns(). */
void seat_renew(struct policy_seat *seat, const struct policy_table *table, uint64_t now_ns);

/* Publisher: whether the worker uses that very table. */
bool seat_has(const struct policy_seat *seat, const struct policy_table *table);

/* Publisher: when the worker has adopted what it has, on the clock of gw_now_ns(). */
uint64_t seat_adopted_ns(const struct policy_seat *seat);

/* Worker: the table to judge by, good until the handler returns. Something must have been offered. */
const struct policy_table *seat_table(struct policy_seat *seat);

/*
 * Worker: how long ago the table in use was offered by seat_renew(), at least 1; 0 for the first
 * one. When yet another is being offered at this moment, that one's time.
 */
uint64_t seat_waited_ns(const struct policy_seat *seat, uint64_t now_ns);
