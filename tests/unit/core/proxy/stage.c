/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage.c - for tests: a whole proxy in virtual time, between peers that a test
 * moves by hand. One origin; clients dial as the test wants. What a peer hears
 * is kept, and the origin's side runs the test's function for each arrival.
 */
/* Before cmocka, which makes a macro of "fail". */
#include "core/proxy/listener.h"
#include "core/proxy/proxy.h"
#include "core/proxy/upstream.h"
#include "tests/sim/sim_net.h"
#include "tests/unit/policy/one_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MS GW_NS_PER_MS
#define S  GW_NS_PER_S

enum { STAGE_PEERS = 64, STAGE_TEXT = 16384, STAGE_SEEDS = 20 };

struct peer_end {
	struct sim_end *end;       /* NULL: not there, or closed by the test. */
	bool deaf;                 /* Reads nothing. */
	bool ended, reset;         /* By the gateway. */
	uint64_t n_heard;          /* Bytes in all, */
	char text[STAGE_TEXT + 1]; /* the first of them. */
	uint64_t to_say;           /* For the test. */
};

/* Upstream connections at a time, for the next stage_open(). */
static uint32_t stage_upstreams_max = STAGE_PEERS;

/* What the next stage's listener speaks TLS with; NULL: it speaks in the clear. */
static struct tls_server *stage_tls;

/* What the next stage's upstream speaks TLS with, as "site.test"; NULL: it speaks in the clear. */
static struct tls_client *stage_trust;

/* Streams of HTTP/2 that the next stage has, beside HTTP/1; 0: it does not speak it. */
static uint32_t stage_h2_streams;

/* Origins read by themselves. */
static bool stage_deaf;

/* 'o' has heard something, may write more, or has just been connected to. */
typedef void stage_origin_fn(struct peer_end *o);

static struct stage {
	struct ring *ring;
	struct proxy *proxy;
	struct proxy_options options;
	struct proxy_shared shared;
	struct metric_set *metrics;
	struct policy_seat seat;
	struct policy_table *table;
	struct policy_table *second; /* To be offered in its place. */
	struct listener listener;
	struct sim_host host;
	stage_origin_fn *origin;
	struct peer_end clients[STAGE_PEERS], origins[STAGE_PEERS];
	uint32_t n_clients, n_origins;
} st;

static const struct ring_addr stage_front = { .family = AF_INET,
					      .port = 80,
					      .ip = { 127, 0, 0, 1 } };
static const struct ring_addr stage_back = { .family = AF_INET,
					     .port = 81,
					     .ip = { 127, 0, 0, 1 } };

/* --- Peers. ---------------------------------------------------------------------------------- */

static void hear(struct peer_end *p)
{
	char bytes[4096];
	int32_t n = -EAGAIN;

	while (!p->deaf && !p->ended && (n = sim_end_read(p->end, bytes, sizeof(bytes))) > 0) {
		for (int32_t i = 0; i < n && p->n_heard + (uint32_t)i < STAGE_TEXT; i++)
			p->text[p->n_heard + (uint32_t)i] = bytes[i];
		p->n_heard += (uint32_t)n;
	}
	p->reset = p->reset || sim_end_is_reset(p->end);
	p->ended = p->ended || p->reset || (n <= 0 && n != -EAGAIN);
}

static void client_event(struct sim_end *end, void *owner)
{
	(void)end;
	hear(owner);
}

static void origin_event(struct sim_end *end, void *owner)
{
	struct peer_end *o = owner;

	(void)end;
	hear(o);
	if (o->end && !o->ended && st.origin)
		st.origin(o);
}

static enum sim_welcome origin_welcome(void *owner)
{
	(void)owner;
	return SIM_WELCOME;
}

static void origin_connected(void *owner, struct sim_end *end)
{
	struct peer_end *o = &st.origins[st.n_origins++];

	(void)owner;
	assert_true(st.n_origins <= STAGE_PEERS);
	*o = (struct peer_end){ .end = end, .deaf = stage_deaf };
	sim_end_watch(end, origin_event, o);
}

static struct peer_end *stage_dial(void)
{
	static const struct ring_addr from = { .family = AF_INET,
					       .port = 9,
					       .ip = { 192, 0, 2, 1 } };
	struct peer_end *c = &st.clients[st.n_clients++];

	assert_true(st.n_clients <= STAGE_PEERS);
	*c = (struct peer_end){ .end = sim_end_dial(st.ring, &stage_front, &from) };
	assert_non_null(c->end);
	sim_end_watch(c->end, client_event, c);
	return c;
}

/* As much of it as there is room for. */
static uint32_t stage_say_bytes(struct peer_end *p, const char *text, size_t len)
{
	int32_t n = sim_end_write(p->end, text, (uint32_t)len);

	return n > 0 ? (uint32_t)n : 0;
}

__attribute__((unused)) static void stage_say(struct peer_end *p, const char *text)
{
	assert_int_equal(stage_say_bytes(p, text, strlen(text)), strlen(text));
}

static void stage_leave(struct peer_end *p, bool reset)
{
	sim_end_close(p->end, reset);
	p->end = NULL;
}

static bool stage_heard(const struct peer_end *p, const char *what)
{
	return strstr(p->text, what);
}

