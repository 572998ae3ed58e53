/* SPDX-License-Identifier: Apache-2.0 */
/* A client of HTTP/2: comes, moves bytes, leaves. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "tests/sim/guest_private.h"
#include "tests/sim/origin.h"

#define MS UINT64_C(1000000)

enum { PATIENCE_S = 150, NEVER_READS_S = 100, GONE_MS = 1000, POOL = 64 << 20 };

/* What the sessions of all guests share, in all worlds of the process. */
static struct h2_shared *shared;
static struct h2_block scratch;

static void over(struct guest *g, bool reset)
{
	struct ring *ring = g->w->ring;

	GW_ASSERT(!g->over);
	g->over = true;
	g->w->n_guests_over++;
	cord_close(g->cord, reset);
	sim_event_drop(ring, &g->send);
	sim_event_drop(ring, &g->read);
	sim_event_drop(ring, &g->grant);
	sim_event_drop(ring, &g->leave);
	h2_session_close(g->session);
	g->session = NULL;
	sim_say(ring, "guest %u over, %u asked, %u answered", g->first, g->n_asked, g->n_answered);
}

/* Rule 7, for streams as well: nobody works on for who has given up. */
static void watch_gone(struct ring *ring, struct sim_event *event)
{
	struct guest *g = GW_CONTAINER_OF(event, struct guest, gone);
	uint64_t now_ns = ring_now_ns(ring);

	for (uint32_t i = 0; i < g->n_asked; i++) {
		const struct talk *t = &g->talks[i];

		if (t->gone_ns == 0)
			continue;
		if (t->gone_ns + GONE_MS * MS > now_ns) {
			sim_event_at(ring, &g->gone, t->gone_ns + GONE_MS * MS);
			continue;
		}
		for (uint32_t k = 0; k < WORLD_ORIGINS; k++)
			origin_watch_gone(g->w->origins[k], t->deal);
	}
}

/* The gateway knows, or will in no time, that these are not waited for. */
static void gone(struct guest *g, bool all)
{
	struct ring *ring = g->w->ring;

	for (uint32_t i = 0; i < g->n_asked; i++) {
		struct talk *t = &g->talks[i];

		if (t->gone_ns > 0 || !(t->given_up || (all && !t->over)))
			continue;
		t->gone_ns = ring_now_ns(ring);
		if (!sim_event_waits(&g->gone))
			sim_event_at(ring, &g->gone, t->gone_ns + GONE_MS * MS);
	}
}

static void leave(struct guest *g, bool reset)
{
	if (g->n_over < g->n_asked)
		world_saw(g->w, WORLD_VISITOR_LEFT);
	if (reset)
		gone(g, true);
	over(g, reset);
}

/* The gateway has ended the connection. */
static void ended(struct guest *g, bool reset)
{
	if (cord_is_cut(g->cord)) {
		leave(g, true);
		return;
	}
	if (g->w->calm && g->n_over < g->n)
		sim_fail(g->w->ring, "guest %u: calm, but only %u of %u answered (%s)", g->first,
			 g->n_over, g->n, reset ? "reset" : "closed");
	if (g->n_over < g->n_asked)
		world_saw(g->w, reset ? WORLD_RESET_UNANSWERED : WORLD_CLOSED_UNANSWERED);
	over(g, false);
}

/* --- Sending. -------------------------------------------------------------------------------- */

static void finish(struct guest *g)
{
	g->silent = true;
	if (g->finished || cord_is_reset(g->cord))
		return;
	g->finished = true;
	cord_finish(g->cord);
	world_saw(g->w, WORLD_HALF_CLOSED);
}

/* All has left that there was to say: streams that were given up are known to be. */
static void said_all(struct guest *g)
{
	bool half_close = g->manners.half_close && g->n_asked == g->n;

	for (uint32_t i = 0; i < g->n_asked; i++)
		half_close &= g->talks[i].over || g->talks[i].deal->ask_whole;
	if (cord_unsent(g->cord) == 0)
		gone(g, false);
	if (g->finishes || (half_close && !h2_session_wants_write(g->session)))
		finish(g);
}

/* The place in a head where this guest goes away, or goes silent. */
static void stopped(struct guest *g)
{
	const struct talk *t = &g->talks[g->n_asked - 1];

	g->silent = true;
	g->breaks = t->deal->plan.cut == PLAN_CUT_FIN_HEAD;
}

