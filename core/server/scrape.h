/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrape.h - one page of /metrics: what all threads counted, the rings, the process.
 *
 * Data workers are never waited for: their sets and their rings' counters are
 * read relaxed while they run.
 *
 * Threads: any one that may allocate and open files in /proc.
 */
#pragma once

#include <stdint.h>

#include "core/base/growbuf.h"
#include "core/base/log.h"
#include "core/base/metric_render.h"
#include "core/crypto/crypto_pool.h"
#include "ring/ring.h"

struct certs;

/* All of it outlives the call: leave out a ring before it is freed. */
struct scrape_view {
	struct metric_view metrics;
	const struct ring *const *rings; /* Of the data workers. */
	uint32_t n_rings;
	const struct log *log; /* NULL: none. */
	uint64_t n_dns_failures;
	const struct certs *certs; /* NULL: no listener speaks TLS. */
	const struct crypto_pool *const *pools;
	uint32_t n_pools;
};

/* The whole page, Prometheus text 0.0.4; docs/METRICS.md is made from it. */
void scrape_render(const struct scrape_view *view, struct growbuf *out);

/* scrape_tls.c: its part about TLS. */
void scrape_render_tls(const struct scrape_view *view, struct growbuf *out);
