/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/san.h"

#include <errno.h>
#include <stdlib.h>

#include "core/document/form.h"

#define DNS SLICE("dns:")

static bool is_plain(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || text.ptr[i] == '*')
			return false;
	return true;
}

static bool is_scheme(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = slice_lower(text.ptr[i]);
		bool letter = c >= 'a' && c <= 'z';
		bool other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';

		if (!letter && (i == 0 || !other))
			return false;
	}
	return text.len > 0;
}

/* A scheme, and something behind it (RFC 3986 3). */
static bool is_uri(struct slice text)
{
	struct slice scheme, rest;

	return slice_split(text, ':', &scheme, &rest) && is_scheme(scheme) && rest.len > 0;
}

static bool is_mail(struct slice text)
{
	size_t at = slice_find_last(text, '@');

	return at != SLICE_NONE && at > 0 && form_is_host(slice_drop(text, at + 1));
}

int san_check(struct slice text)
{
	static const struct {
		struct slice kind;
		bool (*is)(struct slice text);
	} kinds[] = { { SLICE_INIT("dns:"), form_is_host },
		      { SLICE_INIT("uri:"), is_uri },
		      { SLICE_INIT("email:"), is_mail } };

	for (size_t i = 0; is_plain(text) && i < ARRAY_SIZE(kinds); i++)
		if (slice_starts_with(text, kinds[i].kind) &&
		    kinds[i].is(slice_drop(text, kinds[i].kind.len)))
			return 0;
	return -EINVAL;
}

static int compare(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

void san_sort(const struct slice *list, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		char *bytes = (char *)(uintptr_t)list[i].ptr;

		for (size_t k = 0; slice_starts_with(list[i], DNS) && k < list[i].len; k++)
			bytes[k] = slice_lower(bytes[k]);
	}
	if (n > 0)
		qsort((struct slice *)(uintptr_t)list, n, sizeof(*list), compare);
}
