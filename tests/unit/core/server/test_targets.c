/* SPDX-License-Identifier: Apache-2.0 */
/* Tables from upstreams: addresses, names and what becomes of them, reload, release. */
#include "core/document/report.h"
#include "ring/ring_resolve.h"

/* The names and the clock are the test's. */
#define ring_now_ns        fake_now_ns
#define ring_timer_set     fake_timer_set
#define ring_timer_cancel  fake_timer_cancel
#define ring_resolver_open fake_resolver_open
#define ring_resolver_free fake_resolver_free
#define ring_resolve       fake_resolve
static uint64_t fake_now_ns(const struct ring *ring);
static void fake_timer_set(struct ring *ring, struct ring_timer *timer, uint64_t deadline_ns);
static void fake_timer_cancel(struct ring *ring, struct ring_timer *timer);
static int fake_resolver_open(struct ring *ring, const struct ring_resolver_options *opt,
			      struct ring_resolver **ret_resolver);
static void fake_resolver_free(struct ring_resolver *resolver);
static int fake_resolve(struct ring_resolver *resolver, struct slice host, uint16_t port,
			ring_resolved_fn *fn, void *owner);

#include "core/server/targets.c"

#include "core/server/plain_policy.h"
#include "policy/decide.h"

#include "tests/unit/core/base/base_test.h"

#define NOW_NS (1000 * GW_NS_PER_S)

/* --- Names. ---------------------------------------------------------------------------------- */

static struct {
	ring_resolved_fn *fn; /* The question that waits; NULL: none. */
	void *owner;
	uint32_t n_asked;
	int refuse; /* ring_resolve() itself fails so. */
	bool open;
} names;

static struct ring_timer *timer;
static uint64_t timer_ns;

static uint64_t fake_now_ns(const struct ring *ring)
{
	(void)ring;
	return NOW_NS;
}

static void fake_timer_set(struct ring *ring, struct ring_timer *t, uint64_t deadline_ns)
{
	(void)ring;
	timer = t;
	timer_ns = deadline_ns;
}

static void fake_timer_cancel(struct ring *ring, struct ring_timer *t)
{
	(void)ring;
	timer = timer == t ? NULL : timer;
}

static int fake_resolver_open(struct ring *ring, const struct ring_resolver_options *opt,
			      struct ring_resolver **ret_resolver)
{
	(void)ring;
	(void)opt;
	names.open = true;
	*ret_resolver = NULL;
	return 0;
}

static void fake_resolver_free(struct ring_resolver *resolver)
{
	(void)resolver;
	names.open = false;
	if (names.fn)
		names.fn(names.owner, -ECANCELED, NULL, 0, 0);
}

static int fake_resolve(struct ring_resolver *resolver, struct slice host, uint16_t port,
			ring_resolved_fn *fn, void *owner)
{
	(void)resolver;
	assert_true(names.open && !names.fn);
	assert_slice(host, "origin.test");
	assert_int_equal(port, 9009);
	names.n_asked++;
	if (names.refuse)
		return names.refuse;
	names.fn = fn;
	names.owner = owner;
	return 0;
}

static void answer(int status, uint32_t n_addrs, uint8_t last, uint32_t ttl_s)
{
	struct ring_addr addrs[POLICY_ADDRS_MAX + 4] = { 0 };
	ring_resolved_fn *fn = names.fn;

	for (uint32_t i = 0; i < n_addrs; i++)
		addrs[i] = (struct ring_addr){ .family = AF_INET,
					       .port = 9009,
					       .ip = { 10, 0, (uint8_t)i, last } };
	assert_non_null(fn);
	names.fn = NULL;
	fn(names.owner, status, addrs, n_addrs, ttl_s);
}

/* --- Targets. -------------------------------------------------------------------------------- */

static struct config *config;
static struct targets *targets;
static const struct policy_table *offered;
static uint32_t n_offers;

static const struct ring_addr demo = { .family = AF_INET, .port = 5555, .ip = { 127, 0, 0, 1 } };

static void changed(void *owner, const struct policy_table *table)
{
	assert_ptr_equal(owner, &n_offers);
	assert_int_equal(table->edition, ++n_offers); /* Each is one more. */
	offered = table;
}

