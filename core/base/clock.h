/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - monotonic and wall time, and the text forms of the latter.
 *
 * Deadlines and durations are monotonic nanoseconds. Wall time, nanoseconds
 * since 1970 in UTC, is only for people and for HTTP: Date, logs, tokens.
 * A worker reads the clock once per loop turn and passes the value on.
 *
 * Threads: pure functions; a clock_date belongs to one thread.
 */
#pragma once

#include <stdint.h>

#include "core/base/slice.h"

#define GW_NS_PER_US 1000ull
#define GW_NS_PER_MS 1000000ull
#define GW_NS_PER_S  1000000000ull

uint64_t gw_now_ns(void);  /* CLOCK_MONOTONIC */
uint64_t gw_wall_ns(void); /* CLOCK_REALTIME */
/* CPU time that the calling thread has used. */
uint64_t gw_thread_cpu_ns(void);

#define CLOCK_HTTP_DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */
#define CLOCK_RFC3339_LEN   27 /* "1994-11-06T08:49:37.123456Z" */

/* IMF-fixdate (RFC 9110 5.6.7), no NUL. Years beyond 9999 print as 9999. */
void clock_http_date(uint64_t wall_ns, char ret_text[CLOCK_HTTP_DATE_LEN]);
/* RFC 3339 with microseconds, no NUL. */
void clock_rfc3339(uint64_t wall_ns, char ret_text[CLOCK_RFC3339_LEN]);

/* A Date header value, made anew only when the second changes. Starts zeroed. */
struct clock_date {
	uint64_t second;
	char text[CLOCK_HTTP_DATE_LEN];
};

/* The slice is good until the next call with the same cache. */
struct slice clock_date_at(struct clock_date *cache, uint64_t wall_ns);
