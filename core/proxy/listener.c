/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/listener.h"

#include <errno.h>

#include "core/proxy/client.h"
#include "core/proxy/proxy.h"

#define RETRY_NS (100 * GW_NS_PER_MS) /* After an accept that failed. */
#define LOOK_NS  (50 * GW_NS_PER_MS)  /* A drain ends when nothing came for this long. */

enum { QUEUE_MAX = 4096 }; /* Connections that the kernel may hand over at once: the backlog. */

#define TO(state) (1u << LISTENER_##state)
static const uint8_t may_follow[LISTENER_N_STATES] = {
#define X(name, next) [LISTENER_##name] = (next),
	LISTENER_STATES(X)
#undef X
};

/* Clients that could be served, each with an upstream connection. */
static uint32_t room_of(const struct proxy *proxy)
{
	uint32_t slots = proxy->clients.n_slots - proxy->clients.n_used;
	uint32_t files = ring_files_left(proxy->ring) / 2;

	return slots < files ? slots : files;
}

static void arm(struct listener *l)
{
	l->one = room_of(l->proxy) <= QUEUE_MAX;
	if (l->one)
		ring_accept_one(l->proxy->ring, &l->accept, l->file);
	else
		ring_accept(l->proxy->ring, &l->accept, l->file);
}

static void enter(struct listener *l, enum listener_state next)
{
	struct ring *ring = l->proxy->ring;

	GW_ASSERT(may_follow[l->state] & (1u << next));
	if (l->state == LISTENER_PAUSED)
		metric_gauge_add(l->proxy->metrics, METRIC_ACCEPT_PAUSED, -1);
	l->state = (uint8_t)next;
	switch (next) {
	case LISTENER_OPEN:
		ring_timer_cancel(ring, &l->timer);
		arm(l);
		break;
	case LISTENER_PAUSING:
		ring_cancel(ring, &l->accept);
		break;
	case LISTENER_PAUSED:
		metric_gauge_add(l->proxy->metrics, METRIC_ACCEPT_PAUSED, 1);
		metric_inc(l->proxy->metrics, METRIC_ACCEPT_PAUSES);
		break;
	case LISTENER_DRAINING:
		l->took = false;
		if (!l->accept.armed)
			arm(l);
		ring_timer_set(ring, &l->timer, ring_now_ns(ring) + LOOK_NS);
		break;
	case LISTENER_CLOSING:
		ring_timer_cancel(ring, &l->timer);
		ring_close(ring, l->file);
		l->file = -1;
		if (!l->accept.armed)
			enter(l, LISTENER_CLOSED);
		break;
	case LISTENER_CLOSED:
		list_remove(&l->link);
		break;
	case LISTENER_N_STATES:
		GW_UNREACHABLE();
	}
}

static bool has_room(const struct proxy *proxy, uint32_t reserve)
{
	return room_of(proxy) > reserve;
}

/* The gap between stopping and going on again; less than there can be. */
static uint32_t reserve_low(const struct proxy *proxy)
{
	uint32_t n = proxy->clients.n_slots;

	return n > 1 ? 1 + n / 64 : 0;
}

/* What the stop was for. */
static void stopped(struct listener *l)
{
	if (l->draining)
		enter(l, LISTENER_DRAINING);
	else if (has_room(l->proxy, 0))
		enter(l, LISTENER_OPEN);
	else
		enter(l, LISTENER_PAUSED);
}

static void accept_failed(struct listener *l, int32_t res)
{
	if (res != -ECANCELED && l->state != LISTENER_CLOSING)
		metric_inc(l->proxy->metrics, METRIC_ACCEPT_ERRORS);
	switch ((enum listener_state)l->state) {
	case LISTENER_OPEN:
		enter(l, LISTENER_PAUSING);
		enter(l, LISTENER_PAUSED);
		ring_timer_set(l->proxy->ring, &l->timer, ring_now_ns(l->proxy->ring) + RETRY_NS);
		break;
	case LISTENER_PAUSING:
		stopped(l);
		break;
	case LISTENER_DRAINING: /* The timer decides. */
		break;
	case LISTENER_CLOSING:
		enter(l, LISTENER_CLOSED);
		break;
	case LISTENER_PAUSED:
	case LISTENER_CLOSED:
	case LISTENER_N_STATES:
		GW_UNREACHABLE();
	}
}

static void accepted(struct ring_op *op, const struct ring_answer *answer)
{
	struct listener *l = GW_CONTAINER_OF(op, struct listener, accept);

	if (answer->res >= 0) {
		l->took = true;
		client_accept(l, answer->res);
	}
	if (!answer->more)
		accept_failed(l, answer->res);
}

static void look(struct ring_timer *timer)
{
	struct listener *l = GW_CONTAINER_OF(timer, struct listener, timer);

	if (l->state == LISTENER_PAUSED) {
		if (has_room(l->proxy, reserve_low(l->proxy)))
			enter(l, LISTENER_OPEN);
		else
			ring_timer_set(l->proxy->ring, timer,
				       ring_now_ns(l->proxy->ring) + RETRY_NS);
	} else if (l->state == LISTENER_DRAINING && !l->took) {
		enter(l, LISTENER_CLOSING);
	} else if (l->state == LISTENER_DRAINING) {
		l->took = false;
		ring_timer_set(l->proxy->ring, timer, ring_now_ns(l->proxy->ring) + LOOK_NS);
	}
}

void listener_open(struct listener *l, struct proxy *proxy, int32_t file,
		   const struct peer_net *trusted, uint32_t n_trusted)
{
	*l = (struct listener){ .proxy = proxy,
				.file = file,
				.trusted = trusted,
				.n_trusted = n_trusted,
				.state = LISTENER_OPEN };
	ring_op_init(&l->accept, accepted);
	ring_timer_init(&l->timer, look);
	list_push_back(&proxy->listeners, &l->link);
	arm(l);
}

void listener_drain(struct listener *l)
{
	l->draining = true; /* PAUSING: when the accept has stopped. */
	if (l->state == LISTENER_OPEN || l->state == LISTENER_PAUSED)
		enter(l, LISTENER_DRAINING);
}

void listener_close(struct listener *l)
{
	if (l->state < LISTENER_CLOSING)
		enter(l, LISTENER_CLOSING);
}

bool listener_trusts(const struct listener *l, const struct peer *peer)
{
	return l->n_trusted > 0 && peer_in(peer, l->trusted, l->n_trusted);
}

void listener_took(struct listener *l)
{
	uint32_t room = room_of(l->proxy);

	if (l->state == LISTENER_OPEN && (room == 0 || (!l->one && room <= QUEUE_MAX)))
		enter(l, LISTENER_PAUSING);
}

/* Any listener of this worker may go on; one that waits out an error has its timer. */
void listener_released(struct listener *l)
{
	struct proxy *proxy = l->proxy;

	list_each(node, &proxy->listeners)
	{
		struct listener *other = list_entry(node, struct listener, link);

		if (other->state == LISTENER_PAUSED && has_room(proxy, reserve_low(proxy)))
			enter(other, LISTENER_OPEN);
		else if (other->state == LISTENER_OPEN && other->one &&
			 has_room(proxy, 2 * QUEUE_MAX))
			enter(other, LISTENER_PAUSING); /* To go on in bulk. */
	}
}
