/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - GW_PROBE: a no-operation that a tracer can turn into an event.
 *
 * Each is a row of probes.def, of provider 'sluice', with three integers. It is
 * there when <sys/sdt.h> was at hand when building; 'readelf -n' lists them.
 *
 * Threads: any.
 */
#pragma once

#ifdef __has_include
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#endif
#endif

#ifdef DTRACE_PROBE3
#define GW_PROBE(name, a, b, c) DTRACE_PROBE3(sluice, name, a, b, c)
#else
#define GW_PROBE(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif
