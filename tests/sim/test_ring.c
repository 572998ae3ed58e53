/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake ring tested by a small relay of bytes: whatever the seed does, what
 * a client sent is echoed to it in order, or its connection ends early; nothing
 * is left behind. Each kind of ending has to occur.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "ring/ring_buf.h"
#include "ring/ring_pipe.h"
#include "tests/sim/sim_net.h"

enum { SEEDS = 400, RELAYS = 12, N_RINGS_BUFS = 24, DEADLINE_MS = 4000 };

/* --- The relay: one accepted connection, one made, two directions --------------------------- */

struct lane {
	struct relay *relay;
	struct ring_op in, out;
	struct ring_buf *buf; /* Copying: what is being sent. */
	struct ring_pipe *pipe;
	int from, to; /* Index into relay->files. */
	bool eof, over;
};

enum ending { END_WHOLE, END_ERROR, END_TIMEOUT, END_CONNECT, N_ENDINGS };

struct relay {
	struct ring *ring;
	struct ring_op connect;
	struct ring_timer timer;
	struct lane lanes[2];
	int32_t files[2];
	bool closing;
	enum ending ending;
	struct list_node link;
};

struct world {
	struct ring *ring;
	struct ring_op accept;
	struct list relays;
	int32_t listener;
	bool listening, again;
	struct ring_timer retry;
	uint32_t endings[N_ENDINGS];
	uint32_t n_live;
};

static struct world *world; /* Of the seed that runs. */

static void relay_over(struct relay *r)
{
	if (!r->closing || r->connect.armed)
		return;
	for (int i = 0; i < 2; i++) {
		struct lane *l = &r->lanes[i];

		if (l->in.armed || l->out.armed)
			return;
	}
	for (int i = 0; i < 2; i++) {
		if (r->lanes[i].buf)
			ring_buf_give(r->ring, r->lanes[i].buf);
		if (r->lanes[i].pipe)
			ring_pipe_give(r->ring, r->lanes[i].pipe);
	}
	world->endings[r->ending]++;
	world->n_live--;
	list_remove(&r->link);
	free(r);
}

static void relay_end(struct relay *r, enum ending ending)
{
	if (r->closing)
		return;
	r->closing = true;
	r->ending = ending;
	ring_timer_cancel(r->ring, &r->timer);
	for (int i = 0; i < 2; i++) {
		if (ending == END_TIMEOUT)
			ring_abort_on_close(r->ring, r->files[i]);
		ring_close(r->ring, r->files[i]);
	}
}

static void lane_read(struct lane *l)
{
	if (l->pipe)
		ring_poll(l->relay->ring, &l->in, l->relay->files[l->from], RING_READABLE);
	else
		ring_recv(l->relay->ring, &l->in, l->relay->files[l->from], true);
}

static void lane_over(struct lane *l)
{
	struct relay *r = l->relay;

	l->over = true;
	ring_shutdown_send(r->ring, r->files[l->to]);
	if (r->lanes[0].over && r->lanes[1].over)
		relay_end(r, END_WHOLE);
}

static void lane_splice(struct lane *l)
{
	struct relay *r = l->relay;
	int32_t n;

	if (l->pipe->held < l->pipe->size && !l->eof) {
		n = ring_splice_in(r->ring, r->files[l->from], l->pipe, l->pipe->size);
		l->eof = n == 0;
		if (n < 0 && n != -EAGAIN) {
			relay_end(r, END_ERROR);
			return;
		}
	}
	if (l->pipe->held == 0) {
		if (l->eof)
			lane_over(l);
		else
			lane_read(l);
		return;
	}
	n = ring_splice_out(r->ring, l->pipe, r->files[l->to], l->pipe->held);
	if (n < 0 && n != -EAGAIN)
		relay_end(r, END_ERROR);
	else if (l->pipe->held > 0)
		ring_poll(r->ring, &l->out, r->files[l->to], RING_WRITABLE);
	else if (l->eof)
		lane_over(l);
	else
		lane_read(l);
}

