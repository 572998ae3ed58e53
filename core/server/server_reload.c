/* SPDX-License-Identifier: Apache-2.0 */
/* Other settings while the daemon runs: read whole, or not at all; HUP and 'reload' ask for it. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/server/config_replaced.h"
#include "core/server/server_private.h"

#define ADOPT_WAIT_NS (50 * GW_NS_PER_MS) /* An answer waits so long for the workers. */
#define ADOPT_POLL_NS (200 * GW_NS_PER_US)

enum { LINE_SIZE = REPORT_PATH_MAX + REPORT_TEXT_MAX + 64 };

static struct slice line_of(const struct report *rep, uint32_t i, char line[LINE_SIZE])
{
	return slice_make(line, report_format(rep, i, line, LINE_SIZE));
}

static void log_report(const struct report *rep)
{
	char line[LINE_SIZE];

	for (uint32_t i = 0; i < rep->n; i++)
		LOG_ALWAYS(LOG_ERROR, "config_error", LOG_STR("text", line_of(rep, i, line)));
}

static int load_again(struct server *s, struct report *rep, struct settings **ret_settings)
{
	struct config *config;
	struct certs *certs = NULL;
	int r;

	report_init(rep, s->options->file);
	r = options_load(s->options, rep, &config);
	if (r < 0)
		return r;
	r = config_check_reload(s->settings->config, config, rep);
	if (r == 0)
		r = certs_read(config, server_policy_speaks_tls(&s->policy), rep, &certs);
	if (r < 0) {
		config_free(config);
		return r;
	}
	r = certs ? certs_serve(certs, s->n_workers) : 0;
	if (r < 0) {
		certs_free(certs);
		config_free(config);
		return r;
	}
	return settings_create(config, certs, &s->capacity, slice_of(s->via), ret_settings);
}

void server_tell_trust(struct server *s)
{
	bool anybody = certs_believe_anybody(s->settings->certs);

	metric_gauge_set(s->own, METRIC_UPSTREAM_UNVERIFIED, anybody);
	if (anybody)
		LOG_ALWAYS(
			LOG_WARN, "upstream_unverified",
			LOG_STR("text", SLICE("upstream_tls.verify is false: whoever answers at an "
					      "upstream's address is believed")));
}

void server_tell_replaced(const struct server *s)
{
	struct report rep;
	char line[LINE_SIZE];

	if (!s->policy.written)
		return;
	report_init(&rep, s->options->file);
	config_replaced_warn(s->settings->config, &rep);
	for (uint32_t i = 0; i < rep.n; i++)
		LOG_ALWAYS(LOG_WARN, "config_without_effect",
			   LOG_STR("text", line_of(&rep, i, line)));
}

/* 0; or -errno, rep says why, and nothing has changed. */
static int reload(struct server *s, struct report *rep)
{
	struct settings *next;
	int r = load_again(s, rep, &next);

	log_reopen(s->log);
	if (r < 0) {
		log_report(rep);
		LOG_ALWAYS(LOG_ERROR, "reload_refused", LOG_ERRNO("error", r));
		return r;
	}
	if (s->settings != s->first)
		list_push_back(&s->old_settings, &s->settings->link);
	s->settings = next;
	server_tell(s, (uint64_t)(uintptr_t)&next->options);
	server_tell_trust(s);
	server_tell_replaced(s);
	if (server_apply_policy(s) < 0)
		LOG_ALWAYS(LOG_ERROR, "reload_without_memory", LOG_U64("workers", s->n_workers));
	s->reloading = true;
	return 0;
}

void server_reload_asked(struct server *s)
{
	struct report rep;

	s->reload_waits = s->pushing;
	if (!s->pushing)
		(void)reload(s, &rep); /* Logged. */
}

static bool is_adopted(const struct server *s)
{
	return server_all_use(s, &s->settings->options) &&
	       server_all_have(s, targets_table(s->targets));
}

/* Told when it is true of every worker: of new connections, and of what is asked for from now on. */
void server_tell_reloaded(struct server *s)
{
	if (!s->reloading || !is_adopted(s))
		return;
	s->reloading = false;
	LOG_ALWAYS(LOG_INFO, "reloaded",
		   LOG_U64("generation", targets_table(s->targets)->generation));
}

/* Workers need nothing of this thread for it. */
static bool wait_adopted(struct server *s)
{
	const struct timespec pause = { .tv_nsec = ADOPT_POLL_NS };
	uint64_t until_ns = gw_now_ns() + ADOPT_WAIT_NS;

	ring_flush(s->ring); /* The bells that wake them. */
	while (!is_adopted(s) && gw_now_ns() < until_ns)
		(void)nanosleep(&pause, NULL); /* A shorter one does no harm. */
	return is_adopted(s);
}

static int refuse(const struct report *rep, int r, struct control_error *error)
{
	char text[REPORT_PATH_MAX + REPORT_TEXT_MAX + 64];
	size_t len;

	error->code = "config_rejected";
	if (rep->n == 0) {
		(void)snprintf(error->message, sizeof(error->message), "%s", strerror(-r));
		return -EINVAL;
	}
	len = report_format(rep, 0, text, sizeof(text));
	/* The rest stands in the log. */
	(void)snprintf(error->message, sizeof(error->message), "%.*s", (int)len, text);
	return -EINVAL;
}

static int run_reload(void *owner, const struct document_node *args, struct pack *result,
		      struct control_error *error)
{
	struct server *s = owner;
	struct report rep;
	bool adopted;
	int r;

	(void)args;
	if (s->state != SERVER_SERVING)
		return server_refuse(error, "state", "the daemon is %s", server_state_name(s));
	if (s->pushing)
		return server_refuse(error, "busy", "a push is under way; try again");
	r = reload(s, &rep);
	if (r < 0)
		return refuse(&rep, r, error);
	adopted = wait_adopted(s);
	server_tell_reloaded(s);
	pack_map(result, 2);
	pack_entry_u64(result, "generation", targets_table(s->targets)->generation);
	pack_entry_bool(result, "adopted", adopted);
	return 0;
}

const struct control_command server_commands[SERVER_N_COMMANDS] = {
	{ "reload", "read the configuration, certificates and keys again, as HUP does",
	  run_reload },
	{ "push_policy",
	  "policy, and maybe expect_generation, dry_run: have all workers judge by it",
	  server_run_push_policy },
	{ "get_policy",
	  "maybe generation: the policy in force or one that is kept, as it was pushed",
	  server_run_get_policy },
	{ "policy_history", "the policies that are kept, the latest first",
	  server_run_policy_history },
	{ "rollback_policy",
	  "maybe generation, expect_generation: push one that is kept once more; without a number "
	  "the one before",
	  server_run_rollback_policy },
	{ "explain",
	  "method, url, and maybe fields, client, certificate: what would become of such a request, and "
	  "why",
	  server_run_explain },
};
