/* SPDX-License-Identifier: Apache-2.0 */
/* One seed from beginning to end. */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/proxy/listener.h"
#include "core/proxy/proxy.h"
#include "core/proxy/upstream.h"
#include "policy/compile.h"
#include "tests/sim/cord.h"
#include "tests/sim/guest.h"
#include "tests/sim/ledger.h"
#include "tests/sim/origin.h"
#include "tests/sim/token.h"
#include "tests/sim/visitor.h"

#define S  GW_NS_PER_S
#define MS GW_NS_PER_MS

static const struct ring_addr front = { .family = AF_INET, .port = 8080, .ip = { 127, 0, 0, 1 } };

const char *world_ending_name(enum world_ending ending)
{
	static const char *const names[] = {
#define X(name) #name,
		WORLD_ENDINGS(X)
#undef X
	};

	GW_ASSERT(ending < WORLD_N_ENDINGS);
	return names[ending];
}

enum world_ending world_own_ending(uint16_t status)
{
	switch (status) {
	case 400:
		return WORLD_OWN_400;
	case 401:
		return WORLD_OWN_401;
	case 408:
		return WORLD_OWN_408;
	case 413:
		return WORLD_OWN_413;
	case 417:
		return WORLD_OWN_417;
	case 431:
		return WORLD_OWN_431;
	case 502:
		return WORLD_OWN_502;
	case 503:
		return WORLD_OWN_503;
	case 504:
		return WORLD_OWN_504;
	default:
		return WORLD_N_ENDINGS;
	}
}

struct deal *world_deal(struct world *w, uint64_t nonce)
{
	uint64_t i = nonce - w->seed * WORLD_DEALS_MAX;

	if (i >= w->n_deals)
		sim_fail(w->ring, "%016" PRIx64 " is the nonce of no request", nonce);
	return &w->deals[i];
}

bool world_is_busy(const struct world *w)
{
	return w->proxy->exchanges.n_used > 0;
}

/* --- What the world is like ---------------------------------------------------------------- */

static uint64_t below(struct world *w, uint64_t n)
{
	return rng_below(&w->rng, n);
}

static struct sim_faults some_faults(struct world *w)
{
	struct sim_faults f = { .reset_cuts = 500 };

	if (w->calm)
		return f;
	f.accept_emfile = (uint16_t)below(w, 60);
	f.socket_refused = (uint16_t)below(w, 40);
	f.post_again = (uint16_t)below(w, 200);
	f.poll_spurious = (uint16_t)below(w, 100);
	f.pipe_refused = (uint16_t)below(w, 200);
	f.pipe_full = (uint16_t)below(w, 200);
	f.timer_late = (uint16_t)below(w, 200);
	f.slow = (uint16_t)below(w, 30);
	return f;
}

static void make_ring(struct world *w, bool trace)
{
	bool many = w->h2 || w->trunks || w->tls || w->tls_up;
	struct ring_options ring = {
		.files_max = w->calm ? (many ? 256 : 128) : 24 + (uint32_t)below(w, 40),
		.bufs_max = w->calm ? (many ? 1024 : 256) : 24 + (uint32_t)below(w, 100),
		.bufs_posted = 1u << below(w, 5),
		.pipes_max = w->calm ? 32 : 1 + (uint32_t)below(w, 8),
		.turn_answers = below(w, 3) ? 512 : 1 + (uint32_t)below(w, 4),
	};
	struct sim_options sim = {
		.seed = w->seed,
		.faults = some_faults(w),
		.send_size = 1024u << below(w, 8),
		.window_size = 1024u << below(w, 8),
		.pipe_size = 4096u << below(w, 7),
		.batch_ns = (uint32_t)below(w, 40000),
		.steps_max = 3000000,
		.trace = trace,
	};

	if (w->tokens) /* More at once, or nobody would wait for a turn. */
		sim.batch_ns *= 50;
	ring.bufs_kept = ring.bufs_max / 2; /* As the server does. */
	GW_ASSERT(ring_open(&ring, &w->ring) == 0);
	sim_configure(w->ring, &sim);
	GW_ASSERT(ring_enable(w->ring) == 0);
}

