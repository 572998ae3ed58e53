/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/metric.c"
#include "core/base/metric_render.c"

#include "base_test.h"
#include "core/base/rng.h"
#include "core/base/thread.h"

static struct metric_set *made(uint32_t worker)
{
	struct metric_set *set;

	assert_int_equal(metric_create(worker, &set), 0);
	return set;
}

/* The value of a sample, by its whole left-hand side; fails when it is not there once. */
static double sample(const struct growbuf *text, const char *name)
{
	struct slice rest = growbuf_slice(text);
	struct slice line;
	unsigned n_found = 0;
	double value = 0;

	while (slice_split(rest, '\n', &line, &rest)) {
		size_t len = strlen(name);

		if (slice_starts_with(line, slice_of(name)) && line.ptr[len] == ' ') {
			value = strtod(line.ptr + len + 1, NULL);
			n_found++;
		}
	}
	if (n_found != 1)
		fail_msg("%u samples '%s'", n_found, name);
	return value;
}

static bool has_line_with(const struct growbuf *text, const char *part)
{
	return slice_find_slice(growbuf_slice(text), slice_of(part)) != SLICE_NONE;
}

static void render(const struct metric_view *view, struct growbuf *ret_text)
{
	growbuf_init(ret_text, 1 << 22);
	metric_render(view, ret_text);
	assert_false(ret_text->failed);
	assert_int_equal(ret_text->ptr[ret_text->len - 1], '\n');
}

static void cells_cover_all_values(void **state)
{
	uint64_t upper = 0; /* One past the last cell's values. */

	(void)state;
	for (unsigned cell = 0; cell < METRIC_HIST_N_CELLS; cell++) {
		uint64_t low = upper;
		uint64_t middle = cell_middle(cell);

		assert_int_equal(metric_hist_cell(low), cell);
		while (metric_hist_cell(upper) == cell && upper < UINT64_C(1) << METRIC_HIST_BITS)
			upper += cell < 32 ? 1 : UINT64_C(1) << (cell / 16 - 1);
		assert_int_equal(metric_hist_cell(upper - 1), cell);
		assert_true(middle >= low && middle < upper);
		/* No value is told more than 6.25 % off. */
		assert_true((double)(upper - 1 - low) <= 0.0625 * (double)(low ? low : 1));
	}
	assert_true(upper == UINT64_C(1) << METRIC_HIST_BITS);
	assert_int_equal(metric_hist_cell(UINT64_MAX), METRIC_HIST_N_CELLS - 1);
}

static void random_values_are_near(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, 4);
	for (int i = 0; i < 100000; i++) {
		uint64_t v = rng_next(&rng) >> (24 + rng_below(&rng, 40));
		uint64_t middle = cell_middle(metric_hist_cell(v));
		uint64_t off = v > middle ? v - middle : middle - v;

		assert_true((double)off <= 0.0625 * (double)v);
	}
}