static struct config *load(const char *const *upstreams, const char *idle)
{
	static struct report rep;
	struct config_override over[8] = { { "pool.max_idle_per_upstream", idle, "test" },
					   { "timeouts.connect", "3s", "test" },
					   { "upgrades", "websocket", "test" } };
	uint32_t n = 3;
	struct config *c;

	while (*upstreams)
		over[n++] = (struct config_override){ "upstreams", *upstreams++, "test" };
	report_init(&rep, NULL);
	if (config_load(NULL, over, n, &rep, &c) < 0) {
		report_print(&rep, stderr);
		fail_msg("refused");
	}
	return c;
}

static uint32_t generation;

/* What follows from these settings, for upstreams of 'config'. */
static int configure(const struct config *now)
{
	static const struct slice hosts[] = { SLICE_INIT("*.a.test") };
	static struct plain_policy policy;
	struct config with_hosts = *now;
	struct targets_next *ready;
	int r;

	with_hosts.allowed_hosts = hosts;
	with_hosts.n_allowed_hosts = 1;
	plain_policy_make(&(struct plain_policy_options){ .first = config,
							  .now = &with_hosts,
							  .demo = &demo,
							  .n_workers = 3,
							  .generation = ++generation },
			  &policy);
	r = targets_prepare(targets, &policy.draft, &ready);
	if (r == 0)
		targets_commit(targets, ready);
	return r;
}

static void begin(const char *const *upstreams)
{
	struct targets_options opt = { .changed = changed, .owner = &n_offers };

	n_offers = 0;
	generation = 0;
	memset(&names, 0, sizeof(names));
	timer = NULL;
	config = load(upstreams, "10");
	assert_int_equal(targets_open(&opt, &targets), 0);
	assert_int_equal(configure(config), 0);
	assert_ptr_equal(targets_table(targets), offered);
}

static void end(void)
{
	targets_free(targets);
	assert_null(timer);
	config_free(config);
}

static const struct policy_endpoint *endpoint(uint16_t slot)
{
	return table_endpoint(offered, table_service(offered, 0), slot);
}

static void addresses_are_known_at_once(void **state)
{
	static const char *const upstreams[] = { "http://192.0.2.7:9001", "http://[2001:db8::7]",
						 NULL };

	(void)state;
	begin(upstreams);
	assert_true(targets_are_known(targets));
	assert_int_equal(names.n_asked, 0);
	assert_int_equal(table_service(offered, 0)->endpoints.n, 2);
	assert_slice(table_text(offered, endpoint(0)->authority), "192.0.2.7:9001");
	assert_true(endpoint(0)->n_addrs == 1 && endpoint(0)->addrs[0].family == AF_INET);
	assert_true(endpoint(0)->addrs[0].port == 9001 && endpoint(0)->addrs[0].ip[3] == 7);
	assert_slice(table_text(offered, endpoint(1)->authority), "[2001:db8::7]:80");
	assert_true(endpoint(1)->addrs[0].family == AF_INET6 && endpoint(1)->addrs[0].port == 80);
	end();
}

static void a_scheme_is_a_protocol_with_server_names(void **state)
{
	static const char *const upstreams[] = { "https://origin.test:9009",
						 "https://[2001:db8::7]:9", NULL };
	static const char *const clear[] = { "http://192.0.2.7", NULL };
	struct config next;

	(void)state;
	begin(clear);
	assert_int_equal(table_service(offered, 0)->protocol, POLICY_HTTP);
	end();
	begin(upstreams);
	assert_int_equal(table_service(offered, 0)->protocol, POLICY_HTTPS);
	assert_slice(table_text(offered, endpoint(0)->authority), "origin.test:9009");
	assert_slice(table_text(offered, endpoint(0)->server_name), "origin.test");
	assert_slice(table_text(offered, endpoint(1)->server_name), "2001:db8::7");
	next = *config;
	next.upstream_tls.server_name = SLICE("api.internal");
	assert_int_equal(configure(&next), 0);
	assert_slice(table_text(offered, endpoint(1)->server_name), "api.internal");
	next.upstream_tls.server_name = SLICE("");
	assert_int_equal(configure(&next), 0);
	assert_slice(table_text(offered, endpoint(0)->server_name), "origin.test");
	end();
}

