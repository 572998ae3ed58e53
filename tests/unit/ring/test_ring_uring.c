/* SPDX-License-Identifier: Apache-2.0 */
/* The ring as a whole: turns, timers, what the kernel refuses, what a leak does. */
#include "tests/unit/ring/ring_test.h"

#include "ring/ring_uring.c"

/* --- Turns and timers --------------------------------------------------------------------- */

static void a_turn_sleeps_no_longer_than_asked(void **state)
{
	struct ring *ring = rt_ring();
	uint64_t begin_ns = gw_now_ns(), took_ns;

	(void)state;
	assert_int_equal(ring_turn(ring, 20 * RT_MS), 0);
	took_ns = gw_now_ns() - begin_ns;
	assert_true(took_ns >= 20 * RT_MS && took_ns < 1000 * RT_MS);
	begin_ns = gw_now_ns();
	assert_int_equal(ring_turn(ring, 0), 0);
	assert_true(gw_now_ns() - begin_ns < 1000 * RT_MS);
	assert_true(ring_now_ns(ring) >= begin_ns);
	rt_end(ring);
}

struct test_timer {
	struct ring_timer timer;
	struct ring *ring;
	uint64_t due_ns;
	uint32_t n_fired;
};

static uint32_t n_timers_fired;

static void timer_fired(struct ring_timer *timer)
{
	struct test_timer *t = GW_CONTAINER_OF(timer, struct test_timer, timer);

	assert_true(gw_now_ns() >= t->due_ns); /* Never early. */
	t->n_fired++;
	n_timers_fired++;
}

static void many_timers_fire_once(void **state)
{
	enum { N = 5000 };
	static struct test_timer timers[N];
	struct ring *ring = rt_ring();
	uint64_t now_ns = gw_now_ns();
	struct rng rng;

	(void)state;
	rng_seed(&rng, 7);
	n_timers_fired = 0;
	for (int i = 0; i < N; i++) {
		timers[i] = (struct test_timer){ .ring = ring };
		ring_timer_init(&timers[i].timer, timer_fired);
		timers[i].due_ns = now_ns + rng_below(&rng, 200 * RT_MS);
		ring_timer_set(ring, &timers[i].timer, timers[i].due_ns);
	}
	for (int i = 0; i < N; i += 5)
		ring_timer_cancel(ring, &timers[i].timer);
	for (int i = 1; i < N; i += 5) { /* Moved. */
		timers[i].due_ns += 50 * RT_MS;
		ring_timer_set(ring, &timers[i].timer, timers[i].due_ns);
	}
	RT_UNTIL(ring, n_timers_fired == N - N / 5);
	assert_true(gw_now_ns() - now_ns < 2000 * RT_MS);
	for (int i = 0; i < N; i++)
		assert_int_equal(timers[i].n_fired, i % 5 != 0);
	assert_int_equal(ring_turn(ring, 0), 0);
	assert_int_equal(ring_stats(ring)->timers_armed, 0);
	rt_end(ring);
}

/* A wait ends with the timer, not with the time that the caller would have waited. */
static void a_timer_ends_the_wait(void **state)
{
	struct ring *ring = rt_ring();
	struct test_timer t = { .ring = ring };
	uint64_t begin_ns = gw_now_ns();

	(void)state;
	n_timers_fired = 0;
	ring_timer_init(&t.timer, timer_fired);
	t.due_ns = begin_ns + 30 * RT_MS;
	ring_timer_set(ring, &t.timer, t.due_ns);
	for (int i = 0; i < 3 && n_timers_fired == 0; i++)
		assert_int_equal(ring_turn(ring, RT_PATIENCE_NS), 0);
	assert_int_equal(t.n_fired, 1);
	assert_true(gw_now_ns() - begin_ns < 1000 * RT_MS);
	rt_end(ring);
}

static void a_turn_hands_out_a_bounded_number(void **state)
{
	struct ring *ring = rt_open(&(struct ring_options){
		.files_max = 8, .bufs_max = 4, .bufs_posted = 2, .turn_answers = 3 });
	struct rt_op polls[8];
	int32_t files[8];
	uint32_t n_answered;
	int fds[8];

	(void)state;
	for (int i = 0; i < 8; i++) {
		files[i] = rt_pair(ring, &fds[i]);
		rt_op_init(&polls[i]);
		ring_poll(ring, &polls[i].op, files[i], RING_WRITABLE);
	}
	for (uint32_t turn = 1; turn <= 3; turn++) {
		assert_int_equal(ring_turn(ring, RT_PATIENCE_NS), 0);
		n_answered = 0;
		for (int i = 0; i < 8; i++)
			n_answered += polls[i].n_answers;
		assert_int_equal(n_answered, turn < 3 ? 3 * turn : 8);
	}
	for (int i = 0; i < 8; i++) {
		ring_close(ring, files[i]);
		close(fds[i]);
	}
	rt_end(ring);
}

