/* SPDX-License-Identifier: Apache-2.0 */
/* resident.h - how much of a range of addresses has memory behind it. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Bytes of the pages from that of 'from' to before that of 'to', at most 64 MiB; SIZE_MAX: unknown. */
static inline size_t resident_bytes(const void *from, const void *to)
{
	static unsigned char pages[16384];
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n_resident = 0;
	uintptr_t at = (uintptr_t)from / page * page, end = (uintptr_t)to / page * page;
	size_t n = (end - at) / page;

	if (end < at || n > sizeof(pages) || mincore((void *)at, n * page, pages) < 0)
		return SIZE_MAX;
	for (size_t i = 0; i < n; i++)
		n_resident += pages[i] & 1;
	return n_resident * page;
}
