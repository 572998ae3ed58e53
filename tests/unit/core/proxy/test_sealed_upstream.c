/* SPDX-License-Identifier: Apache-2.0 */
/* TLS to upstreams through a whole proxy in virtual time: origins that stop, cut, lie, or speak something else. */
#include <openssl/err.h> /* Before base/banned.h. */
#include <openssl/ssl.h>

#include "tests/unit/core/proxy/stage.c"

#include "core/base/metric_render.h"
#include "core/crypto/crypto_pool.h"
#include "core/crypto/tls_client.h"
#include "ring/ring_buf.h"
#include "tests/unit/core/crypto/certs.c"

enum { HOUR = 3600, BODY = 100000, TEXT = 32768 };

static const struct ct_cert root = { "root", NULL, -60, HOUR, NULL };
static const struct ct_cert site = { "site", "DNS:site.test", -60, HOUR, &root };
static struct tls_trust *trust;
static struct tls_client *client, *other;
static SSL_CTX *origin_ctx;

static int setup(void **state)
{
	struct tls_trust_options opt = { 0 };
	char why[TLS_WHY_MAX];

	(void)state;
	ct_begin();
	ct_write(&root);
	ct_write(&site);
	opt.ca_file = ct_path("root.pem");
	assert_int_equal(tls_trust_read(&opt, why, &trust), 0);
	assert_int_equal(tls_client_create(trust, POLICY_ENDPOINTS_MAX, &client), 0);
	assert_int_equal(tls_client_create(trust, POLICY_ENDPOINTS_MAX, &other), 0);
	origin_ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(
		SSL_CTX_use_certificate_file(origin_ctx, ct_path("site.pem"), SSL_FILETYPE_PEM), 1);
	assert_int_equal(
		SSL_CTX_use_PrivateKey_file(origin_ctx, ct_path("site.key"), SSL_FILETYPE_PEM), 1);
	/* One share of a key that every OpenSSL has: a hello is as long with 3.0 as with 3.5. */
	assert_int_equal(SSL_CTX_set1_groups_list(origin_ctx, "X25519"), 1);
	SSL_CTX_set_session_id_context(origin_ctx, (const unsigned char *)"t", 1);
	SSL_CTX_set_options(origin_ctx, SSL_OP_NO_RENEGOTIATION);
	stage_trust = client;
	stage_deaf = true;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	SSL_CTX_free(origin_ctx);
	tls_client_free(other);
	tls_client_free(client);
	tls_trust_free(trust);
	ct_end();
	return 0;
}

/* --- An origin of OpenSSL's own at the end of a simulated wire. -------------------------------- */

/* HALF: no word of the end, as with CUT, but it listens on. */
enum how { HOW_KEEP, HOW_CUT, HOW_HALF, HOW_NOTIFY };

/* What every origin does, set by the test. */
static struct {
	const char *answer;
	enum how end;      /* Behind the answer. */
	uint32_t body;     /* So many bytes follow the answer, */
	uint32_t wants;    /* and so many a request's head. */
	uint64_t said_max; /* Bytes that each may send; what is more never leaves. */
} plan;

static struct origin {
	SSL *ssl;
	BIO *in, *out;
	char pending[65536]; /* Sealed, and not sent yet. */
	uint32_t n_pending;
	uint64_t n_said;
	char text[TEXT + 1]; /* What it has read of the present request. */
	uint32_t n_text;
	uint64_t n_read; /* In all. */
	uint32_t n_request, n_asked, body_left;
	bool ended, resumed;
} origins[STAGE_PEERS];

static struct origin *origin_of(const struct peer_end *o)
{
	return &origins[o - st.origins];
}

static void origin_begin(struct origin *g)
{
	*g = (struct origin){ 0 };
	g->ssl = SSL_new(origin_ctx);
	g->in = BIO_new(BIO_s_mem());
	g->out = BIO_new(BIO_s_mem());
	SSL_set_bio(g->ssl, g->in, g->out);
	SSL_set_accept_state(g->ssl);
}

