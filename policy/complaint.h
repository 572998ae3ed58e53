/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complaint.h - what is wrong with a policy as a whole: rules about several values, which have a path
 * and no place.
 *
 * Threads: not a worker's.
 */
#pragma once

#include "core/document/report.h"

/* Of route i; 'below' is the rest of the path, such as ".cors.credentials", or "". */
__attribute__((format(printf, 4, 5))) void
complaint_route(struct report *rep, uint32_t i, const char *below, const char *format, ...);
/* Of an element of a map by names; the same. */
void complaint_named(struct report *rep, const char *map, struct slice name, const char *below,
		     const char *text);
