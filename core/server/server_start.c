/* SPDX-License-Identifier: Apache-2.0 */
/* Setting the daemon up and taking it down again. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/bits.h"
#include "core/proxy/account.h"
#include "core/server/control_group.h"
#include "core/server/server_private.h"
#include "policy/keyring.h"
#include "ring/ring_feature.h"

#define ADDRESS_WAIT_NS (2 * GW_NS_PER_S) /* For what a killed predecessor listened on. */
#define ADDRESS_POLL_NS (20 * GW_NS_PER_MS)
#define POLL_NS         (50 * GW_NS_PER_MS)
#define RESOLVE_WAIT_NS (2 * GW_NS_PER_S) /* For names, before traffic is taken. */
#define CLOSE_WAIT_NS   (2 * GW_NS_PER_S)
#define LOG_FLUSH_MS    2000

static void control_closed(void *owner)
{
	struct server *s = owner;

	s->control_is_closed = true;
}

static int fail(const char *what, int r)
{
	LOG_ALWAYS(LOG_ERROR, "start_failed", LOG_STR("what", slice_of(what)),
		   LOG_ERRNO("error", r));
	return r;
}

/*
 * A process that was killed is gone before its listeners are: the kernel takes a ring apart, and
 * with it what the ring accepts on, some time after that. So an address in use is tried again.
 */
static bool address_may_come_free(int r, uint64_t until_ns)
{
	const struct timespec pause = { .tv_nsec = ADDRESS_POLL_NS };

	if (r != -EADDRINUSE || gw_now_ns() >= until_ns)
		return false;
	(void)nanosleep(&pause, NULL); /* A shorter one does no harm. */
	return true;
}

static int open_log(struct server *s)
{
	const struct config_access_log *access = &s->settings->config->access_log;
	char path[PATH_MAX];
	struct log_options opt = {
		.access_format = account_format,
		.access_record_size = sizeof(struct account_record),
		.level = LOG_INFO,
	};
	int r;

	if (access->path.len) {
		bool is_stdout = slice_eq(access->path, SLICE("stdout"));

		if (access->path.len >= sizeof(path))
			return fail("access log", -ENAMETOOLONG);
		memcpy(path, access->path.ptr, access->path.len);
		path[access->path.len] = '\0';
		opt.access_path = is_stdout ? "-" : path;
	}
	r = log_create(&opt, &s->log);
	if (r < 0)
		return fail("log", r);
	r = log_attach(s->log, UINT32_MAX, &s->log_source);
	return r < 0 ? fail("log", r) : 0;
}

/* The control thread's own ring, and a small proxy for what is served on it. */
static int open_home(struct server *s)
{
	static const struct policy_table no_table = { .size = sizeof(no_table),
						      .edition = 1,
						      .any_host = POLICY_NO_HOST };
	static struct policy_seat seat;
	static struct proxy_options options;
	struct ring_options ring = {
		.files_max = 256, .bufs_max = 256, .bufs_posted = 32, .pipes_max = 1
	};
	struct proxy_parts parts = { .options = &options, .shared = s->shared, .seat = &seat };
	int r;

	seat_offer(&seat, &no_table);
	options = s->settings->options;
	options.clients_max = 1;
	options.upstreams_max = 1;
	options.heads_max = 64;
	options.log_sample = 0;
	options.sealed_max = 0;
	options.h2_streams_max = 0;
	options.certs = NULL;
	r = ring_open(&ring, &s->ring);
	if (r < 0)
		return fail("ring", r);
	ring_on_post(s->ring, server_posted, s);
	r = ring_enable(s->ring);
	if (r < 0)
		return fail("ring", r);
	r = metric_create(METRIC_NO_WORKER, &s->metrics);
	if (r == 0)
		r = metric_create(METRIC_NO_WORKER, &s->own);
	if (r < 0)
		return fail("metrics", r);
	s->metric_sets[0] = s->own;
	parts.ring = s->ring;
	parts.metrics = s->metrics;
	r = proxy_create(&parts, &s->proxy);
	return r < 0 ? fail("memory", r) : 0;
}

