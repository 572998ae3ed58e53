/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate.c - for tests: a proxy between fake connections, over the simulator's ring.
 *
 * Both sides of every exchange are streams of fake_codec.h. The functions of
 * upstream.h are defined here in place of upstream.c: a test says what asking
 * for a stream comes to, and several exchanges share one upstream connection.
 */

/* Before cmocka, which makes a macro of "fail". */
#include "core/base/metric_render.h"
#include "core/http/h1_parse.h"
#include "core/proxy/exchange.h"
#include "core/proxy/proxy.h"
#include "tests/sim/sim.h"
#include "tests/unit/policy/one_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core/proxy/fake_codec.c"

#define MS GW_NS_PER_MS
#define S  GW_NS_PER_S

enum { GATE_CONNS = 2, GATE_COMING = 64 };

enum gate_how { GATE_READY, GATE_COMES, GATE_FAILS };

static struct gate {
	struct ring *ring;
	struct proxy *proxy;
	struct proxy_options options;
	struct proxy_shared shared;
	struct metric_set *metrics;
	struct policy_seat seat;
	struct policy_table *table;
	struct fake_conn visitors[GATE_CONNS], origins[GATE_CONNS];

	/* What upstream_get() does, and what was asked of it. */
	enum gate_how how;
	bool reused;
	enum reason reason;
	struct upstream_call *coming[GATE_COMING];
	uint32_t n_coming, n_gets, n_active;
	bool fresh;
	int32_t avoid;
} g;

/* --- upstream.h. ----------------------------------------------------------------------------- */

static struct stream *gate_upstream(void)
{
	/* The request's seed becomes known with its head. */
	return &fake_open(&g.origins[g.n_gets % GATE_CONNS], UINT32_MAX)->stream;
}

enum upstream_got upstream_get(struct proxy *proxy, struct upstream_call *call,
			       const struct upstream_wish *wish, struct stream **ret_stream,
			       enum reason *ret_reason)
{
	assert_ptr_equal(proxy, g.proxy);
	assert_true(call->endpoint < 0 &&
		    wish->connect_ns == one_service(g.table)->timeouts.connect_ns);
	call->service = wish->service;
	call->endpoint = wish->avoid == 0 ? 1 : 0;
	call->reused = g.reused && !wish->fresh;
	g.fresh = wish->fresh;
	g.avoid = wish->avoid;
	g.n_gets++;
	g.n_active++;
	switch (g.how) {
	case GATE_READY:
		*ret_stream = gate_upstream();
		return UPSTREAM_READY;
	case GATE_COMES:
		assert_true(g.n_coming < GATE_COMING);
		g.coming[g.n_coming++] = call;
		return UPSTREAM_COMING;
	case GATE_FAILS:
		break;
	}
	*ret_reason = g.reason;
	return UPSTREAM_FAILED;
}

const struct codec *upstream_codec(const struct proxy *proxy, uint16_t service)
{
	assert_ptr_equal(proxy, g.proxy);
	assert_int_equal(service, 0);
	return &fake_codec;
}

void upstream_done(struct proxy *proxy, struct upstream_call *call)
{
	(void)proxy;
	if (call->endpoint < 0)
		return;
	assert_true(g.n_active > 0);
	g.n_active--;
	call->endpoint = -1;
}

static struct upstream_call *gate_coming_remove(uint32_t i)
{
	struct upstream_call *call = g.coming[i];

	assert_true(i < g.n_coming);
	g.coming[i] = g.coming[--g.n_coming];
	return call;
}

void upstream_cancel(struct upstream_call *call)
{
	for (uint32_t i = 0; i < g.n_coming; i++)
		if (g.coming[i] == call) {
			gate_coming_remove(i);
			return;
		}
}

void upstream_adopt(struct proxy *proxy, const struct policy_table *table)
{
	proxy->services[0].n_endpoints = (uint16_t)table_service(table, 0)->endpoints.n;
}

