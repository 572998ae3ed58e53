/* SPDX-License-Identifier: Apache-2.0 */
/* An origin's connection of HTTP/2: moves bytes, breaks, says good-bye. */
#include "tests/sim/trunk.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/sim/cord.h"
#include "tests/sim/trunk_private.h"

#define MS UINT64_C(1000000)

enum { POOL = 64 << 20 };

/* What the sessions of all trunks share, in all worlds of the process. */
static struct h2_shared *shared;
static struct h2_block scratch;

static void hang_up(struct trunk *k, bool reset)
{
	GW_ASSERT(!k->closed);
	k->closed = true;
	sim_event_drop(k->w->ring, &k->move);
	list_each(node, &k->errands) errand_drop(list_entry(node, struct errand, link));
	h2_session_close(k->session);
	k->session = NULL;
	cord_close(k->cord, reset);
	k->cord = NULL;
}

/* --- Bytes. ---------------------------------------------------------------------------------- */

/* The one that says how many streams: in front of all else. */
static void tell_limit(struct trunk *k)
{
	uint32_t len = (uint32_t)k->out[1] << 8 | k->out[2];

	GW_ASSERT(k->out_len >= H2_FRAME_HEAD + len);
	for (uint8_t *entry = k->out + H2_FRAME_HEAD; entry < k->out + H2_FRAME_HEAD + len;
	     entry += 6)
		if (entry[1] == 3)
			entry[5] = (uint8_t)k->limit;
}

/* One piece. True when another may follow at once. */
static bool send_piece(struct trunk *k)
{
	uint32_t n;
	int32_t r;

	if (k->out_at == k->out_len) {
		k->out_at = 0;
		k->out_len = h2_session_write(k->session, k->out, sizeof(k->out));
	}
	n = k->out_len - k->out_at < k->send_piece ? k->out_len - k->out_at : k->send_piece;
	if (n == 0)
		return false;
	r = cord_write(k->cord, k->out + k->out_at, n);
	if (r < 0)
		return false;
	k->out_at += (uint32_t)r;
	return true;
}

static bool ends_now(const struct trunk *k)
{
	bool quiet = k->n_open == 0 && k->out_at == k->out_len &&
		     !h2_session_wants_write(k->session);

	return k->breaks || (quiet && (k->leaves || k->fades));
}

static void feed(struct trunk *k, const uint8_t *bytes, uint32_t n)
{
	bool held = h2_session_in_section(k->session);

	h2_session_feed(k->session, held ? k->held : &scratch, bytes, n, ring_now_ns(k->w->ring));
	if (!held && h2_session_in_section(k->session))
		h2_block_move(k->held, &scratch);
	if (h2_session_is_over(k->session))
		sim_fail(k->w->ring, "a trunk cannot go on: %s",
			 reason_label(h2_session_reason(k->session)).ptr);
}

/* All that has come. False at the end of it. */
static bool hear(struct trunk *k)
{
	uint8_t bytes[16384];
	int32_t n;

	while ((n = cord_read(k->cord, bytes, sizeof(bytes))) > 0)
		feed(k, bytes, (uint32_t)n);
	return n == -EAGAIN && !cord_is_reset(k->cord);
}

/* Closed at once, what the gateway still sends would destroy what it has not read. */
static void finish(struct trunk *k)
{
	k->finished = true;
	if (!cord_is_reset(k->cord))
		cord_finish(k->cord);
}

static void move(struct ring *ring, struct sim_event *event)
{
	struct trunk *k = GW_CONTAINER_OF(event, struct trunk, move);
	bool more = true;

	if (!hear(k)) {
		hang_up(k, false);
		return;
	}
	for (int i = 0; i < 256 && more && !k->breaks && !k->finished; i++) {
		more = send_piece(k);
		if (more && k->send_pause_ns) {
			sim_event_at(ring, &k->move, ring_now_ns(ring) + k->send_pause_ns);
			return;
		}
	}
	if (k->finished)
		return;
	if (ends_now(k) && !k->breaks && !k->abrupt)
		finish(k);
	else if (ends_now(k))
		hang_up(k, k->breaks);
	else if (more)
		sim_event_later(ring, &k->move);
}

static void something(struct cord *cord, void *owner)
{
	struct trunk *k = owner;

	(void)cord;
	if (!k->closed && !sim_event_waits(&k->move))
		sim_event_later(k->w->ring, &k->move);
}

/* --- Life. ----------------------------------------------------------------------------------- */

void trunk_new(struct world *w, struct sim_end *end, struct list *list)
{
	struct trunk *k = calloc(1, sizeof(*k));
	struct ring *ring = w->ring;

	GW_ASSERT(k);
	k->held = malloc(sizeof(*k->held));
	GW_ASSERT(k->held);
	k->w = w;
	k->cord = world_accept(w, end);
	k->end = end;
	k->made_ns = ring_now_ns(ring);
	list_init(&k->errands);
	list_push_back(list, &k->link);
	k->move.run = move;
	k->limit = sim_pick(ring, 2) ? 1 + (uint32_t)sim_pick(ring, 4) : H2_STREAMS_MAX;
	k->send_piece = sim_pick(ring, 4) ? 65536 : 50 + (uint32_t)sim_pick(ring, 700);
	k->send_pause_ns = sim_pick(ring, 4) ? 0 : 1 + sim_pick(ring, MS);
	k->abrupt = !w->calm && sim_pick(ring, 2);
	k->refuses = !w->calm && sim_pick(ring, 4) == 0 ? 1 + (uint32_t)sim_pick(ring, 4) : 0;
	if (!shared)
		GW_ASSERT(h2_shared_create(POOL, &shared) == 0);
	GW_ASSERT(h2_session_open(shared, H2_SERVER, false, &trunk_events, k, &k->session) == 0);
	k->out_len = h2_session_write(k->session, k->out, sizeof(k->out));
	tell_limit(k);
	cord_watch(k->cord, something, k);
	sim_event_later(ring, &k->move);
}

void trunks_watch_gone(const struct list *list, const struct deal *deal)
{
	list_each(node, list)
	{
		const struct trunk *k = list_entry(node, struct trunk, link);

		list_each(each, &k->errands)
		{
			const struct errand *e = list_entry(each, struct errand, link);

			if (e->open && e->deal == deal && !sim_end_is_alone(k->end))
				sim_fail(k->w->ring,
					 "%016llx: its client is gone, but it is served",
					 (unsigned long long)deal->plan.nonce);
		}
	}
}

void trunks_free(struct list *list)
{
	for (struct list_node *node; (node = list_pop_front(list));) {
		struct trunk *k = list_entry(node, struct trunk, link);

		sim_event_drop(k->w->ring, &k->move);
		for (struct list_node *each; (each = list_pop_front(&k->errands));) {
			struct errand *e = list_entry(each, struct errand, link);

			errand_drop(e);
			free(e);
		}
		if (k->session)
			h2_session_close(k->session);
		if (k->cord)
			cord_close(k->cord, true);
		free(k->held);
		free(k);
	}
}