static void lane_in(struct ring_op *op, const struct ring_answer *answer)
{
	struct lane *l = GW_CONTAINER_OF(op, struct lane, in);
	struct relay *r = l->relay;

	if (answer->buf)
		l->buf = answer->buf;
	if (r->closing) {
		relay_over(r);
		return;
	}
	if (answer->res < 0) {
		relay_end(r, END_ERROR);
		relay_over(r);
		return;
	}
	if (l->pipe)
		lane_splice(l);
	else if (answer->res == 0)
		lane_over(l);
	else
		ring_send(r->ring, &l->out, r->files[l->to], ring_buf_data(l->buf), l->buf->len);
	relay_over(r);
}

static void lane_out(struct ring_op *op, const struct ring_answer *answer)
{
	struct lane *l = GW_CONTAINER_OF(op, struct lane, out);
	struct relay *r = l->relay;

	if (!r->closing && (answer->res < 0 || (l->buf && (uint32_t)answer->res < l->buf->len)))
		relay_end(r, END_ERROR);
	if (!r->closing && l->pipe)
		lane_splice(l);
	if (!r->closing && l->buf) {
		ring_buf_give(r->ring, l->buf);
		l->buf = NULL;
		lane_read(l);
	}
	relay_over(r);
}

static void relay_connected(struct ring_op *op, const struct ring_answer *answer)
{
	struct relay *r = GW_CONTAINER_OF(op, struct relay, connect);

	if (!r->closing && answer->res < 0)
		relay_end(r, END_CONNECT);
	for (int i = 0; i < 2 && !r->closing; i++)
		lane_read(&r->lanes[i]);
	relay_over(r);
}

static void relay_late(struct ring_timer *timer)
{
	struct relay *r = GW_CONTAINER_OF(timer, struct relay, timer);

	relay_end(r, END_TIMEOUT);
	relay_over(r);
}

static const struct ring_addr front = { .family = AF_INET, .port = 80, .ip = { 127, 0, 0, 1 } };
static const struct ring_addr back = { .family = AF_INET, .port = 81, .ip = { 127, 0, 0, 1 } };

static void relay_start(struct ring *ring, int32_t file)
{
	struct relay *r;
	int32_t other;

	if (ring_socket(ring, AF_INET, &other) < 0) {
		ring_close(ring, file);
		return;
	}
	r = calloc(1, sizeof(*r));
	assert_non_null(r);
	r->ring = ring;
	r->files[0] = file;
	r->files[1] = other;
	list_push_back(&world->relays, &r->link);
	world->n_live++;
	for (int i = 0; i < 2; i++) {
		r->lanes[i].relay = r;
		r->lanes[i].from = i;
		r->lanes[i].to = !i;
		ring_op_init(&r->lanes[i].in, lane_in);
		ring_op_init(&r->lanes[i].out, lane_out);
		if (sim_pick(ring, 2))
			r->lanes[i].pipe = ring_pipe_take(ring);
	}
	ring_op_init(&r->connect, relay_connected);
	ring_timer_init(&r->timer, relay_late);
	ring_timer_set(ring, &r->timer, ring_now_ns(ring) + DEADLINE_MS * UINT64_C(1000000));
	ring_connect(ring, &r->connect, other, &back);
}

static void accepted(struct ring_op *op, const struct ring_answer *answer)
{
	(void)op;
	if (answer->res >= 0)
		relay_start(world->ring, answer->res);
	if (answer->more)
		return;
	if (world->listening)
		ring_timer_set(world->ring, &world->retry, ring_now_ns(world->ring) + 1000000);
}

static void accept_again(struct ring_timer *timer)
{
	(void)timer;
	ring_accept(world->ring, &world->accept, world->listener);
}

/* --- The peers: clients that send a pattern, hosts that echo -------------------------------- */

struct echo {
	struct sim_end *end;
	uint8_t kept[4096];
	uint32_t start, len;
	bool eof, closed;
};

