/* SPDX-License-Identifier: Apache-2.0 */
/* Operations against the real kernel: each gets its answers, and exactly one final one. */
#include "tests/unit/ring/ring_test.h"

static void a_receive_lends_a_buffer(void **state)
{
	struct ring *ring = rt_ring();
	struct rt_op recv;
	int fd;
	int32_t file = rt_pair(ring, &fd);

	(void)state;
	rt_op_init(&recv);
	for (int i = 0; i < 10; i++) {
		ring_recv(ring, &recv.op, file, i & 1);
		rt_settle(ring);
		assert_int_equal(recv.n_answers, i);
		rt_put(fd, "hello", 5);
		RT_UNTIL(ring, recv.n_answers == (uint32_t)i + 1);
		assert_int_equal(recv.last.res, 5);
		assert_int_equal(recv.last.buf->start, RING_BUF_ROOM);
		assert_int_equal(recv.last.buf->len, 5);
		assert_memory_equal(ring_buf_data(recv.last.buf), "hello", 5);
		ring_buf_give(ring, recv.last.buf);
	}
	assert_true(ring->files[file].fixed);
	close(fd);
	ring_recv(ring, &recv.op, file, true);
	RT_UNTIL(ring, recv.n_answers == 11);
	assert_int_equal(recv.last.res, 0);
	assert_null(recv.last.buf);
	ring_close(ring, file);
	rt_end(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_receive_lends_a_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
