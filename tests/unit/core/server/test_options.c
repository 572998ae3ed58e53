/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/options.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WORDS_MAX = 16 };

static char program[] = "sluice", flag_upstream[] = "--upstream", url[] = "http://a";
static char joined[] = "--upstream=http://a";
static struct report rep;
static struct options opt;

/* "a b c" as a command line of sluice; words have no blanks in them. */
static int parse(const char *line)
{
	static char buf[4096];
	char *argv[WORDS_MAX] = { program };
	int argc = 1;

	(void)snprintf(buf, sizeof(buf), "%s", line);
	for (char *at = buf; *at;) {
		assert_true(argc < WORDS_MAX);
		argv[argc++] = at;
		at += strcspn(at, " ");
		if (*at)
			*at++ = '\0';
	}
	report_init(&rep, NULL);
	return options_parse(argc, argv, &opt, &rep);
}

static int clear_environment(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		assert_int_equal(unsetenv(variables[i].name), 0);
	return unsetenv("SLUICE_SPLICE");
}

/* The first line of what is wrong. */
static const char *said(void)
{
	static char line[1024];

	assert_true(rep.n > 0);
	(void)report_format(&rep, 0, line, sizeof(line));
	return line;
}

static const char * override(const char *path)
{
	for (uint32_t i = 0; i < opt.n_overrides; i++)
		if (strcmp(opt.overrides[i].path, path) == 0)
			return opt.overrides[i].text;
	return NULL;
}

static void flags_are_read(void **state)
{
	(void)state;
	assert_int_equal(parse("-c f.yaml --listen :1 --listen=:2 --upstream http://a --workers 3 "
			       "--control off --admin=:9 --demo -t"),
			 0);
	assert_string_equal(opt.file, "f.yaml");
	assert_int_equal(opt.mode, OPTIONS_TEST);
	assert_true(opt.demo);
	assert_false(opt.from_env);
	assert_int_equal(opt.n_overrides, 6);
	assert_string_equal(override("listeners"), ":1");
	assert_string_equal(opt.overrides[1].text, ":2");
	assert_string_equal(override("upstreams"), "http://a");
	assert_string_equal(override("workers"), "3");
	assert_string_equal(override("control.path"), "off");
	assert_string_equal(override("admin.address"), ":9");
	assert_int_equal(parse("--workers 1 --control off --workers=2"), 0);
	assert_string_equal(override("workers"), "2");
	assert_int_equal(opt.n_overrides, 2);
	assert_int_equal(parse("-cf.json"), 0);
	assert_string_equal(opt.file, "f.json");
	assert_int_equal(parse("--config=f.json"), 0);
	assert_string_equal(opt.file, "f.json");
}

static const struct {
	const char *line;
	enum options_mode mode;
} modes[] = {
	{ "--demo", OPTIONS_SERVE },      { "-t", OPTIONS_TEST },
	{ "--test", OPTIONS_TEST },       { "-t --test", OPTIONS_TEST },
	{ "-T", OPTIONS_SHOW },           { "-V", OPTIONS_VERSION },
	{ "--version", OPTIONS_VERSION }, { "--check-env", OPTIONS_CHECK_ENV },
	{ "-h", OPTIONS_HELP },           { "--help -t", OPTIONS_HELP },
	{ "-t --help", OPTIONS_HELP },    { "--nonsense --help", OPTIONS_HELP },
};

static void modes_are_chosen(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (parse(modes[i].line) < 0 || opt.mode != modes[i].mode)
			fail_msg("%s: mode %d", modes[i].line, opt.mode);
}

