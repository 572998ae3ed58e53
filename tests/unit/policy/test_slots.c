/* SPDX-License-Identifier: Apache-2.0 */
/* Names keep their slots; new ones get slots that nobody has just left, as long as there are some. */
#include "policy/slots.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/rng.h"

static const char letters[] = "abcdefghijklmnop";

/* Those of "abc", in that order. */
static uint32_t names_of(const char *text, struct slot_name *list)
{
	uint32_t n = 0;

	for (; *text; text++, n++)
		list[n] = (struct slot_name){ .name = slice_make(strchr(letters, *text), 1),
					      .i = n,
					      .slot = 999 };
	return n;
}

static void assign(const char *before, const char *slots, const char *after, uint32_t max,
		   const char *want)
{
	uint32_t cursor = 0;
	struct slot_name old[16], now[16];
	uint32_t n_old = names_of(before, old), n_now = names_of(after, now);

	for (uint32_t i = 0; i < n_old; i++)
		old[i].slot = (uint16_t)(slots[i] - '0');
	assert_int_equal(slots_assign(old, n_old, now, n_now, max, &cursor), 0);
	for (uint32_t i = 0; i < n_now; i++)
		if (now[i].slot != (uint32_t)(want[i] - '0'))
			fail_msg("%s (%s) to %s: %c has %u, wanted %c", before, slots, after,
				 after[i], now[i].slot, want[i]);
}

static void names_keep_their_slots(void **state)
{
	(void)state;
	assign("", "", "abc", 8, "012");
	assign("abc", "012", "cab", 8, "201");
	assign("abc", "012", "c", 8, "2");
	assign("abc", "012", "adc", 8, "032"); /* Not b's, which may still be in use. */
	assign("abc", "012", "xyz" + 3, 8, "");
	assign("abc", "012", "ade", 4, "031"); /* None is left but b's. */
	assign("ab", "73", "bac", 8, "370");
}

/* One name after the other: each slot once before the first comes again. */
static void slots_are_left_alone_for_long(void **state)
{
	struct slot_name old, now;
	uint32_t cursor = 0;

	(void)state;
	for (uint32_t i = 0; i < 25; i++) {
		now = (struct slot_name){ .name = slice_make(letters + i % 16, 1) };
		assert_int_equal(slots_assign(&old, i > 0, &now, 1, 10, &cursor), 0);
		assert_int_equal(now.slot, i % 10);
		old = now;
	}
}

/* From one policy to the next for ever: each once, and those that stay stay. */
static void random_changes_keep_the_rules(void **state)
{
	enum { MAX = 10 };
	struct slot_name old[MAX], now[MAX];
	uint32_t n_old = 0, cursor = 0;
	struct rng rng;

	(void)state;
	rng_seed(&rng, 5);
	for (int round = 0; round < 20000; round++) {
		bool seen[MAX] = { false };
		uint32_t n = 0;

		for (uint32_t i = 0; letters[i] && n < MAX; i++)
			if (rng_next(&rng) % 2)
				now[n++] = (struct slot_name){ .name = slice_make(letters + i, 1) };
		assert_int_equal(slots_assign(old, n_old, now, n, MAX, &cursor), 0);
		for (uint32_t i = 0; i < n; i++) {
			assert_true(now[i].slot < MAX && !seen[now[i].slot]);
			seen[now[i].slot] = true;
			for (uint32_t k = 0; k < n_old; k++)
				if (slice_eq(old[k].name, now[i].name))
					assert_int_equal(old[k].slot, now[i].slot);
		}
		memcpy(old, now, sizeof(old));
		n_old = n;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_keep_their_slots),
		cmocka_unit_test(slots_are_left_alone_for_long),
		cmocka_unit_test(random_changes_keep_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
