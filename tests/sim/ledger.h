/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.h - the access log of a world, held against what its peers have seen.
 *
 * The lines come through the real log and its writer thread, in place of the
 * formatted text. A line that names a deal is that deal's; one without a path
 * is of a head that was refused before it could be read.
 *
 * Threads: ledger_open() and ledger_close() by the world's; between them the
 * writer thread alone touches the ledger.
 */
#pragma once

#include <stdint.h>

struct world;
struct ledger;

/* From now on the world's proxy logs each request. */
struct ledger *ledger_open(struct world *w);

/* After proxy_destroy(): all is written, and compared. Frees the ledger. */
void ledger_close(struct ledger *ledger);
