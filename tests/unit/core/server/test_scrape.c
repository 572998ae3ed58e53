/* SPDX-License-Identifier: Apache-2.0 */
/* The page of /metrics: whole, well-formed, true, and the same as docs/METRICS.md says. */
#include <openssl/ssl.h> /* Before base/banned.h. */

#include "core/server/scrape.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/server/certs.h"
#include "ring/ring_buf.h"
#include "tests/unit/core/crypto/certs.c"

enum { N_RINGS = 2 };

static const struct ct_cert site = { "site", "DNS:site.test,DNS:other.test", -60, 3600, NULL };
static struct tls_credentials *credentials;
static struct tls_credentials *of_listeners[2]; /* The first speaks in the clear. */
static struct certs certs = { .n_listeners = 2, .credentials = of_listeners };

static struct {
	struct metric_set *set;
	struct ring *rings[N_RINGS];
	struct log *log;
	struct scrape_view view;
	struct growbuf page;
} world;

static void turn_all(void)
{
	for (int i = 0; i < N_RINGS; i++)
		assert_int_equal(ring_turn(world.rings[i], 0), 0);
}

static int begin(void **state)
{
	struct ring_options ring = { .files_max = 8, .bufs_max = 16, .bufs_posted = 4 };
	struct log_options log = { .event_path = "off", .access_path = "off" };

	(void)state;
	assert_int_equal(metric_create(0, &world.set), 0);
	for (int i = 0; i < N_RINGS; i++) {
		assert_int_equal(ring_open(&ring, &world.rings[i]), 0);
		assert_int_equal(ring_enable(world.rings[i]), 0);
	}
	assert_int_equal(log_create(&log, &world.log), 0);
	world.view = (struct scrape_view){
		.metrics = { .sets = &world.set, .n_sets = 1 },
		.rings = (const struct ring *const *)world.rings,
		.n_rings = N_RINGS,
		.log = world.log,
		.n_dns_failures = 5,
		.certs = &certs,
	};
	/* So that rows which come with their first event are there. */
	metric_inc_keyed(world.set, METRIC_REQUESTS, METRIC_METHOD_GET, 200, METRIC_NAME_LOCAL);
	metric_inc_keyed(world.set, METRIC_UPSTREAM_ERRORS, 0, REASON_UPSTREAM_RESET, 0);
	(void)GW_COUNT_IF(true, "test_event");
	growbuf_init(&world.page, 1 << 20);
	return 0;
}

static int end(void **state)
{
	(void)state;
	growbuf_fini(&world.page);
	log_destroy(world.log, 1000);
	for (int i = 0; i < N_RINGS; i++)
		ring_free(world.rings[i]);
	metric_destroy(world.set);
	return 0;
}

static const char *render(void)
{
	growbuf_reset(&world.page);
	scrape_render(&world.view, &world.page);
	growbuf_char(&world.page, '\0');
	assert_false(world.page.failed);
	return world.page.ptr;
}

/* What stands behind "\nNAME ", or NULL. */
static const char *sample(const char *name)
{
	char want[128];
	const char *at;

	(void)snprintf(want, sizeof(want), "\n%s ", name);
	at = strstr(world.page.ptr, want);
	return at ? at + strlen(want) : NULL;
}

static double value(const char *name)
{
	const char *text = sample(name);

	if (!text)
		fail_msg("no %s", name);
	return strtod(text, NULL);
}

static void never(struct ring_timer *timer)
{
	(void)timer;
	fail();
}

static void rings_are_summed(void **state)
{
	struct ring_buf *bufs[3];
	struct ring_timer timer;

	(void)state;
	ring_timer_init(&timer, never);
	ring_timer_set(world.rings[1], &timer, ring_now_ns(world.rings[1]) + 60 * GW_NS_PER_S);
	for (int i = 0; i < 3; i++) {
		bufs[i] = ring_buf_take(world.rings[i % 2]);
		assert_non_null(bufs[i]);
	}
	turn_all();
	(void)render();
	assert_true(value("gateway_buffers_lent") == 3);
	assert_true(value("gateway_uring_timers_armed") == 1);
	assert_true(value("gateway_pipes_used") == 0);
	assert_true(value("gateway_uring_enter_total") >= 2);
	assert_true(value("gateway_uring_stale_answers_total") == 0);
	assert_true(value("gateway_dns_failures_total") == 5);

	for (int i = 0; i < 3; i++)
		ring_buf_give(world.rings[i % 2], bufs[i]);
	ring_timer_cancel(world.rings[1], &timer);
	turn_all();
	(void)render();
	assert_true(value("gateway_buffers_lent") == 0);
	assert_true(value("gateway_uring_timers_armed") == 0);
}