static void some_options(struct world *w, struct proxy_options *opt)
{
	*opt = (struct proxy_options){
		.limits = h1_limits_default,
		.head_ns = 10 * S,
		.keepalive_ns = w->calm ? 100 * S : 20 * S, /* No calm visitor reads for so long. */
		.linger_ns = 5 * S,
		.tunnel_grace_ns = 5 * S,
		.splice_min = below(w, 3) ? 1u << below(w, 16) : UINT64_MAX,
		.clients_max = w->calm || below(w, 3) ? 24 : 2 + (uint32_t)below(w, 6),
		.upstreams_max = w->calm || below(w, 3) ? 24 : 2 + (uint32_t)below(w, 6),
		.heads_max = w->calm ? 4 * WORLD_DEALS_MAX : 1 + (uint32_t)below(w, 16),
		.log_sample = 1,
		.via = SLICE_INIT("sluice-sim"),
	};
}

/* From dice of its own: the worlds that have failed stay as they were. */
static void some_limits(struct world *w)
{
	struct rng rng;

	rng_seed(&rng, w->seed ^ 0x6d6178);
	w->max_body = !w->calm && rng_below(&rng, 3) == 0 ? rng_below(&rng, 30000) : UINT64_MAX;
	w->logs = rng_below(&rng, 3) == 0;
	w->tunnels = rng_below(&rng, 3) == 0;
	w->h2 = rng_below(&rng, 4) == 0;
	w->trunks = rng_below(&rng, 4) == 0;
	w->tunnels = w->tunnels && !w->trunks;
	w->tls = rng_below(&rng, 4) == 0;
	w->tls_up = rng_below(&rng, 4) == 0;
	w->tokens = rng_below(&rng, 4) == 0;
}

/* What tokens are judged by. */
static void token_parts(struct proxy_shared *shared)
{
	uint16_t ring;

	shared->keyring = token_keyring(&ring);
	GW_ASSERT(limits_create(1024, 1, (struct hash_key){ 1, 2 }, &shared->limits) == 0);
}

/* Few requests come at once here, and many are to wait. */
static void shorten_turns(struct world *w)
{
	w->proxy->tokens.kind.at_once = 1 + (uint32_t)(hash_u64(w->seed ^ 0x746f6b) % 2);
}

/* In a calm world every peer has a place for its TLS, and each client time for its handshake. */
static void tls_options(const struct world *w, struct proxy_options *opt)
{
	struct rng rng;

	rng_seed(&rng, w->seed ^ 0x746c73);
	opt->handshake_ns = w->calm || rng_below(&rng, 2) ? 10 * S : 1 + rng_below(&rng, 100 * MS);
	if (w->tls)
		opt->sealed_max = w->calm || rng_below(&rng, 4) ? opt->clients_max : 1;
	if (w->tls_up)
		opt->sealed_max += w->calm || rng_below(&rng, 6) ? opt->upstreams_max : 1;
}

/* Of several requests on each connection, in a calm world none is to lack a place. */
static void h2_options(const struct world *w, struct proxy_options *opt)
{
	struct rng rng;

	rng_seed(&rng, w->seed ^ 0x6832);
	opt->h2_streams_max = w->calm ? 2 * WORLD_DEALS_MAX : 2 + (uint32_t)rng_below(&rng, 30);
	opt->h2_total_max = !w->calm && rng_below(&rng, 6) == 0 ? 2 : 0;
	opt->write_stall_ns = 20 * S;
	if (w->calm)
		opt->upstreams_max = 2 * WORLD_DEALS_MAX;
}

static struct ring_addr origin_addr(uint32_t i)
{
	return (struct ring_addr){ .family = AF_INET,
				   .port = (uint16_t)(3000 + i),
				   .ip = { 10, 0, 0, (uint8_t)(1 + i) } };
}

static void put_origin(struct draft_endpoint *endpoint, uint32_t origin)
{
	struct ring_addr addr = origin_addr(origin);

	endpoint->authority = SLICE("origin:80");
	endpoint->n_addrs = 1;
	endpoint->addrs[0].family = addr.family;
	endpoint->addrs[0].port = addr.port;
	memcpy(endpoint->addrs[0].ip, addr.ip, sizeof(addr.ip));
}

static enum policy_protocol protocol(const struct world *w)
{
	if (w->trunks)
		return w->tls_up ? POLICY_H2 : POLICY_H2C;
	return w->tls_up ? POLICY_HTTPS : POLICY_HTTP;
}

/* What an origin's certificate has to be for; each is good for all of them. */
static struct slice server_name(const struct world *w, uint32_t generation, uint32_t origin)
{
	static const struct slice addrs[WORLD_ORIGINS] = { SLICE_INIT("10.0.0.1"),
							   SLICE_INIT("10.0.0.2"),
							   SLICE_INIT("10.0.0.3") };

