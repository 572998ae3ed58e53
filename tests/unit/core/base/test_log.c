/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/log.c"
#include "core/base/log_event.c"
#include "core/base/log_sink.c"

#include "base_test.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>

#define FLUSH_MS 10000u

struct access {
	uint64_t number;
	uint32_t len; /* Of the line; 0: longer than any line may be. */
};

static void format_access(const void *raw, struct writer *out)
{
	const struct access *a = raw;
	char *filler;

	writer_lit(out, "{\"n\":");
	writer_u64(out, a->number);
	writer_lit(out, ",\"f\":\"");
	filler = writer_reserve(out, a->len ? a->len : LOG_LINE_MAX);
	if (filler)
		memset(filler, 'x', a->len);
	writer_lit(out, "\"}\n");
}

struct world {
	char dir[32];
	char events[64];
	char access[64];
	struct log_options opt;
	struct log *log;
	struct log_source *source;
};

static void open_log(struct world *w)
{
	memcpy(w->dir, "/tmp/sluice-log-XXXXXX", 23);
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->events, sizeof(w->events), "%s/events", w->dir);
	(void)snprintf(w->access, sizeof(w->access), "%s/access", w->dir);
	if (!w->opt.event_path)
		w->opt.event_path = w->events;
	if (!w->opt.access_path)
		w->opt.access_path = w->access;
	w->opt.access_format = format_access;
	w->opt.access_record_size = sizeof(struct access);
	assert_int_equal(log_create(&w->opt, &w->log), 0);
	assert_int_equal(log_attach(w->log, 7, &w->source), 0);
}

static void close_log(struct world *w)
{
	char rotated[80];

	if (w->log)
		log_destroy(w->log, FLUSH_MS);
	(void)snprintf(rotated, sizeof(rotated), "%s.1", w->access);
	(void)unlink(w->events); /* Not every test made every file. */
	(void)unlink(w->access);
	(void)unlink(rotated);
	assert_int_equal(rmdir(w->dir), 0);
}

static char file_text[1 << 22];

static struct slice read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	assert_true(fd >= 0);
	while ((n = read(fd, file_text + len, sizeof(file_text) - len)) > 0)
		len += (size_t)n;
	(void)close(fd);
	return slice_make(file_text, len);
}

static bool put_access(struct world *w, uint64_t number, uint32_t len)
{
	struct access *a = log_record(w->source);

	if (!a)
		return false;
	*a = (struct access){ number, len };
	log_commit(w->source);
	return true;
}

/* Every line whole, its number the next; returns how many. */
static uint64_t expect_lines(struct slice text, uint64_t first)
{
	struct slice line;
	uint64_t n = first;

	while (slice_split(text, '\n', &line, &text)) {
		json_t *json = json_loadb(line.ptr, line.len, 0, NULL);

		if (!json)
			fail_msg("no JSON: '%.*s'", SLICE_ARG(line));
		assert_int_equal(json_integer_value(json_object_get(json, "n")), n++);
		json_decref(json);
	}
	assert_int_equal(text.len, 0);
	return n - first;
}

static json_t *only_event(struct world *w)
{
	struct slice text;
	struct slice line;
	json_t *json;

	assert_int_equal(log_flush(w->log, FLUSH_MS), 0);
	text = read_file(w->events);
	assert_true(slice_split(text, '\n', &line, &text));
	json = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES, NULL);
	if (!json || text.len > 0)
		fail_msg("'%.*s'", SLICE_ARG(line));
	return json;
}

static void events_become_lines(void **state)
{
	struct world w = { 0 };
	const char *event;
	const char *ts;
	const char *level;
	const char *text;
	const char *error;
	const char *odd;
	json_int_t worker;
	json_int_t number;
	json_int_t negative;
	int yes;
	json_t *json;

	(void)state;
	open_log(&w);
	LOG_EVENT(LOG_WARN, "test_event", LOG_U64("number", 5), LOG_I64("negative", -3),
		  LOG_BOOL("yes", true), LOG_STR("text", SLICE("a\"b\n\xff")),
		  LOG_ERRNO("error", -ECONNREFUSED), LOG_ERRNO("odd", -4000));
	json = only_event(&w);
	assert_int_equal(json_unpack(json, "{s:s,s:s,s:s,s:I,s:I,s:I,s:b,s:s,s:s,s:I!}", "ts", &ts,
				     "level", &level, "event", &event, "worker", &worker, "number",
				     &number, "negative", &negative, "yes", &yes, "text", &text,
				     "error", &error, "odd", &odd),
			 0);
	assert_int_equal(strlen(ts), CLOCK_RFC3339_LEN);
	assert_string_equal(level, "warn");
	assert_string_equal(event, "test_event");
	assert_string_equal(text, "a\"b\n\xef\xbf\xbd");
	assert_string_equal(error, "ECONNREFUSED");
	assert_int_equal(worker, 7);
	assert_int_equal(number, 5);
	assert_int_equal(negative, -3);
	assert_true(yes);
	json_decref(json);
	close_log(&w);
}