static int open_admin(struct server *s)
{
	const struct admin_source source = { s, server_metrics, server_unready };
	char text[RING_ADDR_TEXT];
	struct ring_addr addr;
	uint64_t until_ns = gw_now_ns() + ADDRESS_WAIT_NS;
	int r;

	if (s->settings->config->admin.address.len == 0)
		return 0;
	r = ring_addr_parse(s->settings->config->admin.address, &addr);
	GW_ASSERT(r == 0);
	do
		r = admin_open(s->proxy, &addr, &source, &s->admin);
	while (address_may_come_free(r, until_ns));
	if (r < 0)
		return fail("admin listener", r);
	LOG_ALWAYS(
		LOG_INFO, "admin_listening",
		LOG_STR("address", slice_make(text, ring_addr_format(admin_addr(s->admin), text))));
	return 0;
}

static int open_jobs(struct server *s)
{
	int r = jobs_open(s->ring, &s->jobs);

	return r < 0 ? fail("jobs thread", r) : 0;
}

static int control_failed(const char *path, int r, const char *why)
{
	LOG_ALWAYS(LOG_ERROR, "start_failed", LOG_STR("what", SLICE("control socket")),
		   LOG_STR("path", slice_of(path)), LOG_STR("error", slice_of(why)));
	return r;
}

/* Where the folder is of our own making. A group that cannot be let in is no reason not to serve. */
static void share_control(const struct config_control *config, const char *path)
{
	size_t len = slice_find_last(slice_of(path), '/');
	char folder[CONTROL_PATH_MAX];
	struct control_group group;
	const char *why;

	if (!slice_eq(config->path, SLICE("auto")) ||
	    control_group_find(config->group, &group) < 0 || !group.is_set)
		return;
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)len, path);
	why = control_share(folder, group.gid);
	if (why)
		LOG_ALWAYS(LOG_WARN, "control_group_shut_out", LOG_STR("group", config->group),
			   LOG_STR("path", slice_of(folder)), LOG_STR("why", slice_of(why)));
}

static int listen_for_control(struct server *s, const char *path)
{
	const struct config_control *config = &s->settings->config->control;
	const struct control_options opt = {
		.path = slice_of(path),
		.group = config->group,
		.owner = s,
		.status = server_status,
		.reply_extra = server_reply_extra,
		.commands = server_commands,
		.n_commands = SERVER_N_COMMANDS,
		.denied = server_denied,
		.closed = control_closed,
		.jobs = s->jobs,
	};
	const char *obstacle = control_obstacle(path);
	uint64_t until_ns = gw_now_ns() + ADDRESS_WAIT_NS;
	int r;

	if (obstacle)
		return control_failed(path, -EADDRINUSE, obstacle);
	do
		r = control_open(s->ring, &opt, &s->control);
	while (address_may_come_free(r, until_ns));
	if (r == -ESRCH)
		return control_failed(path, r, "there is no such group as control.group says");
	if (r < 0)
		return control_failed(path, r, strerror(-r));
	share_control(config, path);
	LOG_ALWAYS(LOG_INFO, "control_listening", LOG_STR("path", opt.path));
	return 0;
}

static int open_control(struct server *s)
{
	char path[CONTROL_PATH_MAX];
	const char *why;
	size_t len = control_path(s->settings->config->control.path, path, &why);

	if (len == 0 && why)
		LOG_ALWAYS(LOG_WARN, "control_off", LOG_STR("why", slice_of(why)));
	return len ? listen_for_control(s, path) : 0;
}

static int open_targets(struct server *s)
{
	struct targets_options opt = {
		.ring = s->ring,
		.keyring = s->shared->keyring,
		.changed = server_table_changed,
		.owner = s,
	};
	uint64_t until_ns;
	int r;

	if (s->options->demo) {
		r = origin_open(s->proxy, &s->origin);
		if (r < 0)
			return fail("demo origin", r);
	}
	r = targets_open(&opt, &s->targets);
	if (r < 0)
		return fail("upstreams", r);
	r = server_begin_policy(s);
	if (r < 0)
		return r == -EBADMSG ? r : fail("policy", r); /* The first is logged. */
	until_ns = gw_now_ns() + RESOLVE_WAIT_NS;
	while (!targets_are_known(s->targets) && gw_now_ns() < until_ns) {
		r = ring_turn(s->ring, POLL_NS);
		if (r < 0)
			return fail("ring", r);
	}
	return 0;
}

static void log_listeners(const struct worker_listener *listeners, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		char text[RING_ADDR_TEXT];
		size_t len = ring_addr_format(&listeners[i].addr, text);

		LOG_ALWAYS(LOG_INFO, "listening", LOG_STR("address", slice_make(text, len)));
	}
}

