/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/upstream_fault.h"

#include <errno.h>

#include "core/proxy/sealed.h"

static enum reason connect_reason(int res)
{
	switch (-res) {
	case ETIMEDOUT:
		return REASON_UPSTREAM_CONNECT_TIMEOUT;
	case ENOBUFS:
	case ENOMEM:
	case EADDRNOTAVAIL:
		return REASON_UPSTREAM_RESOURCE;
	default:
		return REASON_UPSTREAM_CONNECT;
	}
}

enum { RECORD_HEAD = 5 };

/* A handshake fails with the head of what is no record: nothing more of it may have come by then. */
static bool is_clear(const struct sealed *sealed)
{
	switch (http_speech_of(slice_make(sealed->first, sealed->n_first))) {
	case HTTP_SPEECH_HTTP1:
	case HTTP_SPEECH_HTTP2:
		return true;
	case HTTP_SPEECH_SHORT:
		return sealed->n_first >= RECORD_HEAD;
	case HTTP_SPEECH_TLS:
	case HTTP_SPEECH_UNKNOWN:
		break;
	}
	return false;
}

/* What a peer that was reached answers to a hello, if it does not shake hands. */
static enum metric_tls_failure failure_of(const struct sealed *sealed, int res)
{
	if (is_clear(sealed))
		return METRIC_TLS_FAILURE_CLEAR;
	if (res != -EPROTO)
		return METRIC_TLS_FAILURE_CLOSED;
	switch (tls_failure(&sealed->tls)) {
	case TLS_FAILURE_CERTIFICATE:
		return METRIC_TLS_FAILURE_CERTIFICATE;
	case TLS_FAILURE_EXPIRED:
		return METRIC_TLS_FAILURE_EXPIRED;
	case TLS_FAILURE_NAME:
		return METRIC_TLS_FAILURE_NAME;
	case TLS_FAILURE_PROTOCOL:
		return METRIC_TLS_FAILURE_PROTOCOL;
	case TLS_FAILURE_ALERT:
		return METRIC_TLS_FAILURE_ALERT;
	case TLS_FAILURE_VERSION:
	case TLS_FAILURE_PLAIN_HTTP:
	case TLS_FAILURE_OTHER:
		break;
	}
	return METRIC_TLS_FAILURE_OTHER;
}

static bool is_mismatch(enum metric_tls_failure failure)
{
	return failure == METRIC_TLS_FAILURE_CLEAR || failure == METRIC_TLS_FAILURE_PROTOCOL;
}

enum reason upstream_fault(const struct transport *t, int res, enum metric_tls_failure *ret_failure)
{
	bool for_room = res == -ENOBUFS || res == -ENOMEM;

	*ret_failure = METRIC_TLS_FAILURE_N;
	if (!t->sealed || !t->sealed->reached || for_room)
		return connect_reason(res);
	*ret_failure = failure_of(t->sealed, res);
	return is_mismatch(*ret_failure) ? REASON_UPSTREAM_PROTOCOL_MISMATCH : REASON_UPSTREAM_TLS;
}
