/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies on disk: what was written last is read, and those before it as far as they are kept;
 * what is damaged in any byte is not.
 */
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

static const char *older_file(uint32_t generation)
{
	static char path[80];

	(void)snprintf(path, sizeof(path), "%s/policy.%u", folder, generation);
	return path;
}

/* How many files there were. */
static uint32_t empty_folder(void)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	uint32_t n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		n++;
		assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
	}
	assert_int_equal(closedir(dir), 0);
	return n;
}

static int end(void **state)
{
	(void)state;
	(void)empty_folder();
	return rmdir(folder);
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

static void write_one(uint32_t generation)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "policy %u", generation);
	assert_int_equal(policy_store_write(slice_of(folder), generation, slice_of(text)), 0);
}

static void assert_one(uint32_t generation, int want)
{
	struct slice bytes;
	char text[32];

	(void)snprintf(text, sizeof(text), "policy %u", generation);
	assert_int_equal(policy_store_read_one(slice_of(folder), generation, &bytes), want);
	if (want < 0)
		return;
	assert_true(slice_eq(bytes, slice_of(text)));
	free((void *)(uintptr_t)bytes.ptr);
}

/* The latest first; a negative one is damaged; 0 ends them. */
static void assert_list(const int32_t *want)
{
	struct policy_stored got[POLICY_STORE_MAX];
	int n = policy_store_list(slice_of(folder), got);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++, want++) {
		assert_int_equal(got[i].generation, *want < 0 ? -*want : *want);
		assert_int_equal(got[i].len > 0, *want > 0);
	}
	assert_int_equal(*want, 0);
}

static void sixteen_are_kept(void **state)
{
	int32_t want[POLICY_STORE_MAX + 1] = { 0 };

	(void)state;
	(void)empty_folder();
	assert_list(want);
	assert_int_equal(policy_store_newest(slice_of(folder)), 0);
	write_one(8); /* Names of one, two and three digits. */
	assert_list((const int32_t[]){ 8, 0 });
	write_one(9);
	assert_list((const int32_t[]){ 9, 8, 0 });
	for (uint32_t i = 90; i < 110; i++)
		write_one(i);
	for (int i = 0; i < POLICY_STORE_MAX; i++)
		want[i] = 109 - i;
	assert_list(want);
	assert_int_equal(policy_store_newest(slice_of(folder)), 109);
	for (uint32_t i = 94; i < 110; i++)
		assert_one(i, 0);
	assert_one(93, -ENOENT);
	assert_one(9, -ENOENT);
	assert_one(110, -ENOENT);
	assert_int_equal(empty_folder(), POLICY_STORE_MAX);
}

static void each_says_when_it_was_accepted(void **state)
{
	struct policy_stored got[POLICY_STORE_MAX];
	const struct timespec then[] = { { .tv_sec = 1 }, { .tv_sec = 1000000000, .tv_nsec = 5 } };

	(void)state;
	write_one(1);
	assert_int_equal(utimensat(AT_FDCWD, file, then, 0), 0);
	write_one(2);
	assert_int_equal(policy_store_list(slice_of(folder), got), 2);
	assert_int_equal(got[1].accepted_ns, 1000000000 * GW_NS_PER_S + 5);
	assert_true(got[0].accepted_ns > got[1].accepted_ns);
	assert_int_equal(got[0].len, strlen("policy 2"));
	(void)empty_folder();
}

/* The last one has both names already, and the next one has been written but not named. */
static void a_write_that_was_cut_short_counts_for_nothing(void **state)
{
	char fresh[80];

	(void)state;
	(void)snprintf(fresh, sizeof(fresh), "%s/policy.new", folder);
	write_one(1);
	write_one(2);
	for (int i = 0; i < 2; i++) { /* Cut short after the first step, twice. */
		assert_int_equal(name_last(slice_of(folder), file), 0);
		assert_kept(2, "policy 2");
		assert_int_equal(access(older_file(2), F_OK), 0);
	}
	assert_int_equal(symlink("/dev/null", fresh), 0); /* It would be followed. */
	assert_int_equal(policy_store_write(slice_of(folder), 3, SLICE("x")), -ELOOP);
	assert_int_equal(unlink(fresh), 0);
	assert_list((const int32_t[]){ 2, 1, 0 });
	assert_one(2, 0);
	write_one(3);
	assert_list((const int32_t[]){ 3, 2, 1, 0 });
	assert_int_equal(link(file, older_file(4)), 0); /* Nor one that is later than the last. */
	assert_list((const int32_t[]){ 3, 2, 1, 0 });
	assert_one(4, -ENOENT);
	(void)empty_folder();
}

