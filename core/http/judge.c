/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/judge.h"

#include "core/http/frame.h"
#include "core/http/hop.h"
#include "core/http/target.h"
#include "core/http/trace.h"
#include "core/http/upgrade.h"

static struct http_refusal refuse(uint16_t status, enum reason reason)
{
	return (struct http_refusal){ .status = status, .reason = (uint16_t)reason };
}

static const struct http_refusal fine = { .reason = REASON_NONE };

static uint64_t bit(enum http_field_id id)
{
	return UINT64_C(1) << id;
}

static bool has(const struct http_head *head, enum http_field_id id)
{
	return (head->ids & bit(id)) != 0;
}

/* llhttp leaves out blanks before a value, but not those behind it. */
static void trim_value(const struct http_head *head, struct http_span *value)
{
	const char *text = head->base + value->off;

	while (value->len > 0 && (text[value->len - 1] == ' ' || text[value->len - 1] == '\t'))
		value->len--;
}

/* Ids, values, and what is never passed on. Returns the set of ids that came twice. */
static uint64_t name_fields(struct http_head *head)
{
	uint64_t twice = 0;

	for (uint32_t i = 0; i < head->n_fields; i++) {
		struct http_field *field = &head->fields[i];
		enum http_field_id id = http_field_id(http_text(head, field->name));
		enum http_field_class class = http_field_class(id);

		trim_value(head, &field->value);
		field->id = (uint8_t)id;
		field->dropped = class == HTTP_CLASS_HOP || class == HTTP_CLASS_FRAMING;
		twice |= head->ids & bit(id);
		head->ids |= bit(id);
	}
	return twice;
}

/* Servers behind CGI-like interfaces take '_' for '-': X_Real_IP would be ours. */
static bool has_underscore(const struct http_head *head)
{
	for (uint32_t i = 0; i < head->n_fields; i++) {
		struct slice name = http_text(head, head->fields[i].name);

		if (head->fields[i].id == HTTP_FIELD_OTHER && memchr(name.ptr, '_', name.len))
			return true;
	}
	return false;
}

static uint32_t count_pairs(struct slice cookies)
{
	uint32_t n = 1;

	for (size_t i = 0; i < cookies.len; i++)
		n += cookies.ptr[i] == ';';
	return n;
}

static struct http_refusal judge_cookies(const struct http_head *head)
{
	uint32_t len = 0, n_pairs = 0;

	for (uint32_t i = 0; i < head->n_fields; i++) {
		struct slice value = http_text(head, head->fields[i].value);

		if (head->fields[i].id != HTTP_FIELD_COOKIE)
			continue;
		len += (uint32_t)value.len;
		n_pairs += count_pairs(value);
	}
	return len > JUDGE_COOKIE_MAX || n_pairs > JUDGE_COOKIE_PAIRS_MAX
		       ? refuse(431, REASON_COOKIE_TOO_LARGE)
		       : fine;
}

/* The target comes first: an absolute one has named the host already (RFC 9112 3.2.2). */
static struct http_refusal judge_host(struct http_head *head, char *base, bool twice)
{
	struct http_span named = head->host, span = { 0 };
	uint16_t port, host_len;

	if (twice)
		return refuse(400, REASON_HOST_DUPLICATE);
	if (!has(head, HTTP_FIELD_HOST))
		return head->minor == 0 && named.len > 0 ? fine : refuse(400, REASON_HOST_MISSING);
	for (uint32_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].id == HTTP_FIELD_HOST)
			span = head->fields[i].value;
	if (target_canonical_host(base + span.off, span.len, &host_len, &port) != REASON_NONE)
		return refuse(400, REASON_HOST_INVALID);
	span.len = host_len;
	if (named.len == 0) {
		head->host = span;
		head->port = port;
	} else if (port != head->port || !slice_eq(http_text(head, named), http_text(head, span))) {
		head->anomalies |= HTTP_ANOMALY_HOST_MISMATCH;
	}
	return fine;
}

/* "100-continue" and nothing else; from HTTP/1.0 it means nothing (RFC 9110 10.1.1). */
static struct http_refusal judge_expect(struct http_head *head)
{
	for (uint32_t i = 0; i < head->n_fields; i++) {
		struct http_field *field = &head->fields[i];

		if (field->id != HTTP_FIELD_EXPECT)
			continue;
		if (head->minor == 0)
			field->dropped = true;
		else if (!slice_eq_nocase(http_text(head, field->value), SLICE("100-continue")))
			return refuse(417, REASON_EXPECTATION_FAILED);
		else
			head->expect_continue = true;
	}
	return fine;
}

/* What is rare enough to be looked for only when its id is there. */
static struct http_refusal judge_rare(struct http_head *head, uint64_t twice)
{
	struct http_refusal refusal = fine;

	if (twice & bit(HTTP_FIELD_AUTHORIZATION))
		return refuse(400, REASON_AUTH_AMBIGUOUS);
	if (has(head, HTTP_FIELD_COOKIE))
		refusal = judge_cookies(head);
	if (refusal.reason == REASON_NONE && has(head, HTTP_FIELD_EXPECT))
		refusal = judge_expect(head);
	if (head->ids & (bit(HTTP_FIELD_TRACEPARENT) | bit(HTTP_FIELD_TRACESTATE)))
		trace_check(head);
	return refusal;
}

struct http_refusal judge_request(struct http_head *head, char *base, bool secure)
{
	uint64_t twice = name_fields(head);
	struct http_refusal refusal, target;

	GW_ASSERT(base == head->base);
	if (has(head, HTTP_FIELD_OTHER) && has_underscore(head))
		return refuse(400, REASON_HEADER_UNDERSCORE);
	refusal = frame_request(head);
	if (refusal.reason != REASON_NONE)
		return refusal;
	target = target_resolve(head, base, secure);
	if (target.reason != REASON_NONE && !target.keep)
		return target;
	refusal = judge_host(head, base, twice & bit(HTTP_FIELD_HOST));
	if (refusal.reason == REASON_NONE)
		refusal = judge_rare(head, twice);
	if (refusal.reason != REASON_NONE)
		return refusal;
	head->close = head->minor == 0;
	if (has(head, HTTP_FIELD_CONNECTION) && hop_apply(head, false) != REASON_NONE)
		return refuse(400, REASON_CONNECTION_ABUSE);
	if (has(head, HTTP_FIELD_UPGRADE))
		head->upgrade = (uint8_t)upgrade_asked(head);
	/* What is left leaves the message whole: the connection may go on. */
	if (head->method == HTTP_TRACE)
		return (struct http_refusal){ 405, REASON_METHOD_NOT_ALLOWED, true };
	return target;
}

struct http_refusal judge_response(struct http_head *head)
{
	enum http_upgrade asked = (enum http_upgrade)head->upgrade;

	name_fields(head);
	head->upgrade = HTTP_UPGRADE_NONE;
	head->close = head->minor == 0;
	if (has(head, HTTP_FIELD_CONNECTION) && hop_apply(head, true) != REASON_NONE)
		return refuse(502, REASON_UPSTREAM_HEADER);
	if (head->status == 101) {
		if (!upgrade_is_to(head, asked))
			return refuse(502, REASON_UPSTREAM_UPGRADE);
		head->upgrade = (uint8_t)asked;
	}
	return frame_response(head);
}
