/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration as the workers use it. */
#include "core/server/settings.c"

#include <unistd.h>

#include "tests/unit/core/base/base_test.h"

static struct config *load(const struct config_override *over, uint32_t n)
{
	static struct report rep;
	struct config *config;

	report_init(&rep, NULL);
	if (config_load(NULL, over, n, &rep, &config) < 0) {
		report_print(&rep, stderr);
		fail_msg("refused");
	}
	return config;
}

static struct settings *make(const struct config_override *over, uint32_t n, uint32_t clients)
{
	const struct environment_capacity capacity = { .clients = clients, .upstreams = 7 };
	struct settings *s;

	assert_int_equal(settings_create(load(over, n), NULL, &capacity, SLICE("gw-9"), &s), 0);
	assert_slice(s->options.via, "gw-9");
	assert_int_equal(s->options.clients_max, clients);
	assert_int_equal(s->options.upstreams_max, 7);
	return s;
}

static void options_follow_the_configuration(void **state)
{
	const struct config_override over[] = {
		{ "timeouts.head", "7s", "test" },
		{ "timeouts.keepalive", "8s", "test" },
		{ "timeouts.write_stall", "9s", "test" },
		{ "limits.per_client", "11", "test" },
		{ "health_path", "/up", "test" },
		{ "timeouts.tunnel_grace", "12s", "test" },
	};
	struct settings *s = make(over, ARRAY_SIZE(over), 1000);

	(void)state;
	assert_int_equal(s->options.head_ns, 7 * GW_NS_PER_S);
	assert_int_equal(s->options.keepalive_ns, 8 * GW_NS_PER_S);
	assert_int_equal(s->options.write_stall_ns, 9 * GW_NS_PER_S);
	assert_int_equal(s->options.tunnel_grace_ns, 12 * GW_NS_PER_S);
	assert_int_equal(s->options.per_client, 11);
	assert_int_equal(s->options.linger_ns, 2 * GW_NS_PER_S);
	assert_int_equal(s->options.heads_max, 250);
	assert_slice(s->options.health_path, "/up");
	settings_free(s);
}

static const struct {
	uint32_t clients, heads;
} heads[] = { { 1, 64 }, { 256, 64 }, { 260, 65 }, { 40000, 10000 } };

static void small_gateways_keep_room_for_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		struct settings *s = make(NULL, 0, heads[i].clients);

		assert_int_equal(s->options.heads_max, heads[i].heads);
		settings_free(s);
	}
}

/* No line may be longer than the head that holds it. */
static void limits_fit_into_each_other(void **state)
{
	const struct config_override over[] = { { "limits.head_bytes", "4KiB", "test" },
						{ "limits.head_fields", "20", "test" } };
	struct settings *s = make(over, ARRAY_SIZE(over), 10), *plain = make(NULL, 0, 10);

	(void)state;
	assert_int_equal(s->options.limits.head_max, 4096);
	assert_int_equal(s->options.limits.field_line_max, 4096);
	assert_int_equal(s->options.limits.request_line_max, 4096);
	assert_int_equal(s->options.limits.fields_max, 20);
	assert_int_equal(plain->options.limits.head_max, h1_limits_default.head_max);
	assert_int_equal(plain->options.limits.field_line_max, h1_limits_default.field_line_max);
	settings_free(s);
	settings_free(plain);
}

static void what_is_off_is_off(void **state)
{
	const struct config_override off[] = { { "splice.enabled", "false", "test" },
					       { "access_log.path", "off", "test" } };
	const struct config_override on[] = { { "splice.min", "20KiB", "test" },
					      { "access_log.path", "stdout", "test" },
					      { "access_log.sample", "5", "test" } };
	struct settings *s = make(off, ARRAY_SIZE(off), 10), *t = make(on, ARRAY_SIZE(on), 10);

	(void)state;
	assert_int_equal(s->options.splice_min, UINT64_MAX);
	assert_int_equal(s->options.log_sample, 0);
	assert_int_equal(t->options.splice_min, 20 * 1024);
	assert_int_equal(t->options.log_sample, 5);
	settings_free(s);
	settings_free(t);
}

/* --- Listeners. ------------------------------------------------------------------------------ */

#define FILE_TEXT                                                                                  \
	"listeners:\n"                                                                             \
	"  - address: \"127.0.0.1:8081\"\n"                                                        \
	"    trusted_proxies: [\"10.0.0.0/8\", \"2001:db8::/33\"]\n"                               \
	"  - address: \"[::1]:8082\"\n"                                                            \
	"  - address: \"unix:/tmp/x.sock\"\n"                                                      \
	"    trusted_proxies: [\"192.0.2.7\"]\n"

static struct config *load_file(void)
{
	static struct report rep;
	struct config *config = NULL;
	char path[64];
	FILE *file;
	int r;

	(void)snprintf(path, sizeof(path), "/tmp/sluice-settings-%d.yaml", (int)getpid());
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(FILE_TEXT, file) >= 0);
	assert_int_equal(fclose(file), 0);
	report_init(&rep, NULL);
	r = config_load(path, NULL, 0, &rep, &config);
	assert_int_equal(unlink(path), 0);
	if (r < 0) {
		report_print(&rep, stderr);
		fail_msg("refused");
	}
	return config;
}

static void listeners_have_their_own_networks(void **state)
{
	struct config *config = load_file();
	struct worker_listener *l;

	(void)state;
	assert_int_equal(settings_listeners(config, &l), 0);
	config_free(config); /* They do not point into it. */
	assert_true(l[0].addr.family == AF_INET && l[0].addr.port == 8081);
	assert_true(l[1].addr.family == AF_INET6 && l[1].addr.port == 8082);
	assert_int_equal(l[2].addr.family, AF_UNIX);
	assert_int_equal(l[0].how.n_trusted, 2);
	assert_true(l[0].how.trusted[0].family == AF_INET && l[0].how.trusted[0].prefix == 8);
	assert_int_equal(l[0].how.trusted[0].ip[0], 10);
	assert_true(l[0].how.trusted[1].family == AF_INET6 && l[0].how.trusted[1].prefix == 33);
	assert_int_equal(l[0].how.trusted[1].ip[0], 0x20);
	assert_int_equal(l[1].how.n_trusted, 0);
	assert_int_equal(l[2].how.n_trusted, 1);
	assert_true(l[2].how.trusted[0].prefix == 32 && l[2].how.trusted[0].ip[3] == 7);
	free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_follow_the_configuration),
		cmocka_unit_test(small_gateways_keep_room_for_heads),
		cmocka_unit_test(limits_fit_into_each_other),
		cmocka_unit_test(what_is_off_is_off),
		cmocka_unit_test(listeners_have_their_own_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
