/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/document/path.h"
#include "core/server/options.h"

static const struct report_place nowhere;

/* One flag: it chooses a mode, or sets a switch, or lays a value over the configuration. */
struct flag {
	char letter; /* 0: none. */
	const char *name;
	const char *value; /* What it takes, for the help; NULL: nothing. */
	const char *path;  /* Of the configuration. */
	enum options_mode mode;
	const char *help;
};

/* clang-format off */
static const struct flag flags[] = {
	{ 'c', "--config", "FILE", NULL, OPTIONS_SERVE,
	  "read this file: YAML, or JSON when its name ends in .json" },
	{ 0, "--listen", "ADDR", "listeners", OPTIONS_SERVE,
	  "serve clients here: 127.0.0.1:8080, [::1]:8080, :8080 (all\n"
	  "addresses) or unix:/path; may be repeated" },
	{ 0, "--upstream", "URL", "upstreams", OPTIONS_SERVE,
	  "send requests there: http://host:port, http://[v6]:port,\n"
	  "the same with https, h2 or h2c, or unix:/path; repeated,\n"
	  "they share the load, whatever the state folder keeps" },
	{ 0, "--policy", "FILE", "policy", OPTIONS_SERVE,
	  "begin with this policy, whatever the state folder keeps" },
	{ 0, "--state", "DIR", "state", OPTIONS_SERVE,
	  "keep the policies that are accepted there, and begin with\n"
	  "the last one; off: neither" },
	{ 0, "--workers", "N", "workers", OPTIONS_SERVE,
	  "threads that move data: auto (one per CPU) or 1 to 256" },
	{ 0, "--control", "PATH", "control.path", OPTIONS_SERVE,
	  "the socket for gwtool: a path, auto or off" },
	{ 0, "--admin", "ADDR", "admin.address", OPTIONS_SERVE,
	  "serve /metrics, /livez and /readyz here, or off" },
	{ 0, "--demo", NULL, NULL, OPTIONS_SERVE,
	  "serve a built-in origin, with the access log on" },
	{ 't', "--test", NULL, NULL, OPTIONS_TEST,
	  "check the configuration and exit" },
	{ 'T', "--show", NULL, NULL, OPTIONS_SHOW,
	  "check it and print what would be in force" },
	{ 'V', "--version", NULL, NULL, OPTIONS_VERSION,
	  "print the version and what was built in" },
	{ 0, "--check-env", NULL, NULL, OPTIONS_CHECK_ENV,
	  "say what this machine allows: io_uring, limits, memory" },
	{ 'h', "--help", NULL, NULL, OPTIONS_HELP,
	  "print this" },
};

/* The article's variables, its defaults, and what each one sets here. */
static const struct variable {
	const char *name, *preset, *path, *path2, *help;
} variables[] = {
	{ "LISTEN_ADDR", ":8080", "listeners", NULL, "where to serve clients" },
	{ "UPSTREAM_URL", "http://localhost:3000", "upstreams", NULL, "where requests go" },
	{ "READ_TIMEOUT", "5s", "timeouts.head", "timeouts.body_idle",
	  "for a request's head; body progress" },
	{ "WRITE_TIMEOUT", "10s", "timeouts.response_head", "timeouts.write_stall",
	  "until the response head; send progress" },
	{ "IDLE_TIMEOUT", "120s", "timeouts.keepalive", "pool.idle_timeout",
	  "for idle connections, both sides" },
	{ "MAX_IDLE_CONNS", "1000", "pool.max_idle", NULL, "idle upstream connections" },
	{ "MAX_IDLE_CONNS_PER_HOST", "500", "pool.max_idle_per_upstream", NULL,
	  "the same, for one upstream" },
	{ "CONN_TIMEOUT", "3s", "timeouts.connect", NULL, "to connect to an upstream" },
};
/* clang-format on */

/* --- Reading flags -------------------------------------------------------------------------- */

struct reader {
	char *const *argv;
	int argc, at;
	struct options *opt;
	struct report *rep;
	bool configures; /* A flag said something about the configuration. */
};

static int refuse(struct reader *rd, const char *what, const char *why)
{
	report_add(rd->rep, REPORT_VALUE, nowhere, slice_of(what), "%s", why);
	return -EINVAL;
}

static const struct flag *find_long(struct slice name)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (slice_eq(slice_of(flags[i].name), name))
			return &flags[i];
	return NULL;
}

static const struct flag *find_short(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].letter && flags[i].letter == letter)
			return &flags[i];
	return NULL;
}