static void say_sealed(struct peer_end *o, struct origin *g)
{
	while (g->n_said < plan.said_max) {
		uint64_t left = plan.said_max - g->n_said;
		uint32_t len, done;
		int n;

		if (g->n_pending == 0 && (n = BIO_read(g->out, g->pending, sizeof(g->pending))) > 0)
			g->n_pending = (uint32_t)n;
		if (g->n_pending == 0)
			return;
		len = g->n_pending < left ? g->n_pending : (uint32_t)left;
		done = stage_say_bytes(o, g->pending, len);
		memmove(g->pending, g->pending + done, g->n_pending - done);
		g->n_pending -= done;
		g->n_said += done;
		if (done == 0)
			return;
	}
}

static void answer(struct origin *g)
{
	const char *head_end = strstr(g->text, "\r\n\r\n");

	if (!head_end || g->n_request < (uint32_t)(head_end + 4 - g->text) + plan.wants)
		return;
	memset(g->text, 0, sizeof(g->text));
	g->n_text = 0;
	g->n_request = 0;
	g->n_asked++;
	assert_int_equal(SSL_write(g->ssl, plan.answer, (int)strlen(plan.answer)),
			 strlen(plan.answer));
	g->body_left = plan.body;
	g->ended = plan.end != HOW_KEEP;
}

static void answer_body(struct origin *g)
{
	static char piece[8192];

	memset(piece, 'b', sizeof(piece));
	while (g->body_left > 0 && BIO_pending(g->out) < 65536) {
		uint32_t n = g->body_left < sizeof(piece) ? g->body_left : sizeof(piece);

		assert_int_equal(SSL_write(g->ssl, piece, (int)n), n);
		g->body_left -= n;
	}
}

/* All that it can do now. */
static void origin_step(struct peer_end *o)
{
	struct origin *g = origin_of(o);
	char bytes[16384];
	int32_t n;

	if (!o->end)
		return;
	if (!g->ssl)
		origin_begin(g);
	ERR_clear_error();
	while ((n = sim_end_read(o->end, bytes, sizeof(bytes))) > 0)
		BIO_write(g->in, bytes, n);
	if (SSL_do_handshake(g->ssl) == 1) {
		g->resumed = SSL_session_reused(g->ssl);
		while ((n = SSL_read(g->ssl, bytes, sizeof(bytes))) > 0) {
			for (int32_t i = 0; i < n && g->n_text < TEXT; i++)
				g->text[g->n_text++] = bytes[i];
			g->n_read += (uint32_t)n;
			g->n_request += (uint32_t)n;
		}
		answer(g);
		answer_body(g);
	}
	if (g->ended && g->body_left == 0 && plan.end == HOW_NOTIFY)
		SSL_shutdown(g->ssl);
	say_sealed(o, g);
	if (!g->ended || g->body_left > 0 || g->n_pending > 0 || BIO_pending(g->out) > 0)
		return;
	if (plan.end == HOW_HALF)
		sim_end_finish(o->end);
	else
		stage_leave(o, false);
}

static void begin(uint64_t seed, const struct sim_options *sim, const char *says, enum how end)
{
	static const struct ring_options ring = { .bufs_max = 64, .bufs_posted = 8 };

	plan.answer = says;
	plan.end = end;
	plan.body = 0;
	plan.wants = 0;
	plan.said_max = UINT64_MAX;
	memset(origins, 0, sizeof(origins));
	stage_open(seed, &ring, sim, origin_step);
}

static void end(void)
{
	stage_close();
	for (uint32_t i = 0; i < STAGE_PEERS; i++)
		SSL_free(origins[i].ssl);
	memset(origins, 0, sizeof(origins));
}

