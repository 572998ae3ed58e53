/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's states: signals, drain, and what workers are told. */
#include <errno.h>
#include <sched.h>
#include <signal.h>

#include "core/base/clock.h"
#include "core/server/server_private.h"

#define TICK_NS    (50 * GW_NS_PER_MS) /* How often what nobody uses any more is looked for. */
#define TICKETS_NS (12 * 3600 * GW_NS_PER_S) /* A key for session tickets lives twice as long. */

#define TO(state) (1u << SERVER_##state)
static const uint8_t may_follow[SERVER_N_STATES] = {
#define X(name, next) [SERVER_##name] = (next),
	SERVER_STATES(X)
#undef X
};

static const char *const state_names[SERVER_N_STATES] = { "starting", "serving",  "draining",
							  "draining", "stopping", "stopped" };

/* --- Words to workers. ----------------------------------------------------------------------- */

/*
 * A mailbox that is full empties as its worker turns. Never by a turn of our own
 * ring: this may run inside one.
 */
static void tell_one(struct worker *w, uint64_t word)
{
	while (GW_COUNT_IF(worker_post(w, word) == -EAGAIN, "worker_mailbox_full"))
		sched_yield();
}

void server_tell(struct server *s, uint64_t word)
{
	for (uint32_t i = 0; i < s->n_running; i++)
		if (s->rings[i])
			tell_one(&s->workers[i], word);
}

void server_table_changed(void *owner, const struct policy_table *table)
{
	struct server *s = owner;
	uint64_t now_ns = gw_now_ns(); /* The ring's is older than the table. */

	s->offered_ns = now_ns;

	for (uint32_t i = 0; i < s->n_running; i++)
		seat_renew(worker_seat(&s->workers[i]), table, now_ns);
	server_tell(s, WORKER_ADOPT);
}

bool server_all_have(const struct server *s, const struct policy_table *table)
{
	for (uint32_t i = 0; i < s->n_running; i++)
		if (s->rings[i] && !seat_has(worker_seat(&s->workers[i]), table))
			return false;
	return true;
}

bool server_all_use(const struct server *s, const struct proxy_options *options)
{
	for (uint32_t i = 0; i < s->n_running; i++)
		if (s->rings[i] && !worker_uses(&s->workers[i], options))
			return false;
	return true;
}

/* Tables and settings that every worker has left behind. */
static void release_old(struct server *s)
{
	const struct policy_table *table = targets_table(s->targets);

	if (!server_all_have(s, table))
		return;
	targets_release(s->targets, table);
	if (!server_all_use(s, &s->settings->options))
		return;
	list_each(node, &s->old_settings)
	{
		struct settings *old = list_entry(node, struct settings, link);

		if (!certs_are_idle(old->certs))
			continue;
		list_remove(node);
		settings_free(old);
	}
}

/* --- States. --------------------------------------------------------------------------------- */

static void not_ready(struct server *s)
{
	atomic_store_explicit(&s->shared->unready, true, memory_order_relaxed);
	metric_gauge_set(s->own, METRIC_DRAINING, 1);
}

void server_enter(struct server *s, enum server_state next)
{
	const struct config_timeouts *t = &s->settings->config->timeouts;

	GW_ASSERT(may_follow[s->state] & (1u << next));
	s->state = (uint8_t)next;
	if (next != SERVER_STARTING)
		LOG_ALWAYS(LOG_INFO, "state", LOG_STR("state", slice_of(state_names[next])));
	switch (next) {
	case SERVER_GRACE:
		not_ready(s);
		ring_timer_set(s->ring, &s->deadline, ring_now_ns(s->ring) + t->drain_grace_ns);
		break;
	case SERVER_DRAINING:
		ring_timer_set(s->ring, &s->deadline, ring_now_ns(s->ring) + t->drain_ns);
		server_tell(s, WORKER_DRAIN);
		break;
	case SERVER_ABORTING:
		not_ready(s);
		ring_timer_cancel(s->ring, &s->deadline);
		server_tell(s, WORKER_ABORT);
		break;
	case SERVER_STOPPED:
		ring_timer_cancel(s->ring, &s->deadline);
		ring_timer_cancel(s->ring, &s->tick);
		break;
	case SERVER_STARTING:
	case SERVER_SERVING:
		break;
	case SERVER_N_STATES:
		GW_UNREACHABLE();
	}
}

static void deadline_came(struct ring_timer *timer)
{
	struct server *s = GW_CONTAINER_OF(timer, struct server, deadline);

	if (s->state == SERVER_GRACE)
		server_enter(s, SERVER_DRAINING);
	else if (s->state == SERVER_DRAINING)
		server_enter(s, SERVER_ABORTING);
}

static void renew_tickets(struct server *s)
{
	uint64_t now_ns = ring_now_ns(s->ring);

	if (!s->settings->certs || now_ns - s->tickets_ns < TICKETS_NS)
		return;
	s->tickets_ns = now_ns;
	certs_renew_tickets(s->settings->certs);
}

static void ticked(struct ring_timer *timer)
{
	struct server *s = GW_CONTAINER_OF(timer, struct server, tick);

	server_tell_reloaded(s);
	renew_tickets(s);
	release_old(s);
	ring_timer_set(s->ring, timer, ring_now_ns(s->ring) + TICK_NS);
}

static void worker_ended(struct server *s, uint64_t index)
{
	GW_ASSERT(index < s->n_running && s->rings[index]);
	s->rings[index] = NULL;
	tell_one(&s->workers[index], WORKER_LEAVE);
	s->n_ended++;
	if (s->n_ended == s->n_running)
		server_enter(s, SERVER_STOPPED);
}

void server_posted(void *owner, uint64_t word)
{
	struct server *s = owner;

	if (word < JOBS_WORD)
		worker_ended(s, word);
	else if (s->jobs) /* Else it was for a start that has failed. */
		jobs_posted(s->jobs, word);
}

/* --- Signals. -------------------------------------------------------------------------------- */

static void stop_asked(struct server *s, bool now)
{
	if (now || s->state == SERVER_GRACE || s->state == SERVER_DRAINING) {
		if (s->state != SERVER_ABORTING && s->state != SERVER_STOPPED)
			server_enter(s, SERVER_ABORTING);
	} else if (s->state == SERVER_SERVING) {
		server_enter(s, SERVER_GRACE);
	}
}

void server_signalled(struct ring_op *op, const struct ring_answer *answer)
{
	struct server *s = GW_CONTAINER_OF(op, struct server, signals);

	switch (answer->res) {
	case SIGTERM:
	case SIGQUIT:
		stop_asked(s, false);
		break;
	case SIGINT:
		stop_asked(s, true);
		break;
	case SIGHUP:
		server_reload_asked(s);
		break;
	case SIGUSR1:
		log_reopen(s->log);
		break;
	default: /* SIGUSR2 is kept for the hot upgrade; or the end. */
		break;
	}
}

const char *server_state_name(const struct server *s)
{
	return state_names[s->state];
}

void server_timers_init(struct server *s)
{
	ring_timer_init(&s->tick, ticked);
	ring_timer_init(&s->deadline, deadline_came);
	s->tickets_ns = ring_now_ns(s->ring);
	ring_timer_set(s->ring, &s->tick, ring_now_ns(s->ring) + TICK_NS);
}