static int refuse_unknown(struct reader *rd, struct slice name)
{
	const char *names[ARRAY_SIZE(flags) + 1] = { NULL };
	int near;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		names[i] = flags[i].name;
	near = path_nearest(name, names);
	if (near >= 0)
		report_add(rd->rep, REPORT_UNKNOWN_KEY, nowhere, name,
			   "unknown option; did you mean %s?", names[near]);
	else
		report_add(rd->rep, REPORT_UNKNOWN_KEY, nowhere, name, "unknown option");
	return -EINVAL;
}

static int add_override(struct reader *rd, const char *path, const char *text, const char *said_by)
{
	struct options *opt = rd->opt;

	if (opt->n_overrides == OPTIONS_OVERRIDES_MAX)
		return refuse(rd, said_by, "is repeated too often");
	opt->overrides[opt->n_overrides++] =
		(struct config_override){ .path = path, .text = text, .said_by = said_by };
	return 0;
}

static bool is_repeatable(const struct flag *flag)
{
	return strcmp(flag->path, "listeners") == 0 || strcmp(flag->path, "upstreams") == 0;
}

/* Of a flag that sets one value the last counts, so that a wrapper's flags can be overruled. */
static bool replace_earlier(struct options *opt, const struct flag *flag, const char *value)
{
	for (uint32_t i = 0; i < opt->n_overrides; i++) {
		if (strcmp(opt->overrides[i].said_by, flag->name) == 0) {
			opt->overrides[i].text = value;
			return true;
		}
	}
	return false;
}

/* A mode is a decision: two different ones are a mistake, but help always wins. */
static int set_mode(struct reader *rd, const struct flag *flag)
{
	if (rd->opt->mode == OPTIONS_HELP)
		return 0;
	if (flag->mode != OPTIONS_HELP && rd->opt->mode != OPTIONS_SERVE &&
	    rd->opt->mode != flag->mode)
		return refuse(rd, flag->name, "cannot be combined with the mode chosen before it");
	rd->opt->mode = flag->mode;
	return 0;
}

static int apply(struct reader *rd, const struct flag *flag, const char *value)
{
	struct options *opt = rd->opt;

	if (flag->mode != OPTIONS_SERVE)
		return set_mode(rd, flag);
	rd->configures = true;
	if (flag->path) {
		opt->says_policy |= strcmp(flag->path, "policy") == 0;
		opt->says_upstream |= strcmp(flag->path, "upstreams") == 0;
		opt->says_state |= strcmp(flag->path, "state") == 0;
		if (!is_repeatable(flag) && replace_earlier(opt, flag, value))
			return 0;
		return add_override(rd, flag->path, value, flag->name);
	}
	if (!flag->value) {
		opt->demo = true;
		return 0;
	}
	if (opt->file)
		return refuse(rd, flag->name, "is given twice");
	opt->file = value;
	return 0;
}

/* The value of a flag: behind it in the same word ('inside'), or the next word. */
static int take_value(struct reader *rd, const struct flag *flag, const char *inside)
{
	if (!flag->value && inside)
		return refuse(rd, flag->name, "takes no value");
	if (!flag->value)
		return apply(rd, flag, NULL);
	if (!inside) {
		rd->at++;
		if (rd->at >= rd->argc) {
			report_add(rd->rep, REPORT_MISSING_KEY, nowhere, slice_of(flag->name),
				   "needs a value (%s)", flag->value);
			return -EINVAL;
		}
		inside = rd->argv[rd->at];
	}
	return apply(rd, flag, inside);
}

static int read_word(struct reader *rd)
{
	const char *word = rd->argv[rd->at];
	struct slice name, value;
	const struct flag *flag;
	bool has_value;

	if (word[0] != '-' || word[1] == '\0') {
		report_add(rd->rep, REPORT_VALUE, nowhere, slice_of(word),
			   "is no option; a file is named with -c, an upstream with --upstream");
		return -EINVAL;
	}
	if (word[1] != '-') {
		flag = find_short(word[1]);
		if (!flag || (word[2] && !flag->value))
			return refuse_unknown(rd, slice_of(word));
		return take_value(rd, flag, word[2] ? word + 2 : NULL);
	}
	has_value = slice_split(slice_of(word), '=', &name, &value);
	flag = find_long(name);
	if (!flag)
		return refuse_unknown(rd, name);
	return take_value(rd, flag, has_value ? value.ptr : NULL);
}

/* --- The environment ------------------------------------------------------------------------ */

