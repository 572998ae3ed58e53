/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_fault.h - why there is no connection to an upstream: not reached, not believed, or not
 * understood.
 *
 * Threads: the worker's.
 */
#pragma once

#include "core/base/metric.h"
#include "core/base/reason.h"
#include "core/proxy/transport.h"

/*
 * 'connected' said 'res' < 0: what the request is told, and *ret_failure for the metric, _N when
 * TLS has nothing to do with it.
 */
enum reason upstream_fault(const struct transport *t, int res,
			   enum metric_tls_failure *ret_failure);
