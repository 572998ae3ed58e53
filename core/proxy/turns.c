/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/turns.h"

static uint64_t n_answers(const struct turns *turns)
{
	return atomic_load_explicit(&ring_stats(turns->ring)->cqes, memory_order_relaxed);
}

static void begin(struct turns *turns)
{
	turns->begun_ns = ring_now_ns(turns->ring);
	turns->left = turns->kind.at_once - 1;
	ring_soon(turns->ring, &turns->over);
}

/* The others had their time, or nothing to do. */
static bool is_over(struct turns *turns)
{
	uint64_t now_ns = ring_now_ns(turns->ring);
	bool idle = n_answers(turns) == turns->n_answers;

	turns->n_answers = n_answers(turns);
	if (turns->begun_ns)
		turns->due_ns = now_ns + (now_ns - turns->begun_ns);
	turns->begun_ns = 0;
	return idle || now_ns >= turns->due_ns;
}

static void look(struct ring_op *op, const struct ring_answer *answer)
{
	struct turns *turns = GW_CONTAINER_OF(op, struct turns, over);
	struct list_node *node;

	(void)answer;
	turns->left = 0;
	if (!is_over(turns)) {
		ring_soon(turns->ring, &turns->over);
		return;
	}
	node = list_counted_pop_front(&turns->waiting);
	if (!node)
		return;
	begin(turns);
	turns->kind.come(list_entry(node, struct turn, link));
	while (turns->left > 0 && (node = list_counted_pop_front(&turns->waiting))) {
		turns->left--;
		turns->kind.come(list_entry(node, struct turn, link));
	}
}

void turns_init(struct turns *turns, struct ring *ring, struct metric_set *metrics,
		const struct turns_kind *kind)
{
	GW_ASSERT(kind->at_once > 0);
	*turns = (struct turns){ .ring = ring, .metrics = metrics, .kind = *kind };
	list_counted_init(&turns->waiting);
	ring_op_init(&turns->over, look);
}

bool turns_ask(struct turns *turns, struct turn *turn)
{
	if (!turns->over.armed) {
		begin(turns);
		return true;
	}
	if (turns->left > 0 && turns->waiting.n == 0) { /* Nobody is overtaken. */
		turns->left--;
		return true;
	}
	list_counted_push_back(&turns->waiting, &turn->link);
	metric_inc(turns->metrics, turns->kind.waited);
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
