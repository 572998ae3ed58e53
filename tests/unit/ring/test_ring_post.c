/* SPDX-License-Identifier: Apache-2.0 */
/* Words between the rings of two threads: each arrives once, with what it points to. */
#include "tests/unit/ring/ring_test.h"

#include <pthread.h>

#include "ring/ring_post.c"

enum { N_WORDS = 20000 };

static pthread_barrier_t all_done;

struct peer {
	struct ring *ring;
	struct peer *other;
	uint32_t n_got, n_sent;
	uint64_t sum;
	const char *error;
	uint64_t *values; /* What the words point into: plain memory of the sender. */
};

static void got_word(void *owner, uint64_t word)
{
	struct peer *p = owner;
	const uint64_t *value = (const uint64_t *)(uintptr_t)word;

	p->n_got++;
	p->sum += *value;
}

static void peer_init(struct peer *p, struct peer *other)
{
	struct ring_options opt = { .files_max = 8, .bufs_max = 4, .bufs_posted = 2 };

	*p = (struct peer){ .other = other, .values = calloc(N_WORDS, sizeof(*p->values)) };
	assert_non_null(p->values);
	assert_int_equal(ring_open(&opt, &p->ring), 0);
	ring_on_post(p->ring, got_word, p);
}

/* Sends what the mailbox takes, then sleeps until the other side has sent something. */
static const char *talk(struct peer *p)
{
	uint64_t end_ns = gw_now_ns() + 20 * RT_PATIENCE_NS, wait_ns;

	if (ring_enable(p->ring) < 0)
		return "enable";
	while (p->n_got < N_WORDS || p->n_sent < N_WORDS) {
		for (int i = 0; i < 300 && p->n_sent < N_WORDS; i++) {
			uint64_t *value = &p->values[p->n_sent];

			*value = p->n_sent;
			if (ring_post(p->ring, p->other->ring, (uintptr_t)value) < 0)
				break;
			p->n_sent++;
		}
		wait_ns = p->n_sent < N_WORDS ? RT_MS : p->n_got < N_WORDS ? RT_PATIENCE_NS : 0;
		if (ring_turn(p->ring, wait_ns) < 0)
			return "turn";
		if (gw_now_ns() > end_ns)
			return "time";
	}
	return ring_turn(p->ring, 0) < 0 ? "last turn" : NULL;
}

/* Frees the ring on its own thread, when nobody posts to it any more. */
static void *run_peer(void *arg)
{
	struct peer *p = arg;

	p->error = talk(p);
	pthread_barrier_wait(&all_done);
	if (!p->error)
		ring_free(p->ring);
	return NULL;
}

static void two_threads_talk(void **state)
{
	static struct peer a, b;
	const uint64_t sum = (uint64_t)N_WORDS * (N_WORDS - 1) / 2;
	pthread_t thread;

	(void)state;
	peer_init(&a, &b);
	peer_init(&b, &a);
	assert_int_equal(pthread_barrier_init(&all_done, NULL, 2), 0);
	assert_int_equal(pthread_create(&thread, NULL, run_peer, &b), 0);
	run_peer(&a);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pthread_barrier_destroy(&all_done);
	assert_null(a.error);
	assert_null(b.error);
	assert_int_equal(a.n_got, N_WORDS);
	assert_int_equal(b.n_got, N_WORDS);
	assert_true(a.sum == sum && b.sum == sum);
	free(a.values);
	free(b.values);
}

/* The sleeper wakes within the sender's turn and not when its patience ends. */
static const char *sleep_for_a_word(struct peer *p)
{
	if (ring_enable(p->ring) < 0)
		return "enable";
	pthread_barrier_wait(&all_done);
	for (int i = 0; i < 100 && p->n_got == 0; i++) {
		if (ring_turn(p->ring, RT_PATIENCE_NS) < 0)
			return "turn";
	}
	return p->n_got == 1 ? NULL : "no word";
}

static void *run_sleeper(void *arg)
{
	struct peer *p = arg;

	p->error = sleep_for_a_word(p);
	pthread_barrier_wait(&all_done);
	ring_free(p->ring);
	return NULL;
}

static void a_word_wakes_a_sleeper(void **state)
{
	enum { BY_TURN, EARLY, BY_FLUSH };
	static struct peer a, b;
	uint64_t begin_ns;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_barrier_init(&all_done, NULL, 2), 0);
	peer_init(&a, &b);
	assert_int_equal(ring_enable(a.ring), 0);
	for (int how = BY_TURN; how <= BY_FLUSH; how++) {
		peer_init(&b, &a);
		/* Before the other is enabled: nothing is lost, and our ring takes no harm. */
		if (how == EARLY) {
			assert_int_equal(ring_post(a.ring, b.ring, (uintptr_t)&a.values[0]), 0);
			assert_int_equal(ring_turn(a.ring, 0), 0);
		}
		assert_int_equal(pthread_create(&thread, NULL, run_sleeper, &b), 0);
		pthread_barrier_wait(&all_done);
		begin_ns = gw_now_ns();
		if (how != EARLY) {
			/* The other is asleep by then, most likely. */
			assert_int_equal(ring_turn(a.ring, 30 * RT_MS), 0);
			assert_int_equal(ring_post(a.ring, b.ring, (uintptr_t)&a.values[0]), 0);
			if (how == BY_FLUSH)
				ring_flush(a.ring);
			else
				assert_int_equal(ring_turn(a.ring, 0), 0);
		}
		pthread_barrier_wait(&all_done);
		assert_true(gw_now_ns() - begin_ns < RT_PATIENCE_NS / 2);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_null(b.error);
		free(b.values);
	}
	pthread_barrier_destroy(&all_done);
	ring_free(a.ring);
	free(a.values);
}

static void a_full_mailbox_says_so(void **state)
{
	static struct peer a;

	(void)state;
	peer_init(&a, &a);
	assert_int_equal(ring_enable(a.ring), 0);
	for (int i = 0; i < RING_MAIL_MAX; i++)
		assert_int_equal(ring_post(a.ring, a.ring, (uintptr_t)&a.values[0]), 0);
	assert_int_equal(ring_post(a.ring, a.ring, (uintptr_t)&a.values[0]), -EAGAIN);
	assert_int_equal(a.n_got, 0); /* Never from inside. */
	assert_int_equal(ring_turn(a.ring, RT_PATIENCE_NS), 0);
	assert_int_equal(a.n_got, RING_MAIL_MAX);
	assert_int_equal(ring_post(a.ring, a.ring, (uintptr_t)&a.values[0]), 0);
	assert_int_equal(ring_turn(a.ring, RT_PATIENCE_NS), 0);
	assert_int_equal(a.n_got, RING_MAIL_MAX + 1);
	ring_free(a.ring);
	free(a.values);
}

/* A writer may have put its word and not rung yet: the reader takes it all the same. */
static void a_word_is_taken_before_the_bell(void **state)
{
	static struct peer a;

	(void)state;
	peer_init(&a, &a);
	assert_int_equal(ring_enable(a.ring), 0);
	assert_true(put(&a.ring->mail, (uintptr_t)&a.values[0]));
	assert_int_equal(ring_turn(a.ring, RT_PATIENCE_NS), 0);
	assert_int_equal(a.n_got, 1);
	ring_free(a.ring);
	free(a.values);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_threads_talk),
		cmocka_unit_test(a_word_wakes_a_sleeper),
		cmocka_unit_test(a_full_mailbox_says_so),
		cmocka_unit_test(a_word_is_taken_before_the_bell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