void upstream_purge(struct proxy *proxy)
{
	assert_int_equal(proxy->upstreams.n_used, 0);
}

void upstream_check(const struct upstream *upstream)
{
	(void)upstream;
	fail_msg("no upstream connection was made");
}

/* --- Set up, tear down. ---------------------------------------------------------------------- */

static void gate_table(void)
{
	static const uint8_t ip[4] = { 192, 0, 2, 1 };

	g.table = one_table(ip, 80, "o:80");
	one_route(g.table)->max_body = 1 << 20;
	one_service(g.table)->timeouts = (struct policy_timeouts){
		.connect_ns = 1 * S,
		.response_head_ns = 20 * S,
		.body_idle_ns = 10 * S,
		.write_stall_ns = 15 * S,
		.tunnel_idle_ns = 100 * S,
	};
	seat_offer(&g.seat, g.table);
}

static int gate_open(void **state)
{
	const struct ring_options ring = { .bufs_max = 4096, .bufs_posted = 1 };

	(void)state;
	g = (struct gate){ .reason = REASON_UPSTREAM_CONNECT };
	g.options = (struct proxy_options){
		.limits = h1_limits_default,
		.write_stall_ns = 15 * S,
		.tunnel_grace_ns = 30 * S,
		.splice_min = 1,
		.clients_max = 24,
		.upstreams_max = 1,
		.heads_max = 1,
		.via = SLICE_INIT("gate"),
	};
	gate_table();
	assert_int_equal(metric_create(0, &g.metrics), 0);
	assert_int_equal(ring_open(&ring, &g.ring), 0);
	assert_int_equal(ring_enable(g.ring), 0);
	const struct proxy_parts parts = { .ring = g.ring,
					   .options = &g.options,
					   .shared = &g.shared,
					   .metrics = g.metrics,
					   .seat = &g.seat,
					   .seed = 1 };
	assert_int_equal(proxy_create(&parts, &g.proxy), 0);
	for (uint32_t i = 0; i < GATE_CONNS; i++) {
		fake_init(&g.visitors[i], g.ring, FAKE_SERVER);
		fake_init(&g.origins[i], g.ring, FAKE_CLIENT);
	}
	return 0;
}

static int64_t gate_gauge(enum metric_gauge gauge)
{
	const struct metric_view view = { .sets = &g.metrics, .n_sets = 1 };

	return metric_sum_gauge(&view, gauge);
}

/* Nothing may be left of any exchange, and ring_free() traps on a buffer that is. */
static int gate_close(void **state)
{
	(void)state;
	assert_int_equal(g.n_active, 0);
	assert_int_equal(g.n_coming, 0);
	assert_int_equal(gate_gauge(METRIC_REQUESTS_ACTIVE), 0);
	proxy_destroy(g.proxy);
	ring_free(g.ring);
	metric_destroy(g.metrics);
	free(g.table);
	return 0;
}

/* --- What peers do. -------------------------------------------------------------------------- */

static struct fake_stream *gate_fake(struct stream *s)
{
	return s ? GW_CONTAINER_OF(s, struct fake_stream, stream) : NULL;
}

/* The upstream's side of a request, or NULL. */
static struct fake_stream *gate_other(const struct fake_stream *visitor)
{
	const struct exchange *ex = visitor->stream.owner;

	return fake_is_open(visitor) ? gate_fake(ex->upstream) : NULL;
}

/* Granted in all: the window, and again each byte that has left on the other side. */
static void gate_check_flow(const struct exchange_flow *flow, const struct fake_stream *source,
			    const struct fake_stream *sink)
{
	uint32_t window = source->in.switched ? EXCHANGE_TUNNEL_WINDOW : EXCHANGE_WINDOW;

	if (source->in.ended || flow->ended)
		return;
	assert_int_equal(source->in.credited, flow->open ? window + sink->out.told : 0);
	assert_true(source->in.delivered <= FAKE_WINDOW + source->in.credited);
	assert_int_equal(flow->waiting, sink->out.pending);
}

