/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - one data worker: a pinned thread with its ring, its proxy and its listeners.
 *
 * The thread never opens files, resolves names, waits or locks, and calls no
 * malloc after its start (trapped in the dev preset). What others want of it
 * comes as a post to its ring, one word each.
 *
 * Threads: worker_start(), worker_post() and worker_join() are the control
 * thread's; the rest of the struct is the worker's while it runs, except the
 * metric set and the ring's statistics, which anyone may read.
 */
#pragma once

#include "core/base/metric.h"
#include "core/base/recorder.h"
#include "core/base/thread.h"
#include "core/crypto/crypto_pool.h"
#include "core/proxy/listener.h"
#include "core/proxy/proxy.h"
#include "core/server/config.h"

struct log;

/* What a post asks for. Larger words are addresses of struct proxy_options to use from now on. */
enum worker_word {
	WORKER_ADOPT = 1, /* A table was offered: take it although there may be no traffic. */
	WORKER_DRAIN,     /* Take what is queued, finish what runs, then end. */
	WORKER_ABORT,     /* End now. */
	WORKER_LEAVE,     /* Nobody looks at the ring any more: after the end was posted home. */
	WORKER_N_WORDS,
};

struct worker_listener {
	struct ring_addr addr;    /* Port 0: any; worker_start() puts the real one here. */
	struct listener_spec how; /* Without the TLS server, which is each worker's own. */
};

/* All of it outlives the worker. */
struct worker_parts {
	uint32_t index;
	int cpu; /* Or -1: not pinned. */
	struct ring_options ring;
	const struct proxy_options *options;
	struct proxy_shared *shared;
	const struct policy_table *table;
	struct log *log;
	struct ring
		*home; /* The control thread's: a post of 'index' says that this one has ended. */
	struct worker_listener *listeners;
	uint32_t n_listeners;
};

struct worker {
	struct thread thread;
	struct worker_parts parts;
	struct ring *ring;
	struct proxy *proxy;
	struct metric_set *metrics;
	struct log_source *log;
	struct crypto_pool *crypto; /* NULL: no listener speaks TLS. */
	struct listener listeners[CONFIG_LISTENERS_MAX];
	_Atomic int started;  /* WORKER_STARTING, then 0 or -errno; written by the worker. */
	uint32_t n_listening; /* Of parts.listeners; after a start that failed: which one it was. */
	/* Written by the worker, read by the control thread. */
	_Atomic(const struct proxy_options *) options;
	struct policy_seat seat;
	uint64_t n_cqes; /* Completions up to the last turn. */
	bool ending, leaving;
};

/*
 * Start the thread and wait until it listens. 0, or -errno with *ret_what
 * naming what failed; then nothing is left.
 */
GW_MUST_USE int worker_start(struct worker *worker, const struct worker_parts *parts,
			     const char **ret_what);

/* From the control thread's ring. A post that finds no room is tried again by the next tick. */
GW_MUST_USE int worker_post(struct worker *worker, uint64_t word);

/* Where tables are offered. */
struct policy_seat *worker_seat(struct worker *worker);

/* The worker has taken these options, and none older are in use there. */
bool worker_uses(const struct worker *worker, const struct proxy_options *options);

/* After WORKER_LEAVE was posted to it. */
void worker_join(struct worker *worker);
