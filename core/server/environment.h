/* SPDX-License-Identifier: Apache-2.0 */
/*
 * environment.h - what the system grants, in words (--check-env) and in capacities.
 *
 * A grant that is smaller than asked for is never a refusal to start: the
 * capacities shrink and one warning says what that means.
 *
 * Threads: the main thread, before workers run.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/gw_assert.h"

/* What is asked for. */
struct environment_wish {
	uint64_t clients;   /* Client connections of the process; 0: as many as can be had. */
	uint32_t n_workers; /* At least 1. */
	uint32_t n_listeners;
	bool tls_clients, tls_upstreams; /* Some of them speak TLS. */
};

/* What the system grants, read by environment_grant(); tests make up their own. */
struct environment_grant {
	uint64_t nofile;     /* Descriptors of the process. */
	uint64_t memlock;    /* Bytes; UINT64_MAX: no limit. */
	uint64_t memory;     /* Bytes of the machine or its cgroup. */
	uint64_t pipe_pages; /* Of this user; UINT64_MAX: no limit. */
};

/* Per worker, for proxy_options and ring_options. */
struct environment_capacity {
	uint32_t clients, upstreams, files, bufs, pipes;
	char warning[256]; /* One line with the consequence; empty: all is as asked for. */
};

/* Raises the soft limit of descriptors to the hard one, then reads what there is. */
void environment_grant(struct environment_grant *ret_grant);

/* Pure. Every figure is at least 1: a tiny grant makes a tiny gateway. */
void environment_capacity(const struct environment_wish *wish,
			  const struct environment_grant *grant,
			  struct environment_capacity *ret_capacity);

/* One worker per CPU that the process may use. */
uint32_t environment_cpus(void);

/*
 * Prints each facility on a line, whether it is there, and what follows if not.
 * The exit code: 0, or 69 when Sluice cannot run here.
 */
GW_MUST_USE int environment_check(FILE *to);
