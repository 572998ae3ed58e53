/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/head.h"

#include "core/base/gw_assert.h"

static const struct slice field_names[HTTP_N_FIELD_IDS] = {
#define X(id, name, class) [HTTP_FIELD_##id] = SLICE_INIT(name),
#include "core/http/field.def"
#undef X
};

static const uint8_t field_classes[HTTP_N_FIELD_IDS] = {
#define X(id, name, class) [HTTP_FIELD_##id] = HTTP_CLASS_##class,
#include "core/http/field.def"
#undef X
};

static const struct slice method_names[HTTP_N_METHODS] = {
#define X(name) [HTTP_##name] = SLICE_INIT(#name),
	HTTP_METHODS(X)
#undef X
};

_Static_assert(HTTP_N_FIELD_IDS <= 64, "http_head.ids is a set of bits");

/*
 * Three letters of a name tell all names of field.def apart: the first, the
 * middle and the last but one, in lower case. A name that is added has to get a
 * slot of its own; the unit test finds the factor anew when there is none.
 */
enum { N_SLOTS = 128 };
#define SLOT(first, middle, last_but_one)                                                          \
	((31u * (unsigned)(first) + (unsigned)(middle) + (unsigned)(last_but_one)) % N_SLOTS)

static const uint8_t field_slots[N_SLOTS] = {
	[SLOT('h', 's', 's')] = HTTP_FIELD_HOST,
	[SLOT('c', '-', 't')] = HTTP_FIELD_CONTENT_LENGTH,
	[SLOT('t', '-', 'n')] = HTTP_FIELD_TRANSFER_ENCODING,
	[SLOT('c', 'c', 'o')] = HTTP_FIELD_CONNECTION,
	[SLOT('k', 'a', 'v')] = HTTP_FIELD_KEEP_ALIVE,
	[SLOT('p', 'n', 'o')] = HTTP_FIELD_PROXY_CONNECTION,
	[SLOT('t', 'e', 't')] = HTTP_FIELD_TE,
	[SLOT('t', 'i', 'e')] = HTTP_FIELD_TRAILER,
	[SLOT('u', 'r', 'd')] = HTTP_FIELD_UPGRADE,
	[SLOT('h', 'e', 'g')] = HTTP_FIELD_HTTP2_SETTINGS,
	[SLOT('p', 'h', 'o')] = HTTP_FIELD_PROXY_AUTHORIZATION,
	[SLOT('p', 'h', 't')] = HTTP_FIELD_PROXY_AUTHENTICATE,
	[SLOT('e', 'e', 'c')] = HTTP_FIELD_EXPECT,
	[SLOT('m', 'r', 'd')] = HTTP_FIELD_MAX_FORWARDS,
	[SLOT('v', 'i', 'i')] = HTTP_FIELD_VIA,
	[SLOT('a', 'i', 'o')] = HTTP_FIELD_AUTHORIZATION,
	[SLOT('c', 'k', 'i')] = HTTP_FIELD_COOKIE,
	[SLOT('s', 'o', 'i')] = HTTP_FIELD_SET_COOKIE,
	[SLOT('d', 't', 't')] = HTTP_FIELD_DATE,
	[SLOT('s', 'v', 'e')] = HTTP_FIELD_SERVER,
	[SLOT('u', 'a', 'n')] = HTTP_FIELD_USER_AGENT,
	[SLOT('a', 'e', 'p')] = HTTP_FIELD_ACCEPT,
	[SLOT('c', 't', 'p')] = HTTP_FIELD_CONTENT_TYPE,
	[SLOT('r', 'n', 'g')] = HTTP_FIELD_RANGE,
	[SLOT('x', 'r', 'o')] = HTTP_FIELD_X_FORWARDED_FOR,
	[SLOT('x', 'd', 't')] = HTTP_FIELD_X_FORWARDED_PROTO,
	[SLOT('x', 'd', 's')] = HTTP_FIELD_X_FORWARDED_HOST,
	[SLOT('x', 'd', 'r')] = HTTP_FIELD_X_FORWARDED_PORT,
	[SLOT('f', 'a', 'e')] = HTTP_FIELD_FORWARDED,
	[SLOT('x', 'a', 'i')] = HTTP_FIELD_X_REAL_IP,
	[SLOT('x', 'n', 'r')] = HTTP_FIELD_X_CLIENT_CERT,
	[SLOT('x', 'e', 'i')] = HTTP_FIELD_X_REQUEST_ID,
	[SLOT('t', 'p', 'n')] = HTTP_FIELD_TRACEPARENT,
	[SLOT('t', 's', 't')] = HTTP_FIELD_TRACESTATE,
};

