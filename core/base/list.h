/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h - intrusive doubly linked lists, plain and counted.
 *
 * Ownership: a list_node lives inside the object it links; the list owns
 * nothing. A node that is in no list points to NULL on both sides: zeroed
 * memory is a valid free node. struct list_counted also knows its length, at
 * the price that a removal has to name the list.
 *
 * Threads: a list belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/gw_assert.h"

struct list_node {
	struct list_node *next;
	struct list_node *prev;
};

struct list {
	struct list_node head;
};

struct list_counted {
	struct list list;
	uint32_t n;
};

#define list_entry(node, type, member) GW_CONTAINER_OF(node, type, member)

/* 'node' may be removed in the body, nothing else. */
#define list_each(node, l)                                                                         \
	for (struct list_node *node = (l)->head.next, *next_##node = node->next;                   \
	     node != &(l)->head; node = next_##node, next_##node = node->next)

static inline void list_init(struct list *l)
{
	l->head.next = &l->head;
	l->head.prev = &l->head;
}

static inline bool list_is_empty(const struct list *l)
{
	return l->head.next == &l->head;
}

static inline bool list_node_is_linked(const struct list_node *node)
{
	return node->next != NULL;
}

static inline void list_insert_after_(struct list_node *at, struct list_node *node)
{
	GW_ASSERT(!list_node_is_linked(node));
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what is in a list is linked. */
	node->next = at->next;
	node->prev = at;
	at->next->prev = node;
	at->next = node;
}

static inline void list_push_front(struct list *l, struct list_node *node)
{
	list_insert_after_(&l->head, node);
}

static inline void list_push_back(struct list *l, struct list_node *node)
{
	list_insert_after_(l->head.prev, node);
}

static inline void list_remove(struct list_node *node)
{
	GW_ASSERT(list_node_is_linked(node));
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = NULL;
	node->prev = NULL;
}

/* First or last node, NULL when empty. */
static inline struct list_node *list_first(const struct list *l)
{
	return list_is_empty(l) ? NULL : l->head.next;
}

static inline struct list_node *list_last(const struct list *l)
{
	return list_is_empty(l) ? NULL : l->head.prev;
}

static inline struct list_node *list_pop_front(struct list *l)
{
	struct list_node *node = list_first(l);

	if (node)
		list_remove(node);
	return node;
}

/* Moves everything from 'from', which ends up empty, to the end of 'to'. */
static inline void list_splice_back(struct list *to, struct list *from)
{
	if (list_is_empty(from))
		return;
	from->head.next->prev = to->head.prev;
	to->head.prev->next = from->head.next;
	from->head.prev->next = &to->head;
	to->head.prev = from->head.prev;
	list_init(from);
}

static inline void list_counted_init(struct list_counted *l)
{
	list_init(&l->list);
	l->n = 0;
}

static inline void list_counted_push_front(struct list_counted *l, struct list_node *node)
{
	list_push_front(&l->list, node);
	l->n++;
}

static inline void list_counted_push_back(struct list_counted *l, struct list_node *node)
{
	list_push_back(&l->list, node);
	l->n++;
}

/* 'node' must be in this very list. */
static inline void list_counted_remove(struct list_counted *l, struct list_node *node)
{
	GW_ASSERT(l->n > 0);
	list_remove(node);
	l->n--;
}

static inline struct list_node *list_counted_pop_front(struct list_counted *l)
{
	struct list_node *node = list_first(&l->list);

	if (node)
		list_counted_remove(l, node);
	return node;
}
