/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_file.c - ring_net.h: sockets made, named and closed.
 *
 * An index is free again only when every operation on it has been answered and
 * some time has passed, and then goes out again in any order: whoever uses a
 * file after closing it traps, or gets somebody else's bytes, which the peers
 * notice.
 */
#include "tests/sim/sim_internal.h"

#include <errno.h>
#include <stdlib.h>

int32_t sim_file_new(struct ring *ring)
{
	uint32_t n = ring->ring_opt.files_max;
	uint32_t first = (uint32_t)sim_pick(ring, n);

	for (uint32_t i = 0; i < n; i++) {
		struct sim_file *f = &ring->files[(first + i) % n];

		if (f->state != SIM_FILE_FREE)
			continue;
		f->state = SIM_FILE_OPEN;
		f->abort = false;
		f->is_signals = false;
		ring->n_files++;
		ring->stats.files_open++;
		return (int32_t)(f - ring->files);
	}
	return -ENFILE;
}

struct sim_file *sim_file_get(struct ring *ring, int32_t file)
{
	GW_ASSERT(file >= 0 && (uint32_t)file < ring->ring_opt.files_max);
	GW_ASSERT(ring->files[file].state == SIM_FILE_OPEN); /* Closed, or never open. */
	return &ring->files[file];
}

uint32_t ring_files_left(const struct ring *ring)
{
	return ring->ring_opt.files_max - ring->n_files;
}

static void listener_close(struct ring *ring, struct sim_listener *listener)
{
	struct list_node *node;

	listener->file = -1;
	while ((node = list_pop_front(&listener->queue))) {
		struct sim_conn *conn = list_entry(node, struct sim_conn, queue);

		ring->counts.turned_away++;
		sim_end_close(&conn->ends[0], true);
	}
}

static void close_now(struct ring *ring, struct sim_event *event)
{
	struct sim_file *f = GW_CONTAINER_OF(event, struct sim_file, close);

	GW_ASSERT(f->state == SIM_FILE_CLOSING && list_is_empty(&f->ops));
	if (f->end)
		sim_end_close(f->end, f->abort);
	if (f->listener)
		listener_close(ring, f->listener);
	f->end = NULL;
	f->listener = NULL;
	f->state = SIM_FILE_FREE;
	ring->n_files--;
	ring->stats.files_open--;
}

/* The last operation of a file that was closed has been answered. */
void sim_file_settle(struct ring *ring, struct sim_file *f)
{
	if (f->state != SIM_FILE_CLOSING || !list_is_empty(&f->ops))
		return;
	f->close.run = close_now;
	if (sim_pick(ring, 2))
		sim_event_later(ring, &f->close);
	else
		sim_event_at(ring, &f->close, ring->now_ns);
}

void ring_close(struct ring *ring, int32_t file)
{
	struct sim_file *f = sim_file_get(ring, file);

	sim_say(ring, "close %d%s", file, f->abort ? " (abort)" : "");
	f->state = SIM_FILE_CLOSING;
	sim_ops_cancel_all(ring, f);
	sim_file_settle(ring, f);
}

void ring_abort_on_close(struct ring *ring, int32_t file)
{
	sim_file_get(ring, file)->abort = true;
}

bool ring_has_input(struct ring *ring, int32_t file)
{
	struct sim_file *f = sim_file_get(ring, file);

	GW_ASSERT(f->end);
	return f->end->in->arrived > f->end->in->head;
}

uint32_t ring_send_now(struct ring *ring, int32_t file, const void *data, uint32_t len)
{
	struct sim_file *f = sim_file_get(ring, file);
	int32_t n;

	GW_ASSERT(f->end);
	sim_ops_assert_no(ring, f, SIM_SEND); /* It would get in between. */
	n = sim_end_write(f->end, data, len);
	sim_say(ring, "send_now %d %u of %u", file, n > 0 ? (uint32_t)n : 0, len);
	return n > 0 ? (uint32_t)n : 0;
}

void ring_shutdown_send(struct ring *ring, int32_t file)
{
	struct sim_file *f = sim_file_get(ring, file);

	GW_ASSERT(f->end);
	sim_ops_assert_no(ring, f, SIM_SEND); /* The rest of it would be lost. */
	sim_say(ring, "shutdown_send %d", file);
	sim_end_finish(f->end);
	sim_ops_wake(ring, file); /* With the peer's end it is an end of both. */
}

int ring_socket(struct ring *ring, uint8_t family, int32_t *ret_file)
{
	static const int errors[] = { -EMFILE, -ENFILE, -ENOBUFS };
	int32_t file;

	GW_ASSERT(family != 0);
	if (sim_chance(ring, ring->opt.faults.socket_refused))
		return errors[sim_pick(ring, ARRAY_SIZE(errors))];
	file = sim_file_new(ring);
	if (file < 0)
		return file;
	ring->files[file].family = family;
	*ret_file = file;
	return 0;
}

int ring_listen(struct ring *ring, const struct ring_addr *addr, const struct ring_listen *how,
		int32_t *ret_file)
{
	struct sim_listener *listener;
	int32_t file = sim_file_new(ring);

	(void)how;
	if (file < 0)
		return file;
	listener = calloc(1, sizeof(*listener));
	GW_ASSERT(listener);
	listener->addr = *addr;
	listener->file = file;
	list_init(&listener->queue);
	list_push_back(&ring->listeners, &listener->link);
	ring->files[file].family = addr->family;
	ring->files[file].listener = listener;
	*ret_file = file;
	return 0;
}

int ring_listen_stop(struct ring *ring, int32_t file)
{
	struct sim_file *f = sim_file_get(ring, file);

	GW_ASSERT(f->listener);
	sim_say(ring, "listen_stop %d", file);
	f->listener->stopped = true;
	return 0;
}

int ring_local_addr(struct ring *ring, int32_t file, struct ring_addr *ret_addr)
{
	struct sim_file *f = sim_file_get(ring, file);

	if (f->listener)
		*ret_addr = f->listener->addr;
	else if (f->end)
		*ret_addr = f->end->addr;
	else
		return -ENOTCONN;
	return 0;
}

int ring_peer_addr(struct ring *ring, int32_t file, struct ring_addr *ret_addr)
{
	struct sim_file *f = sim_file_get(ring, file);

	if (!f->end || f->end->reset)
		return -ENOTCONN; /* As the kernel says of a socket that was reset. */
	*ret_addr = f->end->other->addr;
	return 0;
}

int ring_peer_cred(struct ring *ring, int32_t file, uid_t *ret_uid, gid_t *ret_gid)
{
	if (sim_file_get(ring, file)->family != AF_UNIX)
		return -ENOPROTOOPT;
	*ret_uid = 0;
	*ret_gid = 0;
	return 0;
}
