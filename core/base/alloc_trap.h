/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc_trap.h - a data worker that calls malloc after its start traps in tests.
 *
 * A worker calls gw_forbid_malloc(true) when it has started and (false) before
 * it tears down. The flag is always there and costs nothing; the trap exists
 * where a program is linked with
 *
 *     -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free
 *     -Wl,--wrap=aligned_alloc,--wrap=posix_memalign,--wrap=strdup
 *
 * (the dev preset; the wrappers are in alloc_trap.c and are pulled from the
 * static library only when these options make something refer to them). Seen
 * are the calls of our own objects and of static libraries; what a shared
 * library allocates inside itself, libc included, is not.
 */
#pragma once

#include <stdbool.h>

/* For the calling thread; returns what held before, to be restored. */
bool gw_forbid_malloc(bool forbid);
/* How many allocations of this thread the wrappers saw; 0 when not linked in. */
unsigned long gw_malloc_seen(void);

/* For the wrappers. */
bool gw_malloc_is_forbidden(void);
void gw_malloc_count(void);