	switch (hash_u64(w->seed * 7 + generation * WORLD_ORIGINS + origin) % 3) {
	case 0:
		return SLICE("origin.test");
	case 1:
		return SLICE("other.test");
	default:
		return addrs[origin];
	}
}

static struct policy_table *make_table(struct world *w, uint32_t generation)
{
	struct draft_endpoint endpoints[WORLD_ORIGINS] = { 0 };
	struct draft_service service = { .name = SLICE_INIT("sim"), .endpoints = endpoints };
	struct draft_auth auth = { .name = SLICE_INIT("all"), .by = POLICY_BY_JWT };
	struct draft_route route = { .name = SLICE_INIT("all"),
				     .match = { .path = SLICE_INIT("/") },
				     .max_body = w->max_body,
				     .retry = true,
				     .auth = w->tokens ? 1 : 0,
				     .upgrades = w->tunnels ? POLICY_UPGRADE_WEBSOCKET : 0 };
	struct policy_draft draft = { .generation = generation,
				      .edition = generation,
				      .enabled = true,
				      .services = &service,
				      .n_services = 1,
				      .routes = &route,
				      .n_routes = 1,
				      .auths = &auth,
				      .n_auths = w->tokens ? 1 : 0 };
	struct policy_table *table = NULL;
	uint32_t first = (uint32_t)below(w, WORLD_ORIGINS);
	int r;

	(void)token_keyring(&auth.ring);
	service.n_endpoints = 1 + (uint32_t)below(w, WORLD_ORIGINS);
	service.protocol = (uint8_t)protocol(w);
	service.max_idle = (uint16_t)below(w, 5);
	service.max_idle_all = below(w, 10) ? UINT16_MAX : (uint32_t)below(w, 5);
	service.max_requests = below(w, 3) ? 0 : 1 + (uint32_t)below(w, 4);
	service.timeouts = (struct policy_timeouts){
		.connect_ns = 2 * S,
		.response_head_ns = 15 * S,
		.body_idle_ns = 10 * S,
		.write_stall_ns = 20 * S, /* A write of 32 KiB to the slowest calm reader. */
		.pool_idle_ns = 8 * S,
		.tunnel_idle_ns = 300 * S, /* No visitor waits for so long. */
	};
	for (uint32_t i = 0; i < service.n_endpoints; i++) {
		uint32_t origin = (first + i) % WORLD_ORIGINS;

		endpoints[i].slot = (uint16_t)i;
		put_origin(&endpoints[i], origin);
		if (w->tls_up)
			endpoints[i].server_name = server_name(w, generation, origin);
	}
	r = policy_compile(&draft, &table);
	GW_ASSERT(r == 0);
	return table;
}

/* --- Life ---------------------------------------------------------------------------------- */

static void check_step(void *owner)
{
	struct world *w = owner;

	if (w->proxy)
		proxy_check(w->proxy);
}

static void begin_drain(struct world *w)
{
	if (w->draining)
		return;
	w->draining = true;
	sim_say(w->ring, "drain");
	if (w->listener->state != LISTENER_CLOSED)
		listener_drain(w->listener);
	proxy_drain(w->proxy);
	w->drain_ns = ring_now_ns(w->ring);
	w->quiet_by_ns = w->drain_ns + 200 * S;
	sim_event_at(w->ring, &w->drained, w->drain_ns + 2 * S);
	world_saw(w, WORLD_DRAINED);
}

static void drain(struct ring *ring, struct sim_event *event)
{
	(void)ring;
	begin_drain(GW_CONTAINER_OF(event, struct world, drain));
}

/* Who had nothing to ask when the drain began is gone. */
static void drained(struct ring *ring, struct sim_event *event)
{
	struct world *w = GW_CONTAINER_OF(event, struct world, drained);

	(void)ring;
	for (uint32_t i = 0; i < w->n_visitors; i++)
		visitor_watch_drain(w->visitors[i], w->drain_ns);
	for (uint32_t i = 0; i < w->n_guests; i++)
		guest_watch_drain(w->guests[i], w->drain_ns);
}