struct sender {
	struct sim_end *end;
	uint64_t key, sent, checked, len;
	struct sim_event event;
	bool whole, over, finished;
};

static struct echo echoes[RELAYS * 2];
static uint32_t n_echoes;

static uint8_t pattern(uint64_t key, uint64_t at)
{
	return (uint8_t)hash_u64(key + at);
}

static void echo_event(struct sim_end *end, void *owner)
{
	struct echo *e = owner;

	for (int i = 0; i < 64 && !e->closed; i++) {
		int32_t n = -EAGAIN;

		if (e->len == 0 && !e->eof) {
			n = sim_end_read(end, e->kept, sizeof(e->kept));
			e->start = 0;
			e->len = n > 0 ? (uint32_t)n : 0;
			e->eof = n == 0;
		}
		if (e->len > 0) {
			n = sim_end_write(end, e->kept + e->start, e->len);
			e->start += n > 0 ? (uint32_t)n : 0;
			e->len -= n > 0 ? (uint32_t)n : 0;
		}
		if (n == -EAGAIN && !(e->eof && e->len == 0))
			return;
		if ((n < 0 && n != -EAGAIN) || (e->eof && e->len == 0)) {
			e->closed = true;
			sim_end_close(end, false);
		}
	}
}

static enum sim_welcome back_welcome(void *owner)
{
	uint64_t dice = sim_pick(owner, 100);

	return dice < 90   ? SIM_WELCOME
	       : dice < 94 ? SIM_REFUSE
	       : dice < 97 ? SIM_UNREACHABLE
			   : SIM_SILENCE;
}

static void back_connected(void *owner, struct sim_end *end)
{
	(void)owner;
	assert_true(n_echoes < ARRAY_SIZE(echoes));
	echoes[n_echoes] = (struct echo){ .end = end };
	sim_end_watch(end, echo_event, &echoes[n_echoes++]);
}

static void sender_over(struct sender *s, bool reset)
{
	s->over = true;
	sim_end_close(s->end, reset);
}

static void sender_read(struct sender *s)
{
	uint8_t bytes[2048];

	for (;;) {
		int32_t n = sim_end_read(s->end, bytes, sizeof(bytes));

		for (int32_t i = 0; i < n; i++)
			assert_int_equal(bytes[i], pattern(s->key, s->checked++));
		assert_true(s->checked <= s->sent);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			s->whole = n == 0 && s->finished && s->checked == s->len;
			sender_over(s, false);
			return;
		}
	}
}

static void sender_write(struct ring *ring, struct sender *s)
{
	uint8_t bytes[2048];
	uint64_t n = s->len - s->sent;
	int32_t r;

	n = n < sizeof(bytes) ? n : sizeof(bytes);
	for (uint64_t i = 0; i < n; i++)
		bytes[i] = pattern(s->key, s->sent + i);
	r = n ? sim_end_write(s->end, bytes, (uint32_t)n) : 0;
	if (r > 0)
		s->sent += (uint32_t)r;
	if (s->sent == s->len && !s->finished && !sim_end_is_reset(s->end)) {
		s->finished = true;
		sim_end_finish(s->end);
	}
	if (r != -EAGAIN && s->sent < s->len)
		sim_event_later(ring, &s->event);
}

static void sender_event(struct sim_end *end, void *owner)
{
	struct sender *s = owner;

	(void)end;
	if (!s->over)
		sender_read(s);
	if (!s->over && !s->finished && !sim_event_waits(&s->event))
		sim_event_later(world->ring, &s->event);
}

static void sender_go_on(struct ring *ring, struct sim_event *event)
{
	struct sender *s = GW_CONTAINER_OF(event, struct sender, event);

	if (s->over)
		return;
	if (sim_chance(ring, 2))
		sender_over(s, true);
	else
		sender_write(ring, s);
}

/* --- A world per seed ------------------------------------------------------------------------ */

static struct sim_options options_of(uint64_t seed)
{
	struct rng rng;
	bool calm;

