/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/listener.h"

#include <errno.h>

#include "core/proxy/client.h"
#include "core/proxy/proxy.h"
#include "ring/ring_net.h"

#define RETRY_NS (100 * GW_NS_PER_MS) /* While paused. */
#define LOOK_NS  (50 * GW_NS_PER_MS)  /* A drain ends when nothing came for this long, */

/*
 * and no ACK of a handshake can be on its way: they take a round trip, and hardly one takes longer
 * than this. Less than the second after which those who were not heard knock again.
 */
#define STOP_NS (500 * GW_NS_PER_MS)

enum { QUEUE_MAX = 4096 }; /* Connections that the kernel may hand over at once: the backlog. */

#define TO(state) (1u << LISTENER_##state)
static const uint8_t may_follow[LISTENER_N_STATES] = {
#define X(name, next) [LISTENER_##name] = (next),
	LISTENER_STATES(X)
#undef X
};

/*
 * Clients that could be served, each with an upstream connection; so there is to be one for those
 * who are here, too. Idle upstream connections count: their clients are who will use them next.
 */
static uint32_t room_of(const struct proxy *proxy)
{
	const struct slab *clients = &proxy->clients, *upstreams = &proxy->upstreams;
	uint32_t slots = clients->n_slots - clients->n_used;
	uint32_t files = ring_files_left(proxy->ring);
	uint32_t owed = clients->n_used > upstreams->n_used ? clients->n_used - upstreams->n_used
							    : 0;

	files = files > owed ? (files - owed) / 2 : 0;
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
		l->stirred = true;
		ring_timer_cancel(ring, &l->retry);
		arm(l);
		break;
	case LISTENER_PAUSING:
		ring_cancel(ring, &l->accept);
		break;
	case LISTENER_PAUSED:
		metric_gauge_add(l->proxy->metrics, METRIC_ACCEPT_PAUSED, 1);
		metric_inc(l->proxy->metrics, METRIC_ACCEPT_PAUSES);
		ring_timer_set(ring, &l->retry, ring_now_ns(ring) + RETRY_NS);
		break;
	case LISTENER_CLOSING:
		ring_timer_cancel(ring, &l->retry);
		ring_timer_cancel(ring, &l->look);
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
	if (has_room(l->proxy, 0))
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
		break;
	case LISTENER_PAUSING:
		stopped(l);
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
		l->stirred = true;
		client_accept(l, answer->res);
	}
	if (!answer->more)
		accept_failed(l, answer->res);
}

static void retry(struct ring_timer *timer)
{
	struct listener *l = GW_CONTAINER_OF(timer, struct listener, retry);

	GW_ASSERT(l->state == LISTENER_PAUSED);
	if (has_room(l->proxy, reserve_low(l->proxy)))
		enter(l, LISTENER_OPEN);
	else
		ring_timer_set(l->proxy->ring, timer, ring_now_ns(l->proxy->ring) + RETRY_NS);
}

/* A drain is over when accepting has gone on for a while, and nothing came. */
static void look(struct ring_timer *timer)
{
	struct listener *l = GW_CONTAINER_OF(timer, struct listener, look);
	uint64_t now_ns = ring_now_ns(l->proxy->ring);

	GW_ASSERT(l->draining);
	if (l->state == LISTENER_OPEN && !l->stirred && now_ns >= l->stays_ns) {
		enter(l, LISTENER_CLOSING);
		return;
	}
	l->stirred = false;
	ring_timer_set(l->proxy->ring, timer, now_ns + LOOK_NS);
}

void listener_open(struct listener *l, struct proxy *proxy, int32_t file,
		   const struct listener_spec *spec)
{
	GW_ASSERT(spec->h1 || spec->h2);
	*l = (struct listener){
		.proxy = proxy, .file = file, .spec = *spec, .state = LISTENER_OPEN
	};
	ring_op_init(&l->accept, accepted);
	ring_timer_init(&l->retry, retry);
	ring_timer_init(&l->look, look);
	list_push_back(&proxy->listeners, &l->link);
	arm(l);
}

void listener_drain(struct listener *l)
{
	struct ring *ring = l->proxy->ring;
	uint64_t now_ns = ring_now_ns(ring);

	if (l->draining || l->state >= LISTENER_CLOSING)
		return;
	l->draining = true;
	l->stirred = true;
	l->stays_ns = now_ns + STOP_NS;
	/* Of no use, it leaves a drain that ends with the first pause. */
	GW_COUNT_IF(ring_listen_stop(ring, l->file) < 0, "listen_not_stopped");
	ring_timer_set(ring, &l->look, now_ns + LOOK_NS);
}

void listener_close(struct listener *l)
{
	if (l->state < LISTENER_CLOSING)
		enter(l, LISTENER_CLOSING);
}

bool listener_trusts(const struct listener *l, const struct peer *peer)
{
	return l->spec.n_trusted > 0 && peer_in(peer, l->spec.trusted, l->spec.n_trusted);
}

void listener_took(struct listener *l)
{
	uint32_t room = room_of(l->proxy);

	if (l->state == LISTENER_OPEN && (room == 0 || (!l->one && room <= QUEUE_MAX)))
		enter(l, LISTENER_PAUSING);
}

/* Any listener of this worker may go on. */
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
