/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes through a pipe between two connections of a simulated world. */
#include "core/proxy/relay.c"

#include "core/base/clock.h"
#include "tests/sim/sim_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#define LEN (1000 * 1000)

static const struct ring_addr front = { .family = AF_INET, .port = 80, .ip = { 127, 0, 0, 1 } };
static const struct ring_addr from = { .family = AF_INET, .port = 9, .ip = { 192, 0, 2, 1 } };

static struct ring *ring;
static struct ring_op accept_op;
static struct sim_end *ends[2]; /* The source's and the sink's other ends. */
static int32_t files[2], listener;
static uint32_t n_files;
static struct relay relay;

/* What the relay told. */
static uint64_t n_moved, n_moved_max;
static uint32_t n_ended, n_quiet;
static enum relay_end how_ended;

static uint64_t n_written, n_read;
static bool reading;

static uint8_t byte_at(uint64_t at)
{
	return (uint8_t)(at * 7 + (at >> 9));
}

static void moved(struct relay *r, uint64_t n)
{
	assert_int_equal(n_ended, 0);
	n_moved += n;
	n_moved_max = n > n_moved_max ? n : n_moved_max;
	assert_int_equal(n_moved, r->out);
}

static void ended(struct relay *r, enum relay_end how)
{
	assert_false(relay_is_running(r));
	n_ended++;
	how_ended = how;
}

static void quiet(struct relay *r)
{
	assert_true(relay_is_quiet(r));
	n_quiet++;
}

static const struct relay_user user = { moved, ended, quiet };

/* --- The world. ------------------------------------------------------------------------------ */

static void accepted(struct ring_op *op, const struct ring_answer *answer)
{
	(void)op;
	if (answer->res >= 0)
		files[n_files++] = answer->res;
}

static void check(void *owner)
{
	(void)owner;
	relay_check(&relay);
}

static void turn(void)
{
	assert_int_equal(ring_turn(ring, 10 * GW_NS_PER_MS), 0);
}

static struct sim_end *dial(void)
{
	struct sim_end *end = sim_end_dial(ring, &front, &from);
	uint32_t n = n_files;

	assert_non_null(end);
	for (int i = 0; i < 100 && n_files == n; i++)
		turn();
	assert_int_equal(n_files, n + 1);
	return end;
}

static void watch_nothing(struct sim_end *end, void *owner)
{
	(void)end;
	(void)owner;
}

static void open_world(const struct sim_options *sim, uint32_t pipes_max)
{
	const struct ring_options opt = {
		.files_max = 16, .bufs_max = 16, .bufs_posted = 1, .pipes_max = pipes_max
	};

	n_moved = n_moved_max = n_written = n_read = 0;
	n_ended = n_quiet = n_files = 0;
	reading = true;
	assert_int_equal(ring_open(&opt, &ring), 0);
	sim_configure(ring, sim);
	assert_int_equal(ring_enable(ring), 0);
	assert_int_equal(ring_listen(ring, &front, &(struct ring_listen){ 0 }, &listener), 0);
	ring_op_init(&accept_op, accepted);
	ring_accept(ring, &accept_op, listener);
	for (int i = 0; i < 2; i++) {
		ends[i] = dial();
		sim_end_watch(ends[i], watch_nothing, NULL);
	}
	relay_init(&relay, &user, NULL, ring);
	sim_on_step(ring, check, NULL);
}

/* ring_free() traps when a pipe, a file or an operation is left. */
static void close_world(void)
{
	ring_close(ring, listener);
	for (int i = 0; i < 2; i++) {
		ring_close(ring, files[i]);
		if (ends[i])
			sim_end_close(ends[i], false);
	}
	for (int i = 0; i < 100; i++)
		turn();
	assert_true(relay_is_quiet(&relay));
	ring_free(ring);
}

/* The first 'before' bytes are in front of what the source has to say. */
static void start(uint64_t len, uint32_t before)
{
	struct ring_pipe *pipe = ring_pipe_take(ring);
	uint8_t bytes[3000];
	struct iovec part = { .iov_base = bytes, .iov_len = before };

	assert_non_null(pipe);
	assert_true(before <= sizeof(bytes));
	for (uint32_t i = 0; i < before; i++)
		bytes[i] = byte_at(i);
	if (before > 0)
		assert_true(ring_pipe_put(ring, pipe, &part, 1));
	n_written = before;
	relay_start(&relay, pipe, files[0], files[1], len - before);
}

static void write_some(uint64_t len)
{
	uint8_t bytes[5000];
	uint64_t n = len - n_written;
	int32_t r;

	n = n < sizeof(bytes) ? n : sizeof(bytes);
	for (uint64_t i = 0; i < n; i++)
		bytes[i] = byte_at(n_written + i);
	r = n ? sim_end_write(ends[0], bytes, (uint32_t)n) : 0;
	n_written += r > 0 ? (uint64_t)r : 0;
}