static void ask(struct peer_end *c)
{
	c->n_heard = 0;
	memset(c->text, 0, sizeof(c->text));
	stage_say(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

/* --- Requests. --------------------------------------------------------------------------------- */

static void requests_pass_and_connections_are_kept(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct peer_end *c;

		begin(seed, &(struct sim_options){ 0 },
		      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", HOW_KEEP);
		c = stage_dial();
		for (int i = 0; i < 5; i++) {
			ask(c);
			stage_until(stage_heard(c, "\r\n\r\nok"), 5 * S);
			stage_run(10 * MS); /* Tickets come, and are no answer to anything. */
			assert_int_equal(st.proxy->idle.n, 1);
		}
		assert_int_equal(st.n_origins, 1);
		assert_int_equal(origins[0].n_asked, 5);
		/* Idle, both hold nothing but their memory in the pool. */
		assert_int_equal(atomic_load(&ring_stats(st.ring)->bufs_held), 0);
		end();
	}
}

static void long_bodies_pass_in_both_directions(void **state)
{
	static const char head[] =
		"POST /long HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
	static char body[BODY];

	(void)state;
	memset(body, 'u', sizeof(body));
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct sim_options tight = { .send_size = 8192, .window_size = 8192 };
		struct peer_end *c;
		uint32_t done = 0;

		begin(seed, seed % 2 ? &tight : &(struct sim_options){ 0 },
		      "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", HOW_KEEP);
		plan.body = BODY;
		plan.wants = BODY;
		c = stage_dial();
		for (int i = 0; i < 2; i++) {
			c->n_heard = 0;
			memset(c->text, 0, sizeof(c->text));
			stage_say(c, head);
			for (done = 0; done < BODY;) {
				done += stage_say_bytes(c, body + done, BODY - done);
				stage_run(1 * MS);
			}
			stage_until(c->n_heard > BODY, 20 * S);
			stage_run(50 * MS);
		}
		assert_true(origins[0].n_read > 2 * BODY);
		assert_true(stage_heard(c, "200 OK"));
		end();
	}
}

/* An origin that stops after each byte of what it has to say, and then is silent, or closes. */
static void an_origin_may_stop_at_any_byte(void **state)
{
	bool seen_tls = false, seen_timeout = false, seen_reset = false, seen_answer = false;

	(void)state;
	for (uint64_t n = 0; n < 1500; n++) {
		struct peer_end *c;

		begin(n, &(struct sim_options){ 0 },
		      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", HOW_KEEP);
		one_service(st.table)->timeouts.connect_ns = 100 * MS;
		one_service(st.table)->timeouts.response_head_ns = 100 * MS;
		one_service(st.table)->timeouts.body_idle_ns = 100 * MS;
		plan.said_max = n;
		c = stage_dial();
		ask(c);
		stage_run(50 * MS);
		if (n % 2 && st.origins[0].end)
			stage_leave(&st.origins[0], n % 4 == 1);
		stage_until(c->ended || stage_heard(c, "\r\n\r\nok") || stage_heard(c, "\"}"),
			    5 * S);
		seen_tls = seen_tls || stage_heard(c, "\"upstream_tls\"");
		seen_timeout = seen_timeout || stage_heard(c, "\"connect_timeout\"");
		seen_reset = seen_reset || stage_heard(c, "\"reset\"");
		seen_answer = seen_answer || stage_heard(c, "\r\n\r\nok");
		end();
	}
	assert_true(seen_tls && seen_timeout && seen_reset && seen_answer);
}

static void used_up_buffers_are_survived(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct ring_buf *held[64];
		struct peer_end *c;
		uint32_t n = 0, left = (uint32_t)seed % 4;

		begin(seed, &(struct sim_options){ 0 },
		      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", HOW_KEEP);
		c = stage_dial();
		ask(c);
		stage_until(st.n_origins == 1, 1 * S);
		stage_run(seed * 20000); /* Somewhere in the handshake, or behind it. */
		while (n < 64 && (held[n] = ring_buf_take(st.ring)))
			n++;
		for (; left > 0 && n > 0; left--)
			ring_buf_give(st.ring, held[--n]);
		stage_run(200 * MS);
		while (n > 0)
			ring_buf_give(st.ring, held[--n]);
		stage_until(stage_heard(c, "\r\n\r\nok"), 1 * S); /* It has waited for them. */
		end();
	}
}

/* --- Ends. ------------------------------------------------------------------------------------- */

/* T11: an end that nobody has said may be somebody else's doing. */
static void an_unsaid_end_is_a_cut(void **state)
{
	static const struct {
		const char *answer;
		enum how end;
		bool whole;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\n\r\nok", HOW_NOTIFY, true },
		{ "HTTP/1.1 200 OK\r\n\r\nok", HOW_CUT, false },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", HOW_CUT, true },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", HOW_CUT, false },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", HOW_NOTIFY, false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		  HOW_CUT, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
			struct peer_end *c;
			uint64_t cut;

			begin(seed, &(struct sim_options){ 0 }, rows[i].answer, rows[i].end);
			c = stage_dial();
			ask(c);
			stage_until(stage_heard(c, "ok"), 5 * S);
			stage_run(100 * MS);
			cut = metric_sum_counter(
				&(struct metric_view){ .sets = &st.metrics, .n_sets = 1 },
				METRIC_REJECTED + REASON_UPSTREAM_TRUNCATED);
			assert_int_equal(cut, rows[i].whole ? 0 : 1);
			assert_int_equal(c->ended, !rows[i].whole);
			if (rows[i].whole) /* The client goes on, on another connection. */
				ask(c);
			if (rows[i].whole)
				stage_until(stage_heard(c, "ok"), 5 * S);
			end();
		}
	}
}

