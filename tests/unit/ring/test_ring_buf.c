/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers: one holder each, few posted, and what happens when there are none. */
#include "tests/unit/ring/ring_test.h"

#include "ring/ring_buf.c"

static void buffers_are_taken_and_given(void **state)
{
	struct ring *ring = rt_ring();
	struct ring_buf *bufs[64], *again;
	uint32_t n = 0;

	(void)state;
	assert_int_equal(ring_bufs_left(ring), 64);
	while (n < 64 && (bufs[n] = ring_buf_take(ring)))
		n++;
	assert_int_equal(n, 64);
	assert_null(ring_buf_take(ring));
	assert_int_equal(ring_bufs_left(ring), 0);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(bufs[i]->start, RING_BUF_ROOM);
		assert_int_equal(bufs[i]->len, 0);
		assert_int_equal(ring_buf_tailroom(bufs[i]), RING_BUF_DATA + RING_BUF_TAIL);
		assert_int_equal((uintptr_t)ring_buf_data(bufs[i]) % 64, 0);
		memset(bufs[i]->mem, (int)i, bufs[i]->size);
	}
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(bufs[i]->mem[bufs[i]->size - 1], i); /* None overlaps. */
	for (uint32_t i = 0; i < n; i++)
		ring_buf_give(ring, bufs[i]);
	again = ring_buf_take(ring);
	assert_ptr_equal(again, bufs[n - 1]); /* Last in, first out. */
	ring_buf_give(ring, again);
	rt_end(ring);
}

#ifdef GW_ASAN
static void a_buffer_of_the_pool_or_the_kernel_is_poisoned(void **state)
{
	struct ring *ring = rt_ring();
	struct ring_buf *buf;

	(void)state;
	ring_buf_refill(ring);
	for (uint32_t i = 0; i < ring->bufs_max; i++)
		assert_non_null(__asan_region_is_poisoned(ring->bufs[i].mem, 1));
	buf = ring_buf_take(ring);
	assert_null(__asan_region_is_poisoned(buf->mem, buf->size));
	assert_non_null(__asan_region_is_poisoned(buf->mem + buf->size, 1));
	ring_buf_give(ring, buf);
	assert_non_null(__asan_region_is_poisoned(buf->mem + RING_BUF_ROOM, 1));
	rt_end(ring);
}
#endif

/* --- Starving ----------------------------------------------------------------------------- */

enum { STORM_FILES = 40, STORM_ROUNDS = 30 };

struct storm_file {
	struct ring_op recv;
	struct storm *storm;
	int32_t file;
	int fd;
	uint32_t got;
};

struct storm {
	struct ring *ring;
	struct ring_buf *held[2];
	uint32_t n_held, n_got;
	bool ending;
	struct storm_file files[STORM_FILES];
};

static void storm_received(struct ring_op *op, const struct ring_answer *answer)
{
	struct storm_file *f = GW_CONTAINER_OF(op, struct storm_file, recv);
	struct storm *s = f->storm;

	if (s->ending) {
		assert_int_equal(answer->res, -ECANCELED);
		return;
	}
	assert_int_equal(answer->res, 7);
	assert_memory_equal(ring_buf_data(answer->buf), "tempest", 7);
	f->got++;
	s->n_got++;
	assert_true(s->n_held < 2);
	s->held[s->n_held++] = answer->buf; /* Not given back before the turn is over. */
	ring_recv(s->ring, &f->recv, f->file, f->got & 1);
}