static void read_some(void)
{
	uint8_t bytes[7000];
	int32_t r = reading ? sim_end_read(ends[1], bytes, sizeof(bytes)) : 0;

	for (int32_t i = 0; i < r; i++)
		assert_int_equal(bytes[i], byte_at(n_read + (uint64_t)i));
	n_read += r > 0 ? (uint64_t)r : 0;
}

/* Until the relay has ended or 'turns' are over. */
static void run(uint64_t len, uint32_t turns)
{
	for (uint32_t i = 0; i < turns && n_ended == 0; i++) {
		write_some(len);
		read_some();
		turn();
	}
}

static const struct sim_options calm = { .seed = 1,
					 .send_size = 65536,
					 .window_size = 65536,
					 .pipe_size = 65536,
					 .steps_max = 1000000 };

/* --- Tests. ---------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	struct sim_options sim;
} worlds[] = {
	{ "calm", { .send_size = 65536, .window_size = 65536, .pipe_size = 65536 } },
	{ "small queues", { .send_size = 1024, .window_size = 1024, .pipe_size = 65536 } },
	{ "a small pipe", { .send_size = 65536, .window_size = 65536, .pipe_size = 4096 } },
	{ "large ones",
	  { .send_size = 1 << 20, .window_size = 1 << 20, .pipe_size = RING_PIPE_SIZE } },
	{ "faults",
	  { .send_size = 9000,
	    .window_size = 5000,
	    .pipe_size = 16384,
	    .faults = { .poll_spurious = 300, .pipe_full = 300 } } },
};

static void all_bytes_arrive_and_no_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		struct sim_options sim = worlds[i].sim;

		sim.seed = i + 1;
		sim.steps_max = 10000000;
		open_world(&sim, 1);
		start(LEN, 0);
		run(LEN + 5000, 200000); /* What follows belongs to the next message. */
		if (n_ended != 1 || how_ended != RELAY_OK)
			fail_msg("%s: ended %u times, %d", worlds[i].name, n_ended, how_ended);
		for (int turns = 0; turns < 20000 && n_read < LEN; turns++) {
			read_some();
			turn();
		}
		assert_int_equal(n_read, LEN);
		assert_true(relay.in == LEN && relay.out == LEN && n_moved == LEN);
		close_world();
	}
}

/* Others have their turn: one never moves much more than the quantum. */
static void a_turn_is_bounded(void **state)
{
	struct sim_options sim = calm;

	(void)state;
	sim.send_size = sim.window_size = 8 << 20;
	sim.pipe_size = 65536;
	open_world(&sim, 1);
	for (int i = 0; i < 400 && n_written < LEN; i++)
		write_some(LEN);
	for (int i = 0; i < 200; i++)
		turn(); /* All of it is there when the relay begins. */
	relay_start(&relay, ring_pipe_take(ring), files[0], files[1], LEN);
	assert_int_equal(n_moved, 0); /* Nothing from inside the call. */
	run(LEN, 20000);
	assert_int_equal(how_ended, RELAY_OK);
	assert_in_range(n_moved_max, 1, RELAY_QUANTUM + 65536);
	close_world();
}

/* A sink that takes nothing stops the source: no more than pipe and queues hold. */
static void back_pressure_reaches_the_source(void **state)
{
	(void)state;
	open_world(&calm, 1);
	reading = false;
	start(LEN, 0);
	run(LEN, 3000);
	assert_int_equal(n_ended, 0);
	assert_true(n_written <= 5 * 65536);
	assert_true(relay.in - relay.out == relay.pipe->held && relay.pipe->held > 0);
	reading = true;
	run(LEN, 20000);
	assert_int_equal(how_ended, RELAY_OK);
	close_world();
}

static void a_source_that_ends_early_is_told(void **state)
{
	(void)state;
	open_world(&calm, 1);
	start(LEN, 0);
	run(30000, 200);
	sim_end_finish(ends[0]);
	run(30000, 2000);
	assert_int_equal(n_ended, 1);
	assert_int_equal(how_ended, RELAY_SOURCE_ENDED);
	assert_int_equal(relay.out, 30000); /* What came before was passed on. */
	close_world();
}

static void a_source_that_is_reset_is_told(void **state)
{
	(void)state;
	open_world(&calm, 1);
	start(LEN, 0);
	run(30000, 200);
	sim_end_close(ends[0], true);
	ends[0] = NULL;
	for (int i = 0; i < 2000 && n_ended == 0; i++)
		turn();
	assert_int_equal(how_ended, RELAY_SOURCE_FAILED);
	close_world();
}

