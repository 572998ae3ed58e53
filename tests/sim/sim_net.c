/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_net.c - connections: two bounded byte streams, FIN, RST, and who listens.
 *
 * A flow keeps what was sent until it is read: in flight up to 'arrived', in
 * the receiver's queue from there. Its event moves some bytes from one to the
 * other while there is a window, then tells both ends. A receiver that has
 * closed answers bytes with RST.
 */
#include "tests/sim/sim_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"

#define KNOCK_AGAIN_NS (1 * GW_NS_PER_S) /* As Linux does at first. */

static uint32_t least(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

/* --- Telling ------------------------------------------------------------------------------ */

static void wake_run(struct ring *ring, struct sim_event *event)
{
	struct sim_end *end = GW_CONTAINER_OF(event, struct sim_end, wake);

	(void)ring;
	if (!end->closed && end->fn)
		end->fn(end, end->owner);
}

static void tell(struct sim_end *end)
{
	if (end->closed)
		return;
	if (end->file >= 0)
		sim_ops_wake(end->ring, end->file);
	else if (end->fn && !sim_event_waits(&end->wake))
		sim_event_later(end->ring, &end->wake);
}

void sim_end_watch(struct sim_end *end, sim_end_fn *fn, void *owner)
{
	end->fn = fn;
	end->owner = owner;
	tell(end);
}

/* --- Flows -------------------------------------------------------------------------------- */

static uint32_t in_flight(const struct sim_flow *flow)
{
	return (uint32_t)(flow->tail - flow->arrived);
}

static uint32_t window(const struct sim_flow *flow)
{
	return flow->window_size - (uint32_t)(flow->arrived - flow->head);
}

static void flow_go_on(struct ring *ring, struct sim_flow *flow)
{
	bool moves = in_flight(flow) > 0 && (window(flow) > 0 || flow->to->closed);
	bool ends = in_flight(flow) == 0 && flow->fin_sent && !flow->fin_arrived;

	if ((moves || ends) && !sim_event_waits(&flow->move))
		sim_event_later(ring, &flow->move);
}

static void flow_forget(struct sim_flow *flow)
{
	flow->head = flow->tail;
	flow->arrived = flow->tail;
}

static void flow_move(struct ring *ring, struct sim_event *event)
{
	struct sim_flow *flow = GW_CONTAINER_OF(event, struct sim_flow, move);
	uint32_t n = in_flight(flow);

	GW_ASSERT(flow->head <= flow->arrived && flow->arrived <= flow->tail);
	GW_ASSERT(flow->tail - flow->head <= flow->size);
	if (n > 0 && flow->to->closed) {
		flow_forget(flow);
		sim_net_send_rst(ring, flow->to);
		return;
	}
	n = least(n, window(flow));
	if (n > 0) {
		/* Often all of it, so that heads are not always in shreds. */
		n = sim_pick(ring, 3) ? n : 1 + (uint32_t)sim_pick(ring, n);
		flow->arrived += n;
		if (!flow->from->closed)
			tell(flow->from);
	} else if (in_flight(flow) == 0 && flow->fin_sent) {
		flow->fin_arrived = true;
	} else {
		return;
	}
	tell(flow->to);
	flow_go_on(ring, flow);
}

/* --- Resets ------------------------------------------------------------------------------- */

static void rst_arrives(struct ring *ring, struct sim_event *event)
{
	struct sim_end *end = GW_CONTAINER_OF(event, struct sim_end, rst);

	if (end->closed || end->reset)
		return;
	ring->counts.resets++;
	end->reset = true;
	end->in->tail = end->in->arrived; /* What had not arrived never will. */
	flow_forget(end->out);
	sim_say(ring, "  reset arrives at %s", end->file >= 0 ? "gateway" : "peer");
	tell(end);
}

/* The end 'from' resets the connection. */
void sim_net_send_rst(struct ring *ring, struct sim_end *from)
{
	struct sim_end *to = from->other;

	if (to->closed || to->reset || sim_event_waits(&to->rst))
		return;
	if (in_flight(from->out) > 0 && sim_chance(ring, ring->opt.faults.reset_cuts)) {
		from->out->tail = from->out->arrived;
		from->out->fin_sent = false; /* It came behind what is lost. */
	}
	sim_event_later(ring, &to->rst);
}

/* --- Ends --------------------------------------------------------------------------------- */

bool sim_net_readable(const struct sim_end *end)
{
	return end->in->arrived > end->in->head || end->in->fin_arrived || end->reset;
}

bool sim_net_has_bytes(const struct sim_end *end)
{
	return end->in->arrived > end->in->head;
}

uint32_t sim_net_room(const struct sim_end *end)
{
	return end->out->send_size - in_flight(end->out);
}

bool sim_end_is_reset(const struct sim_end *end)
{
	return end->reset;
}

bool sim_end_is_alone(const struct sim_end *end)
{
	return end->other->closed;
}

uint32_t sim_end_unsent(const struct sim_end *end)
{
	return in_flight(end->out);
}

uint64_t sim_end_unread(const struct sim_end *end)
{
	return end->out->tail - end->out->head;
}

static int32_t told_reset(struct sim_end *end, int32_t later)
{
	if (end->reset_told)
		return later;
	end->reset_told = true;
	return -ECONNRESET;
}

int32_t sim_end_read(struct sim_end *end, void *ret_bytes, uint32_t size)
{
	struct sim_flow *flow = end->in;
	uint32_t n = least(size, flow->arrived - flow->head);
	uint32_t at = (uint32_t)(flow->head % flow->size);
	uint32_t first = least(n, flow->size - at);

	GW_ASSERT(!end->closed && size > 0);
	if (n == 0) {
		if (end->reset)
			return told_reset(end, 0);
		return flow->fin_arrived ? 0 : -EAGAIN;
	}
	memcpy(ret_bytes, flow->mem + at, first);
	memcpy((uint8_t *)ret_bytes + first, flow->mem, n - first);
	flow->head += n;
	flow_go_on(end->ring, flow);
	return (int32_t)n;
}

int32_t sim_end_write(struct sim_end *end, const void *data, uint32_t len)
{
	struct sim_flow *flow = end->out;
	uint32_t at = (uint32_t)(flow->tail % flow->size);
	uint32_t n, first;

	GW_ASSERT(!end->closed && len > 0);
	GW_ASSERT(!flow->fin_sent); /* Bytes behind the own end. */
	if (end->reset)
		return told_reset(end, -EPIPE);
	n = least(len, sim_net_room(end));
	if (n == 0)
		return -EAGAIN;
	first = least(n, flow->size - at);
	memcpy(flow->mem + at, data, first);
	memcpy(flow->mem, (const uint8_t *)data + first, n - first);
	flow->tail += n;
	flow_go_on(end->ring, flow);
	return (int32_t)n;
}

void sim_end_finish(struct sim_end *end)
{
	end->out->fin_sent = true;
	flow_go_on(end->ring, end->out);
}

static void flow_stop(struct sim_flow *flow)
{
	sim_event_drop(flow->from->ring, &flow->move);
	free(flow->mem);
	flow->mem = NULL;
}

void sim_end_close(struct sim_end *end, bool reset)
{
	struct ring *ring = end->ring;
	bool unread = end->in->arrived > end->in->head;

	GW_ASSERT(!end->closed);
	end->closed = true;
	sim_event_drop(ring, &end->wake);
	sim_event_drop(ring, &end->rst);
	if (end->other->closed) {
		flow_stop(end->in);
		flow_stop(end->out);
		return;
	}
	if ((reset || unread) && !end->reset)
		sim_net_send_rst(ring, end);
	else
		sim_end_finish(end);
	flow_go_on(ring, end->in); /* What still comes is answered with RST. */
}

/* --- Connections -------------------------------------------------------------------------- */

static void flow_init(struct ring *ring, struct sim_flow *flow, struct sim_end *from,
		      struct sim_end *to)
{
	flow->send_size = ring->opt.send_size;
	flow->window_size = ring->opt.window_size;
	flow->size = flow->send_size + flow->window_size;
	flow->mem = malloc(flow->size);
	GW_ASSERT(flow->mem);
	flow->move.run = flow_move;
	flow->from = from;
	flow->to = to;
	from->out = flow;
	to->in = flow;
}

struct sim_conn *sim_net_connect(struct ring *ring)
{
	struct sim_conn *conn = calloc(1, sizeof(*conn));

	GW_ASSERT(conn);
	for (int i = 0; i < 2; i++) {
		conn->ends[i].ring = ring;
		conn->ends[i].other = &conn->ends[!i];
		conn->ends[i].file = -1;
		conn->ends[i].wake.run = wake_run;
		conn->ends[i].rst.run = rst_arrives;
		flow_init(ring, &conn->flows[i], &conn->ends[i], &conn->ends[!i]);
	}
	list_push_back(&ring->conns, &conn->link);
	return conn;
}

static void conn_free(struct ring *ring, struct sim_conn *conn)
{
	for (int i = 0; i < 2; i++) {
		GW_ASSERT(conn->ends[i].closed || conn->ends[i].file < 0);
		sim_event_drop(ring, &conn->ends[i].wake);
		sim_event_drop(ring, &conn->ends[i].rst);
		if (conn->flows[i].mem)
			flow_stop(&conn->flows[i]);
	}
	sim_event_drop(ring, &conn->knock);
	free(conn);
}

void sim_net_free(struct ring *ring)
{
	struct list_node *node;

	while ((node = list_pop_front(&ring->conns)))
		conn_free(ring, list_entry(node, struct sim_conn, link));
	while ((node = list_pop_front(&ring->listeners)))
		free(list_entry(node, struct sim_listener, link));
}

void sim_host_add(struct ring *ring, struct sim_host *host)
{
	host->link = (struct list_node){ 0 };
	list_push_back(&ring->hosts, &host->link);
}

static struct sim_listener *listener_at(struct ring *ring, const struct ring_addr *addr)
{
	list_each(node, &ring->listeners)
	{
		struct sim_listener *listener = list_entry(node, struct sim_listener, link);

		if (listener->file >= 0 && ring_addr_eq(&listener->addr, addr))
			return listener;
	}
	return NULL;
}

/*
 * Who knocks at a TCP listener that has stopped hears nothing, and knocks again. Any other
 * connection has begun as soon as it was dialled, and stands in the queue when the handshake is over.
 */
static void begin(struct ring *ring, struct sim_conn *conn)
{
	conn->begun = !conn->listener->stopped;
	if (conn->begun) {
		sim_event_later(ring, &conn->knock);
		return;
	}
	ring->counts.unheard++;
	sim_event_at(ring, &conn->knock, ring->now_ns + KNOCK_AGAIN_NS);
}

static void knock(struct ring *ring, struct sim_event *event)
{
	struct sim_conn *conn = GW_CONTAINER_OF(event, struct sim_conn, knock);

	if (conn->listener->file < 0) {
		ring->counts.turned_away += conn->begun;
		sim_end_close(&conn->ends[0], true);
	} else if (conn->begun) {
		list_push_back(&conn->listener->queue, &conn->queue);
		sim_ops_wake(ring, conn->listener->file);
	} else {
		begin(ring, conn);
	}
}

struct sim_end *sim_end_dial(struct ring *ring, const struct ring_addr *addr,
			     const struct ring_addr *from)
{
	struct sim_listener *listener = listener_at(ring, addr);
	struct sim_conn *conn;

	if (!listener || (listener->stopped && addr->family == AF_UNIX))
		return NULL;
	conn = sim_net_connect(ring);
	conn->listener = listener;
	conn->ends[0].addr = *addr;
	conn->ends[1].addr = *from;
	conn->knock.run = knock;
	begin(ring, conn);
	return &conn->ends[1];
}