/* Of sizes, the one that is short of memory matters. */
static void the_smallest_ring_is_shown(void **state)
{
	uint64_t sizes[N_RINGS];

	(void)state;
	for (int i = 0; i < N_RINGS; i++)
		sizes[i] = ring_figure(world.rings[i], offsetof(struct ring_stats, cq_size));
	(void)render();
	assert_true(sizes[0] > 0 && sizes[0] == sizes[1]);
	assert_true(value("gateway_uring_cq_entries") == (double)sizes[0]);
}

static void without_rings_nothing_is_said_of_them(void **state)
{
	(void)state;
	world.view.n_rings = 0;
	world.view.log = NULL;
	(void)render();
	assert_null(strstr(world.page.ptr, "gateway_uring_ops_armed"));
	assert_null(strstr(world.page.ptr, "gateway_log_"));
	assert_non_null(sample("gateway_dns_failures_total"));
}

static void the_process_is_described(void **state)
{
	double now_s = (double)gw_wall_ns() / 1e9, start_s, cpu_s, fds;
	struct rlimit limit;
	int fd;

	(void)state;
	(void)render();
	start_s = value("process_start_time_seconds");
	cpu_s = value("process_cpu_seconds_total");
	fds = value("process_open_fds");
	assert_true(start_s <= now_s && start_s > now_s - 600);
	assert_true(cpu_s > 0 && cpu_s < 600);
	assert_true(value("process_resident_memory_bytes") > 1 << 20);
	assert_true(value("process_virtual_memory_bytes") >=
		    value("process_resident_memory_bytes"));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(value("process_max_fds") == (double)limit.rlim_cur);
	assert_true(fds >= 3 + N_RINGS);

	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	(void)render();
	assert_true(value("process_open_fds") == fds + 1);
	assert_true(value("process_start_time_seconds") == start_s);
	assert_true(value("process_cpu_seconds_total") >= cpu_s);
	close(fd);
}

static void the_build_is_described(void **state)
{
	struct utsname system;
	char want[256];

	(void)state;
	assert_int_equal(uname(&system), 0);
	(void)snprintf(want, sizeof(want),
		       "\ngateway_build_info{version=\"%s\",llhttp=\"%s\",liburing=\"%s\","
		       "kernel=\"%s\"} 1\n",
		       GW_VERSION, GW_LLHTTP_VERSION, GW_URING_VERSION, system.release);
	if (!strstr(render(), want))
		fail_msg("no '%s'", want);
}

static void words_are_counted(void **state)
{
	(void)state;
	assert_int_equal(number_at(SLICE("12 34 56\n"), 0), 12);
	assert_int_equal(number_at(SLICE("12 34 56"), 2), 56);
	assert_int_equal(number_at(SLICE("12 x"), 1), 0);
	assert_int_equal(number_at(SLICE("12"), 7), 0);
}

/* --- The reference page. --------------------------------------------------------------------- */

/* A family of samples, as its comment lines say. */
struct family {
	struct slice name, type, help, sample;
};

static struct slice take_line(struct slice *text)
{
	struct slice line;

	slice_split(*text, '\n', &line, text);
	return line;
}

static bool take_family(struct slice *text, struct family *ret)
{
	struct slice line, rest;

	do {
		if (text->len == 0)
			return false;
		line = take_line(text);
	} while (!slice_starts_with(line, SLICE("# HELP ")));
	slice_split(slice_drop(line, 7), ' ', &ret->name, &ret->help);
	line = take_line(text);
	if (!slice_starts_with(line, SLICE("# TYPE ")))
		fail_msg("no type: %.*s", SLICE_ARG(line));
	slice_split(slice_drop(line, 7), ' ', &rest, &ret->type);
	assert_true(slice_eq(rest, ret->name));
	slice_split(*text, '\n', &ret->sample, &rest);
	return true;
}

