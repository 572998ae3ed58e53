/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange's request, while the signature of its token waits for its turn: see turns.h. */
#include "core/proxy/exchange.h"
#include "core/proxy/proxy.h"

/* The other half of the blocks is for heads that come in pieces, and for large ones. */
static bool has_room(const struct proxy *proxy)
{
	return proxy->tokens.waiting.n <= proxy->options->heads_max / 2;
}

bool exchange_queue(struct exchange *ex, const struct http_head *head,
		    const struct exchange_client *who)
{
	struct proxy *proxy = ex->proxy;

	ex->queued = has_room(proxy) ? slab_alloc(&proxy->heads) : NULL;
	if (!ex->queued) {
		turns_leave(&proxy->tokens, &ex->turn);
		return false;
	}
	ex->queued->who = *who;
	http_head_copy(&ex->queued->head, ex->queued->text, head);
	exchange_enter(ex, EXCHANGE_QUEUED);
	return true;
}

void exchange_leave_queue(struct exchange *ex)
{
	turns_leave(&ex->proxy->tokens, &ex->turn);
	slab_free(&ex->proxy->heads, ex->queued);
	ex->queued = NULL;
}

void exchange_turn_comes(struct turn *turn)
{
	struct exchange *ex = GW_CONTAINER_OF(turn, struct exchange, turn);
	struct exchange_queued *queued = ex->queued;
	struct proxy *proxy = ex->proxy;

	ex->queued = NULL;
	exchange_judge_queued(ex, &queued->head, &queued->who);
	slab_free(&proxy->heads, queued);
	exchange_settle(ex);
}