static void without_upstreams_it_is_the_demo(void **state)
{
	static const char *const none[] = { NULL };

	(void)state;
	begin(none);
	assert_true(targets_are_known(targets));
	assert_int_equal(table_service(offered, 0)->endpoints.n, 1);
	assert_slice(table_text(offered, endpoint(0)->authority), "127.0.0.1:5555");
	assert_int_equal(endpoint(0)->addrs[0].port, 5555);
	end();
}

static int decide(const char *host)
{
	return policy_decide(offered, &(struct policy_request){ .method = SLICE_INIT("GET"),
								.host = slice_of(host),
								.path = SLICE_INIT("/") })
		.kind;
}

static void settings_are_told(void **state)
{
	static const char *const none[] = { NULL };
	const struct policy_service *service;

	(void)state;
	begin(none);
	service = table_service(offered, 0);
	assert_true(offered->enabled && offered->routes.n == 1 && offered->services.n == 1);
	assert_true(decide("x.a.test") == VERDICT_FORWARD && decide("a.test") == VERDICT_REFUSE);
	assert_true(table_route(offered, 0)->retry &&
		    table_route(offered, 0)->max_body == UINT64_MAX);
	assert_int_equal(table_route(offered, 0)->upgrades, POLICY_UPGRADE_WEBSOCKET);
	assert_int_equal(service->max_idle, 4); /* Ten among three workers, rounded up. */
	assert_int_equal(service->timeouts.connect_ns, 3 * GW_NS_PER_S);
	assert_int_equal(service->timeouts.body_idle_ns, config->timeouts.body_idle_ns);
	assert_int_equal(service->timeouts.write_stall_ns, config->timeouts.write_stall_ns);
	assert_int_equal(service->timeouts.response_head_ns, config->timeouts.response_head_ns);
	assert_int_equal(service->timeouts.pool_idle_ns, config->pool.idle_ns);
	assert_int_equal(service->timeouts.tunnel_idle_ns, config->timeouts.tunnel_idle_ns);
	end();
}

static const char *const named[] = { "http://192.0.2.7:1", "http://origin.test:9009", NULL };

static void a_name_becomes_addresses(void **state)
{
	(void)state;
	begin(named);
	assert_false(targets_are_known(targets));
	assert_int_equal(endpoint(1)->n_addrs, 0);
	answer(0, 2, 1, 30);
	assert_true(targets_are_known(targets));
	assert_int_equal(n_offers, 2);
	assert_int_equal(endpoint(1)->n_addrs, 2);
	assert_true(endpoint(1)->addrs[1].port == 9009 && endpoint(1)->addrs[1].ip[2] == 1);
	assert_int_equal(endpoint(0)->n_addrs, 1); /* The neighbour stays. */
	assert_int_equal(timer_ns, NOW_NS + 30 * GW_NS_PER_S);
	timer->fire(timer);
	answer(0, 2, 1, 30);
	assert_int_equal(n_offers, 2); /* The same: no new table. */
	timer->fire(timer);
	answer(0, POLICY_ADDRS_MAX + 4, 1, 30);
	assert_int_equal(endpoint(1)->n_addrs, POLICY_ADDRS_MAX);
	timer->fire(timer);
	answer(0, 1, 9, 30);
	assert_int_equal(n_offers, 4);
	assert_true(endpoint(1)->n_addrs == 1 && endpoint(1)->addrs[0].ip[3] == 9);
	end();
}

static const struct {
	uint32_t ttl_s, want_s;
} lives[] = { { 0, 1 }, { 1, 1 }, { 59, 59 }, { 61, 60 }, { UINT32_MAX, 60 } };

static void a_time_to_live_is_believed_within_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lives); i++) {
		begin(named);
		answer(0, 1, 1, lives[i].ttl_s);
		assert_int_equal(timer_ns, NOW_NS + lives[i].want_s * GW_NS_PER_S);
		end();
	}
}

