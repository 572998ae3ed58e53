/* SPDX-License-Identifier: Apache-2.0 */
/* local.c - the listening socket of the small server; local_client.c has the rest. */
#include "core/server/local.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/proxy/proxy.h"
#include "core/server/local_private.h"

#define RETRY_NS (100 * GW_NS_PER_MS) /* After an accept that failed. */

/* Accept as long as there is room for what may come. */
static void gate(struct local *l)
{
	if (l->file < 0)
		return;
	if (slab_is_full(&l->clients))
		ring_cancel(l->proxy->ring, &l->accept);
	else if (!l->accept.armed)
		ring_accept(l->proxy->ring, &l->accept, l->file);
}

void local_released(struct local *local)
{
	gate(local);
}

static void retry(struct ring_timer *timer)
{
	gate(GW_CONTAINER_OF(timer, struct local, retry));
}

static void accepted(struct ring_op *op, const struct ring_answer *answer)
{
	struct local *l = GW_CONTAINER_OF(op, struct local, accept);

	if (answer->res >= 0)
		local_client_take(l, answer->res);
	if (answer->res < 0 && answer->res != -ECANCELED && l->file >= 0)
		ring_timer_set(l->proxy->ring, &l->retry, ring_now_ns(l->proxy->ring) + RETRY_NS);
	else
		gate(l);
}

int local_open(struct proxy *proxy, const struct ring_addr *addr, const struct local_options *opt,
	       struct local **ret_local)
{
	static const struct ring_listen how = { .backlog = LOCAL_CLIENTS_MAX,
						.mode = 0660,
						.group = -1 };
	struct local *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->proxy = proxy;
	l->options = *opt;
	ring_op_init(&l->accept, accepted);
	ring_timer_init(&l->retry, retry);
	r = slab_init(&l->clients, sizeof(struct local_client), 64, LOCAL_CLIENTS_MAX);
	if (r < 0)
		goto free_memory;
	r = ring_listen(proxy->ring, addr, &how, &l->file);
	if (r < 0)
		goto free_clients;
	r = ring_local_addr(proxy->ring, l->file, &l->addr);
	if (r < 0)
		goto close_file;
	gate(l);
	*ret_local = l;
	return 0;
close_file:
	ring_close(proxy->ring, l->file);
free_clients:
	slab_fini(&l->clients);
free_memory:
	free(l);
	return r;
}

const struct ring_addr *local_addr(const struct local *local)
{
	return &local->addr;
}

void local_close(struct local *l)
{
	struct ring *ring = l->proxy->ring;
	struct local_client *client;

	if (l->file < 0)
		return;
	ring_timer_cancel(ring, &l->retry);
	ring_close(ring, l->file);
	l->file = -1;
	for (uint32_t slot = 0; (client = slab_next(&l->clients, &slot));)
		local_client_close(client);
}

bool local_is_quiet(const struct local *local)
{
	return local->file < 0 && !local->accept.armed && local->clients.n_used == 0;
}

void local_free(struct local *local)
{
	GW_ASSERT(local_is_quiet(local));
	slab_fini(&local->clients);
	free(local);
}

void local_check(const struct local *local)
{
	struct local_client *client;

	slab_check(&local->clients);
	for (uint32_t slot = 0; (client = slab_next(&local->clients, &slot));)
		local_client_check(client);
}
