/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/gw_assert.h"

/* The linker makes these when any object has the section; a program may have none. */
extern struct gw_count_site __start_gw_count[] __attribute__((weak, visibility("hidden")));
extern struct gw_count_site __stop_gw_count[] __attribute__((weak, visibility("hidden")));

static _Thread_local struct gw_assert_note last_note;

void gw_assert_note(const char *file, int line, const char *what)
{
	last_note = (struct gw_assert_note){ .file = file, .what = what, .line = line };
}

struct gw_assert_note gw_assert_last(void)
{
	return last_note;
}

static bool is_first_of_its_name(const struct gw_count_site *site)
{
	for (const struct gw_count_site *s = __start_gw_count; s < site; s++) {
		if (strcmp(s->name, site->name) == 0)
			return false;
	}
	return true;
}

static uint64_t sum_of_name(const struct gw_count_site *first)
{
	uint64_t n = 0;

	for (const struct gw_count_site *s = first; s < __stop_gw_count; s++) {
		if (strcmp(s->name, first->name) == 0)
			n += atomic_load_explicit(&s->n, memory_order_relaxed);
	}
	return n;
}

void gw_count_each(gw_count_fn *fn, void *arg)
{
	/* Quadratic in the number of sites, which is a hundred and not on a hot path. */
	for (const struct gw_count_site *s = __start_gw_count; s < __stop_gw_count; s++) {
		if (is_first_of_its_name(s))
			fn(s->name, sum_of_name(s), arg);
	}
}