static void one_that_was_not_accepted_may_join(void **state)
{
	(void)state;
	assert_int_equal(policy_store_write_older(slice_of(folder), 1, SLICE("policy 1")), 0);
	assert_list((const int32_t[]){ 1, 0 });
	assert_int_equal(access(file, F_OK), -1); /* A start does not begin with it. */
	write_one(2);
	assert_list((const int32_t[]){ 2, 1, 0 });
	assert_one(1, 0);
	assert_int_equal(empty_folder(), 2);
}

static void names_by_others_are_left_alone(void **state)
{
	static const char *const names[] = { "policy.old",       "policy.01", "policy.0",
					     "policy.",          "policy.-1", "policy.1a",
					     "policy.4294967296" };
	char path[96];

	(void)state;
	write_one(1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		assert_int_equal(symlink("nowhere", path), 0);
	}
	for (uint32_t i = 2; i < 30; i++)
		write_one(i);
	assert_int_equal(empty_folder(), POLICY_STORE_MAX + ARRAY_SIZE(names));
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

static void a_damaged_one_is_passed_over(void **state)
{
	char good[256], file_beside[80];
	size_t n;

	(void)state;
	(void)empty_folder();
	(void)snprintf(file_beside, sizeof(file_beside), "%s/beside", folder);
	for (uint32_t i = 1; i < 6; i++)
		write_one(i);
	n = load(good, sizeof(good));
	/* One that says another generation than its name, and one that is cut. */
	assert_int_equal(unlink(older_file(4)), 0);
	assert_int_equal(rename(older_file(3), file_beside), 0);
	assert_int_equal(rename(file_beside, older_file(4)), 0);
	assert_int_equal(truncate(older_file(2), 30), 0);
	assert_list((const int32_t[]){ 5, -4, -2, 1, 0 });
	assert_one(4, -EBADMSG);
	assert_one(2, -EBADMSG);
	assert_one(3, -ENOENT);
	assert_one(1, 0);
	/* The last one: the others are still there. */
	save(good, n - 1);
	assert_list((const int32_t[]){ -4, -2, 1, 0 });
	assert_int_equal(policy_store_newest(slice_of(folder)), 4);
	write_one(6);
	assert_list((const int32_t[]){ 6, -4, -2, 1, 0 });
	(void)empty_folder();
}

/* A folder, and one that may be written: asked before anything is to be kept. */
static void a_folder_is_looked_at(void **state)
{
	static const char long_name[PATH_MAX] = { [0 ... PATH_MAX - 2] = 'x' };

	(void)state;
	assert_int_equal(policy_store_check(slice_of(folder)), 0);
	assert_int_equal(policy_store_check(SLICE("/nonexistent")), -ENOENT);
	assert_int_equal(policy_store_check(SLICE("/dev/null")), -ENOTDIR);
	assert_int_equal(policy_store_check(slice_of(long_name)), -ENAMETOOLONG);
	if (geteuid() == 0)
		return; /* Nothing is closed to root. */
	assert_int_equal(chmod(folder, 0500), 0);
	assert_int_equal(policy_store_check(slice_of(folder)), -EACCES);
	assert_int_equal(chmod(folder, 0700), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_is_looked_at),
		cmocka_unit_test(the_last_one_is_read),
		cmocka_unit_test(what_is_damaged_is_not_used),
		cmocka_unit_test(sixteen_are_kept),
		cmocka_unit_test(each_says_when_it_was_accepted),
		cmocka_unit_test(a_write_that_was_cut_short_counts_for_nothing),
		cmocka_unit_test(one_that_was_not_accepted_may_join),
		cmocka_unit_test(names_by_others_are_left_alone),
		cmocka_unit_test(a_damaged_one_is_passed_over),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