static void counters_are_summed(void **state)
{
	struct metric_set *sets[2] = { made(0), made(1) };
	struct metric_view view = { .sets = sets, .n_sets = 2 };
	struct growbuf text;

	(void)state;
	metric_inc(sets[0], METRIC_LOOP_TURNS);
	metric_add(sets[1], METRIC_LOOP_TURNS, 41);
	metric_inc_label(sets[0], METRIC_REJECTED, REASON_BAD_HEADER);
	metric_inc_label(sets[1], METRIC_REJECTED, REASON_BAD_HEADER);
	metric_inc_label(sets[1], METRIC_REJECTED, REASON_N - 1);
	metric_inc_label(sets[1], METRIC_CONNECTIONS_CLOSED, REASON_IDLE_TIMEOUT);
	metric_inc_label(sets[1], METRIC_ANOMALIES, METRIC_ANOMALY_PATH_MERGED);
	metric_inc_label(sets[1], METRIC_STRIPPED, METRIC_STRIPPED_X_REAL_IP);
	metric_inc_label(sets[1], METRIC_POOL_CLOSED, METRIC_POOL_CLOSE_PURGED);
	metric_inc_label(sets[0], METRIC_POLICY_PUSH, METRIC_PUSH_NOT_KEPT);
	metric_gauge_add(sets[0], METRIC_CONNECTIONS_IDLE, 5);
	metric_gauge_add(sets[0], METRIC_CONNECTIONS_IDLE, -2);
	metric_gauge_set(sets[1], METRIC_CONNECTIONS_IDLE, 4);
	metric_gauge_add(sets[1], METRIC_UPSTREAM_IDLE, -3);
	metric_gauge_set(sets[1], METRIC_POLICY_GENERATION, 9);
	metric_add(sets[1], METRIC_WORKER_BUSY, 1500000001);
	assert_int_equal(metric_sum_counter(&view, METRIC_LOOP_TURNS), 42);
	assert_int_equal(metric_sum_gauge(&view, METRIC_CONNECTIONS_IDLE), 7);
	assert_int_equal(metric_sum_gauge(&view, METRIC_UPSTREAM_IDLE), -3);

	render(&view, &text);
	assert_true(sample(&text, "gateway_loop_turns_total") == 42);
	assert_true(sample(&text, "gateway_rejected_requests_total{reason=\"bad_header\"}") == 2);
	assert_true(sample(&text, "gateway_rejected_requests_total{reason=\"no_route\"}") == 0);
	assert_true(sample(&text, "gateway_connections_closed_total{reason=\"idle_timeout\"}") ==
		    1);
	assert_true(sample(&text, "gateway_request_anomalies_total{type=\"path_merged\"}") == 1);
	assert_true(sample(&text, "gateway_headers_stripped_total{name=\"x-real-ip\"}") == 1);
	assert_true(sample(&text, "upstream_pool_closed_total{reason=\"purged\"}") == 1);
	assert_true(sample(&text, "gateway_policy_push_total{result=\"not_kept\"}") == 1);
	assert_true(sample(&text, "net_connections_idle") == 7);
	assert_true(sample(&text, "upstream_connections_idle") == -3);
	assert_true(sample(&text, "gateway_policy_generation{worker=\"1\"}") == 9);
	assert_true(sample(&text, "gateway_worker_busy_seconds_total{worker=\"1\"}") ==
		    1.500000001);
	/* A reason of connections only does not appear among those of requests. */
	assert_false(has_line_with(&text, "rejected_requests_total{reason=\"idle_timeout\"}"));
	assert_false(has_line_with(&text, "reason=\"none\""));
	growbuf_fini(&text);
	metric_destroy(sets[0]);
	metric_destroy(sets[1]);
}

static void histograms_are_bucketed(void **state)
{
	struct metric_set *set = made(METRIC_NO_WORKER);
	struct metric_view view = { .sets = &set, .n_sets = 1 };
	struct metric_hist_sum sum;
	struct growbuf text;

	(void)state;
	metric_observe(set, METRIC_REQUEST_DURATION, 400000);      /* 0.4 ms */
	metric_observe(set, METRIC_REQUEST_DURATION, 3000000);     /* 3 ms */
	metric_observe(set, METRIC_REQUEST_DURATION, 60000000000); /* 60 s */
	metric_observe(set, METRIC_URING_BATCH, 0);
	metric_observe(set, METRIC_URING_BATCH, 2);
	metric_observe(set, METRIC_URING_BATCH, 3);
	metric_observe(set, METRIC_POLICY_SYNC, 1500001); /* 1.500001 ms */

	render(&view, &text);
	assert_true(sample(&text, "http_request_duration_seconds_bucket{le=\"0.0005\"}") == 1);
	assert_true(sample(&text, "http_request_duration_seconds_bucket{le=\"0.0025\"}") == 1);
	assert_true(sample(&text, "http_request_duration_seconds_bucket{le=\"0.005\"}") == 2);
	assert_true(sample(&text, "http_request_duration_seconds_bucket{le=\"10\"}") == 2);
	assert_true(sample(&text, "http_request_duration_seconds_bucket{le=\"+Inf\"}") == 3);
	assert_true(sample(&text, "http_request_duration_seconds_count") == 3);
	assert_true(sample(&text, "http_request_duration_seconds_sum") == 60.0034);
	assert_true(sample(&text, "gateway_uring_batch_completions_bucket{le=\"0\"}") == 1);
	assert_true(sample(&text, "gateway_uring_batch_completions_bucket{le=\"2\"}") == 2);
	assert_true(sample(&text, "gateway_uring_batch_completions_bucket{le=\"4\"}") == 3);
	assert_true(sample(&text, "gateway_uring_batch_completions_sum") == 5);
	assert_true(sample(&text, "gateway_policy_sync_duration_seconds_bucket{le=\"0.0001\"}") ==
		    0);
	/* The same figures by another name. */
	assert_true(sample(&text, "policy_sync_duration_ms_bucket{le=\"1\"}") == 0);
	assert_true(sample(&text, "policy_sync_duration_ms_bucket{le=\"2.5\"}") == 1);
	assert_true(sample(&text, "policy_sync_duration_ms_sum") == 1.500001);
	assert_true(sample(&text, "policy_sync_duration_ms_count") == 1);
	growbuf_fini(&text);

	metric_sum_hist(&view, METRIC_REQUEST_DURATION, &sum);
	assert_in_range(metric_quantile(&sum, 0.5), 2812500, 3187500);
	assert_in_range(metric_quantile(&sum, 0), 375000, 425000);
	assert_in_range(metric_quantile(&sum, 1), 56250000000, 63750000000);
	metric_sum_hist(&view, METRIC_POLICY_SYNC, &sum);
	assert_in_range(metric_quantile(&sum, 0.99), 1406250, 1593750);
	metric_sum_hist(&view, METRIC_UPSTREAM_CONNECT, &sum);
	assert_int_equal(metric_quantile(&sum, 0.99), 0);
	metric_destroy(set);
}

