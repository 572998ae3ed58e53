/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a group that the system knows are found by number and by name. */
#include "core/server/control_group.c"

#include "tests/unit/core/base/base_test.h"

static void members_are_looked_up(void **state)
{
	const struct group *root = getgrgid(0);
	struct control_group group;

	(void)state;
	assert_non_null(root);
	assert_int_equal(control_group_find(slice_of(root->gr_name), &group), 0);
	assert_true(group.is_set);
	assert_int_equal(group.gid, 0);
	assert_true(control_group_has(&group, 4321, 0));
	assert_false(control_group_has(&group, 4321, 4321));
	group.n_members = 0;
	add_member(&group, "root");
	add_member(&group, "nobody knows him");
	assert_int_equal(group.n_members, 1);
	assert_true(control_group_has(&group, 0, 4321));
}

static void a_group_must_exist(void **state)
{
	struct control_group group;
	char name[80] = { 0 };

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	assert_int_equal(control_group_find(SLICE("no-such-group-here"), &group), -ESRCH);
	assert_int_equal(control_group_find(slice_of(name), &group), -ESRCH);
	assert_int_equal(control_group_find(SLICE(""), &group), 0);
	assert_false(group.is_set);
	assert_false(control_group_has(&group, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_looked_up),
		cmocka_unit_test(a_group_must_exist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