/* --- Time. ----------------------------------------------------------------------------------- */

static void stage_check(void *owner)
{
	(void)owner;
	if (st.proxy)
		proxy_check(st.proxy);
}

/* Time goes on by so much, whatever happens. */
static void stage_run(uint64_t span_ns)
{
	uint64_t until_ns = ring_now_ns(st.ring) + span_ns;

	while (ring_now_ns(st.ring) < until_ns)
		assert_int_equal(ring_turn(st.ring, until_ns - ring_now_ns(st.ring)), 0);
}

/* Until 'cond' holds; fails the test when that takes longer than 'span_ns'. */
#define stage_until(cond, span_ns)                                                                 \
	do {                                                                                       \
		uint64_t until_ns_ = ring_now_ns(st.ring) + (span_ns);                             \
                                                                                                   \
		while (!(cond)) {                                                                  \
			if (ring_now_ns(st.ring) >= until_ns_)                                     \
				fail_msg("not in time: %s", #cond);                                \
			assert_int_equal(ring_turn(st.ring, until_ns_ - ring_now_ns(st.ring)), 0); \
		}                                                                                  \
	} while (0)

/* --- Beginning and end. ---------------------------------------------------------------------- */

static void stage_table(void)
{
	struct policy_service *service;

	st.table = one_table(stage_back.ip, stage_back.port, "o:81");
	one_route(st.table)->upgrades = POLICY_UPGRADE_WEBSOCKET;
	service = one_service(st.table);
	service->max_idle = 8;
	service->max_idle_all = 8;
	service->endpoints.n = 1; /* A test may have two. */
	service->timeouts = (struct policy_timeouts){ .connect_ns = 2 * S,
						      .response_head_ns = 15 * S,
						      .body_idle_ns = 15 * S,
						      .write_stall_ns = 30 * S,
						      .pool_idle_ns = 30 * S,
						      .tunnel_idle_ns = 600 * S };
	service->protocol = stage_trust ? POLICY_HTTPS : POLICY_HTTP;
	table_check(st.table);
}

static void stage_options(void)
{
	st.options = (struct proxy_options){ .limits = h1_limits_default,
					     .head_ns = 10 * S,
					     .keepalive_ns = 60 * S,
					     .write_stall_ns = 30 * S,
					     .linger_ns = 2 * S,
					     .tunnel_grace_ns = 10 * S,
					     .splice_min = UINT64_MAX,
					     .clients_max = STAGE_PEERS,
					     .upstreams_max = stage_upstreams_max,
					     .heads_max = 16,
					     .h2_streams_max = stage_h2_streams,
					     .handshake_ns = 10 * S,
					     .sealed_max = (stage_tls ? STAGE_PEERS : 0) +
							   (stage_trust ? STAGE_PEERS : 0),
					     .via = SLICE_INIT("stage") };
}

/* Zero options are those of the simulator or of the ring. */
static void stage_open(uint64_t seed, const struct ring_options *ring,
		       const struct sim_options *sim, stage_origin_fn *origin)
{
	struct sim_options opt = *sim;
	int32_t file;

	memset(&st, 0, sizeof(st));
	st.origin = origin;
	opt.seed = seed;
	opt.send_size = opt.send_size ? opt.send_size : 65536;
	opt.window_size = opt.window_size ? opt.window_size : 65536;
	opt.pipe_size = 65536;
	opt.steps_max = UINT64_MAX;
	assert_int_equal(ring_open(ring, &st.ring), 0);
	sim_configure(st.ring, &opt);
	assert_int_equal(ring_enable(st.ring), 0);
	assert_int_equal(metric_create(0, &st.metrics), 0);
	st.host = (struct sim_host){ .addr = stage_back,
				     .welcome = origin_welcome,
				     .connected = origin_connected };
	sim_host_add(st.ring, &st.host);
	stage_table();
	stage_options();
	seat_offer(&st.seat, st.table);
	assert_int_equal(proxy_create(&(struct proxy_parts){ .ring = st.ring,
							     .options = &st.options,
							     .shared = &st.shared,
							     .metrics = st.metrics,
							     .seat = &st.seat,
							     .seed = seed },
				      &st.proxy),
			 0);
	upstream_trust(st.proxy, &stage_trust, stage_trust ? 1 : 0);
	assert_int_equal(ring_listen(st.ring, &stage_front, &(struct ring_listen){ 0 }, &file), 0);
	listener_open(&st.listener, st.proxy, file,
		      &(struct listener_spec){
			      .tls = stage_tls, .h1 = true, .h2 = stage_h2_streams > 0 });
	sim_on_step(st.ring, stage_check, NULL);
}

static void stage_close(void)
{
	listener_drain(&st.listener);
	proxy_abort(st.proxy);
	stage_until(proxy_is_quiet(st.proxy), 2 * S);
	proxy_destroy(st.proxy);
	st.proxy = NULL;
	for (uint32_t i = 0; i < STAGE_PEERS; i++) {
		if (st.clients[i].end)
			stage_leave(&st.clients[i], true);
		if (st.origins[i].end)
			stage_leave(&st.origins[i], true);
	}
	metric_destroy(st.metrics);
	ring_free(st.ring);
	free(st.table);
	free(st.second);
}
