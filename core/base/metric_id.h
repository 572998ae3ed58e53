/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric_id.h - how the rows of metrics.def and their label values are called in C.
 *
 * Counters, gauges, histograms and keyed counters are numbered apart, each by
 * its own enum. Constants only.
 */
#pragma once

#include "core/base/reason.h"

enum metric_method {
#define METRIC_LABEL_METHOD(id, text) METRIC_METHOD_##id,
#include "core/base/metric_labels.def"
	METRIC_METHOD_N
};

enum metric_anomaly {
#define METRIC_LABEL_ANOMALY(id, text) METRIC_ANOMALY_##id,
#include "core/base/metric_labels.def"
	METRIC_ANOMALY_N
};

enum metric_stripped {
#define METRIC_LABEL_STRIPPED(id, text) METRIC_STRIPPED_##id,
#include "core/base/metric_labels.def"
	METRIC_STRIPPED_N
};

enum metric_pool_close {
#define METRIC_LABEL_POOL_CLOSE(id, text) METRIC_POOL_CLOSE_##id,
#include "core/base/metric_labels.def"
	METRIC_POOL_CLOSE_N
};

enum metric_handshake {
#define METRIC_LABEL_HANDSHAKE(id, text) METRIC_HANDSHAKE_##id,
#include "core/base/metric_labels.def"
	METRIC_HANDSHAKE_N
};

enum metric_h2_code {
#define METRIC_LABEL_H2_CODE(id, text) METRIC_H2_CODE_##id,
#include "core/base/metric_labels.def"
	METRIC_H2_CODE_N
};

enum metric_tls_failure {
#define METRIC_LABEL_TLS_FAILURE(id, text) METRIC_TLS_FAILURE_##id,
#include "core/base/metric_labels.def"
	METRIC_TLS_FAILURE_N
};

enum metric_push {
#define METRIC_LABEL_PUSH(id, text) METRIC_PUSH_##id,
#include "core/base/metric_labels.def"
	METRIC_PUSH_N
};

/* How many cells a row with this label has; REJECTED and CLOSED are indexed by reason. */
enum {
	METRIC_DIM_N_NONE = 1,
	METRIC_DIM_N_WORKER = 1,
	METRIC_DIM_N_REJECTED = REASON_N,
	METRIC_DIM_N_CLOSED = REASON_N,
	METRIC_DIM_N_ANOMALY = METRIC_ANOMALY_N,
	METRIC_DIM_N_STRIPPED = METRIC_STRIPPED_N,
	METRIC_DIM_N_POOL_CLOSE = METRIC_POOL_CLOSE_N,
	METRIC_DIM_N_HANDSHAKE = METRIC_HANDSHAKE_N,
	METRIC_DIM_N_H2_CODE = METRIC_H2_CODE_N,
	METRIC_DIM_N_TLS_FAILURE = METRIC_TLS_FAILURE_N,
	METRIC_DIM_N_PUSH = METRIC_PUSH_N,
};

/* The first cell of each counter and gauge: METRIC_REJECTED + reason is one cell. */
enum metric_counter {
#define METRIC_COUNTER(id, name, dim, unit, help)                                                  \
	METRIC_##id, METRIC_##id##_LAST = METRIC_##id + METRIC_DIM_N_##dim - 1,
#include "core/base/metrics.def"
	METRIC_N_COUNTER_CELLS
};

enum metric_gauge {
#define METRIC_GAUGE(id, name, dim, unit, help) METRIC_##id,
#include "core/base/metrics.def"
	METRIC_N_GAUGES
};

enum metric_hist {
#define METRIC_HISTOGRAM(id, name, buckets, help) METRIC_##id,
#include "core/base/metrics.def"
	METRIC_N_HISTS
};

enum metric_keyed {
#define METRIC_KEYED(id, name, a, b, names, log2_cells, help) METRIC_##id,
#include "core/base/metrics.def"
	METRIC_N_KEYED
};

/* Values of a name label that stand for no slot of the policy. */
#define METRIC_NAME_REJECTED 0xffffu /* "_rejected" */
#define METRIC_NAME_OTHER    0xfffeu /* "_other" */
#define METRIC_NAME_LOCAL    0xfffdu /* "_local": answered by the gateway itself */