/* Two buffers for forty connections: everyone is served, and the ring does not spin. */
static void two_buffers_serve_many(void **state)
{
	static struct storm s;
	uint64_t enters;

	(void)state;
	s = (struct storm){ .ring = rt_open(&(struct ring_options){ .files_max = STORM_FILES,
								    .bufs_max = 2,
								    .bufs_posted = 2,
								    .registered = true }) };
	for (int i = 0; i < STORM_FILES; i++) {
		struct storm_file *f = &s.files[i];

		f->storm = &s;
		f->file = rt_pair(s.ring, &f->fd);
		ring_op_init(&f->recv, storm_received);
		ring_recv(s.ring, &f->recv, f->file, i & 1);
	}
	rt_settle(s.ring);
	for (uint32_t round = 0; round < STORM_ROUNDS; round++) {
		for (int i = 0; i < STORM_FILES; i++)
			rt_put(s.files[i].fd, "tempest", 7);
		while (s.n_got < (round + 1) * STORM_FILES) {
			assert_int_equal(ring_turn(s.ring, RT_PATIENCE_NS), 0);
			while (s.n_held > 0)
				ring_buf_give(s.ring, s.held[--s.n_held]);
		}
	}
	for (int i = 0; i < STORM_FILES; i++)
		assert_int_equal(s.files[i].got, STORM_ROUNDS);
	assert_true(ring_stats(s.ring)->nobufs > 0);

	/* Nothing to do: a turn is one call that sleeps. */
	enters = ring_stats(s.ring)->enters;
	assert_int_equal(ring_turn(s.ring, 30 * RT_MS), 0);
	assert_int_equal(ring_stats(s.ring)->enters, enters + 1);
	s.ending = true;
	for (int i = 0; i < STORM_FILES; i++) {
		ring_close(s.ring, s.files[i].file);
		close(s.files[i].fd);
	}
	RT_UNTIL(s.ring, s.ring->n_armed == 0);
	rt_end(s.ring);
}

