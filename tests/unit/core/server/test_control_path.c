/* SPDX-License-Identifier: Apache-2.0 */
/* Where the control socket is: as configured, or in the first folder that it can be made in. */
#include "core/server/control_path.c"

#include "tests/unit/core/base/base_test.h"

static void paths_are_chosen(void **state)
{
	char path[CONTROL_PATH_MAX], want[CONTROL_PATH_MAX];
	char there[] = "/tmp/control-path-XXXXXX";
	const char *why;

	(void)state;
	assert_non_null(mkdtemp(there));
	assert_int_equal(control_path(SLICE("/x/y.sock"), path, &why), 9);
	assert_string_equal(path, "/x/y.sock");
	assert_int_equal(control_path(SLICE(""), path, &why), 0);
	assert_null(why);
	(void)snprintf(want, sizeof(want), "%s/sluice/control.sock", there);
	assert_int_equal(path_in(there, path), strlen(want));
	assert_string_equal(path, want);
	assert_int_equal(path_in("/nonexistent", path), 0);
	assert_int_equal(path_in("/proc", path), 0);
	(void)snprintf(want, sizeof(want), "%s/sluice", there);
	assert_int_equal(rmdir(want), 0);
	assert_int_equal(rmdir(there), 0);
}

/* --- What is in the way. --------------------------------------------------------------------- */

static char folder[64], inside[96];

static int make_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/control-path-XXXXXX");
	assert_non_null(mkdtemp(folder));
	(void)snprintf(inside, sizeof(inside), "%s/x", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	(void)unlink(inside);
	return rmdir(folder);
}

static void what_is_in_the_way_is_told(void **state)
{
	int fd;

	(void)state;
	assert_null(control_obstacle(inside));
	assert_non_null(strstr(control_obstacle(folder), "a folder"));
	fd = open(inside, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_non_null(strstr(control_obstacle(inside), "a regular file"));
	assert_int_equal(unlink(inside), 0);
	assert_int_equal(symlink(folder, inside), 0);
	assert_non_null(strstr(control_obstacle(inside), "a symbolic link"));
	assert_int_equal(unlink(inside), 0);
	assert_int_equal(mknod(inside, S_IFIFO | 0600, 0), 0);
	assert_non_null(strstr(control_obstacle(inside), "no socket"));
}

/* --- Whom the folder lets in. ---------------------------------------------------------------- */

enum { GROUP = 4711 };

static struct stat folder_now(void)
{
	struct stat st;

	assert_int_equal(lstat(folder, &st), 0);
	return st;
}

static void a_folder_of_ours_is_made_for_the_group(void **state)
{
	char path[CONTROL_PATH_MAX];
	mode_t before = umask(0077);
	struct stat st;

	(void)state;
	assert_int_equal(path_in(folder, path), strlen(folder) + strlen("/sluice/control.sock"));
	umask(before);
	(void)snprintf(path, sizeof(path), "%s/sluice", folder);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750); /* Whatever the umask. */
	assert_int_equal(rmdir(path), 0);
}

static void the_folder_is_given_to_the_group(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(chmod(folder, 0750), 0);
	assert_null(control_share(folder, GROUP));
	assert_int_equal(folder_now().st_gid, GROUP);
	assert_int_equal(folder_now().st_uid, 0);
	assert_int_equal(folder_now().st_mode & 07777, 0750);
	assert_null(control_share(folder, GROUP)); /* As at the next start. */
	assert_non_null(strstr(control_share(folder, GROUP + 1), "somebody else's"));
	assert_int_equal(folder_now().st_gid, GROUP);
}

static void what_is_not_ours_to_give_stays(void **state)
{
	static const struct {
		mode_t mode;
		uid_t owner;
		const char *why; /* NULL: the group gets there as it is. */
	} cases[] = {
		{ 0700, 0, "keeps its group out" },
		{ 0770, 0, "may write there" },
		{ 0750, 4712, "somebody else's" },
		{ 0755, 4712, NULL },
	};

	(void)state;
	if (geteuid())
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *why;

		assert_int_equal(chown(folder, cases[i].owner, 0), 0);
		assert_int_equal(chmod(folder, cases[i].mode), 0);
		why = control_share(folder, GROUP);
		if (!cases[i].why != !why || (why && !strstr(why, cases[i].why)))
			fail_msg("%o: %s", cases[i].mode, why ? why : "given");
		assert_int_equal(folder_now().st_gid, 0);
	}
	assert_int_equal(symlink(folder, inside), 0);
	assert_non_null(control_share(inside, GROUP)); /* Wherever it leads. */
	assert_int_equal(folder_now().st_gid, 0);
}

int main(void)
{
#define WITH_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(what_is_in_the_way_is_told),
		WITH_FOLDER(a_folder_of_ours_is_made_for_the_group),
		WITH_FOLDER(the_folder_is_given_to_the_group),
		WITH_FOLDER(what_is_not_ours_to_give_stays),
		cmocka_unit_test(paths_are_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
