/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/worker.h"

#include <errno.h>
#include <sched.h>

#include "core/base/alloc_trap.h"
#include "core/base/log.h"
#include "core/proxy/exchange.h"
#include "core/proxy/upstream.h"
#include "core/server/certs.h"

#define WAIT_MAX_NS (1000 * GW_NS_PER_MS)

enum {
	WORKER_STARTING = 1,
	/* OpenSSL's memory: its tables, and a connection in the middle of a handshake. */
	CRYPTO_BASE = 16 << 20,
	CRYPTO_PER_CLIENT = 64 << 10,
};

/* What the next clients of each listener are shown. */
static void show_certs(struct worker *w)
{
	const struct certs *certs = w->proxy->options->certs;

	for (uint32_t i = 0; certs && i < w->parts.n_listeners; i++)
		w->listeners[i].spec.tls = certs_of_worker(certs, w->parts.index)[i];
}

/* Whom the next connections to upstreams believe. */
static void use_trusts(struct worker *w)
{
	const struct certs *certs = w->proxy->options->certs;

	if (certs && certs->n_trusts)
		upstream_trust(w->proxy, certs_clients_of_worker(certs, w->parts.index),
			       certs->n_trusts);
}

static void posted(void *owner, uint64_t word)
{
	struct worker *w = owner;

	switch (word) {
	case WORKER_ADOPT:
		proxy_table(w->proxy);
		break;
	case WORKER_DRAIN:
		w->ending = true;
		proxy_drain(w->proxy);
		list_each(node, &w->proxy->listeners)
			listener_drain(list_entry(node, struct listener, link));
		break;
	case WORKER_ABORT:
		w->ending = true;
		w->proxy->draining = true;
		proxy_abort(w->proxy);
		break;
	case WORKER_LEAVE:
		w->leaving = true;
		break;
	default:
		GW_ASSERT(word >= WORKER_N_WORDS);
		w->proxy->options = (const struct proxy_options *)(uintptr_t)word;
		show_certs(w);
		use_trusts(w);
		atomic_store_explicit(&w->options, w->proxy->options, memory_order_release);
		break;
	}
}

static int listen_all(struct worker *w)
{
	const struct certs *certs = w->parts.options->certs;

	for (uint32_t i = 0; i < w->parts.n_listeners; i++) {
		struct worker_listener *spec = &w->parts.listeners[i];
		struct listener_spec spoken;
		/* A Unix socket's path is one socket: the first worker's. */
		bool ours = spec->addr.family != AF_UNIX || w->parts.index == 0;
		struct ring_listen how = { .reuse_port = spec->addr.family != AF_UNIX,
					   .mode = 0666,
					   .group = -1 };
		int32_t file;
		int r = ours ? ring_listen(w->ring, &spec->addr, &how, &file) : 0;

		if (!ours)
			continue;
		if (r < 0)
			return r;
		r = ring_local_addr(w->ring, file, &spec->addr);
		GW_ASSERT(r == 0);
		spoken = spec->how;
		spoken.tls = certs ? certs_of_worker(certs, w->parts.index)[i] : NULL;
		listener_open(&w->listeners[i], w->proxy, file, &spoken);
		w->n_listening++;
	}
	return 0;
}

static void stop_listening(struct worker *w)
{
	proxy_abort(w->proxy);
	while (!proxy_is_quiet(w->proxy))
		if (ring_turn(w->ring, WAIT_MAX_NS) < 0)
			break;
}

static int set_up(struct worker *w)
{
	const struct worker_parts *parts = &w->parts;
	struct proxy_parts proxy = {
		.options = parts->options,
		.shared = parts->shared,
		.metrics = w->metrics,
		.seat = &w->seat,
		.worker = parts->index,
	};
	int r;

	r = ring_enable(w->ring);
	if (r < 0)
		return r;
	r = rng_system(&proxy.seed, sizeof(proxy.seed));
	if (r < 0)
		return r;
	proxy.ring = w->ring;
	r = proxy_create(&proxy, &w->proxy);
	if (r < 0)
		return r;
	r = log_attach(parts->log, parts->index, &w->log);
	if (r < 0)
		goto destroy_proxy;
	w->proxy->log = w->log;
	if (recorder_attach(&w->proxy->recorder, parts->index) < 0)
		GW_COUNT_IF(true, "recorder_without_signal_stack");
	use_trusts(w);
	proxy_table(w->proxy);
	r = listen_all(w);
	if (r == 0)
		return 0;
	stop_listening(w);
	recorder_detach(&w->proxy->recorder);
	log_detach(w->log);
destroy_proxy:
	proxy_destroy(w->proxy);
	return r;
}