static const struct {
	const char *line, *error;
} wrong[] = {
	{ "--workrs 3", "sluice: --workrs: unknown option; did you mean --workers?" },
	{ "--zzzzzz", "sluice: --zzzzzz: unknown option" },
	{ "-x", "sluice: -x: unknown option" },
	{ "-tT", "sluice: -tT: unknown option" },
	{ "--", "sluice: --: unknown option" },
	{ "-", "sluice: -: is no option; a file is named with -c, an upstream with --upstream" },
	{ "stray",
	  "sluice: stray: is no option; a file is named with -c, an upstream with --upstream" },
	{ "--workers", "sluice: --workers: needs a value (N)" },
	{ "-c", "sluice: --config: needs a value (FILE)" },
	{ "--demo=1", "sluice: --demo: takes no value" },
	{ "-c a -c b", "sluice: --config: is given twice" },
	{ "-t -T", "sluice: --show: cannot be combined with the mode chosen before it" },
};

static void wrong_usage_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(parse(wrong[i].line), -EINVAL);
		if (strcmp(said(), wrong[i].error) != 0)
			fail_msg("'%s': %s", wrong[i].line, said());
		assert_non_null(strstr(rep.errors[rep.n - 1].text, "--help"));
	}
}

static void the_article_is_the_default(void **state)
{
	struct config *config;

	(void)state;
	assert_int_equal(parse(""), 0);
	assert_true(opt.from_env);
	assert_int_equal(options_load(&opt, &rep, &config), 0);
	assert_true(slice_eq(config->listeners[0].address, SLICE(":8080")));
	assert_true(slice_eq(config->upstreams[0].url.host, SLICE("localhost")));
	assert_int_equal(config->upstreams[0].url.port, 3000);
	assert_int_equal(config->timeouts.head_ns, 5000000000);
	assert_int_equal(config->timeouts.body_idle_ns, 5000000000);
	assert_int_equal(config->timeouts.response_head_ns, 10000000000);
	assert_int_equal(config->timeouts.write_stall_ns, 10000000000);
	assert_int_equal(config->timeouts.keepalive_ns, 120000000000);
	assert_int_equal(config->pool.idle_ns, 120000000000);
	assert_int_equal(config->timeouts.connect_ns, 3000000000);
	assert_int_equal(config->pool.max_idle, 1000);
	assert_int_equal(config->pool.max_idle_per_upstream, 500);
	config_free(config);
}

static void the_environment_is_read(void **state)
{
	struct config *config;

	(void)state;
	assert_int_equal(setenv("LISTEN_ADDR", "127.0.0.1:81", 1), 0);
	assert_int_equal(setenv("READ_TIMEOUT", "1m30s", 1), 0);
	assert_int_equal(setenv("CONN_TIMEOUT", "", 1), 0); /* Empty is not set. */
	assert_int_equal(parse("-T"), 0);
	assert_true(opt.from_env);
	assert_int_equal(options_load(&opt, &rep, &config), 0);
	assert_true(slice_eq(config->listeners[0].address, SLICE("127.0.0.1:81")));
	assert_int_equal(config->timeouts.head_ns, 90000000000);
	assert_int_equal(config->timeouts.connect_ns, 3000000000);
	config_free(config);

	/* Any flag that configures ends it. */
	assert_int_equal(parse("--upstream http://b"), 0);
	assert_false(opt.from_env);
	assert_int_equal(options_load(&opt, &rep, &config), 0);
	assert_true(slice_eq(config->listeners[0].address, SLICE("127.0.0.1:8080")));
	assert_int_equal(config->timeouts.head_ns, 10000000000);
	config_free(config);

	assert_int_equal(setenv("READ_TIMEOUT", "never", 1), 0);
	assert_int_equal(parse(""), 0);
	assert_int_equal(options_load(&opt, &rep, &config), -EINVAL);
	assert_string_equal(said(), "READ_TIMEOUT: timeouts.head: \"never\" is not allowed; "
				    "allowed: 10ms to 10m");
	(void)clear_environment(NULL);
}