static int worker_failed(const struct worker *w, const char *what, int r)
{
	char text[RING_ADDR_TEXT];
	uint32_t i = w->n_listening;

	if (i < w->parts.n_listeners)
		LOG_ALWAYS(LOG_ERROR, "listen_failed",
			   LOG_STR("address",
				   slice_make(text,
					      ring_addr_format(&w->parts.listeners[i].addr, text))),
			   LOG_ERRNO("error", r));
	return fail(what, r);
}

static int start_workers(struct server *s)
{
	const struct config *config = s->settings->config;
	struct worker_parts parts = {
		.options = &s->settings->options,
		.shared = s->shared,
		.table = targets_table(s->targets),
		.log = s->log,
		.home = s->ring,
		.n_listeners = config->n_listeners,
		.ring = { .files_max = s->capacity.files,
			  .bufs_max = s->capacity.bufs,
			  .bufs_kept = s->capacity.bufs / 2,
			  .pipes_max = s->capacity.pipes,
			  .feature_mask = s->feature_mask,
			  .fault_seed = s->fault_seed,
			  .registered = false }, /* docs/notes: no gain measured. */
	};
	int cpus[CONFIG_WORKERS_MAX];
	uint32_t n_cpus = thread_cpus(cpus, CONFIG_WORKERS_MAX);
	uint64_t until_ns = gw_now_ns() + ADDRESS_WAIT_NS;
	int r = settings_listeners(config, &s->listeners);

	if (r < 0)
		return fail("listeners", r);
	parts.listeners = s->listeners;
	for (uint32_t i = 0; i < s->n_workers; i++) {
		const char *what;

		parts.index = i;
		parts.cpu = s->n_workers <= n_cpus ? cpus[i] : -1;
		do
			r = worker_start(&s->workers[i], &parts, &what);
		while (address_may_come_free(r, until_ns));
		if (r < 0)
			return worker_failed(&s->workers[i], what, r);
		s->metric_sets[i + 1] = s->workers[i].metrics;
		s->rings[i] = s->workers[i].ring;
		s->n_running++;
	}
	log_listeners(parts.listeners, parts.n_listeners);
	return 0;
}

/* Buckets of what a policy limits, and places for the keys that it trusts. */
static int reserve_for_policies(struct server *s)
{
	uint64_t n_keys = s->first->config->limits.rate_keys;
	struct hash_key key;
	int r = rng_system(&key, sizeof(key));

	if (r == 0)
		r = limits_create(bits_pow2_up(n_keys), s->n_workers, key, &s->shared->limits);
	if (r == 0)
		r = keyring_create(s->n_workers, &s->shared->keyring);
	return r < 0 ? fail("memory", r) : 0;
}

static int reserve(struct server *s)
{
	int r;

	if (s->capacity.warning[0])
		LOG_ALWAYS(LOG_WARN, "capacity", LOG_STR("text", slice_of(s->capacity.warning)));
	s->shared = calloc(1, sizeof(*s->shared));
	s->workers = calloc(s->n_workers, sizeof(*s->workers));
	s->metric_sets = calloc(s->n_workers + 1, sizeof(*s->metric_sets));
	s->rings = calloc(s->n_workers, sizeof(*s->rings));
	if (!s->shared || !s->workers || !s->metric_sets || !s->rings)
		return fail("memory", -ENOMEM);
	r = rng_system(&s->shared->peers.key, sizeof(s->shared->peers.key));
	if (r == 0)
		r = rng_system(&s->shared->handshakes.key, sizeof(s->shared->handshakes.key));
	return r == 0 && config_has_policy(s->first->config) ? reserve_for_policies(s) : r;
}

/* SLUICE_URING_MASK hides features, SLUICE_FAULTS makes the ring misbehave: both for tests. */
static int read_environment(struct server *s)
{
	const char *mask = getenv("SLUICE_URING_MASK");
	const char *faults = getenv("SLUICE_FAULTS");
	struct ring_probe probe;
	int r = ring_probe(slice_of(mask), &probe);

	if (r < 0) {
		LOG_ALWAYS(LOG_ERROR, "io_uring", LOG_STR("text", slice_of(probe.line)));
		return r;
	}
	LOG_ALWAYS(LOG_INFO, "io_uring", LOG_STR("text", slice_of(probe.line)));
	s->feature_mask = ~probe.features;
	if (faults && slice_to_u64(slice_of(faults), &s->fault_seed) < 0)
		return fail("SLUICE_FAULTS", -EINVAL);
	return 0;
}

