/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/trace.h"

/* "vv-tttttttttttttttttttttttttttttttt-pppppppppppppppp-ff" */
enum {
	VERSION_LEN = 2,
	TRACE_AT = 3,
	TRACE_LEN = 32,
	SPAN_AT = 36,
	SPAN_LEN = 16,
	FLAGS_AT = 53,
	LEN = 55
};

static bool is_hex(const char *text, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f'))
			return false;
	return true;
}

static bool is_zero(const char *text, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (text[i] != '0')
			return false;
	return true;
}

bool trace_is_parent(struct slice value)
{
	const char *text = value.ptr;

	if (value.len < LEN || !is_hex(text, VERSION_LEN) || !is_hex(text + TRACE_AT, TRACE_LEN) ||
	    !is_hex(text + SPAN_AT, SPAN_LEN) || !is_hex(text + FLAGS_AT, LEN - FLAGS_AT) ||
	    text[TRACE_AT - 1] != '-' || text[SPAN_AT - 1] != '-' || text[FLAGS_AT - 1] != '-')
		return false;
	if (is_zero(text + TRACE_AT, TRACE_LEN) || is_zero(text + SPAN_AT, SPAN_LEN))
		return false;
	if (memcmp(text, "ff", VERSION_LEN) == 0)
		return false;
	if (is_zero(text, VERSION_LEN))
		return value.len == LEN;
	return value.len == LEN || text[LEN] == '-';
}

static uint32_t count_members(struct slice list)
{
	struct slice member;
	uint32_t n = 0;

	while (slice_next_token(&list, ',', &member))
		n += member.len > 0;
	return n;
}

void trace_check(struct http_head *head)
{
	uint32_t n_parents = 0, n_members = 0;
	bool valid = true;

	for (uint32_t i = 0; i < head->n_fields; i++) {
		struct slice value = http_text(head, head->fields[i].value);

		if (head->fields[i].id == HTTP_FIELD_TRACEPARENT) {
			valid &= trace_is_parent(value);
			n_parents++;
		} else if (head->fields[i].id == HTTP_FIELD_TRACESTATE) {
			n_members += count_members(value);
		}
	}
	if (valid && n_parents == 1 && n_members <= TRACE_STATE_MEMBERS_MAX)
		return;
	head->anomalies |= HTTP_ANOMALY_TRACEPARENT_INVALID;
	for (uint32_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].id == HTTP_FIELD_TRACEPARENT ||
		    head->fields[i].id == HTTP_FIELD_TRACESTATE)
			head->fields[i].dropped = true;
}
