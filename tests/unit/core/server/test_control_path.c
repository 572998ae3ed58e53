/* SPDX-License-Identifier: Apache-2.0 */
/* Where the control socket is: as configured, or in the first folder that it can be made in. */
#include "core/server/control_path.c"

#include "tests/unit/core/base/base_test.h"

static void paths_are_chosen(void **state)
{
	char path[CONTROL_PATH_MAX], want[CONTROL_PATH_MAX];
	char folder[] = "/tmp/control-path-XXXXXX";
	const char *why;

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(control_path(SLICE("/x/y.sock"), path, &why), 9);
	assert_string_equal(path, "/x/y.sock");
	assert_int_equal(control_path(SLICE(""), path, &why), 0);
	assert_null(why);
	(void)snprintf(want, sizeof(want), "%s/sluice/control.sock", folder);
	assert_int_equal(path_in(folder, path), strlen(want));
	assert_string_equal(path, want);
	assert_int_equal(path_in("/nonexistent", path), 0);
	assert_int_equal(path_in("/proc", path), 0);
	(void)snprintf(want, sizeof(want), "%s/sluice", folder);
	assert_int_equal(rmdir(want), 0);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
