/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gw_assert.h - invariants that trap in place, and counters for the improbable.
 *
 * GW_ASSERT is for our own bugs, in every build, never for what a peer sent.
 * A failed one leaves a note (file, line, condition) that the crash dump of
 * recorder.h prints, then traps on the very line, so that a core opens there.
 *
 * Threads: everything here may be used from any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/banned.h"

#define GW_MUST_USE       __attribute__((warn_unused_result))
#define GW_LIKELY(cond)   __builtin_expect(!!(cond), 1)
#define GW_UNLIKELY(cond) __builtin_expect(!!(cond), 0)

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#endif

/* The object that holds 'member' at address 'ptr'. */
#define GW_CONTAINER_OF(ptr, type, member) ((type *)((uintptr_t)(ptr)-offsetof(type, member)))

#define GW_ASSERT(cond)                                                                            \
	do {                                                                                       \
		if (GW_UNLIKELY(!(cond))) {                                                        \
			gw_assert_note(__FILE__, __LINE__, #cond);                                 \
			__builtin_trap(); /* Here, so the core opens here. */                      \
		}                                                                                  \
	} while (0)

#define GW_UNREACHABLE()                                                                           \
	do {                                                                                       \
		gw_assert_note(__FILE__, __LINE__, "unreachable");                                 \
		__builtin_trap();                                                                  \
	} while (0)

/* What failed last on this thread; file is NULL when nothing did. */
struct gw_assert_note {
	const char *file;
	const char *what;
	int line;
};

/* Saves the note; async-signal-safe. */
__attribute__((cold)) void gw_assert_note(const char *file, int line, const char *what);
struct gw_assert_note gw_assert_last(void);

/* One GW_COUNT_IF in the source. 'n' is added to by any thread, relaxed. */
struct gw_count_site {
	const char *name;
	const char *file;
	uint64_t line;
	_Atomic uint64_t n;
};

/*
 * True when cond is; then counts it under 'name', a string literal in
 * snake_case. For things that should hardly ever happen but are handled: the
 * counter costs a locked instruction, and only when it happens.
 */
#define GW_COUNT_IF(cond, name_)                                                                   \
	({                                                                                         \
		static struct gw_count_site gw_site_                                               \
			__attribute__((section("gw_count"), used, aligned(32))) = {                \
				.name = name_, .file = __FILE__, .line = __LINE__                  \
			};                                                                         \
		bool gw_met_ = GW_UNLIKELY(cond);                                                  \
		if (gw_met_)                                                                       \
			atomic_fetch_add_explicit(&gw_site_.n, 1, memory_order_relaxed);           \
		gw_met_;                                                                           \
	})

typedef void gw_count_fn(const char *name, uint64_t n, void *arg);

/* Calls fn once per distinct name, zeros included, with the sum over its sites. */
void gw_count_each(gw_count_fn *fn, void *arg);
