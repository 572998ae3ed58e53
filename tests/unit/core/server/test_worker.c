/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's thread from start to end over the real ring, and what can be posted to it. */
#include "core/server/worker.c"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/metric_render.h"
#include "tests/unit/core/base/base_test.h"
#include "tests/unit/policy/one_table.h"

static struct {
	struct ring *home;
	struct log *log;
	struct proxy_options options[2];
	struct proxy_shared shared;
	struct policy_table *tables[2];
	struct worker_listener listeners[2];
	struct worker worker;
	uint64_t ended; /* Index posted home + 1; 0: not yet. */
} w;

static void told_home(void *owner, uint64_t word)
{
	assert_ptr_equal(owner, &w);
	assert_int_equal(w.ended, 0);
	w.ended = word + 1;
}

static int begin(void **state)
{
	const struct ring_options ring = { .files_max = 8, .bufs_max = 4, .bufs_posted = 2 };
	const struct log_options log = { .event_path = "off", .access_path = "off" };

	(void)state;
	memset(&w, 0, sizeof(w));
	for (int i = 0; i < 2; i++) {
		w.options[i] = (struct proxy_options){ .limits = h1_limits_default,
						       .head_ns = 5 * GW_NS_PER_S,
						       .clients_max = 8,
						       .upstreams_max = 8,
						       .heads_max = 2,
						       .health_path = SLICE_INIT("/up"),
						       .via = SLICE_INIT("gw") };
		w.tables[i] = i ? next_table(w.tables[0]) : no_table();
		w.listeners[i].how.h1 = true;
		w.listeners[i].addr =
			(struct ring_addr){ .family = AF_INET, .ip = { 127, 0, 0, 1 } };
	}
	assert_int_equal(log_create(&log, &w.log), 0);
	assert_int_equal(ring_open(&ring, &w.home), 0);
	ring_on_post(w.home, told_home, &w);
	assert_int_equal(ring_enable(w.home), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	ring_free(w.home);
	log_destroy(w.log, 1000);
	free(w.tables[0]);
	free(w.tables[1]);
	return 0;
}

static int start(uint32_t n_listeners, const char **ret_what)
{
	const struct worker_parts parts = {
		.index = 0, /* The one that has the Unix sockets. */
		.cpu = -1,
		.ring = { .files_max = 64, .bufs_max = 64, .bufs_posted = 8, .pipes_max = 2 },
		.options = &w.options[0],
		.shared = &w.shared,
		.table = w.tables[0],
		.log = w.log,
		.home = w.home,
		.listeners = w.listeners,
		.n_listeners = n_listeners,
	};

	return worker_start(&w.worker, &parts, ret_what);
}

static void post(uint64_t word)
{
	for (int i = 0; i < 100; i++) {
		int r = worker_post(&w.worker, word);

		assert_int_equal(ring_turn(w.home, 0), 0);
		if (r == 0)
			return;
		assert_int_equal(r, -EAGAIN);
	}
	fail_msg("no room for a word");
}

/* Until the worker has said that it is done; then it may go. */
static void see_it_leave(void)
{
	for (int i = 0; i < 100 && !w.ended; i++)
		assert_int_equal(ring_turn(w.home, 100 * GW_NS_PER_MS), 0);
	assert_int_equal(w.ended, 0 + 1);
	post(WORKER_LEAVE);
	worker_join(&w.worker);
	metric_destroy(w.worker.metrics);
}

/* What 'done' waits for is another thread's doing: bounded by ten seconds of turns. */
static void wait_for(bool (*done)(void))
{
	for (int i = 0; i < 10000 && !done(); i++)
		assert_int_equal(ring_turn(w.home, GW_NS_PER_MS), 0);
	assert_true(done());
}

static int dial(uint32_t listener)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(w.listeners[listener].addr.port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	assert_int_equal(close(fd), 0);
	return -1;
}

static void ask(int fd, const char *want)
{
	static const char request[] = "GET /up HTTP/1.1\r\nHost: h\r\n\r\n";
	char text[512] = "";

	assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_memory_equal(text, want, strlen(want));
}

/* --- Tests. ---------------------------------------------------------------------------------- */

static void it_serves_on_every_listener_and_drains(void **state)
{
	const char *what;
	int fds[2];

	(void)state;
	assert_int_equal(start(2, &what), 0);
	assert_int_equal(w.worker.n_listening, 2);
	assert_true(w.listeners[0].addr.port != 0); /* The port that it got. */
	assert_true(w.listeners[0].addr.port != w.listeners[1].addr.port);
	for (uint32_t i = 0; i < 2; i++) {
		fds[i] = dial(i);
		ask(fds[i], "HTTP/1.1 200 ");
	}
	post(WORKER_DRAIN);
	see_it_leave();
	for (uint32_t i = 0; i < 2; i++) {
		char byte;

		assert_int_equal(read(fds[i], &byte, 1), 0); /* Closed in order. */
		assert_int_equal(close(fds[i]), 0);
		assert_int_equal(dial(i), -1);
	}
}

/* A client that says nothing would hold up a drain; an abort waits for nobody. */
static void an_abort_ends_at_once(void **state)
{
	const char *what;
	int fd;

	(void)state;
	assert_int_equal(start(1, &what), 0);
	fd = dial(0);
	assert_int_equal(write(fd, "GET /", 5), 5);
	post(WORKER_ABORT);
	see_it_leave();
	assert_int_equal(close(fd), 0);
}

static bool table_is_adopted(void)
{
	return seat_has(worker_seat(&w.worker), w.tables[1]);
}

static bool options_are_used(void)
{
	return worker_uses(&w.worker, &w.options[1]);
}

/* How many adoptions of a table have been timed. */
static uint64_t n_syncs(void)
{
	struct metric_set *const set = w.worker.metrics;
	const struct metric_view view = { .sets = &set, .n_sets = 1 };
	struct metric_hist_sum sum;

	metric_sum_hist(&view, METRIC_POLICY_SYNC, &sum);
	return sum.n;
}

/* Without any traffic. */
static void an_idle_worker_takes_what_is_new(void **state)
{
	const char *what;

	(void)state;
	assert_int_equal(start(1, &what), 0);
	assert_true(seat_has(worker_seat(&w.worker), w.tables[0]));
	assert_true(worker_uses(&w.worker, &w.options[0]));
	assert_int_equal(n_syncs(), 0);
	seat_renew(worker_seat(&w.worker), w.tables[1], gw_now_ns());
	post(WORKER_ADOPT);
	wait_for(table_is_adopted);
	post((uintptr_t)&w.options[1]);
	wait_for(options_are_used);
	assert_false(worker_uses(&w.worker, &w.options[0]));
	assert_int_equal(n_syncs(), 1);
	post(WORKER_DRAIN);
	see_it_leave();
}

/* The leak sanitizer and the thread's own end would tell of anything that is left. */
static void a_start_that_fails_leaves_nothing(void **state)
{
	static const char path[] = "/tmp/sluice-no-such-folder/x.sock";
	struct ring_addr *addr = &w.listeners[1].addr;
	const char *what;

	(void)state;
	addr->family = AF_UNIX;
	addr->path_len = sizeof(path) - 1;
	memcpy(addr->path, path, sizeof(path) - 1);
	assert_int_equal(start(2, &what), -ENOENT);
	assert_string_equal(what, "listener");
	assert_int_equal(w.worker.n_listening, 1); /* The second was it. */
	assert_int_equal(dial(0), -1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_serves_on_every_listener_and_drains),
		TEST(an_abort_ends_at_once),
		TEST(an_idle_worker_takes_what_is_new),
		TEST(a_start_that_fails_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
