/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/frame.h"

#include "core/http/chars.h"

static struct http_refusal refuse(uint16_t status, enum reason reason)
{
	return (struct http_refusal){ .status = status, .reason = (uint16_t)reason };
}

static bool has(const struct http_head *head, enum http_field_id id)
{
	return (head->ids & UINT64_C(1) << id) != 0;
}

/* What a list of transfer codings says. */
struct codings {
	uint32_t n;
	uint32_t n_chunked;
	bool chunked_last;
	bool known_last; /* A coding that is no framing: gzip and its like. */
	bool malformed;
	bool unusual; /* Not written "chunked" in lower case. */
};

static bool is_compression(struct slice coding)
{
	return slice_eq_nocase(coding, SLICE("gzip")) || slice_eq_nocase(coding, SLICE("x-gzip")) ||
	       slice_eq_nocase(coding, SLICE("deflate")) ||
	       slice_eq_nocase(coding, SLICE("compress")) ||
	       slice_eq_nocase(coding, SLICE("x-compress"));
}

static void add_coding(struct codings *codings, struct slice coding)
{
	codings->chunked_last = slice_eq_nocase(coding, SLICE("chunked"));
	codings->known_last = is_compression(coding);
	codings->n++;
	codings->n_chunked += codings->chunked_last;
	codings->unusual |= codings->chunked_last && !slice_eq(coding, SLICE("chunked"));
	if (coding.len == 0 || !chars_all(coding.ptr, coding.len, CHARS_TOKEN))
		codings->malformed = true;
}

/* All Transfer-Encoding lines are one list (RFC 9110 5.3); here empty elements count. */
static struct codings read_codings(const struct http_head *head)
{
	struct codings codings = { 0 };

	for (uint32_t i = 0; i < head->n_fields; i++) {
		struct slice list, coding;

		if (head->fields[i].id != HTTP_FIELD_TRANSFER_ENCODING)
			continue;
		list = http_text(head, head->fields[i].value);
		codings.malformed |= list.len == 0 || list.ptr[list.len - 1] == ',';
		while (slice_next_token(&list, ',', &coding))
			add_coding(&codings, coding);
	}
	return codings;
}

/* Only "chunked" alone passes. */
static struct http_refusal judge_codings(struct http_head *head)
{
	struct codings codings;

	if (head->minor == 0)
		return refuse(400, REASON_TE_HTTP10);
	codings = read_codings(head);
	if (codings.malformed || codings.n_chunked > 1 ||
	    (codings.n_chunked == 1 && !codings.chunked_last))
		return refuse(400, REASON_TE_INVALID);
	if (codings.n_chunked == 1 && codings.n > 1)
		return refuse(501, REASON_TE_UNSUPPORTED);
	if (codings.n_chunked == 0) /* Where does it end? Nobody knows (RFC 9112 6.3). */
		return refuse(codings.known_last ? 400 : 501, REASON_TE_INVALID);
	if (codings.unusual)
		head->anomalies |= HTTP_ANOMALY_TE_UNNORMALISED;
	head->body = HTTP_BODY_CHUNKED;
	return refuse(0, REASON_NONE);
}

/* One Content-Length, digits only, below 2^63. */
static struct http_refusal judge_length(struct http_head *head)
{
	struct slice value = { 0 };
	uint32_t n_lengths = 0;
	uint64_t length;

	for (uint32_t i = 0; i < head->n_fields; i++) {
		if (head->fields[i].id != HTTP_FIELD_CONTENT_LENGTH)
			continue;
		value = http_text(head, head->fields[i].value);
		n_lengths++;
	}
	if (n_lengths > 1)
		return refuse(400, REASON_CL_DUPLICATE);
	if (slice_to_u64(value, &length) < 0)
		return refuse(400, REASON_CL_INVALID);
	if (length > INT64_MAX)
		return refuse(413, REASON_BODY_TOO_LARGE);
	if (value.len > 1 && value.ptr[0] == '0')
		head->anomalies |= HTTP_ANOMALY_CL_UNNORMALISED;
	head->has_length = true;
	head->content_length = length;
	return refuse(0, REASON_NONE);
}

/* 'body' becomes CHUNKED where that is said; has_length and content_length are set. */
static struct http_refusal judge_framing(struct http_head *head)
{
	struct http_refusal refusal = { 0 };

	if (has(head, HTTP_FIELD_TRANSFER_ENCODING))
		refusal = judge_codings(head);
	if (refusal.reason == REASON_NONE && has(head, HTTP_FIELD_CONTENT_LENGTH))
		refusal = head->body == HTTP_BODY_CHUNKED ? refuse(400, REASON_CL_TE_CONFLICT)
							  : judge_length(head);
	return refusal;
}

struct http_refusal frame_request(struct http_head *head)
{
	const uint64_t framing = UINT64_C(1) << HTTP_FIELD_TRANSFER_ENCODING |
				 UINT64_C(1) << HTTP_FIELD_CONTENT_LENGTH;
	struct http_refusal refusal;

	if (!(head->ids & framing)) /* Most requests: no body. */
		return refuse(0, REASON_NONE);
	refusal = judge_framing(head);
	if (refusal.reason == REASON_NONE && head->body == HTTP_BODY_NONE &&
	    head->content_length > 0)
		head->body = HTTP_BODY_LENGTH;
	return refusal;
}

/* Never a body, whatever the fields say (RFC 9112 6.3, 1). */
static bool is_bodiless(const struct http_head *head)
{
	return head->method == HTTP_HEAD || head->status < 200 || head->status == 204 ||
	       head->status == 304;
}

struct http_refusal frame_response(struct http_head *head)
{
	if (judge_framing(head).reason != REASON_NONE)
		return refuse(502, REASON_UPSTREAM_FRAMING);
	if (is_bodiless(head))
		head->body = HTTP_BODY_NONE;
	else if (head->body == HTTP_BODY_NONE)
		head->body = head->has_length ? HTTP_BODY_LENGTH : HTTP_BODY_UNTIL_CLOSE;
	if (head->body == HTTP_BODY_LENGTH && head->content_length == 0)
		head->body = HTTP_BODY_NONE;
	if (head->body == HTTP_BODY_UNTIL_CLOSE)
		head->close = true;
	return refuse(0, REASON_NONE);
}
