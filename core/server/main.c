/* SPDX-License-Identifier: Apache-2.0 */
/* sluice: an edge gateway on io_uring. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/recorder.h"
#include "core/crypto/crypto_pool.h"
#include "core/crypto/tls.h"
#include "core/server/certs.h"
#include "core/server/environment.h"
#include "core/server/options.h"
#include "core/server/server.h"

static int refuse(const struct report *rep, int code)
{
	report_print(rep, stderr);
	return code;
}

/* Without serving: what is wrong, what has no effect, and what would be in force. */
static int test(const struct options *opt, const struct config *config, const struct certs *certs)
{
	static struct report rep, warnings;
	int r;

	report_init(&rep, opt->file);
	report_init(&warnings, opt->file);
	r = server_check(opt, config, certs, &rep, &warnings);
	report_print(&warnings, stderr);
	if (r < 0)
		return refuse(&rep, rep.n ? OPTIONS_BAD_CONFIG : OPTIONS_RUN_TIME);
	if (opt->mode == OPTIONS_TEST)
		puts("configuration ok");
	r = opt->mode == OPTIONS_SHOW ? config_print(config, stdout) : 0;
	return r < 0 ? OPTIONS_RUN_TIME : OPTIONS_OK;
}

static int with_config(const struct options *opt)
{
	struct config *config;
	struct certs *certs;
	struct report rep;
	int r;

	if (crypto_pool_install() < 0)
		return OPTIONS_RUN_TIME;
	report_init(&rep, opt->file);
	r = options_load(opt, &rep, &config);
	if (r < 0)
		return refuse(&rep, OPTIONS_BAD_CONFIG);
	r = certs_read(config, false, &rep, &certs);
	if (r < 0) {
		config_free(config);
		return refuse(&rep, OPTIONS_BAD_CONFIG);
	}
	if (opt->mode == OPTIONS_SERVE)
		return server_run(opt, config, certs);
	r = test(opt, config, certs);
	certs_free(certs);
	config_free(config);
	return r;
}

int main(int argc, char **argv)
{
	static struct options opt;
	struct report rep;

	server_block_signals();
	report_init(&rep, NULL);
	if (options_parse(argc, argv, &opt, &rep) < 0)
		return refuse(&rep, OPTIONS_USAGE);
	if (recorder_install(STDERR_FILENO, "sluice " GW_VERSION) < 0)
		return OPTIONS_RUN_TIME;
	switch (opt.mode) {
	case OPTIONS_HELP:
		options_help(stdout);
		return OPTIONS_OK;
	case OPTIONS_VERSION:
		printf("sluice %s (llhttp %s, liburing %s, OpenSSL %s)\n", GW_VERSION,
		       GW_LLHTTP_VERSION, GW_URING_VERSION, tls_version());
		return OPTIONS_OK;
	case OPTIONS_CHECK_ENV:
		return environment_check(stdout);
	case OPTIONS_SERVE:
	case OPTIONS_TEST:
	case OPTIONS_SHOW:
		return with_config(&opt);
	}
	return OPTIONS_RUN_TIME;
}