	rng_seed(&rng, seed);
	calm = rng_below(&rng, 4) == 0;
	return (struct sim_options){
		.seed = seed,
		.send_size = 512u << rng_below(&rng, 7),
		.window_size = 512u << rng_below(&rng, 7),
		.pipe_size = 4096u << rng_below(&rng, 5),
		.batch_ns = (uint32_t)rng_below(&rng, 30000),
		.steps_max = 2000000,
		.faults = calm ? (struct sim_faults){ 0 }
			       : (struct sim_faults){ .accept_emfile = 50,
						      .socket_refused = 50,
						      .poll_spurious = 50,
						      .pipe_refused = 100,
						      .pipe_full = 100,
						      .timer_late = 200,
						      .slow = 20,
						      .reset_cuts = 500 },
	};
}

static void senders_dial(struct ring *ring, struct sender *senders)
{
	static const struct ring_addr from = { .family = AF_INET, .port = 1 };

	for (int i = 0; i < RELAYS; i++) {
		struct sender *s = &senders[i];

		*s = (struct sender){ .key = rng_next(&(struct rng){ { (uint64_t)i, 2, 3, 4 } }) };
		s->len = sim_pick(ring, 4) ? sim_pick(ring, 3000) : sim_pick(ring, 200000);
		s->event.run = sender_go_on;
		s->end = sim_end_dial(ring, &front, &from);
		assert_non_null(s->end);
		sim_end_watch(s->end, sender_event, s);
	}
}

static bool all_over(const struct sender *senders)
{
	for (int i = 0; i < RELAYS; i++)
		if (!senders[i].over)
			return false;
	return true;
}

static void world_run(uint64_t seed, uint32_t *endings, struct sim_counts *counts)
{
	struct ring_options small = {
		.files_max = 64, .bufs_max = N_RINGS_BUFS, .bufs_posted = 4, .pipes_max = 6
	};
	struct sim_options opt = options_of(seed);
	struct world w = { .listening = true };
	struct sender senders[RELAYS];
	struct sim_host host = { back, back_welcome, back_connected, NULL, { 0 } };

	world = &w;
	n_echoes = 0;
	list_init(&w.relays);
	assert_int_equal(ring_open(&small, &w.ring), 0);
	sim_configure(w.ring, &opt);
	assert_int_equal(ring_enable(w.ring), 0);
	host.owner = w.ring;
	sim_host_add(w.ring, &host);
	ring_op_init(&w.accept, accepted);
	ring_timer_init(&w.retry, accept_again);
	assert_int_equal(ring_listen(w.ring, &front, &(struct ring_listen){ 0 }, &w.listener), 0);
	ring_accept(w.ring, &w.accept, w.listener);
	senders_dial(w.ring, senders);

	while (!all_over(senders) || w.n_live > 0) {
		assert_false(sim_is_silent(w.ring) && ring_stats(w.ring)->timers_armed == 0);
		assert_int_equal(ring_turn(w.ring, UINT64_C(10000000000)), 0);
	}
	w.listening = false;
	ring_timer_cancel(w.ring, &w.retry);
	ring_close(w.ring, w.listener);
	while (w.accept.armed)
		assert_int_equal(ring_turn(w.ring, UINT64_C(10000000000)), 0);
	for (int i = 0; i < N_ENDINGS; i++)
		endings[i] += w.endings[i];
	for (size_t i = 0; i < sizeof(*counts) / sizeof(uint64_t); i++)
		((uint64_t *)counts)[i] += ((const uint64_t *)sim_counts(w.ring))[i];
	for (int i = 0; i < RELAYS; i++)
		sim_event_drop(w.ring, &senders[i].event);
	ring_free(w.ring);
}

