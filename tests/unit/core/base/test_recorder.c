/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/recorder.c"

#include "base_test.h"
#include "core/base/thread.h"

#include <fcntl.h>

static struct recorder recorder;
static struct recorder other;
static int out_fds[2];
static char text[1 << 18];

static struct slice read_all(int fd)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, sizeof(text) - len)) > 0)
		len += (size_t)n;
	return slice_make(text, len);
}

static bool has(struct slice s, const char *part)
{
	return slice_find_slice(s, slice_of(part)) != SLICE_NONE;
}

static void open_out(void)
{
	assert_int_equal(pipe(out_fds), 0);
	assert_true(fcntl(out_fds[1], F_SETPIPE_SZ, 1 << 18) > 0);
}

static struct slice close_out(void)
{
	struct slice s;

	(void)close(out_fds[1]);
	s = read_all(out_fds[0]);
	(void)close(out_fds[0]);
	return s;
}

static void newest_events_are_kept(void **state)
{
	struct slice s;
	struct slice line;
	char want[64];

	(void)state;
	open_out();
	recorder = (struct recorder){ .worker = 3 };
	for (uint32_t i = 0; i < 3000; i++)
		recorder_add(&recorder, 5000 + i, RECORDER_CLOSE, i, 2, 0xabc);
	recorder_dump(&recorder, out_fds[1]);
	s = close_out();
	assert_true(slice_split(s, '\n', &line, &s));
	assert_slice(line, "recorder worker=3 events=3000");
	for (uint32_t i = 3000 - RECORDER_N_EVENTS; i < 3000; i++) {
		assert_true(slice_split(s, '\n', &line, &s));
		(void)snprintf(want, sizeof(want), "%u close slot=%u reason=2 object=0xabc",
			       5000 + i, i);
		assert_slice(line, want);
	}
	assert_int_equal(s.len, 0);
}

static void few_and_odd_events_are_told(void **state)
{
	struct slice s;

	(void)state;
	open_out();
	recorder = (struct recorder){ .worker = UINT32_MAX };
	recorder_add(&recorder, 1, RECORDER_START, 9, 1, 1);
	recorder_add(&recorder, 2, RECORDER_OP_DONE, (uint32_t)-111, 0, UINT64_MAX);
	recorder_add(&recorder, 3, RECORDER_N_IDS, 0, 0, 0); /* Memory gone bad. */
	recorder_dump(&recorder, out_fds[1]);
	s = close_out();
	assert_slice(s, "recorder worker=-1 events=3\n"
			"1 start worker=9\n"
			"2 op_done res=-111 flags=0 user_data=0xffffffffffffffff\n"
			"3 ?\n");
}

static void attach_idle(void *arg)
{
	GW_ASSERT(recorder_attach(arg, 1) == 0);
	recorder_add(arg, 77, RECORDER_POLICY, 1, 0, 0x12);
	/* Not detached: it stays in the dump, its memory is static. */
}

static void crash_by_assert(void)
{
	struct thread t;

	GW_ASSERT(recorder_install(out_fds[1], "test 1.0") == 0);
	GW_ASSERT(recorder_attach(&recorder, 0) == 0);
	GW_ASSERT(thread_start(&t, "other", THREAD_ANY_CPU, attach_idle, &other) == 0);
	thread_join(&t);
	recorder_add(&recorder, 5, RECORDER_DRAIN, 2, 10, 0);
	GW_ASSERT(recorder.worker == 12345);
}

static void asserts_are_dumped(void **state)
{
	struct slice s;

	(void)state;
	open_out();
	assert_int_equal(signal_of(crash_by_assert), SIGILL);
	s = close_out();
	assert_true(slice_starts_with(s, SLICE("crash signal=SIGILL build=test 1.0\nassert ")));
	assert_true(has(s, "test_recorder.c:"));
	assert_true(has(s, " recorder.worker == 12345\n"
			   "recorder worker=0 events=1\n"
			   "5 drain phase=2 n_conns=10\n"
			   "recorder worker=1 events=1\n"
			   "77 policy adopted=1 generation=0x12\n"));
}

/* Deeper than any stack; the volatile byte keeps the frames. */
static int overflow_the_stack(int n)
{
	volatile char frame[4096];

	frame[0] = (char)n;
	return n < 0 ? 0 : overflow_the_stack(n + 1) + frame[0];
}

static void crash_in_thread(void *arg)
{
	GW_ASSERT(recorder_attach(arg, 2) == 0);
	recorder_add(arg, 6, RECORDER_NOBUFS, 1, 2, 3);
	GW_ASSERT(overflow_the_stack(0) == 1);
}

static void crash_by_stack_overflow(void)
{
	struct thread t;

	GW_ASSERT(recorder_install(out_fds[1], "test") == 0);
	GW_ASSERT(thread_start(&t, "deep", THREAD_ANY_CPU, crash_in_thread, &recorder) == 0);
	thread_join(&t);
}

/* A worker's own stack is of no use then, and its signals are blocked but for these. */
static void stack_overflows_are_dumped(void **state)
{
	struct slice s;

	(void)state;
	open_out();
	assert_int_equal(signal_of(crash_by_stack_overflow), SIGSEGV);
	s = close_out();
	assert_true(slice_starts_with(s, SLICE("crash signal=SIGSEGV build=test\n"
					       "recorder worker=2 events=1\n")));
	assert_true(has(s, "6 nobufs slot=1 n_lent=2 object=0x3\n"));
}

static void crash_by_abort(void)
{
	GW_ASSERT(recorder_install(out_fds[1], "test") == 0);
	abort();
}

static void crash_by_kill(void)
{
	GW_ASSERT(recorder_install(out_fds[1], "test") == 0);
	GW_ASSERT(kill(getpid(), SIGBUS) == 0);
}

static void sent_signals_end_the_process_too(void **state)
{
	(void)state;
	open_out();
	assert_int_equal(signal_of(crash_by_abort), SIGABRT);
	assert_slice(close_out(), "crash signal=SIGABRT build=test\n");
	open_out();
	assert_int_equal(signal_of(crash_by_kill), SIGBUS);
	assert_slice(close_out(), "crash signal=SIGBUS build=test\n");
}

static void places_are_given_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * RECORDER_MAX; i++) {
		assert_int_equal(recorder_attach(&recorder, i), 0);
		recorder_detach(&recorder);
	}
	for (unsigned i = 0; i < RECORDER_MAX; i++)
		crash.attached[i] = &other;
	assert_int_equal(recorder_attach(&recorder, 0), -ENOSPC);
	for (unsigned i = 0; i < RECORDER_MAX; i++)
		crash.attached[i] = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(newest_events_are_kept),
		cmocka_unit_test(few_and_odd_events_are_told),
		cmocka_unit_test(asserts_are_dumped),
		cmocka_unit_test(stack_overflows_are_dumped),
		cmocka_unit_test(sent_signals_end_the_process_too),
		cmocka_unit_test(places_are_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