/* The names of the labels of a sample, "le" aside. */
static void put_labels(struct growbuf *out, struct slice line)
{
	size_t at = slice_find(line, '{');
	bool first = true;

	while (at != SLICE_NONE && at < line.len && line.ptr[at] != '}') {
		struct slice rest = slice_drop(line, at + 1), name;

		slice_split(rest, '=', &name, &rest);
		if (!slice_eq(name, SLICE("le"))) {
			growbuf_put(out, first ? SLICE("`") : SLICE(", `"));
			growbuf_put(out, name);
			growbuf_char(out, '`');
			first = false;
		}
		at = (size_t)(rest.ptr - line.ptr) + 1 + slice_find(slice_drop(rest, 1), '"') + 1;
	}
}

static void put_families(struct growbuf *out, struct slice page)
{
	struct family family;

	growbuf_lit(out, "| name | type | labels | meaning |\n|---|---|---|---|\n");
	while (take_family(&page, &family)) {
		growbuf_lit(out, "| `");
		growbuf_put(out, family.name);
		growbuf_lit(out, "` | ");
		growbuf_put(out, family.type);
		growbuf_lit(out, " | ");
		put_labels(out, family.sample);
		growbuf_lit(out, " | ");
		growbuf_put(out, family.help);
		growbuf_lit(out, " |\n");
	}
}

static void put_scopes(struct growbuf *out, unsigned scope)
{
	static const struct {
		unsigned bit;
		const char *metric;
	} scopes[] = {
		{ REASON_SCOPE_REQUEST, "rejected" },
		{ REASON_SCOPE_CONN, "closed" },
		{ REASON_SCOPE_UPSTREAM, "upstream" },
	};
	const char *between = "";

	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
		if (scope & scopes[i].bit) {
			growbuf_put(out, slice_of(between));
			growbuf_put(out, slice_of(scopes[i].metric));
			between = ", ";
		}
	}
}

static void put_reasons(struct growbuf *out)
{
	growbuf_lit(out, "| reason | status | counted in | meaning |\n|---|---|---|---|\n");
	for (unsigned reason = REASON_NONE + 1; reason < REASON_N; reason++) {
		growbuf_lit(out, "| `");
		growbuf_put(out, reason_label(reason));
		growbuf_lit(out, "` | ");
		if (reason_status(reason))
			growbuf_u64(out, reason_status(reason));
		growbuf_lit(out, " | ");
		put_scopes(out, reason_scope(reason));
		growbuf_lit(out, " | ");
		growbuf_put(out, reason_help(reason));
		growbuf_lit(out, " |\n");
	}
}

static void put_reference(struct growbuf *out, struct slice page)
{
	growbuf_lit(
		out,
		"# Metrics\n\n"
		"Made from a scrape by `GW_WRITE_DOCS=1 build/dev/tests/unit/unit.core.server."
		"scrape`; do not edit.\n\n"
		"`GET /metrics` of the admin listener answers in the Prometheus text format 0.0.4. "
		"Counters and histograms begin at 0 with the process and are summed over all "
		"workers when they are asked for; no worker waits for a scrape, so two rows of one "
		"scrape need not agree to the last event.\n\n");
	put_families(out, page);
	growbuf_lit(
		out,
		"\n`route` and `upstream` are names of the policy; `_local` was answered by the "
		"gateway itself, `_rejected` got no route, `_other` has no name any more. "
		"A row of `gateway_rare_events_total` appears with its first event.\n\n"
		"With no client connected, `gateway_uring_ops_armed` is a constant plus "
		"`upstream_connections_idle`, and `gateway_buffers_lent` and `gateway_pipes_used` "
		"are 0: what stays above that has leaked.\n\n"
		"## Reasons\n\n"
		"The same words in replies, in the access log and in metrics: *rejected* is "
		"`gateway_rejected_requests_total`, *closed* is "
		"`gateway_connections_closed_total`, *upstream* is `upstream_errors_total`. "
		"Without a status there is no reply, or its cause decides.\n\n");
	put_reasons(out);
}

static void doc_path(char path[4096])
{
	const char *root = getenv("GW_SOURCE_DIR");

	(void)snprintf(path, 4096, "%s/docs/METRICS.md", root ? root : ".");
}