static void relays_of_many_seeds_lose_nothing(void **state)
{
	uint32_t endings[N_ENDINGS] = { 0 };
	struct sim_counts c = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		world_run(seed, endings, &c);
	for (int i = 0; i < N_ENDINGS; i++)
		assert_true(endings[i] > 0);
	assert_true(endings[END_WHOLE] > endings[END_ERROR]);
	assert_true(c.cancels_lost + c.cancels_won == 0); /* Relays only close. */
	assert_true(c.starved > 0 && c.short_recvs > 0 && c.resets > 0 && c.spurious > 0);
	assert_true(c.late_timers > 0 && c.pipe_full > 0 && c.emfile > 0 && c.kept_pipes > 0);
	assert_true(c.bytes_spliced > 0 && c.bytes_out > 0);
	print_message("%llu events, %u whole, %u errors, %u timeouts, %u unconnected\n",
		      (unsigned long long)c.steps, endings[END_WHOLE], endings[END_ERROR],
		      endings[END_TIMEOUT], endings[END_CONNECT]);
}

static void a_seed_decides_everything(void **state)
{
	(void)state;
	for (uint64_t seed = 7; seed < 17; seed++) {
		uint32_t endings[2][N_ENDINGS] = { 0 };
		struct sim_counts c[2] = { 0 };

		world_run(seed, endings[0], &c[0]);
		world_run(seed, endings[1], &c[1]);
		assert_memory_equal(endings[0], endings[1], sizeof(endings[0]));
		assert_memory_equal(&c[0], &c[1], sizeof(c[0]));
	}
}

/* --- Cancelling, pinning, giving ------------------------------------------------------------ */

static int32_t last_res;
static uint32_t n_answers;

static void note(struct ring_op *op, const struct ring_answer *answer)
{
	(void)op;
	last_res = answer->res;
	n_answers++;
}

static void a_cancelled_operation_is_answered_once(void **state)
{
	uint32_t won = 0, lost = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct ring_options small = { .files_max = 8, .bufs_max = 8, .bufs_posted = 4 };
		struct sim_options opt = options_of(seed);
		struct ring_op op;
		struct ring *ring;
		int32_t file;

		opt.faults = (struct sim_faults){ 0 };
		assert_int_equal(ring_open(&small, &ring), 0);
		sim_configure(ring, &opt);
		assert_int_equal(ring_socket(ring, AF_INET, &file), 0);
		ring_op_init(&op, note);
		n_answers = 0;
		ring_connect(ring, &op, file, &back);
		ring_cancel(ring, &op);
		while (op.armed)
			assert_int_equal(ring_turn(ring, UINT64_MAX), 0);
		assert_int_equal(n_answers, 1);
		assert_true(last_res == -ECANCELED || last_res == -ECONNREFUSED);
		won += last_res == -ECANCELED;
		lost += last_res != -ECANCELED;
		ring_close(ring, file);
		ring_free(ring);
	}
	assert_true(won > 20 && lost > 20);
}

/* --- Order ---------------------------------------------------------------------------------- */

enum { PINGS = 12 };

static const char ping_text[] = "0123456789abcdef";

struct ping {
	struct ring_op connect, send, recv;
	int32_t file;
	uint32_t n_heard;
	bool told; /* All has been sent. */
};

static void ping_connected(struct ring_op *op, const struct ring_answer *answer)
{
	struct ping *p = GW_CONTAINER_OF(op, struct ping, connect);

	assert_int_equal(answer->res, 0);
	ring_recv(world->ring, &p->recv, p->file, true);
	ring_send(world->ring, &p->send, p->file, ping_text, sizeof(ping_text));
}

static void ping_sent(struct ring_op *op, const struct ring_answer *answer)
{
	assert_int_equal(answer->res, sizeof(ping_text));
	GW_CONTAINER_OF(op, struct ping, send)->told = true;
}

/* The echo of the last byte comes behind the answer of the send that had it. */
static void ping_heard(struct ring_op *op, const struct ring_answer *answer)
{
	struct ping *p = GW_CONTAINER_OF(op, struct ping, recv);

	assert_true(answer->res > 0);
	p->n_heard += (uint32_t)answer->res;
	ring_buf_give(world->ring, answer->buf);
	if (p->n_heard < sizeof(ping_text)) {
		ring_recv(world->ring, &p->recv, p->file, true);
		return;
	}
	assert_true(p->told);
	world->n_live--;
	ring_close(world->ring, p->file);
}

