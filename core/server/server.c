/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "core/server/server_private.h"

#define WAIT_MAX_NS  (1000 * GW_NS_PER_MS)
#define JOBS_WAIT_NS (5 * GW_NS_PER_S)
#define LOG_FLUSH_MS 2000

void server_block_signals(void)
{
	static const int signals[] = { SIGTERM, SIGQUIT, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN); /* Of a valid number: it cannot fail. */
}

static int exit_code_of(int r)
{
	switch (-r) {
	case 0:
		return OPTIONS_OK;
	case EPERM:
	case ENOSYS:
	case ENOTSUP:
		return OPTIONS_NO_FACILITY;
	case EBADMSG: /* Of a policy, or of where they are kept: server_begin.c. */
		return OPTIONS_BAD_CONFIG;
	case EACCES:
		return OPTIONS_NO_PERMISSION;
	default:
		return OPTIONS_RUN_TIME;
	}
}

/*
 * What was given is finished: a policy may be half-way into force, and who pushed it is told. For a
 * disk that does not answer there is no more to wait; then the jobs' thread still uses what we
 * would free, so that this is where the process ends.
 */
static void finish_jobs(struct server *s)
{
	uint64_t until_ns = gw_now_ns() + JOBS_WAIT_NS;

	while (jobs_n_given(s->jobs) > 0 && gw_now_ns() < until_ns) {
		int r = ring_turn(s->ring, until_ns - gw_now_ns());

		GW_ASSERT(r == 0);
	}
	ring_flush(s->ring); /* The last replies. */
	if (jobs_n_given(s->jobs) == 0)
		return;
	LOG_ALWAYS(LOG_ERROR, "job_stuck", LOG_U64("jobs", jobs_n_given(s->jobs)));
	log_detach(s->log_source);
	log_destroy(s->log, LOG_FLUSH_MS);
	_exit(OPTIONS_RUN_TIME);
}

int server_run(const struct options *options, struct config *config, struct certs *certs)
{
	static struct server server;
	struct server *s = &server;
	int r;

	*s = (struct server){ .options = options, .begun_ns = gw_now_ns() };
	list_init(&s->old_settings);
	r = server_set_up(s, config, certs);
	if (r < 0)
		return exit_code_of(r);
	while (s->state != SERVER_STOPPED) {
		r = ring_turn(s->ring, WAIT_MAX_NS);
		GW_ASSERT(r == 0);
		log_kick(s->log_source);
	}
	finish_jobs(s);
	server_tear_down(s);
	return OPTIONS_OK;
}