static void abort_now(struct ring *ring, struct sim_event *event)
{
	struct world *w = GW_CONTAINER_OF(event, struct world, abort);

	begin_drain(w);
	sim_say(ring, "abort");
	proxy_abort(w->proxy);
	w->quiet_by_ns = ring_now_ns(ring) + 1 * S;
	w->aborted = true;
	world_saw(w, WORLD_ABORTED);
}

static void adopt(struct ring *ring, struct sim_event *event)
{
	struct world *w = GW_CONTAINER_OF(event, struct world, adopt);

	(void)ring;
	seat_offer(&w->seat, w->tables[1]);
	world_saw(w, WORLD_ADOPTED);
}

static void judge_anew(struct ring *ring, struct sim_event *event)
{
	struct world *w = GW_CONTAINER_OF(event, struct world, anew);

	upstream_trust(w->proxy, &w->seal_up.callers[1], 1);
	w->anew_ns = ring_now_ns(ring);
	world_saw(w, WORLD_UP_ANEW);
}

static void watch(struct ring *ring, struct sim_event *event)
{
	struct world *w = GW_CONTAINER_OF(event, struct world, watch);

	for (uint32_t i = 0; i < w->n_visitors; i++)
		visitor_watch(w->visitors[i]);
	for (uint32_t i = 0; i < w->n_guests; i++)
		guest_watch(w->guests[i]);
	sim_event_at(ring, &w->watch, ring_now_ns(ring) + 10 * S);
}

static void people(struct world *w)
{
	uint32_t n = 1 + (uint32_t)below(w, WORLD_VISITORS_MAX);

	for (uint32_t i = 0; i < WORLD_ORIGINS; i++) {
		struct ring_addr addr = origin_addr(i);

		w->origins[i] = origin_new(w, &addr);
	}
	for (uint32_t i = 0; i < n; i++) {
		bool is_guest = w->h2 && hash_u64(w->seed + i) % 3 > 0;
		uint32_t first = w->n_deals;

		w->n_deals += 1 + (uint32_t)below(w, WORLD_DEALS_MAX / WORLD_VISITORS_MAX);
		for (uint32_t k = first; k < w->n_deals; k++) {
			w->deals[k].plan = plan_make(w->seed * WORLD_DEALS_MAX + k, w->calm);
			if (w->tunnels && !is_guest)
				plan_add_tunnel(&w->deals[k].plan);
			if (w->tokens)
				plan_add_token(&w->deals[k].plan, w->calm);
		}
		if (is_guest)
			w->guests[w->n_guests++] = guest_new(w, first, w->n_deals - first);
		else
			w->visitors[w->n_visitors++] = visitor_new(w, first, w->n_deals - first);
	}
}

/* Up to 'last'; 'len': of its whole handshake, or more. */
static void some_cut(struct cord_plan *plan, struct rng *rng, enum cord_cut last, uint32_t len)
{
	plan->cut = (enum cord_cut)(CORD_RESETS + rng_below(rng, last));
	plan->cut_at = (uint32_t)rng_below(rng, rng_below(rng, 2) ? len : 80);
}

static uint32_t some_renewal(struct rng *rng)
{
	static const uint32_t spans[] = { 10000, 500, 0, 0, 0, 0 };

	return spans[rng_below(rng, ARRAY_SIZE(spans))];
}

struct cord *world_dial(struct world *w, uint32_t first, bool h2, const struct ring_addr *from)
{
	struct cord_plan plan = { .seal = w->tls ? &w->seal : NULL };
	struct rng rng;

	rng_seed(&rng, w->seed * WORLD_DEALS_MAX + first + 0x746c73);
	plan.manners = (struct seal_manners){ .h2 = h2,
					      .old = rng_below(&rng, 5) == 0,
					      .resumes = rng_below(&rng, 2) };
	plan.rude = rng_below(&rng, 3) == 0;
	plan.renews = some_renewal(&rng);
	plan.patient = w->calm;
	if (!w->calm && rng_below(&rng, 6) == 0)
		some_cut(&plan, &rng, CORD_STALLS, 400);
	return cord_dial(w->ring, &w->front, from, &plan);
}

/* What the gateway must refuse, or is refused. */
static void some_vice(struct seal_manners *manners, struct rng *rng)
{
	if (rng_below(rng, 2))
		manners->kind = (enum seal_kind)(1 + rng_below(rng, SEAL_N_KINDS - 1));
	else
		manners->choice = rng_below(rng, 2) ? SEAL_CHOOSES_NONE : SEAL_REFUSES;
}

