/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange's request, while the signature of its token waits for its turn: see turns.h. */
#include "core/proxy/exchange.h"
#include "core/proxy/proxy.h"

/*
 * The other half of the blocks is for heads that come in pieces, and for large ones. No client has
 * more than half of the places, whatever it sends: others keep theirs.
 */
static bool has_room(const struct proxy *proxy, uint32_t share)
{
	uint32_t places = proxy->heads.n_slots / 2;

	return proxy->tokens.waiting.n <= places && share < (places + 1) / 2;
}

bool exchange_queue(struct exchange *ex, const struct http_head *head,
		    const struct exchange_client *who, const struct peer *client)
{
	struct proxy *proxy = ex->proxy;
	uint32_t *share = &proxy->queued_by[limits_client(proxy, client) % QUEUE_SHARES];

	ex->queued = has_room(proxy, *share) ? slab_alloc(&proxy->heads) : NULL;
	if (!ex->queued) {
		turns_leave(&proxy->tokens, &ex->turn);
		return false;
	}
	++*share;
	ex->queued->share = share;
	ex->queued->who = *who;
	http_head_copy(&ex->queued->head, ex->queued->text, head);
	exchange_enter(ex, EXCHANGE_QUEUED);
	return true;
}

static void forget(struct proxy *proxy, struct exchange_queued *queued)
{
	GW_ASSERT(*queued->share > 0);
	--*queued->share;
	slab_free(&proxy->heads, queued);
}

void exchange_leave_queue(struct exchange *ex)
{
	turns_leave(&ex->proxy->tokens, &ex->turn);
	forget(ex->proxy, ex->queued);
	ex->queued = NULL;
}

void exchange_turn_comes(struct turn *turn)
{
	struct exchange *ex = GW_CONTAINER_OF(turn, struct exchange, turn);
	struct exchange_queued *queued = ex->queued;
	struct proxy *proxy = ex->proxy;

	ex->queued = NULL;
	exchange_judge_queued(ex, queued);
	forget(proxy, queued);
	exchange_settle(ex);
}