static void splicing_is_switched_off(void **state)
{
	struct config *config;

	(void)state;
	assert_int_equal(setenv("SLUICE_SPLICE", "off", 1), 0);
	assert_int_equal(parse("--upstream http://b"), 0);
	assert_int_equal(options_load(&opt, &rep, &config), 0);
	assert_false(config->splice.enabled);
	config_free(config);
	assert_int_equal(setenv("SLUICE_SPLICE", "on", 1), 0);
	assert_int_equal(parse("--upstream http://b"), 0);
	assert_null(override("splice.enabled"));
	assert_int_equal(setenv("SLUICE_SPLICE", "no", 1), 0);
	assert_int_equal(parse("--upstream http://b"), -EINVAL);
	assert_string_equal(said(), "sluice: SLUICE_SPLICE: may be on or off");
	(void)clear_environment(NULL);
}

static void an_upstream_is_needed(void **state)
{
	struct config *config;

	(void)state;
	assert_int_equal(parse("--listen :1"), 0);
	assert_int_equal(options_load(&opt, &rep, &config), -EINVAL);
	assert_string_equal(said(),
			    "no upstream is named: say where requests go with --upstream "
			    "http://host:port or with a policy, or see it work with --demo");
	assert_int_equal(parse("--demo"), 0);
	assert_int_equal(options_load(&opt, &rep, &config), 0);
	assert_int_equal(config->n_upstreams, 0);
	assert_true(slice_eq(config->access_log.path, SLICE("stdout")));
	config_free(config);
}

static void repetitions_are_bounded(void **state)
{
	char *argv[2 * OPTIONS_OVERRIDES_MAX + 8] = { program };
	struct config *config;
	int argc = 1;

	(void)state;
	while (argc < 2 * CONFIG_UPSTREAMS_MAX + 1) {
		argv[argc++] = flag_upstream;
		argv[argc++] = url;
	}
	report_init(&rep, NULL);
	assert_int_equal(options_parse(argc, argv, &opt, &rep), 0);
	assert_int_equal(options_load(&opt, &rep, &config), 0);
	assert_int_equal(config->n_upstreams, CONFIG_UPSTREAMS_MAX);
	config_free(config);
	argv[argc++] = flag_upstream;
	argv[argc++] = url;
	assert_int_equal(options_parse(argc, argv, &opt, &rep), 0);
	assert_int_equal(options_load(&opt, &rep, &config), -EINVAL);
	assert_string_equal(said(), "--upstream: at most 64 upstreams are allowed");
	while (argc < 2 * OPTIONS_OVERRIDES_MAX + 1) {
		argv[argc++] = flag_upstream;
		argv[argc++] = url;
	}
	report_init(&rep, NULL);
	assert_int_equal(options_parse(argc, argv, &opt, &rep), 0);
	argv[argc++] = joined;
	assert_int_equal(options_parse(argc, argv, &opt, &rep), -EINVAL);
	assert_string_equal(said(), "sluice: --upstream: is repeated too often");
}

/* The help names every flag and variable, in lines that fit a terminal. */
static void the_help_is_whole(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *file = open_memstream(&text, &len);
	struct slice rest, line;

	(void)state;
	assert_non_null(file);
	options_help(file);
	assert_int_equal(fclose(file), 0);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		assert_non_null(strstr(text, flags[i].name));
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		assert_non_null(strstr(text, variables[i].name));
	rest = slice_make(text, len);
	while (slice_split(rest, '\n', &line, &rest))
		if (line.len > 84)
			fail_msg("too wide: %.*s", SLICE_ARG(line));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_are_read),
		cmocka_unit_test(modes_are_chosen),
		cmocka_unit_test(wrong_usage_is_refused),
		cmocka_unit_test(the_article_is_the_default),
		cmocka_unit_test(the_environment_is_read),
		cmocka_unit_test(splicing_is_switched_off),
		cmocka_unit_test(an_upstream_is_needed),
		cmocka_unit_test(repetitions_are_bounded),
		cmocka_unit_test(the_help_is_whole),
	};

	return cmocka_run_group_tests(tests, clear_environment, NULL);
}