static void long_texts_are_cut(void **state)
{
	static char big[2000];
	struct world w = { 0 };
	json_t *json;

	(void)state;
	memset(big, 'z', sizeof(big));
	open_log(&w);
	LOG_EVENT(LOG_ERROR, "big", LOG_STR("a", slice_make(big, 300)),
		  LOG_STR("b", slice_make(big, 2000)), LOG_STR("c", SLICE("gone")));
	json = only_event(&w);
	assert_int_equal(json_string_length(json_object_get(json, "a")), 300);
	assert_int_equal(json_string_length(json_object_get(json, "b")), LOG_EVENT_TEXT_SIZE - 300);
	assert_int_equal(json_string_length(json_object_get(json, "c")), 0);
	json_decref(json);
	close_log(&w);
}

static void levels_are_kept(void **state)
{
	struct world w = { .opt = { .level = LOG_WARN } };
	json_t *json;

	(void)state;
	open_log(&w);
	LOG_EVENT(LOG_INFO, "hidden", LOG_U64("n", 1));
	LOG_EVENT(LOG_WARN, "shown", LOG_U64("n", 2));
	json = only_event(&w);
	assert_string_equal(json_string_value(json_object_get(json, "event")), "shown");
	json_decref(json);
	assert_int_equal(truncate(w.events, 0), 0);
	log_set_level(w.log, LOG_ERROR);
	LOG_EVENT(LOG_WARN, "hidden", LOG_U64("n", 3));
	LOG_EVENT(LOG_ERROR, "shown", LOG_U64("n", 4));
	json = only_event(&w);
	assert_int_equal(json_integer_value(json_object_get(json, "n")), 4);
	json_decref(json);
	close_log(&w);
}

static void sites_are_limited(void **state)
{
	struct log_site site = { .event = "often" };
	struct log_site always = { .event = "always", .always = true };
	uint64_t at_ns = 100 * GW_NS_PER_S;
	uint32_t n_suppressed = 99;
	unsigned n_passed = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		n_passed += log_event_passes(&site, at_ns, &n_suppressed);
		assert_true(log_event_passes(&always, at_ns, &n_suppressed));
	}
	assert_int_equal(n_passed, LINES_PER_WINDOW);
	assert_false(log_event_passes(&site, at_ns + WINDOW_NS - 1, &n_suppressed));
	assert_true(log_event_passes(&site, at_ns + WINDOW_NS, &n_suppressed));
	assert_int_equal(n_suppressed, 1000 - LINES_PER_WINDOW + 1);
	assert_true(log_event_passes(&site, at_ns + WINDOW_NS, &n_suppressed));
	assert_int_equal(n_suppressed, 0);
}

static void records_arrive_in_order(void **state)
{
	struct world w = { 0 };
	uint64_t n = 0;

	(void)state;
	open_log(&w);
	while (n < 20000) {
		if (put_access(&w, n, 1 + (uint32_t)(n % 97)))
			n++;
		else
			assert_int_equal(log_flush(w.log, FLUSH_MS), 0);
		log_kick(w.source);
	}
	assert_int_equal(log_flush(w.log, FLUSH_MS), 0);
	assert_int_equal(expect_lines(read_file(w.access), 0), 20000);
	assert_int_equal(log_n_lines(w.log, LOG_SINK_ACCESS), 20000);
	close_log(&w);
}

static void rotation_loses_nothing(void **state)
{
	struct world w = { 0 };
	char rotated[80];
	uint64_t n_before;

	(void)state;
	open_log(&w);
	for (uint64_t i = 0; i < 500; i++)
		assert_true(put_access(&w, i, 10));
	(void)snprintf(rotated, sizeof(rotated), "%s.1", w.access);
	assert_int_equal(rename(w.access, rotated), 0);
	log_reopen(w.log);
	assert_int_equal(log_flush(w.log, FLUSH_MS), 0);
	for (uint64_t i = 500; i < 1000; i++)
		assert_true(put_access(&w, i, 10));
	assert_int_equal(log_flush(w.log, FLUSH_MS), 0);
	n_before = expect_lines(read_file(rotated), 0);
	assert_int_equal(expect_lines(read_file(w.access), n_before), 1000 - n_before);
	assert_true(n_before < 1000); /* The last 500, at least, are in the new file. */
	close_log(&w);
}