struct cord *world_accept(struct world *w, struct sim_end *end)
{
	struct cord_plan plan = { .seal = w->tls_up ? &w->seal_up : NULL };
	struct rng rng;

	rng_seed(&rng, hash_u64(w->seed) + w->n_accepted++);
	plan.manners = (struct seal_manners){ .h2 = w->trunks,
					      .old = rng_below(&rng, 5) == 0,
					      .resumes = rng_below(&rng, 3) > 0,
					      .asks_again = rng_below(&rng, 6) == 0 };
	plan.rude = rng_below(&rng, 3) == 0;
	plan.renews = some_renewal(&rng);
	plan.patient = w->calm;
	if (!w->calm && rng_below(&rng, 8) == 0)
		some_cut(&plan, &rng, CORD_BABBLES, 1300);
	if (!w->calm && rng_below(&rng, 10) == 0)
		some_vice(&plan.manners, &rng);
	if (!w->calm && rng_below(&rng, 8) == 0)
		plan.spoilt_at = 1 + rng_below(&rng, rng_below(&rng, 2) ? 1300 : 40000);
	return cord_accept(w->ring, end, &plan);
}

void world_judge_line(const struct world *w, const struct deal *deal, uint64_t made_ns)
{
	if (!deal->asked_ns || plan_is_flawed_head(&deal->plan))
		sim_fail(w->ring, "%016" PRIx64 ": refused, but forwarded", deal->plan.nonce);
	if (made_ns < w->anew_ns && deal->asked_ns > w->anew_ns)
		sim_fail(w->ring, "%016" PRIx64 ": told to one that others have judged",
			 deal->plan.nonce);
}

static void schedule(struct world *w)
{
	uint64_t now_ns = ring_now_ns(w->ring);

	w->drain.run = drain;
	w->drained.run = drained;
	w->abort.run = abort_now;
	w->adopt.run = adopt;
	w->anew.run = judge_anew;
	w->watch.run = watch;
	sim_event_at(w->ring, &w->watch, now_ns + 10 * S);
	if (below(w, 3) == 0)
		sim_event_at(w->ring, &w->adopt, now_ns + below(w, 500 * MS));
	if (w->tls_up && hash_u64(w->seed) % 2)
		sim_event_at(w->ring, &w->anew, now_ns + hash_u64(~w->seed) % (1 * S));
	if (!w->calm && below(w, 3) == 0) {
		uint64_t at_ns = now_ns + below(w, 1 * S);

		sim_event_at(w->ring, &w->drain, at_ns);
		if (below(w, 2))
			sim_event_at(w->ring, &w->abort, at_ns + below(w, 3 * S));
	}
}

static void turn(struct world *w)
{
	GW_ASSERT(ring_turn(w->ring, UINT64_MAX) == 0);
	if (w->draining && !proxy_is_quiet(w->proxy) && ring_now_ns(w->ring) > w->quiet_by_ns)
		sim_fail(w->ring, "not quiet in time");
	if (!w->aborted && sim_counts(w->ring)->turned_away > 0)
		sim_fail(w->ring, "a connection that had begun was reset in a drain");
	if (w->aborted && w->listener->state == LISTENER_OPEN)
		sim_fail(w->ring, "listens after the abort");
}

static void live(struct world *w)
{
	while (w->n_visitors_over < w->n_visitors || w->n_guests_over < w->n_guests)
		turn(w);
	begin_drain(w);
	while (!proxy_is_quiet(w->proxy))
		turn(w);
}

static void add_counts(struct sim_counts *sum, const struct sim_counts *c)
{
	for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
		((uint64_t *)sum)[i] += ((const uint64_t *)c)[i];
}

static void end_tls(struct world *w)
{
	w->endings[WORLD_TLS_SHAKEN] += w->seal.n_shaken;
	w->endings[WORLD_TLS_RESUMED] += w->seal.n_resumed;
	w->endings[WORLD_TLS_OLD] += w->seal.n_old;
	w->endings[WORLD_TLS_CUT] += w->seal.n_cut;
	w->endings[WORLD_TLS_RENEWED] += w->seal.n_renewed;
	w->endings[WORLD_TLS_H1_CALM] += w->calm && w->n_visitors > 0;
	w->endings[WORLD_TLS_H2_CALM] += w->calm && w->n_guests > 0;
	cord_forget(&w->seal);
	seal_close(&w->seal);
}

