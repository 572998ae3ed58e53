/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/list.h"

#include "base_test.h"

struct item {
	int id;
	struct list_node node;
};

static void expect_order(const struct list *l, const char *ids)
{
	char got[32];
	size_t n = 0;

	list_each(node, l) got[n++] = (char)('0' + list_entry(node, struct item, node)->id);
	assert_slice(slice_make(got, n), ids);

	/* The way back must agree. */
	for (const struct list_node *node = l->head.prev; node != &l->head; node = node->prev)
		assert_int_equal(got[--n] - '0',
				 GW_CONTAINER_OF(node, const struct item, node)->id);
	assert_int_equal(n, 0);
}

static void order_is_kept(void **state)
{
	struct item items[4] = { { .id = 0 }, { .id = 1 }, { .id = 2 }, { .id = 3 } };
	struct list l;

	(void)state;
	list_init(&l);
	assert_true(list_is_empty(&l));
	assert_null(list_first(&l));
	assert_null(list_last(&l));
	assert_null(list_pop_front(&l));

	list_push_back(&l, &items[1].node);
	list_push_back(&l, &items[2].node);
	list_push_front(&l, &items[0].node);
	list_push_back(&l, &items[3].node);
	expect_order(&l, "0123");
	assert_ptr_equal(list_first(&l), &items[0].node);
	assert_ptr_equal(list_last(&l), &items[3].node);

	list_remove(&items[2].node);
	assert_false(list_node_is_linked(&items[2].node));
	expect_order(&l, "013");
	assert_ptr_equal(list_pop_front(&l), &items[0].node);
	expect_order(&l, "13");
}

static void nodes_may_go_during_a_walk(void **state)
{
	struct item items[5] = { { .id = 0 }, { .id = 1 }, { .id = 2 }, { .id = 3 }, { .id = 4 } };
	struct list l;

	(void)state;
	list_init(&l);
	for (int i = 0; i < 5; i++)
		list_push_back(&l, &items[i].node);
	list_each(node, &l)
	{
		if (list_entry(node, struct item, node)->id % 2 == 0)
			list_remove(node);
	}
	expect_order(&l, "13");
}

static void lists_are_joined(void **state)
{
	struct item items[4] = { { .id = 0 }, { .id = 1 }, { .id = 2 }, { .id = 3 } };
	struct list a;
	struct list b;

	(void)state;
	list_init(&a);
	list_init(&b);
	list_splice_back(&a, &b);
	expect_order(&a, "");
	list_push_back(&b, &items[0].node);
	list_push_back(&b, &items[1].node);
	list_splice_back(&a, &b);
	expect_order(&a, "01");
	expect_order(&b, "");
	list_push_back(&b, &items[2].node);
	list_push_back(&b, &items[3].node);
	list_splice_back(&a, &b);
	expect_order(&a, "0123");
}

static void counts_are_kept(void **state)
{
	struct item items[3] = { { .id = 0 }, { .id = 1 }, { .id = 2 } };
	struct list_counted l;

	(void)state;
	list_counted_init(&l);
	list_counted_push_back(&l, &items[1].node);
	list_counted_push_front(&l, &items[0].node);
	list_counted_push_back(&l, &items[2].node);
	assert_int_equal(l.n, 3);
	list_counted_remove(&l, &items[1].node);
	assert_int_equal(l.n, 2);
	assert_ptr_equal(list_counted_pop_front(&l), &items[0].node);
	assert_ptr_equal(list_counted_pop_front(&l), &items[2].node);
	assert_null(list_counted_pop_front(&l));
	assert_int_equal(l.n, 0);
}

static void link_twice(void)
{
	struct item item = { 0 };
	struct list l;

	list_init(&l);
	list_push_back(&l, &item.node);
	list_push_back(&l, &item.node);
}

static void remove_twice(void)
{
	struct item item = { 0 };
	struct list l;

	list_init(&l);
	list_push_back(&l, &item.node);
	list_remove(&item.node);
	list_remove(&item.node);
}

static void misuse_traps(void **state)
{
	(void)state;
	assert_traps(link_twice);
	assert_traps(remove_twice);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_kept),    cmocka_unit_test(nodes_may_go_during_a_walk),
		cmocka_unit_test(lists_are_joined), cmocka_unit_test(counts_are_kept),
		cmocka_unit_test(misuse_traps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
