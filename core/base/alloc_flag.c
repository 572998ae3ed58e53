/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flag lives in a file of its own: alloc_trap.c refers to symbols that exist
 * only under --wrap and must not be pulled into any other program.
 */
#include "core/base/alloc_trap.h"

static _Thread_local bool forbidden;
static _Thread_local unsigned long n_seen;

bool gw_forbid_malloc(bool forbid)
{
	bool before = forbidden;

	forbidden = forbid;
	return before;
}

bool gw_malloc_is_forbidden(void)
{
	return forbidden;
}

void gw_malloc_count(void)
{
	n_seen++;
}

unsigned long gw_malloc_seen(void)
{
	return n_seen;
}