static void keyed_counters_are_named_and_merged(void **state)
{
	static const struct slice routes[] = { SLICE_INIT("api"), SLICE_INIT("say \"hi\"\n\\"),
					       SLICE_INIT("") };
	static const struct slice services[] = { SLICE_INIT("users") };
	struct metric_set *sets[2] = { made(0), made(1) };
	struct metric_view view = { .sets = sets,
				    .n_sets = 2,
				    .routes = { routes, ARRAY_SIZE(routes) },
				    .services = { services, ARRAY_SIZE(services) } };
	struct growbuf text;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct metric_set *s = sets[i];

		metric_inc_keyed(s, METRIC_REQUESTS, METRIC_METHOD_GET, 200, 0);
		metric_inc_keyed(s, METRIC_REQUESTS, METRIC_METHOD_GET, 404, METRIC_NAME_REJECTED);
		metric_inc_keyed(s, METRIC_REQUESTS, METRIC_METHOD_OTHER, 200, METRIC_NAME_LOCAL);
		metric_inc_keyed(s, METRIC_REQUESTS, METRIC_METHOD_GET, 200, 2);   /* No name. */
		metric_inc_keyed(s, METRIC_REQUESTS, METRIC_METHOD_GET, 200, 777); /* Unknown. */
	}
	metric_inc_keyed(sets[1], METRIC_REQUESTS, METRIC_METHOD_GET, 200, 0);
	metric_inc_keyed(sets[1], METRIC_REQUESTS, METRIC_METHOD_PUT, 599, 1);
	metric_inc_keyed(sets[1], METRIC_UPSTREAM_ERRORS, 0, REASON_UPSTREAM_CONNECT, 0);

	render(&view, &text);
	assert_true(
		sample(&text, "http_requests_total{method=\"GET\",status=\"200\",route=\"api\"}") ==
		3);
	assert_true(sample(&text, "http_requests_total{method=\"GET\",status=\"404\","
				  "route=\"_rejected\"}") == 2);
	assert_true(sample(&text, "http_requests_total{method=\"_OTHER\",status=\"200\","
				  "route=\"_local\"}") == 2);
	assert_true(sample(&text, "http_requests_total{method=\"GET\",status=\"200\","
				  "route=\"_other\"}") == 4);
	assert_true(sample(&text, "http_requests_total{method=\"PUT\",status=\"599\","
				  "route=\"say \\\"hi\\\"\\n\\\\\"}") == 1);
	assert_true(sample(&text, "upstream_errors_total{reason=\"connect\",upstream=\"users\"}") ==
		    1);
	growbuf_fini(&text);
	metric_destroy(sets[0]);
	metric_destroy(sets[1]);
}

/* Far more label values than cells: nothing is lost, the late ones are "_other". */
static void full_tables_fold(void **state)
{
	struct metric_set *set = made(0);
	struct metric_view view = { .sets = &set, .n_sets = 1 };
	struct metric_keyed_table *t = set->keyed[METRIC_REQUESTS];
	uint64_t sum = 0;

	(void)state;
	for (unsigned i = 0; i < 60000; i++)
		metric_inc_keyed(set, METRIC_REQUESTS, i % METRIC_METHOD_N, 200 + i % 7, i);
	for (uint32_t i = 0; i < t->n_cells; i++)
		sum += t->cells[i].n;
	assert_int_equal(sum, 60000);
	assert_true(t->n_used < t->n_cells);
	assert_int_equal(metric_sum_counter(&view, METRIC_SERIES_DROPPED), 0);

	/* More even than the reserve can take: lost, but told. */
	for (unsigned i = 0; i < 60000; i++)
		metric_inc_keyed(set, METRIC_REQUESTS, i % METRIC_METHOD_N, i, 1);
	assert_true(metric_sum_counter(&view, METRIC_SERIES_DROPPED) > 0);
	assert_int_equal(t->n_used, t->n_cells - 1);
	metric_destroy(set);
}

