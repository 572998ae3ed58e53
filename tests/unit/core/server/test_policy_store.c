/* SPDX-License-Identifier: Apache-2.0 */
/* A policy on disk: what was written last is read, and what is damaged in any byte is not. */
#include "core/server/policy_store.c"

#include "tests/unit/core/base/base_test.h"

static char folder[] = "/tmp/policy-store-XXXXXX";
static char file[64];

static int begin(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(file, sizeof(file), "%s/policy", folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	(void)unlink(file);
	assert_int_equal(rmdir(folder), 0); /* Nothing else is left there. */
	return 0;
}

static void assert_kept(uint32_t want_generation, const char *want)
{
	uint32_t generation;
	struct slice bytes;

	assert_int_equal(policy_store_read(slice_of(folder), &generation, &bytes), 0);
	assert_int_equal(generation, want_generation);
	assert_true(slice_eq(bytes, slice_of(want)));
	free((void *)(uintptr_t)bytes.ptr);
}

static void the_last_one_is_read(void **state)
{
	uint32_t generation;
	struct slice bytes;

	(void)state;
	assert_int_equal(policy_store_read(slice_of(folder), &generation, &bytes), -ENOENT);
	assert_int_equal(policy_store_write(slice_of(folder), 7, SLICE("first")), 0);
	assert_kept(7, "first");
	assert_int_equal(policy_store_write(slice_of(folder), 8, SLICE("the second")), 0);
	assert_kept(8, "the second");
	assert_int_equal(policy_store_write(SLICE("/no/such/folder"), 9, SLICE("x")), -ENOENT);
	assert_kept(8, "the second");
}

static size_t load(char *bytes, size_t size)
{
	FILE *f = fopen(file, "re");
	size_t n;

	assert_non_null(f);
	n = fread(bytes, 1, size, f);
	assert_int_equal(fclose(f), 0);
	return n;
}

static void save(const char *bytes, size_t n)
{
	FILE *f = fopen(file, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void assert_damaged(void)
{
	uint32_t generation;
	struct slice bytes;

	assert_int_equal(policy_store_read(slice_of(folder), &generation, &bytes), -EBADMSG);
}

static void what_is_damaged_is_not_used(void **state)
{
	char good[256], bad[256];
	size_t n;

	(void)state;
	assert_int_equal(policy_store_write(slice_of(folder), 7, SLICE("a policy")), 0);
	n = load(good, sizeof(good));
	for (size_t i = 0; i < n * 8; i++) {
		memcpy(bad, good, n);
		bad[i / 8] = (char)(bad[i / 8] ^ 1 << i % 8);
		save(bad, n);
		assert_damaged();
	}
	for (size_t i = 0; i < n; i++) {
		save(good, i);
		assert_damaged();
	}
	memcpy(bad, good, n);
	bad[n] = 0;
	save(bad, n + 1);
	assert_damaged();
	save(good, n);
	assert_kept(7, "a policy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_one_is_read),
		cmocka_unit_test(what_is_damaged_is_not_used),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
