/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "core/server/server_private.h"

#define WAIT_MAX_NS (1000 * GW_NS_PER_MS)

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
	case EACCES:
		return OPTIONS_NO_PERMISSION;
	default:
		return OPTIONS_RUN_TIME;
	}
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
	server_tear_down(s);
	return OPTIONS_OK;
}