static void gate_check(void)
{
	uint32_t n_streams = 0;

	proxy_check(g.proxy);
	for (uint32_t i = 0; i < GATE_CONNS * FAKE_STREAMS; i++) {
		const struct fake_stream *f = &g.visitors[i % GATE_CONNS].streams[i / GATE_CONNS];
		const struct exchange *ex = f->stream.owner;
		const struct fake_stream *up;

		if (!f->conn || !fake_is_open(f))
			continue;
		assert_ptr_equal(gate_fake(ex->client), f);
		n_streams++;
		up = gate_other(f);
		if (!up)
			continue;
		assert_true(fake_is_open(up) && up->out.seed == f->seed);
		gate_check_flow(&ex->up, f, up);
		gate_check_flow(&ex->down, up, f);
	}
	assert_int_equal(g.proxy->exchanges.n_used, n_streams);
}

static bool gate_ends_at_once(const struct http_head *head)
{
	return head->body == HTTP_BODY_NONE ||
	       (head->body == HTTP_BODY_LENGTH && head->content_length == 0);
}

/* 'fields' are complete lines. The head is lent: it is gone when the call is over. */
static struct fake_stream *gate_ask(struct fake_conn *conn, uint32_t seed, const char *method,
				    const char *fields)
{
	static struct h1_parser parser;
	static const struct peer peer = { .family = AF_INET, .ip = { 192, 0, 2, 1 } };
	const struct exchange_client who = { .peer = &peer };
	struct fake_stream *f = fake_open(conn, seed);
	char text[FAKE_TEXT];
	int len = snprintf(text, sizeof(text), "%s /%u HTTP/1.1\r\nhost: h\r\n%s\r\n", method, seed,
			   fields);

	h1_parse_request(&parser, &h1_limits_default);
	assert_int_equal(h1_parse_feed(&parser, text, (uint32_t)len), H1_DONE);
	f->in.ended = gate_ends_at_once(&parser.head);
	exchange_open(g.proxy, &f->stream, &who, &parser.head, f->in.ended, NULL);
	memset(text, 0xee, sizeof(text));
	memset(&parser, 0xee, sizeof(parser));
	fake_flush(f);
	return f;
}

/* A response's head, informational ones included; then its end when it has no body. */
static void gate_answer(struct fake_stream *up, unsigned status, const char *fields)
{
	static struct h1_parser parser;
	const struct exchange *ex = up->stream.owner;
	char text[FAKE_TEXT];
	int len = snprintf(text, sizeof(text), "HTTP/1.1 %u Text\r\nx-seed: %u\r\n%s\r\n", status,
			   up->out.seed, fields);

	up->seed = up->out.seed;
	h1_parse_response(&parser, &h1_limits_default, ex->head_request ? HTTP_HEAD : HTTP_GET);
	parser.head.upgrade = up->out.upgrade;
	assert_int_equal(h1_parse_feed(&parser, text, (uint32_t)len), H1_DONE);
	fake_head(up, &parser.head, status >= 200 && gate_ends_at_once(&parser.head));
	memset(text, 0xee, sizeof(text));
	memset(&parser, 0xee, sizeof(parser));
	fake_flush(up);
}

__attribute__((unused)) static void gate_ready(uint32_t i)
{
	struct upstream_call *call = gate_coming_remove(i);

	call->user->ready(call, gate_upstream());
}

__attribute__((unused)) static void gate_failed(uint32_t i)
{
	struct upstream_call *call = gate_coming_remove(i);

	call->user->failed(call, REASON_UPSTREAM_CONNECT);
}

/* Let time pass. */
__attribute__((unused)) static void gate_wait(uint64_t span_ns)
{
	uint64_t until_ns = ring_now_ns(g.ring) + span_ns;

	while (ring_now_ns(g.ring) < until_ns)
		assert_int_equal(ring_turn(g.ring, until_ns - ring_now_ns(g.ring)), 0);
}