/* One piece. True when another may follow at once. */
static bool send_piece(struct guest *g)
{
	uint32_t n;
	int32_t r;

	if (g->silent)
		return false;
	if (g->out_at == g->out_len) {
		guest_ask(g);
		g->out_at = 0;
		g->out_len = h2_session_write(g->session, g->out, sizeof(g->out));
	}
	n = g->out_len - g->out_at < g->manners.send_piece ? g->out_len - g->out_at
							   : g->manners.send_piece;
	if (g->out_total + n > g->stop_at)
		n = (uint32_t)(g->stop_at - g->out_total);
	if (n == 0 && g->out_total == g->stop_at)
		stopped(g);
	else if (n == 0)
		said_all(g);
	if (n == 0)
		return false;
	r = cord_write(g->cord, g->out + g->out_at, n);
	if (r < 0) {
		g->silent = r != -EAGAIN;
		return false;
	}
	guest_progress(g);
	g->out_at += (uint32_t)r;
	g->out_total += (uint32_t)r;
	return true;
}

static bool leaves_now(struct guest *g)
{
	bool done = g->n_over == g->n_asked && (g->n_asked == g->n || g->dismissed);

	if (g->breaks)
		leave(g, true);
	else if (done && !g->manners.stays && !g->finishes && g->out_at == g->out_len &&
		 !h2_session_wants_write(g->session))
		leave(g, g->manners.resets);
	return g->over;
}

static void send_some(struct ring *ring, struct sim_event *event)
{
	struct guest *g = GW_CONTAINER_OF(event, struct guest, send);
	bool more = true;

	for (int i = 0; i < 256 && more; i++) {
		more = send_piece(g);
		if (leaves_now(g))
			return;
		if (more && g->manners.send_pause_ns) {
			sim_event_at(ring, &g->send, ring_now_ns(ring) + g->manners.send_pause_ns);
			return;
		}
	}
	if (more)
		sim_event_later(ring, &g->send);
}

/* --- Reading. -------------------------------------------------------------------------------- */

static void feed(struct guest *g, const uint8_t *bytes, uint32_t n)
{
	bool held = h2_session_in_section(g->session);

	h2_session_feed(g->session, held ? g->held : &scratch, bytes, n, ring_now_ns(g->w->ring));
	if (!held && h2_session_in_section(g->session))
		h2_block_move(g->held, &scratch);
	if (h2_session_is_over(g->session))
		sim_fail(g->w->ring, "guest %u cannot go on: %s", g->first,
			 reason_label(h2_session_reason(g->session)).ptr);
}

/* One piece. True when another may follow at once. */
static bool read_piece(struct guest *g)
{
	uint8_t bytes[16384];
	int32_t n = cord_read(g->cord, bytes, g->manners.read_piece);

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		ended(g, n < 0 || cord_is_reset(g->cord));
		return false;
	}
	guest_progress(g);
	feed(g, bytes, (uint32_t)n);
	if (!sim_event_waits(&g->send))
		sim_event_later(g->w->ring, &g->send);
	return true;
}

static void read_some(struct ring *ring, struct sim_event *event)
{
	struct guest *g = GW_CONTAINER_OF(event, struct guest, read);

	for (int i = 0; i < 64; i++) {
		if (!read_piece(g))
			return;
		if (g->manners.read_pause_ns > 0)
			break;
	}
	sim_event_at(ring, &g->read, ring_now_ns(ring) + g->manners.read_pause_ns + 1000);
}

/* Windows open, and who has waited for 100 goes on. */
static void grant(struct ring *ring, struct sim_event *event)
{
	struct guest *g = GW_CONTAINER_OF(event, struct guest, grant);

	for (uint32_t i = 0; i < g->n_asked && !g->manners.never_grants; i++) {
		struct talk *t = &g->talks[i];

		if (t->owed > 0 && !t->over)
			h2_session_grant(g->session, t->id, (uint32_t)t->owed);
		else if (t->owed > 0)
			h2_session_grant_connection(g->session, (uint32_t)t->owed);
		t->owed = 0;
	}
	guest_go_on(g);
	if (g->manners.pings)
		h2_session_ping(g->session);
	sim_event_later(ring, &g->send);
}

/* --- Coming and going. ----------------------------------------------------------------------- */

static void something(struct cord *cord, void *owner)
{
	struct guest *g = owner;
	struct ring *ring = g->w->ring;

	if (cord_is_reset(cord) && g->manners.never_reads) {
		ended(g, true);
		return;
	}
	if (!g->manners.never_reads && !sim_event_waits(&g->read))
		sim_event_later(ring, &g->read);
	if (!sim_event_waits(&g->send))
		sim_event_later(ring, &g->send);
}