/* Unique to this run, so that a loop through us is told from another gateway like us. */
static int name_ourselves(struct server *s)
{
	struct writer out = writer_make(s->via, sizeof(s->via) - 1);
	uint64_t bits;
	int r = rng_system(&bits, sizeof(bits));

	writer_lit(&out, "sluice-");
	writer_hex(&out, bits >> 24);
	return r;
}

static void listen_to_signals(struct server *s)
{
	static const int signals[] = { SIGTERM, SIGQUIT, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };

	ring_op_init(&s->signals, server_signalled);
	ring_signals(s->ring, &s->signals, signals, ARRAY_SIZE(signals));
}

static int take_config(struct server *s, struct config *config, struct certs *certs)
{
	struct environment_grant grant;
	struct environment_wish wish = {
		.clients = config->limits.connections,
		.n_workers = config->workers ? (uint32_t)config->workers : environment_cpus(),
		.n_listeners = config->n_listeners,
		.tls_clients = certs_have_listeners(certs),
		.tls_upstreams = certs && certs->n_trusts > 0,
	};
	int r = name_ourselves(s);

	s->n_workers = wish.n_workers;
	environment_grant(&grant);
	environment_capacity(&wish, &grant, &s->capacity);
	if (r == 0 && certs)
		r = certs_serve(certs, s->n_workers);
	if (r < 0) {
		certs_free(certs);
		config_free(config);
		return r;
	}
	r = settings_create(config, certs, &s->capacity, slice_of(s->via), &s->settings);
	s->first = s->settings;
	return r;
}

static int run_steps(struct server *s)
{
	static int (*const steps[])(struct server *) = {
		open_log,  read_environment, reserve,      open_home,    open_admin,
		open_jobs, open_control,     open_targets, start_workers
	};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int r = steps[i](s);

		if (r < 0)
			return r;
	}
	return 0;
}

int server_set_up(struct server *s, struct config *config, struct certs *certs)
{
	int r = take_config(s, config, certs);

	if (r < 0)
		return r;
	r = run_steps(s);
	if (r < 0) {
		server_tell(s, WORKER_ABORT);
		server_tell(s, WORKER_LEAVE);
		server_tear_down(s);
		return r;
	}
	server_timers_init(s);
	listen_to_signals(s);
	server_tell_trust(s);
	server_tell_replaced(s);
	server_enter(s, SERVER_SERVING);
	return 0;
}

static bool home_is_quiet(const struct server *s)
{
	return !s->signals.armed && (!s->admin || admin_is_quiet(s->admin)) &&
	       (!s->origin || origin_is_quiet(s->origin)) && (!s->control || s->control_is_closed);
}

static void close_home(struct server *s)
{
	uint64_t until_ns = gw_now_ns() + CLOSE_WAIT_NS;

	if (s->jobs)
		jobs_free(s->jobs);
	s->jobs = NULL;
	if (s->admin)
		admin_close(s->admin);
	if (s->origin)
		origin_close(s->origin);
	if (s->control)
		control_close(s->control);
	ring_cancel(s->ring, &s->signals);
	if (s->targets)
		targets_free(s->targets);
	while (!home_is_quiet(s) && gw_now_ns() < until_ns)
		if (ring_turn(s->ring, POLL_NS) < 0)
			break;
	if (s->admin)
		admin_free(s->admin);
	if (s->origin)
		origin_free(s->origin);
	if (s->proxy)
		proxy_destroy(s->proxy);
	ring_free(s->ring);
}

static void join_workers(struct server *s)
{
	for (uint32_t i = 0; i < s->n_running; i++) {
		worker_join(&s->workers[i]);
		metric_destroy(s->workers[i].metrics);
	}
}

void server_tear_down(struct server *s)
{
	server_policy_free(&s->policy);
	join_workers(s);
	if (s->ring)
		close_home(s);
	if (s->metrics)
		metric_destroy(s->metrics);
	if (s->own)
		metric_destroy(s->own);
	if (s->log_source)
		log_detach(s->log_source);
	if (s->log)
		log_destroy(s->log, LOG_FLUSH_MS);
	for (struct list_node *node; (node = list_pop_front(&s->old_settings));)
		settings_free(list_entry(node, struct settings, link));
	if (s->first != s->settings)
		settings_free(s->first);
	settings_free(s->settings);
	free(s->rings);
	free(s->metric_sets);
	free(s->workers);
	free(s->listeners);
	if (s->shared) {
		limits_destroy(s->shared->limits);
		keyring_destroy(s->shared->keyring);
	}
	free(s->shared);
}
