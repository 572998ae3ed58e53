/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/grpc.h"

#include "core/base/clock.h"

#define LONGEST_NS (366 * 86400 * GW_NS_PER_S) /* Beyond that it is as good as none. */

enum {
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_UNAUTHENTICATED = 16,
	TIMEOUT_DIGITS_MAX = 8,
};

bool grpc_is_call(const struct http_head *head)
{
	static const struct slice type = SLICE_INIT("application/grpc");
	const struct http_field *field;
	struct slice value;

	if (head->method != HTTP_POST)
		return false;
	field = http_head_find(head, HTTP_FIELD_CONTENT_TYPE);
	if (!field)
		return false;
	value = http_text(head, field->value);
	if (!slice_starts_with_nocase(value, type))
		return false;
	return value.len == type.len || value.ptr[type.len] == '+' || value.ptr[type.len] == ';';
}

/* Nanoseconds in a unit of the timeout; 0: no unit. */
static uint64_t unit_ns(char unit)
{
	switch (unit) {
	case 'H':
		return 3600 * GW_NS_PER_S;
	case 'M':
		return 60 * GW_NS_PER_S;
	case 'S':
		return GW_NS_PER_S;
	case 'm':
		return GW_NS_PER_MS;
	case 'u':
		return 1000;
	case 'n':
		return 1;
	default:
		return 0;
	}
}

int grpc_timeout(const struct http_head *head, uint64_t *ret_ns)
{
	const struct http_field *field = http_head_find_name(head, SLICE("grpc-timeout"));
	struct slice value;
	uint64_t amount, unit;

	if (!field)
		return 0;
	value = http_text(head, field->value);
	if (value.len < 2 || value.len > TIMEOUT_DIGITS_MAX + 1)
		return 0;
	unit = unit_ns(value.ptr[value.len - 1]);
	if (unit == 0 || slice_to_u64(slice_take(value, value.len - 1), &amount) < 0)
		return 0;
	if (amount > LONGEST_NS / unit)
		return 0;
	*ret_ns = amount * unit;
	return 1;
}

uint8_t grpc_status(uint16_t status, enum reason reason)
{
	if (reason == REASON_DEADLINE)
		return GRPC_DEADLINE_EXCEEDED;
	switch (status) {
	case 400:
	case 500:
		return GRPC_INTERNAL;
	case 401:
		return GRPC_UNAUTHENTICATED;
	case 403:
		return GRPC_PERMISSION_DENIED;
	case 404:
	case 405:
	case 501:
		return GRPC_UNIMPLEMENTED;
	case 408:
		return GRPC_DEADLINE_EXCEEDED;
	case 413:
	case 429:
	case 431:
		return GRPC_RESOURCE_EXHAUSTED;
	default:
		return GRPC_UNAVAILABLE;
	}
}