static int read_variables(struct reader *rd)
{
	int r = 0;

	rd->opt->from_env = true;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(variables); i++) {
		const struct variable *v = &variables[i];
		const char *text = getenv(v->name);

		if (!text || !*text)
			text = v->preset;
		r = add_override(rd, v->path, text, v->name);
		if (r == 0 && v->path2)
			r = add_override(rd, v->path2, text, v->name);
	}
	return r;
}

static int read_splice(struct reader *rd)
{
	const char *text = getenv("SLUICE_SPLICE");

	if (!text || !*text || strcmp(text, "on") == 0)
		return 0;
	if (strcmp(text, "off") != 0)
		return refuse(rd, "SLUICE_SPLICE", "may be on or off");
	return add_override(rd, "splice.enabled", "false", "SLUICE_SPLICE");
}

int options_parse(int argc, char *const argv[], struct options *ret_options, struct report *rep)
{
	struct options opt = { .mode = OPTIONS_SERVE };
	struct reader rd = { .argv = argv, .argc = argc, .opt = &opt, .rep = rep };
	uint32_t n_before = rep->n_all;

	rep->source = "sluice";
	for (rd.at = 1; rd.at < argc; rd.at++)
		(void)read_word(&rd); /* Reported; the next word may be wrong, too. */
	if (!rd.configures)
		(void)read_variables(&rd);
	if (opt.demo && !opt.file) /* With a file it is the file's to say. */
		(void)add_override(&rd, "access_log.path", "stdout", "--demo");
	(void)read_splice(&rd);
	if (rep->n_all != n_before && opt.mode != OPTIONS_HELP) {
		report_add(rep, REPORT_VALUE, nowhere, (struct slice){ 0 },
			   "try 'sluice --help' for all options");
		return -EINVAL;
	}
	*ret_options = opt;
	return 0;
}

int options_load(const struct options *opt, struct report *rep, struct config **ret_config)
{
	struct config *config;
	int r = config_load(opt->file, opt->overrides, opt->n_overrides, rep, &config);

	if (r < 0)
		return r;
	if (config->n_upstreams == 0 && !opt->demo && !config_has_policy(config)) {
		report_add(rep, REPORT_SEMANTIC, nowhere, (struct slice){ 0 },
			   "no upstream is named: say where requests go with --upstream "
			   "http://host:port or with a policy, or see it work with --demo");
		config_free(config);
		return -EINVAL;
	}
	*ret_config = config;
	return 0;
}

/* --- Help ----------------------------------------------------------------------------------- */

enum { HELP_COLUMN = 24 };

static void help_flag(const struct flag *flag, FILE *to)
{
	const char *text = flag->help;
	int len = 0;

	len += flag->letter ? fprintf(to, "  -%c, ", flag->letter) : fprintf(to, "      ");
	len += fprintf(to, "%s%s%s", flag->name, flag->value ? " " : "",
		       flag->value ? flag->value : "");
	for (bool more = true; more;) {
		struct slice line, rest;

		more = slice_split(slice_of(text), '\n', &line, &rest);
		(void)fprintf(to, "%*s%.*s\n", HELP_COLUMN + 2 - len, "", SLICE_ARG(line));
		text = rest.ptr;
		len = 0;
	}
}

void options_help(FILE *to)
{
	(void)fputs("usage: sluice [OPTION]...\n\n"
		    "An edge gateway: takes HTTP requests, refuses what is not sound, and passes\n"
		    "the rest on to upstreams.\n\n"
		    "Try it:\n"
		    "  sluice --demo\n"
		    "  sluice --listen :8080 --upstream http://127.0.0.1:3000\n"
		    "  sluice -c /etc/sluice/sluice.yaml --upstream http://127.0.0.1:3000\n\n"
		    "Options (they win over the file):\n",
		    to);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		help_flag(&flags[i], to);
	(void)fputs(
		"\nWhen no listener is named, clients are served on 127.0.0.1:8080.\n\n"
		"With neither a file nor options, the environment decides (with its defaults):\n",
		to);
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		(void)fprintf(to, "  %-24s%s (%s)\n", variables[i].name, variables[i].help,
			      variables[i].preset);
	(void)fputs("Always: SLUICE_SPLICE=off copies all bodies.\n\n"
		    "Signals: TERM, QUIT finish what runs and exit; again, or INT: exit now;\n"
		    "HUP reads the file again; USR1 opens the log files again.\n\n"
		    "Exit codes: 0 done, 1 failed while running, 2 wrong usage, 69 io_uring is\n"
		    "missing, 77 no permission, 78 wrong configuration.\n",
		    to);
}
