/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 in TLS through a whole proxy in virtual time: cut anywhere, in crumbs, without buffers. */
#include "tests/unit/core/proxy/stage.c"

#include "tests/unit/core/proxy/guest.c"

#include "ring/ring_buf.h"

enum { BODY_MAX = 100000, BUFS = 64 };

static struct seal seal;
static uint32_t body; /* Of each answer. */

/* --- The origin: a body for whoever asks. ------------------------------------------------------ */

static char answer[BODY_MAX + 80];
static uint32_t answer_len;

static void make_answer(uint32_t len)
{
	body = len;
	memset(answer, 0, sizeof(answer));
	answer_len = (uint32_t)snprintf(answer, sizeof(answer),
					"HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", len);
	answer_len += len;
}

static void answers(struct peer_end *o)
{
	uint32_t n;

	if (o->to_say == 0 && !stage_heard(o, "\r\n\r\n"))
		return;
	if (o->to_say == 0) {
		memset(o->text, 0, sizeof(o->text));
		o->n_heard = 0;
		o->to_say = answer_len;
	}
	do {
		n = stage_say_bytes(o, answer + answer_len - o->to_say, o->to_say);
		o->to_say -= n;
	} while (n > 0 && o->to_say > 0);
}

/* --- A guest in TLS. ---------------------------------------------------------------------------- */

static const struct cord_plan whole = { .seal = &seal, .manners = { .h2 = true } };

static void begin(uint64_t seed, const struct sim_options *sim)
{
	guests_forget();
	make_answer(BODY_MAX);
	seal_open(&seal, seed, true);
	stage_tls = seal.server;
	stage_h2_streams = 100;
	stage_open(seed, &(struct ring_options){ .bufs_max = BUFS, .bufs_posted = 8 }, sim,
		   answers);
}

/* Nothing is left: ring_free() looks for buffers and files, seal_close() for connections. */
static void end(void)
{
	stage_run(100 * MS);
	cord_forget(&seal);
	stage_close();
	seal_close(&seal);
	assert_int_equal(h2_shared_stats(guests_shared).used, 0);
}

static struct ask *asks(struct guest *g)
{
	return ask(g, "/long", "", 0);
}

static bool has_all(const struct ask *a)
{
	return a->in_ended && a->status == 200 && a->n_in == body;
}

/* --- Tests. ------------------------------------------------------------------------------------ */

static void two_streams_pass(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		begin(seed, &(struct sim_options){ 0 });
		struct guest *g = visit_sealed(0, &whole);
		struct ask *a = asks(g), *b = asks(g);

		stage_until(step(g) && has_all(a) && has_all(b), 20 * S);
		stage_run(10 * MS);
		/* Idle, it holds nothing but its memory in the pool. */
		assert_int_equal(atomic_load(&ring_stats(st.ring)->bufs_held), 0);
		part(g, false);
		stage_until(st.proxy->clients.n_used == 0, 5 * S);
		end();
	}
}

static void bytes_may_come_one_by_one(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		begin(seed, &(struct sim_options){ .send_size = 1, .window_size = 1 });
		make_answer(50);
		struct guest *g = visit_sealed(0, &whole);
		struct ask *a = asks(g), *b = asks(g);

		stage_until(step(g) && has_all(a) && has_all(b), 20 * S);
		part(g, true);
		end();
	}
}

/* What became of a guest that stops at the byte 'n' of its handshake: true, or it was over before. */
static bool stops_at(uint32_t n, enum cord_cut cut, bool old)
{
	struct cord_plan plan = whole;
	bool was_cut;

	begin(n, &(struct sim_options){ 0 });
	st.options.handshake_ns = 300 * MS;
	make_answer(100);
	plan.manners.old = old;
	plan.cut = cut;
	plan.cut_at = n;
	struct guest *g = visit_sealed(0, &plan);
	struct ask *a = asks(g);

	run(g, 200 * MS);
	was_cut = seal.n_cut > 0;
	assert_int_equal(was_cut, !has_all(a));
	if (was_cut && cut == CORD_RESETS)
		part(g, true);
	else if (was_cut)
		run(g, 300 * MS); /* Not waited for any longer. */
	if (was_cut) {
		stage_run(100 * MS);
		assert_int_equal(st.proxy->clients.n_used, 0);
		assert_int_equal(st.n_origins, 0);
	}
	if (g->session)
		part(g, true);
	end();
	return was_cut;
}

static void a_handshake_may_stop_at_any_byte(void **state)
{
	static const enum cord_cut cuts[] = { CORD_RESETS, CORD_ENDS, CORD_STALLS, CORD_STALLS };

	(void)state;
	for (int i = 0; i < 4; i++) {
		uint32_t n = 0;

		while (stops_at(n, cuts[i], i == 3))
			n++;
		assert_true(n > 200); /* A hello, and what ends the handshake. */
	}
}

/* In the middle of an answer, by the guest: of its connection, or of one of two streams. */
static void resets_are_survived(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 2 * STAGE_SEEDS; seed++) {
		begin(seed, &(struct sim_options){ .send_size = 8192, .window_size = 8192 });
		struct guest *g = visit_sealed(0, &whole);
		struct ask *a = asks(g), *b = asks(g);

		stage_until(step(g) && a->n_in > 500 * seed, 20 * S);
		if (seed % 2) {
			part(g, true);
		} else {
			h2_session_reset(g->session, a->id, H2_CODE_CANCEL);
			stage_until(step(g) && has_all(b), 20 * S);
			assert_false(a->in_ended);
			part(g, false);
		}
		stage_until(st.proxy->clients.n_used == 0, 5 * S);
		end();
	}
}

static uint32_t hold_all(struct ring_buf *held[BUFS])
{
	uint32_t n = 0;

	while (n < BUFS && (held[n] = ring_buf_take(st.ring)))
		n++;
	return n;
}

static void give_all(struct ring_buf *held[BUFS], uint32_t n)
{
	while (n > 0)
		ring_buf_give(st.ring, held[--n]);
}

/*
 * In the handshake, which waits, and in the middle of answers: later all is as before, or the
 * connection has ended.
 */
static void used_up_buffers_are_survived(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= STAGE_SEEDS; seed++) {
		struct ring_buf *held[BUFS];
		uint32_t n;

		begin(seed, &(struct sim_options){ .send_size = 8192, .window_size = 8192 });
		n = hold_all(held);
		struct guest *g = visit_sealed(0, &whole);

		run(g, 100 * MS);
		assert_int_equal(seal.n_shaken, 0);
		give_all(held, n);
		struct ask *a = asks(g), *b = asks(g);

		stage_until(step(g) && a->n_in + b->n_in > 2000 * seed, 20 * S);
		n = hold_all(held);
		run(g, 100 * MS); /* What is in use goes round, if it is enough. */
		give_all(held, n);
		stage_until(step(g) && (g->peer->ended || (has_all(a) && has_all(b))), 20 * S);
		assert_true(a->n_in == body || !a->in_ended);
		part(g, false);
		g = visit_sealed(1, &whole);
		a = asks(g);
		stage_until(step(g) && has_all(a), 20 * S);
		part(g, false);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_streams_pass),
		cmocka_unit_test(bytes_may_come_one_by_one),
		cmocka_unit_test(a_handshake_may_stop_at_any_byte),
		cmocka_unit_test(resets_are_survived),
		cmocka_unit_test(used_up_buffers_are_survived),
	};

	return cmocka_run_group_tests(tests, guests_begin, guests_end);
}
