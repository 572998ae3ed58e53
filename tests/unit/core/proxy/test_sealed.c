/* SPDX-License-Identifier: Apache-2.0 */
/* TLS through a whole proxy in virtual time: bytes in pieces, buffers used up, peers that go away. */
#include <openssl/ssl.h> /* Before base/banned.h. */

#include "tests/unit/core/proxy/stage.c"

#include "core/crypto/crypto_pool.h"
#include "core/crypto/tls_server.h"
#include "ring/ring_buf.h"
#include "tests/unit/core/crypto/certs.c"

enum { HOUR = 3600, BODY = 100000, TEXT = 200000 };

static const struct ct_cert site = { "site", "DNS:site.test", -60, HOUR, NULL };
static struct tls_credentials *credentials;

static int setup(void **state)
{
	(void)state;
	ct_begin();
	credentials = ct_credentials(&site);
	assert_int_equal(tls_server_create(credentials, &stage_tls), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tls_server_free(stage_tls);
	tls_credentials_free(credentials);
	ct_end();
	return 0;
}

/* --- A client of OpenSSL's own at the end of a simulated wire. --------------------------------- */

static struct visitor {
	struct peer_end *peer;
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;
	uint64_t said_max; /* Bytes that it may send; what is more never leaves. */
	uint64_t n_said;
	char pending[65536]; /* Sealed, and not sent yet. */
	uint32_t n_pending;
	char text[TEXT + 1]; /* What it has read. */
	uint32_t n_text;
	bool ended; /* By close_notify. */
} v;

static void visit(void)
{
	SSL_CTX *ctx = v.ctx ? v.ctx : SSL_CTX_new(TLS_client_method());

	memset(&v, 0, sizeof(v));
	v.ctx = ctx;
	/* One share of a key that every OpenSSL has: a hello is as long with 3.0 as with 3.5. */
	assert_int_equal(SSL_CTX_set1_groups_list(ctx, "X25519"), 1);
	v.said_max = UINT64_MAX;
	v.peer = stage_dial();
	v.peer->deaf = true; /* It reads by itself. */
	v.ssl = SSL_new(ctx);
	v.in = BIO_new(BIO_s_mem());
	v.out = BIO_new(BIO_s_mem());
	SSL_set_bio(v.ssl, v.in, v.out);
	SSL_set_connect_state(v.ssl);
}

static void leave(void)
{
	SSL_free(v.ssl);
	v.ssl = NULL;
}

static void hear_sealed(void)
{
	char bytes[16384];
	int32_t n;

	while ((n = sim_end_read(v.peer->end, bytes, sizeof(bytes))) > 0)
		BIO_write(v.in, bytes, n);
}

static void say_sealed(void)
{
	int n;

	if (v.n_pending == 0 && (n = BIO_read(v.out, v.pending, sizeof(v.pending))) > 0)
		v.n_pending = (uint32_t)n;
	if (v.n_pending > 0 && v.n_said < v.said_max) {
		uint64_t left = v.said_max - v.n_said;
		uint32_t len = v.n_pending < left ? v.n_pending : (uint32_t)left;
		uint32_t done = stage_say_bytes(v.peer, v.pending, len);

		memmove(v.pending, v.pending + done, v.n_pending - done);
		v.n_pending -= done;
		v.n_said += done;
	}
}

/* Both directions, as far as they go now; true for use in conditions. */
static bool step(void)
{
	int n;

	if (!v.peer->end)
		return true;
	hear_sealed();
	SSL_do_handshake(v.ssl);
	while (v.n_text < TEXT &&
	       (n = SSL_read(v.ssl, v.text + v.n_text, (int)(TEXT - v.n_text))) > 0)
		v.n_text += (uint32_t)n;
	v.ended = SSL_get_shutdown(v.ssl) & SSL_RECEIVED_SHUTDOWN;
	say_sealed();
	return true;
}

static bool is_whole(uint32_t body)
{
	const char *head_end;

	step();
	v.text[v.n_text] = '\0';
	head_end = strstr(v.text, "\r\n\r\n");
	return head_end && v.n_text - (uint32_t)(head_end + 4 - v.text) >= body;
}

/* --- The origin: a long body for whoever asks. ------------------------------------------------- */

static void answer_long(struct peer_end *o)
{
	static char body[BODY];
	char *end = strstr(o->text, "\r\n\r\n");

	if (!end)
		return;
	if (o->to_say == 0) {
		memset(body, 'b', sizeof(body));
		stage_say(o, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
		o->to_say = BODY;
	}
	o->to_say -= stage_say_bytes(o, body, o->to_say);
	if (o->to_say == 0) {
		o->n_heard = 0; /* Ready for the next request. */
		memset(o->text, 0, sizeof(o->text));
	}
}

static void a_request_passes(uint64_t seed)
{
	struct ring_options ring = { .bufs_max = 64, .bufs_posted = 8 };

	stage_open(seed, &ring, &(struct sim_options){ 0 }, answer_long);
	visit();
	stage_until(step() && SSL_is_init_finished(v.ssl), 5 * S);
	for (int i = 0; i < 3; i++) {
		static const char ask[] = "GET /long HTTP/1.1\r\nHost: site.test\r\n\r\n";

		v.n_text = 0;
		memset(v.text, 0, sizeof(v.text));
		assert_int_equal(SSL_write(v.ssl, ask, sizeof(ask) - 1), sizeof(ask) - 1);
		stage_until(is_whole(BODY), 20 * S);
		for (uint32_t k = v.n_text - BODY; k < v.n_text; k++)
			assert_int_equal(v.text[k], 'b');
	}
	stage_run(10 * MS);
	/* Idle, it holds nothing but its memory in the pool. */
	assert_int_equal(atomic_load(&ring_stats(st.ring)->bufs_held), 0);
	SSL_shutdown(v.ssl);
	stage_until(step() && v.ended, 5 * S); /* Told in turn. */
	leave();
	stage_close();
}

/* A client that wants new keys in the middle of an answer: ours wait for room, and reading goes on. */
static void keys_are_renewed_meanwhile(void **state)
{
	static const char ask[] = "GET /long HTTP/1.1\r\nHost: site.test\r\n\r\n";

	(void)state;
	for (uint64_t seed = 1; seed <= 4 * STAGE_SEEDS; seed++) {
		stage_open(seed, &(struct ring_options){ .bufs_max = 64, .bufs_posted = 8 },
			   &(struct sim_options){ .send_size = 8192, .window_size = 8192 },
			   answer_long);
		visit();
		stage_until(step() && SSL_is_init_finished(v.ssl), 5 * S);
		assert_int_equal(SSL_write(v.ssl, ask, sizeof(ask) - 1), sizeof(ask) - 1);
		stage_until(step() && v.n_text > 100 * seed, 20 * S);
		assert_int_equal(SSL_key_update(v.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		stage_until(is_whole(BODY), 20 * S);
		v.n_text = 0;
		memset(v.text, 0, sizeof(v.text));
		assert_int_equal(SSL_write(v.ssl, ask, sizeof(ask) - 1), sizeof(ask) - 1);
		stage_until(is_whole(BODY), 20 * S);
		leave();
		stage_close();
	}
}

/* A client that says with its request that it is the last: answered, and not waited for. */
static void an_end_behind_a_request_is_seen(void **state)
{
	static const char ask[] = "GET /long HTTP/1.1\r\nHost: site.test\r\n\r\n";

	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		stage_open(seed, &(struct ring_options){ .bufs_max = 64, .bufs_posted = 8 },
			   &(struct sim_options){ 0 }, answer_long);
		visit();
		stage_until(step() && SSL_is_init_finished(v.ssl), 5 * S);
		assert_int_equal(SSL_write(v.ssl, ask, sizeof(ask) - 1), sizeof(ask) - 1);
		SSL_shutdown(v.ssl);
		stage_until(is_whole(BODY), 20 * S);
		stage_until(step() && v.ended, 3 * S);
		leave();
		stage_close();
	}
}

/* Keys that are wanted behind our own end: it was the last that was said. */
static void no_keys_are_renewed_behind_the_end(void **state)
{
	static const char ask[] = "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"; /* No host. */

	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		stage_open(seed, &(struct ring_options){ .bufs_max = 64, .bufs_posted = 8 },
			   &(struct sim_options){ 0 }, answer_long);
		visit();
		stage_until(step() && SSL_is_init_finished(v.ssl), 5 * S);
		assert_int_equal(SSL_write(v.ssl, ask, sizeof(ask) - 1), sizeof(ask) - 1);
		stage_until(step() && v.ended, 20 * S);
		assert_memory_equal(v.text, "HTTP/1.1 400", 12);
		for (int i = 0; i < 4; i++) {
			assert_int_equal(SSL_key_update(v.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
			assert_int_equal(SSL_do_handshake(v.ssl), 1);
			say_sealed();
			stage_run(100 * MS);
		}
		stage_until(st.proxy->clients.n_used == 0, 5 * S);
		leave();
		stage_close();
	}
}

static void grant_and_wait(struct peer_end *o)
{
	if (o->to_say == 0 && stage_heard(o, "\r\n\r\n")) {
		o->to_say = 1;
		o->deaf = true;
		stage_say(o, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
			     "Upgrade: websocket\r\n\r\n");
	}
}

/* Both ends of a client's connection have ended, but not all that it has said has been read. */
static void a_tunnel_is_read_up_to_its_end(void **state)
{
	static const char ask[] = "GET /tunnel HTTP/1.1\r\nHost: site.test\r\n"
				  "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
	static const char said[1024];

	(void)state;
	for (uint64_t n = 1; n <= 4 * STAGE_SEEDS; n++) {
		struct peer_end *o = &st.origins[0];
		uint64_t n_head;

		stage_open(n, &(struct ring_options){ .bufs_max = 64, .bufs_posted = 8 },
			   &(struct sim_options){ .send_size = 8192, .window_size = 8192 },
			   grant_and_wait);
		visit();
		stage_until(step() && SSL_is_init_finished(v.ssl), 5 * S);
		assert_int_equal(SSL_write(v.ssl, ask, sizeof(ask) - 1), sizeof(ask) - 1);
		stage_until(step() && v.n_text > 0, 5 * S);
		n_head = o->n_heard;
		for (uint64_t i = 0; i < n; i++)
			assert_int_equal(SSL_write(v.ssl, said, sizeof(said)), sizeof(said));
		SSL_shutdown(v.ssl);
		for (int i = 0; i < 100; i++) {
			step();
			stage_run(1 * MS);
		}
		if (BIO_pending(v.out) + v.n_pending == 0)
			sim_end_finish(v.peer->end);
		stage_run(100 * MS);
		sim_end_finish(o->end);
		stage_until(step() && v.ended, 5 * S);
		o->deaf = false;
		origin_event(o->end, o);
		stage_until(step() && o->ended, 5 * S);
		assert_false(o->reset);
		assert_int_equal(o->n_heard - n_head, n * sizeof(said));
		leave();
		stage_close();
	}
}

static uint32_t last_body;

static void answer_and_close(struct peer_end *o)
{
	static char body[BODY];

	if (!stage_heard(o, "\r\n\r\n"))
		return;
	if (o->to_say == 0) {
		stage_say(o, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
		o->to_say = last_body;
	}
	o->to_say -= stage_say_bytes(o, body, o->to_say);
	if (o->to_say == 0)
		stage_leave(o, false);
}

static void step_on(int ms)
{
	for (int i = 0; i < ms; i++) {
		step();
		stage_run(1 * MS);
	}
}

/* A body up to the end of the connection is whole only if that is said, also where it just fits. */
static void an_end_is_said_behind_what_fills_the_kernel(void **state)
{
	static const char ask[] = "GET /last HTTP/1.0\r\nHost: site.test\r\n\r\n";
	static const struct sim_options sim = { .send_size = 4096, .window_size = 4096 };

	(void)state;
	for (last_body = 7800; last_body < 8200; last_body += 8) {
		stage_open(last_body, &(struct ring_options){ .bufs_max = 64, .bufs_posted = 8 },
			   &sim, answer_and_close);
		visit();
		step_on(20);
		assert_int_equal(SSL_write(v.ssl, ask, sizeof(ask) - 1), sizeof(ask) - 1);
		step();
		stage_run(100 * MS); /* It reads nothing of the answer yet. */
		step_on(50);
		assert_true(is_whole(last_body) && v.ended);
		leave();
		stage_close();
	}
}

static void requests_pass(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++)
		a_request_passes(seed);
}

/* A client that stops after each byte of what it has to say, and is then waited for, or resets. */
static void a_client_may_stop_at_any_byte(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < 700; n++) {
		static const char ask[] = "GET /long HTTP/1.1\r\nHost: site.test\r\n\r\n";

		stage_open(n, &(struct ring_options){ .bufs_max = 64, .bufs_posted = 8 },
			   &(struct sim_options){ 0 }, answer_long);
		st.options.handshake_ns = 300 * MS;
		st.options.head_ns = 300 * MS;
		visit();
		v.said_max = n;
		for (int i = 0; i < 40; i++) {
			step();
			if (SSL_is_init_finished(v.ssl) && i == 20)
				SSL_write(v.ssl, ask, sizeof(ask) - 1);
			stage_run(5 * MS);
		}
		if (n % 2)
			stage_leave(v.peer, n % 4 == 1);
		stage_run(2 * S);
		assert_true(n < 650 || SSL_is_init_finished(v.ssl));
		if (n % 2 || !SSL_is_init_finished(v.ssl)) /* It has gone, or was not waited for. */
			assert_int_equal(st.proxy->clients.n_used, 0);
		leave();
		stage_close();
	}
}

/* With all buffers held, handshakes and requests wait, and go on when some are free. */
static void used_up_buffers_are_survived(void **state)
{
	static const char ask[] = "GET /long HTTP/1.1\r\nHost: site.test\r\n\r\n";
	struct ring_options ring = { .bufs_max = 16, .bufs_posted = 8 };

	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct ring_buf *held[16];
		uint32_t n = 0;

		stage_open(seed, &ring, &(struct sim_options){ 0 }, answer_long);
		while (n < 16 && (held[n] = ring_buf_take(st.ring)))
			n++;
		visit();
		for (int i = 0; i < 20; i++) {
			step();
			stage_run(5 * MS);
		}
		while (n > 0)
			ring_buf_give(st.ring, held[--n]);
		stage_until(step() && SSL_is_init_finished(v.ssl), 1 * S);
		assert_int_equal(SSL_write(v.ssl, ask, sizeof(ask) - 1), sizeof(ask) - 1);
		stage_run(seed * 10000);
		while (n < 16 && (held[n] = ring_buf_take(st.ring)))
			n++;
		for (int i = 0; i < 20; i++) {
			step();
			stage_run(5 * MS);
		}
		while (n > 0)
			ring_buf_give(st.ring, held[--n]);
		stage_until(is_whole(BODY), 5 * S);
		leave();
		stage_close();
	}
}

/* A connection that ends while its tickets are still on their way: the end is said behind them. */
static void an_end_is_said_behind_tickets(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4 * STAGE_SEEDS; seed++) {
		stage_open(seed, &(struct ring_options){ .bufs_max = 64, .bufs_posted = 8 },
			   &(struct sim_options){ .faults = { .slow = 500 } }, answer_long);
		st.options.head_ns = 1; /* Idle for too long at once. */
		visit();
		stage_until(step() && (v.ended || sim_end_is_reset(v.peer->end)), 5 * S);
		assert_true(SSL_is_init_finished(v.ssl) && v.ended);
		stage_until(st.proxy->clients.n_used == 0, 5 * S);
		leave();
		stage_close();
	}
}

static void clear_http_is_answered_in_the_clear(void **state)
{
	(void)state;
	stage_open(1, &(struct ring_options){ 0 }, &(struct sim_options){ 0 }, answer_long);
	struct peer_end *c = stage_dial();

	stage_say(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	stage_until(c->ended, 5 * S);
	assert_true(stage_heard(c, "HTTP/1.1 400 Bad Request"));
	assert_true(stage_heard(c, "plain_on_tls"));
	assert_int_equal(st.n_origins, 0);
	stage_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_pass),
		cmocka_unit_test(an_end_behind_a_request_is_seen),
		cmocka_unit_test(keys_are_renewed_meanwhile),
		cmocka_unit_test(no_keys_are_renewed_behind_the_end),
		cmocka_unit_test(a_tunnel_is_read_up_to_its_end),
		cmocka_unit_test(an_end_is_said_behind_what_fills_the_kernel),
		cmocka_unit_test(a_client_may_stop_at_any_byte),
		cmocka_unit_test(used_up_buffers_are_survived),
		cmocka_unit_test(an_end_is_said_behind_tickets),
		cmocka_unit_test(clear_http_is_answered_in_the_clear),
	};
	int r;

	if (crypto_pool_install() < 0)
		return 1;
	r = cmocka_run_group_tests(tests, setup, teardown);
	SSL_CTX_free(v.ctx);
	return r;
}