/* More than the queue holds, armed in one turn: "full" is "submit and go on". */
static void a_full_queue_is_submitted(void **state)
{
	enum { N = RING_SQ_SIZE * 2 + 100 };
	struct ring *ring = rt_open(&(struct ring_options){
		.files_max = N / RING_OPS_PER_FILE + 1, .bufs_max = 4, .bufs_posted = 2 });
	struct rt_op *polls = calloc(N, sizeof(*polls));
	int32_t file;
	int fd;

	(void)state;
	file = rt_pair(ring, &fd);
	for (int i = 0; i < N; i++) {
		rt_op_init(&polls[i]);
		ring_poll(ring, &polls[i].op, file, RING_READABLE);
	}
	rt_put(fd, "x", 1);
	RT_UNTIL(ring, ring->n_armed == 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(polls[i].n_final, 1);
	ring_close(ring, file);
	close(fd);
	free(polls);
	rt_end(ring);
}

/* --- Leaks trap --------------------------------------------------------------------------- */

static void leak_file(void)
{
	struct ring *ring = rt_ring();
	int fd;

	(void)rt_pair(ring, &fd);
	ring_free(ring);
}

static void leak_buffer(void)
{
	struct ring *ring = rt_ring();

	(void)!ring_buf_take(ring);
	ring_free(ring);
}

static void leak_pipe(void)
{
	struct ring *ring = rt_ring();

	(void)!ring_pipe_take(ring);
	ring_free(ring);
}

static void leak_timer(void)
{
	static struct test_timer t;
	struct ring *ring = rt_ring();

	ring_timer_init(&t.timer, timer_fired);
	ring_timer_set(ring, &t.timer, ring_now_ns(ring) + RT_MS);
	ring_free(ring);
}

static void leak_operation(void)
{
	static struct rt_op poll;
	struct ring *ring = rt_ring();
	int fd;

	rt_op_init(&poll);
	ring_poll(ring, &poll.op, rt_pair(ring, &fd), RING_READABLE);
	ring_free(ring);
}

static void arm_twice(void)
{
	static struct rt_op soon;
	struct ring *ring = rt_ring();

	rt_op_init(&soon);
	ring_soon(ring, &soon.op);
	ring_soon(ring, &soon.op);
}

static void use_after_close(void)
{
	static struct rt_op recv;
	struct ring *ring = rt_ring();
	int fd;
	int32_t file = rt_pair(ring, &fd);

	rt_op_init(&recv);
	ring_close(ring, file);
	ring_recv(ring, &recv.op, file, true);
}

static void give_twice(void)
{
	struct ring *ring = rt_ring();
	struct ring_buf *buf = ring_buf_take(ring);

	ring_buf_give(ring, buf);
	ring_buf_give(ring, buf);
}

static void give_pipe_twice(void)
{
	struct ring *ring = rt_ring();
	struct ring_pipe *first = ring_pipe_take(ring), *second = ring_pipe_take(ring);

	ring_pipe_give(ring, first);
	ring_pipe_give(ring, first); /* The count alone would allow it. */
	ring_pipe_give(ring, second);
}

static struct ring *turned;

static void turn_again(struct ring_timer *timer)
{
	(void)timer;
	if (ring_turn(turned, 0) < 0)
		_exit(0);
}

static void turn_within_a_turn(void)
{
	static struct ring_timer timer;

	turned = rt_ring();
	ring_timer_init(&timer, turn_again);
	ring_timer_set(turned, &timer, ring_now_ns(turned));
	for (int i = 0; i < 10; i++)
		if (ring_turn(turned, 10 * RT_MS) < 0)
			_exit(0);
}

static void *post_for_another(void *ring)
{
	return ring_post(ring, ring, 1) < 0 ? ring : NULL;
}

static void take_word(void *owner, uint64_t word)
{
	(void)owner;
	(void)word;
}

static void post_from_a_strange_thread(void)
{
	const struct ring_options opt = { .files_max = 8, .bufs_max = 4, .bufs_posted = 2 };
	struct ring *ring;
	pthread_t thread;

	if (ring_open(&opt, &ring) < 0)
		return;
	ring_on_post(ring, take_word, NULL);
	if (ring_enable(ring) == 0 && pthread_create(&thread, NULL, post_for_another, ring) == 0)
		(void)pthread_join(thread, NULL);
}

static void poll_for_two_things(void)
{
	static struct rt_op poll;
	struct ring *ring = rt_ring();
	int fd;

	rt_op_init(&poll);
	ring_poll(ring, &poll.op, rt_pair(ring, &fd),
		  (enum ring_ready)(RING_READABLE | RING_WRITABLE));
}

static void set_a_timer_too_early(void)
{
	const struct ring_options opt = { .files_max = 8, .bufs_max = 4, .bufs_posted = 2 };
	static struct ring_timer timer;
	struct ring *ring;

	if (ring_open(&opt, &ring) < 0)
		return;
	ring_timer_init(&timer, turn_again);
	ring_timer_set(ring, &timer, gw_now_ns());
}

static void end_a_listener(void)
{
	struct ring *ring = rt_ring();
	struct ring_addr addr;

	ring_shutdown_send(ring, rt_listen(ring, &addr));
}

static void mistakes_trap(void **state)
{
	static const struct {
		const char *name;
		void (*child)(void);
	} cases[] = {
		{ "a file left open", leak_file },
		{ "a buffer left held", leak_buffer },
		{ "a pipe left held", leak_pipe },
		{ "a timer left armed", leak_timer },
		{ "an operation left armed", leak_operation },
		{ "armed twice", arm_twice },
		{ "a closed file used", use_after_close },
		{ "a buffer given twice", give_twice },
		{ "a pipe given twice", give_pipe_twice },
		{ "a turn within a turn", turn_within_a_turn },
		{ "a word by a strange thread", post_from_a_strange_thread },
		{ "a poll for two things", poll_for_two_things },
		{ "a timer before the ring is enabled", set_a_timer_too_early },
		{ "an end for a listener", end_a_listener },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int status = rt_in_child(cases[i].child);

		if (!WIFSIGNALED(status) || WTERMSIG(status) == SIGKILL)
			fail_msg("%s: did not trap, status %d", cases[i].name, status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_turn_sleeps_no_longer_than_asked),
		cmocka_unit_test(many_timers_fire_once),
		cmocka_unit_test(a_timer_ends_the_wait),
		cmocka_unit_test(a_turn_hands_out_a_bounded_number),
		cmocka_unit_test(a_full_queue_is_submitted),
		cmocka_unit_test(mistakes_trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