static void arrive(struct ring *ring, struct sim_event *event)
{
	struct guest *g = GW_CONTAINER_OF(event, struct guest, arrive);
	struct ring_addr from = { .family = AF_INET,
				  .port = (uint16_t)(1024 + g->first),
				  .ip = { 192, 0, 2, (uint8_t)g->first } };

	guest_progress(g);
	g->cord = world_dial(g->w, g->first, true, &from);
	if (!g->cord) {
		g->over = true;
		g->w->n_guests_over++;
		world_saw(g->w, WORLD_NOT_ACCEPTED);
		return;
	}
	if (!shared)
		GW_ASSERT(h2_shared_create(POOL, &shared) == 0);
	GW_ASSERT(h2_session_open(shared, H2_CLIENT, false, &guest_events, g, &g->session) == 0);
	cord_watch(g->cord, something, g);
	if (g->manners.never_reads)
		sim_event_at(ring, &g->leave, ring_now_ns(ring) + NEVER_READS_S * 1000 * MS);
}

static void leave_now(struct ring *ring, struct sim_event *event)
{
	(void)ring;
	leave(GW_CONTAINER_OF(event, struct guest, leave), true);
}

static struct guest_manners manners_of(struct rng *rng, bool calm)
{
	struct guest_manners m = { .send_piece = 32768, .read_piece = 16384 };

	if (rng_below(rng, 4) == 0) {
		m.send_piece = rng_below(rng, 2) ? 20 + (uint32_t)rng_below(rng, 50) : 500;
		m.send_pause_ns = 20000 + rng_below(rng, 2 * MS);
	}
	if (rng_below(rng, 4) == 0) {
		m.read_piece = 20 + (uint32_t)rng_below(rng, 2000);
		m.read_pause_ns = 1 + rng_below(rng, 2 * MS);
	}
	if (rng_below(rng, 3) == 0)
		m.grant_pause_ns = 1 + rng_below(rng, 200 * MS);
	m.at_a_time = 1 + (uint32_t)rng_below(rng, GUEST_TALKS);
	m.stays = rng_below(rng, 4) == 0;
	m.resets = rng_below(rng, 2) == 0;
	m.pings = rng_below(rng, 4) == 0;
	if (calm)
		return m;
	m.half_close = rng_below(rng, 5) == 0; /* And then no window can be opened any more. */
	m.never_reads = rng_below(rng, 15) == 0;
	m.never_grants = rng_below(rng, 10) == 0;
	m.says_goodbye = rng_below(rng, 6) == 0;
	return m;
}

struct guest *guest_new(struct world *w, uint32_t first, uint32_t n)
{
	struct guest *g = calloc(1, sizeof(*g));
	struct rng rng;

	GW_ASSERT(g && n > 0 && n <= GUEST_TALKS);
	g->held = malloc(sizeof(*g->held));
	GW_ASSERT(g->held);
	rng_seed(&rng, w->seed * WORLD_DEALS_MAX + first);
	g->w = w;
	g->first = first;
	g->n = n;
	g->stop_at = UINT64_MAX;
	g->manners = manners_of(&rng, w->calm);
	g->arrive.run = arrive;
	g->send.run = send_some;
	g->read.run = read_some;
	g->grant.run = grant;
	g->leave.run = leave_now;
	g->gone.run = watch_gone;
	guest_progress(g);
	sim_event_at(w->ring, &g->arrive, g->progress_ns + 1 + rng_below(&rng, 300 * MS));
	return g;
}

void guest_watch(const struct guest *g)
{
	uint64_t now_ns = ring_now_ns(g->w->ring);

	if (!g->over && now_ns - g->progress_ns > PATIENCE_S * 1000 * MS)
		sim_fail(g->w->ring, "guest %u waits for ever: %u of %u over", g->first, g->n_over,
			 g->n_asked);
}

/* Behind its own end it could not say so: the gateway goes on with it. */
static bool gave_up_in_silence(const struct guest *g)
{
	for (uint32_t i = 0; i < g->n_asked; i++)
		if (g->talks[i].given_up && g->finished)
			return true;
	return false;
}

void guest_watch_drain(const struct guest *g, uint64_t drain_ns)
{
	bool idle = g->cord && g->n_over == g->n_asked && g->n_answered > 0 &&
		    g->out_at == g->out_len && !g->manners.never_reads;

	if (idle && !g->over && g->last_ns < drain_ns && !gave_up_in_silence(g))
		sim_fail(g->w->ring, "guest %u is idle, but kept in a drain", g->first);
}

void guest_free(struct guest *g)
{
	GW_ASSERT(g->over && !g->session);
	sim_event_drop(g->w->ring, &g->arrive);
	sim_event_drop(g->w->ring, &g->gone);
	free(g->held);
	free(g);
}