static void end_tls_up(struct world *w)
{
	w->endings[WORLD_UP_SHAKEN] += w->seal_up.n_shaken;
	w->endings[WORLD_UP_RESUMED] += w->seal_up.n_resumed;
	w->endings[WORLD_UP_OLD] += w->seal_up.n_old;
	w->endings[WORLD_UP_CUT] += w->seal_up.n_cut;
	w->endings[WORLD_UP_RENEWED] += w->seal_up.n_renewed;
	w->endings[WORLD_UP_SHUNNED] += w->seal_up.n_shunned;
	w->endings[WORLD_UP_SPOILT] += w->seal_up.n_spoilt;
	w->endings[WORLD_UP_H1_CALM] += w->calm && !w->trunks;
	w->endings[WORLD_UP_H2_CALM] += w->calm && w->trunks;
	cord_forget(&w->seal_up);
	seal_close(&w->seal_up);
}

static void end(struct world *w, struct ledger *ledger)
{
	proxy_destroy(w->proxy);
	w->proxy = NULL;
	if (ledger)
		ledger_close(ledger);
	for (uint32_t i = 0; i < w->n_visitors; i++)
		visitor_free(w->visitors[i]);
	for (uint32_t i = 0; i < w->n_guests; i++)
		guest_free(w->guests[i]);
	for (uint32_t i = 0; i < WORLD_ORIGINS; i++)
		origin_free(w->origins[i]);
	sim_event_drop(w->ring, &w->drain);
	sim_event_drop(w->ring, &w->drained);
	sim_event_drop(w->ring, &w->abort);
	sim_event_drop(w->ring, &w->adopt);
	sim_event_drop(w->ring, &w->anew);
	sim_event_drop(w->ring, &w->watch);
	if (w->tls)
		end_tls(w);
	if (w->tls_up)
		end_tls_up(w);
	ring_free(w->ring);
	free(w->tables[0]);
	free(w->tables[1]);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the world counts in it. */
void world_run(uint64_t seed, bool trace, uint64_t endings[WORLD_N_ENDINGS],
	       struct sim_counts *counts)
{
	static struct metric_set *metrics;
	struct world w = { .seed = seed, .front = front, .endings = endings };
	struct proxy_shared shared = { 0 };
	struct proxy_options options;
	struct ledger *ledger;
	struct listener listener;
	uint64_t waited;
	int32_t file;

	if (!metrics)
		GW_ASSERT(metric_create(0, &metrics) == 0);
	waited = metrics->counters[METRIC_JWT_WAITED];
	rng_seed(&w.rng, seed);
	w.calm = below(&w, 4) == 0;
	if (w.calm)
		world_saw(&w, WORLD_CALM);
	some_limits(&w);
	make_ring(&w, trace);
	some_options(&w, &options);
	if (w.h2 || w.trunks)
		h2_options(&w, &options);
	if (w.tls || w.tls_up)
		tls_options(&w, &options);
	if (w.tls)
		seal_open(&w.seal, seed, w.h2);
	if (w.tls_up)
		seal_open_origins(&w.seal_up, hash_u64(seed), WORLD_ORIGINS);
	if (w.tokens)
		token_parts(&shared);
	w.tables[0] = make_table(&w, 1);
	w.tables[1] = make_table(&w, 2);
	seat_offer(&w.seat, w.tables[0]);
	GW_ASSERT(proxy_create(&(struct proxy_parts){ .ring = w.ring,
						      .options = &options,
						      .shared = &shared,
						      .metrics = metrics,
						      .seat = &w.seat,
						      .seed = seed },
			       &w.proxy) == 0);
	if (w.tokens)
		shorten_turns(&w);
	if (w.tls_up)
		upstream_trust(w.proxy, &w.seal_up.callers[0], 1);
	ledger = w.logs ? ledger_open(&w) : NULL;
	GW_ASSERT(ring_listen(w.ring, &front, &(struct ring_listen){ 0 }, &file) == 0);
	w.listener = &listener;
	listener_open(&listener, w.proxy, file,
		      &(struct listener_spec){ .tls = w.seal.server, .h1 = true, .h2 = w.h2 });
	sim_on_step(w.ring, check_step, &w);
	people(&w);
	schedule(&w);
	live(&w);
	add_counts(counts, sim_counts(w.ring));
	end(&w, ledger);
	w.endings[WORLD_TOKEN_WAITED] += metrics->counters[METRIC_JWT_WAITED] - waited;
	limits_destroy(shared.limits);
}