static void a_failure_keeps_what_is_known(void **state)
{
	(void)state;
	begin(named);
	answer(-ETIMEDOUT, 0, 0, 0);
	assert_true(targets_are_known(targets)); /* Answered, though not well. */
	assert_int_equal(targets_n_failures(targets), 1);
	assert_int_equal(timer_ns, NOW_NS + 2 * GW_NS_PER_S);
	timer->fire(timer);
	answer(0, 1, 7, 5);
	names.refuse = -ENOMEM;
	timer->fire(timer);
	assert_int_equal(targets_n_failures(targets), 2);
	assert_int_equal(timer_ns, NOW_NS + 2 * GW_NS_PER_S);
	names.refuse = 0;
	timer->fire(timer);
	answer(-ENOENT, 0, 0, 0);
	assert_int_equal(targets_n_failures(targets), 3);
	assert_int_equal(n_offers, 2);
	assert_int_equal(endpoint(1)->addrs[0].ip[3], 7);
	end();
}

static void a_question_may_be_open_at_the_end(void **state)
{
	(void)state;
	begin(named);
	assert_non_null(names.fn);
	end();
	assert_int_equal(n_offers, 1);
}

static void a_reload_changes_limits_and_no_endpoint(void **state)
{
	struct config *next = load(named, "90");

	(void)state;
	begin(named);
	answer(0, 1, 7, 5);
	assert_int_equal(configure(next), 0);
	assert_int_equal(n_offers, 3);
	assert_int_equal(table_service(offered, 0)->max_idle, 30);
	assert_int_equal(table_service(offered, 0)->endpoints.n, 2);
	assert_int_equal(endpoint(1)->addrs[0].ip[3], 7);
	end();
	config_free(next);
}

static uint32_t n_editions(void)
{
	uint32_t n = 0;

	list_each(node, &targets->editions) n++;
	return n;
}

/* What a seat may still use stays; the address sanitizer would tell. */
static void released_tables_go(void **state)
{
	const struct policy_table *tables[4];

	(void)state;
	begin(named);
	tables[0] = offered;
	for (uint32_t i = 1; i < 4; i++) {
		assert_int_equal(configure(config), 0);
		tables[i] = offered;
	}
	targets_release(targets, tables[0]);
	assert_int_equal(n_editions(), 4);
	targets_release(targets, tables[2]);
	assert_int_equal(n_editions(), 2);
	assert_int_equal(tables[2]->edition, 3);
	targets_release(targets, tables[3]);
	targets_release(targets, tables[3]);
	assert_int_equal(n_editions(), 1);
	assert_ptr_equal(targets_table(targets), tables[3]);
	assert_int_equal(tables[3]->edition, 4);
	end();
}

/* Who compiles elsewhere finds the table that it began with, and nothing is lost by it. */
static void what_is_learnt_when_frozen_counts_later(void **state)
{
	(void)state;
	begin(named);
	targets_freeze(targets);
	answer(0, 2, 1, 30);
	assert_int_equal(n_offers, 1);
	assert_ptr_equal(targets_table(targets), offered);
	targets_thaw(targets);
	assert_int_equal(n_offers, 2);
	assert_int_equal(endpoint(1)->n_addrs, 2);
	targets_freeze(targets);
	targets_release(targets, offered);
	assert_ptr_not_equal(list_first(&targets->editions), list_last(&targets->editions));
	targets_thaw(targets);
	assert_int_equal(n_offers, 2); /* Nothing new, no new table. */
	targets_release(targets, offered);
	assert_ptr_equal(list_first(&targets->editions), list_last(&targets->editions));
	targets_freeze(targets);
	timer->fire(timer);
	answer(0, 1, 9, 30);
	assert_int_equal(configure(config), 0);
	assert_int_equal(n_offers, 3); /* A commit brings it along. */
	assert_true(endpoint(1)->n_addrs == 1 && endpoint(1)->addrs[0].ip[3] == 9);
	targets_thaw(targets);
	assert_int_equal(n_offers, 3);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_known_at_once),
		cmocka_unit_test(a_scheme_is_a_protocol_with_server_names),
		cmocka_unit_test(without_upstreams_it_is_the_demo),
		cmocka_unit_test(settings_are_told),
		cmocka_unit_test(a_name_becomes_addresses),
		cmocka_unit_test(a_time_to_live_is_believed_within_bounds),
		cmocka_unit_test(a_failure_keeps_what_is_known),
		cmocka_unit_test(a_question_may_be_open_at_the_end),
		cmocka_unit_test(a_reload_changes_limits_and_no_endpoint),
		cmocka_unit_test(released_tables_go),
		cmocka_unit_test(what_is_learnt_when_frozen_counts_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