static void count_rare(void)
{
	(void)GW_COUNT_IF(true, "test_rare");
}

/* The shape of the exposition format, over everything there is. */
static void text_is_well_formed(void **state)
{
	struct metric_set *set = made(3);
	struct metric_view view = { .sets = &set, .n_sets = 1 };
	struct growbuf text;
	struct slice rest;
	struct slice line;
	struct slice family = { NULL, 0 };
	unsigned n_families = 0;

	(void)state;
	count_rare();
	render(&view, &text);
	assert_true(sample(&text, "gateway_rare_events_total{event=\"test_rare\"}") == 1);
	rest = growbuf_slice(&text);
	while (slice_split(rest, '\n', &line, &rest)) {
		struct slice word;
		struct slice tail;

		if (slice_starts_with(line, SLICE("# HELP "))) {
			assert_true(slice_split(slice_drop(line, 7), ' ', &family, &tail));
			assert_true(tail.len > 0);
			n_families++;
			continue;
		}
		if (slice_starts_with(line, SLICE("# TYPE "))) {
			assert_true(slice_split(slice_drop(line, 7), ' ', &word, &tail));
			assert_true(slice_eq(word, family));
			assert_int_equal(slice_eq(tail, SLICE("counter")),
					 slice_ends_with(family, SLICE("_total")));
			continue;
		}
		assert_true(slice_starts_with(line, family)); /* Samples follow their head. */
		assert_true(slice_find(line, ' ') != SLICE_NONE);
	}
	assert_true(n_families > 30);
	growbuf_fini(&text);
	metric_destroy(set);
}

static void label_out_of_range(void)
{
	struct metric_set *set;

	if (metric_create(0, &set) == 0)
		metric_inc_label(set, METRIC_REJECTED, REASON_N);
}

static void misuse_traps(void **state)
{
	(void)state;
	assert_traps(label_out_of_range);
}

/* One writer, one reader at the same time: sums never go back and end exact. */
#define N_COUNTED 300000u

static void count_much(void *arg)
{
	struct metric_set *set = arg;

	for (unsigned i = 0; i < N_COUNTED; i++) {
		metric_inc(set, METRIC_LOOP_TURNS);
		metric_observe(set, METRIC_LOOP_LAG, i);
		metric_inc_keyed(set, METRIC_REQUESTS, 0, 200 + i % 300, i % 5);
	}
}

static void reading_while_counting(void **state)
{
	struct metric_set *set = made(0);
	struct metric_view view = { .sets = &set, .n_sets = 1 };
	struct metric_hist_sum sum;
	struct thread t;
	uint64_t seen = 0;

	(void)state;
	assert_int_equal(thread_start(&t, "counter", THREAD_ANY_CPU, count_much, set), 0);
	while (seen < N_COUNTED) { /* Ends with the other thread. */
		uint64_t n = metric_sum_counter(&view, METRIC_LOOP_TURNS);
		struct growbuf text;

		assert_true(n >= seen);
		seen = n;
		render(&view, &text);
		growbuf_fini(&text);
	}
	thread_join(&t);
	metric_sum_hist(&view, METRIC_LOOP_LAG, &sum);
	assert_int_equal(sum.n, N_COUNTED);
	assert_true(sum.sum == (uint64_t)N_COUNTED * (N_COUNTED - 1) / 2);
	metric_destroy(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cells_cover_all_values),
		cmocka_unit_test(random_values_are_near),
		cmocka_unit_test(counters_are_summed),
		cmocka_unit_test(histograms_are_bucketed),
		cmocka_unit_test(keyed_counters_are_named_and_merged),
		cmocka_unit_test(full_tables_fold),
		cmocka_unit_test(text_is_well_formed),
		cmocka_unit_test(misuse_traps),
		cmocka_unit_test(reading_while_counting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