static void a_sink_that_is_gone_is_told(void **state)
{
	(void)state;
	open_world(&calm, 1);
	reading = false;
	start(LEN, 0);
	run(LEN, 50);
	sim_end_close(ends[1], true);
	ends[1] = NULL;
	run(LEN, 2000);
	assert_int_equal(n_ended, 1);
	assert_int_equal(how_ended, RELAY_SINK_FAILED);
	close_world(); /* The pipe was not empty: it did not go back to its pool. */
}

static void what_the_pipe_holds_goes_first(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		struct sim_options sim = worlds[i].sim;

		sim.seed = i + 1;
		sim.steps_max = 10000000;
		sim.faults.pipe_full = 0; /* Else the pipe may refuse. */
		open_world(&sim, 1);
		start(LEN, 3000);
		run(LEN, 200000);
		for (int turns = 0; turns < 20000 && n_read < LEN; turns++) {
			read_some();
			turn();
		}
		assert_int_equal(how_ended, RELAY_OK);
		assert_int_equal(n_read, LEN);
		assert_true(relay.out == LEN - 3000 && n_moved == LEN - 3000);
		close_world();
	}
}

/* Neither a source that is silent nor one that fails keeps it back. */
static void what_the_pipe_holds_does_not_wait(void **state)
{
	(void)state;
	for (int fails = 0; fails < 2; fails++) {
		open_world(&calm, 1);
		if (fails) {
			sim_end_close(ends[0], true);
			ends[0] = NULL;
		}
		for (int i = 0; i < 100; i++)
			turn();
		start(LEN, 100);
		for (int i = 0; i < 100; i++) {
			turn();
			read_some();
		}
		assert_int_equal(n_read, 100);
		assert_int_equal(n_ended, fails);
		if (fails)
			assert_int_equal(how_ended, RELAY_SOURCE_FAILED);
		relay_stop(&relay);
		for (int i = 0; i < 10; i++)
			turn();
		close_world();
	}
}

/* One after the other, each with what had come until then; the last is told the end. */
static void without_a_length_it_runs_dry(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		struct sim_options sim = worlds[i].sim;
		uint32_t n_dry = 0;

		sim.seed = i + 1;
		sim.steps_max = 10000000;
		open_world(&sim, 1);
		while (n_read < LEN || how_ended != RELAY_SOURCE_ENDED) {
			n_ended = 0;
			n_moved = 0;
			relay_start(&relay, ring_pipe_take(ring), files[0], files[1],
				    RELAY_NO_LENGTH);
			if (n_dry == 3) /* What is in the pipe is to be read first. */
				reading = false;
			run(LEN, n_dry == 3 ? 50 : 200000);
			assert_true(n_dry != 3 || n_ended == 1 || relay.pipe->held > 0);
			reading = true;
			run(LEN, 200000);
			assert_int_equal(n_ended, 1);
			assert_true(relay.in == relay.out && n_moved == relay.out);
			if (how_ended == RELAY_SOURCE_ENDED)
				break;
			if (how_ended != RELAY_DRY)
				fail_msg("%s: ended %d", worlds[i].name, how_ended);
			n_dry++;
			if (n_written == LEN)
				sim_end_finish(ends[0]);
			write_some(LEN);
			turn();
		}
		for (int turns = 0; turns < 20000 && n_read < LEN; turns++) {
			read_some();
			turn();
		}
		assert_int_equal(n_read, LEN);
		assert_true(n_dry > 0);
		close_world();
	}
}

/* At any time: no event but 'quiet', once, when the memory may go. */
static void stopped_it_says_nothing_more(void **state)
{
	(void)state;
	for (uint32_t turns = 0; turns < 60; turns++) {
		uint64_t before;

		open_world(&calm, 1);
		start(LEN, 0);
		run(LEN, turns);
		before = n_moved;
		relay_stop(&relay);
		assert_false(relay_is_running(&relay) || relay_is_quiet(&relay));
		relay_stop(&relay);
		for (int i = 0; i < 50; i++)
			turn();
		assert_true(n_quiet == 1 && n_ended == 0 && n_moved == before);
		close_world();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_bytes_arrive_and_no_more),
		cmocka_unit_test(a_turn_is_bounded),
		cmocka_unit_test(back_pressure_reaches_the_source),
		cmocka_unit_test(a_source_that_ends_early_is_told),
		cmocka_unit_test(a_source_that_is_reset_is_told),
		cmocka_unit_test(a_sink_that_is_gone_is_told),
		cmocka_unit_test(what_the_pipe_holds_goes_first),
		cmocka_unit_test(what_the_pipe_holds_does_not_wait),
		cmocka_unit_test(without_a_length_it_runs_dry),
		cmocka_unit_test(stopped_it_says_nothing_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