static void ping_start(struct ping *p)
{
	*p = (struct ping){ 0 };
	ring_op_init(&p->connect, ping_connected);
	ring_op_init(&p->send, ping_sent);
	ring_op_init(&p->recv, ping_heard);
	assert_int_equal(ring_socket(world->ring, AF_INET, &p->file), 0);
	ring_connect(world->ring, &p->connect, p->file, &back);
	world->n_live++;
}

static enum sim_welcome always_welcome(void *owner)
{
	(void)owner;
	return SIM_WELCOME;
}

static void an_echo_comes_behind_its_send(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct sim_options opt = { .seed = seed,
					   .send_size = 4096,
					   .window_size = 4096,
					   .pipe_size = 4096,
					   .batch_ns = 50000,
					   .steps_max = 100000 };
		struct ring_options slow = { .turn_answers = 1 }; /* Answers pile up meanwhile. */
		struct sim_host host = { back, always_welcome, back_connected, NULL, { 0 } };
		struct ping pings[PINGS];
		struct world w = { 0 };

		world = &w;
		n_echoes = 0;
		assert_int_equal(ring_open(&slow, &w.ring), 0);
		sim_configure(w.ring, &opt);
		sim_host_add(w.ring, &host);
		for (int i = 0; i < PINGS; i++)
			ping_start(&pings[i]);
		while (w.n_live > 0)
			assert_int_equal(ring_turn(w.ring, UINT64_MAX), 0);
		for (int i = 0; i < 100; i++) /* The peers close, too. */
			assert_int_equal(ring_turn(w.ring, 1000000), 0);
		ring_free(w.ring);
	}
}

static uint32_t n_fired;

static void fired(struct ring_timer *timer)
{
	(void)timer;
	n_fired++;
}

static void timers_are_never_early(void **state)
{
	struct sim_options opt = options_of(3);
	struct ring_timer timers[3];
	struct ring *ring;
	uint64_t start_ns;

	(void)state;
	assert_int_equal(ring_open(&(struct ring_options){ 0 }, &ring), 0);
	sim_configure(ring, &opt);
	start_ns = ring_now_ns(ring);
	for (int i = 0; i < 3; i++) {
		ring_timer_init(&timers[i], fired);
		ring_timer_set(ring, &timers[i], start_ns + 5000000);
	}
	ring_timer_set(ring, &timers[1], start_ns + 9000000); /* Moved. */
	ring_timer_cancel(ring, &timers[2]);
	n_fired = 0;
	for (int i = 0; i < 100 && n_fired < 2; i++) {
		uint32_t before = n_fired;

		assert_int_equal(ring_turn(ring, UINT64_MAX), 0);
		if (n_fired > before)
			assert_true(ring_now_ns(ring) - start_ns >= (before ? 9000000u : 5000000u));
	}
	assert_int_equal(n_fired, 2);
	ring_free(ring);
}

static uint32_t n_words;

static void got_word(void *owner, uint64_t word)
{
	struct ring *ring = owner;

	if (word < 3)
		assert_int_equal(ring_post(ring, ring, word + 1), 0);
	n_words++;
}

static void words_arrive_once(void **state)
{
	struct ring *ring;

	(void)state;
	assert_int_equal(ring_open(&(struct ring_options){ 0 }, &ring), 0);
	ring_on_post(ring, got_word, ring);
	n_words = 0;
	assert_int_equal(ring_post(ring, ring, 1), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ring_turn(ring, 0), 0);
	assert_int_equal(n_words, 3);
	ring_free(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(relays_of_many_seeds_lose_nothing),
		cmocka_unit_test(a_seed_decides_everything),
		cmocka_unit_test(a_cancelled_operation_is_answered_once),
		cmocka_unit_test(an_echo_comes_behind_its_send),
		cmocka_unit_test(timers_are_never_early),
		cmocka_unit_test(words_arrive_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
