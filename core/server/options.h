/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - the command line and the environment of sluice, from one table.
 *
 * Precedence: schema defaults, then the file, then flags. The article's environment variables
 * (LISTEN_ADDR, UPSTREAM_URL, READ_TIMEOUT, ...) and its defaults count only when neither a file
 * nor a flag that configures was given. SLUICE_SPLICE=off always counts.
 *
 * Ownership: struct options points into argv and the environment, which must stay.
 *
 * Threads: start-up and the control thread (reload); not both at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/gw_assert.h"
#include "core/document/report.h"
#include "core/server/config.h"

/* Exit codes of sluice and gwtool (sysexits.h where it has a name). */
enum options_exit {
	OPTIONS_OK = 0,
	OPTIONS_RUN_TIME = 1,
	OPTIONS_USAGE = 2,
	OPTIONS_NO_FACILITY = 69, /* io_uring missing. */
	OPTIONS_NO_PERMISSION = 77,
	OPTIONS_BAD_CONFIG = 78,
};

enum options_mode {
	OPTIONS_SERVE,
	OPTIONS_TEST,      /* -t: say whether the configuration is good. */
	OPTIONS_SHOW,      /* -T: print what would be in force. */
	OPTIONS_VERSION,   /* -V */
	OPTIONS_CHECK_ENV, /* --check-env */
	OPTIONS_HELP,      /* -h */
};

enum { OPTIONS_OVERRIDES_MAX = 160 };

struct options {
	enum options_mode mode;
	bool demo; /* Also serve a built-in origin; with --upstream it is not asked. */
	bool says_policy, says_upstream, says_state; /* By a flag. */
	bool from_env;    /* Neither file nor flags: the article's environment decided. */
	const char *file; /* Or NULL. */
	uint32_t n_overrides;
	struct config_override overrides[OPTIONS_OVERRIDES_MAX];
};

/*
 * Read argv and the environment. 0, or -EINVAL for wrong usage (exit OPTIONS_USAGE); rep then says
 * what and ends with a hint at --help. Values are checked by options_load().
 */
GW_MUST_USE int options_parse(int argc, char *const argv[], struct options *ret_options,
			      struct report *rep);

/*
 * The configuration that the options ask for; again on every reload. 0; -EINVAL (exit
 * OPTIONS_BAD_CONFIG) with what is wrong in rep; -ENOMEM. With demo and no upstream given,
 * n_upstreams is 0 and the caller adds its own origin's address; otherwise there is at least one.
 */
GW_MUST_USE int options_load(const struct options *opt, struct report *rep,
			     struct config **ret_config);

/* --help: flags, environment, signals, exit codes, examples. */
void options_help(FILE *to);
