/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/turns.h"

static void turn_is_over(struct ring_op *op, const struct ring_answer *answer)
{
	struct turns *turns = GW_CONTAINER_OF(op, struct turns, over);
	struct list_node *node = list_counted_pop_front(&turns->waiting);

	(void)answer;
	if (!node)
		return;
	ring_soon(turns->ring, &turns->over);
	turns->come(list_entry(node, struct turn, link));
}

void turns_init(struct turns *turns, struct ring *ring, turns_come_fn *come,
		struct metric_set *metrics, enum metric_counter waited)
{
	*turns = (struct turns){ .ring = ring, .come = come, .metrics = metrics, .waited = waited };
	list_counted_init(&turns->waiting);
	ring_op_init(&turns->over, turn_is_over);
}

bool turns_ask(struct turns *turns, struct turn *turn)
{
	if (!turns->over.armed) {
		ring_soon(turns->ring, &turns->over);
		return true;
	}
	list_counted_push_back(&turns->waiting, &turn->link);
	metric_inc(turns->metrics, turns->waited);
	return false;
}

void turns_leave(struct turns *turns, struct turn *turn)
{
	if (list_node_is_linked(&turn->link))
		list_counted_remove(&turns->waiting, &turn->link);
}

bool turns_are_over(const struct turns *turns)
{
	return turns->waiting.n == 0 && !turns->over.armed;
}