/*
 * Equal but for case. Exact for names in field.def, which hold only letters,
 * digits and '-': no other character of a token becomes one of these by 0x20.
 */
static bool same_name(const char *any_case, const char *lower, size_t len)
{
	uint64_t a, b;
	size_t i = 0;

	for (; i + 8 <= len; i += 8) {
		memcpy(&a, any_case + i, 8);
		memcpy(&b, lower + i, 8);
		if ((a | UINT64_C(0x2020202020202020)) != b)
			return false;
	}
	for (; i < len; i++)
		if ((any_case[i] | 0x20) != lower[i])
			return false;
	return true;
}

enum http_field_id http_field_id(struct slice name)
{
	const struct slice *known;
	uint8_t id;

	if (name.len < 2)
		return HTTP_FIELD_OTHER;
	id = field_slots[SLOT(name.ptr[0] | 0x20, name.ptr[name.len / 2] | 0x20,
			      name.ptr[name.len - 2] | 0x20)];
	known = &field_names[id];
	if (id != HTTP_FIELD_OTHER && known->len == name.len &&
	    same_name(name.ptr, known->ptr, name.len))
		return (enum http_field_id)id;

	known = &field_names[HTTP_FIELD_X_CLIENT_CERT];
	if (GW_UNLIKELY(name.len > known->len && (name.ptr[0] | 0x20) == 'x') &&
	    same_name(name.ptr, known->ptr, known->len))
		return HTTP_FIELD_X_CLIENT_CERT;
	return HTTP_FIELD_OTHER;
}

enum http_field_class http_field_class(enum http_field_id id)
{
	GW_ASSERT(id < HTTP_N_FIELD_IDS);
	return (enum http_field_class)field_classes[id];
}

/* --- Copies. --------------------------------------------------------------------------------- */

static size_t last_end(size_t end, struct http_span span)
{
	size_t its = (size_t)span.off + span.len;

	return its > end ? its : end;
}

static size_t text_len(const struct http_head *head)
{
	size_t end = 0;

	end = last_end(end, head->method_text);
	end = last_end(end, head->path);
	end = last_end(end, head->query);
	end = last_end(end, head->host);
	end = last_end(end, head->reason_phrase);
	for (uint32_t i = 0; i < head->n_fields; i++) {
		end = last_end(end, head->fields[i].name);
		end = last_end(end, head->fields[i].value);
	}
	return end;
}

void http_head_copy(struct http_head *ret_head, char *text, const struct http_head *from)
{
	size_t len = text_len(from);

	GW_ASSERT(len <= HTTP_HEAD_TEXT);
	memcpy(ret_head, from,
	       offsetof(struct http_head, fields) + from->n_fields * sizeof(from->fields[0]));
	memcpy(text, from->base, len);
	ret_head->base = text;
}

/* --- Finding. -------------------------------------------------------------------------------- */

const struct http_field *http_head_find(const struct http_head *head, enum http_field_id id)
{
	GW_ASSERT(id < HTTP_N_FIELD_IDS && id != HTTP_FIELD_OTHER);
	if (!(head->ids & UINT64_C(1) << id))
		return NULL;
	for (uint32_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].id == id && !head->fields[i].dropped)
			return &head->fields[i];
	return NULL;
}

const struct http_field *http_head_find_name(const struct http_head *head, struct slice name)
{
	for (uint32_t i = 0; i < head->n_fields; i++) {
		const struct http_field *field = &head->fields[i];

		if (!field->dropped && slice_eq_nocase(http_text(head, field->name), name))
			return field;
	}
	return NULL;
}

struct slice http_method_name(enum http_method method)
{
	GW_ASSERT(method < HTTP_N_METHODS);
	return method_names[method];
}

struct slice http_status_phrase(uint16_t status)
{
	switch (status) {
#define X(code, phrase)                                                                            \
	case code:                                                                                 \
		return SLICE(phrase);
#include "core/http/status.def"
#undef X
	default:
		return SLICE("Unknown");
	}
}

bool http_only_field(const struct http_head *head, struct slice name, struct slice *ret_value)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < head->n_fields && n < 2; i++) {
		const struct http_field *field = &head->fields[i];

		if (field->dropped || !slice_eq_nocase(http_text(head, field->name), name))
			continue;
		*ret_value = http_text(head, field->value);
		n++;
	}
	return n == 1;
}

void http_drop_field(struct http_head *head, struct slice name)
{
	for (uint32_t i = 0; i < head->n_fields; i++)
		if (slice_eq_nocase(http_text(head, head->fields[i].name), name))
			head->fields[i].dropped = true;
}