/* A pipe whose reader does not read for a while: pipe, sink and ring fill up in turn. */
static void stalled_reader_costs_lines_only(void **state)
{
	struct world w = { .opt = { .n_records = 16 } };
	char path[64];
	int fds[2];
	uint64_t n_tried = 0;
	bool stalled = false;
	struct slice events;

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[1]);
	w.opt.access_path = path;
	open_log(&w);
	while (!stalled && n_tried < 1000) {
		(void)put_access(&w, n_tried++, 4000); /* A refusal is counted. */
		stalled = log_flush(w.log, 50) == -ETIMEDOUT;
	}
	assert_true(stalled);
	for (int i = 0; i < 500; i++)
		(void)put_access(&w, n_tried++, 4000);
	assert_true(log_n_dropped(w.log, LOG_DROP_BACKPRESSURE) > 0);

	/* Events go on through their own sink. */
	LOG_EVENT(LOG_ERROR, "still_here", LOG_U64("n", 1));

	/* Once somebody reads, the books balance. */
	for (int i = 0; log_flush(w.log, 10) < 0; i++) {
		assert_true(i < 1000);
		while (read(fds[0], file_text, sizeof(file_text)) > 0)
			continue;
	}
	assert_int_equal(log_n_lines(w.log, LOG_SINK_ACCESS) +
				 log_n_dropped(w.log, LOG_DROP_BACKPRESSURE),
			 n_tried);
	events = read_file(w.events);
	assert_true(slice_find_slice(events, SLICE("still_here")) != SLICE_NONE);
	assert_true(slice_find_slice(events, SLICE("log_lines_dropped")) != SLICE_NONE);
	(void)close(fds[0]);
	(void)close(fds[1]);
	close_log(&w);
}

static void full_disk_drops_and_counts(void **state)
{
	struct world w = { .opt = { .access_path = "/dev/full" } };
	struct growbuf text;

	(void)state;
	open_log(&w);
	for (uint64_t i = 0; i < 100; i++)
		assert_true(put_access(&w, i, 10));
	assert_int_equal(log_flush(w.log, FLUSH_MS), 0);
	assert_int_equal(log_n_dropped(w.log, LOG_DROP_ENOSPC), 100);
	assert_int_equal(log_n_lines(w.log, LOG_SINK_ACCESS), 0);

	growbuf_init(&text, 1 << 16);
	log_render_metrics(w.log, &text);
	assert_true(slice_find_slice(growbuf_slice(&text),
				     SLICE("gateway_log_dropped_total{reason=\"enospc\"} 100\n")) !=
		    SLICE_NONE);
	growbuf_fini(&text);
	close_log(&w);
}

static void too_long_a_line_is_an_error(void **state)
{
	struct world w = { 0 };

	(void)state;
	open_log(&w);
	assert_true(put_access(&w, 0, 10));
	assert_true(put_access(&w, 99, 0));
	assert_true(put_access(&w, 1, 10));
	assert_int_equal(log_flush(w.log, FLUSH_MS), 0);
	assert_int_equal(expect_lines(read_file(w.access), 0), 2);
	assert_int_equal(log_n_dropped(w.log, LOG_DROP_ERROR), 1);
	close_log(&w);
}

static void access_log_may_be_off(void **state)
{
	struct world w = { .opt = { .access_path = "off" } };

	(void)state;
	open_log(&w);
	assert_null(log_record(w.source));
	assert_int_equal(log_n_dropped(w.log, LOG_DROP_BACKPRESSURE), 0);
	close_log(&w);
}

static void bad_path_is_refused(void **state)
{
	struct log_options opt = { .event_path = "/nonexistent/events" };
	struct log *log = NULL;

	(void)state;
	assert_int_equal(log_create(&opt, &log), -ENOENT);
	assert_null(log);
}

/* A line that was begun is ended, whole ones are dropped, and then it goes on. */
static void lines_are_never_torn(void **state)
{
	struct log_sink sink;
	int fds[2];
	char path[64];
	char chunk[PIPE_CHUNK];
	struct access a = { 0, 3000 };
	size_t n_read = 0;
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[1]);
	assert_int_equal(log_sink_open(&sink, path, -1), 0);
	for (a.number = 0; a.number < 3; a.number++)
		log_sink_line(&sink, format_access, &a);
	log_sink_write(&sink); /* One and a third lines go. */
	assert_true(sink.is_torn);
	assert_int_equal(sink.n_lines, 1);

	drop_lines(&sink, LOG_DROP_ENOSPC);
	assert_int_equal(sink.n_dropped[LOG_DROP_ENOSPC], 1); /* The third; the second began. */
	for (int i = 0; i < 10 && n_read < 6030; i++) {
		n = read(fds[0], chunk, sizeof(chunk));
		assert_true(n > 0);
		memcpy(file_text + n_read, chunk, (size_t)n);
		n_read += (size_t)n;
		if (i == 0) {
			a = (struct access){ 2, 10 };
			log_sink_line(&sink, format_access, &a);
		}
		log_sink_write(&sink);
	}
	assert_int_equal(sink.n_lines, 3);
	assert_int_equal(expect_lines(slice_make(file_text, n_read), 0), 3);
	log_sink_close(&sink);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