/* Nor does the other side of a tunnel end in order then: its client has not ended it. */
static void a_cut_tunnel_is_not_ended(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct peer_end *c;

		begin(seed, &(struct sim_options){ 0 },
		      "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nok",
		      HOW_HALF);
		c = stage_dial();
		stage_say(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
			     "Upgrade: websocket\r\n\r\n");
		stage_until(st.proxy->upstreams.n_used == 1, 5 * S);
		stage_until(st.proxy->upstreams.n_used == 0, 5 * S);
		stage_run(100 * MS);
		assert_true(stage_heard(c, " 101 "));
		assert_int_equal(SSL_get_shutdown(origins[0].ssl) & SSL_RECEIVED_SHUTDOWN, 0);
		end();
	}
}

/* A pooled connection that its origin has given up, with and without a word: the next one is asked. */
static void a_dead_pooled_connection_is_replaced(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct peer_end *c;

		begin(seed, &(struct sim_options){ 0 },
		      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", HOW_KEEP);
		c = stage_dial();
		ask(c);
		stage_until(stage_heard(c, "\r\n\r\nok"), 5 * S);
		stage_run(10 * MS);
		if (seed % 2)
			SSL_shutdown(origins[0].ssl);
		say_sealed(&st.origins[0], &origins[0]);
		stage_leave(&st.origins[0], seed % 4 == 0);
		ask(c); /* Before it is known, or afterwards. */
		stage_until(stage_heard(c, "\r\n\r\nok"), 5 * S);
		assert_int_equal(st.n_origins, 2);
		assert_true(origins[1].resumed);
		end();
	}
}

/* --- Peers that speak something else. ---------------------------------------------------------- */

static struct {
	struct slice says;
	bool leaves;
} strange;

static void speak_strangely(struct peer_end *o)
{
	if (o->n_heard == 0 || o->to_say)
		return;
	o->to_say = 1; /* Once. */
	if (strange.says.len)
		stage_say_bytes(o, strange.says.ptr, strange.says.len);
	if (strange.leaves)
		sim_end_finish(o->end);
}

static void ask_strangers(const struct sim_options *sim, const char *reason)
{
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct peer_end *c;

		stage_open(seed, &(struct ring_options){ .bufs_max = 64, .bufs_posted = 8 }, sim,
			   speak_strangely);
		c = stage_dial();
		ask(c);
		stage_until(stage_heard(c, "\"}"), 5 * S);
		if (!stage_heard(c, " 502 ") || !stage_heard(c, reason))
			fail_msg("%s instead of %s", c->text, reason);
		stage_until(st.proxy->upstreams.n_used == 0, 1 * S);
		ask(c); /* The client's connection lives on. */
		stage_until(stage_heard(c, "\"}"), 5 * S);
		stage_close();
	}
}

/* T08, and TLS to a port that speaks in the clear. */
static void what_is_no_handshake_is_named(void **state)
{
	static const struct {
		struct slice says;
		bool leaves;
		const char *reason;
	} rows[] = {
		{ SLICE_INIT("HTTP/1.1 400 Bad Request\r\n\r\n"), true,
		  "\"upstream_protocol_mismatch\"" },
		{ SLICE_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), false,
		  "\"upstream_protocol_mismatch\"" },
		{ SLICE_INIT("\0\0\0\4\0\0\0\0\0"), false, "\"upstream_protocol_mismatch\"" },
		{ SLICE_INIT("\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\1"), true,
		  "\"upstream_protocol_mismatch\"" },
		{ SLICE_INIT("220 mail.test ESMTP\r\n"), false, "\"upstream_tls\"" },
		{ SLICE_INIT("\x17\3\3\0\4data"), false, "\"upstream_tls\"" },
		{ SLICE_INIT("\x15\3\3\0\2\2\x28"), true, "\"upstream_tls\"" },
		{ SLICE_INIT(""), true, "\"upstream_tls\"" },
	};

	(void)state;
	stage_deaf = false;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		strange.says = rows[i].says;
		strange.leaves = rows[i].leaves;
		ask_strangers(&(struct sim_options){ 0 }, rows[i].reason);
	}
	stage_deaf = true;
}

