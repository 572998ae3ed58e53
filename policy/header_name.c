/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/header_name.h"

#include <errno.h>

#include "core/document/form.h"

/* Of both directions. */
static const char *const never[] = {
	"connection", "content-length",   "host",    "http2-settings",    "keep-alive", "via",
	"te",         "proxy-connection", "trailer", "transfer-encoding", "upgrade",
};

static const char *const never_in_requests[] = {
	"expect",          "forwarded",        "max-forwards",     "proxy-authorization",
	"x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto",
	"x-real-ip",       "x-request-id",
};

static const char *const never_in_responses[] = { "date", "proxy-authenticate" };

static bool is_one_of(struct slice name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq_nocase(name, slice_of(list[i])))
			return true;
	return false;
}

int header_name_check(struct slice name, enum header_of of)
{
	if (form_token(name) < 0 || slice_find(name, '_') != SLICE_NONE ||
	    is_one_of(name, never, ARRAY_SIZE(never)))
		return -EINVAL;
	if (of == HEADER_REQUEST &&
	    (is_one_of(name, never_in_requests, ARRAY_SIZE(never_in_requests)) ||
	     slice_starts_with_nocase(name, SLICE("x-client-cert"))))
		return -EINVAL;
	if (of == HEADER_RESPONSE &&
	    is_one_of(name, never_in_responses, ARRAY_SIZE(never_in_responses)))
		return -EINVAL;
	return 0;
}