#define N_THREADS    4u
#define N_PER_THREAD 20000u

struct producer {
	struct thread thread;
	struct log *log;
	uint64_t n_put;
};

static void produce(void *arg)
{
	struct producer *p = arg;
	struct log_source *source;

	GW_ASSERT(log_attach(p->log, 0, &source) == 0);
	for (uint32_t i = 0; i < N_PER_THREAD; i++) {
		struct access *a = log_record(source);

		if (a) {
			*a = (struct access){ i, 20 };
			log_commit(source);
			p->n_put++;
		}
		if (i % 32 == 0)
			log_kick(source);
	}
	log_detach(source);
}

/* All producers at once: each record is either a whole line or counted as dropped. */
static void books_balance(void **state)
{
	struct world w = { .opt = { .n_records = 256 } };
	struct producer p[N_THREADS] = { 0 };
	uint64_t n_put = 0;

	(void)state;
	open_log(&w);
	for (unsigned i = 0; i < N_THREADS; i++) {
		p[i].log = w.log;
		assert_int_equal(
			thread_start(&p[i].thread, "producer", THREAD_ANY_CPU, produce, &p[i]), 0);
	}
	for (unsigned i = 0; i < N_THREADS; i++) {
		thread_join(&p[i].thread);
		n_put += p[i].n_put;
	}
	assert_int_equal(log_flush(w.log, FLUSH_MS), 0);
	assert_int_equal(log_n_lines(w.log, LOG_SINK_ACCESS), n_put);
	assert_int_equal(log_n_dropped(w.log, LOG_DROP_BACKPRESSURE),
			 N_THREADS * N_PER_THREAD - n_put);
	assert_int_equal(count_lines(file_text, read_file(w.access).len), n_put);
	close_log(&w);
}

/* An idle writer sleeps; a kick wakes it without anyone's flush. */
static void kick_wakes_the_writer(void **state)
{
	struct world w = { 0 };
	uint64_t deadline_ns = gw_now_ns() + 5 * GW_NS_PER_S;

	(void)state;
	open_log(&w);
	for (uint64_t i = 0; i < 20; i++) {
		while (!atomic_load(&w.log->sleeping))
			assert_true(gw_now_ns() < deadline_ns);
		assert_true(put_access(&w, i, 1));
		log_kick(w.source);
		while (log_n_lines(w.log, LOG_SINK_ACCESS) <= i)
			assert_true(gw_now_ns() < deadline_ns);
	}
	/* Twenty of the writer's own wake-ups would have taken twenty seconds. */
	close_log(&w);
}

static int stderr_fds[2];

static void log_without_a_source(void)
{
	(void)dup2(stderr_fds[1], STDERR_FILENO);
	LOG_EVENT(LOG_INFO, "early", LOG_STR("why", SLICE("no log yet")));
	LOG_EVENT(LOG_DEBUG, "too_fine", LOG_U64("n", 1));
}

static void early_events_go_to_stderr(void **state)
{
	char text[512];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(stderr_fds), 0);
	assert_int_equal(signal_of(log_without_a_source), 0);
	(void)close(stderr_fds[1]);
	n = read(stderr_fds[0], text, sizeof(text));
	assert_true(n > 0);
	assert_true(slice_ends_with(slice_make(text, (size_t)n),
				    SLICE("\"event\":\"early\",\"why\":\"no log yet\"}\n")));
	(void)close(stderr_fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_become_lines),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(levels_are_kept),
		cmocka_unit_test(sites_are_limited),
		cmocka_unit_test(records_arrive_in_order),
		cmocka_unit_test(rotation_loses_nothing),
		cmocka_unit_test(stalled_reader_costs_lines_only),
		cmocka_unit_test(full_disk_drops_and_counts),
		cmocka_unit_test(too_long_a_line_is_an_error),
		cmocka_unit_test(access_log_may_be_off),
		cmocka_unit_test(bad_path_is_refused),
		cmocka_unit_test(lines_are_never_torn),
		cmocka_unit_test(books_balance),
		cmocka_unit_test(kick_wakes_the_writer),
		cmocka_unit_test(early_events_go_to_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