/* The reverse: HTTP/1.1 in the clear to ports that speak TLS, or HTTP/2. */
static void clear_requests_to_other_protocols_are_named(void **state)
{
	static const struct slice says[] = {
		SLICE_INIT("\x15\3\1\0\2\2\x46"),
		SLICE_INIT("\x16\3\3\0z\2\0\0v"),
		SLICE_INIT("\0\0\22\4\0\0\0\0\0\0\3\0\0\0d\0\4\0\0\377\377\0\5\0\0@\0"),
		SLICE_INIT("\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\1"),
	};

	(void)state;
	stage_deaf = false;
	stage_trust = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(says); i++) {
		strange.says = says[i];
		strange.leaves = i % 2;
		ask_strangers(&(struct sim_options){ 0 }, "\"upstream_protocol_mismatch\"");
	}
	stage_trust = client;
	stage_deaf = true;
}

/* --- The pool's key. --------------------------------------------------------------------------- */

static void ask_once(struct peer_end *c)
{
	ask(c);
	for (int i = 0; i < 500 && !stage_heard(c, "\r\n\r\nok"); i++)
		stage_run(10 * MS);
	if (!stage_heard(c, "\r\n\r\nok"))
		fail_msg("%s", c->text);
	stage_run(10 * MS);
}

/* Other files, another name, another scheme: what was made before is not used again. */
static void the_pool_keeps_what_is_still_meant(void **state)
{
	struct peer_end *c;

	(void)state;
	begin(1, &(struct sim_options){ 0 }, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	      HOW_KEEP);
	c = stage_dial();
	ask_once(c);
	ask_once(c);
	assert_int_equal(st.n_origins, 1);
	upstream_trust(st.proxy, &other, 1);
	assert_int_equal(st.proxy->idle.n, 0);
	ask_once(c);
	assert_int_equal(st.n_origins, 2);
	assert_false(origins[1].resumed); /* Sessions are one client's. */
	assert_false(tls_client_is_busy(client));

	st.second = next_table(st.table);
	*(char *)(uintptr_t)table_text(
		 st.second, table_endpoint(st.second, one_service(st.second), 0)->server_name)
		 .ptr = 'S'; /* The same certificate does. */
	seat_offer(&st.seat, st.second);
	ask_once(c);
	assert_int_equal(st.n_origins, 3);
	ask_once(c);
	assert_int_equal(st.n_origins, 3);
	end();
}

/* In use while they change: finished, and then not kept. */
static void what_is_in_use_is_not_kept_afterwards(void **state)
{
	struct peer_end *c;

	(void)state;
	begin(1, &(struct sim_options){ .send_size = 8192, .window_size = 8192 },
	      "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", HOW_KEEP);
	plan.body = BODY;
	c = stage_dial();
	c->deaf = true;
	ask(c);
	stage_run(100 * MS);
	upstream_trust(st.proxy, &other, 1);
	assert_true(tls_client_is_busy(client));
	c->deaf = false;
	client_event(c->end, c);
	stage_until(c->n_heard > BODY, 5 * S);
	stage_run(10 * MS);
	assert_int_equal(st.proxy->idle.n, 0);
	assert_false(tls_client_is_busy(client));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_pass_and_connections_are_kept),
		cmocka_unit_test(long_bodies_pass_in_both_directions),
		cmocka_unit_test(an_origin_may_stop_at_any_byte),
		cmocka_unit_test(used_up_buffers_are_survived),
		cmocka_unit_test(an_unsaid_end_is_a_cut),
		cmocka_unit_test(a_cut_tunnel_is_not_ended),
		cmocka_unit_test(a_dead_pooled_connection_is_replaced),
		cmocka_unit_test(what_is_no_handshake_is_named),
		cmocka_unit_test(clear_requests_to_other_protocols_are_named),
		cmocka_unit_test(the_pool_keeps_what_is_still_meant),
		cmocka_unit_test(what_is_in_use_is_not_kept_afterwards),
	};

	if (crypto_pool_install() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