/* No buffer at all: a receive waits in line, where it can be cancelled or its file closed. */
static void a_starving_receive_can_end(void **state)
{
	struct ring *ring = rt_open(&(struct ring_options){
		.files_max = 8, .bufs_max = 2, .bufs_posted = 2, .registered = true });
	struct ring_buf *held[2] = { ring_buf_take(ring), ring_buf_take(ring) };
	struct rt_op recvs[4];
	uint64_t enters, nobufs;
	int32_t files[4];
	int fds[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		files[i] = rt_pair(ring, &fds[i]);
		rt_op_init(&recvs[i]);
		ring_recv(ring, &recvs[i].op, files[i], false);
		rt_put(fds[i], "x", 1);
	}
	RT_UNTIL(ring, ring_stats(ring)->nobufs == 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(recvs[i].op.place, PLACE_STARVED);
	ring_cancel(ring, &recvs[1].op);
	ring_close(ring, files[2]);
	assert_int_equal(recvs[1].n_answers + recvs[2].n_answers, 0);
	RT_UNTIL(ring, recvs[1].n_final == 1 && recvs[2].n_final == 1);
	assert_int_equal(recvs[1].last.res, -ECANCELED);
	assert_int_equal(recvs[2].last.res, -ECANCELED);
	assert_int_equal(recvs[0].n_answers + recvs[3].n_answers, 0);

	/* Waiting in line costs nothing. */
	enters = ring_stats(ring)->enters;
	nobufs = ring_stats(ring)->nobufs;
	assert_int_equal(ring_turn(ring, 30 * RT_MS), 0);
	assert_int_equal(ring_turn(ring, 30 * RT_MS), 0);
	assert_true(ring_stats(ring)->enters <= enters + 2);
	assert_int_equal(ring_stats(ring)->nobufs, nobufs);

	/* One comes back: the first in line is served; then the other. */
	ring_buf_give(ring, held[0]);
	RT_UNTIL(ring, recvs[0].n_final == 1);
	assert_int_equal(recvs[0].last.res, 1);
	assert_int_equal(recvs[3].n_answers, 0);
	ring_buf_give(ring, recvs[0].last.buf);
	RT_UNTIL(ring, recvs[3].n_final == 1);
	ring_buf_give(ring, recvs[3].last.buf);
	ring_buf_give(ring, held[1]);
	for (int i = 0; i < 4; i++) {
		if (i != 2)
			ring_close(ring, files[i]);
		close(fds[i]);
	}
	rt_end(ring);
}

/* Few are posted until the kernel runs out; then twice as many per turn, up to the limit. */
static void the_posted_follow_the_need(void **state)
{
	struct ring *ring = rt_open(&(struct ring_options){
		.files_max = 256, .bufs_max = 256, .bufs_posted = 64, .registered = true });
	static struct rt_op recvs[100];
	int32_t files[100];
	int fds[100];

	(void)state;
	ring_buf_refill(ring);
	assert_int_equal(ring->posted[RING_LOT_ALL].n, TARGET_MIN);
	for (int i = 0; i < 100; i++) {
		files[i] = rt_pair(ring, &fds[i]);
		rt_op_init(&recvs[i]);
		rt_put(fds[i], "x", 1);
		ring_recv(ring, &recvs[i].op, files[i], false);
	}
	for (int i = 0; i < 100; i++)
		RT_UNTIL(ring, recvs[i].n_final == 1);
	assert_int_equal(ring->posted[RING_LOT_ALL].target, 64);

	/* After a second of plenty, half as many; and never below the first few. */
	for (uint32_t want = 32; want >= TARGET_MIN; want /= 2) {
		ring->posted[RING_LOT_ALL].target_set_ns = ring->now_ns - GW_NS_PER_S - 1;
		ring_buf_refill(ring);
		assert_int_equal(ring->posted[RING_LOT_ALL].target, want);
	}
	ring->posted[RING_LOT_ALL].target_set_ns = ring->now_ns - GW_NS_PER_S - 1;
	ring_buf_refill(ring);
	assert_int_equal(ring->posted[RING_LOT_ALL].target, TARGET_MIN);
	for (int i = 0; i < 100; i++) {
		ring_buf_give(ring, recvs[i].last.buf);
		ring_close(ring, files[i]);
		close(fds[i]);
	}
	rt_end(ring);
}

/* Bodies get what is not kept, whoever holds it; all else is received meanwhile. */
static void bodies_leave_what_is_kept(void **state)
{
	enum { BUFS = 16, KEPT = 8, BODIES = 20, POSTED = 4 };
	struct ring *ring = rt_open(&(struct ring_options){ .files_max = 32,
							    .bufs_max = BUFS,
							    .bufs_kept = KEPT,
							    .bufs_posted = POSTED,
							    .registered = true });
	struct rt_op bodies[BODIES], head;
	int32_t files[BODIES + 1];
	int fds[BODIES + 1];
	uint32_t n_got = 0;

	(void)state;
	for (int i = 0; i < BODIES; i++) {
		files[i] = rt_pair(ring, &fds[i]);
		rt_op_init(&bodies[i]);
		ring_recv(ring, &bodies[i].op, files[i], false);
	}
	rt_settle(ring);
	for (int i = 0; i < BODIES; i++)
		rt_put(fds[i], "body", 4);
	rt_settle(ring);
	for (int i = 0; i < BODIES; i++)
		n_got += bodies[i].n_final;
	assert_int_equal(n_got, BUFS - KEPT);
	assert_int_equal(ring->n_bufs_free + ring->posted[RING_LOT_ALL].n, KEPT);
	assert_true(ring_bufs_left(ring) > 0);

	files[BODIES] = rt_pair(ring, &fds[BODIES]);
	rt_op_init(&head);
	for (uint32_t i = 1; i <= 3 * BUFS; i++) {
		ring_recv(ring, &head.op, files[BODIES], true);
		rt_put(fds[BODIES], "head", 4);
		RT_UNTIL(ring, head.n_final == i);
		assert_int_equal(head.last.res, 4);
		ring_buf_give(ring, head.last.buf);
	}
	for (int i = 0; i < BODIES; i++)
		n_got -= bodies[i].n_final;
	assert_int_equal(n_got, 0); /* No body had one of those. */

	/* What comes back goes to those in line, of whom one leaves. */
	for (int i = 0; i < BODIES; i++)
		if (!bodies[i].n_final) {
			ring_close(ring, files[i]);
			RT_UNTIL(ring, bodies[i].n_final == 1);
			assert_int_equal(bodies[i].last.res, -ECANCELED);
			files[i] = -1;
			break;
		}
	for (int i = 0; i < BODIES; i++) {
		if (files[i] < 0)
			continue;
		RT_UNTIL(ring, bodies[i].n_final == 1);
		assert_memory_equal(ring_buf_data(bodies[i].last.buf), "body", 4);
		ring_buf_give(ring, bodies[i].last.buf);
	}
	for (int i = 0; i <= BODIES; i++) {
		if (files[i] >= 0)
			ring_close(ring, files[i]);
		close(fds[i]);
	}
	rt_end(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_are_taken_and_given),
#ifdef GW_ASAN
		cmocka_unit_test(a_buffer_of_the_pool_or_the_kernel_is_poisoned),
#endif
		cmocka_unit_test(two_buffers_serve_many),
		cmocka_unit_test(a_starving_receive_can_end),
		cmocka_unit_test(the_posted_follow_the_need),
		cmocka_unit_test(bodies_leave_what_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