static void write_page(const char *path, struct slice page)
{
	FILE *file = fopen(path, "w");

	if (!file)
		fail_msg("%s cannot be written", path);
	assert_int_equal(fwrite(page.ptr, 1, page.len, file), page.len);
	assert_int_equal(fclose(file), 0);
}

static void the_page_is_up_to_date(void **state)
{
	static char got[1 << 16];
	struct growbuf want;
	char path[4096];
	FILE *file;
	size_t len;

	(void)state;
	growbuf_init(&want, sizeof(got));
	put_reference(&want, slice_of(render()));
	assert_false(want.failed);
	doc_path(path);
	if (getenv("GW_WRITE_DOCS"))
		write_page(path, growbuf_slice(&want));
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s is missing", path);
	len = fread(got, 1, sizeof(got), file);
	assert_int_equal(fclose(file), 0);
	if (!slice_eq(slice_make(got, len), growbuf_slice(&want)))
		fail_msg("%s is not what a scrape shows: make it anew, as its third line tells",
			 path);
	growbuf_fini(&want);
}

/* Names by the rules of the format, each family once. */
static void families_are_well_formed(void **state)
{
	struct slice text, other_text;
	struct family family, other;
	unsigned n = 0;

	(void)state;
	for (text = slice_of(render()); take_family(&text, &family); n++) {
		bool total = slice_ends_with(family.name, SLICE("_total"));

		if (slice_eq(family.type, SLICE("counter")) != total || family.help.len == 0 ||
		    !slice_starts_with(family.sample, family.name))
			fail_msg("%.*s", SLICE_ARG(family.name));
		for (other_text = text; take_family(&other_text, &other);)
			if (slice_eq(family.name, other.name))
				fail_msg("%.*s stands there twice", SLICE_ARG(family.name));
	}
	assert_true(n > 50);
}

static int read_certificate(void **state)
{
	char why[TLS_WHY_MAX];
	struct tls_entry entries[2] = { 0 };
	struct tls_refusal refusal;
	struct tls_pair pair;

	(void)state;
	ct_begin();
	ct_write(&site);
	pair = (struct tls_pair){ ct_path("site.pem"), ct_path("site.key") };
	entries[0].pair = entries[1].pair = pair;
	assert_int_equal(tls_credentials_read(&(struct tls_credentials_options){ .entries = entries,
										 .n_entries = 2,
										 .http1 = true },
					      &refusal, &credentials),
			 0);
	of_listeners[1] = credentials;
	certs.n_trusts = 1;
	return tls_trust_read(&(struct tls_trust_options){ .pair = &pair, .unverified = true }, why,
			      &certs.trusts[0]);
}

static int forget_certificate(void **state)
{
	(void)state;
	tls_trust_free(certs.trusts[0]);
	tls_credentials_free(credentials);
	ct_end();
	return 0;
}

static void certificates_expire(void **state)
{
	char want[160];
	const char *sample;
	struct slice name;

	(void)state;
	(void)snprintf(want, sizeof(want),
		       "\ngateway_tls_certificate_expiry_timestamp_seconds{listener=\"1\","
		       "name=\"site.test\"} %lld\n",
		       (long long)tls_credentials_expiry(credentials, 0, &name));
	sample = strstr(render(), want);
	assert_non_null(sample);
	assert_null(strstr(sample + 1, want)); /* Of two entries: the same twice spoils a scrape. */
	assert_null(strstr(world.page.ptr, "listener=\"0\""));
	(void)snprintf(want, sizeof(want),
		       "\nupstream_tls_certificate_expiry_timestamp_seconds %lld\n",
		       (long long)tls_trust_expiry(certs.trusts[0]));
	assert_non_null(strstr(world.page.ptr, want));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(rings_are_summed),
		TEST(the_smallest_ring_is_shown),
		TEST(without_rings_nothing_is_said_of_them),
		TEST(the_process_is_described),
		TEST(the_build_is_described),
		TEST(words_are_counted),
		TEST(certificates_expire),
		TEST(the_page_is_up_to_date),
		TEST(families_are_well_formed),
	};

	return cmocka_run_group_tests(tests, read_certificate, forget_certificate);
}