static void count_turn(struct worker *w)
{
	uint64_t busy = gw_now_ns() - ring_now_ns(w->ring);
	uint64_t n = atomic_load_explicit(&ring_stats(w->ring)->cqes, memory_order_relaxed);

	metric_observe(w->metrics, METRIC_URING_BATCH, n - w->n_cqes);
	w->n_cqes = n;
	metric_inc(w->metrics, METRIC_LOOP_TURNS);
	metric_add(w->metrics, METRIC_WORKER_BUSY, busy);
	metric_observe(w->metrics, METRIC_LOOP_LAG, busy);
}

static void run(struct worker *w)
{
	while (!(w->ending && proxy_is_quiet(w->proxy))) {
		int r = ring_turn(w->ring, WAIT_MAX_NS);

		GW_ASSERT(r == 0); /* Nothing can be served without a ring. */
		count_turn(w);
		log_kick(w->log);
	}
}

/* The ring's counters may be looked at from home until it says otherwise. */
static void say_goodbye(struct worker *w)
{
	int r = 0;

	while (ring_post(w->ring, w->parts.home, w->parts.index) == -EAGAIN && r == 0)
		r = ring_turn(w->ring, GW_NS_PER_MS);
	while (!w->leaving && r == 0)
		r = ring_turn(w->ring, WAIT_MAX_NS);
}

static int take_crypto_pool(struct worker *w)
{
	size_t size = CRYPTO_BASE + (size_t)w->parts.options->sealed_max * CRYPTO_PER_CLIENT;

	return w->parts.options->sealed_max ? crypto_pool_attach(size, &w->crypto) : 0;
}

static void give_crypto_pool(struct worker *w)
{
	if (w->crypto)
		crypto_pool_detach();
}

static void worker_main(void *arg)
{
	struct worker *w = arg;
	int r;

	r = take_crypto_pool(w);
	if (r == 0)
		r = set_up(w);
	atomic_store_explicit(&w->started, r, memory_order_release);
	if (r < 0) {
		ring_free(w->ring);
		give_crypto_pool(w);
		return;
	}
	gw_forbid_malloc(true);
	run(w);
	gw_forbid_malloc(false);
	log_detach(w->log);
	say_goodbye(w);
	recorder_detach(&w->proxy->recorder);
	proxy_destroy(w->proxy);
	ring_free(w->ring);
	give_crypto_pool(w);
}

static int wait_started(struct worker *w)
{
	int r;

	while ((r = atomic_load_explicit(&w->started, memory_order_acquire)) == WORKER_STARTING)
		sched_yield(); /* Once per process, for a few milliseconds. */
	return r;
}

int worker_start(struct worker *w, const struct worker_parts *parts, const char **ret_what)
{
	char name[16];
	int r;

	*w = (struct worker){ .parts = *parts };
	atomic_init(&w->started, WORKER_STARTING);
	atomic_init(&w->options, parts->options);
	seat_offer(&w->seat, parts->table);
	*ret_what = "metrics";
	r = metric_create(parts->index, &w->metrics);
	if (r < 0)
		return r;
	*ret_what = "ring";
	r = ring_open(&parts->ring, &w->ring);
	if (r < 0)
		goto no_ring;
	ring_on_post(w->ring, posted, w);
	/* A thread's name may be cut. */
	(void)snprintf(name, sizeof(name), "worker-%u", parts->index);
	*ret_what = "thread";
	r = thread_start(&w->thread, name, parts->cpu, worker_main, w);
	if (r < 0)
		goto no_thread;
	*ret_what = "listener";
	r = wait_started(w);
	if (r == 0)
		return 0;
	thread_join(&w->thread);
	goto no_ring;
no_thread:
	ring_free(w->ring);
no_ring:
	metric_destroy(w->metrics);
	return r;
}

int worker_post(struct worker *w, uint64_t word)
{
	return ring_post(w->parts.home, w->ring, word);
}

struct policy_seat *worker_seat(struct worker *w)
{
	return &w->seat;
}

bool worker_uses(const struct worker *w, const struct proxy_options *options)
{
	return atomic_load_explicit(&w->options, memory_order_acquire) == options;
}

void worker_join(struct worker *w)
{
	thread_join(&w->thread);
}
